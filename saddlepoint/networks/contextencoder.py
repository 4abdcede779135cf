"""The networks of Context Encoders: an encoder of what is left of an image, and a decoder of what is not.

    encoder   4x4 convolutions of stride 2 to 4x4 maps (64, 64, 128, 256, 512 channels at 128 pixels), BN but on the first, LeakyReLU .2
    between   a 4x4 convolution to 4000 numbers, BN, LeakyReLU, and its transpose; or each map's pixels joined by themselves (channel-wise), then 1x1
    decoder   4x4 transposed convolutions of stride 2 (512, 256, 128, 64), BN, ReLU; tanh
    D         as the encoder, and a 4x4 convolution to one logit

    AlexNet   its five convolutions to 6x6x256 of 227 pixels, channel-wise; 5x5 transposed convolutions of stride 2 (128, 64, 64, 32, 3), enlarged

Pathak et al. 2016 (arXiv:1604.07379), section 3.1 and Figure 9, and the released code, whose convolutions' biases are held at 0.

Axes: n batch, c channels, h w image, o i pixels of a map.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saddlepoint.networks.base import Discriminator, Judgement
from saddlepoint.networks.initialisation import normal_weights

Between = Literal["dense", "channelwise"]


def halvings(side: int) -> int:
    """How often a side is halved until less than 8 pixels are left.

    >>> halvings(128), halvings(32), halvings(28)
    (5, 3, 2)
    """
    return max(int(math.log2(side)) - 2, 0)


def start_of(side: int) -> tuple[int, int]:
    """The side that a decoder begins at, and how often it doubles it: halves are taken while they are even and 4 pixels or more are left.

    >>> start_of(64), start_of(16), start_of(14), start_of(18)
    ((4, 4), (4, 2), (7, 1), (9, 1))
    """
    doublings = 0
    while side % 2 == 0 and side >= 8:
        side, doublings = side // 2, doublings + 1
    return side, doublings


class ChannelwiseLinear(nn.Module):
    """A fully connected layer within each channel: m n^4 weights where a common one would have m^2 n^4 (section 3.1).

    Args:
        channels: of the maps.
        size: height and width of the maps.
        out_size: of the maps that leave.
    """

    def __init__(self, channels: int, size: tuple[int, int], out_size: tuple[int, int]) -> None:
        super().__init__()
        self.out_size = out_size
        inside, outside = size[0] * size[1], out_size[0] * out_size[1]
        self.weight = nn.Parameter(torch.empty(channels, outside, inside).normal_(0, 1 / math.sqrt(inside)))
        self.bias = nn.Parameter(torch.zeros(channels, outside))

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] -> [n, c, *out_size]."""
        y: Tensor = torch.einsum("nci,coi->nco", x.flatten(2), self.weight) + self.bias
        return y.reshape(*y.shape[:2], *self.out_size)


def _encoder(channels: int, size: tuple[int, int], width: int) -> tuple[nn.Sequential, int, tuple[int, int]]:
    """The strided convolutions; channels and size of their maps."""
    levels = max(halvings(min(size)), 1)
    layers: list[nn.Module] = []
    before, (h, w) = channels, size
    for level in range(levels):
        after = width * min(8, 2 ** max(level - max(levels - 4, 0), 0))
        layers.append(nn.Conv2d(before, after, 4, 2, 1, bias=False))
        layers += [nn.BatchNorm2d(after)] if level else []
        layers.append(nn.LeakyReLU(0.2, inplace=True))
        before, h, w = after, h // 2, w // 2
    return nn.Sequential(*layers), before, (h, w)


