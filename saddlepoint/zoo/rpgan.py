"""Random-projection GAN: Neyshabur, Bhojanapalli, Chakrabarti, "Stabilizing GAN training with multiple random projections", 2017."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from torch import nn

from saddlepoint.data.records import Dataset
from saddlepoint.errors import UsageError
from saddlepoint.games.adversarial import AdversarialConfig, AdversarialGame
from saddlepoint.games.player import Adam
from saddlepoint.networks.array import DiscriminatorArray, ProjectionDiscriminator, ProjectionGenerator
from saddlepoint.networks.base import Discriminator
from saddlepoint.networks.mlp import MLPDiscriminator, MLPGenerator
from saddlepoint.objectives.array import DiscriminatorArray as ArrayObjective
from saddlepoint.views.projection import RandomProjection, RandomVectorProjection
from saddlepoint.zoo.build import small, toy, view_of
from saddlepoint.zoo.catalogue import recipe
from saddlepoint.zoo.networks import image_shape
from saddlepoint.zoo.pairs import Pair


@dataclass(frozen=True, kw_only=True)
class RPGANConfig(AdversarialConfig):
    """One generator against many discriminators, each behind its own fixed random projection.

    Attributes:
        num_discriminators: K; with 1 ``single`` counts.
        single: what a single discriminator sees: the "whole" sample, which is the baseline, or a "projection" as each of several does.
        width: channels of G's smallest map, or units on points.
        d_width: channels of each discriminator's first layer, or units on points.
        projected_dim: numbers that a discriminator of points sees.
    """

    num_discriminators: int = 48
    single: Literal["whole", "projection"] = "whole"
    width: int = 1024
    d_width: int = 128
    projected_dim: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.single == "projection" and self.num_discriminators > 1:
            raise UsageError(
                f"--single says what one discriminator sees; there are {self.num_discriminators}, each behind its projection. Leave it out."
            )

    @property
    def projects(self) -> bool:
        """Whether the discriminators see projections."""
        return self.num_discriminators > 1 or self.single == "projection"


def networks(config: RPGANConfig, data: Dataset) -> Pair:
    """G and the array of discriminators, the single one included."""
    k = config.num_discriminators
    views: list[nn.Module]
    ds: list[Discriminator]
    if data.spec.kind == "points":
        d = math.prod(data.spec.shape)
        views = [RandomVectorProjection(d, config.projected_dim) if config.projects else nn.Identity() for _ in range(k)]
        ds = [MLPDiscriminator((config.projected_dim if config.projects else d,), width=config.d_width) for _ in range(k)]
        return MLPGenerator(config.latent_dim, data.spec.shape, width=config.width), DiscriminatorArray(ds, views)
    shape = image_shape(data.spec)
    projections = [RandomProjection(shape[0]) for _ in range(k)] if config.projects else []
    seen = projections[0].output_shape(*shape[1:]) if projections else shape
    views = [*projections] or [nn.Identity()]
    ds = [ProjectionDiscriminator(seen, width=config.d_width) for _ in range(k)]
    return ProjectionGenerator(shape, latent_dim=config.latent_dim, width=config.width), DiscriminatorArray(ds, views)


FACES = RPGANConfig(
    batch=64,
    rounds=100_000,
    resolution=64,
    latent_dim=100,
    latent="uniform",
    generator_optimizer=Adam(lr=2e-4, beta1=0.5),
    discriminator_optimizer=Adam(lr=2e-4, beta1=0.5),
)
FASTER = Adam(lr=1e-3, beta1=0.5)


@recipe(
    name="rpgan",
    title="one generator against many discriminators, each behind a fixed random projection",
    paper="Neyshabur, Bhojanapalli & Chakrabarti 2017",
    year=2017,
    url="https://arxiv.org/abs/1705.07831",
    presets={
        "paper": FACES,
        "24": replace(FACES, num_discriminators=24),
        "12": replace(FACES, num_discriminators=12),
        "single": replace(FACES, num_discriminators=1, d_width=64),
        "dogs": replace(FACES, num_discriminators=12, resolution=128, latent_dim=200, width=2048, d_width=64),
        # six discriminators, an eighth of the channels, five times the learning rate
        "small": small(FACES, num_discriminators=6, width=256, d_width=16, rounds=1_500, generator_optimizer=FASTER, discriminator_optimizer=FASTER),
        "toy": toy(FACES, num_discriminators=12, d_width=64),
    },
)
def rpgan(config: RPGANConfig, data: Dataset) -> AdversarialGame:
    """Every discriminator plays the non-saturating game; G takes their mean."""
    generator, array = networks(config, data)
    return AdversarialGame(config, generator, array, ArrayObjective(), view=view_of(config))
