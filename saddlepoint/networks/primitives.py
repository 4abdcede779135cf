"""The convolution, its adjoint and its kernel's gradient as plain functions, each by whichever way is the fastest.

Winograd's algorithm where kernels are large (on a CPU), and otherwise torch's own convolutions: in groups the one of two that is the faster.
Form is (stride, padding, groups). Axes: n batch, c channels in, o channels out, h w image, k kernel.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from saddlepoint.networks import winograd, winograd3

Form = tuple[int, int, int]
LARGE = 2**19  # bytes of one image in groups from which, on a CPU, torch's gradient by the image is faster than its convolution; below it slower


def convolve(x: Tensor, kernel: Tensor, bias: Tensor | None, form: Form) -> Tensor:
    """Convolution of x [n, c, h, w] with kernel [o, c/groups, k, k] and bias [o]."""
    stride, padding, groups = form
    if x.shape[2] % 4 == 0 and x.shape[3] % 4 == 0 and winograd.fits(x, kernel.shape, *form, winograd.IMAGE_FROM):
        return _plus(winograd.convolve(x, kernel), bias)
    if winograd3.fits(x, kernel.shape, *form):
        return winograd3.convolve(x, kernel, bias)
    if _turns(x, kernel, form) and _is_large(x):
        return _plus(_gradients(x, _unread(x, kernel.shape[0], x.shape), _turned(kernel, groups), form, 0), bias)
    return F.conv2d(x, kernel, bias, stride, padding, 1, groups)


def adjoint(y: Tensor, kernel: Tensor, bias: Tensor | None, form: Form, shape: torch.Size) -> Tensor:
    """The tensor of ``shape`` whose inner product with any x is that of y with the convolution of x; plus bias."""
    stride, padding, groups = form
    extra = [full - ((short - 1) * stride - 2 * padding + k) for full, short, k in zip(shape[2:], y.shape[2:], kernel.shape[2:], strict=True)]
    if extra == [0, 0] and winograd.fits(y, kernel.shape, *form, winograd.IMAGE_FROM):
        return _plus(winograd.adjoint(y, kernel), bias)
    if winograd3.fits(y, kernel.shape, *form):
        return winograd3.adjoint(y, kernel, bias)
    if groups == 1:
        return F.conv_transpose2d(y, kernel, bias, stride, padding, extra)
    if _turns(y, kernel, form) and not _is_large(y):
        return F.conv2d(y, _turned(kernel, groups), bias, stride, padding, 1, groups)
    return _plus(_gradients(y, _unread(y, shape[1], shape), kernel, form, 0), bias)  # half as fast by conv_transpose2d


def kernel_gradient(x: Tensor, y: Tensor, shape: torch.Size, form: Form) -> Tensor:
    """Derivative by the kernel, of ``shape``, of the inner product of y with the convolution of x."""
    if x.shape[2] == 2 * y.shape[2] and x.shape[3] == 2 * y.shape[3] and winograd.fits(y, shape, *form, winograd.KERNEL_FROM):
        return winograd.kernel_gradient(x, y)
    if winograd3.fits(x, shape, *form):
        return winograd3.kernel_gradient(x, y)
    return _gradients(y, x, x.new_empty(()).expand(shape), form, 1)


def _gradients(y: Tensor, x: Tensor, kernel: Tensor, form: Form, which: int) -> Tensor:
    """torch's gradient of <conv(x, kernel), y> by x (0) or by the kernel (1); of the one asked for only the shape is read."""
    stride, padding, groups = form
    settings = (None, (stride, stride), (padding, padding), (1, 1), False, (0, 0), groups, (which == 0, which == 1, False))
    return torch.ops.aten.convolution_backward(y, x, kernel, *settings)[which]  # type: ignore[no-any-return]


def _plus(y: Tensor, bias: Tensor | None) -> Tensor:
    return y if bias is None else y.add_(bias.view(-1, 1, 1))


def _turns(x: Tensor, kernel: Tensor, form: Form) -> bool:
    """Whether it is one of the convolutions in groups that are the adjoint of such with the kernel turned around, on a CPU."""
    stride, padding, groups = form
    return groups > 1 and stride == 1 and kernel.shape[2] == kernel.shape[3] == 2 * padding + 1 and x.device.type == "cpu"


def _is_large(x: Tensor) -> bool:
    return x[0].numel() * x.element_size() > LARGE


def _turned(kernel: Tensor, groups: int) -> Tensor:
    """The kernel of the adjoint: channels in and out of each group exchanged, pixels turned around; [o, c/groups, k, k] -> [c, o/groups, k, k]."""
    o, c, k = kernel.shape[0] // groups, kernel.shape[1], kernel.shape[2]
    return kernel.reshape(groups, o, c, k, k).transpose(1, 2).flip(3, 4).reshape(groups * c, o, k, k)


def _unread(like: Tensor, channels: int, shape: torch.Size) -> Tensor:
    return torch.empty((shape[0], channels, *shape[2:]), dtype=like.dtype, device=like.device, memory_format=torch.channels_last)
