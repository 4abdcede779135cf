"""SRGAN: Ledig et al., "Photo-realistic single image super-resolution using a generative adversarial network", CVPR 2017."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from saddlepoint.data.records import Dataset
from saddlepoint.errors import DataError
from saddlepoint.games.enlarging import EnlargingConfig, EnlargingGame
from saddlepoint.games.player import Adam
from saddlepoint.networks.srgan import SRGANDiscriminator, SRResNet
from saddlepoint.zoo.catalogue import recipe
from saddlepoint.zoo.features import feature_maps

# Section 3.2: 16 crops of 96 pixels, four times; Adam 1e-4 (beta1 .9); 1e6 rounds on squared error, then 1e5 at 1e-4 and 1e5 at 1e-5.
PAPER = EnlargingConfig(batch=16, rounds=1_200_000, pretrain=1_000_000, crop=96)
SMALL = replace(
    PAPER,
    resolution=32,
    crop=None,
    rounds=3_000,
    pretrain=2_000,
    width=24,
    d_width=16,
    blocks=4,
    hidden=128,
    features="quick2",
    optimizer=Adam(lr=1e-3, beta1=0.9, beta2=0.999),
    adversarial_rate=0.1,  # 1e-4, as published: at 1e-3 G follows D into noise of every second pixel
)
RESNET: dict[str, Any] = {"adversarial_weight": 0.0, "pretrain": 0}
ARMS: dict[str, dict[str, Any]] = {
    "srresnet": {"content": "pixels", **RESNET},
    "mse": {"content": "pixels"},
}  # SRResNet-MSE and SRGAN-MSE of Table 1


@recipe(
    name="srgan",
    title="images made two or four times as large, near the true one in what a classifier sees, and taken for one",
    paper="Ledig et al. 2017",
    year=2017,
    url="https://arxiv.org/abs/1609.04802",
    needs=("image",),
    presets={
        "paper": PAPER,
        "vgg22": replace(PAPER, features="vgg22"),
        "mse": replace(PAPER, **ARMS["mse"]),
        "srresnet": replace(PAPER, rounds=1_000_000, **ARMS["srresnet"]),
        "srresnet-vgg22": replace(PAPER, rounds=1_000_000, features="vgg22", **RESNET),
        "small": SMALL,
        **{f"small-{name}": replace(SMALL, **arm) for name, arm in ARMS.items()},
        "small-srresnet-features": replace(SMALL, **RESNET),
        "small-x2": replace(SMALL, factor=2),
        "small-lite0": replace(SMALL, features="lite0"),
    },
)
def srgan(config: EnlargingConfig, data: Dataset) -> EnlargingGame:
    """SRResNet against a discriminator of whole images."""
    spec = data.spec
    size = config.size_of(spec.shape, spec.name)
    if min(size) < 4 * config.factor or any(side % config.factor for side in size):
        least = 4 * config.factor
        raise DataError(
            f"srgan needs sides of {least} pixels or more that {config.factor} divides; {size[1]}x{size[0]} came. Choose --resolution or --crop."
        )
    if config.content == "features" and spec.shape[0] not in (1, 3):
        raise DataError(f"Features are of images of 1 or 3 channels; {spec.name} has {spec.shape[0]}. Choose --content pixels.")
    generator = SRResNet(spec.shape[0], config.width, config.blocks, config.factor)
    judge = SRGANDiscriminator(spec.shape[0], size, config.d_width, config.hidden) if config.adversarial_weight else None
    features = feature_maps(config.features, config.weights) if config.content == "features" else None
    return EnlargingGame(config, generator, judge, features, size)
