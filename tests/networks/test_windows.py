"""Convolutions as products with windows against the plain ones, derivatives of every order included."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from saddlepoint.networks import windows
from saddlepoint.networks.convolution import conv2d, conv_transpose2d


def _noting(monkeypatch: pytest.MonkeyPatch, *names: str) -> set[str]:
    used: set[str] = set()

    def noting(name: str, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def noted(*arguments: Tensor) -> Tensor:
            used.add(name)
            return function(*arguments)

        return noted

    for name in names:
        monkeypatch.setattr(windows, name, noting(name, getattr(windows, name)))
    return used


def _compare(ours: Callable[..., Tensor], plain: Callable[..., Tensor], *inputs: Tensor) -> None:
    """Value, first and second derivatives."""
    results = []
    for layer in (ours, plain):
        given = [x.detach().requires_grad_() for x in inputs]
        value = layer(*given)
        slopes = torch.autograd.grad(value.sin().sum(), given, create_graph=True)
        results.append([value, *slopes, *torch.autograd.grad(torch.cat([s.flatten() for s in slopes]).square().sum(), given)])
    for mine, expected in zip(*results, strict=True):
        torch.testing.assert_close(mine, expected, rtol=1e-10, atol=1e-9)


def _random(*shape: int, layout: torch.memory_format) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape))).contiguous(memory_format=layout)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("c", "o", "k"), [(16, 3, 7), (3, 16, 7), (17, 1, 5), (2, 18, 5)])
def test_large_kernels_between_few_channels_and_many(c: int, o: int, k: int, layout: torch.memory_format, monkeypatch: pytest.MonkeyPatch) -> None:
    used = _noting(monkeypatch, "to_few", "adjoint_to_few", "kernel_gradient_few")
    x, kernel, bias = _random(2, c, 9, 12, layout=layout), _random(o, c, k, k, layout=layout), _random(1, o, 1, 1, layout=layout).flatten()
    _compare(conv2d, F.conv2d, x, kernel, bias)
    assert used == ({"to_few", "kernel_gradient_few"} if o < c else {"adjoint_to_few"})


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("height", "width"), [(16, 16), (15, 18)])
def test_strided_kernels_gradient(height: int, width: int, layout: torch.memory_format, monkeypatch: pytest.MonkeyPatch) -> None:
    used = _noting(monkeypatch, "kernel_gradient_strided")
    x, kernel = _random(2, 65, height, width, layout=layout), _random(64, 65, 3, 3, layout=layout)
    _compare(lambda x, k: conv2d(x, k, stride=2, padding=1), lambda x, k: F.conv2d(x, k, stride=2, padding=1), x / 8, kernel / 8)
    assert used == {"kernel_gradient_strided"}


def test_strided_kernels_gradient_of_the_transposed_one(monkeypatch: pytest.MonkeyPatch) -> None:
    used = _noting(monkeypatch, "kernel_gradient_strided")
    x, kernel = _random(1, 64, 8, 9, layout=torch.channels_last), _random(64, 65, 3, 3, layout=torch.channels_last)
    ours, plain = (lambda x, k, f=f: f(x, k, stride=2, padding=1, output_padding=1) for f in (conv_transpose2d, F.conv_transpose2d))
    _compare(ours, plain, x / 8, kernel / 8)
    assert used == {"kernel_gradient_strided"}


def test_when_they_fit() -> None:
    x = torch.zeros(2, 64, 20, 20)
    assert windows.fits_few(x, (3, 64, 7, 7), (1, 0, 1)) and windows.fits_strided(x, (64, 64, 3, 3), (2, 1, 1))
    assert not any(windows.fits_few(x, shape, (1, 0, 1)) for shape in ((8, 64, 7, 7), (3, 8, 7, 7), (3, 64, 3, 3), (3, 64, 7, 5)))
    assert not windows.fits_few(x, (3, 64, 7, 7), (1, 3, 1)) and not windows.fits_few(x.bfloat16(), (3, 64, 7, 7), (1, 0, 1))
    assert not windows.fits_strided(x, (64, 64, 3, 3), (1, 1, 1)) and not windows.fits_strided(x, (16, 16, 3, 3), (2, 1, 1))
    assert not windows.fits_strided(x[:, :, :4], (64, 64, 3, 3), (2, 1, 1)) and not windows.fits_strided(
        x.repeat(8, 1, 1, 1), (64, 64, 3, 3), (2, 1, 1)
    )
