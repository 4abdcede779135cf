"""Modes covered on ring and grid; sliced Wasserstein against SciPy and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats

from saddlepoint.errors import UsageError
from saddlepoint.evaluation.modes import mode_coverage
from saddlepoint.evaluation.sliced import sliced_wasserstein


def ring(num_modes: int = 8) -> np.ndarray:
    angles = 2 * np.pi * np.arange(num_modes) / num_modes
    return 2 * np.stack([np.cos(angles), np.sin(angles)], 1)


def draw(centers: np.ndarray, std: float, n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return centers[rng.integers(len(centers), size=n)] + std * rng.standard_normal((n, 2))


def test_the_mixture_itself_covers_all_at_the_ceiling() -> None:
    report = mode_coverage(draw(ring(), 0.02, 20_000), ring(), 0.02)
    assert report.modes == 8
    assert report.high_quality == pytest.approx(1 - math.exp(-4.5), abs=0.003)
    assert report.kl == pytest.approx(0, abs=1e-3)


def test_counts_agree_with_a_plain_loop() -> None:
    centers, samples = ring(5), np.random.default_rng(1).uniform(-2.5, 2.5, (600, 2))
    counts = [0] * 5
    for sample in samples:
        distances = [math.dist(sample, center) for center in centers]
        if min(distances) <= 3 * 0.3:
            counts[distances.index(min(distances))] += 1
    report = mode_coverage(samples, centers, 0.3)
    assert report.counts == tuple(counts)
    assert report.high_quality == pytest.approx(sum(counts) / 600)
    assert report.kl == pytest.approx(scipy.stats.entropy(np.array(counts) / sum(counts), np.full(5, 0.2)))


def test_dropped_modes_and_thresholds() -> None:
    samples = np.concatenate([draw(ring()[:3], 0.02, 1000), ring()[3:4]])
    assert mode_coverage(samples, ring(), 0.02).modes == 4
    assert mode_coverage(samples, ring(), 0.02, min_count=2).modes == 3
    assert mode_coverage(samples, ring(), 0.02, within=1e-9).modes == 1
    collapsed = mode_coverage(np.repeat(ring()[:1], 50, 0), ring(), 0.02)
    assert (collapsed.modes, collapsed.high_quality, collapsed.kl) == (1, 1.0, pytest.approx(math.log(8)))


def test_no_sample_near_a_mode() -> None:
    report = mode_coverage(np.zeros((9, 2)), ring(), 0.02)
    assert (report.modes, report.high_quality, report.kl, report.counts) == (0, 0.0, math.inf, (0,) * 8)
    with pytest.raises(UsageError, match="std > 0"):
        mode_coverage(np.zeros((9, 2)), ring(), 0.0)


@pytest.mark.parametrize(("n", "m"), [(50, 50), (50, 37), (3, 100)])
def test_one_dimension_agrees_with_scipy(n: int, m: int) -> None:
    rng = np.random.default_rng(n)
    real, fake = rng.standard_normal((n, 1)), rng.exponential(size=(m, 1))
    assert sliced_wasserstein(real, fake) == pytest.approx(scipy.stats.wasserstein_distance(real[:, 0], fake[:, 0]), rel=1e-12)


def test_a_shift_in_the_plane_is_two_over_pi_of_its_length() -> None:
    real = draw(ring(), 0.1, 500)
    shift = np.array([3.0, 4.0])
    assert sliced_wasserstein(real, real + shift, num_directions=4096) == pytest.approx(5 * 2 / math.pi, rel=0.02)
    assert sliced_wasserstein(real, real) == 0
    assert sliced_wasserstein(real, real + shift, seed=1) == sliced_wasserstein(real, real + shift, seed=1)
    assert sliced_wasserstein(real, real[::-1]) == pytest.approx(0, abs=1e-15)
