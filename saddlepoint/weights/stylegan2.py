"""StyleGAN2 from NVIDIA's pickles (the ADA and StyleGAN3 releases) and from rosinality's checkpoints.

Their networks are ours up to names. Rosinality's training checkpoints hold no mean code; it is measured on 10,000 latents when it is missing.

Axes: l level, k the resolution 4 * 2^l.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from saddlepoint.draws import Draws
from saddlepoint.errors import CheckpointError
from saddlepoint.games.game import Game
from saddlepoint.networks.stylegan2 import Architecture
from saddlepoint.weights.names import Thing, brief
from saddlepoint.weights.transfer import Foreign, Transfer, check_filter, image_spec, power_of_two_channels, tensors_of, without_prefix
from saddlepoint.zoo.stylegan2 import RELEASE, StyleGAN2Config

Names = Mapping[str, str]
State = dict[str, Tensor]
MEAN_SAMPLES = 10_000
MEASURED = f"The file holds no mean code; it was measured on {MEAN_SAMPLES} latents."
WHOLE = 1 << 16  # samples that the minibatch's deviation compares where it compares all
BUILT: dict[str, tuple[Any, ...]] = {  # settings that no tensor tells, and what ours are
    "activation": ("lrelu",),
    "lr_multiplier": (0.01,),
    "resample_filter": ([1, 3, 3, 1],),
    "conv_clamp": (None, 256),
}
LAYER = {"affine.weight": "affine.weight", "affine.bias": "affine.bias", "weight": "weight", "bias": "bias"}
NVIDIA_LAYER = {**LAYER, "noise.strength": "noise_strength", "noise.fixed": "noise_const"}
ROSINALITY_LAYER = {
    "affine.weight": "conv.modulation.weight",
    "affine.bias": "conv.modulation.bias",
    "weight": "conv.weight",
    "bias": "activate.bias",
    "noise.strength": "noise.weight",
}
ROSINALITY_IMAGE = {"affine.weight": "conv.modulation.weight", "affine.bias": "conv.modulation.bias", "weight": "conv.weight", "bias": "bias"}


def read_nvidia(content: Any, where: str) -> Foreign | None:
    """A pickle {G, D, G_ema}, or None if it is something else.

    Raises:
        CheckpointError: for networks of that code that are not known here, such as StyleGAN3's.
    """
    content = {"G_ema": content} if isinstance(content, Thing) else content
    if not isinstance(content, dict) or not isinstance(content.get("G_ema"), Thing):
        return None
    states = {name: tensors_of(content[name]) for name in ("G", "D", "G_ema") if isinstance(content.get(name), Thing)}
    if "mapping.fc0.weight" not in states["G_ema"]:
        return None
    if "synthesis.b4.const" not in states["G_ema"]:
        raise CheckpointError(f"{where} holds a generator of StyleGAN3 (its input is not a learned constant); only StyleGAN2's are read.")
    for name in states:
        _check_settings(_settings(content[name]), where)
    config, shape, classes = _measure_nvidia(states, where)
    if "D" in states:
        config = replace(config, stddev_group=_stddev_group(content["D"], states["D"]))

    def fill(game: Game) -> list[str]:
        notes = [] if "mapping.w_avg" in states["G_ema"] else [MEASURED]
        for ours, theirs in (("generator", "G"), ("generator_ema", "G_ema")):
            moving = Transfer(states.get(theirs, states["G_ema"]), game.get_submodule(ours), where)
            _fill_nvidia_generator(moving, game.get_submodule(ours))
        if "D" not in states:
            return [*notes, "The file holds no discriminator; it starts anew."]
        _fill_nvidia_discriminator(Transfer(states["D"], game.get_submodule("discriminator"), where), game.get_submodule("discriminator"))
        return notes

    return Foreign(family="NVIDIA StyleGAN2", recipe="stylegan2", config=config, spec=image_spec(where, shape, classes), fill=fill)


def _settings(thing: Thing) -> Mapping[str, Any]:
    """The arguments that a network of NVIDIA's was made from."""
    given = thing.state.get("_init_kwargs") if isinstance(thing.state, Mapping) else None
    return given if isinstance(given, Mapping) else {}


