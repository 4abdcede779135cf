"""SNGAN: Miyato, Kataoka, Koyama, Yoshida, "Spectral normalization for generative adversarial networks", ICLR 2018."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from saddlepoint.data.records import Dataset
from saddlepoint.games.adversarial import AdversarialGame
from saddlepoint.games.player import Adam
from saddlepoint.objectives.hinge import Hinge
from saddlepoint.objectives.minimax import NonSaturating
from saddlepoint.zoo.build import adversarial, small, toy
from saddlepoint.zoo.catalogue import recipe
from saddlepoint.zoo.networks import NetworksConfig


@dataclass(frozen=True, kw_only=True)
class SNGANConfig(NetworksConfig):
    """Section 4 of the paper; D's layers have spectral norm 1.

    Attributes:
        loss: "hinge" (Eq. 16 and 17) or "log", the non-saturating loss.
    """

    loss: Literal["hinge", "log"] = "hinge"


CIFAR = SNGANConfig(
    architecture="sngan-32",
    width=256,
    critic_norm="spectral",
    batch=64,
    rounds=50_000,
    resolution=32,
    latent_dim=128,
    d_steps=5,
    g_batch_factor=2,
    lr_decay="linear",
    generator_optimizer=Adam(lr=2e-4, beta1=0.0, beta2=0.9),
    discriminator_optimizer=Adam(lr=2e-4, beta1=0.0, beta2=0.9),
)
CNN = replace(CIFAR, architecture="sn-cnn", width=64, loss="log")


@recipe(
    name="sngan",
    title="spectrally normalised GAN: every layer of the discriminator has largest singular value one",
    paper="Miyato, Kataoka, Koyama & Yoshida 2018",
    year=2018,
    url="https://arxiv.org/abs/1802.05957",
    presets={
        "paper": CIFAR,
        "cnn": CNN,
        # DCGAN with a spectrally normalised D of half the width, two steps of D in place of five
        "small": small(CNN, loss="hinge", d_steps=2, g_batch_factor=1, rounds=1_500, lr_decay="constant"),
        "toy": toy(CIFAR),
    },
)
def sngan(config: SNGANConfig, data: Dataset) -> AdversarialGame:
    """Hinge or logistic game on normalised networks."""
    return adversarial(config, data, Hinge() if config.loss == "hinge" else NonSaturating())
