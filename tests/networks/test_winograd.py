"""The fast form of the 4x4 convolution of stride 2 against the plain one, derivatives of every order included."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from saddlepoint.networks import winograd
from saddlepoint.networks.convolution import conv2d, conv_transpose2d

SIDES = [(4, 4), (4, 8), (8, 4), (12, 20)]


def _tensors(height: int, width: int, layout: torch.memory_format, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(height * width)
    x, kernel = torch.randn(3, 5, height, width, dtype=dtype), torch.randn(7, 5, 4, 4, dtype=dtype)
    y = torch.randn(3, 7, height // 2, width // 2, dtype=dtype)
    return x.contiguous(memory_format=layout), kernel.contiguous(memory_format=layout), y.contiguous(memory_format=layout)


def _gradients(x: Tensor, kernel: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    x, kernel = x.detach().requires_grad_(), kernel.detach().requires_grad_()
    by_x, by_kernel = torch.autograd.grad((F.conv2d(x, kernel, stride=2, padding=1) * y).sum(), [x, kernel])
    return by_x, by_kernel


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("height", "width"), SIDES)
def test_equals_the_plain_convolution_its_adjoint_and_its_kernel_gradient(height: int, width: int, layout: torch.memory_format) -> None:
    x, kernel, y = _tensors(height, width, layout)
    before = [t.clone() for t in (x, kernel, y)]
    by_x, by_kernel = _gradients(x, kernel, y)
    for ours, plain in (
        (winograd.convolve(x, kernel), F.conv2d(x, kernel, stride=2, padding=1)),
        (winograd.adjoint(y, kernel), by_x),
        (winograd.kernel_gradient(x, y), by_kernel),
    ):
        assert ours.shape == plain.shape and ours.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(ours, plain, rtol=1e-12, atol=1e-12)
    assert all(torch.equal(a, b) for a, b in zip(before, (x, kernel, y), strict=True)), "the arguments are left as they were"


def test_in_single_precision_the_error_stays_that_of_rounding() -> None:
    torch.manual_seed(0)
    x, kernel = torch.randn(4, 128, 8, 8), torch.randn(256, 128, 4, 4)
    exact = F.conv2d(x.double(), kernel.double(), stride=2, padding=1)
    errors = [((y - exact).norm() / exact.norm()).item() for y in (winograd.convolve(x, kernel), F.conv2d(x, kernel, stride=2, padding=1))]
    assert errors[0] < 1e-6 and errors[0] < 8 * errors[1]


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("transposed", [False, True])
def test_layers_use_it_from_a_size_on_and_keep_every_derivative(transposed: bool, bias: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    x, kernel, y = _tensors(8, 12, torch.channels_last)
    image = y if transposed else x
    ours, plain = (conv_transpose2d, F.conv_transpose2d) if transposed else (conv2d, F.conv2d)
    shift = torch.randn(5 if transposed else 7, dtype=torch.float64, requires_grad=True)
    used: set[str] = set()

    def noting(name: str, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def noted(*arguments: Tensor) -> Tensor:
            used.add(name)
            return function(*arguments)

        return noted

    monkeypatch.setattr(winograd, "KERNEL_FROM", 0)
    monkeypatch.setattr(winograd, "IMAGE_FROM", 0)
    monkeypatch.setattr(winograd, "LEAST_PIXELS", 0)
    for name in ("convolve", "adjoint", "kernel_gradient"):
        monkeypatch.setattr(winograd, name, noting(name, getattr(winograd, name)))
    results = []
    for layer in (ours, plain):
        a, k = image.detach().requires_grad_(), kernel.detach().requires_grad_()
        wanted = [a, k, shift] if bias else [a, k]
        value = layer(a, k, shift if bias else None, stride=2, padding=1)
        slopes = torch.autograd.grad(value.sin().sum(), wanted, create_graph=True)
        results.append([value, *slopes, *torch.autograd.grad(torch.cat([s.flatten() for s in slopes]).square().sum(), wanted)])
    assert used == {"convolve", "adjoint", "kernel_gradient"}
    for mine, expected in zip(*results, strict=True):
        torch.testing.assert_close(mine / expected.abs().max(), expected / expected.abs().max(), rtol=1e-11, atol=1e-11)


def test_when_it_fits() -> None:
    small = torch.zeros(2, 256, 4, 6)
    large = (256, 512, 4, 4)
    assert winograd.fits(small, large, 2, 1, 1, winograd.IMAGE_FROM)
    assert not winograd.fits(small, (16, 16, 4, 4), 2, 1, 1, winograd.KERNEL_FROM), "a small kernel"
    assert (
        not winograd.fits(small, (256, 512, 3, 3), 2, 1, 1, 0)
        and not winograd.fits(small, large, 1, 1, 1, 0)
        and not winograd.fits(small, large, 2, 0, 1, 0)
    )
    assert not winograd.fits(small, large, 2, 1, 2, 0), "groups"
    assert not winograd.fits(small[:, :, :3], large, 2, 1, 1, 0), "an odd side"
    assert not winograd.fits(small.bfloat16(), large, 2, 1, 1, 0) and not winograd.fits(small.to("meta"), large, 2, 1, 1, 0)


@pytest.mark.parametrize("transposed", [False, True])
def test_what_is_made_of_a_kernel_serves_all_its_convolutions_until_it_moves(transposed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Tensor] = []
    make = winograd._spread_kernel

    def counted(kernel: Tensor) -> Tensor:
        made.append(kernel)
        return make(kernel)

    monkeypatch.setattr(winograd, "_spread_kernel", counted)
    monkeypatch.setattr(winograd, "IMAGE_FROM", 0)
    monkeypatch.setattr(winograd, "LEAST_PIXELS", 0)
    x, kernel, y = _tensors(8, 12, torch.channels_last)
    layer, plain, image = (conv_transpose2d, F.conv_transpose2d, y) if transposed else (conv2d, F.conv2d, x)
    image, kernel = image.requires_grad_(), torch.nn.Parameter(kernel)

    def slopes(layer: Callable[..., Tensor]) -> tuple[Tensor, ...]:
        loss = layer(image, kernel, stride=2, padding=1).sin().sum() + layer(2 * image, kernel, stride=2, padding=1).square().sum()
        return torch.autograd.grad(loss, (image, kernel))

    for moves in (1, 2):
        for ours, expected in zip(slopes(layer), slopes(plain), strict=True):
            torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-10)
        assert len(made) == moves, "two convolutions and their adjoints"
        with torch.no_grad():
            kernel.mul_(2)
