"""AC-GAN's networks (Odena, Olah & Shlens 2017, arXiv:1610.09585, appendix A, Tables 1 and 2).

    G   z and the one-hot class, a linear layer to a 4x4 map, transposed 5x5 convolutions of stride 2 with batch norm and ReLU, the last to the image
        and tanh; maps at 128x128: 768, 384, 256, 192, 64; at 64x64 without the last of them; at 32x32 (CIFAR-10): 384, 192, 96
    D   3x3 convolutions 16 (stride 2), 32, 64 (stride 2), 128, 256 (stride 2), 512, each with batch norm (but the first), LeakyReLU .2, activation
        noise N(0, std) and dropout .5; a linear layer, whose heads for the classes are :class:`saddlepoint.networks.heads.ClassHead`'s

Weights N(0, .02), biases 0. The tables do not say where the activation noise goes or what is done to gains, which start at 1.

Axes: n batch, c channels, h w image, k classes.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from saddlepoint.networks.base import Discriminator, Generator, Judgement
from saddlepoint.networks.initialisation import normal_weights
from saddlepoint.networks.layers import Dropout, GaussianNoise, doubling, one_hot, pyramid, with_labels

WIDTH = 16  #: of D's first map, as published; all maps of both players are multiples
LARGE, CIFAR = (768, 384, 256, 192, 64), (384, 192, 96)
DISCRIMINATOR = ((1, 2), (2, 1), (4, 2), (8, 1), (16, 2), (32, 1))  #: maps in units of the first, and strides


def generator_maps(doublings: int, width: int) -> list[int]:
    """Maps of G from the smallest on, the image's not among them.

    >>> generator_maps(5, 16), generator_maps(3, 4)
    ([768, 384, 256, 192, 64], [96, 48, 24])
    """
    row = CIFAR[:doublings] if doublings <= 3 else (*LARGE, *(64,) * (doublings - 5))[:doublings]
    return [max(1, c * width // WIDTH) for c in row]


class ACGANGenerator(Generator):
    """z and a class to an image.

    Args:
        image_shape: (c, h, w); sides 4 to 7 times a power of two, or a multiple of it.
        latent_dim: of z; 100, which with 10 classes makes the paper's 110.
        width: of D's first map; the maps here keep their published proportion to it.
        num_classes: k; None: no labels.
    """

    def __init__(self, image_shape: tuple[int, int, int], latent_dim: int = 100, *, width: int = WIDTH, num_classes: int | None = None) -> None:
        super().__init__()
        self.latent_dim, self.num_classes = latent_dim, num_classes
        *self.base, doublings = pyramid(image_shape, 4, "AC-GAN")
        maps = generator_maps(doublings, width)
        self.project = nn.Linear(latent_dim + (num_classes or 0), math.prod(self.base) * maps[0])
        layers: list[nn.Module] = []
        for c, o in zip(maps, maps[1:], strict=False):
            layers += [doubling(c, o, 5, bias=True), nn.BatchNorm2d(o), nn.ReLU(inplace=True)]
        self.levels = nn.Sequential(*layers, doubling(maps[-1], image_shape[0], 5, bias=True), nn.Tanh())
        normal_weights(self, gain_std=None)
        self.to(memory_format=torch.channels_last)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents [n, latent_dim] and int64 [n] to images [n, c, h, w] in [-1, 1]."""
        h = F.relu(self.project(with_labels(z, one_hot(labels, self.num_classes, z) if self.num_classes else None)))
        images: Tensor = self.levels(rearrange(h, "n (h w c) -> n c h w", h=self.base[0], w=self.base[1]))
        return images


class ACGANDiscriminator(Discriminator):
    """Six convolutions and a linear layer; it is told no label.

    Args:
        image_shape: (c, h, w), any size from 8x8.
        width: of the first map.
        noise: standard deviation of the activation noise; 0, .1 or .2 in the paper's search.
        drop: share of activations dropped.
    """

    def __init__(self, image_shape: tuple[int, int, int], *, width: int = WIDTH, noise: float = 0.0, drop: float = 0.5) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        c, h, w = image_shape
        for index, (factor, stride) in enumerate(DISCRIMINATOR):
            o = factor * width
            layers += [nn.Conv2d(c, o, 3, stride, 1), nn.BatchNorm2d(o) if index else nn.Identity(), nn.LeakyReLU(0.2, inplace=True)]
            layers += [GaussianNoise(noise), Dropout(drop)]
            c, h, w = o, -(-h // stride), -(-w // stride)
        self.levels = nn.Sequential(*layers)
        self.head = nn.Linear(c * h * w, 1)
        normal_weights(self, gain_std=None)
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Judgement:
        """Images [n, c, h, w] to logits [n] and features [n, d], the last map. ``labels`` are not used."""
        features = rearrange(self.levels(x), "n c h w -> n (h w c)")
        return Judgement(self.head(features).squeeze(1), features)
