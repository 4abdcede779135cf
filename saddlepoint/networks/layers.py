"""Layers and small tools that several networks share.

Axes: n batch, c channels, h w image, d features, k classes.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saddlepoint.draws import draws_like
from saddlepoint.errors import UsageError
from saddlepoint.networks.convolution import conv2d, conv_transpose2d


class Dropout(nn.Module):
    """Set each value to 0 with probability ``p`` and divide the others by 1 - p, while training (Srivastava et al. 2014, inverted).

    The mask comes from the draws of the turn, so that micro-batches see the mask of the whole batch.

    Args:
        p: probability of being dropped, 0 <= p < 1. Goodfellow et al. 2014 quote the share kept, 1 - p: .8 at the input, .5 inside.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"Dropout needs a probability 0 <= p < 1; got {p}.")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Any shape [n, ...]; returns the same shape."""
        if not self.training or self.p == 0:
            return x
        keep = draws_like(x).uniform(*x.shape) >= self.p
        return x * keep.to(x.dtype).div_(1 - self.p)

    def extra_repr(self) -> str:
        """Shown by print(network)."""
        return f"p={self.p}"


class GaussianNoise(nn.Module):
    """Add N(0, std^2) to every value while training; the noise comes from the draws of the turn."""

    def __init__(self, std: float) -> None:
        super().__init__()
        self.std = std

    def forward(self, x: Tensor) -> Tensor:
        """Any shape [n, ...]; returns the same shape."""
        if not self.training or self.std == 0:
            return x
        return x + draws_like(x).normal(*x.shape).to(x.dtype) * self.std

    def extra_repr(self) -> str:
        """Shown by print(network)."""
        return f"std={self.std}"


class _WeightNorm(nn.Module):
    """w = scale * v / ||v||, one scale and one norm an output unit (Salimans & Kingma 2016, Eq. 2).

    ``weight`` is v; ``scale`` is trained or a buffer. While ``initialising`` is set, a forward pass first sets scale and bias so that the
    outputs on this batch have mean 0 and deviation ``target_std`` (Eq. 5).
    """

    out_axis = 0
    scale: Tensor

    def __init__(self, shape: tuple[int, ...], units: int, *, weight_std: float, train_scale: bool, target_std: float | None) -> None:
        super().__init__()
        self.initialising = False
        self.target_std = target_std
        self.norm_axes = [axis for axis, size in enumerate(shape) if axis != self.out_axis]
        self.weight = nn.Parameter(torch.empty(shape).normal_(0, weight_std))
        self.bias = nn.Parameter(torch.zeros(units))
        if train_scale:
            self.scale = nn.Parameter(torch.ones(units))
        else:
            self.register_buffer("scale", torch.ones(units))

    def unit_weight(self) -> Tensor:
        """The weight in use, shaped as ``weight``; 1e-6 keeps a unit of zeros finite, as in the authors' code."""
        norm = self.weight.square().sum(self.norm_axes, keepdim=True).add(1e-6).sqrt()
        return self.weight * (self.scale.view(norm.shape) / norm)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer to x [n, inputs, ...]."""
        if self.initialising and self.target_std is not None:
            outputs = self._map(x, None)
            std, mean = torch.std_mean(outputs, [axis for axis in range(outputs.ndim) if axis != 1], correction=0)
            factor = torch.where(std > 0, self.target_std / std, torch.ones_like(std))
            self.scale.mul_(factor)
            self.bias.copy_(-mean * factor)
        return self._map(x, self.bias)

    def _map(self, x: Tensor, bias: Tensor | None) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} must say how its weight maps x.")


class WeightNormLinear(_WeightNorm):
    """Linear layer with weight normalisation: [n, in_features] to [n, out_features].

    Args:
        in_features: inputs.
        out_features: units.
        weight_std: deviation of v at the start: .1 in the MNIST networks of Salimans et al. 2016, .05 in the CIFAR ones.
        train_scale: whether the scale is trained; only the last layers of Salimans et al. 2016 train it.
        target_std: deviation of the outputs after data-dependent initialisation; None leaves this layer out of it.
    """

    def __init__(
        self, in_features: int, out_features: int, *, weight_std: float = 0.05, train_scale: bool = False, target_std: float | None = 1.0
    ) -> None:
        super().__init__((out_features, in_features), out_features, weight_std=weight_std, train_scale=train_scale, target_std=target_std)

    def _map(self, x: Tensor, bias: Tensor | None) -> Tensor:
        return F.linear(x, self.unit_weight(), bias)


class WeightNormConv2d(_WeightNorm):
    """Convolution with weight normalisation, one scale a channel: [n, channels, h, w] to [n, out_channels, h', w']; v starts as N(0, .05)."""

    def __init__(self, channels: int, out_channels: int, kernel: int, *, stride: int = 1, padding: int = 0) -> None:
        super().__init__((out_channels, channels, kernel, kernel), out_channels, weight_std=0.05, train_scale=False, target_std=1.0)
        self.stride = stride
        self.padding = padding

    def _map(self, x: Tensor, bias: Tensor | None) -> Tensor:
        return F.conv2d(x, self.unit_weight(), bias, self.stride, self.padding)


class WeightNormDoubling(_WeightNorm):
    """Transposed 5x5 convolution with stride 2 and weight normalisation: [n, channels, h, w] to [n, out_channels, 2h, 2w]."""

    out_axis = 1

    def __init__(self, channels: int, out_channels: int, *, train_scale: bool = False, target_std: float = 1.0) -> None:
        super().__init__((channels, out_channels, 5, 5), out_channels, weight_std=0.05, train_scale=train_scale, target_std=target_std)

    def _map(self, x: Tensor, bias: Tensor | None) -> Tensor:
        return F.conv_transpose2d(x, self.unit_weight(), bias, 2, 2, 1)


class ShiftBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch normalisation of [n, d] or [n, c, h, w] with a bias but no gain, as before a ReLU in Salimans et al. 2016 and Neyshabur et al. 2017."""

    def __init__(self, num_features: int, eps: float = 1e-5) -> None:
        super().__init__(num_features, eps=eps)
        self.register_parameter("weight", None)

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim not in (2, 4):
            raise ValueError(f"ShiftBatchNorm needs [n, d] or [n, c, h, w]; got {list(input.shape)}.")


