"""Balls decided by float32 products are those of float64, distance by distance; what precision, recall and coverage say of known failures."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from saddlepoint.errors import UsageError
from saddlepoint.evaluation import balls
from saddlepoint.evaluation.neighbours import coverage, density_coverage, neighbour_radii, precision_recall, realism


def distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.sqrt(np.square(x[:, None].astype(np.float64) - y[None].astype(np.float64)).sum(-1))


def cases() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(0)

    def tight(n: int) -> np.ndarray:
        return rng.integers(0, 3, (n, 1)) * 1000.0 + rng.standard_normal((n, 8)) * 1e-3

    return {
        "normal": (rng.standard_normal((500, 40)), rng.standard_normal((400, 40))),
        "float32": (rng.standard_normal((300, 40)).astype(np.float32), rng.standard_normal((200, 40)).astype(np.float32)),
        "tight clusters": (tight(500), tight(300)),
        "duplicates": (rng.integers(0, 3, (300, 2)).astype(float), rng.integers(0, 3, (200, 2)).astype(float)),
        "surfaces": (rng.integers(0, 30, (400, 2)).astype(float), rng.integers(0, 30, (300, 2)).astype(float)),
        "huge": (1e30 * rng.standard_normal((200, 5)), 1e30 * rng.standard_normal((200, 5))),
        "tiny": (1e-30 * rng.standard_normal((200, 5)), 1e-30 * rng.standard_normal((200, 5))),
        "outlier": (np.concatenate([rng.standard_normal((200, 5)), np.full((1, 5), 1e4)]), rng.standard_normal((200, 5))),
        "collapsed": (rng.standard_normal((200, 5)), np.zeros((100, 5))),
    }


@pytest.mark.parametrize("name", cases())
@pytest.mark.parametrize(("tile", "rows"), [(64, 24), (4096, 128)])
def test_every_radius_and_every_ball_is_that_of_float64(name, tile, rows, monkeypatch):
    monkeypatch.setattr(balls, "_TILE", tile)
    monkeypatch.setattr(balls, "_ROWS", rows)
    real, fake = cases()[name]
    radii = []
    for rows in (real, fake):
        own = distances(rows, rows)
        np.fill_diagonal(own, np.inf)
        radii.append(neighbour_radii(rows, 3))
        np.testing.assert_array_equal(radii[-1], np.sort(own, axis=1)[:, 2])
    between = distances(real, fake)
    found = balls.cross(real, fake, *radii)
    np.testing.assert_array_equal(found.fake_in_real, (between <= radii[0][:, None]).sum(0))
    np.testing.assert_array_equal(found.real_holds, (between <= radii[0][:, None]).sum(1))
    np.testing.assert_array_equal(found.real_in_fake, (between <= radii[1][None, :]).sum(1))


def test_a_collapsed_generator_loses_recall_and_not_precision():
    rng = np.random.default_rng(1)
    modes = 20 * rng.standard_normal((10, 6))
    real, fake = modes[rng.integers(10, size=1000)], modes[rng.integers(5, size=1000)]
    real, fake = real + rng.standard_normal(real.shape), fake + rng.standard_normal(fake.shape)
    held = precision_recall(real, fake)
    assert held.precision > 0.9
    assert held.recall == pytest.approx(0.5, abs=0.1)
    assert density_coverage(real, fake).coverage == pytest.approx(0.5, abs=0.1)
    swapped = precision_recall(fake, real)
    assert swapped.precision == held.recall
    assert swapped.recall == held.precision


def test_a_noisy_generator_loses_precision_and_not_recall():
    rng = np.random.default_rng(2)
    real, clean = rng.standard_normal((600, 8)), rng.standard_normal((600, 8))
    noisy = clean + rng.standard_normal(clean.shape) * (rng.random((600, 1)) < 0.5) * 8
    assert precision_recall(real, noisy).precision < 0.7 < precision_recall(real, clean).precision
    assert precision_recall(real, noisy).recall >= precision_recall(real, clean).recall - 0.1


def test_density_and_coverage_of_one_distribution_are_what_the_paper_derives():
    rng = np.random.default_rng(3)
    found = density_coverage(rng.standard_normal((1500, 4)), rng.standard_normal((1500, 4)))
    n, k = 1500, 5
    expected = 1 - np.prod([(n - i) / (2 * n - i) for i in range(1, k + 1)])
    assert found.coverage == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / n))
    assert found.density == pytest.approx(1, abs=0.05)


def test_realism_is_at_least_one_within_a_ball_and_falls_with_distance():
    rng = np.random.default_rng(4)
    real, ray = rng.standard_normal((300, 3)), np.array([[0.0, 0, 0], [4, 0, 0], [8, 0, 0]])
    found = realism(real, ray)
    assert found[0] > found[1] > found[2] > 0
    assert np.isinf(realism(real, real[:5])).sum() >= 1


def test_tensors_and_bad_input():
    rows = torch.randn(30, 4, generator=torch.Generator().manual_seed(0))
    assert precision_recall(rows, rows) == (1.0, 1.0)
    assert precision_recall(rows.half(), rows.half()) == (1.0, 1.0)
    assert coverage(rows, rows) == 1.0
    for bad, said in (((rows, rows[:, :3]), "same dimension"), ((rows, rows[:0]), "at least 4 generated"), ((rows / 0, rows), "hold NaN")):
        with pytest.raises(UsageError, match=said):
            precision_recall(*bad)
