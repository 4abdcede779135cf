"""LAPGAN: Denton, Chintala, Szlam, Fergus, "Deep generative image models using a Laplacian pyramid of adversarial networks", NeurIPS 2015."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from saddlepoint.data.records import Dataset, to_device
from saddlepoint.errors import UsageError
from saddlepoint.games.lapgan import PyramidConfig, PyramidGame
from saddlepoint.games.player import SGD, Adam
from saddlepoint.networks.base import Discriminator
from saddlepoint.networks.lapgan import BandDiscriminator, CoarseDiscriminator, LapganGenerator, Networks
from saddlepoint.networks.lapgan_lsun import GroupedBandDiscriminator, Size
from saddlepoint.zoo.catalogue import recipe
from saddlepoint.zoo.networks import image_shape


@dataclass(frozen=True, kw_only=True)
class LapganConfig(PyramidConfig):
    """Section 4 of the paper and the authors' code.

    Attributes:
        sizes: heights of the levels, the coarsest first, the last the images' own; empty: halved as long as both sides are even and stay 7 or more.
        networks: those of the CIFAR-10 code (section 4's for STL too), or of the LSUN code: grouped convolutions, batch norm, whole maps dropped out.
        width: channels of the bands' generators (of the LSUN networks: of their first layer, to which the others stand in proportion).
        d_width: channels of the bands' discriminators, likewise.
        coarse_width: units of the coarsest generator.
        coarse_d_width: units of the coarsest discriminator.
        dropout: in the discriminators (of LSUN's: the coarsest).
        conditional: all networks are told the label (data must have labels).
        standardise: each pixel to mean 0 and deviation 1 over the data.
        by_channel: one mean and one deviation for all pixels of a channel, as in the LSUN code.
    """

    sizes: tuple[int, ...] = ()
    networks: Networks = "cifar"
    width: int = 64
    d_width: int = 64
    coarse_width: int = 8000
    coarse_d_width: int = 1600
    dropout: float = 0.5
    conditional: bool = False
    standardise: bool = True
    by_channel: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.networks == "lsun" and (self.width % 4 or self.d_width % 4):
            raise UsageError(f"The LSUN networks' groups need widths that 4 divides; width is {self.width} and d_width {self.d_width}.")
        if self.networks == "lsun" and self.conditional:
            raise UsageError("LAPGAN's LSUN networks are told no labels: the paper trains one model a class. Leave --conditional out.")


PAPER = LapganConfig(  # CIFAR-10 at 28 pixels; 375 epochs of 45,000 images, when the momentum has reached its limit
    batch=128,
    rounds=264_000,
    resolution=28,
    sizes=(8, 14, 28),
)
CIFAR = replace(PAPER, resolution=32, sizes=(8, 16, 32), lr_divisor=1.000004, momentum_limit=0.7)  # the code's two steps, and its schedule
STL = replace(PAPER, resolution=96, sizes=(8, 16, 32, 64, 96))
SLOW = SGD(lr=0.01, momentum=0.0, dampened=True)
LSUN = replace(  # the LSUN code: 24 epochs of 5,000 batches a level
    PAPER,
    resolution=64,
    sizes=(4, 8, 16, 32, 64),
    rounds=120_000,
    epoch_rounds=5_000,
    networks="lsun",
    width=64,
    d_width=48,
    latent_dim=16,  # a plane of the coarsest size
    coarse_width=600,
    coarse_d_width=600,
    by_channel=True,
    balance=True,
    generator_optimizer=SLOW,
    discriminator_optimizer=SLOW,
    lr_divisor=1.000004,
    momentum_limit=0.7,
)
ADAM = Adam(lr=1e-3, beta1=0.5, beta2=0.999)
SMALL = replace(  # 8 -> 16 -> 32, 16 planes, in minutes: Adam, and images as they are (constant pixels, standardised, give fakes away)
    PAPER,
    resolution=32,
    sizes=(),
    batch=64,
    rounds=2_000,
    width=16,
    d_width=16,
    coarse_width=512,
    coarse_d_width=512,
    generator_optimizer=ADAM,
    discriminator_optimizer=ADAM,
    ema_halflife_kimg=5.0,
    standardise=False,
)


def level_sizes(config: LapganConfig, height: int, width: int) -> list[Size]:
    """Sizes (h, w) of all levels of images of this size, the coarsest first.

    >>> level_sizes(LapganConfig(), 32, 48), level_sizes(LapganConfig(sizes=(8, 14, 28)), 28, 28)
    ([(8, 12), (16, 24), (32, 48)], [(8, 8), (14, 14), (28, 28)])
    """
    heights = config.sizes
    if not heights:
        sizes = [(height, width)]
        while all(side % 2 == 0 and side >= 14 for side in sizes[0]):
            sizes.insert(0, (sizes[0][0] // 2, sizes[0][1] // 2))
        if len(sizes) == 1 and min(height, width) >= 14:
            near = f"{height + height % 2} {width + width % 2}"
            raise UsageError(f"LAPGAN halves images, and a side of {height}x{width} is odd. Choose --resolution {near}, or the heights: --sizes.")
        return sizes
    if heights[-1] != height or sorted(set(heights)) != [*heights]:
        raise UsageError(f"The sizes of LAPGAN's levels grow to the images' height, {height}; {heights} came. Change --sizes or --resolution.")
    return [(side, max(1, round(width * side / height))) for side in heights]


def pixel_statistics(data: Dataset, most: int = 10_000, *, by_channel: bool = False) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each pixel over the data, or over ``most`` images spread evenly over it, each [c, h, w].

    A pixel that varies by less than a level of 8 bits is not enlarged to more: the deviation is at least 1/127.5 (the code adds 1e-7).
    With ``by_channel`` all pixels of a channel have the mean over images of an image's mean, and the mean of its own deviations.
    """
    indices = torch.arange(min(most, len(data))) * len(data) // min(most, len(data))
    total = squares = deviations = torch.zeros(data.spec.shape, dtype=torch.float64)
    for rows in torch.split(indices, 500):
        x = to_device(data.records(rows), "cpu").x.double()
        total, squares = total + x.sum(0), squares + x.square().sum(0)
        deviations = deviations + x.std((2, 3), keepdim=True).sum(0)
    mean, std = total / len(indices), deviations / len(indices)
    if by_channel:
        mean = mean.mean((1, 2), keepdim=True).expand_as(mean)
    else:
        std = (squares / len(indices) - mean.square()).clamp(min=0).sqrt()
    return mean.float().contiguous(), std.clamp(min=1 / 127.5).float().contiguous()


@recipe(
    name="lapgan",
    title="a Laplacian pyramid of GANs, one a band, sampled from coarse to fine",
    paper="Denton, Chintala, Szlam & Fergus 2015",
    year=2015,
    url="https://arxiv.org/abs/1506.05751",
    needs=("image",),
    presets={
        "paper": PAPER,
        "cifar": CIFAR,
        "cifar-conditional": replace(CIFAR, conditional=True),
        "stl": STL,
        "lsun": LSUN,
        "small": SMALL,
    },
)
def lapgan(config: LapganConfig, data: Dataset) -> PyramidGame:
    """A fully connected GAN for the coarsest level, a conditional convolutional one for each band."""
    classes = data.spec.num_classes if config.conditional else None
    if config.conditional and classes is None:
        raise UsageError(
            f"A conditional model needs labels; {data.spec.name} has none. Put each class into a folder of its own, or choose --no-conditional."
        )
    c, h, w = shape = image_shape(data.spec)
    sizes, lsun = level_sizes(config, h, w), config.networks == "lsun"
    told: Any = {"num_classes": classes}
    generator = LapganGenerator(
        shape, sizes, latent_dim=config.latent_dim, width=config.width, coarse_width=config.coarse_width, networks=config.networks, **told
    )
    if config.standardise:
        generator.mean, generator.std = pixel_statistics(data, by_channel=config.by_channel)
    coarsest = CoarseDiscriminator((c, *sizes[0]), width=config.coarse_d_width, dropout=config.dropout, uniform=lsun, **told)
    discriminators: list[Discriminator] = [coarsest]
    for size in sizes[1:]:
        grouped = GroupedBandDiscriminator(c, size, width=config.d_width) if lsun else None
        discriminators.append(grouped or BandDiscriminator(c, size, width=config.d_width, dropout=config.dropout, **told))
    return PyramidGame(config, generator, discriminators, num_records=len(data), **told)
