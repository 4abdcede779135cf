"""The convolution over few pixels as a matrix product against the plain one, derivatives of every order included."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from saddlepoint.networks import fewpixels, primitives, winograd
from saddlepoint.networks.convolution import conv2d, conv_transpose2d

SIZES = [(1, 1, 1), (2, 1, 3), (1, 2, 2), (3, 4, 5)]  # images, height and width of the small one


def _tensors(n: int, h: int, w: int, layout: torch.memory_format = torch.channels_last) -> tuple[Tensor, Tensor, Tensor]:
    rng = torch.Generator().manual_seed(n * h * w)
    shapes = (n, 3, 2 * h, 2 * w), (5, 3, 4, 4), (n, 5, h, w)
    x, kernel, y = (torch.randn(*shape, dtype=torch.float64, generator=rng).contiguous(memory_format=layout) for shape in shapes)
    return x, kernel, y


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("n", "h", "w"), SIZES)
def test_equals_the_plain_convolution_its_adjoint_and_its_kernel_gradient(n: int, h: int, w: int, layout: torch.memory_format) -> None:
    x, kernel, y = _tensors(n, h, w, layout)
    before = [t.clone() for t in (x, kernel, y)]
    traced, traced_kernel = x.detach().requires_grad_(), kernel.detach().requires_grad_()
    plain = F.conv2d(traced, traced_kernel, stride=2, padding=1)
    by_x, by_kernel = torch.autograd.grad((plain * y).sum(), (traced, traced_kernel))
    found = fewpixels.convolve(x, kernel), fewpixels.adjoint(y, kernel), fewpixels.kernel_gradient(x, y)
    for ours, expected in zip(found, (plain.detach(), by_x, by_kernel), strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)
        assert ours.is_contiguous(memory_format=torch.channels_last) and not ours._is_view()
    assert all(torch.equal(a, b) for a, b in zip(before, (x, kernel, y), strict=True)), "the arguments are left as they were"


@pytest.mark.parametrize("transposed", [False, True])
def test_layers_use_it_where_pixels_are_few_and_keep_every_derivative(transposed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    x, kernel, y = _tensors(2, 2, 3)
    image = y if transposed else x
    ours, plain = (conv_transpose2d, F.conv_transpose2d) if transposed else (conv2d, F.conv2d)
    shift = torch.randn(3 if transposed else 5, dtype=torch.float64, requires_grad=True)
    used: set[str] = set()

    def noting(name: str, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def noted(*arguments: Tensor) -> Tensor:
            used.add(name)
            return function(*arguments)

        return noted

    monkeypatch.setattr(fewpixels, "LEAST_CHANNELS", 0)
    for name in ("convolve", "adjoint", "kernel_gradient"):
        monkeypatch.setattr(fewpixels, name, noting(name, getattr(fewpixels, name)))
    results = []
    for layer in (ours, plain):
        a, k = image.detach().requires_grad_(), kernel.detach().requires_grad_()
        value = layer(a, k, shift, stride=2, padding=1)
        slopes = torch.autograd.grad(value.sin().sum(), [a, k, shift], create_graph=True)
        results.append([value, *slopes, *torch.autograd.grad(torch.cat([s.flatten() for s in slopes]).square().sum(), [a, k, shift])])
    assert used == {"convolve", "adjoint", "kernel_gradient"}
    for mine, expected in zip(*results, strict=True):
        torch.testing.assert_close(mine, expected, rtol=1e-10, atol=1e-10)


def test_when_it_fits() -> None:
    small, large = torch.zeros(1, 512, 4, 4), (512, 256, 4, 4)
    assert fewpixels.fits(small, large, 2, 1, 1, fewpixels.MOST_PIXELS)
    assert not fewpixels.fits(small, large, 2, 1, 1, 15), "too many pixels"
    assert not fewpixels.fits(small, (512, 128, 4, 4), 2, 1, 1, fewpixels.MOST_PIXELS), "a small kernel"
    assert not fewpixels.fits(small, large, 1, 1, 1, fewpixels.MOST_PIXELS) and not fewpixels.fits(small, large, 2, 1, 2, fewpixels.MOST_PIXELS)
    assert not fewpixels.fits(small.bfloat16(), large, 2, 1, 1, fewpixels.MOST_PIXELS)


def test_between_few_pixels_and_many_it_is_torchs(monkeypatch: pytest.MonkeyPatch) -> None:
    x, kernel = torch.randn(2, 256, 16, 16), torch.randn(512, 256, 4, 4)
    y = F.conv2d(x, kernel, stride=2, padding=1)
    form, expected = (2, 1, 1), F.conv_transpose2d(y, kernel, stride=2, padding=1)
    for module in (fewpixels, winograd):
        for name in ("convolve", "adjoint"):
            monkeypatch.setattr(module, name, None)
    torch.testing.assert_close(primitives.convolve(x, kernel, None, form), y)
    torch.testing.assert_close(primitives.adjoint(y, kernel, None, form, x.shape), expected)
