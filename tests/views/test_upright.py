"""Turns about the up axis, pictures of volumes, and how much volumes overlap."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from saddlepoint.draws import Draws, use
from saddlepoint.errors import UsageError
from saddlepoint.objectives.overlap import average_precision, iou, pairwise_iou
from saddlepoint.views.upright import UprightTurns, quarter_turns, render, turned


def some(n: int = 4, side: int = 6) -> torch.Tensor:
    return torch.rand(n, 1, side, side, side, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_quarter_turns_move_whole_voxels_and_agree_with_turns_by_an_angle() -> None:
    x, quarters = some(), torch.arange(4)
    found = quarter_turns(x, quarters)
    for k in range(4):
        assert torch.equal(found[k, 0], torch.from_numpy(np.rot90(x[k, 0].numpy(), k, axes=(0, 2)).copy()))  # along w, d; h stays
    torch.testing.assert_close(turned(x, quarters.double() * math.pi / 2), found)


def test_turns_are_drawn_for_the_whole_batch() -> None:
    x = some(8)
    for turns in ("quarter", "any"):
        view = UprightTurns(turns)
        with use(Draws.seeded("turn", dtype=torch.float64)):
            whole = view(x)
        parts = []
        for piece in range(2):
            with use(Draws.seeded("turn", dtype=torch.float64, piece=piece, pieces=2)):
                parts.append(view(x[4 * piece : 4 * piece + 4]))
        assert torch.equal(torch.cat(parts), whole) and not torch.equal(whole, x)
    assert UprightTurns("none")(x) is x
    with pytest.raises(UsageError, match="as deep as wide"):
        quarter_turns(x[:, :, 1:], torch.zeros(8))


def test_a_picture_shows_the_front_the_sides_and_the_height() -> None:
    """A block at the right of the front, high up: on the right above from in front; turned by a quarter it goes where the turn takes it."""
    x = torch.zeros(1, 1, 16, 16, 16)
    x[0, 0, 12:, 12:, 12:] = 1
    front, turned_picture = (render(x, torch.tensor([yaw]), size=32, elevation=0.0)[0].mean(0) for yaw in (0.0, math.pi / 2))
    rows, columns = (front < 0.9).nonzero().float().mean(0)
    assert rows < 14 and columns > 18
    moved = quarter_turns(x, torch.tensor([1]))
    torch.testing.assert_close(render(moved, torch.zeros(1), size=32, elevation=0.0)[0].mean(0), turned_picture, atol=1e-4, rtol=0)
    assert (render(0 * x, torch.zeros(1)) == 1).all()


def test_a_picture_is_differentiable() -> None:
    x = (0.5 * some(1, 4)).requires_grad_()
    assert torch.autograd.gradcheck(lambda v: render(v, torch.full((1,), 0.3, dtype=torch.float64), size=5), x, atol=1e-4)


def test_overlap_against_sets() -> None:
    x, y = some(5) > 0.5, some(7, 6) > 0.6
    table = pairwise_iou(x.double(), y.double())
    for i in range(5):
        for j in range(7):
            a, b = set(x[i].flatten().nonzero().flatten().tolist()), set(y[j].flatten().nonzero().flatten().tolist())
            assert table[i, j].item() == pytest.approx(len(a & b) / len(a | b))
    torch.testing.assert_close(iou(x.double(), y[:5].double()), table.diagonal().double(), atol=1e-6, rtol=0)
    assert pairwise_iou(torch.zeros(1, 8), torch.zeros(1, 8)).item() == 1


def test_average_precision_is_sklearns() -> None:
    from sklearn.metrics import average_precision_score

    scores, truth = some(3), (some(3, 6) > 0.7).double()
    scores = scores.roll(1, 0)
    wanted = [average_precision_score(truth[i].flatten(), scores[i].flatten()) for i in range(3)]
    assert average_precision(scores, truth).tolist() == pytest.approx(wanted)
