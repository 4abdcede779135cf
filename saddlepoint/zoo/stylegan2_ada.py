"""StyleGAN2-ADA: Karras, Aittala, Hellsten, Laine, Lehtinen, Aila, "Training generative adversarial networks with limited data", NeurIPS 2020.

The presets are those of the authors' release. Its gamma by rule and its other guesses of "auto" are one function here, :func:`guessed`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any

from saddlepoint.data.records import Dataset
from saddlepoint.errors import UsageError
from saddlepoint.games.adversarial import AdversarialGame
from saddlepoint.views.ada import ADA
from saddlepoint.zoo.catalogue import recipe
from saddlepoint.zoo.stylegan2 import CIFAR, RELEASE, SMALL, StyleGAN2Config, networks, optimizers, play


@dataclass(frozen=True, kw_only=True)
class StyleGAN2ADAConfig(StyleGAN2Config):
    """Section 3 and Appendix C of the paper; the networks and the game are StyleGAN2's, the augmentation is the common setting ``augmentation``."""

    augmentation: ADA | None = field(default_factory=ADA)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.first_level is not None:
            raise UsageError("StyleGAN2-ADA does not grow. Leave --first-level out.")


def _with_ada(config: StyleGAN2Config, **changes: object) -> StyleGAN2ADAConfig:
    return StyleGAN2ADAConfig(**(vars(config) | {"augmentation": ADA()} | changes))


def guessed(resolution: int, gpus: int = 1) -> StyleGAN2ADAConfig:
    """The release's "auto": a first guess for data of this resolution on so many GPUs.

    >>> config = guessed(256)
    >>> config.batch, config.channel_base, config.ema_halflife_kimg, 0.0002 * 256**2 / config.batch
    (16, 16384, 5.0, 0.8192)
    """
    batch = max(min(gpus * min(4096 // resolution, 32), 64), gpus)
    return replace(
        PAPER256,
        batch=batch,
        rounds=25_000_000 // batch,
        resolution=resolution,
        mapping_layers=2,
        stddev_group=min(batch // gpus, 4),
        channel_base=32768 if resolution >= 512 else 16384,
        r1_gamma=None,
        ema_halflife_kimg=batch * 10 / 32,
        ema_rampup=0.05,
        **optimizers(0.002 if resolution >= 1024 else 0.0025),
    )


def auto_settings(resolution: int) -> dict[str, Any]:
    """What :func:`guessed` for another resolution changes in the preset "auto".

    >>> auto_settings(64)
    {'batch': 32, 'rounds': 781250, 'resolution': 64, 'ema_halflife_kimg': 10.0}
    """
    ours, auto = guessed(resolution), guessed(256)
    return {each.name: value for each in fields(ours) if (value := getattr(ours, each.name)) != getattr(auto, each.name)}


PAPER256 = _with_ada(RELEASE, resolution=256, r1_gamma=1.0, stddev_group=8, ema_halflife_kimg=20.0, mirror=False)
CIFAR_ADA = _with_ada(CIFAR)
SMALL_ADA = _with_ada(SMALL, augmentation=ADA(speed_kimg=20.0, cap=0.8))  # a run of 64 thousand images leaves p no 500 thousand to rise in


@recipe(
    name="stylegan2-ada",
    title="StyleGAN2 for small data sets: augmentation before D whose probability follows D's overfitting",
    paper="Karras, Aittala, Hellsten, Laine, Lehtinen & Aila 2020",
    year=2020,
    url="https://arxiv.org/abs/2006.06676",
    needs=("image",),
    presets={
        "paper": PAPER256,
        "paper256": PAPER256,
        "cifar": CIFAR_ADA,
        "conditional": replace(CIFAR_ADA, conditional=True),
        "auto": guessed(256),
        "small": SMALL_ADA,
        "small-none": replace(SMALL_ADA, augmentation=ADA(target=None)),
        "small-conditional": replace(SMALL_ADA, conditional=True),
    },
)
def stylegan2_ada(config: StyleGAN2ADAConfig, data: Dataset) -> AdversarialGame:
    """StyleGAN2's game behind the adaptive augmentation."""
    if config.augmentation is None:
        raise UsageError("StyleGAN2-ADA without its augmentation is StyleGAN2: choose the recipe stylegan2, or --preset small-none, which logs r_t.")
    game = play(config, data, networks(config, data))
    game.notes += _guess_note(config, min(data.spec.shape[1:]))
    return game


def _guess_note(config: StyleGAN2ADAConfig, size: int) -> tuple[str, ...]:
    """That the guess of "auto" is for another size, where nothing of what depends on the size was changed."""
    auto, wanted = guessed(256), {name: value for name, value in auto_settings(size).items() if name not in ("resolution", "rounds")}
    rule = ("batch", "ema_halflife_kimg", "ema_rampup", "mapping_layers", "stddev_group", "channel_base", "r1_gamma", "generator_optimizer")
    if not wanted or any(getattr(config, name) != getattr(auto, name) for name in rule):
        return ()
    named = {name: value for name, value in wanted.items() if isinstance(value, int | float)}
    named |= {f"{name}.lr": value.lr for name, value in wanted.items() if name not in named}  # of the optimisers
    flags = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in named.items())
    return (f"The preset auto is a guess for 256 pixels; for {size} it would be {flags}.",)
