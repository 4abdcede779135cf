"""Telea's inpainting: what is constant or a slope goes on, the order is that of the distance, and the map of a mask is linear."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from saddlepoint.draws import Draws, use
from saddlepoint.views.measurement import open_measurement
from saddlepoint.views.telea import filling, inpaint_telea, march, signed_distance
from saddlepoint.views.unmeasure import Unmeasured


def block(side: int = 24, size: int = 8, top: int = 7, left: int = 9) -> torch.Tensor:
    mask = torch.ones(1, 1, side, side, dtype=torch.float64)
    mask[..., top : top + size, left : left + size] = 0
    return mask


def masks() -> dict[str, torch.Tensor]:
    scattered = (torch.rand(1, 1, 24, 24, generator=torch.Generator().manual_seed(0)) < 0.5).double()
    corner = block(top=0, left=16)
    return {"block": block(), "corner": corner, "kept": 1 - block(), "scattered": scattered}


@pytest.mark.parametrize("name", masks())
def test_a_constant_goes_on_exactly_and_what_is_seen_stays(name: str) -> None:
    mask = masks()[name]
    u = torch.rand(1, 3, 24, 24, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    restored = inpaint_telea(torch.where(mask > 0, u, torch.nan), mask)
    assert torch.isfinite(restored).all()
    assert torch.equal(restored[(mask > 0).expand_as(u)], u[(mask > 0).expand_as(u)])
    constant = inpaint_telea(torch.where(mask > 0, torch.full_like(mask, 0.37), 9.0), mask)
    torch.testing.assert_close(constant, torch.full_like(constant, 0.37), atol=1e-11, rtol=0)


@pytest.mark.parametrize(("name", "most"), [("block", 0.03), ("corner", 0.1), ("scattered", 0.05)])
def test_a_slope_goes_on_nearly(name: str, most: float) -> None:
    """Exactly, where all slopes around a pixel are known; of a share of the range of 1 else."""
    mask = masks()[name]
    rows, columns = torch.meshgrid(torch.linspace(0, 0.6, 24), torch.linspace(0, 0.4, 24), indexing="ij")
    slope = (rows + columns).double()[None, None]
    restored = inpaint_telea(slope * mask, mask)
    assert (restored - slope).abs().max().item() < most
    blurred = torch.where(mask > 0, slope, slope[mask > 0].mean())
    assert (restored - slope).abs().mean() < 0.3 * (blurred - slope).abs().mean()


def test_distances_are_those_of_the_plane() -> None:
    """Fast marching is of first order: on both sides of a disc it is within half a pixel of the Euclidean distance."""
    y, x = np.mgrid[:41, :41] - 20
    seen = y**2 + x**2 > 12**2
    distance, order = signed_distance(seen, reach=5)
    inside = ~seen
    assert len(order) == inside.sum() and [distance[place] for place in order] == sorted(distance[inside])
    exact = ndimage.distance_transform_edt(inside)
    assert np.abs(distance - exact)[inside].max() < 0.7
    assert (distance[seen] <= 0).all() and distance[seen].min() == -5
    beside = seen & ndimage.binary_dilation(inside)
    assert (distance[beside] == 0).all()
    line, places = march(np.array([[True] + [False] * 4]))
    assert line.tolist() == [[0, 1, 2, 3, 4]] and places == [(0, k) for k in range(1, 5)]


def test_the_middle_of_a_gap_is_by_hand() -> None:
    """A hole of one pixel: eight neighbours within a radius of 1.5 are four, alike in weight but for their direction."""
    u = torch.zeros(1, 1, 5, 5, dtype=torch.float64)
    u[0, 0, 1, 2], u[0, 0, 3, 2], u[0, 0, 2, 1], u[0, 0, 2, 3] = 1.0, 3.0, 5.0, 7.0
    mask = torch.ones_like(u)
    mask[0, 0, 2, 2] = 0
    plan = filling((mask[0, 0] > 0).numpy().tobytes(), (5, 5), 1)
    # at the middle of a hole T has no slope: all directions weigh LEAST, so the four neighbours count alike. Each foretells itself and its slope
    # outwards, taken of the pixel behind it alone, which is 0 here: 1 + 1, 3 + 3, 5 + 5, 7 + 7
    assert inpaint_telea(u, mask, 1)[0, 0, 2, 2].item() == pytest.approx((2 + 6 + 10 + 14) / 4)
    assert plan.hidden.tolist() == [12] and plan.shares.sum().item() == pytest.approx(1)


def test_turned_images_are_turned() -> None:
    mask, u = block(), torch.rand(1, 2, 24, 24, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    turned = inpaint_telea(torch.rot90(u, 1, (2, 3)), torch.rot90(mask, 1, (2, 3)))
    assert (torch.rot90(turned, -1, (2, 3)) - inpaint_telea(u, mask)).abs().mean() < 0.02  # ties among equal distances are broken by place


def test_an_image_of_which_nothing_is_seen_stays() -> None:
    u = torch.rand(2, 1, 6, 6)
    assert torch.equal(inpaint_telea(u, torch.zeros(2, 1, 6, 6)), u) and torch.equal(inpaint_telea(u, torch.ones(2, 1, 6, 6)), u)


def test_a_hidden_square_is_restored_better_than_by_blurring() -> None:
    rows = torch.linspace(0, 3, 24, dtype=torch.float64)
    x = torch.stack([torch.sin(rows[:, None] * (1 + i / 4)) * torch.cos(rows - i) for i in range(4)])[:, None] * 0.8
    for text in ("block-patch:size=8", "keep-patch:size=16"):
        errors = []
        for method in ("blur", "telea"):
            with use(Draws.seeded("r", dtype=torch.float64)):
                restored = Unmeasured(open_measurement(text), method)(x)
            assert restored.abs().max() <= 1
            errors.append((restored - x).square().mean().item())
        assert errors[1] < 0.3 * errors[0], (text, errors)
