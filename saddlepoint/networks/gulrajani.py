"""The seven architectures that WGAN-GP was shown to train, 64x64 (Gulrajani et al. 2017, arXiv:1704.00028, Figure 2), at any power of two.

    1  DCGAN G and D, 5x5 kernels                      4  as 1, no normalisation in either
    2  G without norm, a constant number of filters    5  as 1, gated units sigmoid(a) tanh(b) everywhere
    3  G of four ReLU layers of 512                    6  as 1, tanh everywhere
    7  101-layer bottleneck residual networks for both

Channels and initialisations are those of the authors' code, whose weights are uniform: of deviation .02 in G of rows 1, 4, 6 and D of rows 1-4, 6;
otherwise Glorot-uniform, with gain sqrt(2) unless stated. At other sizes than 64 the number of levels changes and the channels at full size stay.
Linear layers between a map and a vector use the order (h w c), which is a channels_last image without a copy.

Axes: n batch, c channels, h w image, d latent or feature.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from saddlepoint.errors import UsageError
from saddlepoint.networks.base import Discriminator, Generator, Judgement
from saddlepoint.networks.convolution import conv2d, conv_transpose2d, glorot_uniform_
from saddlepoint.networks.norms import Norm, make_norm

Activation = Literal["relu", "tanh", "gated"]
HE = math.sqrt(2)
PLAIN_STD = 0.02


def _uniform_(weight: Tensor, std: float) -> Tensor:
    return nn.init.uniform_(weight, -std * math.sqrt(3), std * math.sqrt(3))


def _dense(inputs: int, outputs: int, *, std: float | None = None) -> nn.Linear:
    """Linear layer; uniform weights of deviation ``std``, or Glorot-uniform; bias 0."""
    layer = nn.Linear(inputs, outputs)
    _uniform_(layer.weight, std) if std is not None else glorot_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


class Scaling(nn.Module):
    """Convolution of odd kernel that keeps the size (scale 1), halves it (1/2) or doubles it (2): [n, c, h, w] -> [n, o, h', w'].

    Args:
        c: channels in.
        o: channels out.
        kernel: its odd side.
        scale: 1, 0.5 (stride 2) or 2 (transposed, stride 2).
        bias: starts at 0.
        std: deviation of uniform weights; None: Glorot-uniform with ``gain``.
        gain: of Glorot's bound.
    """

    def __init__(self, c: int, o: int, kernel: int, scale: float = 1, *, bias: bool = True, std: float | None = None, gain: float = HE) -> None:
        super().__init__()
        self.scale, self.kernel = scale, kernel
        self.weight = nn.Parameter(torch.empty(*((c, o) if scale == 2 else (o, c)), kernel, kernel))
        _uniform_(self.weight, std) if std is not None else glorot_uniform_(self.weight, gain, stride=1 if scale == 1 else 2)
        self.bias = nn.Parameter(torch.zeros(o)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] -> [n, o, h', w']."""
        padding = self.kernel // 2
        if self.scale == 2:
            return conv_transpose2d(x, self.weight, self.bias, stride=2, padding=padding, output_padding=1)
        return conv2d(x, self.weight, self.bias, stride=1 if self.scale == 1 else 2, padding=padding)


def _activate(x: Tensor, kind: Activation, slope: float = 0.0) -> Tensor:
    """ReLU (leaky with ``slope``), tanh, or sigmoid(a) tanh(b) of alternate channels, which halves them."""
    if kind == "gated":
        return torch.sigmoid(x[:, ::2]) * torch.tanh(x[:, 1::2])
    return torch.tanh(x) if kind == "tanh" else F.leaky_relu(x, slope)


def levels_of(image_shape: tuple[int, int, int]) -> int:
    """Number of doublings from 4x4.

    Raises:
        UsageError: for sides that are not 4 times one power of two, at least 8.

    >>> levels_of((3, 64, 64))
    4
    """
    _, h, w = image_shape
    levels = round(math.log2(max(h, 1) / 4)) if h == w else 0
    if levels < 1 or h != 4 * 2**levels:
        raise UsageError(f"These networks make square images of 8, 16, 32, 64, ... pixels a side; got {h}x{w}. Set such a resolution.")
    return levels


