"""DiffAugment: each augmentation against its formula, draws per sample, gradients, and the same draws in pieces."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from saddlepoint.draws import Draws, use
from saddlepoint.errors import UsageError
from saddlepoint.views import diffaugment
from saddlepoint.views.diffaugment import POLICIES, DiffAugment

SHAPES = [(6, 3, 16, 16), (6, 1, 28, 28), (6, 4, 9, 14)]


def images(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def draws(piece: int = 0, pieces: int = 1) -> Draws:
    return Draws.seeded("test", dtype=torch.float64, piece=piece, pieces=pieces)


def seen(view: Callable[[Tensor], Tensor], x: Tensor, piece: int = 0, pieces: int = 1) -> Tensor:
    with use(draws(piece, pieces)):
        return view(x)


def affine_fit(x: Tensor, y: Tensor) -> tuple[float, float]:
    scale, offset = np.polyfit(x.flatten().numpy(), y.flatten().numpy(), 1)
    return float(scale), float(offset)


def test_brightness_adds_one_number_a_sample() -> None:
    x = images(400, 3, 4, 4)
    added = seen(diffaugment.brightness, x) - x
    per_sample = added[:, 0, 0, 0]
    torch.testing.assert_close(added, per_sample.view(-1, 1, 1, 1).expand_as(added), rtol=0, atol=1e-12)
    assert -0.5 <= per_sample.min() < -0.45
    assert 0.45 < per_sample.max() < 0.5
    assert per_sample.mean().abs() < 0.05


def test_saturation_scales_the_distance_from_the_channel_mean() -> None:
    x = images(400, 3, 4, 4)
    y = seen(diffaugment.saturation, x)
    torch.testing.assert_close(y.mean(1), x.mean(1))
    scales = (y - x.mean(1, keepdim=True))[:, 0, 0, 0] / (x - x.mean(1, keepdim=True))[:, 0, 0, 0]
    torch.testing.assert_close(y, (x - x.mean(1, keepdim=True)) * scales.view(-1, 1, 1, 1) + x.mean(1, keepdim=True))
    assert 0 <= scales.min() < 0.1
    assert 1.9 < scales.max() < 2


def test_saturation_leaves_one_channel_as_it_is() -> None:
    x = images(5, 1, 4, 4)
    torch.testing.assert_close(seen(diffaugment.saturation, x), x, rtol=0, atol=0)


def test_contrast_scales_the_distance_from_the_sample_mean() -> None:
    x = images(400, 3, 4, 4)
    y = seen(diffaugment.contrast, x)
    mean = x.mean((1, 2, 3), keepdim=True)
    torch.testing.assert_close(y.mean((1, 2, 3)), x.mean((1, 2, 3)))
    scales = (y - mean)[:, 0, 0, 0] / (x - mean)[:, 0, 0, 0]
    torch.testing.assert_close(y, (x - mean) * scales.view(-1, 1, 1, 1) + mean)
    assert 0.5 <= scales.min() < 0.55
    assert 1.45 < scales.max() < 1.5


@pytest.mark.parametrize("shape", SHAPES)
def test_translation_moves_whole_pixels_and_fills_with_zeros(shape: tuple[int, ...]) -> None:
    _, c, h, w = shape
    x = images(300, c, h, w).abs() + 1  # no zero of its own
    y = seen(diffaugment.translation, x).numpy()
    moves = set()
    for before, after in zip(x.numpy(), y, strict=True):
        filled = after[0] != 0
        rows, columns = np.flatnonzero(filled.any(1)), np.flatnonzero(filled.any(0))
        down = rows[0] if rows[0] > 0 else rows[-1] - (h - 1)
        right = columns[0] if columns[0] > 0 else columns[-1] - (w - 1)
        expected = np.zeros_like(before)
        inner = before[:, max(0, -down) : h - max(0, down), max(0, -right) : w - max(0, right)]
        expected[:, max(0, down) : h - max(0, -down), max(0, right) : w - max(0, -right)] = inner
        np.testing.assert_array_equal(after, expected)
        moves.add((int(down), int(right)))
    assert {m[0] for m in moves} == set(range(-(h // 8), h // 8 + 1))
    assert {m[1] for m in moves} == set(range(-(w // 8), w // 8 + 1))


@pytest.mark.parametrize("shape", SHAPES)
def test_cutout_cuts_half_the_size_around_a_uniform_centre(shape: tuple[int, ...]) -> None:
    _, c, h, w = shape
    y = seen(diffaugment.cutout, torch.ones(2000, c, h, w, dtype=torch.float64)).numpy()
    heights, widths = [], []
    for sample in y:
        assert (sample == sample[0]).all()
        rows, columns = np.flatnonzero((sample[0] == 0).any(1)), np.flatnonzero((sample[0] == 0).any(0))
        assert len(rows) * len(columns) == (sample[0] == 0).sum()
        heights.append(len(rows))
        widths.append(len(columns))
    for sides, size in ((heights, h), (widths, w)):
        half = size // 2
        centres = size + 1 - half % 2
        counts = np.bincount(sides, minlength=half + 1)
        inner = size - half + 1  # places where nothing is cut off
        assert max(sides) == half
        assert counts[half] / 2000 == pytest.approx(inner / centres, abs=0.06)


def test_the_two_ends_of_cutout_are_alike() -> None:
    """The centre is symmetric for even and odd lengths: rows are cut as often from the top as from the bottom."""
    for size in (16, 9):
        y = seen(diffaugment.cutout, torch.ones(20000, 1, size, 2 * size, dtype=torch.float64))
        cut = (y[:, 0] == 0).any(2).double().mean(0)
        torch.testing.assert_close(cut, cut.flip(0), rtol=0, atol=0.02)


@pytest.mark.parametrize("policy", ["color", "translation", "cutout", "color,translation,cutout", "translation,cutout"])
@pytest.mark.parametrize("shape", SHAPES)
def test_same_draws_same_output_and_independent_samples(policy: str, shape: tuple[int, ...]) -> None:
    view = DiffAugment(policy)
    x = images(1, *shape[1:]).expand(64, -1, -1, -1)
    y = seen(view, x)
    assert y.shape == x.shape
    assert y.dtype == x.dtype
    assert torch.equal(y, seen(view, x))
    assert len({sample.numpy().tobytes() for sample in y}) > 6  # equal inputs, different draws
    with use(draws()):
        assert not torch.equal(view(x), view(x))  # real and fake get draws of their own


@pytest.mark.parametrize("shape", SHAPES)
def test_pieces_see_what_the_whole_batch_sees(shape: tuple[int, ...]) -> None:
    view, x = DiffAugment(), images(*shape)
    whole = seen(view, x)
    pieces = [seen(view, part, piece, 3) for piece, part in enumerate(x.chunk(3))]
    torch.testing.assert_close(torch.cat(pieces), whole, rtol=0, atol=0)


@pytest.mark.parametrize("policy", ["color", "translation", "cutout", "color,translation,cutout"])
def test_gradient_is_exact_and_twice_differentiable(policy: str) -> None:
    view, x = DiffAugment(policy), images(2, 2, 8, 9).requires_grad_()
    assert torch.autograd.gradcheck(lambda t: seen(view, t), x)
    assert torch.autograd.gradgradcheck(lambda t: seen(view, t).pow(3), x)


def test_gradient_flows_to_what_is_left_in_view() -> None:
    x = torch.ones(200, 1, 16, 16, dtype=torch.float64, requires_grad=True)
    (grad,) = torch.autograd.grad(seen(DiffAugment("translation,cutout"), x).sum(), x)
    assert set(grad.flatten().tolist()) == {0.0, 1.0}
    assert 0.4 < grad.mean() < 0.95


def test_policy_order_and_errors() -> None:
    x = images(2, 3, 8, 8)
    by_hand = x
    with use(draws()):
        for augment in (*POLICIES["color"], *POLICIES["cutout"]):
            by_hand = augment(by_hand)
    assert torch.equal(seen(DiffAugment(" color, cutout"), x), by_hand)
    assert "color,cutout" in repr(DiffAugment("color,cutout"))
    with pytest.raises(UsageError, match=r"came 'colour'. Nearest: color"):
        DiffAugment("colour,cutout")
    with pytest.raises(UsageError, match="came none"):
        DiffAugment("")
    with pytest.raises(UsageError, match=r"needs images \[n, c, h, w\]; came \[4, 2\]"):
        DiffAugment()(torch.zeros(4, 2))


def test_tiny_images_are_not_translated() -> None:
    x = images(3, 1, 4, 4)
    assert torch.equal(seen(diffaugment.translation, x), x)
