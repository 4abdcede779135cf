"""DCGAN: Radford, Metz, Chintala, "Unsupervised representation learning with deep convolutional generative adversarial networks", ICLR 2016."""

from __future__ import annotations

from dataclasses import dataclass

from saddlepoint.data.records import Dataset
from saddlepoint.games.adversarial import AdversarialGame
from saddlepoint.games.player import Adam
from saddlepoint.objectives.minimax import NonSaturating
from saddlepoint.zoo.build import adversarial, small
from saddlepoint.zoo.catalogue import recipe
from saddlepoint.zoo.networks import NetworksConfig


@dataclass(frozen=True, kw_only=True)
class DCGANConfig(NetworksConfig):
    """Section 4 of the paper; nothing is added to the common settings."""


FACES = DCGANConfig(  # the authors' face model: 350k images, 25 epochs, weight decay 1e-5
    architecture="dcgan5",
    width=128,
    batch=128,
    rounds=68_000,
    resolution=64,
    latent_dim=100,
    latent="uniform",
    share_fakes=False,
    generator_optimizer=Adam(lr=2e-4, beta1=0.5, weight_decay=1e-5),
    discriminator_optimizer=Adam(lr=2e-4, beta1=0.5, weight_decay=1e-5),
)
TORCH = DCGANConfig(architecture="dcgan", width=64, batch=64, rounds=25_000, resolution=64, share_fakes=True)


@recipe(
    name="dcgan",
    title="deep convolutional GAN: strided convolutions, batch norm, Adam with beta1 = 0.5",
    paper="Radford, Metz & Chintala 2016",
    year=2016,
    url="https://arxiv.org/abs/1511.06434",
    needs=("image",),
    presets={"paper": FACES, "torch": TORCH, "small": small(TORCH, rounds=4_000)},  # half the width and size of the torch version
)
def dcgan(config: DCGANConfig, data: Dataset) -> AdversarialGame:
    """Non-saturating loss on the DCGAN pair."""
    return adversarial(config, data, NonSaturating())
