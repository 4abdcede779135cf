"""The residual networks of Mescheder et al. 2018 (arXiv:1801.04406), without normalisation, constants as in the authors' code.

A block is x + .1 conv(lrelu(conv(lrelu(x)))), LeakyReLU .2, with a 1x1 convolution without bias on x where the channels change; its hidden
channels are the smaller of the two. Weights start as PyTorch's default.

Axes: n batch, c channels, h w image.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from saddlepoint.networks.base import Discriminator, Generator, Judgement
from saddlepoint.networks.layers import one_hot, pyramid

LARGEST_G, LARGEST_D = 512, 1024  # channels at width 64; they scale with it
EMBEDDING = 256  # numbers a label


class StabilityBlock(nn.Module):
    """[n, channels, h, w] -> [n, out_channels, h, w]."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        hidden = min(channels, out_channels)
        self.first = nn.Conv2d(channels, hidden, 3, padding=1)
        self.second = nn.Conv2d(hidden, out_channels, 3, padding=1)
        self.shortcut = nn.Conv2d(channels, out_channels, 1, bias=False) if channels != out_channels else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Shortcut plus a tenth of the residual."""
        residual = self.second(F.leaky_relu(self.first(F.leaky_relu(x, 0.2)), 0.2))
        return torch.add(self.shortcut(x), residual, alpha=0.1)


class StabilityGenerator(Generator):
    """z, a linear layer to a 4x4 map, a block and a nearest-neighbour doubling per level, one block more, 3x3 convolution, tanh.

    Args:
        image_shape: (c, h, w); sides 4 to 7 times a power of two.
        latent_dim: 256 in the paper.
        width: channels at full size, twice as many with each halving, at most 8 times as many.
        num_classes: None, or the number of classes; a learnt embedding of 256 numbers a class, brought to unit length, joins z.
    """

    def __init__(self, image_shape: tuple[int, int, int], *, latent_dim: int = 256, width: int = 64, num_classes: int | None = None) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.embedding = None if num_classes is None else nn.Embedding(num_classes, EMBEDDING)
        *self.base, doublings = pyramid(image_shape, 4, "The R1 paper's generator")
        widths = [min(width * 2**level, width * LARGEST_G // 64) for level in reversed(range(doublings + 1))]
        self.project = nn.Linear(latent_dim + (0 if num_classes is None else EMBEDDING), widths[0] * math.prod(self.base))
        blocks: list[nn.Module] = []
        for a, b in zip(widths, widths[1:], strict=False):
            blocks += [StabilityBlock(a, b), nn.Upsample(scale_factor=2)]
        self.blocks = nn.Sequential(*blocks, StabilityBlock(width, width))
        self.last = nn.Conv2d(width, image_shape[0], 3, padding=1)
        self.to(memory_format=torch.channels_last)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents [n, latent_dim] to images [n, c, h, w] in [-1, 1]."""
        if self.embedding is not None:
            assert labels is not None, "a conditional generator is told labels"
            y = self.embedding(labels)  # n 256
            z = torch.cat([z, y / y.norm(dim=1, keepdim=True)], 1)
        h = self.project(z)
        h = self.blocks(rearrange(h, "n (h w c) -> n c h w", h=self.base[0], w=self.base[1]))
        return torch.tanh(self.last(F.leaky_relu(h, 0.2)))


class StabilityDiscriminator(Discriminator):
    """3x3 convolution, a block, then per level a 3x3 mean pooling with stride 2 and a block, and one linear unit for each class.

    Args:
        image_shape: as the generator's.
        width: channels at full size, twice as many with each halving, at most 16 times as many.
        num_classes: None, or the number of classes; the logit of a sample is that of its own class.
    """

    def __init__(self, image_shape: tuple[int, int, int], *, width: int = 64, num_classes: int | None = None) -> None:
        super().__init__()
        self.num_classes = num_classes
        height, side, halvings = pyramid(image_shape, 4, "The R1 paper's discriminator")
        widths = [min(width * 2**level, width * LARGEST_D // 64) for level in range(halvings + 1)]
        blocks: list[nn.Module] = [nn.Conv2d(image_shape[0], width, 3, padding=1), StabilityBlock(width, width)]
        for a, b in zip(widths, widths[1:], strict=False):
            blocks += [nn.AvgPool2d(3, 2, 1), StabilityBlock(a, b)]
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(widths[-1] * height * side, num_classes or 1)
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Judgement:
        """Images [n, c, h, w] to logits [n]; features are the last map, flattened in (h w c) order."""
        features = rearrange(F.leaky_relu(self.blocks(x), 0.2), "n c h w -> n (h w c)")
        outputs: Tensor = self.head(features)  # n k
        if self.num_classes is None:
            return Judgement(outputs.squeeze(1), features)
        return Judgement((outputs * one_hot(labels, self.num_classes, outputs)).sum(1), features)
