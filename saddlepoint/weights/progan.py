"""pytorch_GAN_zoo's Progressive GAN: {config, netG, netD, avgG}.

Theirs in ours: a layer multiplies weight and bias by sqrt(2 / fan-in) when it is used, ours the weight alone and with a gain of its own; the first
layer has a bias for every value of its map; while a level fades in, their alpha is the share of the level before.

Axes: l level.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from einops import rearrange

from saddlepoint.errors import CheckpointError
from saddlepoint.games.game import Game
from saddlepoint.weights.names import Thing
from saddlepoint.weights.transfer import Foreign, Transfer, image_spec, power_of_two_channels, tensors_of, without_prefix
from saddlepoint.zoo.progan import RELEASE

BARELY = 1 - 1e-6  # of the level before, where it is all that is seen: ours would be that level alone, with images of half the size
BOUNDED = ("MSE", "DCGAN")  # losses whose generators end with tanh


def read(content: Any, where: str) -> Foreign | None:
    """The checkpoint, or None if it is of another code.

    Raises:
        CheckpointError: for networks of that code that are not known here: with attributes, or with channels of another rule.
    """
    if not isinstance(content, dict) or not isinstance(content.get("netG"), dict):
        return None
    states = {name: without_prefix(tensors_of(content[name])) for name in ("netG", "netD", "avgG") if isinstance(content.get(name), dict)}
    state = states.get("avgG", states["netG"])
    if "formatLayer.module.weight" not in state or "toRGBLayers.0.module.weight" not in state:
        return None
    given = content["config"].state if isinstance(content.get("config"), Thing) else content.get("config")
    settings = given if isinstance(given, Mapping) else {}
    _check(settings, where)
    top = max(int(match[1]) for name in state if (match := re.fullmatch(r"toRGBLayers\.(\d+)\.module\.weight", name)))
    kernels = [state["groupScale0.0.module.weight"], *(state[f"scaleLayers.{level - 1}.1.module.weight"] for level in range(1, top + 1))]
    base, most = power_of_two_channels([len(kernel) for kernel in kernels], 2, where)
    config = replace(
        RELEASE,
        resolution=4 << top,
        latent_dim=state["formatLayer.module.weight"].shape[1],
        channel_base=base,
        width=most,
        stddev_group=4 if settings.get("miniBatchStdDev", True) else None,
        tanh=settings.get("lossCriterion") in BOUNDED,
        fused=False,
        pixel_bias=True,
    )
    alpha = min(max(float(settings.get("alpha") or 0.0), 0.0), BARELY)
    shape = (len(state["toRGBLayers.0.module.weight"]), 4 << top, 4 << top)

    def fill(game: Game) -> list[str]:
        for ours, theirs in (("generator", "netG"), ("generator_ema", "avgG")):
            generator: Any = game.get_submodule(ours)
            _fill_generator(Transfer(states.get(theirs, state), generator, where), generator)
            generator.grow(top - alpha)
        if "netD" not in states:
            return ["The file holds no discriminator; it starts anew."]
        discriminator: Any = game.get_submodule("discriminator")
        _fill_discriminator(Transfer(states["netD"], discriminator, where), discriminator)
        discriminator.grow(top - alpha)
        return ["Their discriminator compares samples that lie side by side, with the unbiased variance; ours as the paper's code."]

    return Foreign(family="pytorch_GAN_zoo ProGAN", recipe="progan", config=config, spec=image_spec(where, shape, None), fill=fill)


def _check(settings: Mapping[str, Any], where: str) -> None:
    """Refuse what our networks would do otherwise."""
    odd = {
        "attributes": bool(settings.get("categoryVectorDim")),
        f"leaks of {settings.get('leakyReluLeak')}": settings.get("leakyReluLeak", 0.2) != 0.2,
        "plain weights": not settings.get("equalizedlR", True),
        "no pixel norm": not settings.get("perChannelNormalization", True),
    }
    for what, found in odd.items():
        if found:
            raise CheckpointError(f"{where} is a ProGAN with {what}; only unconditional ones of the paper's form are read.")


def _fill_generator(moving: Transfer, generator: Any) -> None:
    _layer(moving, generator, "dense", "formatLayer", bias="bias")
    _layer(moving, generator, "blocks.0.conv", "groupScale0.0")
    for level in range(generator.top + 1):
        _layer(moving, generator, f"to_image.{level}", f"toRGBLayers.{level}")
        for index in (0, 1) if level else ():
            _layer(moving, generator, f"blocks.{level}.{index}.conv", f"scaleLayers.{level - 1}.{index}")
    moving.finish(unset=r"^level$")


def _fill_discriminator(moving: Transfer, discriminator: Any) -> None:
    for level in range(discriminator.top + 1):
        _layer(moving, discriminator, f"from_image.{level}", f"fromRGBLayers.{level}")
        for index in (0, 1) if level else ():
            _layer(moving, discriminator, f"blocks.{level - 1}.{index}.conv", f"scaleLayers.{level - 1}.{index}")
    _layer(moving, discriminator, "conv.conv", "groupScaleZero.0")
    _layer(moving, discriminator, "dense", "groupScaleZero.1")
    _layer(moving, discriminator, "head", "decisionLayer")
    moving.finish(unset=r"^level$")


def _layer(moving: Transfer, network: Any, ours: str, theirs: str, bias: str | None = None) -> None:
    """Weight and bias times their factor, less the factor that our layer will multiply the weight with."""
    weight = moving.take(f"{theirs}.module.weight")
    factor = math.sqrt(2 / math.prod(weight.shape[1:]))
    moving.put(f"{ours}.weight", weight * (factor / network.get_submodule(ours).scale))
    name = bias or f"{ours}.bias"
    values = moving.take(f"{theirs}.module.bias") * factor
    moving.put(name, rearrange(values, "(c h w) -> c h w", h=4, w=4) if bias else values)
