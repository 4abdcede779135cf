"""Encoders and decoders: fully connected and convolutional, for autoencoders of every kind.

Axes: n batch, c channels, h w image, d code.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from saddlepoint.errors import UsageError
from saddlepoint.networks.convolution import conv2d
from saddlepoint.networks.mlp import ACTIVATIONS, Activation

Kind = Literal["mlp", "conv"]


class MLPEncoder(nn.Module):
    """Images to ``outputs`` numbers through hidden layers of the given widths."""

    def __init__(self, shape: tuple[int, ...], outputs: int, hidden: tuple[int, ...], activation: Activation = "relu") -> None:
        super().__init__()
        self.layers = _layers((math.prod(shape), *hidden), activation)
        self.last = nn.Linear((math.prod(shape), *hidden)[-1], outputs)

    def forward(self, x: Tensor) -> Tensor:
        """x [n, c, h, w] -> [n, outputs]."""
        y: Tensor = self.last(self.layers(x.flatten(1)))
        return y


class MLPDecoder(nn.Module):
    """Codes to images, raw: the likelihood decides what the numbers mean."""

    def __init__(self, shape: tuple[int, ...], code_dim: int, hidden: tuple[int, ...], activation: Activation = "relu") -> None:
        super().__init__()
        self.shape = shape
        self.layers = _layers((code_dim, *hidden), activation)
        self.last = nn.Linear((code_dim, *hidden)[-1], math.prod(shape))

    def forward(self, z: Tensor) -> Tensor:
        """z [n, d] -> [n, c, h, w]."""
        y: Tensor = self.last(self.layers(z))
        return y.view(len(z), *self.shape)


def _layers(sizes: tuple[int, ...], activation: Activation) -> nn.Sequential:
    pairs = zip(sizes[:-1], sizes[1:], strict=True)
    return nn.Sequential(*[layer for inputs, outputs in pairs for layer in (nn.Linear(inputs, outputs), ACTIVATIONS[activation]())])


class ConvEncoder(nn.Module):
    """Three 4x4 convolutions of stride 2 with width, 2 and 4 times width channels, then a linear layer."""

    def __init__(self, shape: tuple[int, ...], outputs: int, width: int) -> None:
        super().__init__()
        c, h, w = _divisible(shape)
        sizes = (c, width, 2 * width, 4 * width)
        self.convs = nn.ModuleList(nn.Conv2d(i, o, 4, 2, 1) for i, o in zip(sizes[:-1], sizes[1:], strict=True))
        self.last = nn.Linear(sizes[-1] * (h // 8) * (w // 8), outputs)

    def forward(self, x: Tensor) -> Tensor:
        """x [n, c, h, w] -> [n, outputs]."""
        for conv in self.convs:
            assert isinstance(conv, nn.Conv2d)
            x = conv2d(x, conv.weight, conv.bias, stride=2, padding=1).relu()
        y: Tensor = self.last(x.flatten(1))
        return y


class ConvDecoder(nn.Module):
    """The mirror of :class:`ConvEncoder`: a linear layer, then three transposed 4x4 convolutions."""

    def __init__(self, shape: tuple[int, ...], code_dim: int, width: int) -> None:
        super().__init__()
        c, h, w = _divisible(shape)
        self.seed = (4 * width, h // 8, w // 8)
        self.first = nn.Linear(code_dim, math.prod(self.seed))
        sizes = (4 * width, 2 * width, width, c)
        self.convs = nn.ModuleList(nn.ConvTranspose2d(i, o, 4, 2, 1) for i, o in zip(sizes[:-1], sizes[1:], strict=True))

    def forward(self, z: Tensor) -> Tensor:
        """z [n, d] -> [n, c, h, w]."""
        x = self.first(z).relu().unflatten(1, self.seed)
        for conv in self.convs[:-1]:
            x = conv(x).relu()
        y: Tensor = self.convs[-1](x)
        return y


def _divisible(shape: tuple[int, ...]) -> tuple[int, int, int]:
    c, h, w = shape
    if h % 8 or w % 8:
        raise UsageError(f"The convolutional encoder halves images three times; {h}x{w} pixels are not divisible by 8. Choose another --resolution.")
    return c, h, w


def encoder_and_decoder(
    kind: Kind, shape: tuple[int, ...], code_dim: int, outputs: int, *, hidden: tuple[int, ...], width: int, activation: Activation
) -> tuple[nn.Module, nn.Module]:
    """A pair that mirrors each other.

    Args:
        kind: "mlp" or "conv".
        shape: of an image.
        code_dim: d.
        outputs: of the encoder: d, or 2 d for a mean and a log variance.
        hidden: widths of the encoder's hidden layers, the decoder's in reverse; of "mlp".
        width: channels of the first convolution; of "conv".
        activation: of "mlp".
    """
    if kind == "conv":
        return ConvEncoder(shape, outputs, width), ConvDecoder(shape, code_dim, width)
    return MLPEncoder(shape, outputs, hidden, activation), MLPDecoder(shape, code_dim, hidden[::-1], activation)


def gaussian_code(statistics: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and log variance [n, d] each, from an encoder's 2 d outputs; the log variance is kept within -10 and 10."""
    mean, log_variance = statistics.chunk(2, dim=1)
    return mean, torch.clamp(log_variance, -10.0, 10.0)
