"""Maxout (Goodfellow et al. 2013) and the discriminators of the first GAN paper (Goodfellow et al. 2014) that are made of it.

Sizes, dropout and ranges as in the authors' configuration files. Axes: n batch, c channels, h w image, d features, p pieces.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from saddlepoint.errors import UsageError
from saddlepoint.networks.base import Discriminator, Judgement
from saddlepoint.networks.initialisation import uniform_weights
from saddlepoint.networks.layers import Dropout, one_hot, with_labels

WEIGHT_RANGE = 0.005  # irange of every layer of every discriminator


class Maxout(nn.Linear):
    """The largest of ``pieces`` linear maps for each of ``units`` units: [n, in_features] to [n, units]."""

    def __init__(self, in_features: int, units: int, pieces: int) -> None:
        super().__init__(in_features, pieces * units)
        self.pieces = pieces

    def forward(self, x: Tensor) -> Tensor:
        """Shape [n, in_features] to [n, units]."""
        return rearrange(super().forward(x), "n (p d) -> n p d", p=self.pieces).amax(1)


class MaxoutConv2d(nn.Conv2d):
    """Maxout over ``pieces`` convolutions, then maximum pooling whose last window may stick out, as in the authors' library.

    Args:
        channels: in.
        out_channels: out, each the maximum of its pieces.
        kernel: side of the square kernels.
        padding: zeros on each side.
        pieces: convolutions a channel.
        pool: side of the pooling windows, 2 apart.
    """

    def __init__(self, channels: int, out_channels: int, kernel: int, *, padding: int, pieces: int, pool: int) -> None:
        super().__init__(channels, pieces * out_channels, kernel, padding=padding)
        self.pieces = pieces
        self.pool = pool

    def side(self, side: int) -> int:
        """Side of the output for an input of this side; 0 if it is too small."""
        detector = side + 2 * int(self.padding[0]) - self.kernel_size[0] + 1
        return math.ceil((detector - self.pool) / 2) + 1 if detector >= self.pool else 0

    def forward(self, x: Tensor) -> Tensor:
        """Shape [n, channels, h, w] to [n, out_channels, side(h), side(w)]."""
        pieces = rearrange(super().forward(x), "n (p c) h w -> n p c h w", p=self.pieces)
        return F.max_pool2d(pieces.amax(1), self.pool, 2, ceil_mode=True)


class MaxoutDiscriminator(Discriminator):
    """Two maxout layers and one linear unit, dropout before each (Goodfellow et al. 2014, MNIST, TFD and CIFAR-10 fully connected).

    Args:
        sample_shape: any, flattened.
        units: of each maxout layer: 240 for MNIST, 1200 for TFD, 1600 for CIFAR-10.
        pieces: linear maps a unit.
        unit_interval: map samples from [-1, 1] to the [0, 1] that the paper feeds; False for points and for data of another range.
        input_drop: share of inputs dropped (kept .8, scaled 1.25).
        hidden_drop: share of hidden units dropped (kept .5, scaled 2).
        num_classes: None, or the number of classes whose one-hot vector joins the input.
    """

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        *,
        units: int = 240,
        pieces: int = 5,
        unit_interval: bool = True,
        input_drop: float = 0.2,
        hidden_drop: float = 0.5,
        num_classes: int | None = None,
    ) -> None:
        super().__init__()
        self.unit_interval = unit_interval
        self.num_classes = num_classes
        size = math.prod(sample_shape) + (num_classes or 0)
        self.hidden = nn.Sequential(Dropout(input_drop), Maxout(size, units, pieces), Dropout(hidden_drop), Maxout(units, units, pieces))
        self.drop = Dropout(hidden_drop)
        self.head = nn.Linear(units, 1)
        uniform_weights(self, WEIGHT_RANGE)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Judgement:
        """Samples [n, ...] to logits [n]; features [n, units] are the second maxout layer before its dropout."""
        x = rearrange(x, "n ... -> n (...)")
        x = x.add(1).div(2) if self.unit_interval else x
        features: Tensor = self.hidden(with_labels(x, one_hot(labels, self.num_classes, x) if self.num_classes else None))
        return Judgement(self.head(self.drop(features)).squeeze(1), features)


class MaxoutConvDiscriminator(Discriminator):
    """Three maxout convolutions, a maxout layer and one linear unit (Goodfellow et al. 2014, CIFAR-10 convolutional).

    32 channels (8x8, pool 4/2), 32 (8x8, pool 4/2), 192 (5x5, pool 2/2), 2 pieces each, then 500 units of 5 pieces; dropout before each.

    Args:
        image_shape: (c, h, w); sides of at least 10.
        width: of the first two layers; the third has 6 times as many channels.
        units: of the maxout layer.
    """

    def __init__(self, image_shape: tuple[int, int, int], *, width: int = 32, units: int = 500) -> None:
        super().__init__()
        channels, *sides = image_shape
        layers = [
            MaxoutConv2d(channels, width, 8, padding=4, pieces=2, pool=4),
            MaxoutConv2d(width, width, 8, padding=3, pieces=2, pool=4),
            MaxoutConv2d(width, 6 * width, 5, padding=3, pieces=2, pool=2),
        ]
        for layer in layers:
            sides = [layer.side(side) for side in sides]
        if min(sides) < 1 or min(image_shape[1:]) < 10:
            raise UsageError(f"The convolutional maxout discriminator needs images of at least 10x10; got {image_shape[1]}x{image_shape[2]}.")
        drops = [Dropout(p) for p in (0.2, 0.5, 0.5)]
        self.convolutions = nn.Sequential(*(module for pair in zip(drops, layers, strict=True) for module in pair))
        self.maxout = Maxout(6 * width * math.prod(sides), units, 5)
        self.drop = Dropout(0.5)
        self.head = nn.Linear(units, 1)
        uniform_weights(self, WEIGHT_RANGE)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Judgement:
        """Images [n, c, h, w] to logits [n]; features [n, units] are the maxout layer before its dropout. ``labels`` are not used."""
        h: Tensor = self.convolutions(x)
        features: Tensor = self.maxout(self.drop(rearrange(h, "n c h w -> n (c h w)")))
        return Judgement(self.head(self.drop(features)).squeeze(1), features)


@torch.no_grad()
def constrain_column_norm(modules: nn.Module | Iterable[nn.Module], max_norm: float = 1.9365) -> None:
    """Shrink the incoming weights of every unit to Euclidean length ``max_norm`` at most; apply after each move of the player.

    The maximum column norm of Goodfellow et al. 2014 for the Toronto Face Database: of linear layers and convolutions, and on each piece
    of a maxout unit separately.

    >>> layer = nn.Linear(2, 1)
    >>> _ = layer.weight.data.copy_(torch.tensor([[3.0, 4.0]]))
    >>> constrain_column_norm(layer, 1.0)
    >>> [round(w, 3) for w in layer.weight[0].tolist()]
    [0.6, 0.8]
    """
    for module in [modules] if isinstance(modules, nn.Module) else modules:
        for layer in module.modules():
            if isinstance(layer, (nn.Linear, nn.Conv2d)):
                norms = layer.weight.flatten(1).norm(dim=1)
                scales = norms.clamp(max=max_norm) / (1e-7 + norms)
                layer.weight.mul_(scales.view(-1, *[1] * (layer.weight.ndim - 1)))
