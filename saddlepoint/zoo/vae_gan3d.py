"""3D-VAE-GAN: the second half of Wu et al. 2016, "Learning a probabilistic latent space of object shapes": shapes from images."""

from __future__ import annotations

from dataclasses import replace

from saddlepoint.data.records import Dataset
from saddlepoint.games.gan3d import VAEGAN3DConfig, VAEGAN3DGame
from saddlepoint.games.player import Adam
from saddlepoint.networks.voxels import ImageEncoder, VoxelDiscriminator, VoxelGenerator
from saddlepoint.objectives.minimax import NonSaturating
from saddlepoint.zoo.catalogue import recipe
from saddlepoint.zoo.gan3d import cube_side

PAPER = VAEGAN3DConfig(  # section 3.2 and appendix A: a1 = 5, a2 = 1e-4; learning rates as 3D-GAN's, E's as G's
    batch=100,
    rounds=50_000,
    resolution=64,
    latent_dim=200,
    latent="normal",
    generator_optimizer=Adam(lr=2.5e-3, beta1=0.5),
    discriminator_optimizer=Adam(lr=1e-5, beta1=0.5),
)
SMALL = replace(  # a1 and a2 for an eighth of the voxels and few rounds: what the error weighs is not lost behind the KL and D
    PAPER,
    batch=16,
    rounds=1_000,
    resolution=32,
    width=16,
    encoder_width=16,
    latent_dim=64,
    image_size=32,
    kl_weight=0.01,
    reconstruction_weight=5e-3,
    soft_labels=True,
    generator_optimizer=Adam(lr=2.5e-3, beta1=0.5, beta2=0.5),
    discriminator_optimizer=Adam(lr=1e-3, beta1=0.5, beta2=0.5),
    encoder_optimizer=Adam(lr=1e-3, beta1=0.5),
)
SMALL_16 = replace(SMALL, resolution=16, reconstruction_weight=8 * SMALL.reconstruction_weight)  # the error is a sum: an eighth of the voxels again


@recipe(
    name="3d-vae-gan",
    title="3D-GAN with an encoder of images: shapes from pictures",
    paper="Wu et al. 2016",
    year=2016,
    url="https://arxiv.org/abs/1610.07584",
    needs=("volume",),
    presets={
        "paper": PAPER,
        "regression": replace(PAPER, adversary="none", kl_weight=0.0),
        "small": SMALL,
        "small-regression": replace(SMALL, adversary="none", kl_weight=0.0),
        "small-16": SMALL_16,
        "small-16-regression": replace(SMALL_16, adversary="none", kl_weight=0.0),
    },
)
def vae_gan3d(config: VAEGAN3DConfig, data: Dataset) -> VAEGAN3DGame:
    """The networks of 3D-GAN and an encoder; images are the records' own, or pictures of the volumes."""
    side = cube_side(data.spec)
    generator, discriminator = VoxelGenerator(config.latent_dim, side, config.width), VoxelDiscriminator(side, config.width)
    encoder = ImageEncoder(config.image_size, config.latent_dim, config.encoder_width)
    return VAEGAN3DGame(config, generator, discriminator, NonSaturating(), encoder)
