"""The fast form of the 3x3 convolution against the plain one, derivatives of every order included."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from saddlepoint.networks import winograd3
from saddlepoint.networks.convolution import conv2d

SIZES = [(1, 4, 4), (3, 12, 20), (5, 8, 96), (1, 68, 400), (9, 16, 16)]  # one tile; strips of several images, of several rows, and what is left over
EVEN = [(2, 4, 4), (2, 68, 400), (10, 8, 96), (14, 16, 16)]  # the same for two threads, with a half each


@pytest.fixture
def two_threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(threads)


def _tensors(n: int, height: int, width: int, dtype: torch.dtype = torch.float64, k: int = 3) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """An image, a kernel, a bias, and something shaped as their convolution with padding 1."""
    rng = torch.Generator().manual_seed(n * height * width)
    shapes = (n, 3, height + k - 3, width + k - 3), (5, 3, k, k), (5,), (n, 5, height, width)
    x, kernel, bias, y = (torch.randn(*shape, dtype=dtype, generator=rng) for shape in shapes)
    return x, kernel, bias, y


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("n", "height", "width", "k"), [*((*size, k) for size in SIZES + EVEN for k in (3, 4)), (2, 15, 17, 3), (2, 15, 17, 4)])
@pytest.mark.usefixtures("two_threads")
def test_equals_the_plain_convolution_its_adjoint_and_its_kernel_gradient(
    n: int, height: int, width: int, k: int, layout: torch.memory_format
) -> None:
    x, kernel, bias, y = _tensors(n, height, width, k=k)
    x, y = x.contiguous(memory_format=layout), y.contiguous(memory_format=layout)
    before = [t.clone() for t in (x, kernel, bias, y)]
    traced, traced_kernel = x.detach().requires_grad_(), kernel.detach().requires_grad_()
    plain = F.conv2d(traced, traced_kernel, bias, padding=1)
    by_x, by_kernel = torch.autograd.grad((plain * y).sum(), (traced, traced_kernel))
    for ours, expected in (
        (winograd3.convolve(x, kernel, bias), plain.detach()),
        (winograd3.adjoint(y, kernel), by_x),
        (winograd3.kernel_gradient(x, y), by_kernel),
    ):
        torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-10)
        assert ours.is_contiguous(memory_format=torch.channels_last) and not ours._is_view()
    assert all(torch.equal(a, b) for a, b in zip(before, (x, kernel, bias, y), strict=True)), "the arguments are left as they were"


@pytest.mark.parametrize(("n", "height", "width"), SIZES)
def test_without_padding_it_equals_the_plain_one_too(n: int, height: int, width: int) -> None:
    _, kernel, bias, y = _tensors(n, height, width)
    x = torch.randn(n, 3, height + 2, width + 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    traced, traced_kernel = x.detach().requires_grad_(), kernel.detach().requires_grad_()
    plain = F.conv2d(traced, traced_kernel, bias)
    by_x, by_kernel = torch.autograd.grad((plain * y).sum(), (traced, traced_kernel))
    for ours, expected in (
        (winograd3.convolve(x, kernel, bias, 0), plain.detach()),
        (winograd3.adjoint(y, kernel, None, 0), by_x),
        (winograd3.kernel_gradient(x, y, 0), by_kernel),
    ):
        torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.usefixtures("two_threads")
def test_two_threads_take_a_half_each_and_change_nothing() -> None:
    assert [winograd3.shares(n, 8, 8, (16, 16)) for n in (1, 2, 7, 8)] == [1, 2, 1, 2] and winograd3.shares(8, 2, 2, (256, 256)) == 1
    x, kernel, bias, y = _tensors(6, 24, 20)
    halved = winograd3.convolve(x, kernel, bias), winograd3.adjoint(y, kernel), winograd3.kernel_gradient(x, y)
    torch.set_num_threads(1)
    assert winograd3.shares(6, 6, 5, (5, 3)) == 1
    whole = winograd3.convolve(x, kernel, bias), winograd3.adjoint(y, kernel), winograd3.kernel_gradient(x, y)
    torch.testing.assert_close(halved, whole, rtol=1e-11, atol=1e-11)


def test_in_single_precision_the_error_stays_that_of_rounding() -> None:
    torch.manual_seed(0)
    x, kernel = torch.randn(4, 128, 16, 16), torch.randn(128, 128, 3, 3)
    exact = F.conv2d(x.double(), kernel.double(), padding=1)
    errors = [((y - exact).norm() / exact.norm()).item() for y in (winograd3.convolve(x, kernel), F.conv2d(x, kernel, padding=1))]
    assert errors[0] < 5e-6 and errors[0] < 20 * errors[1]


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("k", [3, 4])
def test_layers_use_it_from_a_size_on_and_keep_every_derivative(k: int, padding: int, frozen: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    x, kernel, bias, y = _tensors(2, 8, 12, k=k)
    x = F.pad(x, (1 - padding,) * 4, mode="reflect")
    inputs = [x.requires_grad_(), *([] if frozen else [kernel.requires_grad_(), bias.requires_grad_()])]

    def derivatives() -> list[Tensor]:
        value = conv2d(x, kernel, bias, padding=padding)
        first = torch.autograd.grad((value.sin() * y).sum(), inputs, create_graph=True)
        second = torch.autograd.grad(sum((f.square().sum() for f in first), start=torch.zeros(())), inputs)
        return [value, *first, *second]

    plain = derivatives()
    calls = set()

    def counted(name: str, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def call(*arguments: Tensor) -> Tensor:
            calls.add(name)
            return function(*arguments)

        return call

    for name in ("convolve", "adjoint", "kernel_gradient"):
        monkeypatch.setattr(winograd3, name, counted(name, getattr(winograd3, name)))
    monkeypatch.setattr(winograd3, "fits", lambda x, weight, *form, **settings: tuple(weight[2:]) == (k, k))
    for ours, expected in zip(derivatives(), plain, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-9, atol=1e-9)
    assert calls == ({"convolve", "adjoint"} if frozen else {"convolve", "adjoint", "kernel_gradient"})


def test_it_is_chosen_for_large_images_of_many_channels_only() -> None:
    x, weight = torch.empty(8, 128, 16, 16), (128, 128, 3, 3)
    assert winograd3.fits(x, weight, 1, 1, 1) and winograd3.fits(torch.empty(8, 128, 18, 18), weight, 1, 0, 1)
    assert winograd3.fits(x, weight, 1, 0, 1, result=True) and not winograd3.fits(x, weight, 1, 0, 1)
    assert winograd3.fits(x[:4], weight, 1, 1, 1, by_kernel=True) and not winograd3.fits(x[:4], weight, 1, 1, 1)
    assert winograd3.fits(x[:4], (512, 128, 3, 3), 1, 1, 1), "few tiles of many channels"
    assert winograd3.fits(x[:1], (512, 128, 4, 4), 1, 1, 1) and not winograd3.fits(x[:1], (128, 128, 4, 4), 1, 1, 1)
    for other in (
        torch.empty(8, 128, 16, 16).double(),
        torch.empty(7, 128, 16, 16),
        torch.empty(8, 128, 18, 16),
        torch.empty(8, 128, 16, 16, device="meta"),
    ):
        assert not winograd3.fits(other, weight, 1, 1, 1)
    assert not any(
        winograd3.fits(x, *form) for form in (((64, 128, 3, 3), 1, 1, 1), (weight, 2, 1, 1), (weight, 1, 2, 1), ((128, 128, 1, 1), 1, 0, 1))
    )


def test_what_is_made_of_a_kernel_serves_all_its_convolutions_until_it_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Tensor] = []
    make = winograd3._factors

    def counted(kernel: Tensor, s: int) -> Tensor:
        made.append(kernel)
        return make(kernel, s)

    monkeypatch.setattr(winograd3, "_factors", counted)
    monkeypatch.setattr(winograd3, "MANY_CHANNELS", 0)
    monkeypatch.setattr(winograd3, "fits", lambda *given, **settings: True)
    x, kernel = torch.randn(2, 3, 8, 8, requires_grad=True), torch.nn.Parameter(torch.randn(5, 3, 3, 3))

    def play() -> Tensor:
        loss = conv2d(conv2d(x, kernel, padding=1)[:, :3].sin(), kernel, padding=1).square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    first = play()
    assert len(made) == 1, "two convolutions and their adjoints"
    with torch.no_grad():
        kernel.mul_(2)
    assert play() > 2 * first and len(made) == 2
    with torch.no_grad():
        conv2d(x, kernel, padding=1)
    assert len(made) == 3, "the graph was gone, and with it what it held"
