"""Conditional GAN: Mirza, Osindero, "Conditional generative adversarial nets", arXiv 2014."""

from __future__ import annotations

from dataclasses import dataclass

from saddlepoint.data.records import Dataset
from saddlepoint.errors import UsageError
from saddlepoint.games.game import Game
from saddlepoint.games.player import SGD
from saddlepoint.zoo.build import small, toy
from saddlepoint.zoo.catalogue import recipe
from saddlepoint.zoo.gan import GANConfig, gan


@dataclass(frozen=True, kw_only=True)
class CGANConfig(GANConfig):
    """Section 4.1 of the paper: Algorithm 1 of the first GAN, both players told the label; D sees a fake with the label that G was given."""

    conditional: bool = True
    lr_divisor: float = 1.00004
    bias_from_data: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.conditional:
            raise UsageError("In cgan both players are told the label. Leave --no-conditional out, or choose the recipe gan.")


MNIST = CGANConfig(  # 50,000 records; the end was chosen by the Parzen likelihood of a validation set
    architecture="mirza",
    width=1200,
    batch=100,
    rounds=250_000,
    resolution=28,
    latent_dim=100,
    generator_optimizer=SGD(lr=0.1, momentum=0.5),
    discriminator_optimizer=SGD(lr=0.1, momentum=0.5),
)


@recipe(
    name="cgan",
    title="conditional GAN: the first with labels, told to both players",
    paper="Mirza & Osindero 2014",
    year=2014,
    url="https://arxiv.org/abs/1411.1784",
    needs_labels=True,
    presets={
        "paper": MNIST,
        "small": small(MNIST, architecture="mirza", width=400, rounds=20_000, ema_halflife_kimg=10.0),  # a third of the units
        "toy": toy(MNIST),
    },
)
def cgan(config: CGANConfig, data: Dataset) -> Game:
    """The game of the recipe gan, conditional."""
    return gan(config, data)
