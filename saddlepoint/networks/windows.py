"""Convolutions as one product of matrices an image, with windows laid out, where torch's own are slow on a CPU.

Two kinds: a large kernel between an image of few channels and one of many, as at both ends of a translator, where torch's convolution to the few
channels and the kernel's gradient leave most of the processor idle; and the kernel's gradient of a 3x3 convolution of stride 2 for one or a few
images. ``python -m saddlepoint.studies.op_speed --only windows`` measures both.

Axes: n batch, c channels in, o channels out, h w result, k kernel's rows and columns.
"""

from __future__ import annotations

import torch
from torch import Tensor

from saddlepoint.networks.winograd import _empty_like

Form = tuple[int, int, int]
FEW, MANY = 4, 16  # channels of the one image at most, and of the other at least
LEAST_KERNEL = 5  # side of a kernel from which a convolution with few channels is faster so
MOST_IMAGES = 4  # of a batch whose strided kernel's gradient is faster so
LEAST_SIDE = 8  # pixels of its small image


def _plain(x: Tensor, form: Form) -> bool:
    """Whether it is on a CPU, in float32 or float64, without groups, and not to be exported to other programs."""
    return x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64) and form[2] == 1 and not torch.compiler.is_exporting()


def fits_few(x: Tensor, weight: tuple[int, ...], form: Form) -> bool:
    """Whether a convolution of stride 1 without padding has a large kernel of shape [few channels, many channels, k, k]."""
    return weight[0] <= FEW and weight[1] >= MANY and weight[2] == weight[3] >= LEAST_KERNEL and form[:2] == (1, 0) and _plain(x, form)


def fits_strided(y: Tensor, weight: tuple[int, ...], form: Form) -> bool:
    """Whether it is a 3x3 convolution of stride 2 and padding 1 with few images y [n, o, h, w] as its result."""
    kind = tuple(weight[2:]) == (3, 3) and form[:2] == (2, 1) and weight[0] * weight[1] >= MANY**3
    return kind and _plain(y, form) and len(y) <= MOST_IMAGES and min(y.shape[2:]) >= LEAST_SIDE


def to_few(x: Tensor, kernel: Tensor) -> Tensor:
    """Convolution of x [n, c, h + k - 1, w + k - 1] with a kernel [o, c, k, k], o small: what each pixel gives to each place of the kernel, added up.

    >>> x, kernel = torch.arange(32.0).view(1, 2, 4, 4), torch.arange(18.0).view(1, 2, 3, 3)
    >>> torch.equal(to_few(x, kernel), torch.nn.functional.conv2d(x, kernel))
    True
    """
    (n, c, height, width), (o, k) = x.shape, (kernel.shape[0], kernel.shape[2])
    h, w = height - k + 1, width - k + 1
    y, places = _empty_like(x, n, o, h, w), kernel.permute(2, 3, 0, 1).reshape(k * k * o, c)
    for image, result in zip(x, y, strict=True):
        given = torch.mm(places, _pixels(image).T).view(k, k, o, height, width)
        total = x.new_zeros(o, h, w)
        for a in range(k):
            for b in range(k):
                total += given[a, b, :, a : a + h, b : b + w]
        result.copy_(total)
    return y


def adjoint_to_few(y: Tensor, kernel: Tensor) -> Tensor:
    """The adjoint of a convolution for y [n, o, h, w] and a kernel [o, c, k, k], c small: [n, c, h + k - 1, w + k - 1], channels_last."""
    (n, o, h, w), (c, k) = y.shape, kernel.shape[1:3]
    x, places = _empty_like(y, n, c, h + k - 1, w + k - 1), kernel.permute(2, 3, 1, 0).reshape(k * k * c, o)
    for image, result in zip(y, x, strict=True):
        given = torch.mm(places, _pixels(image).T).view(k, k, c, h, w)
        total = y.new_zeros(result.shape)
        for a in range(k):
            for b in range(k):
                total[:, a : a + h, b : b + w] += given[a, b]
        result.copy_(total)
    return x


def kernel_gradient_few(x: Tensor, y: Tensor) -> Tensor:
    """Derivative of <conv(x, kernel), y> by the kernel: x [n, c, h + k - 1, w + k - 1] and y [n, o, h, w], o small, to [o, c, k, k]."""
    (o, h), (c, height, width) = y.shape[1:3], x.shape[1:]
    k = height - h + 1
    total = x.new_zeros(k * k * o, c)
    padded = y.new_zeros(o, height + k - 1, width + k - 1)
    plane, row = padded.stride()[:2]
    for image, result in zip(x, y, strict=True):
        padded[:, k - 1 : height, k - 1 : width].copy_(result)
        seen = padded.as_strided((k, k, o, height, width), (row, 1, plane, row, 1)).reshape(k * k * o, -1)  # by each pixel, kernel turned around
        total.addmm_(seen, _pixels(image))
    return total.view(k, k, o, c).flip(0, 1).permute(2, 3, 0, 1)


def kernel_gradient_strided(x: Tensor, y: Tensor) -> Tensor:
    """Derivative by the kernel of a 3x3 convolution of stride 2 and padding 1: x [n, c, h', w'] and y [n, o, h, w] to [o, c, 3, 3], channels_last."""
    (c, height, width), (o, h, w) = x.shape[1:], y.shape[1:]
    kernel = _empty_like(y, o, c, 3, 3)
    matrix = kernel.permute(0, 2, 3, 1).view(o, 9 * c).zero_()
    padded = x.new_zeros(2 * h + 1, 2 * w + 1, c)
    row = padded.stride(0)
    for image, result in zip(x, y, strict=True):
        padded[1 : height + 1, 1 : width + 1].copy_(image.permute(1, 2, 0)[: 2 * h, : 2 * w])
        seen = padded.as_strided((h, w, 3, 3, c), (2 * row, 2 * c, row, c, 1)).reshape(h * w, 9 * c)
        matrix.addmm_(_pixels(result).T, seen)
    return kernel


def _pixels(image: Tensor) -> Tensor:
    """An image [c, h, w] as the matrix [(h w), c]; a view where it lies in channels_last order."""
    return image.permute(1, 2, 0).reshape(-1, len(image))
