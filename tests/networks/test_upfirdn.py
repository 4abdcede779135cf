"""Resampling against its definition (zeros, padding, filter, dropping), first and second derivatives included, for even, odd and lopsided filters."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from saddlepoint.networks.upfirdn import (
    BILINEAR,
    BINOMIAL,
    conv_down,
    conv_down_reference,
    conv_up,
    conv_up_reference,
    fir,
    fir_down,
    fir_reference,
    fir_up,
    kernel_of,
)

FILTERS = [BILINEAR, BINOMIAL, (1.0, 1.0), (1.0, 4.0, 6.0, 4.0, 1.0), (1.0, 2.0, 3.0, 4.0)]
filters = pytest.mark.parametrize("taps", FILTERS, ids=lambda taps: "-".join(f"{tap:.0f}" for tap in taps))


def image(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape))).requires_grad_()


@filters
def test_alone(taps: tuple[float, ...]) -> None:
    x, kernel, t = image(2, 3, 8, 6), kernel_of(taps), len(taps)
    assert kernel.sum().item() == pytest.approx(1)
    torch.testing.assert_close(fir_up(x, kernel), fir_reference(x, kernel, up=2, padding=((t + 1) // 2, (t - 2) // 2), gain=4.0))
    torch.testing.assert_close(fir_down(x, kernel), fir_reference(x, kernel, down=2, padding=((t - 1) // 2, (t - 2) // 2)))
    for padding in ((2, 2), (3, 0), (-1, 2), (0, 0)):
        torch.testing.assert_close(fir(x, kernel, padding=padding), fir_reference(x, kernel, padding=padding))


@filters
@pytest.mark.parametrize("k", [1, 3, 5])
def test_joined_with_a_convolution(taps: tuple[float, ...], k: int) -> None:
    x, weight, bias, kernel = image(2, 3, 8, 6), image(4, 3, k, k), image(4), kernel_of(taps)
    torch.testing.assert_close(conv_up(x, weight, kernel), conv_up_reference(x, weight, kernel))
    torch.testing.assert_close(conv_down(x, weight, bias, kernel), conv_down_reference(x, weight, bias, kernel))


@pytest.mark.parametrize("taps", [BINOMIAL, BILINEAR])
def test_first_and_second_derivatives(taps: tuple[float, ...]) -> None:
    kernel = kernel_of(taps)
    for function in (lambda x, w: conv_up(x, w, kernel), lambda x, w: conv_down(x, w, None, kernel)):
        inputs = image(1, 2, 4, 4), image(1, 2, 3, 3)
        assert torch.autograd.gradcheck(function, inputs)
        assert torch.autograd.gradgradcheck(function, inputs)
    for alone in (fir_up, fir_down):
        assert torch.autograd.gradgradcheck(lambda x, alone=alone: alone(x, kernel).square(), (image(1, 2, 4, 6),))


def test_a_constant_image_stays_constant_inside() -> None:
    x, kernel = torch.ones(1, 1, 8, 8, dtype=torch.float64), kernel_of(BINOMIAL)
    torch.testing.assert_close(fir_up(x, kernel)[:, :, 2:-2, 2:-2], torch.ones(1, 1, 12, 12, dtype=torch.float64))
    torch.testing.assert_close(fir_down(x, kernel)[:, :, 1:-1, 1:-1], torch.ones(1, 1, 2, 2, dtype=torch.float64))


def test_channels_last_stays_channels_last() -> None:
    x = torch.randn(2, 8, 8, 8).to(memory_format=torch.channels_last)
    kernel = kernel_of(BINOMIAL)
    for y in (fir_up(x, kernel), fir_down(x, kernel), conv_down(x, torch.randn(8, 8, 3, 3), None, kernel)):
        assert y.is_contiguous(memory_format=torch.channels_last)
