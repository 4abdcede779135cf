"""Convolutions joined with the change of resolution beside them, and with a second derivative that costs no more than the first.

Averaging 2x2 pixels after a k x k convolution is one (k+1) x (k+1) convolution of stride 2 whose kernel is the average of the kernel at its four
shifts; doubling the pixels before a k x k convolution is one (k+1) x (k+1) transposed convolution of stride 2 whose kernel is their sum. For k = 3
both need 16 multiplications where the two steps need 36. The parameters stay the k x k kernel, so weights are interchangeable with the plain form,
which stands beside each function as its reference. A 1x1 convolution commutes with both, and is done at the low resolution.

The convolution, the transposed convolution and the gradient of the kernel are the three partial derivatives of one trilinear form
<conv(x, k), y>; each is written here with the other two as its derivative. So derivatives of any order are ordinary convolutions; the second one that
PyTorch derives by itself convolves with kernels as large as the image, one group at a time. Large kernels go by Winograd's algorithm on a CPU.

Axes: n batch, c channels in, o channels out, h w image, k kernel.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function

from saddlepoint.networks import primitives
from saddlepoint.networks.primitives import Form
from saddlepoint.networks.spectral import SpectralNorm

Resample = Literal["down", "up"]


class _InInput(Function):
    """conv(x, kernel) + bias as a function of x alone; ``others`` = (kernel, bias) are hidden from the engine, ``held`` until the derivative."""

    @staticmethod
    def forward(x: Tensor, others: tuple[Tensor, Tensor | None], form: Form, held: list[Tensor]) -> Tensor:
        return primitives.convolve(x, *others, form, held)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, (kernel, _), ctx.form, held = inputs
        ctx.shape = x.shape
        ctx.save_for_backward(kernel, *held)

    @staticmethod
    def backward(ctx: Any, y: Tensor) -> tuple[Tensor | None, ...]:
        kernel = ctx.saved_tensors[0]
        return _Transposed.apply(y, kernel, None, ctx.form, ctx.shape), None, None, None


class _TransposedInInput(Function):
    """The same of the transposed convolution."""

    @staticmethod
    def forward(y: Tensor, others: tuple[Tensor, Tensor | None], form: Form, shape: torch.Size, held: list[Tensor]) -> Tensor:
        return primitives.adjoint(y, *others, form, shape, held)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        _, (kernel, _), ctx.form, _, held = inputs
        ctx.save_for_backward(kernel, *held)

    @staticmethod
    def backward(ctx: Any, x: Tensor) -> tuple[Tensor | None, ...]:
        kernel = ctx.saved_tensors[0]
        return _of_form(x, kernel, None, ctx.form), None, None, None, None


class _InKernel(Function):
    """Either of them as a function of kernel and bias alone; its value is not computed, only its derivative. ``hidden`` = (the input,)."""

    @staticmethod
    def forward(kernel: Tensor, bias: Tensor | None, hidden: tuple[Tensor], shape: torch.Size, form: Form, transposed: bool) -> Tensor:
        return kernel.new_zeros(()).expand(shape)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        kernel, _, (x,), _, ctx.form, ctx.transposed = inputs
        ctx.shape = kernel.shape
        ctx.save_for_backward(x)

    @staticmethod
    def backward(ctx: Any, y: Tensor) -> tuple[Tensor | None, ...]:
        (x,), (needs_kernel, needs_bias) = ctx.saved_tensors, ctx.needs_input_grad[:2]
        pair = (y, x) if ctx.transposed else (x, y)
        by_kernel = _KernelGradient.apply(*pair, ctx.shape, ctx.form) if needs_kernel else None
        return by_kernel, y.sum((0, 2, 3)) if needs_bias else None, None, None, None, None


class _Joined(Function):
    """The value of the first argument, which nothing else may use, with the derivatives of both; in place, so that what follows may be too."""

    @staticmethod
    def forward(value: Tensor, shadow: Tensor) -> Tensor:
        return value

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.mark_dirty(inputs[0])

    @staticmethod
    def backward(ctx: Any, y: Tensor) -> tuple[Tensor, Tensor]:
        return y, y


class _Transposed(Function):
    """The adjoint of conv(., kernel): the tensor of ``shape`` whose inner product with any x is <conv(x, kernel), y>; plus bias."""

    @staticmethod
    def forward(y: Tensor, kernel: Tensor, bias: Tensor | None, form: Form, shape: torch.Size) -> Tensor:
        return primitives.adjoint(y, kernel, bias, form, shape)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        y, kernel, _, ctx.form, _ = inputs
        ctx.save_for_backward(y, kernel)

    @staticmethod
    def backward(ctx: Any, x: Tensor) -> tuple[Tensor | None, ...]:
        y, kernel = ctx.saved_tensors
        needs_y, needs_kernel, needs_bias = ctx.needs_input_grad[:3]
        by_y = _of_form(x, kernel, None, ctx.form) if needs_y else None
        by_kernel = _KernelGradient.apply(x, y, kernel.shape, ctx.form) if needs_kernel else None
        return by_y, by_kernel, x.sum((0, 2, 3)) if needs_bias else None, None, None


class _KernelGradient(Function):
    """Derivative of <conv(x, kernel), y> by the kernel, of ``shape``."""

    @staticmethod
    def forward(x: Tensor, y: Tensor, shape: torch.Size, form: Form) -> Tensor:
        return primitives.kernel_gradient(x, y, shape, form)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, y, _, ctx.form = inputs
        ctx.save_for_backward(x, y)

    @staticmethod
    def backward(ctx: Any, kernel: Tensor) -> tuple[Tensor | None, ...]:
        x, y = ctx.saved_tensors
        by_x = _Transposed.apply(y, kernel, None, ctx.form, x.shape) if ctx.needs_input_grad[0] else None
        by_y = _of_form(x, kernel, None, ctx.form) if ctx.needs_input_grad[1] else None
        return by_x, by_y, None, None


def _autocast(x: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
    """What autocast does to the arguments of a convolution, done before they are saved for the derivatives."""
    if not torch.is_autocast_enabled(x.device.type):
        return x, weight, bias
    dtype = torch.get_autocast_dtype(x.device.type)
    return x.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype)


def conv2d(x: Tensor, weight: Tensor, bias: Tensor | None = None, *, stride: int = 1, padding: int = 0, groups: int = 1) -> Tensor:
    """Convolution of x [n, c, h, w] with weight [o, c/groups, k, k] and bias [o]; as ``torch.nn.functional``'s, differentiable to any order.

    >>> conv2d(torch.ones(1, 1, 3, 3), torch.ones(1, 1, 3, 3), padding=1)[0, 0].tolist()
    [[4.0, 6.0, 4.0], [6.0, 9.0, 6.0], [4.0, 6.0, 4.0]]
    """
    x, weight, bias = _autocast(x, weight, bias)
    if stride > 1 and weight.shape[-1] == 1 and padding == 0:
        x, stride = x[:, :, ::stride, ::stride], 1  # torch 2.14 corrupts memory in the CPU derivative of such, with few channels, channels_last
    return _of_form(x, weight, bias, (stride, padding, groups))


def _of_form(x: Tensor, weight: Tensor, bias: Tensor | None, form: Form) -> Tensor:
    if not torch.is_grad_enabled():
        return primitives.convolve(x, weight, bias, form)
    y: Tensor = _InInput.apply(x, (weight, bias), form, [])
    if weight.requires_grad or (bias is not None and bias.requires_grad):
        y = _Joined.apply(y, _InKernel.apply(weight, bias, (x,), y.shape, form, False))
    return y


def conv_transpose2d(x: Tensor, weight: Tensor, bias: Tensor | None = None, *, stride: int = 1, padding: int = 0, output_padding: int = 0) -> Tensor:
    """Transposed convolution of x [n, c, h, w] with weight [c, o, k, k] and bias [o]; as in ``torch.nn.functional``, differentiable to any order."""
    size = [(n - 1) * stride - 2 * padding + k + output_padding for n, k in zip(x.shape[2:], weight.shape[2:], strict=True)]
    shape, form = torch.Size((x.shape[0], weight.shape[1], *size)), (stride, padding, 1)
    x, weight, bias = _autocast(x, weight, bias)
    y: Tensor = _TransposedInInput.apply(x, (weight, bias), form, shape, [])
    if torch.is_grad_enabled() and (weight.requires_grad or (bias is not None and bias.requires_grad)):
        y = _Joined.apply(y, _InKernel.apply(weight, bias, (x,), y.shape, form, True))
    return y


def shifted_sum(weight: Tensor) -> Tensor:
    """The sum of a kernel [o, c, k, k] at its four shifts by 0 or 1 pixel down and right, [o, c, k+1, k+1].

    >>> shifted_sum(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]))[0, 0].tolist()
    [[1.0, 3.0, 2.0], [4.0, 10.0, 6.0], [3.0, 7.0, 4.0]]
    """
    rows = F.pad(weight, (0, 0, 1, 0)) + F.pad(weight, (0, 0, 0, 1))
    return F.pad(rows, (1, 0)) + F.pad(rows, (0, 1))


def conv_pool(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Convolution with zero padding that keeps the size, then the mean of each 2x2 pixels: [n, c, h, w] -> [n, o, h/2, w/2].

    Args:
        x: [n, c, h, w], h and w even.
        weight: [o, c, k, k], k odd.
        bias: [o].
    """
    k = weight.shape[-1]
    if k == 1:
        return conv2d(F.avg_pool2d(x, 2), weight, bias)
    return conv2d(x, shifted_sum(weight) / 4, bias, stride=2, padding=k // 2)


def conv_pool_reference(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The two steps of :func:`conv_pool`."""
    return F.avg_pool2d(F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2), 2)


def up_conv(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Each pixel made 2x2, then a convolution with zero padding that keeps the size: [n, c, h, w] -> [n, o, 2h, 2w].

    Args:
        x: [n, c, h, w].
        weight: [o, c, k, k], k odd.
        bias: [o].
    """
    k = weight.shape[-1]
    if k == 1:
        return double_pixels(conv2d(x, weight, bias))
    return conv_transpose2d(x, shifted_sum(weight.flip(2, 3)).transpose(0, 1), bias, stride=2, padding=k // 2)


def up_conv_reference(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The two steps of :func:`up_conv`."""
    return F.conv2d(double_pixels(x), weight, bias, padding=weight.shape[-1] // 2)


def double_pixels(x: Tensor) -> Tensor:
    """Nearest-neighbour doubling, [n, c, h, w] -> [n, c, 2h, 2w]."""
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


def glorot_uniform_(weight: Tensor, gain: float = 1.0, *, stride: int = 1) -> Tensor:
    """Fill with U(-a, a) of standard deviation gain * sqrt(2 / (fan_in + fan_out)).

    Glorot & Bengio 2010, Eq. 16; gain sqrt(2) is the variant for ReLU that residual GANs use. A pixel of the larger image meets stride**2 times fewer
    entries of the kernel, so the fan of the smaller image's channels is divided by stride**2 (as in the code of Gulrajani et al. 2017).

    Args:
        weight: [o, c, ...] of a convolution, [c, o, ...] of a transposed one: the smaller image's channels come first in both.
        gain: factor of the standard deviation.
        stride: of the convolution.
    """
    area = math.prod(weight.shape[2:])
    fans = area * (weight.shape[0] / stride**2 + weight.shape[1])  # the first axis lies on the small image, transposed or not
    bound = gain * math.sqrt(6 / fans)
    return nn.init.uniform_(weight, -bound, bound)


class Convolution(nn.Conv2d):
    """Convolution of odd kernel that keeps the size, or halves ("down": mean of 2x2 after it) or doubles ("up": pixels doubled before it) it.

    Args:
        c: channels in.
        o: channels out.
        kernel: its odd side.
        resample: None, "down" or "up".
        bias: whether there is one; it starts at 0.
        gain: of the Glorot-uniform initialisation.
        spectral_norm: divide the kernel by its largest singular value.
    """

    def __init__(
        self, c: int, o: int, kernel: int = 3, *, resample: Resample | None = None, bias: bool = True, gain: float = 1.0, spectral_norm: bool = False
    ) -> None:
        super().__init__(c, o, kernel, padding=kernel // 2, bias=bias)
        self.resample = resample
        glorot_uniform_(self.weight, gain)
        if self.bias is not None:
            nn.init.zeros_(self.bias)
        self.spectral = SpectralNorm(self.weight) if spectral_norm else None

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] -> [n, o, h', w']."""
        weight = self.weight if self.spectral is None else self.spectral(self.weight)
        if self.resample == "down":
            return conv_pool(x, weight, self.bias)
        if self.resample == "up":
            return up_conv(x, weight, self.bias)
        return conv2d(x, weight, self.bias, padding=self.kernel_size[0] // 2)
