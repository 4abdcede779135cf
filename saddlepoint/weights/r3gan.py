"""R3GAN's released pickles: {G, D, G_ema, ...}, modules of plain PyTorch.

Their networks are ours up to names. The release computes some stages in bfloat16; here they are computed in the precision of the run.

Axes: s stage, b block.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from saddlepoint.errors import CheckpointError
from saddlepoint.games.game import Game
from saddlepoint.networks.r3gan import stage_widths
from saddlepoint.weights.names import Thing
from saddlepoint.weights.transfer import Foreign, Transfer, check_filter, image_spec, tensors_of
from saddlepoint.zoo.r3gan import FFHQ64

BLOCK = {
    "expand.weight": "LinearLayer1.Layer.weight",
    "group.weight": "LinearLayer2.Layer.weight",
    "reduce.weight": "LinearLayer3.Layer.weight",
    "expand.bias": "NonLinearity1.Bias",
    "group.bias": "NonLinearity2.Bias",
}
FILTERS = r"Resampler\.Kernel$"


def read(content: Any, where: str) -> Foreign | None:
    """The checkpoint, or None if it is of another code.

    Raises:
        CheckpointError: for widths of another rule, or groups of several sizes.
    """
    content = {"G_ema": content} if isinstance(content, Thing) else content
    if not isinstance(content, dict) or not isinstance(content.get("G_ema"), Thing):
        return None
    states = {name: _state(content[name]) for name in ("G", "D", "G_ema") if isinstance(content.get(name), Thing)}
    state = states["G_ema"]
    if "AggregationLayer.Layer.weight" not in state or "MainLayers.0.Layers.0.Basis" not in state:
        return None
    for kernel in (value for network in states.values() for name, value in network.items() if re.search(FILTERS, name)):
        check_filter(kernel, where)
    stages = 1 + max(int(match[1]) for name in state if (match := re.match(r"MainLayers\.(\d+)\.", name)))
    widths = [len(state[f"MainLayers.{s}.Layers.1.LinearLayer3.Layer.weight"]) for s in range(stages)]
    full = sum(width == widths[0] for width in widths)
    blocks = {sum(bool(re.match(rf"MainLayers\.{s}\.Layers\.\d+\.NonLinearity1", name)) for name in state) for s in range(stages)}
    groups = {state[f"MainLayers.{s}.Layers.1.LinearLayer2.Layer.weight"].shape[1] for s in range(stages)}
    if widths != stage_widths(widths[0], stages, full) or len(blocks) > 1 or len(groups) > 1:
        found = f"widths {widths}, blocks {sorted(blocks)} and groups of {sorted(groups)}"
        raise CheckpointError(
            f"{where} has {found}; only widths that halve after the first stages, with the same blocks and groups, can be built here."
        )
    embedding = state.get("EmbeddingLayer.weight")
    side, classes = 4 << (stages - 1), None if embedding is None else embedding.shape[1]
    latent = state["MainLayers.0.Layers.0.LinearLayer.weight"].shape[1] - (0 if embedding is None else len(embedding))
    config = replace(
        FFHQ64,
        resolution=side,
        latent_dim=latent,
        width=widths[0],
        full_stages=full,
        blocks=blocks.pop(),
        group_width=groups.pop(),
        conditional=classes is not None,
    )

    def fill(game: Game) -> list[str]:
        for ours, theirs in (("generator", "G"), ("generator_ema", "G_ema")):
            moving = Transfer(states.get(theirs, state), game.get_submodule(ours), where)
            _fill_generator(moving, widths, config.blocks)
        if "D" not in states:
            return ["The file holds no discriminator; it starts anew."]
        _fill_discriminator(Transfer(states["D"], game.get_submodule("discriminator"), where), widths[::-1], config.blocks)
        return []

    shape = (len(state["AggregationLayer.Layer.weight"]), side, side)
    return Foreign(family="R3GAN", recipe="r3gan", config=config, spec=image_spec(where, shape, classes), fill=fill)


def _state(thing: Any) -> dict[str, Tensor]:
    return {name.removeprefix("Model."): value for name, value in tensors_of(thing).items()}


def _place(s: int, blocks: int) -> int:
    """Where a stage's first block lies in our flat list: a change of resolution stands before every stage but the first."""
    return s * (blocks + 1)


def _move(moving: Transfer, names: Mapping[str, str], ours: str, theirs: str) -> None:
    moving.move({f"{ours}.{a}": f"{theirs}.{b}" for a, b in names.items()})


def _fill_generator(moving: Transfer, widths: list[int], blocks: int) -> None:
    moving.move({"basis": "MainLayers.0.Layers.0.Basis", "scale.weight": "MainLayers.0.Layers.0.LinearLayer.weight"})
    for s in range(len(widths)):
        if s and widths[s] != widths[s - 1]:
            moving.move({f"layers.{_place(s, blocks) - 1}.mix.weight": f"MainLayers.{s}.Layers.0.LinearLayer.Layer.weight"})
        for b in range(blocks):
            _move(moving, BLOCK, f"layers.{_place(s, blocks) + b}", f"MainLayers.{s}.Layers.{b + 1}")
    moving.move({"last.weight": "AggregationLayer.Layer.weight"})
    _finish(moving)


def _fill_discriminator(moving: Transfer, widths: list[int], blocks: int) -> None:
    moving.move({"first.weight": "ExtractionLayer.Layer.weight"})
    for s in range(len(widths)):
        for b in range(blocks):
            _move(moving, BLOCK, f"layers.{_place(s, blocks) + b}", f"MainLayers.{s}.Layers.{b}")
        if s + 1 < len(widths) and widths[s] != widths[s + 1]:
            moving.move({f"layers.{_place(s + 1, blocks) - 1}.mix.weight": f"MainLayers.{s}.Layers.{blocks}.LinearLayer.Layer.weight"})
    last = f"MainLayers.{len(widths) - 1}.Layers.{blocks}"
    moving.move({"basis": f"{last}.Basis.weight", "head.weight": f"{last}.LinearLayer.weight"})
    _finish(moving)


def _finish(moving: Transfer) -> None:
    if "embed.weight" in moving.own:
        moving.move({"embed.weight": "EmbeddingLayer.weight"})
    moving.finish(ignored=FILTERS)
