"""BiGAN: Donahue, Krahenbuhl, Darrell, "Adversarial feature learning", ICLR 2017, and its baselines."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from saddlepoint.data.records import Dataset
from saddlepoint.games.bigan import BiGANGame, InvertingConfig, InvertingGame, LatentRegressorGame
from saddlepoint.games.player import Adam
from saddlepoint.networks.bigan import BiGANDiscriminator, BiGANEncoder, BiGANGenerator
from saddlepoint.zoo.catalogue import recipe


@dataclass(frozen=True, kw_only=True)
class BiGANConfig(InvertingConfig):
    """BiGAN on fully connected networks, or a baseline.

    Attributes:
        form: "bigan"; "regressor": a GAN whose encoder learns from samples alone; "joint": the generator minimises the encoder's error too.
        joint_weight: of that error in the generator's loss; 1 degenerates (the authors' README).
        width: units of the hidden layers.
    """

    form: Literal["bigan", "regressor", "joint"] = "bigan"
    joint_weight: float = 0.25
    width: int = 1024


# train_mnist.sh of the released code: batches of 128, 200 epochs of 50,000 images at Adam's 2e-4 (beta1 .5), weight decay 2.5e-5; 200 more while the
# learning rate falls
PAPER = BiGANConfig(batch=128, rounds=400 * (50_000 // 128))
SMALL = replace(PAPER, resolution=32, width=256, rounds=6_000, optimizer=Adam(lr=1e-3, beta1=0.5, weight_decay=2.5e-5))


@recipe(
    name="bigan",
    title="bidirectional GAN: an encoder learns to invert the generator, through a discriminator of pairs",
    paper="Donahue et al. 2017",
    year=2017,
    url="https://arxiv.org/abs/1605.09782",
    needs=("image",),
    presets={
        "paper": PAPER,
        "regressor": replace(PAPER, form="regressor"),
        "joint": replace(PAPER, form="joint"),
        "small": SMALL,
        "small-regressor": replace(SMALL, form="regressor"),
        "small-joint": replace(SMALL, form="joint"),
    },
)
def bigan(config: BiGANConfig, data: Dataset) -> InvertingGame:
    """Generator, encoder and discriminator of the paper's permutation-invariant MNIST."""
    shape, d, width, pairs = data.spec.shape, config.latent_dim, config.width, config.form == "bigan"
    generator, encoder = BiGANGenerator(d, shape, width=width), BiGANEncoder(shape, d, width=width, zero=not pairs)
    discriminator = BiGANDiscriminator(shape, d if pairs else 0, width=width)
    if pairs:
        return BiGANGame(config, generator, encoder, discriminator)
    joint = config.joint_weight if config.form == "joint" else None
    return LatentRegressorGame(config, generator, encoder, discriminator, joint=joint)