def _check_settings(settings: Mapping[str, Any], where: str, depth: int = 0) -> None:
    """Refuse a network that would be taken for one of ours, and makes other images."""
    for name, value in settings.items():
        if isinstance(value, Mapping) and depth < 2:
            _check_settings(value, where, depth + 1)
        elif name in BUILT and value not in BUILT[name]:
            built = " or ".join(map(str, BUILT[name]))
            raise CheckpointError(f"{where} was made with {name} {brief(value)}; only networks with {built} can be built here.")


def _stddev_group(thing: Thing, state: State) -> int | None:
    """Samples that the minibatch's deviation compares; None where it is left out, as the first layer after it tells."""
    kernel, epilogue = state["b4.conv.weight"], _settings(thing).get("epilogue_kwargs")
    if kernel.shape[0] == kernel.shape[1]:
        return None
    group = epilogue.get("mbstd_group_size", 4) if isinstance(epilogue, Mapping) else 4
    return WHOLE if group is None else group if type(group) is int and 0 < group < WHOLE else 4


def _measure_nvidia(states: dict[str, State], where: str) -> tuple[StyleGAN2Config, tuple[int, int, int], int | None]:
    """Settings that the shapes of the tensors tell: configuration, image shape, classes."""
    state, d = states["G_ema"], states.get("D", {})
    sides = sorted(int(match[1]) for name in state if (match := re.fullmatch(r"synthesis\.b(\d+)\.conv1\.weight", name)))
    channels = [len(state[f"synthesis.b{side}.conv1.weight"]) for side in sides]
    base, most = power_of_two_channels(channels, 4, where)
    for value in (value for network in states.values() for name, value in network.items() if name.endswith("resample_filter")):
        check_filter(value, where)
    layers = sum(bool(re.fullmatch(r"mapping\.fc\d+\.weight", name)) for name in state)
    classes = state["mapping.embed.weight"].shape[1] if "mapping.embed.weight" in state else None
    code_dim = len(state[f"mapping.fc{layers - 1}.weight"])
    latent = state["mapping.fc0.weight"].shape[1] - (0 if classes is None else len(state["mapping.embed.weight"]))
    images = state[f"synthesis.b{sides[-1]}.torgb.weight"]
    config = replace(
        RELEASE,
        resolution=sides[-1],
        latent_dim=latent,
        code_dim=code_dim,
        mapping_layers=layers,
        channel_base=base,
        width=most,
        g_architecture=_architecture("synthesis.b8.skip.weight" in state, "synthesis.b4.torgb.weight" in state and len(sides) > 1),
        d_architecture=_architecture("b8.skip.weight" in d, "b4.fromrgb.weight" in d) if d else "resnet",
        noise="synthesis.b4.conv1.noise_strength" in state,
        conditional=classes is not None,
    )
    return config, (len(images), sides[-1], sides[-1]), classes


def _architecture(residual: bool, images: bool) -> Architecture:
    return "resnet" if residual else "skip" if images else "orig"


def _fill_nvidia_generator(moving: Transfer, generator: Any) -> None:
    _mapping(moving, generator.mapping, "mapping", lambda i, part: f"mapping.fc{i}.{part}")
    moving.move({"constant": "synthesis.b4.const"} | ({"mapping.mean": "mapping.w_avg"} if "mapping.w_avg" in moving.source else {}))
    for level in range(len(generator.levels)):
        block = f"synthesis.b{4 << level}"
        for index in range(len(generator.levels[level].convs)):
            conv = f"{block}.conv{index + (level == 0)}"
            layer = NVIDIA_LAYER if f"{conv}.noise_strength" in moving.source else LAYER
            _styled(moving, f"levels.{level}.convs.{index}", conv, layer)
        if generator.levels[level].skip is not None:
            moving.move({f"levels.{level}.skip.weight": f"{block}.skip.weight"})
        if str(level) in generator.to_image:
            moving.move({f"to_image.{level}.{name}": f"{block}.torgb.{name}" for name in LAYER})
    if "mapping.mean" in moving.left:
        moving.put("mapping.mean", _mean_code(generator))
    moving.finish(ignored=r"resample_filter$", unset=r"^level$")


