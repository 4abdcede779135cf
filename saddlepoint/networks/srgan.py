"""SRGAN's networks: a residual network that enlarges images, and a discriminator of images.

    G   k9n64, 16 residual blocks (k3n64, BN, PReLU, k3n64, BN), k3n64, BN and a sum over all of it; k3n256, pixel shuffle, PReLU a doubling; k9n3
    D   k3n64, k3n64s2, n128, n128s2, n256, n256s2, n512, n512s2, BN on all but the first, LeakyReLU .2; 1024 units, 1

Ledig et al. 2017 (arXiv:1609.04802), Figure 4. Axes: n batch, c channels, h w image.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from saddlepoint.networks.base import Discriminator, Judgement


class _Residual(nn.Module):
    """x + BN(conv(PReLU(BN(conv(x))))), 3x3."""

    def __init__(self, width: int) -> None:
        super().__init__()
        first, second = (nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
        self.branch = nn.Sequential(first, nn.BatchNorm2d(width), nn.PReLU(width), second, nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] -> [n, c, h, w]."""
        y: Tensor = x + self.branch(x)
        return y


class SRResNet(nn.Module):
    """Small images to images 2 or 4 times as large.

    Args:
        channels: of the images.
        width: channels of the maps.
        blocks: residual blocks.
        factor: 2 or 4.

    Attributes:
        multiple: sides of an image may be any multiple of it.
    """

    multiple = 1

    def __init__(self, channels: int, width: int = 64, blocks: int = 16, factor: int = 4) -> None:
        super().__init__()
        self.head = nn.Sequential(nn.Conv2d(channels, width, 9, padding=4), nn.PReLU(width))
        self.trunk = nn.Sequential(*(_Residual(width) for _ in range(blocks)), nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width))
        doublings: list[nn.Module] = []
        for _ in range(factor // 2):  # 2: one, 4: two
            doublings += [nn.Conv2d(width, 4 * width, 3, padding=1), nn.PixelShuffle(2), nn.PReLU(width)]
        self.tail = nn.Sequential(*doublings, nn.Conv2d(width, channels, 9, padding=4))
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] in [0, 1] -> [n, c, factor h, factor w], meant to lie in [-1, 1]."""
        first = self.head(x)
        y: Tensor = self.tail(first + self.trunk(first))
        return y


class SRGANDiscriminator(Discriminator):
    """One logit an image.

    Args:
        channels: of the images.
        size: height and width of the training images.
        width: channels of the first map; 8 times as many at most.
        hidden: units of the layer before the last.
    """

    def __init__(self, channels: int, size: tuple[int, int], width: int = 64, hidden: int = 1024) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 3, padding=1), nn.LeakyReLU(0.2, inplace=True)]
        before, (h, w) = width, size
        for index in range(1, 8):
            after, stride = width * 2 ** (index // 2), 1 + index % 2
            layers += [nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.LeakyReLU(0.2, inplace=True)]
            before, h, w = after, -(-h // stride), -(-w // stride)
        self.layers = nn.Sequential(*layers)
        self.judge = nn.Sequential(nn.Linear(before * h * w, hidden), nn.LeakyReLU(0.2, inplace=True), nn.Linear(hidden, 1))
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Judgement:
        """[n, c, h, w] to logits [n]."""
        return Judgement(self.judge(self.layers(x).flatten(1)).squeeze(1))
