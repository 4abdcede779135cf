"""Views by noise and by fixed projection: moments, norms, what is saved, and the same draws in pieces."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from saddlepoint.draws import Draws, use
from saddlepoint.errors import UsageError
from saddlepoint.views.diffaugment import DiffAugment
from saddlepoint.views.noise import Dequantise, InstanceNoise
from saddlepoint.views.projection import RandomProjection, RandomVectorProjection
from saddlepoint.views.view import Compose, View


def images(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def draws(piece: int = 0, pieces: int = 1) -> Draws:
    return Draws.seeded("test", dtype=torch.float64, piece=piece, pieces=pieces)


def test_filters_have_unit_norm_over_all_channels() -> None:
    view = RandomProjection(3, 24)
    assert view.filters.shape == (24, 3, 8, 8)
    torch.testing.assert_close(view.filters.flatten(1).norm(dim=1), torch.ones(24))
    assert list(view.parameters()) == []
    assert list(view.state_dict()) == ["filters"]


def test_projection_of_the_paper_keeps_a_twelfth_of_the_values() -> None:
    view = RandomProjection(3)
    x = torch.randn(2, 3, 64, 64)
    assert view(x).shape == (2, 1, 32, 32)
    assert view.output_shape(64, 64) == (1, 32, 32)
    assert x[0].numel() // view(x)[0].numel() == 12


@pytest.mark.parametrize("size", [28, 32, 33])
def test_projection_by_hand(size: int) -> None:
    """One value is the inner product of the filter with its window, zeros outside the image."""
    view = RandomProjection(3, 2).double()
    x = images(2, 3, size, size)
    y = view(x)
    assert y.shape[1:] == view.output_shape(size, size)
    padded = torch.nn.functional.pad(x, (3, 3, 3, 3))
    for k, row, column in ((0, 0, 0), (1, 3, 5), (1, y.shape[2] - 1, 2)):
        window = padded[:, :, 2 * row : 2 * row + 8, 2 * column : 2 * column + 8]
        torch.testing.assert_close(y[:, k, row, column], (window * view.filters[k]).sum((1, 2, 3)))


def test_filters_come_from_the_seeded_generator_and_are_gaussian() -> None:
    torch.manual_seed(5)
    first = RandomProjection(3, 100).filters
    second = RandomProjection(3, 100).filters
    torch.manual_seed(5)
    assert torch.equal(RandomProjection(3, 100).filters, first)
    assert not torch.equal(first, second)
    scaled = first.flatten() * (3 * 64) ** 0.5
    assert scaled.mean().abs() < 0.03
    assert scaled.pow(4).mean().item() == pytest.approx(3.0, abs=0.1)


def test_vector_projection() -> None:
    view = RandomVectorProjection(12, 5).double()
    torch.testing.assert_close(view.matrix.norm(dim=1), torch.ones(5, dtype=torch.float64), atol=1e-6, rtol=0)
    x = images(4, 3, 2, 2)
    torch.testing.assert_close(view(x), torch.einsum("nd,md->nm", x.flatten(1), view.matrix))
    assert torch.autograd.gradcheck(view, images(2, 12).requires_grad_())
    assert list(view.parameters()) == []


def test_projections_refuse_other_shapes() -> None:
    with pytest.raises(UsageError, match=r"needs images \[n, 3, h, w\]; came \[2, 1, 8, 8\]"):
        RandomProjection(3)(torch.zeros(2, 1, 8, 8))
    with pytest.raises(UsageError, match=r"needs samples of 4 values; came 6 values in shape \[1, 6\]"):
        RandomVectorProjection(4, 2)(torch.zeros(1, 6))


def test_instance_noise_moments_and_gradient() -> None:
    view, x = InstanceNoise(0.25), images(2000, 4, 5)
    with use(draws()):
        noise = view(x) - x
    assert noise.mean().abs() < 0.01
    assert noise.std().item() == pytest.approx(0.25, rel=0.02)
    small = images(2, 3).requires_grad_()
    (grad,) = torch.autograd.grad(view(small).sum(), small)
    assert torch.equal(grad, torch.ones_like(grad))


def test_instance_noise_can_be_lowered_and_is_saved() -> None:
    view, other = InstanceNoise(0.25), InstanceNoise(1.0)
    view.std.fill_(0.0)
    x = images(3, 2)
    assert torch.equal(view(x), x)
    other.load_state_dict(view.state_dict())
    assert other.std.item() == 0.0
    with pytest.raises(UsageError, match=r"at least 0; came -1"):
        InstanceNoise(-1.0)


def test_dequantised_levels_fill_the_range_once() -> None:
    levels = torch.arange(256, dtype=torch.float64).repeat(200, 1)
    with use(draws()):
        y = Dequantise()(levels / 127.5 - 1)
    assert y.min() >= -1
    assert y.max() < 1
    fraction = y - (levels / 128 - 1)
    assert fraction.min() > -1e-12
    assert fraction.max() < 1 / 128 + 1e-12
    assert fraction.mean().item() == pytest.approx(1 / 256, rel=0.02)
    assert torch.equal(((y + 1) * 128 + 1e-9).floor(), levels)


@pytest.mark.parametrize("view", [InstanceNoise(0.3), Dequantise(), Compose(DiffAugment("color"), InstanceNoise(0.1), RandomProjection(2).double())])
def test_pieces_see_what_the_whole_batch_sees(view: View) -> None:
    x = images(6, 2, 8, 8)
    with use(draws()):
        whole = view(x)
    parts = []
    for piece, part in enumerate(x.chunk(2)):
        with use(draws(piece, 2)):
            parts.append(view(part))
    torch.testing.assert_close(torch.cat(parts), whole, rtol=0, atol=1e-15)
    with use(draws()):
        assert torch.equal(view(x), whole)


def test_compose_applies_the_first_view_first() -> None:
    class Double(View):
        def forward(self, x: Tensor) -> Tensor:
            return 2 * x

    class AddOne(View):
        def forward(self, x: Tensor) -> Tensor:
            return x + 1

    x = torch.zeros(2)
    assert Compose(AddOne(), Double())(x).tolist() == [2.0, 2.0]
    assert Compose()(x) is x
    assert list(Compose(RandomProjection(1), InstanceNoise(0.1)).state_dict()) == ["views.0.filters", "views.1.std"]


def test_views_outside_a_turn_use_the_default_generator() -> None:
    view, x = InstanceNoise(1.0), images(2, 2)
    torch.manual_seed(3)
    first = view(x)
    torch.manual_seed(3)
    assert torch.equal(view(x), first)
    assert first.dtype == torch.float64