@torch.no_grad()
def _mean_code(generator: Any) -> Tensor:
    """Mean of the codes of ten thousand latents, of all classes alike."""
    z = Draws.seeded("mean code").normal(MEAN_SAMPLES, generator.latent_dim).to(generator.constant)
    classes = generator.mapping.num_classes
    mean: Tensor = generator.mapping(z, torch.arange(MEAN_SAMPLES) % classes if classes else None, track=False).mean(0)
    return mean


def _mapping(moving: Transfer, mapping: Any, ours: str, name: Callable[[int, str], str]) -> None:
    moving.move({f"{ours}.layers.{i}.{part}": name(i, part) for i in range(len(mapping.layers)) for part in ("weight", "bias")})
    if mapping.embed is not None:
        moving.move({f"{ours}.embed.{part}": f"mapping.embed.{part}" for part in ("weight", "bias")})


def _styled(moving: Transfer, ours: str, theirs: str, layer: Names) -> None:
    """A layer of the synthesis network."""
    moving.move({f"{ours}.{a}": f"{theirs}.{b}" for a, b in layer.items() if a != "weight"})
    kernel = moving.take(f"{theirs}.{layer['weight']}")
    kernel = kernel[0] if kernel.ndim == 5 else kernel  # o i k k
    moving.put(f"{ours}.weight", kernel)


def _fill_nvidia_discriminator(moving: Transfer, discriminator: Any) -> None:
    for level in discriminator.from_image:
        moving.move({f"from_image.{level}.{part}": f"b{4 << int(level)}.fromrgb.{part}" for part in ("weight", "bias")})
    for index, block in enumerate(discriminator.levels):
        theirs = f"b{8 << index}"
        for a, b in (("first", "conv0"), ("second", "conv1")):
            moving.move({f"levels.{index}.{a}.{part}": f"{theirs}.{b}.{part}" for part in ("weight", "bias")})
        if block.skip is not None:
            moving.move({f"levels.{index}.skip.weight": f"{theirs}.skip.weight"})
    for a, b in (("conv", "b4.conv"), ("dense", "b4.fc"), ("head", "b4.out")):
        moving.move({f"{a}.{part}": f"{b}.{part}" for part in ("weight", "bias")})
    if discriminator.mapping is not None:
        _mapping(moving, discriminator.mapping, "mapping", lambda i, part: f"mapping.fc{i}.{part}")
    moving.finish(ignored=r"resample_filter$", unset=r"^level$")


# -- rosinality --------------------------------------------------------------------------------------------------------------------------------------


