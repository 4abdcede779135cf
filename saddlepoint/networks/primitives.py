"""The convolution, its adjoint and its kernel's gradient as plain functions, each by whichever way is the fastest.

A matrix product where there are few pixels, or few channels and a large kernel, Winograd's algorithm where kernels have many channels (all on a
CPU), a convolution of the small image where the large one has few channels, and otherwise torch's own convolutions: in groups the one of two that is
the faster.
Form is (stride, padding, groups). Axes: n batch, c channels in, o channels out, h w image, k kernel.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from saddlepoint.networks import fewpixels, windows, winograd, winograd3

Form = tuple[int, int, int]
FEW = 4  # channels of an image up to which it is made place by place of its 2x2 blocks
LARGE = 2**19  # bytes of one image in groups from which, on a CPU, torch's gradient by the image is faster than its convolution; below it slower


def convolve(x: Tensor, kernel: Tensor, bias: Tensor | None, form: Form, held: list[Tensor] | None = None) -> Tensor:
    """Convolution of x [n, c, h, w] with kernel [o, c/groups, k, k] and bias [o]; what the adjoint can use again is added to ``held``."""
    stride, padding, groups = form
    if x.shape[2] % 2 == 0 == x.shape[3] % 2 and fewpixels.fits(x[:, :, ::2, ::2], kernel.shape, *form, fewpixels.MOST_PIXELS):
        return _plus(fewpixels.convolve(x, kernel), bias)
    if x.shape[2] % 4 == 0 and x.shape[3] % 4 == 0 and winograd.fits(x, kernel.shape, *form, winograd.IMAGE_FROM, 4 * winograd.LEAST_PIXELS):
        return _plus(winograd.convolve(x, kernel, _shared(winograd.factors(kernel), held)), bias)
    if windows.fits_few(x, kernel.shape, form):
        return _plus(windows.to_few(x, kernel), bias)
    if winograd3.fits(x, kernel.shape, *form):
        return winograd3.convolve(x, kernel, bias, padding, _shared(winograd3.factors(kernel, x, padding), held))
    if _turns(x, kernel, form) and _is_large(x):
        return _plus(_gradients(x, _unread(x, kernel.shape[0], x.shape), _turned(kernel, groups), form, 0), bias)
    return F.conv2d(x, kernel, bias, stride, padding, 1, groups)


def adjoint(y: Tensor, kernel: Tensor, bias: Tensor | None, form: Form, shape: torch.Size, held: list[Tensor] | None = None) -> Tensor:
    """The tensor of ``shape`` whose inner product with any x is that of y with the convolution of x; plus bias; ``held`` as of the convolution."""
    stride, padding, groups = form
    extra = [full - ((short - 1) * stride - 2 * padding + k) for full, short, k in zip(shape[2:], y.shape[2:], kernel.shape[2:], strict=True)]
    if extra == [0, 0] and fewpixels.fits(y, kernel.shape, *form, fewpixels.MOST_PIXELS):
        return _plus(fewpixels.adjoint(y, kernel), bias)
    if extra == [0, 0] and winograd.fits(y, kernel.shape, *form, winograd.IMAGE_FROM, winograd.LEAST_PIXELS):
        return _plus(winograd.adjoint(y, kernel, _shared(winograd.factors(kernel), held)), bias)
    if extra == [0, 0] and winograd3.fits(y, kernel.shape, *form, result=True):
        return winograd3.adjoint(y, kernel, bias, padding)
    if extra == [0, 0] and windows.fits_few(y, (kernel.shape[1], kernel.shape[0], *kernel.shape[2:]), form):
        return _plus(windows.adjoint_to_few(y, kernel), bias)
    if extra == [0, 0] and kernel.shape[1] <= FEW and winograd.halves(y, kernel.shape, *form):
        return _plus(_to_few(y, kernel), bias)
    if groups == 1:
        return F.conv_transpose2d(y, kernel, bias, stride, padding, extra)
    if _turns(y, kernel, form) and not _is_large(y):
        return F.conv2d(y, _turned(kernel, groups), bias, stride, padding, 1, groups)
    return _plus(_gradients(y, _unread(y, shape[1], shape), kernel, form, 0), bias)  # half as fast by conv_transpose2d


def kernel_gradient(x: Tensor, y: Tensor, shape: torch.Size, form: Form) -> Tensor:
    """Derivative by the kernel, of ``shape``, of the inner product of y with the convolution of x."""
    if x.shape[2] == 2 * y.shape[2] and x.shape[3] == 2 * y.shape[3]:
        if fewpixels.fits(y, shape, *form, fewpixels.MOST_PIXELS_KERNEL):
            return fewpixels.kernel_gradient(x, y)
        if winograd.fits(y, shape, *form, winograd.KERNEL_FROM):
            return winograd.kernel_gradient(x, y)
    if windows.fits_few(x, shape, form):
        return windows.kernel_gradient_few(x, y)
    if windows.fits_strided(y, shape, form):
        return windows.kernel_gradient_strided(x, y)
    if winograd3.fits(x, shape, *form, by_kernel=True):
        return winograd3.kernel_gradient(x, y, form[1])
    return _gradients(y, x, x.new_empty(()).expand(shape), form, 1)


def _gradients(y: Tensor, x: Tensor, kernel: Tensor, form: Form, which: int) -> Tensor:
    """torch's gradient of <conv(x, kernel), y> by x (0) or by the kernel (1); of the one asked for only the shape is read."""
    stride, padding, groups = form
    settings = (None, (stride, stride), (padding, padding), (1, 1), False, (0, 0), groups, (which == 0, which == 1, False))
    return torch.ops.aten.convolution_backward(y, x, kernel, *settings)[which]  # type: ignore[no-any-return]


def _to_few(y: Tensor, kernel: Tensor) -> Tensor:
    """The adjoint of a 4x4 convolution of stride 2 and padding 1, [n, o, h, w] to [n, c, 2h, 2w].

    Each place in the 2x2 blocks of the padded image is a 2x2 convolution of y, and all four are made at once; torch's takes as long for one channel
    as for sixteen.
    """
    (n, o, h, w), c = y.shape, kernel.shape[1]
    taps = kernel.view(o, c, 2, 2, 2, 2).permute(3, 5, 1, 0, 2, 4).reshape(4 * c, o, 2, 2)  # o c tap_h a tap_w b -> (a b c) o tap_h tap_w
    taps = taps.flip(2, 3).contiguous(memory_format=torch.channels_last)
    blocks = F.conv2d(y, taps, None, 1, 1).permute(0, 2, 3, 1).reshape(n, h + 1, w + 1, 2, 2, c)  # n h+1 w+1 a b c
    image = torch.empty((n, c, 2 * h, 2 * w), dtype=y.dtype, device=y.device, memory_format=torch.channels_last)
    places = image.permute(0, 2, 3, 1).view(n, h, 2, w, 2, c)
    for a in (0, 1):
        for b in (0, 1):  # the padding takes the first row and column: place a of block i is pixel 2 i + a - 1
            places[:, :, 1 - a, :, 1 - b] = blocks[:, 1 - a : h + 1 - a, 1 - b : w + 1 - b, a, b]
    return image


def _shared(made: Tensor, held: list[Tensor] | None) -> Tensor:
    """What was made of a kernel, noted for whoever keeps it."""
    if held is not None:
        held.append(made)
    return made


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
