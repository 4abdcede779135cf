"""Generators that make images of images: CycleGAN's residual network and DiscoGAN's encoder and decoder.

Axes: n batch, c channels, h w image.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saddlepoint.networks.convolution import conv2d, conv_transpose2d
from saddlepoint.networks.initialisation import normal_weights
from saddlepoint.networks.instancenorm import TranslatorNorm, translator_norm


class Mirrored(nn.Conv2d):
    """Convolution of odd kernel and stride 1 that keeps the size; the image goes on mirrored beyond its border."""

    def __init__(self, c: int, o: int, kernel: int, *, bias: bool = False) -> None:
        super().__init__(c, o, kernel, bias=bias)
        self.margin = kernel // 2

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] -> [n, o, h, w]."""
        return conv2d(F.pad(x, (self.margin,) * 4, mode="reflect"), self.weight, self.bias)


class _Halving(nn.Conv2d):
    def __init__(self, c: int, o: int) -> None:
        super().__init__(c, o, 3, 2, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return conv2d(x, self.weight, stride=2, padding=1)


class _Doubling(nn.ConvTranspose2d):
    def __init__(self, c: int, o: int) -> None:
        super().__init__(c, o, 3, 2, 1, 1, bias=False)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        return conv_transpose2d(x, self.weight, stride=2, padding=1, output_padding=1)


class ResidualBlock(nn.Module):
    """x + IN(conv(ReLU(IN(conv(x))))), 3x3 convolutions; nothing after the sum (Johnson et al. 2016)."""

    def __init__(self, channels: int, norm: TranslatorNorm) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            Mirrored(channels, channels, 3),
            translator_norm(norm, channels),
            nn.ReLU(inplace=True),
            Mirrored(channels, channels, 3),
            translator_norm(norm, channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] -> [n, c, h, w]."""
        y: Tensor = self.branch(x) + x
        return y


class ResNetTranslator(nn.Module):
    """c7s1-64, d128, d256, residual blocks R256, u128, u64, c7s1-3 (Zhu et al. 2017, arXiv:1703.10593, appendix 7.2).

    Args:
        channels: of the input.
        out_channels: of the output.
        width: channels of the first map.
        blocks: 6 for 128 pixels, 9 for 256.
        norm: "instance" or "batch".

    Attributes:
        multiple: sides of any image must be multiples of it, and more than 8 pixels.
    """

    multiple = 4

    def __init__(self, channels: int, out_channels: int, width: int = 64, blocks: int = 9, *, norm: TranslatorNorm = "instance") -> None:
        super().__init__()

        def after(c: int) -> list[nn.Module]:
            return [translator_norm(norm, c), nn.ReLU(inplace=True)]

        layers = [Mirrored(channels, width, 7), *after(width)]
        for level in (1, 2):
            layers += [_Halving(width * level, 2 * width * level), *after(2 * width * level)]
        layers += [ResidualBlock(4 * width, norm) for _ in range(blocks)]
        for level in (2, 1):
            layers += [_Doubling(2 * width * level, width * level), *after(width * level)]
        self.layers = nn.Sequential(*layers, Mirrored(width, out_channels, 7, bias=True), nn.Tanh())
        normal_weights(self, 0.02)
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        """[n, channels, h, w] in [-1, 1] -> [n, out_channels, h, w] in [-1, 1]."""
        y: Tensor = self.layers(x)
        return y
