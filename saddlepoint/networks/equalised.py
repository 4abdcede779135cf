"""Equalised learning rate, pixel normalisation and the minibatch's deviation (Karras et al. 2018, arXiv:1710.10196, sections 3, 4.1 and 4.2).

A weight is kept with deviation 1 and multiplied by gain / sqrt(fan-in) each time it is used, so that optimisers that divide by the gradient's size
change every weight at the same relative speed. ``lr_multiplier`` makes a layer learn slower still (StyleGAN's mapping network: .01).

Axes: n batch, c channels in, o channels out, h w image, k kernel, g group, m other samples of a group's place.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saddlepoint.draws import draws_like
from saddlepoint.networks.convolution import Resample, conv2d, conv_pool, up_conv


class _Equalised(nn.Module):
    """Weight N(0, 1) / lr_multiplier and bias, both scaled when they are used.

    Args:
        shape: of the weight, outputs first.
        gain: deviation of the outputs for inputs of deviation 1.
        lr_multiplier: of weight and bias.
        bias: whether there is one.
        bias_init: its effective value at the start.
    """

    def __init__(self, shape: tuple[int, ...], *, gain: float, lr_multiplier: float, bias: bool, bias_init: float = 0.0) -> None:
        super().__init__()
        self.gain, self.lr_multiplier = gain, lr_multiplier
        self.weight = nn.Parameter(torch.randn(shape) / lr_multiplier)
        self.bias = nn.Parameter(torch.full((shape[0],), bias_init / lr_multiplier)) if bias else None
        self.scale = gain * lr_multiplier / math.sqrt(math.prod(shape[1:]))

    def used_weight(self, factor: float = 1.0) -> Tensor:
        """The weight in use, times ``factor``; shaped as ``weight``."""
        return self.weight * (self.scale * factor)

    def used_bias(self, factor: float = 1.0) -> Tensor | None:
        """The bias in use, times ``factor``; [o] or None."""
        if self.bias is None or self.lr_multiplier * factor == 1:
            return self.bias
        return self.bias * (self.lr_multiplier * factor)

    def extra_repr(self) -> str:
        """Shown by print(network)."""
        multiplier = "" if self.lr_multiplier == 1 else f", lr_multiplier={self.lr_multiplier:g}"
        return f"{tuple(self.weight.shape)}, gain={self.gain:.4g}{multiplier}, bias={self.bias is not None}"


class EqualisedLinear(_Equalised):
    """Linear layer with equalised learning rate: [n, in_features] to [n, out_features].

    Args:
        in_features: inputs.
        out_features: units.
        gain: sqrt(2) before a ReLU in ProGAN and StyleGAN, 1 elsewhere.
        lr_multiplier: of weight and bias.
        bias: whether there is one.
        bias_init: its effective value at the start; 1 in layers that make styles (StyleGAN2).
    """

    def __init__(
        self, in_features: int, out_features: int, *, gain: float = 1.0, lr_multiplier: float = 1.0, bias: bool = True, bias_init: float = 0.0
    ) -> None:
        super().__init__((out_features, in_features), gain=gain, lr_multiplier=lr_multiplier, bias=bias, bias_init=bias_init)

    def forward(self, x: Tensor) -> Tensor:
        """[..., in_features] -> [..., out_features]."""
        return F.linear(x, self.used_weight(), self.used_bias())


class EqualisedConv2d(_Equalised):
    """Convolution of odd kernel with equalised learning rate that keeps the size, or halves ("down") or doubles ("up") it.

    "down" is the mean of 2x2 after the convolution, "up" doubles the pixels before it; both as one strided convolution.

    Args:
        c: channels in.
        o: channels out.
        kernel: its odd side.
        resample: None, "down" or "up".
        gain: sqrt(2) before a ReLU in ProGAN and StyleGAN, 1 elsewhere.
        lr_multiplier: of weight and bias.
        bias: whether there is one; it starts at 0.
    """

    def __init__(
        self,
        c: int,
        o: int,
        kernel: int = 3,
        *,
        resample: Resample | None = None,
        gain: float = math.sqrt(2),
        lr_multiplier: float = 1.0,
        bias: bool = True,
    ) -> None:
        super().__init__((o, c, kernel, kernel), gain=gain, lr_multiplier=lr_multiplier, bias=bias)
        self.resample = resample

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] -> [n, o, h', w']."""
        weight, bias = self.used_weight(), self.used_bias()
        if self.resample == "down":
            return conv_pool(x, weight, bias)
        if self.resample == "up":
            return up_conv(x, weight, bias)
        return conv2d(x, weight, bias, padding=weight.shape[-1] // 2)


def pixel_norm(x: Tensor, eps: float = 1e-8) -> Tensor:
    """Divide each vector along the second axis by its root mean square: x / sqrt(mean_c x^2 + eps); any shape [n, c, ...].

    Karras et al. 2018, section 4.2. A vector of c numbers comes out with length sqrt(c).

    >>> pixel_norm(torch.tensor([[3.0, 4.0]])).square().sum().item()
    2.0
    """
    return x * x.square().mean(1, keepdim=True).add(eps).rsqrt()


class PixelNorm(nn.Module):
    """:func:`pixel_norm` as a layer."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape [n, c, ...]; returns the same shape."""
        return pixel_norm(x)


class MinibatchStddev(nn.Module):
    """Append how much the samples of a group differ, as constant maps (Karras et al. 2018, section 3).

    The deviation over the group of every value, averaged over pixels and over the channels of each of ``channels`` equal parts, is one number a group
    and part. Sample i belongs with those at i + m, i + 2 m, ... where m = n / group. A batch that the group does not divide takes the largest
    group that does. Where kinds of samples pass together (:meth:`saddlepoint.draws.Draws.together`), each kind is a batch of its own.

    Args:
        group: samples that are compared; None compares the whole batch.
        channels: parts of the channels, each giving one map.
    """

    mixes_samples = True
    keeps_kinds_apart = True

    def __init__(self, group: int | None = 4, channels: int = 1) -> None:
        super().__init__()
        self.group, self.channels = group, channels

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] -> [n, c + channels, h, w]."""
        groups = draws_like(x).groups
        kinds = (x,) if groups == 1 else torch.split(x, len(x) // groups)
        deviations = torch.cat([self._deviation(kind) for kind in kinds])  # n parts
        return torch.cat([x, deviations[:, :, None, None].expand(-1, -1, *x.shape[2:])], 1)

    def _deviation(self, x: Tensor) -> Tensor:
        """The number of each sample's group, [n, parts]."""
        n, c, h, w = x.shape
        most = min(n, self.group or n)
        group = next(size for size in range(most, 0, -1) if n % size == 0)
        y = x.reshape(group, n // group, self.channels, c // self.channels, h, w)  # g m parts c/parts h w
        return (y - y.mean(0)).square().mean(0).add(1e-8).sqrt().mean((2, 3, 4)).repeat(group, 1)

    def extra_repr(self) -> str:
        """Shown by print(network)."""
        return f"group={self.group}, channels={self.channels}"
