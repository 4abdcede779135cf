"""The first author's BigGAN-PyTorch: G.pth and G_ema.pth, a state of the generator alone.

Theirs in ours: a map's linear layer lies in (c h w) order, ours in (h w c); a gain is 1 plus what is looked up by class, ours is looked up whole; the
one step of the power iteration that their evaluation makes is made once, when the vectors are taken over.

Axes: o outputs, i inputs, k classes.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import torch
from einops import rearrange
from torch import Tensor
from torch.nn.functional import normalize

from saddlepoint.errors import CheckpointError
from saddlepoint.games.game import Game
from saddlepoint.weights.transfer import Foreign, Transfer, image_spec, tensors_of, without_prefix
from saddlepoint.zoo.biggan import CIFAR, DEEP, PORT

FAMILY = "BigGAN-PyTorch"
ACROSS = (
    "Its norms take statistics across devices (--cross_replica). Gains are multiplied here, as in its training on several devices; "
    "in evaluation, and on one device, that code adds them."
)
BASE = 4
LAST = {32: 4, 64: 2}  # channels of the last map in units of ch; 1 for other sizes


def read(content: Any, where: str) -> Foreign | None:
    """The checkpoint, or None if it is of another code.

    Raises:
        CheckpointError: for networks of that code that are not known here.
    """
    state = without_prefix(tensors_of(content)) if isinstance(content, dict) else {}
    if not {"linear.weight", "blocks.0.0.conv1.weight", "output_layer.0.gain"} <= state.keys():
        return None
    if "blocks.0.0.conv3.weight" in state:
        return _deep(state, where)
    blocks = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("blocks."))
    side = BASE << blocks
    last = len(state[f"blocks.{blocks - 1}.0.conv2.weight"])
    shared = state.get("shared.weight")
    gain = state["blocks.0.0.bn1.gain.weight"]
    classes = len(gain) if shared is None else len(shared)
    hierarchical = shared is not None and gain.shape[1] > shared.shape[1]
    attention = tuple(sorted(2 * BASE << int(match[1]) for name in state if (match := re.fullmatch(r"blocks\.(\d+)\.1\.gamma", name))))
    config = replace(
        PORT if shared is not None else CIFAR,
        width=last // LAST.get(side, 1),
        resolution=side,
        latent_dim=state["linear.weight"].shape[1] * (blocks + 1 if hierarchical else 1),
        shared_dim=None if shared is None else shared.shape[1],
        hierarchical=hierarchical,
        attention=attention,
    )
    shape = (len(state["output_layer.2.weight"]), side, side)
    return Foreign(family=FAMILY, recipe="biggan", config=config, spec=image_spec(where, shape, classes), fill=lambda game: _fill(game, state, where))


def _deep(state: dict[str, Tensor], where: str) -> Foreign:
    """BigGAN-deep: two blocks a size, the whole z in every norm."""
    shared = state.get("shared.weight")
    if shared is None or state["blocks.0.0.bn1.gain.weight"].shape[1] != state["linear.weight"].shape[1]:
        raise CheckpointError(f"{where} is a BigGAN-deep generator without z in its norms; only the paper's form is read.")
    blocks = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("blocks."))
    side = BASE << blocks // 2
    attention = tuple(sorted(2 * BASE << int(match[1]) // 2 for name in state if (match := re.fullmatch(r"blocks\.(\d+)\.1\.gamma", name))))
    config = replace(
        DEEP,
        width=len(state[f"blocks.{blocks - 1}.0.conv4.weight"]) // LAST.get(side, 1),
        resolution=side,
        latent_dim=state["linear.weight"].shape[1] - shared.shape[1],
        shared_dim=shared.shape[1],
        attention=attention,
        norm_eps=PORT.norm_eps,
        standing_passes=0,
    )
    shape, fill = (len(state["output_layer.2.weight"]), side, side), lambda game: _fill(game, state, where)
    return Foreign(family=FAMILY, recipe="biggan-deep", config=config, spec=image_spec(where, shape, len(shared)), fill=fill)


def _fill(game: Game, state: dict[str, Tensor], where: str) -> list[str]:
    for name in ("generator", "generator_ema"):
        _fill_generator(Transfer(state, game.get_submodule(name), where), game.get_submodule(name))
    notes = ["The file holds one generator, which is taken for the averaged one too; the discriminator starts anew."]
    across = "output_layer.0.bn.running_mean" in state
    return [*notes, ACROSS] if across else notes


def _fill_generator(moving: Transfer, generator: Any) -> None:
    base = {"h": BASE, "w": BASE}
    moving.put("project.weight", rearrange(moving.take("linear.weight"), "(c h w) i -> (h w c) i", **base))
    moving.put("project.bias", rearrange(moving.take("linear.bias"), "(c h w) -> (h w c)", **base))
    _spectral(moving, "project", "linear", lambda u: rearrange(u, "(c h w) -> (h w c)", **base))
    if generator.shared is not None:
        moving.move({"shared.weight": "shared.weight"})
    for i in range(len(generator.blocks)):
        ours, theirs = f"blocks.{i}", f"blocks.{i}.0"
        layers = {"shortcut": "conv_sc"} | {f"conv{number}": f"conv{number}" for number in range(1, 5)}
        for a, b in layers.items():
            if f"{ours}.{a}.weight" in moving.own:
                _layer(moving, f"{ours}.{a}", f"{theirs}.{b}")
        for norm in (number for number in range(1, 5) if f"{ours}.norm{number}.normalise.running_mean" in moving.own):
            _norm(moving, f"{ours}.norm{norm}", f"{theirs}.bn{norm}", by_class=generator.shared is None)
    for i in generator.attention:
        for part in ("theta", "phi", "g", "o"):
            _layer(moving, f"attention.{i}.{part}", f"blocks.{i}.1.{part}")
        moving.move({f"attention.{i}.gamma": f"blocks.{i}.1.gamma"})
    _layer(moving, "to_image", "output_layer.2")
    moving.move({"norm.weight": "output_layer.0.gain", "norm.bias": "output_layer.0.bias"})
    _statistics(moving, "norm", "output_layer.0")
    moving.finish(ignored=r"\.sv0$|num_batches_tracked$|accumulation_counter$", unset=r"num_batches_tracked$")


def _layer(moving: Transfer, ours: str, theirs: str) -> None:
    """A spectrally normalised layer."""
    for part in ("weight", "bias"):
        if f"{ours}.{part}" in moving.own:
            moving.move({f"{ours}.{part}": f"{theirs}.{part}"})
    _spectral(moving, ours, theirs)


def _spectral(moving: Transfer, ours: str, theirs: str, order: Any = lambda u: u) -> None:
    u, weight = order(moving.take(f"{theirs}.u0")[0]).double(), moving.own[f"{ours}.weight"].flatten(1).double()
    v = normalize(u @ weight, dim=0, eps=1e-12)
    moving.put(f"{ours}.spectral.v", v)
    moving.put(f"{ours}.spectral.u", normalize(weight @ v, dim=0, eps=1e-12))


def _norm(moving: Transfer, ours: str, theirs: str, *, by_class: bool) -> None:
    _statistics(moving, f"{ours}.normalise", theirs)
    if by_class:
        moving.put(f"{ours}.gain", 1 + moving.take(f"{theirs}.gain.weight"))
        moving.move({f"{ours}.bias": f"{theirs}.bias.weight"})
    else:
        _layer(moving, f"{ours}.gain", f"{theirs}.gain")
        _layer(moving, f"{ours}.bias", f"{theirs}.bias")


def _statistics(moving: Transfer, ours: str, theirs: str) -> None:
    """Running mean and variance, under the three names that the code's three batch norms give them."""
    for kind, names in (("mean", ("stored_mean", "bn.stored_mean", "bn.running_mean")), ("var", ("stored_var", "bn.stored_var", "bn.running_var"))):
        found = [f"{theirs}.{name}" for name in names if f"{theirs}.{name}" in moving.source]
        moving.move({f"{ours}.running_{kind}": found[0] if found else f"{theirs}.{names[0]}"})
    if not torch.isfinite(moving.own[f"{ours}.running_var"]).all():
        raise CheckpointError(f"{moving.where} holds statistics of batch norm that are not finite.")
