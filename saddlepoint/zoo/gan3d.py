"""3D-GAN: Wu et al., "Learning a probabilistic latent space of object shapes via 3D generative-adversarial modeling", NeurIPS 2016."""

from __future__ import annotations

from dataclasses import replace

from saddlepoint.data.records import Dataset, DataSpec
from saddlepoint.games.gan3d import GAN3DConfig, GAN3DGame
from saddlepoint.games.player import Adam
from saddlepoint.networks.voxels import VoxelDiscriminator, VoxelGenerator
from saddlepoint.objectives.minimax import NonSaturating
from saddlepoint.zoo.catalogue import recipe

PAPER = GAN3DConfig(  # section 3.1 and appendix A; the length is ours: the paper gives none
    batch=100,
    rounds=50_000,
    resolution=64,
    latent_dim=200,
    latent="unit-uniform",
    generator_optimizer=Adam(lr=2.5e-3, beta1=0.5),
    discriminator_optimizer=Adam(lr=1e-5, beta1=0.5),
)
PORT = replace(
    PAPER,
    batch=32,
    resolution=32,
    width=32,
    latent="normal",
    soft_labels=True,
    generator_optimizer=Adam(lr=2.5e-3, beta1=0.5, beta2=0.5),
    discriminator_optimizer=Adam(lr=1e-3, beta1=0.5, beta2=0.5),
)
SMALL = replace(PORT, batch=16, rounds=1_500, width=16)  # the port's settings, half its width and batch


def cube_side(spec: DataSpec) -> int:
    """Side of the volumes."""
    return spec.shape[1]


@recipe(
    name="3d-gan",
    title="voxel GAN whose discriminator waits while it is right too often",
    paper="Wu et al. 2016",
    year=2016,
    url="https://arxiv.org/abs/1610.07584",
    needs=("volume",),
    presets={
        "paper": PAPER,
        "port": PORT,
        "always": replace(PAPER, most_accuracy=None),
        "small": SMALL,
        "small-always": replace(SMALL, most_accuracy=None),
        "small-16": replace(SMALL, resolution=16, batch=32, rounds=3_000),
    },
)
def gan3d(config: GAN3DConfig, data: Dataset) -> GAN3DGame:
    """The mirrored voxel networks."""
    side = cube_side(data.spec)
    return GAN3DGame(config, VoxelGenerator(config.latent_dim, side, config.width), VoxelDiscriminator(side, config.width), NonSaturating())
