"""The brute-force encoder: Perarnau, van de Weijer, Raducanu, Alvarez, "Invertible conditional GANs for image editing", 2016, its encoder of z."""

from __future__ import annotations

from dataclasses import replace

from saddlepoint.data.records import Dataset
from saddlepoint.errors import DataError
from saddlepoint.games.brute_force import BruteForceConfig, BruteForceGame
from saddlepoint.games.player import Adam
from saddlepoint.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from saddlepoint.networks.vaegan import BlockEncoder
from saddlepoint.zoo.catalogue import recipe
from saddlepoint.zoo.networks import image_shape

# The released code: batches of 64, 100 numbers, Adam 2e-4 (.5) for 25 epochs of CelebA's 202,599 faces; then the encoder, Adam 1e-4 (.1), for 15
# epochs. Small: a quarter of the width, Adam 1e-3 for the encoder
GAN_ROUNDS, ENCODER_ROUNDS = 25 * (202_599 // 64), 15 * (202_599 // 64)
PAPER = BruteForceConfig(batch=64, rounds=GAN_ROUNDS + ENCODER_ROUNDS, pretrain=GAN_ROUNDS, resolution=64)
SMALL = replace(
    PAPER, resolution=32, width=32, encoder_width=16, latent_dim=16, rounds=3_000, pretrain=1_500, encoder_optimizer=Adam(lr=1e-3, beta1=0.5)
)


@recipe(
    name="brute-force",
    title="a GAN, and an encoder that learns from its samples alone which z they were made from",
    paper="Perarnau et al. 2016",
    year=2016,
    url="https://arxiv.org/abs/1611.06355",
    needs=("image",),
    presets={
        "paper": PAPER,
        "conditional": replace(PAPER, conditional=True),
        "small": SMALL,
        "small-conditional": replace(SMALL, conditional=True),
    },
)
def brute_force(config: BruteForceConfig, data: Dataset) -> BruteForceGame:
    """DCGAN's pair, and four convolutions."""
    shape, d, k, w = image_shape(data.spec), config.latent_dim, data.spec.num_classes, config.encoder_width
    if config.conditional and k is None:
        raise DataError(f"A conditional encoder needs labels; {data.spec.name} has none. Put each class into a folder of its own.")
    k = k if config.conditional else None
    generator, discriminator = DCGANGenerator(d, shape, config.width, num_classes=k), DCGANDiscriminator(shape, config.width, num_classes=k)
    encoder = BlockEncoder(shape, d + (k or 0), widths=(w, 2 * w, 4 * w, 8 * w), hidden=0)
    return BruteForceGame(config, generator, discriminator, encoder, num_classes=k)
