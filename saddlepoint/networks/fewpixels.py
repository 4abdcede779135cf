"""The 4x4 convolution of stride 2 over few pixels: one product of a small matrix with the kernel as it lies in memory.

Where an image has few pixels and the kernel many channels, as inside a U-Net at batch 1, all the time goes into reading the kernel. In channels_last
memory a kernel is the matrix [o, 16 c]; the windows of the image are [pixels, 16 c], the result is [pixels, o]. So the convolution, its adjoint and
its kernel's gradient are one product each, and the gradient is written once, in the order that the kernel has. torch reorders the kernel and copies
its gradient: ``python -m saddlepoint.studies.op_speed --only pixels`` measures by how much that is slower. One product of so thin a matrix stays in
one thread; cut into parts of the kernel, all threads read.

Axes: n batch, c channels of the large image, o of the small one, h w small image, 4 4 the kernel's rows and columns.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from saddlepoint.networks.winograd import _empty_like, halves

MOST_PIXELS, MOST_PIXELS_KERNEL = 64, 128  # of all small images of a batch together: the convolution and its adjoint, the kernel's gradient
LEAST_CHANNELS = 2**17  # channels in x out
PARTS = 16  # that the kernel is read in, each by one thread
ROWS = ((8, 8), (32, 32))  # pixels up to which the kernel's gradient is written in so many rows at a time


def fits(small: Tensor, weight: tuple[int, ...], stride: int, padding: int, groups: int, most: int) -> bool:
    """Whether a convolution is of this kind, on a CPU, with ``most`` pixels; other arguments as of :func:`saddlepoint.networks.winograd.fits`."""
    if weight[0] * weight[1] < LEAST_CHANNELS or not halves(small, weight, stride, padding, groups):
        return False
    return small.shape[0] * small.shape[2] * small.shape[3] <= most


def convolve(x: Tensor, kernel: Tensor) -> Tensor:
    """Convolution of x [n, c, 2h, 2w] with a kernel [o, c, 4, 4], stride 2, padding 1: [n, o, h, w], channels_last.

    >>> x, kernel = torch.arange(8.0).view(1, 2, 2, 2), torch.arange(96.0).view(3, 2, 4, 4)
    >>> torch.equal(convolve(x, kernel), torch.nn.functional.conv2d(x, kernel, stride=2, padding=1))
    True
    """
    (n, _, height, width), o = x.shape, kernel.shape[0]
    y = _empty_like(x, n, o, height // 2, width // 2)
    windows, matrix, parts = _windows(x), _matrix(kernel), math.gcd(o, PARTS)
    found = torch.bmm(windows.expand(parts, -1, -1), matrix.view(parts, o // parts, -1).transpose(1, 2))  # parts pixels o/parts
    _pixels(y).view(-1, parts, o // parts).copy_(found.transpose(0, 1))
    return y


def adjoint(y: Tensor, kernel: Tensor) -> Tensor:
    """Transposed convolution of y [n, o, h, w] with a kernel [o, c, 4, 4], stride 2, padding 1: [n, c, 2h, 2w], channels_last."""
    (n, _, h, w), c = y.shape, kernel.shape[1]
    taps = _matrix(kernel).view(-1, 16, c).transpose(0, 1)
    parts = torch.bmm(_pixels(y).expand(16, -1, -1), taps).view(4, 4, n, h, w, c)  # what each pixel adds to the 4x4 pixels around it
    rows = _meet(parts.permute(0, 2, 3, 4, 1, 5), parts.new_empty(n, h, 2, w, 4, c).permute(2, 0, 1, 3, 4, 5), 2)  # 2 n h w 4 c
    image = _empty_like(y, n, c, 2 * h, 2 * w)
    _meet(rows.permute(4, 0, 1, 2, 3, 5), image.permute(0, 2, 3, 1).view(n, h, 2, w, 2, c).permute(4, 2, 0, 1, 3, 5), 4)  # 2 2 n h w c
    return image


def kernel_gradient(x: Tensor, y: Tensor) -> Tensor:
    """Derivative of <conv(x, kernel), y> by the kernel: x [n, c, 2h, 2w] and y [n, o, h, w] to [o, c, 4, 4], channels_last."""
    kernel = _empty_like(y, y.shape[1], x.shape[1], 4, 4)
    results, windows, matrix = _pixels(y).T, _windows(x), _matrix(kernel)  # o pixels, pixels 16c, o 16c
    rows = next((rows for most, rows in ROWS if len(windows) <= most), 0)
    if rows == 0 or len(matrix) % rows:
        torch.mm(results, windows, out=matrix)
    else:
        torch.bmm(results.reshape(-1, rows, len(windows)), windows.expand(len(matrix) // rows, -1, -1), out=matrix.view(-1, rows, matrix.shape[1]))
    return kernel


def _matrix(kernel: Tensor) -> Tensor:
    """A kernel [o, c, 4, 4] as the matrix [o, (4 4 c)]; a view where it lies in channels_last order."""
    return kernel.permute(0, 2, 3, 1).reshape(kernel.shape[0], -1)


def _pixels(y: Tensor) -> Tensor:
    """An image [n, o, h, w] as the matrix [(n h w), o]; a view where it lies in channels_last order."""
    return y.permute(0, 2, 3, 1).reshape(-1, y.shape[1])


def _windows(x: Tensor) -> Tensor:
    """The 4x4 pixels that each pixel of the result looks at: [n, c, 2h, 2w] -> [(n h w), (4 4 c)]."""
    n, c, height, width = x.shape
    padded = x.new_zeros(n, height + 2, width + 2, c)
    padded[:, 1:-1, 1:-1].copy_(x.permute(0, 2, 3, 1))
    image, row = padded.stride()[:2]
    return padded.as_strided((n, height // 2, width // 2, 4, 4, c), (image, 2 * row, 2 * c, row, c, 1)).reshape(-1, 16 * c)


def _meet(parts: Tensor, pairs: Tensor, axis: int) -> Tensor:
    """Add up along an axis what the four taps [4, ...] of each pixel add to the pairs of pixels [2, ...] of the larger image; ``axis`` counts pairs.

    Tap 1 falls on the first of a pixel's own pair and tap 2 on the second, tap 0 on the second of the pair before and tap 3 on the first of the next.
    """
    length = pairs.shape[axis]
    pairs[0].copy_(parts[1])
    pairs[1].copy_(parts[2])
    if length > 1:
        before, after = (slice(None),) * (axis - 1) + (slice(0, length - 1),), (slice(None),) * (axis - 1) + (slice(1, length),)
        pairs[0][after] += parts[3][before]
        pairs[1][before] += parts[0][after]
    return pairs
