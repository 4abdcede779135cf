"""The MNIST networks of Gulrajani et al. 2017 (arXiv:1704.00028), as in the authors' script: 5x5 convolutions with biases and no normalisation.

    G   z -> linear to 4x4x4w -> ReLU -> three transposed convolutions with stride 2: 2w (cut to 7x7), w, c; ReLU between, sigmoid
    D   three convolutions with stride 2: w, 2w, 4w; LeakyReLU .2; linear

Weights are uniform: variance 4 / (fan-in + fan-out) of convolutions, counting the strides, and 2 / (fan-in + fan-out) of linear layers. The script's
images lie in [0, 1]: D maps them there, and so must a penalty on its slope (a slope of 1 there is .5 here).

Axes: n batch, c channels, h w image.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from saddlepoint.networks.base import Discriminator, Generator, Judgement
from saddlepoint.networks.convolution import conv2d, conv_transpose2d

KERNEL, STRIDE = 5, 2
SLOPE_OF_ONE = 0.5  # of D on [-1, 1] where it is 1 on [0, 1]


def sides(height: int, width: int) -> list[tuple[int, int]]:
    """Sizes of the maps from the image on, each half of the one before, rounded up.

    >>> sides(28, 28)
    [(28, 28), (14, 14), (7, 7), (4, 4)]
    """
    found = [(height, width)]
    for _ in range(3):
        found.append((-(-found[-1][0] // 2), -(-found[-1][1] // 2)))
    return found


@torch.no_grad()
def _start(network: nn.Module) -> None:
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            variance = 2 / (layer.in_features + layer.out_features)
        elif isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            strided = STRIDE**2  # the transposed one spreads its inputs, the other one gathers every second output
            fan_in, fan_out = layer.in_channels * KERNEL**2, layer.out_channels * KERNEL**2
            variance = 4 / (fan_in / strided + fan_out) if isinstance(layer, nn.ConvTranspose2d) else 4 / (fan_in + fan_out / strided)
        else:
            continue
        layer.weight.uniform_(-math.sqrt(3 * variance), math.sqrt(3 * variance))
        if layer.bias is not None:
            layer.bias.zero_()


class GulrajaniMNISTGenerator(Generator):
    """z to an image in [-1, 1].

    Args:
        image_shape: (c, h, w), any size; 28x28 in the script.
        latent_dim: of z, 128.
        width: w, 64.
    """

    def __init__(self, image_shape: tuple[int, int, int], *, latent_dim: int = 128, width: int = 64) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        *self.sizes, self.base = sides(*image_shape[1:])
        widths = [4 * width, 2 * width, width, image_shape[0]]
        self.project = nn.Linear(latent_dim, 4 * width * math.prod(self.base))
        self.convs = nn.ModuleList(nn.ConvTranspose2d(a, b, KERNEL, STRIDE, 2, 1) for a, b in zip(widths, widths[1:], strict=False))
        _start(self)
        self.to(memory_format=torch.channels_last)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents [n, latent_dim] to images [n, c, h, w]; ``labels`` are not used."""
        h = rearrange(self.project(z), "n (h w c) -> n c h w", h=self.base[0], w=self.base[1])
        layers: list[Any] = [*self.convs]
        for conv, (height, width) in zip(layers, reversed(self.sizes), strict=True):
            h = conv_transpose2d(F.relu(h), conv.weight, conv.bias, stride=STRIDE, padding=2, output_padding=1)[..., :height, :width]
        return 2 * torch.sigmoid(h) - 1


class GulrajaniMNISTDiscriminator(Discriminator):
    """Images to logits; arguments as the generator's."""

    def __init__(self, image_shape: tuple[int, int, int], *, width: int = 64) -> None:
        super().__init__()
        widths = [image_shape[0], width, 2 * width, 4 * width]
        self.convs = nn.ModuleList(nn.Conv2d(a, b, KERNEL, STRIDE, 2) for a, b in zip(widths, widths[1:], strict=False))
        self.head = nn.Linear(4 * width * math.prod(sides(*image_shape[1:])[-1]), 1)
        _start(self)
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Judgement:
        """Images [n, c, h, w] to logits [n]; features are the last map, flattened in (h w c) order. ``labels`` are not used."""
        h = x.add(1).div(2)
        layers: list[Any] = [*self.convs]
        for conv in layers:
            h = F.leaky_relu(conv2d(h, conv.weight, conv.bias, stride=STRIDE, padding=2), 0.2)
        features = rearrange(h, "n c h w -> n (h w c)")
        return Judgement(self.head(features).squeeze(1), features)
