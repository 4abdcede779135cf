"""Resampling by a short low-pass filter, alone and joined with a convolution (Karras et al. 2019, arXiv:1812.04948, and 2020, arXiv:1912.04958).

To upsample is to put zeros between the pixels and to filter; to downsample is to filter and to keep every other pixel. Here the zeros are never
written and the dropped pixels never computed: up is a transposed, down a strided depthwise convolution, and each is the other's derivative, so that
derivatives of any order stay cheap. A 3x3 convolution between zeros and filter (or filter and dropping) is likewise a transposed (or strided)
convolution of 9 multiplications a pixel of the smaller image; folding the filter into its kernel would take 36.

Axes: n batch, c channels in, o channels out, h w image, k kernel, t taps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function

from saddlepoint.networks.convolution import conv2d, conv_transpose2d

BILINEAR = (1.0, 2.0, 1.0)  # ProGAN's and StyleGAN's neighbour-doubling, smoothed
BINOMIAL = (1.0, 3.0, 3.0, 1.0)  # StyleGAN2


def kernel_of(taps: Sequence[float]) -> Tensor:
    """The separable filter of these taps, summing to 1: [t, t], float64.

    >>> kernel_of([1, 3, 3, 1])[0].mul(64).tolist()
    [1.0, 3.0, 3.0, 1.0]
    """
    row = torch.tensor(taps, dtype=torch.float64)
    row = row / row.sum()
    return row.outer(row)


class _Filter(Function):
    """filter, then keep every ``down``-th pixel."""

    @staticmethod
    def forward(x: Tensor, kernel: Tensor, down: int, padding: tuple[int, int]) -> Tensor:
        before, after = padding
        if before != after or before < 0:
            x, before = F.pad(x, (before, after, before, after)), 0
        c = x.shape[1]
        return F.conv2d(x, kernel.expand(c, 1, -1, -1), stride=down, padding=before, groups=c)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, kernel, ctx.down, ctx.padding = inputs
        ctx.size = x.shape[2:]
        ctx.save_for_backward(kernel)

    @staticmethod
    def backward(ctx: Any, y: Tensor) -> tuple[Tensor | None, ...]:
        (kernel,) = ctx.saved_tensors
        return _Spread.apply(y, kernel, ctx.down, ctx.padding, ctx.size), None, None, None


class _Spread(Function):
    """The adjoint of :class:`_Filter` from an image of ``size``: zeros between the pixels, then the filter."""

    @staticmethod
    def forward(y: Tensor, kernel: Tensor, up: int, padding: tuple[int, int], size: torch.Size) -> Tensor:
        c, taps = y.shape[1], kernel.shape[-1]
        before, after = padding
        inner = max(min(before, after, taps - 1), 0)  # cropped by the convolution itself; the rest below
        extra = [full - ((short - 1) * up - 2 * inner + taps) for full, short in zip(size, y.shape[2:], strict=True)]
        if before == after == inner and all(0 <= more < up for more in extra):
            return F.conv_transpose2d(y, kernel.expand(c, 1, -1, -1), None, up, inner, extra, c)
        whole = F.conv_transpose2d(y, kernel.expand(c, 1, -1, -1), None, up, 0, 0, c)
        crops = [(-before, full + before - have) for full, have in zip(size, whole.shape[2:], strict=True)]
        return F.pad(whole, (*crops[1], *crops[0]))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        _, kernel, ctx.up, ctx.padding, _ = inputs
        ctx.save_for_backward(kernel)

    @staticmethod
    def backward(ctx: Any, x: Tensor) -> tuple[Tensor | None, ...]:
        (kernel,) = ctx.saved_tensors
        return _Filter.apply(x, kernel, ctx.up, ctx.padding), None, None, None, None


def fir(x: Tensor, kernel: Tensor, *, down: int = 1, padding: tuple[int, int]) -> Tensor:
    """Filter each channel with zero padding, then keep every ``down``-th pixel.

    Args:
        x: [n, c, h, w].
        kernel: [t, t], as :func:`kernel_of` gives it, in the dtype of x.
        down: 1 or more.
        padding: zeros before and after, both ways; negative crops.
    Returns:
        [n, c, h', w'] with h' = (h + before + after - t) // down + 1.
    """
    return cast(Tensor, _Filter.apply(x, kernel.flip(0, 1).to(x.dtype), down, padding))


def fir_down(x: Tensor, kernel: Tensor) -> Tensor:
    """Filter and halve: [n, c, h, w] -> [n, c, h/2, w/2]; h and w even."""
    taps = kernel.shape[-1]
    return fir(x, kernel, down=2, padding=((taps - 1) // 2, (taps - 2) // 2))


def fir_up(x: Tensor, kernel: Tensor) -> Tensor:
    """Double and filter, bright areas staying as bright: [n, c, h, w] -> [n, c, 2h, 2w]."""
    taps = kernel.shape[-1]
    size = torch.Size(2 * side for side in x.shape[2:])
    return cast(Tensor, _Spread.apply(x, (4 * kernel).to(x.dtype), 2, ((taps - 2) // 2, (taps - 1) // 2), size))


def conv_down(x: Tensor, weight: Tensor, bias: Tensor | None, kernel: Tensor) -> Tensor:
    """Filter, convolution with zero padding, keep every other pixel: [n, c, h, w] -> [n, o, h/2, w/2].

    Args:
        x: [n, c, h, w], h and w even.
        weight: [o, c, k, k], k odd.
        bias: [o] or None.
        kernel: the low-pass filter, [t, t].
    """
    k, taps = weight.shape[-1], kernel.shape[-1]
    if k == 1:
        return conv2d(fir_down(x, kernel), weight, bias)
    before, after = k // 2 + (taps - 1) // 2, k // 2 + (taps - 2) // 2
    return conv2d(fir(x, kernel, padding=(before, after)), weight, bias, stride=2)


def conv_up(x: Tensor, weight: Tensor, kernel: Tensor) -> Tensor:
    """Zeros between the pixels, convolution, filter, times 4: [n, c, h, w] -> [n, o, 2h, 2w].

    A convolution in the mathematician's sense: the kernel is turned around, as in a transposed convolution, which then takes it as it is.

    Args:
        x: [n, c, h, w].
        weight: [o, c, k, k], k odd.
        kernel: the low-pass filter, [t, t].
    """
    k, taps = weight.shape[-1], kernel.shape[-1]
    if k == 1:
        return fir_up(conv2d(x, weight), kernel)
    spread = conv_transpose2d(x, weight.transpose(0, 1), stride=2)  # n o 2h+k-2 2w+k-2
    before = (taps + 1) // 2 - k // 2
    return fir(spread, 4 * kernel, padding=(before, taps + 1 - k - before))


def fir_reference(x: Tensor, kernel: Tensor, *, up: int = 1, down: int = 1, padding: tuple[int, int] = (0, 0), gain: float = 1.0) -> Tensor:
    """The definition, step by step: zeros between pixels, padding, filter (a true convolution), dropping. [n, c, h, w] -> [n, c, h', w']."""
    n, c, h, w = x.shape
    spread = x.new_zeros(n, c, h, up, w, up)
    spread[:, :, :, 0, :, 0] = x
    before, after = padding
    padded = F.pad(spread.reshape(n, c, h * up, w * up), (before, after, before, after))
    filtered = F.conv2d(padded.reshape(n * c, 1, *padded.shape[2:]), kernel.flip(0, 1)[None, None].to(x.dtype) * gain)
    return filtered.reshape(n, c, *filtered.shape[2:])[:, :, ::down, ::down]


def conv_down_reference(x: Tensor, weight: Tensor, bias: Tensor | None, kernel: Tensor) -> Tensor:
    """The steps of :func:`conv_down`, one after the other."""
    k, taps = weight.shape[-1], kernel.shape[-1]
    filtered = fir_reference(x, kernel, padding=((taps - 1) // 2 + k // 2, (taps - 2) // 2 + k // 2))
    return F.conv2d(filtered, weight, bias)[:, :, ::2, ::2]


def conv_up_reference(x: Tensor, weight: Tensor, kernel: Tensor) -> Tensor:
    """The steps of :func:`conv_up`, one after the other; zeros and filter first, which commutes with the convolution."""
    k, taps = weight.shape[-1], kernel.shape[-1]
    spread = fir_reference(x, kernel, up=2, padding=((taps + 1) // 2 + k // 2, (taps - 2) // 2 + k // 2), gain=4.0)
    return F.conv2d(spread, weight.flip(2, 3))
