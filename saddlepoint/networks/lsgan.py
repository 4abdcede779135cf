"""The 112x112 networks of LSGAN (Mao et al. 2017, arXiv:1611.04076, Figure 2), constants as in the authors' code.

Biases everywhere; weights N(0, .02), those of D's convolutions cut off at two deviations; biases 0, gains 1; batch normalisation in G but
not at its output, and in D but not on its first layer.

Axes: n batch, c channels, h w image.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn

from saddlepoint.errors import UsageError
from saddlepoint.networks.base import Discriminator, Generator, Judgement
from saddlepoint.networks.initialisation import normal_weights


def _base(image_shape: tuple[int, int, int]) -> tuple[int, int]:
    """A sixteenth of height and width."""
    _, height, width = image_shape
    if height % 16 or width % 16:
        near = "x".join(str(max(1, round(side / 16)) * 16) for side in (height, width))
        raise UsageError(f"LSGAN's networks make sides divisible by 16; got {height}x{width}. The nearest is {near}: choose such a resolution.")
    return height // 16, width // 16


def _up(channels: int, out_channels: int, stride: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(channels, out_channels, 3, stride, 1, output_padding=stride - 1)


class LSGANGenerator(Generator):
    """z 1024, linear to 7x7x256, transposed 3x3 convolutions: 256 s2, 256 s1, 256 s2, 256 s1, 128 s2, 64 s2, c s1; ReLU, tanh.

    Args:
        image_shape: (c, h, w), sides divisible by 16; 112 in the paper.
        latent_dim: of z, U(-1, 1) in the authors' code.
        width: a quarter of the channels of the first maps.
    """

    def __init__(self, image_shape: tuple[int, int, int], *, latent_dim: int = 1024, width: int = 64) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.base = _base(image_shape)
        first = 4 * width
        self.project = nn.Linear(latent_dim, first * self.base[0] * self.base[1])
        layers: list[nn.Module] = [nn.BatchNorm2d(first), nn.ReLU(inplace=True)]
        steps = [(first, 2), (first, 1), (first, 2), (first, 1), (2 * width, 2), (width, 2)]
        for (a, _), (b, stride) in zip([(first, 1), *steps], steps, strict=False):
            layers += [_up(a, b, stride), nn.BatchNorm2d(b), nn.ReLU(inplace=True)]
        self.levels = nn.Sequential(*layers, _up(width, image_shape[0], 1), nn.Tanh())
        normal_weights(self, 0.02, gain_std=None)
        self.to(memory_format=torch.channels_last)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents [n, latent_dim] to images [n, c, h, w] in [-1, 1]; ``labels`` are not used."""
        h = rearrange(self.project(z), "n (h w c) -> n c h w", h=self.base[0], w=self.base[1])
        images: Tensor = self.levels(h)
        return images


class LSGANDiscriminator(Discriminator):
    """5x5 convolutions with stride 2 of 64, 128, 256, 512 channels, LeakyReLU .2, and a linear unit without sigmoid.

    Args:
        image_shape: (c, h, w), sides divisible by 16.
        width: channels of the first layer; twice as many with each halving.
    """

    def __init__(self, image_shape: tuple[int, int, int], *, width: int = 64) -> None:
        super().__init__()
        height, side = _base(image_shape)
        widths = [image_shape[0], width, 2 * width, 4 * width, 8 * width]
        layers: list[nn.Module] = []
        for level, (a, b) in enumerate(zip(widths, widths[1:], strict=False)):
            layers += [nn.Conv2d(a, b, 5, 2, 2), *([nn.BatchNorm2d(b)] if level else []), nn.LeakyReLU(0.2, inplace=True)]
        self.convolutions = nn.Sequential(*layers)
        self.head = nn.Linear(widths[-1] * height * side, 1)
        normal_weights(self, 0.02, gain_std=None)
        for layer in self.convolutions:
            if isinstance(layer, nn.Conv2d):
                nn.init.trunc_normal_(layer.weight, 0, 0.02, -0.04, 0.04)
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Judgement:
        """Images [n, c, h, w] to logits [n]; features are the last map, flattened in (h w c) order. ``labels`` are not used."""
        h: Tensor = self.convolutions(x)
        features = rearrange(h, "n c h w -> n (h w c)")
        return Judgement(self.head(features).squeeze(1), features)