def read_rosinality(content: Any, where: str) -> Foreign | None:
    """A checkpoint {g, d, g_ema, ...} or {g_ema, latent_avg}, or a generator's state alone; None if it is something else."""
    if not isinstance(content, dict):
        return None
    if "g_ema" not in content:
        content = content | {"g_ema": content.get("g", content)}
    if not isinstance(content["g_ema"], dict):
        return None
    states = {name: without_prefix(tensors_of(content[name])) for name in ("g", "d", "g_ema") if isinstance(content.get(name), dict)}
    state = states["g_ema"]
    if "input.input" not in state or "to_rgb1.conv.weight" not in state:
        return None
    levels = 1 + sum(bool(re.fullmatch(r"to_rgbs\.\d+\.conv\.weight", name)) for name in state)
    kernels = [state["conv1.conv.weight"], *(state[f"convs.{2 * level - 1}.conv.weight"] for level in range(1, levels))]
    base, most = power_of_two_channels([kernel.shape[1] for kernel in kernels], 4, where)
    layers, side = sum(bool(re.fullmatch(r"style\.\d+\.weight", name)) for name in state), 4 << (levels - 1)
    for name, value in state.items():
        if name.endswith("kernel"):
            check_filter(value, where)
    config = replace(
        RELEASE,
        resolution=side,
        latent_dim=state["style.1.weight"].shape[1],
        code_dim=len(state["style.1.weight"]),
        mapping_layers=layers,
        channel_base=base,
        width=most,
        stddev_group=4,
    )
    mean = content.get("latent_avg")

    def fill(game: Game) -> list[str]:
        notes = [] if isinstance(mean, Tensor) else [MEASURED]
        for ours, theirs in (("generator", "g"), ("generator_ema", "g_ema")):
            network = game.get_submodule(ours)
            _fill_rosinality_generator(Transfer(states.get(theirs, state), network, where), network, mean if isinstance(mean, Tensor) else None)
        if "d" not in states:
            return [*notes, "The file holds no discriminator; it starts anew."]
        _fill_rosinality_discriminator(Transfer(states["d"], game.get_submodule("discriminator"), where), game.get_submodule("discriminator"))
        return notes

    shape = (state["to_rgb1.conv.weight"].shape[1], side, side)
    return Foreign(family="rosinality StyleGAN2", recipe="stylegan2", config=config, spec=image_spec(where, shape, None), fill=fill)


@torch.no_grad()
def _fill_rosinality_generator(moving: Transfer, generator: Any, mean: Tensor | None) -> None:
    _mapping(moving, generator.mapping, "mapping", lambda i, part: f"style.{i + 1}.{part}")
    moving.move({"constant": "input.input"})
    for level in range(len(generator.levels)):
        for index in range(len(generator.levels[level].convs)):
            number = 2 * level - 2 + index
            _styled(moving, f"levels.{level}.convs.{index}", f"convs.{number}" if level else "conv1", ROSINALITY_LAYER)
            noise = f"noises.noise_{number + 1 if level else 0}"
            fixed = f"levels.{level}.convs.{index}.noise.fixed"
            if noise in moving.source:
                moving.move({fixed: noise})
            else:
                moving.left.discard(fixed)
        theirs = f"to_rgbs.{level - 1}" if level else "to_rgb1"
        moving.move({f"to_image.{level}.{a}": f"{theirs}.{b}" for a, b in ROSINALITY_IMAGE.items()})
    moving.put("mapping.mean", _mean_code(generator) if mean is None else mean.reshape(-1))
    moving.finish(ignored=r"kernel$", unset=r"^level$")


def _fill_rosinality_discriminator(moving: Transfer, discriminator: nn.Module) -> None:
    levels: Any = discriminator.levels
    top = len(levels)
    moving.move({f"from_image.{top}.weight": "convs.0.0.weight", f"from_image.{top}.bias": "convs.0.1.bias"})
    for index in range(top):
        block = f"convs.{top - index}"
        moving.move({f"levels.{index}.first.weight": f"{block}.conv1.0.weight", f"levels.{index}.first.bias": f"{block}.conv1.1.bias"})
        moving.move({f"levels.{index}.second.weight": f"{block}.conv2.1.weight", f"levels.{index}.second.bias": f"{block}.conv2.2.bias"})
        moving.move({f"levels.{index}.skip.weight": f"{block}.skip.1.weight"})
    moving.move({"conv.weight": "final_conv.0.weight", "conv.bias": "final_conv.1.bias"})
    for a, b in (("dense", "final_linear.0"), ("head", "final_linear.1")):
        moving.move({f"{a}.{part}": f"{b}.{part}" for part in ("weight", "bias")})
    moving.finish(ignored=r"kernel$", unset=r"^level$")