class Halving(nn.Conv2d):
    """torch's convolution with stride 2 that halves height and width, for kernels 4 and 5; kernel 4 by :func:`conv2d`."""

    def __init__(self, channels: int, out_channels: int, kernel: int, *, bias: bool = False) -> None:
        super().__init__(channels, out_channels, kernel, 2, (kernel - 1) // 2, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """[n, channels, 2h, 2w] -> [n, out_channels, h, w]."""
        if self.kernel_size[0] != 4:
            return super().forward(x)
        return conv2d(x, self.weight, self.bias, stride=2, padding=1)


class _Doubling(nn.ConvTranspose2d):
    """torch's transposed convolution with stride 2 and kernel 4, by :func:`conv_transpose2d`."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """[n, channels, h, w] -> [n, out_channels, 2h, 2w]."""
        return conv_transpose2d(x, self.weight, self.bias, stride=2, padding=1)


def doubling(channels: int, out_channels: int, kernel: int, *, bias: bool = False) -> nn.ConvTranspose2d:
    """Transposed convolution that doubles height and width exactly, for kernels 3, 4 and 5."""
    padding = (kernel - 1) // 2
    layer = _Doubling if kernel == 4 else nn.ConvTranspose2d
    return layer(channels, out_channels, kernel, 2, padding, output_padding=2 * padding + 2 - kernel, bias=bias)


def one_hot(labels: Tensor | None, num_classes: int, like: Tensor) -> Tensor:
    """Labels as 0/1 vectors, shape [n, num_classes], in the dtype of ``like``.

    Raises:
        UsageError: without labels.
    """
    if labels is None:
        raise UsageError(f"This network is conditional on {num_classes} classes and needs labels; got none. Use data with labels.")
    return F.one_hot(labels, num_classes).to(like.dtype)


def with_labels(x: Tensor, y: Tensor | None) -> Tensor:
    """Concatenate label vectors y [n, k] to features x [n, d], or as constant maps to x [n, c, h, w]; x itself where y is None."""
    if y is None:
        return x
    return torch.cat([x, y if x.ndim == 2 else y[:, :, None, None].expand(-1, -1, *x.shape[2:])], 1)


def pyramid(image_shape: tuple[int, ...], lowest: int, maker: str) -> tuple[int, int, int]:
    """How an image is reached from a small map by doublings: (base height, base width, number of doublings).

    The shorter side of the base lies in lowest .. 2 * lowest - 1, so sizes such as 28 = 7 * 4 and 48 = 6 * 8 work for ``lowest`` 4.

    Raises:
        UsageError: for a size that cannot be made so, with the nearest ones that can.

    >>> pyramid((3, 64, 64), 4, "DCGAN"), pyramid((1, 28, 56), 4, "DCGAN")
    ((4, 4, 4), (7, 14, 2))
    """
    if len(image_shape) != 3:
        raise UsageError(f"{maker} makes images (channels, height, width); got samples of shape {tuple(image_shape)}. Use an MLP recipe for points.")
    _, height, width = image_shape
    doublings = _doublings(height, width, lowest)
    if doublings == 0:
        steps = [2**k for k in range(1, 12)]
        rounded = [(height // s + up, width // s + right, s) for s in steps for up in (0, 1) for right in ((up,) if height == width else (0, 1))]
        sizes = {(max(lowest, h) * s, max(lowest, w) * s) for h, w, s in rounded}
        near = sorted((size for size in sizes if _doublings(*size, lowest)), key=lambda size: (abs(size[0] - height) + abs(size[1] - width), size))
        names = " and ".join(f"{h}x{w}" for h, w in near[:2])
        raise UsageError(f"{maker} cannot make images of {height}x{width}; the nearest it can make are {names}. Choose such a resolution.")
    return height // 2**doublings, width // 2**doublings, doublings


def _doublings(height: int, width: int, lowest: int) -> int:
    """How often both sides can be halved with the shorter one landing in lowest .. 2 * lowest - 1; 0 if they cannot."""
    halvings = int(math.log2(max(1, min(height, width) // lowest)))
    return 0 if height % 2**halvings or width % 2**halvings else halvings
