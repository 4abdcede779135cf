"""Gated PixelCNN: van den Oord et al., "Conditional image generation with PixelCNN decoders", NIPS 2016."""

from __future__ import annotations

from dataclasses import replace

from saddlepoint.data.records import Dataset
from saddlepoint.errors import DataError
from saddlepoint.games.pixelcnn import PixelCNNConfig, PixelCNNGame
from saddlepoint.games.player import Adam
from saddlepoint.networks.pixelcnn import GatedPixelCNN
from saddlepoint.zoo.catalogue import recipe

# ImageNet at 32 pixels: 20 layers of 384 maps, 5x5 kernels after a first one of 7x7, 60,000 updates of 128 images. How it moved is ours to choose.
PAPER = PixelCNNConfig(batch=128, rounds=60_000, resolution=32, width=384, layers=20, kernel=5, first_kernel=7, optimizer=Adam(lr=1e-4, beta1=0.9))
# The settings in which the network is commonly tried on handwritten digits: 12 layers of 32 maps, 50 passes over 60,000 binarised images.
MNIST = PixelCNNConfig(batch=100, rounds=30_000, levels=2, binarise=True, width=32, layers=12, kernel=3, first_kernel=7, clip_norm=1.0)
SMALL = PixelCNNConfig(batch=64, rounds=1_500, levels=2, width=32, layers=5, kernel=3, first_kernel=7, clip_norm=1.0)


@recipe(
    name="pixelcnn",
    title="Gated PixelCNN: exact likelihood, one pixel after the other, by two stacks without a blind spot",
    paper="van den Oord et al. 2016",
    year=2016,
    url="https://arxiv.org/abs/1606.05328",
    needs=("image",),
    presets={
        "paper": PAPER,
        "conditional": replace(PAPER, conditional=True),
        "mnist": MNIST,
        "mnist-conditional": replace(MNIST, conditional=True),
        "small": SMALL,
        "small-conditional": replace(SMALL, conditional=True),
        "small-grey": replace(SMALL, levels=16),
    },
)
def pixelcnn(config: PixelCNNConfig, data: Dataset) -> PixelCNNGame:
    """One player on the network."""
    if config.conditional and data.spec.num_classes is None:
        raise DataError(f"conditional needs labels; {data.spec.name} has none. Put each class into a folder of its own, or leave conditional out.")
    num_classes = data.spec.num_classes if config.conditional else None
    c, h, w = data.spec.shape
    network = GatedPixelCNN(
        (c, h, w),
        config.levels,
        width=config.width,
        layers=config.layers,
        kernel=config.kernel,
        first_kernel=config.first_kernel,
        cond_dim=num_classes or 0,
    )
    return PixelCNNGame(config, network, num_classes)