class PlainGenerator(Generator):
    """Rows 1, 2, 4, 5, 6: a linear layer to 4x4, then transposed 5x5 convolutions of stride 2, tanh at the end.

    Args:
        image_shape: (c, h, w).
        latent_dim: d of z.
        channels: of the maps from 4x4 up, before the image.
        norm: "batch" or "none", before each activation but the last.
        activation: of all layers but the last.
        std: of the initial weights; None: Glorot-uniform, gain sqrt(2) for convolutions and 1 for the linear layer.
    """

    def __init__(
        self, image_shape: tuple[int, int, int], latent_dim: int, channels: Sequence[int], *, norm: Norm, activation: Activation, std: float | None
    ) -> None:
        super().__init__()
        self.latent_dim, self.activation = latent_dim, activation
        gates = 2 if activation == "gated" else 1
        self.project = _dense(latent_dim, 16 * channels[0] * gates, std=std)
        self.norms = nn.ModuleList(make_norm(norm, c * gates) for c in channels)
        self.layers = nn.ModuleList(Scaling(c, o * gates, 5, 2, std=std) for c, o in zip(channels, channels[1:], strict=False))
        self.to_image = Scaling(channels[-1], image_shape[0], 5, 2, std=std)
        self.to(memory_format=torch.channels_last)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """[n, d] -> images [n, c, h, w] in [-1, 1]; labels are not used."""
        x = rearrange(self.project(z), "n (h w c) -> n c h w", h=4, w=4)
        x = _activate(self.norms[0](x), self.activation)
        for layer, norm in zip(self.layers, self.norms[1:], strict=True):
            x = _activate(norm(layer(x)), self.activation)
        return torch.tanh(self.to_image(x))


class PlainDiscriminator(Discriminator):
    """Rows 1-6: 5x5 convolutions of stride 2 down to 4x4 and a linear layer; no norm after the first.

    Args:
        image_shape: (c, h, w).
        channels: of the maps, the largest map first.
        norm: before each activation but the first.
        activation: "relu" is LeakyReLU .2 here.
        std: as in G.
    """

    def __init__(self, image_shape: tuple[int, int, int], channels: Sequence[int], *, norm: Norm, activation: Activation, std: float | None) -> None:
        super().__init__()
        self.activation = activation
        gates = 2 if activation == "gated" else 1
        ins = (image_shape[0], *channels[:-1])
        self.layers = nn.ModuleList(Scaling(c, o * gates, 5, 0.5, std=std) for c, o in zip(ins, channels, strict=True))
        self.norms = nn.ModuleList(make_norm(norm if i else "none", o * gates) for i, o in enumerate(channels))
        self.to_logit = _dense(16 * channels[-1], 1, std=std)
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Judgement:
        """Images [n, c, h, w] -> logits [n]; features are the 4x4 map flattened; labels are not used."""
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = _activate(norm(layer(x)), self.activation, slope=0.2)
        features = rearrange(x, "n c h w -> n (h w c)")
        return Judgement(self.to_logit(features).squeeze(1), features)


class DenseGenerator(Generator):
    """Row 3: four ReLU layers of ``width``, a linear layer to the pixels, tanh."""

    def __init__(self, image_shape: tuple[int, int, int], latent_dim: int, width: int = 512) -> None:
        super().__init__()
        self.latent_dim, self.image_shape = latent_dim, image_shape
        sizes = (latent_dim, width, width, width)
        self.hidden = nn.ModuleList(_dense(size, width, std=math.sqrt(2 / size)) for size in sizes)
        self.to_image = _dense(width, math.prod(image_shape))

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """[n, d] -> images [n, c, h, w] in [-1, 1]; labels are not used."""
        for layer in self.hidden:
            z = F.relu(layer(z))
        return torch.tanh(self.to_image(z)).view(-1, *self.image_shape)


