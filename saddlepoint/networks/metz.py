"""The networks of Metz et al. 2017 (arXiv:1611.02163) for stacked MNIST, as PacGAN's authors rebuilt them (arXiv:1712.04086 and its released code).

    G   z -> linear to 4x4x64 -> three 3x3 transposed convolutions with stride 2: 32 (7x7), 16, 8 -> 3x3 convolution to c; ReLU between, tanh
    D   three 3x3 convolutions with stride 2; LeakyReLU .3; linear. Channels are a share of G's 8, 16, 32: a half (4, 8, 16) or a quarter (2, 4, 8)

Batch norm on every hidden layer of both; weights N(0, .02). Where a side is even the code pads at the end alone, these convolutions on both sides.

Axes: n batch, c channels, h w image.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, relu

from saddlepoint.networks.base import Discriminator, Generator, Judgement
from saddlepoint.networks.convolution import conv2d, conv_transpose2d
from saddlepoint.networks.gulrajani_mnist import sides
from saddlepoint.networks.initialisation import normal_weights


class MetzGenerator(Generator):
    """z to an image in [-1, 1].

    Args:
        image_shape: (c, h, w), any size; 3x28x28 in the paper.
        latent_dim: of z, 256.
        width: channels of the first map, 64; half as many with each doubling.
    """

    def __init__(self, image_shape: tuple[int, int, int], *, latent_dim: int = 256, width: int = 64) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        *self.sizes, self.base = sides(*image_shape[1:])
        widths = [max(1, width // 2**level) for level in range(4)]
        self.project = nn.Linear(latent_dim, width * math.prod(self.base))
        self.doublings = nn.ModuleList(nn.ConvTranspose2d(a, b, 3, 2, 1) for a, b in zip(widths, widths[1:], strict=False))
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for channels in widths)
        self.last = nn.Conv2d(widths[-1], image_shape[0], 3, padding=1)
        normal_weights(self, 0.02)
        self.to(memory_format=torch.channels_last)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents [n, latent_dim] to images [n, c, h, w]; ``labels`` are not used."""
        first, *norms = self.norms
        h = relu(first(rearrange(self.project(z), "n (h w c) -> n c h w", h=self.base[0], w=self.base[1])))
        layers: list[Any] = [*self.doublings]
        for layer, norm, (height, width) in zip(layers, norms, reversed(self.sizes), strict=True):
            h = conv_transpose2d(h, layer.weight, layer.bias, stride=2, padding=1, output_padding=1)[..., :height, :width]
            h = relu(norm(h))
        return torch.tanh(conv2d(h, self.last.weight, self.last.bias, padding=1))


class MetzDiscriminator(Discriminator):
    """Images to logits.

    Args:
        image_shape: (c, h, w), any size.
        width: channels of the first layer; twice as many with each halving. 8 is as large as G, 4 a half, 2 a quarter.
        norm: "batch", or "none".
    """

    def __init__(self, image_shape: tuple[int, int, int], *, width: int = 2, norm: str = "batch") -> None:
        super().__init__()
        widths = [image_shape[0], width, 2 * width, 4 * width]
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, 2, 1) for a, b in zip(widths, widths[1:], strict=False))
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) if norm == "batch" else nn.Identity() for channels in widths[1:])
        self.head = nn.Linear(4 * width * math.prod(sides(*image_shape[1:])[-1]), 1)
        normal_weights(self, 0.02)
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Judgement:
        """Images [n, c, h, w] to logits [n]; features are the last map, flattened in (h w c) order. ``labels`` are not used."""
        h = x
        layers: list[Any] = [*self.convs]
        for conv, norm in zip(layers, self.norms, strict=True):
            h = leaky_relu(norm(conv2d(h, conv.weight, conv.bias, stride=2, padding=1)), 0.3)
        features = rearrange(h, "n c h w -> n (h w c)")
        return Judgement(self.head(features).squeeze(1), features)
