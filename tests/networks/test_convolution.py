"""Joined convolutions against the two steps they stand for, and derivatives of every order."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from saddlepoint.networks import convolution, primitives
from saddlepoint.networks.convolution import (
    Convolution,
    conv2d,
    conv_pool,
    conv_pool_reference,
    conv_transpose2d,
    glorot_uniform_,
    up_conv,
    up_conv_reference,
)

Layer = Callable[[Tensor, Tensor, Tensor | None], Tensor]
PAIRS = [(conv_pool, conv_pool_reference), (up_conv, up_conv_reference)]
EXACT = {"rtol": 1e-12, "atol": 1e-12}


def _arguments(kernel: int, layout: torch.memory_format, side: int = 6) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(kernel)
    x = torch.randn(3, 4, side, side + 2, dtype=torch.float64).contiguous(memory_format=layout)
    weight = torch.randn(5, 4, kernel, kernel, dtype=torch.float64).contiguous(memory_format=layout)
    return x.requires_grad_(), weight.requires_grad_(), torch.randn(5, dtype=torch.float64, requires_grad=True)


def _derivatives(layer: Layer, x: Tensor, weight: Tensor, bias: Tensor) -> list[Tensor]:
    """Value, first derivatives, and those of a penalty on the slope at x, as WGAN-GP takes them."""
    value = layer(x, weight, bias)
    slopes = torch.autograd.grad(value.sin().sum(), [x, weight, bias], create_graph=True)
    penalties = torch.autograd.grad(sum(s.square().sum() for s in slopes), [x, weight, bias])
    return [value, *slopes, *penalties]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize(("joined", "reference"), PAIRS)
def test_joined_equals_the_two_steps(joined: Layer, reference: Layer, kernel: int, layout: torch.memory_format) -> None:
    arguments = _arguments(kernel, layout)
    for ours, expected in zip(_derivatives(joined, *arguments), _derivatives(reference, *arguments), strict=True):
        torch.testing.assert_close(ours / expected.abs().max(), expected / expected.abs().max(), **EXACT)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("kernel", "stride", "groups"), [(1, 1, 2), (3, 1, 2), (3, 1, 4), (3, 2, 4), (4, 2, 2)])
@pytest.mark.parametrize("large", [0, 2**19])
def test_groups_equal_torch_to_second_order(
    kernel: int, stride: int, groups: int, layout: torch.memory_format, large: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(primitives, "LARGE", large)
    torch.manual_seed(kernel)
    x = torch.randn(3, 8, 6, 7, dtype=torch.float64).contiguous(memory_format=layout).requires_grad_()
    weight = torch.randn(12, 8 // groups, kernel, kernel, dtype=torch.float64).contiguous(memory_format=layout).requires_grad_()
    arguments = x, weight, torch.randn(12, dtype=torch.float64, requires_grad=True)
    ours = _derivatives(lambda x, w, b: conv2d(x, w, b, stride=stride, padding=kernel // 2, groups=groups), *arguments)
    plain = _derivatives(lambda x, w, b: F.conv2d(x, w, b, stride, kernel // 2, 1, groups), *arguments)
    for mine, expected in zip(ours, plain, strict=True):
        torch.testing.assert_close(mine / expected.abs().max(), expected / expected.abs().max(), **EXACT)


@pytest.mark.parametrize(("stride", "padding"), [(1, 1), (2, 1), (2, 2), (1, 0), (2, 0)])
@pytest.mark.parametrize("kernel", [1, 3, 4, 5])
def test_convolution_equals_torch_to_second_order(kernel: int, stride: int, padding: int) -> None:
    arguments = _arguments(kernel, torch.contiguous_format, side=7)
    ours = _derivatives(lambda x, w, b: conv2d(x, w, b, stride=stride, padding=padding), *arguments)
    for mine, expected in zip(ours, _derivatives(lambda x, w, b: F.conv2d(x, w, b, stride, padding), *arguments), strict=True):
        torch.testing.assert_close(mine / expected.abs().max(), expected / expected.abs().max(), **EXACT)


@pytest.mark.parametrize(("kernel", "padding", "extra"), [(4, 1, 0), (5, 2, 1), (3, 1, 1)])
def test_transposed_equals_torch_to_second_order(kernel: int, padding: int, extra: int) -> None:
    x, weight, bias = _arguments(kernel, torch.contiguous_format)
    x = x.detach()[:, [0, 1, 2, 3, 0]].requires_grad_()  # five channels meet the weight's first axis
    bias = bias.detach()[:4].requires_grad_()
    ours = _derivatives(lambda x, w, b: conv_transpose2d(x, w, b, stride=2, padding=padding, output_padding=extra), x, weight, bias)
    for mine, expected in zip(ours, _derivatives(lambda x, w, b: F.conv_transpose2d(x, w, b, 2, padding, extra), x, weight, bias), strict=True):
        torch.testing.assert_close(mine / expected.abs().max(), expected / expected.abs().max(), **EXACT)


@pytest.mark.parametrize("layer", [conv_pool, up_conv, lambda x, w, b: conv2d(x, w, b, padding=1)])
def test_second_derivatives_by_differences(layer: Layer) -> None:
    torch.manual_seed(0)
    x, weight, bias = (torch.randn(*shape, dtype=torch.float64, requires_grad=True) for shape in ((1, 2, 4, 4), (2, 2, 3, 3), (2,)))
    assert torch.autograd.gradcheck(layer, (x, weight, bias))
    assert torch.autograd.gradgradcheck(layer, (x, weight, bias))


def test_slope_at_the_input_computes_no_kernel_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    x, weight, bias = _arguments(3, torch.contiguous_format)
    logits = conv2d(x, weight, bias).square().sum()

    def refuse(*arguments: object) -> Tensor:
        raise AssertionError("the kernel's gradient was computed and thrown away")

    monkeypatch.setattr(convolution._KernelGradient, "apply", refuse)
    torch.autograd.grad(logits, x, create_graph=True)
    with pytest.raises(AssertionError, match="thrown away"):
        torch.autograd.grad(logits, weight)


def test_frozen_kernel_gets_no_gradient() -> None:
    x, weight, bias = _arguments(3, torch.channels_last)
    conv2d(x, weight.detach(), bias.detach(), padding=1).sum().backward()
    assert x.grad is not None
    assert weight.grad is None
    assert not conv2d(x.detach(), weight.detach()).requires_grad


def test_half_precision_region_keeps_its_types() -> None:
    x, weight, bias = (value.detach().float().requires_grad_() for value in _arguments(3, torch.channels_last))
    with torch.autocast("cpu", torch.bfloat16):
        value = conv2d(x, weight, bias, padding=1)
    (slope,) = torch.autograd.grad(value.float().square().sum(), x, create_graph=True)
    slope.square().sum().backward()
    assert value.dtype == torch.bfloat16
    assert weight.grad is not None
    assert weight.grad.dtype == torch.float32


def test_layouts_are_kept() -> None:
    x, weight, bias = (value.detach().float().requires_grad_() for value in _arguments(3, torch.channels_last))
    for layer in (conv_pool, up_conv):
        value = layer(x, weight, bias)
        assert value.is_contiguous(memory_format=torch.channels_last)
        assert torch.autograd.grad(value.square().sum(), x)[0].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("stride", [1, 2])
def test_glorot_deviation(stride: int) -> None:
    torch.manual_seed(0)
    weight = glorot_uniform_(torch.empty(64, 32, 3, 3), 2**0.5, stride=stride)
    deviation = (4 / (32 * 9 + 64 * 9 / stride**2)) ** 0.5
    assert weight.std().item() == pytest.approx(deviation, rel=0.02)
    assert weight.abs().max().item() <= deviation * 3**0.5


@pytest.mark.parametrize(("resample", "size"), [(None, 8), ("down", 4), ("up", 16)])
def test_layer(resample: convolution.Resample | None, size: int) -> None:
    for kernel in (1, 3):
        layer = Convolution(2, 3, kernel, resample=resample, spectral_norm=True)
        assert layer(torch.randn(2, 2, 8, 8)).shape == (2, 3, size, size)
        assert layer.weight.shape == (3, 2, kernel, kernel)
        assert layer.bias is not None
        assert layer.bias.eq(0).all()