class Bottleneck(nn.Module):
    """Row 7: x + .3 norm(1x1(ReLU(3x3(ReLU(1x1(ReLU(x))))))), with half the channels inside; [n, c, h, w] -> [n, o, h', w'].

    The shortcut is the identity, or a 1x1 convolution: of stride 2 where the block halves, to 2x2 pixels where it doubles.
    """

    def __init__(self, c: int, o: int, scale: float, norm: Norm) -> None:
        super().__init__()
        self.conv1 = Scaling(c, c // 2, 1)
        self.conv2 = Scaling(c // 2, o // 2, 3, scale)
        self.conv3 = Scaling(o // 2, o, 1, bias=False)
        self.norm = make_norm(norm, o)
        self.shortcut: nn.Module = nn.Identity()
        if scale == 2:
            self.shortcut = nn.Sequential(Scaling(c, 4 * o, 1, gain=1), nn.PixelShuffle(2))
        elif scale == 0.5:
            self.shortcut = Scaling(c, o, 1, 0.5, gain=1)

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] -> [n, o, h', w']."""
        h = self.conv3(F.relu(self.conv2(F.relu(self.conv1(F.relu(x))))))
        y: Tensor = torch.add(self.shortcut(x), self.norm(h), alpha=0.3)
        return y


def _bottlenecks(channels: Sequence[int], blocks: Sequence[int], scale: float, norm: Norm) -> nn.Sequential:
    """Blocks of each level, joined by a block that halves or doubles."""
    layers: list[nn.Module] = []
    for level, (c, count) in enumerate(zip(channels, blocks, strict=True)):
        if level:
            layers.append(Bottleneck(channels[level - 1], c, scale, norm))
        layers += [Bottleneck(c, c, 1, norm) for _ in range(count)]
    return nn.Sequential(*layers)


class BottleneckGenerator(Generator):
    """Row 7: linear to 4x4, bottlenecks, conv1x1, tanh(x / 5).

    Args:
        image_shape: (c, h, w).
        latent_dim: d of z.
        channels: of each level from 4x4 to full size, even.
        blocks: of each level besides those that double.
        norm: after the last convolution of each block.
    """

    def __init__(self, image_shape: tuple[int, int, int], latent_dim: int, channels: Sequence[int], blocks: Sequence[int], *, norm: Norm) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.project = _dense(latent_dim, 16 * channels[0])
        self.body = _bottlenecks(channels, blocks, 2, norm)
        self.to_image = Scaling(channels[-1], image_shape[0], 1, gain=1)
        self.to(memory_format=torch.channels_last)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """[n, d] -> images [n, c, h, w] in [-1, 1]; labels are not used."""
        x = rearrange(self.project(z), "n (h w c) -> n c h w", h=4, w=4)
        return torch.tanh(self.to_image(self.body(x)) / 5)


class BottleneckDiscriminator(Discriminator):
    """Row 7: conv1x1, bottlenecks mirrored, linear / 5; arguments as in G, ``channels`` and ``blocks`` from full size to 4x4."""

    def __init__(self, image_shape: tuple[int, int, int], channels: Sequence[int], blocks: Sequence[int], *, norm: Norm) -> None:
        super().__init__()
        self.from_image = Scaling(image_shape[0], channels[0], 1, gain=1)
        self.body = _bottlenecks(channels, blocks, 0.5, norm)
        self.to_logit = _dense(16 * channels[-1], 1)
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Judgement:
        """Images [n, c, h, w] -> logits [n]; features are the 4x4 map flattened; labels are not used."""
        features = rearrange(self.body(self.from_image(x)), "n c h w -> n (h w c)")
        return Judgement(self.to_logit(features).squeeze(1) / 5, features)


def architecture(
    row: int,
    image_shape: tuple[int, int, int],
    width: int = 64,
    critic_norm: Norm = "batch",
    *,
    latent_dim: int = 128,
    blocks: int | Sequence[int] | None = None,
) -> tuple[Generator, Discriminator]:
    """G and D of one row of the table.

    Args:
        row: 1 to 7.
        image_shape: (c, h, w), square, 64 as published.
        width: channels at half size, 64 as published; row 7 has half of it at full size. It does not change the 512 units of row 3.
        critic_norm: of D: "layer" with the gradient penalty and "batch" otherwise as published; row 4 has none whatever is said.
        latent_dim: d of z.
        blocks: row 7: blocks of each level from 4x4 up, or one number for all; None: 6 a level and 5 at full size.
    Raises:
        UsageError: for a row, size or number of blocks that does not exist.
    """
    levels = levels_of(image_shape)
    if row not in range(1, 8):
        raise UsageError(f"The table has rows 1 to 7; row {row} was asked for.")
    rising = [width * 2**i for i in range(levels)]  # as D meets them
    if row == 7:
        counts, channels = _blocks(blocks, levels), [width // 2, *rising]
        generator = BottleneckGenerator(image_shape, latent_dim, channels[::-1], counts, norm="batch")
        return generator, BottleneckDiscriminator(image_shape, channels, counts[::-1], norm=critic_norm)
    activation: Activation = "gated" if row == 5 else "tanh" if row == 6 else "relu"
    std = None if row == 5 else PLAIN_STD
    critic = PlainDiscriminator(image_shape, rising, norm="none" if row == 4 else critic_norm, activation=activation, std=std)
    if row == 3:
        return DenseGenerator(image_shape, latent_dim), critic
    if row == 2:
        return PlainGenerator(image_shape, latent_dim, [width] * levels, norm="none", activation="relu", std=None), critic
    norm: Norm = "none" if row == 4 else "batch"
    return PlainGenerator(image_shape, latent_dim, rising[::-1], norm=norm, activation=activation, std=std), critic


def _blocks(blocks: int | Sequence[int] | None, levels: int) -> list[int]:
    """Number of blocks of each of the levels + 1 map sizes, from 4x4 up."""
    given = [blocks] * (levels + 1) if isinstance(blocks, int) else blocks
    counts = [6] * levels + [5] if given is None else list(given)
    if len(counts) != levels + 1 or min(counts) < 0:
        raise UsageError(f"blocks needs {levels + 1} numbers of 0 or more, one for each map size from 4x4 up; got {counts}.")
    return counts