class ContextEncoder(nn.Module):
    """An image with a hole to what belongs there.

    Args:
        channels: of the images.
        size: height and width of the images.
        out_size: of what is predicted: of the hole, or of the whole image.
        width: channels of the first map; 8 times as many at most.
        bottleneck: numbers of the dense code.
        between: "dense", or "channelwise", which has no code narrower than the maps.
    """

    def __init__(
        self,
        channels: int,
        size: tuple[int, int],
        out_size: tuple[int, int],
        width: int = 64,
        bottleneck: int = 4000,
        *,
        between: Between = "dense",
    ) -> None:
        super().__init__()
        self.encoder, top, map_size = _encoder(channels, size, width)
        doublings = min(start_of(side)[1] for side in out_size)
        start = out_size[0] >> doublings, out_size[1] >> doublings
        widths = [width * max(1, min(8, 2 ** max(doublings - 1, 0)) >> step) for step in range(max(doublings, 1))]
        self.code: nn.Module
        self.opening: nn.Module
        if between == "dense":
            self.code = nn.Sequential(nn.Conv2d(top, bottleneck, map_size, bias=False), nn.BatchNorm2d(bottleneck), nn.LeakyReLU(0.2, inplace=True))
            self.opening = nn.ConvTranspose2d(bottleneck, widths[0], start, bias=False)
        else:
            self.code = ChannelwiseLinear(top, map_size, start)
            self.opening = nn.Conv2d(top, widths[0], 1, bias=False)
        layers: list[nn.Module] = [nn.BatchNorm2d(widths[0]), nn.ReLU(inplace=True)]
        for before, after in zip(widths, widths[1:], strict=False):
            layers += [nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
        last = nn.ConvTranspose2d(widths[-1], channels, 4, 2, 1, bias=False) if doublings else nn.Conv2d(widths[-1], channels, 3, 1, 1, bias=False)
        self.decoder = nn.Sequential(*layers, last, nn.Tanh())
        normal_weights(self, 0.02)
        self.to(memory_format=torch.channels_last)

    def encode(self, x: Tensor) -> Tensor:
        """[n, c, h, w] -> [n, bottleneck], or the maps behind the channel-wise layer, flattened."""
        code: Tensor = self.code(self.encoder(x)).flatten(1)
        return code

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] in [-1, 1], filled where nothing is known -> [n, c, *out_size] in [-1, 1]."""
        y: Tensor = self.decoder(self.opening(self.code(self.encoder(x))))
        return y


class AlexContextEncoder(nn.Module):
    """The network of feature learning: AlexNet's convolutions (Krizhevsky et al. 2012), whose weights are what is wanted.

    Args:
        channels: of the images.
        size: height and width of the images; 227 in the paper. All of it is predicted.
        width: 64 is AlexNet's own; others scale its channels.
    """

    def __init__(self, channels: int, size: tuple[int, int], width: int = 64) -> None:
        super().__init__()
        self.size = size
        a, b, c, d, e = (max(2 * width * n // 128, 2) // 2 * 2 for n in (96, 256, 384, 384, 256))
        pool, norm, relu = nn.MaxPool2d(3, 2), nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0), nn.ReLU(inplace=True)
        first, second = nn.Conv2d(channels, a, 11, 4), nn.Conv2d(a, b, 5, padding=2, groups=2)
        third, fourth, fifth = nn.Conv2d(b, c, 3, padding=1), nn.Conv2d(c, d, 3, padding=1, groups=2), nn.Conv2d(d, e, 3, padding=1, groups=2)
        self.encoder = nn.Sequential(first, relu, pool, norm, second, relu, pool, norm, third, relu, fourth, relu, fifth, relu, pool)
        maps = self.map_size(size)
        self.code = ChannelwiseLinear(e, maps, maps)
        widths = [e, *(max(width * n // 64, 1) for n in (128, 64, 64, 32)), channels]
        layers: list[nn.Module] = [nn.Conv2d(e, e, 1)]
        for before, after in zip(widths, widths[1:], strict=False):
            layers += [nn.ReLU(inplace=True), nn.ConvTranspose2d(before, after, 5, 2, 2)]
        self.decoder = nn.Sequential(*layers)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and module.bias is not None:
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)
        self.to(memory_format=torch.channels_last)

    @staticmethod
    def map_size(size: tuple[int, int]) -> tuple[int, int]:
        """Height and width of the last maps; 0 or less where an image is too small.

        >>> AlexContextEncoder.map_size((227, 227))
        (6, 6)
        """
        height, width = ((((side - 11) // 4 + 1 - 3) // 2 + 1 - 3) // 2 + 1 for side in size)
        return (height - 3) // 2 + 1, (width - 3) // 2 + 1

    def encode(self, x: Tensor) -> Tensor:
        """[n, c, h, w] -> the last maps of AlexNet's convolutions, flattened: 9216 numbers at 227 pixels."""
        maps: Tensor = self.encoder(x).flatten(1)
        return maps

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] in [-1, 1], filled where nothing is known -> [n, c, h, w] in [-1, 1]."""
        y = self.decoder(self.code(self.encoder(x)))
        return torch.tanh(F.interpolate(y, self.size, mode="bilinear", align_corners=False))


class ContextDiscriminator(Discriminator):
    """One logit of a predicted region; it does not see what is around it.

    Args:
        channels: of the images.
        size: height and width of the region.
        width: channels of the first map; 8 times as many at most.
    """

    def __init__(self, channels: int, size: tuple[int, int], width: int = 64) -> None:
        super().__init__()
        self.encoder, top, map_size = _encoder(channels, size, width)
        self.judge = nn.Conv2d(top, 1, map_size, bias=False)
        normal_weights(self, 0.02)
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Judgement:
        """[n, c, h, w] to logits [n]."""
        return Judgement(self.judge(self.encoder(x)).flatten())
