"""The networks of AM-GAN (Zhou et al. 2018, arXiv:1703.02000) for 32x32 images, constants as in the authors' code.

LeakyReLU .2 in both; batch normalisation with eps .001 everywhere but on D's first layer and the outputs; 3x3 kernels; weights uniform with variance
1 / fan-in (times the squared stride for transposed convolutions), biases 0.

Axes: n batch, c channels, h w image.
"""

from __future__ import annotations

import math

import torch
from einops import rearrange
from torch import Tensor, nn

from saddlepoint.draws import draws_like, truncated_normal
from saddlepoint.networks.base import Discriminator, Generator, Judgement
from saddlepoint.networks.initialisation import fan_in_weights
from saddlepoint.networks.layers import Dropout, doubling, one_hot, pyramid, with_labels

EPS = 1e-3


@torch.no_grad()
def _start(network: nn.Module) -> None:
    fan_in_weights(network)
    for layer in network.modules():
        if isinstance(layer, nn.ConvTranspose2d):
            layer.weight.mul_(layer.stride[0])


class ActivationGenerator(Generator):
    """z 100 N(0, 1), linear to a 4x4 map of 8 * width channels, transposed convolutions with stride 2, one with stride 1 to the image, tanh.

    Args:
        image_shape: (c, h, w); sides 4 to 7 times a power of two.
        latent_dim: of z.
        width: channels at full size (96), twice as many with each halving.
        num_classes: None, or the number of classes whose one-hot vector joins z (static labelling).
    """

    def __init__(self, image_shape: tuple[int, int, int], *, latent_dim: int = 100, width: int = 96, num_classes: int | None = None) -> None:
        super().__init__()
        self.latent_dim, self.num_classes = latent_dim, num_classes
        *self.base, doublings = pyramid(image_shape, 4, "AM-GAN")
        widths = [width * 2**level for level in reversed(range(doublings + 1))]
        self.project = nn.Linear(latent_dim + (num_classes or 0), widths[0] * math.prod(self.base))
        layers: list[nn.Module] = [nn.BatchNorm2d(widths[0], eps=EPS), nn.LeakyReLU(0.2, inplace=True)]
        for a, b in zip(widths, widths[1:], strict=False):
            layers += [doubling(a, b, 3), nn.BatchNorm2d(b, eps=EPS), nn.LeakyReLU(0.2, inplace=True)]
        self.levels = nn.Sequential(*layers, nn.Conv2d(width, image_shape[0], 3, padding=1, bias=False), nn.Tanh())
        _start(self)
        self.to(memory_format=torch.channels_last)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents [n, latent_dim] to images [n, c, h, w] in [-1, 1]."""
        h = self.project(with_labels(z, one_hot(labels, self.num_classes, z) if self.num_classes else None))
        images: Tensor = self.levels(rearrange(h, "n (h w c) -> n c h w", h=self.base[0], w=self.base[1]))
        return images


class InputNoise(nn.Module):
    """(x + a) b while training, a ~ N(0, std^2) and b ~ N(1, std^2) for every value, both cut off at two deviations."""

    def __init__(self, std: float) -> None:
        super().__init__()
        self.std = std

    def forward(self, x: Tensor) -> Tensor:
        """Any shape [n, ...]; returns the same shape."""
        if not self.training:
            return x
        draws = draws_like(x)
        a, b = (truncated_normal(draws.normal(*x.shape), 2.0).to(x) * self.std for _ in range(2))
        return (x + a) * (1 + b)


class RootDropout(Dropout):
    """Dropout whose kept values are divided by the root of their share, which keeps the second moment where the usual one keeps the mean."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape [n, ...]; returns the same shape."""
        return super().forward(x) * math.sqrt(1 - self.p) if self.training else x


class ActivationDiscriminator(Discriminator):
    """Gaussian noise .1 added and multiplied, a 3x3 convolution, one with stride 2 a level, dropout after each, mean over the map, dropout, one unit.

    Args:
        image_shape: (c, h, w); sides divisible by 8.
        width: channels at full size (64), twice as many with each halving.
        drop: share dropped.
    """

    def __init__(self, image_shape: tuple[int, int, int], *, width: int = 64, drop: float = 0.3) -> None:
        super().__init__()
        *_, halvings = pyramid(image_shape, 4, "AM-GAN")
        layers: list[nn.Module] = [InputNoise(0.1), nn.Conv2d(image_shape[0], width, 3, padding=1, bias=False)]
        layers += [nn.LeakyReLU(0.2, inplace=True), RootDropout(drop)]
        for level in range(halvings):
            a, b = width * 2**level, width * 2 ** (level + 1)
            layers += [nn.Conv2d(a, b, 3, 2, 1, bias=False), nn.BatchNorm2d(b, eps=EPS), nn.LeakyReLU(0.2, inplace=True), RootDropout(drop)]
        self.convolutions = nn.Sequential(*layers)
        self.drop = RootDropout(drop)
        self.head = nn.Linear(width * 2**halvings, 1)
        _start(self)
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Judgement:
        """Images [n, c, h, w] to logits [n]; features [n, d] are the mean over the last map. ``labels`` are not used."""
        features: Tensor = self.convolutions(x).mean((2, 3))
        return Judgement(self.head(self.drop(features)).squeeze(1), features)
