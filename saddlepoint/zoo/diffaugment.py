"""DiffAugment: Zhao, Liu, Lin, Zhu, Han, "Differentiable augmentation for data-efficient GAN training", NeurIPS 2020."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from saddlepoint.data.records import Dataset
from saddlepoint.games.adversarial import AdversarialGame
from saddlepoint.games.player import Adam
from saddlepoint.objectives.hinge import Hinge
from saddlepoint.views.mirror import Mirror
from saddlepoint.zoo.build import adversarial, small
from saddlepoint.zoo.catalogue import recipe
from saddlepoint.zoo.networks import NetworksConfig


@dataclass(frozen=True, kw_only=True)
class DiffAugmentConfig(NetworksConfig):
    """Eq. 7 and 8 of the paper; the policy is the common setting ``augment``.

    Attributes:
        arm: "full": real and fake alike, G through the augmentation; the two others are negative controls, "reals-only" (G learns the augmentation)
            and "discriminator-only" (G is judged without it).
        mirror: real images are mirrored at random.
    """

    arm: Literal["full", "reals-only", "discriminator-only"] = "full"
    mirror: bool = False


CIFAR = DiffAugmentConfig(  # the constants of the released CIFAR-10 runs, on BigGAN; their average forgets 1e-4 a move
    architecture="biggan-cifar",
    width=64,
    conditional=True,
    mirror=True,
    ema_halflife_kimg=346.56,
    batch=50,
    rounds=250_000,
    resolution=32,
    latent_dim=128,
    d_steps=4,
    augment="color,translation,cutout",
    generator_optimizer=Adam(lr=2e-4, beta1=0.0, beta2=0.999),
    discriminator_optimizer=Adam(lr=2e-4, beta1=0.0, beta2=0.999),
)
VIEWS: dict[str, Literal["always", "never", "discriminator"]] = {"full": "always", "reals-only": "never", "discriminator-only": "discriminator"}


@recipe(
    name="diffaugment",
    title="differentiable augmentation of real and fake alike, for small data sets",
    paper="Zhao et al. 2020",
    year=2020,
    url="https://arxiv.org/abs/2006.10738",
    needs=("image",),
    presets={
        "paper": CIFAR,
        "translation-cutout": replace(CIFAR, augment="translation,cutout"),
        "reals-only": replace(CIFAR, arm="reals-only"),
        "discriminator-only": replace(CIFAR, arm="discriminator-only"),
        # DCGAN with a spectrally normalised D of half the width, one step of D in place of four; the colour policy is left to colour images
        "small": small(CIFAR, critic_norm="spectral", d_steps=1, augment="translation,cutout", conditional=False, mirror=False),
    },
)
def diffaugment(config: DiffAugmentConfig, data: Dataset) -> AdversarialGame:
    """Hinge game behind the augmentation."""
    return adversarial(config, data, Hinge(), view_fakes=VIEWS[config.arm], real_view=Mirror() if config.mirror else None)
