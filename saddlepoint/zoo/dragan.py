"""DRAGAN: Kodali, Abernethy, Hays, Kira, "On Convergence and Stability of GANs", 2017 (first titled "How to Train Your DRAGAN")."""

from __future__ import annotations

from dataclasses import dataclass

from saddlepoint.data.records import Dataset
from saddlepoint.games.adversarial import AdversarialGame
from saddlepoint.games.critics import PenaltyNearData
from saddlepoint.games.player import Adam
from saddlepoint.objectives.minimax import NonSaturating
from saddlepoint.zoo.build import adversarial, small, some_samples, toy
from saddlepoint.zoo.catalogue import recipe
from saddlepoint.zoo.networks import NetworksConfig


@dataclass(frozen=True, kw_only=True)
class DRAGANConfig(NetworksConfig):
    """Algorithm 1 of the paper.

    Attributes:
        gp_weight: lambda, of the penalty.
        gp_slope: k, that the penalty asks for; .5 on [-1, 1] is the slope of 1 on the released code's [0, 1].
        reach: how far around the real samples it is asked for, in standard deviations of the data's values (the code: of the batch's); the paper's c.
    """

    gp_weight: float = 10.0
    gp_slope: float = 1.0
    reach: float = 0.5


PAPER = DRAGANConfig(  # weight, slope, places, Adam, batch and z are the released code's on MNIST, whose networks are two layers of 128
    architecture="dcgan",
    critic_norm="none",
    batch=128,
    rounds=200_000,
    resolution=32,
    latent_dim=100,
    latent="uniform",
    gp_slope=0.5,
    generator_optimizer=Adam(lr=1e-4, beta1=0.5, beta2=0.9),
    discriminator_optimizer=Adam(lr=1e-4, beta1=0.5, beta2=0.9),
)
FASTER = Adam(lr=4e-4, beta1=0.5, beta2=0.9)


@recipe(
    name="dragan",
    title="non-saturating GAN whose discriminator is asked for a slope of one around the data",
    paper="Kodali, Abernethy, Hays & Kira 2017",
    year=2017,
    url="https://arxiv.org/abs/1705.07215",
    presets={
        "paper": PAPER,
        "small": small(PAPER, batch=64, generator_optimizer=FASTER, discriminator_optimizer=FASTER),  # half the width, four times the learning rate
        "toy": toy(PAPER, gp_weight=0.1, gp_slope=1.0),  # the weight that WGAN-GP's toys have
    },
)
def dragan(config: DRAGANConfig, data: Dataset) -> AdversarialGame:
    """Non-saturating game with the penalty in D's loss."""
    reach = config.reach * some_samples(data, 1000).std(correction=0).item()
    return adversarial(config, data, NonSaturating(), terms=[PenaltyNearData(reach, config.gp_weight, config.gp_slope)])
