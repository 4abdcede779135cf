"""Precision, recall, density, coverage, nearest, pairwise distance: against plain loops, and on cases with known answers."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.spatial.distance as spatial

from saddlepoint.errors import UsageError
from saddlepoint.evaluation import neighbours
from saddlepoint.evaluation.diversity import mean_pairwise_distance
from saddlepoint.evaluation.neighbours import coverage, density_coverage, nearest, neighbour_radii, precision_recall


def gaussians(n: int, m: int, d: int = 8, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)), rng.standard_normal((m, d)) * 0.8 + 0.3


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "_BLOCK", 700)  # several blocks, the last one short


@pytest.mark.parametrize("k", [1, 3, 5])
def test_agrees_with_the_definitions_by_full_distance_matrices(k: int) -> None:
    real, fake = gaussians(150, 101)
    across = spatial.cdist(real, fake)  # n m
    real_radii = np.sort(spatial.cdist(real, real), axis=1)[:, k]  # column 0 is the sample itself
    fake_radii = np.sort(spatial.cdist(fake, fake), axis=1)[:, k]
    in_real = across <= real_radii[:, None]
    result = precision_recall(real, fake, k=k)
    assert result.precision == pytest.approx(in_real.any(0).mean(), abs=1e-12)
    assert result.recall == pytest.approx((across <= fake_radii).any(1).mean(), abs=1e-12)
    both = density_coverage(real, fake, k=k)
    assert both.density == pytest.approx(in_real.sum() / (k * 101), abs=1e-12)
    assert both.coverage == coverage(real, fake, k=k) == pytest.approx(in_real.any(1).mean(), abs=1e-12)
    np.testing.assert_allclose(neighbour_radii(real, k), real_radii, rtol=1e-10)


def test_nearest_agrees_with_the_distance_matrix_far_from_the_origin() -> None:
    real, queries = gaussians(90, 40)
    indices, distances = nearest(real + 1e6, queries + 1e6)
    across = spatial.cdist(queries + 1e6, real + 1e6)
    assert (indices == across.argmin(1)).all()
    np.testing.assert_allclose(distances, across.min(1), rtol=1e-9)


def test_copies_are_found_at_distance_zero() -> None:
    real = np.concatenate([gaussians(30, 1)[0]] * 2)  # each sample twice: radii of 0
    assert (nearest(real, real)[1] == 0).all()
    assert coverage(real, real, k=1) == 1 and precision_recall(real, real, k=1) == (1, 1)


def test_dropped_modes_cost_recall_and_coverage_not_precision() -> None:
    rng = np.random.default_rng(3)
    modes = np.arange(10)[:, None] * np.array([100.0, 0.0])
    real = (modes[:, None] + rng.standard_normal((10, 60, 2))).reshape(-1, 2)
    for kept in (10, 5, 2):
        fake = (modes[:kept, None] + rng.standard_normal((kept, 60, 2))).reshape(-1, 2)
        precision, recall = precision_recall(real, fake)
        assert precision > 0.9
        assert recall == pytest.approx(kept / 10, abs=0.05)
        assert coverage(real, fake) == pytest.approx(kept / 10, abs=0.05)


def test_outliers_cost_precision_not_coverage() -> None:
    real, _ = gaussians(300, 1)
    again = np.random.default_rng(9).standard_normal((300, 8))
    fake = np.concatenate([again, again[:100] + 50])
    assert precision_recall(real, fake).precision == pytest.approx(precision_recall(real, again).precision * 0.75, abs=1e-9)
    assert coverage(real, fake) == coverage(real, again)


def test_expected_coverage_and_density_of_one_distribution() -> None:
    rng = np.random.default_rng(0)
    values = [density_coverage(rng.standard_normal((200, 4)), rng.standard_normal((200, 4))) for _ in range(20)]
    n, k = 200, 5
    expected = 1 - np.prod([(n - i) / (2 * n - i) for i in range(1, k + 1)])
    assert np.mean([value.coverage for value in values]) == pytest.approx(expected, abs=0.01)
    assert np.mean([value.density for value in values]) == pytest.approx(1, abs=0.05)


def test_order_does_not_matter() -> None:
    real, fake = gaussians(60, 50)
    assert precision_recall(real[::-1], fake[::-1]) == precision_recall(real, fake)
    assert density_coverage(real[::-1], fake[::-1]) == density_coverage(real, fake)


@pytest.mark.parametrize("n", [2, 77, 1030])
def test_mean_pairwise_distance(n: int) -> None:
    rows = gaussians(n, 1)[0] + 1e4
    assert mean_pairwise_distance(rows) == pytest.approx(spatial.pdist(rows).mean(), rel=1e-8)
    assert mean_pairwise_distance(np.ones((n, 3))) == 0


def test_refuses_in_one_line() -> None:
    real, fake = gaussians(10, 3)
    with pytest.raises(UsageError, match="at least 4 generated samples"):
        precision_recall(real, fake)
    with pytest.raises(UsageError, match="more than k samples; 3 samples came"):
        coverage(fake, real, k=5)
    with pytest.raises(UsageError, match="k=0 came"):
        density_coverage(real, fake, k=0)
