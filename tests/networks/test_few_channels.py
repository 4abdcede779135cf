"""The transposed 4x4 convolution to few channels, made place by place, against torch's."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from saddlepoint.networks import primitives
from saddlepoint.networks.convolution import conv2d, conv_transpose2d


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("size", [(4, 4), (5, 7), (1, 2)])
@pytest.mark.parametrize("memory", [torch.channels_last, torch.contiguous_format])
def test_it_is_torchs(channels, size, memory, monkeypatch):
    called = []
    few = primitives._to_few
    monkeypatch.setattr(primitives, "_to_few", lambda *given: called.append(1) or few(*given))
    y = torch.randn(3, 6, *size, dtype=torch.float64).to(memory_format=memory)
    kernel, bias = torch.randn(6, channels, 4, 4, dtype=torch.float64).to(memory_format=memory), torch.randn(channels, dtype=torch.float64)
    torch.testing.assert_close(conv_transpose2d(y, kernel, bias, stride=2, padding=1), F.conv_transpose2d(y, kernel, bias, 2, 1))
    assert called


def test_its_derivatives_of_both_orders_are_right():
    y = torch.randn(2, 3, 2, 3, dtype=torch.float64, requires_grad=True)
    kernel = torch.randn(3, 1, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda *given: conv_transpose2d(*given, stride=2, padding=1), (y, kernel))
    assert torch.autograd.gradgradcheck(lambda *given: conv_transpose2d(*given, stride=2, padding=1), (y, kernel))
    x = torch.randn(2, 1, 4, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda *given: conv2d(*given, stride=2, padding=1), (x, kernel))


def test_in_single_precision_it_is_as_near_as_torchs():
    y, kernel = torch.randn(4, 64, 8, 8), torch.randn(64, 3, 4, 4)
    exact = F.conv_transpose2d(y.double(), kernel.double(), None, 2, 1)
    errors = [(found - exact).abs().max() for found in (conv_transpose2d(y, kernel, stride=2, padding=1), F.conv_transpose2d(y, kernel, None, 2, 1))]
    assert errors[0] < 3 * errors[1] + 1e-6


def test_other_kinds_go_their_own_way(monkeypatch):
    monkeypatch.setattr(primitives, "_to_few", lambda *given: pytest.fail("not of this kind"))
    y = torch.randn(2, 6, 4, 4)
    for kernel, settings in (((6, 5, 4, 4), {"padding": 1}), ((6, 3, 3, 3), {"padding": 1}), ((6, 3, 4, 4), {"padding": 0})):
        weight = torch.randn(kernel)
        torch.testing.assert_close(
            conv_transpose2d(y, weight, stride=2, **settings), F.conv_transpose2d(y, weight, None, 2, **settings), rtol=1e-4, atol=1e-4
        )
    weight = torch.randn(6, 3, 4, 4)
    expected = F.conv_transpose2d(y, weight, None, 2, 1, 1)
    torch.testing.assert_close(conv_transpose2d(y, weight, stride=2, padding=1, output_padding=1), expected, rtol=1e-4, atol=1e-4)
