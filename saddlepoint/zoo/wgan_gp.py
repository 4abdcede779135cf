"""WGAN-GP: Gulrajani, Ahmed, Arjovsky, Dumoulin, Courville, "Improved training of Wasserstein GANs", NeurIPS 2017."""

from __future__ import annotations

from dataclasses import dataclass, replace

from saddlepoint.data.records import Dataset
from saddlepoint.games.adversarial import AdversarialGame
from saddlepoint.games.player import Adam
from saddlepoint.games.terms import GradientPenalty
from saddlepoint.objectives.wasserstein import Wasserstein
from saddlepoint.zoo.build import adversarial
from saddlepoint.zoo.catalogue import recipe
from saddlepoint.zoo.networks import NetworksConfig


@dataclass(frozen=True, kw_only=True)
class WGANGPConfig(NetworksConfig):
    """Algorithm 1 of the paper.

    Attributes:
        gp_weight: lambda of Eq. 3: 10 for images, 0.1 for the two-dimensional toys.
    """

    gp_weight: float = 10.0


LSUN = WGANGPConfig(  # the architecture study at 64x64: Adam 1e-4 (0, 0.9), five critic steps
    batch=64,
    rounds=200_000,
    resolution=64,
    latent_dim=128,
    d_steps=5,
    critic_norm="none",
    generator_optimizer=Adam(lr=1e-4, beta1=0.0, beta2=0.9),
    discriminator_optimizer=Adam(lr=1e-4, beta1=0.0, beta2=0.9),
)
TOY = replace(
    LSUN,
    architecture="mlp",
    width=512,
    batch=256,
    rounds=100_000,
    resolution=None,
    latent_dim=2,
    gp_weight=0.1,
    generator_optimizer=Adam(lr=1e-4, beta1=0.5, beta2=0.9),
    discriminator_optimizer=Adam(lr=1e-4, beta1=0.5, beta2=0.9),
)


@recipe(
    name="wgan-gp",
    title="Wasserstein GAN whose critic is held to slope one by a gradient penalty",
    paper="Gulrajani, Ahmed, Arjovsky, Dumoulin & Courville 2017",
    year=2017,
    url="https://arxiv.org/abs/1704.00028",
    presets={"paper": LSUN, "toy": TOY, "small": replace(LSUN, width=32, resolution=32, rounds=2_000, ema_halflife_kimg=2.0)},
)
def wgan_gp(config: WGANGPConfig, data: Dataset) -> AdversarialGame:
    """Wasserstein value function with the penalty in the critic's loss."""
    return adversarial(config, data, Wasserstein(), terms=[GradientPenalty(config.gp_weight)])
