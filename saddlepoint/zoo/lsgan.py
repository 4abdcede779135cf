"""LSGAN: Mao, Li, Xie, Lau, Wang, Smolley, "Least squares generative adversarial networks", ICCV 2017."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from saddlepoint.data.records import Dataset
from saddlepoint.games.adversarial import AdversarialGame
from saddlepoint.games.player import Adam, RMSprop
from saddlepoint.objectives.leastsquares import LeastSquares
from saddlepoint.zoo.build import adversarial, small, toy
from saddlepoint.zoo.catalogue import recipe
from saddlepoint.zoo.networks import NetworksConfig


@dataclass(frozen=True, kw_only=True)
class LSGANConfig(NetworksConfig):
    """Section 3 of the paper.

    Attributes:
        coding: targets of fakes, of reals, and of G: "binary" is 0, 1, 1 (Eq. 9); "pearson" is -1, 1, 0 (Eq. 8), whose divergence is chi-squared.
    """

    coding: Literal["binary", "pearson"] = "binary"


SCENES = LSGANConfig(  # LSUN at 112x112, Figure 2
    architecture="lsgan-112",
    width=64,
    batch=64,
    rounds=100_000,
    resolution=112,
    latent_dim=1024,
    latent="uniform",
    generator_optimizer=Adam(lr=1e-3, beta1=0.5),
    discriminator_optimizer=Adam(lr=1e-3, beta1=0.5),
)
SLOWER = replace(SCENES, generator_optimizer=Adam(lr=2e-4, beta1=0.5), discriminator_optimizer=Adam(lr=2e-4, beta1=0.5))
CHARACTERS = replace(SLOWER, architecture="characters", resolution=28, rounds=1_000_000, conditional=True)  # 3,740 Chinese characters, Figure 8
NO_NORM = replace(  # the stability test: DCGAN without batch norm in G
    SLOWER, architecture="dcgan", resolution=64, latent_dim=100, generator_norm="none"
)
STUDY = replace(  # as a baseline in Gulrajani et al. 2017
    SCENES,
    architecture="row1",
    resolution=64,
    rounds=200_000,
    latent_dim=128,
    latent="normal",
    generator_optimizer=RMSprop(lr=1e-4),
    discriminator_optimizer=RMSprop(lr=1e-4),
)


@recipe(
    name="lsgan",
    title="least squares GAN: the discriminator regresses 0 and 1",
    paper="Mao et al. 2017",
    year=2017,
    url="https://arxiv.org/abs/1611.04076",
    presets={
        "paper": SCENES,
        "characters": CHARACTERS,
        "no-norm": NO_NORM,
        "study": STUDY,
        "small": small(SLOWER, latent_dim=100),
        "toy": toy(SCENES),
    },
)
def lsgan(config: LSGANConfig, data: Dataset) -> AdversarialGame:
    """Squared errors with their halves."""
    return adversarial(config, data, LeastSquares.binary() if config.coding == "binary" else LeastSquares.pearson())
