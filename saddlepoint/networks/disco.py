"""DiscoGAN's networks (Kim et al. 2017, arXiv:1703.05192, and the released code): DCGAN's discriminator, and a translator of the same convolutions.

    translator     C64-C128-C256-C512, (100 numbers at 1x1,) U256-U128-U64, U to the image and a sigmoid
    discriminator  C64-C128-C256-C512, one unit over what is left

4x4 convolutions of stride 2 and their transposes; batch normalisation but on the first and the last; LeakyReLU .2 down, ReLU up; no biases. Weights
start as torch starts them. Sides that cannot be halved four times are halved as often as they can.

Axes: n batch, c channels, h w image.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from saddlepoint.errors import UsageError
from saddlepoint.networks.base import Discriminator, Judgement
from saddlepoint.networks.instancenorm import InstanceNorm, TranslatorNorm
from saddlepoint.networks.unet import levels_of

LEVELS = 4


def _levels(size: tuple[int, int]) -> int:
    levels = min(levels_of(*size), LEVELS)
    if levels < 2:
        raise UsageError(f"DiscoGAN's networks halve images twice or more; {size[1]}x{size[0]} cannot be. Choose --resolution 32 or 64.")
    return levels


def _widths(width: int, levels: int) -> list[int]:
    return [width * 2**level for level in range(levels)]


def _norm(kind: TranslatorNorm, channels: int) -> nn.Module:
    """The layer of a kind. In use the batch's has its running averages: a map of the lowest levels has too few values for statistics of its own."""
    if kind == "none":
        return nn.Identity()
    return nn.BatchNorm2d(channels) if kind == "batch" else InstanceNorm(channels)


class DiscoTranslator(nn.Module):
    """Images to images of the same size.

    Args:
        channels: of the input.
        out_channels: of the output.
        size: height and width of the training images.
        width: channels of the first map.
        norm: "batch" or "instance".
        bottleneck: numbers that the image is brought to in between, 100 in the released code's deeper form; 0: it stays a map.

    Attributes:
        multiple: sides of any image must be multiples of it; with a bottleneck the training images' size is the only one.
    """

    def __init__(
        self, channels: int, out_channels: int, size: tuple[int, int], width: int = 64, *, norm: TranslatorNorm = "batch", bottleneck: int = 0
    ) -> None:
        super().__init__()
        levels = _levels(size)
        self.multiple = 2**levels if not bottleneck else max(size)
        widths = _widths(width, levels)
        layers: list[nn.Module] = []
        for level, (a, b) in enumerate(zip([channels, *widths], widths, strict=False)):
            layers += [nn.Conv2d(a, b, 4, 2, 1, bias=False), _norm(norm if level else "none", b), nn.LeakyReLU(0.2, inplace=True)]
        if bottleneck:
            left = (size[0] >> levels, size[1] >> levels)
            layers += [nn.Conv2d(widths[-1], bottleneck, left, bias=False), _norm(norm, bottleneck), nn.LeakyReLU(0.2, inplace=True)]
            layers += [nn.ConvTranspose2d(bottleneck, widths[-1], left, bias=False), _norm(norm, widths[-1]), nn.ReLU(inplace=True)]
        for a, b in zip(widths[::-1], widths[-2::-1], strict=False):
            layers += [nn.ConvTranspose2d(a, b, 4, 2, 1, bias=False), _norm(norm, b), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers, nn.ConvTranspose2d(width, out_channels, 4, 2, 1, bias=False))
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        """[n, channels, h, w] in [-1, 1] -> [n, out_channels, h, w] in [-1, 1]; a sigmoid on [0, 1]."""
        return torch.tanh(self.layers(x) / 2)


class DiscoDiscriminator(Discriminator):
    """Images to one logit each; the maps behind every normalisation are what features are matched in.

    Args:
        channels: of the input.
        size: height and width of the images.
        width: channels of the first map.
        norm: "batch" or "instance".
    """

    def __init__(self, channels: int, size: tuple[int, int], width: int = 64, *, norm: TranslatorNorm = "batch") -> None:
        super().__init__()
        levels = _levels(size)
        widths = _widths(width, levels)
        self.levels = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 4, 2, 1, bias=False), _norm(norm if level else "none", b), nn.LeakyReLU(0.2))
            for level, (a, b) in enumerate(zip([channels, *widths], widths, strict=False))
        )
        self.head = nn.Conv2d(widths[-1], 1, (size[0] >> levels, size[1] >> levels), bias=False)
        self.to(memory_format=torch.channels_last)

    def maps(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Logits [n], and the maps of every level but the first."""
        found = []
        for level in self.levels:
            x = level(x)
            found.append(x)
        return self.head(x).flatten(), found[1:]

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Judgement:
        """[n, c, h, w] to logits [n]."""
        return Judgement(self.maps(x)[0])
