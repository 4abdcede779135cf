"""Frechet distance: closed forms, the textbook matrix square root, singular and small cases."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch

from saddlepoint.errors import UsageError
from saddlepoint.evaluation.frechet import frechet_distance, frechet_from_statistics, statistics


def textbook(mean1: np.ndarray, cov1: np.ndarray, mean2: np.ndarray, cov2: np.ndarray) -> float:
    root = scipy.linalg.sqrtm(cov1 @ cov2)
    return float(((mean1 - mean2) ** 2).sum() + np.trace(cov1 + cov2 - 2 * root).real)


def sets(n: int, m: int, d: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)) @ rng.standard_normal((d, d)), rng.standard_normal((m, d)) @ rng.standard_normal((d, d)) + 1


@pytest.mark.parametrize("d", [1, 2, 17, 64])
def test_agrees_with_the_matrix_square_root(d: int) -> None:
    real, fake = sets(400, 300, d)
    expected = textbook(*statistics(real), *statistics(fake))
    assert frechet_distance(real, fake) == pytest.approx(expected, rel=1e-9)
    assert frechet_from_statistics(*statistics(real), *statistics(fake)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("n", "m", "d"), [(10, 12, 64), (10, 400, 64), (2, 2, 300), (64, 65, 64)])
def test_fewer_samples_than_dimensions(n: int, m: int, d: int) -> None:
    real, fake = sets(n, m, d)
    from_rows, from_statistics = frechet_distance(real, fake), frechet_from_statistics(*statistics(real), *statistics(fake))
    assert from_rows == pytest.approx(from_statistics, rel=1e-6)
    assert from_rows == pytest.approx(frechet_distance(fake, real), rel=1e-12)


def test_equal_sets_are_at_zero_even_when_singular() -> None:
    real, _ = sets(50, 2, 200)
    assert frechet_distance(real, real) == pytest.approx(0, abs=1e-8)
    assert frechet_distance(np.ones((5, 3)), np.ones((7, 3))) == 0
    mean, cov = statistics(real)
    assert frechet_from_statistics(mean, cov, mean, cov) == pytest.approx(0, abs=1e-6)


def test_gaussians_of_one_dimension_and_of_common_axes() -> None:
    assert frechet_from_statistics(np.zeros(1), np.eye(1) * 4, np.ones(1), np.eye(1) * 9) == pytest.approx(1 + 1)
    spreads1, spreads2 = np.array([1.0, 2.0, 0.0]), np.array([3.0, 0.0, 5.0])
    expected = ((spreads1 - spreads2) ** 2).sum()
    assert frechet_from_statistics(np.zeros(3), np.diag(spreads1**2), np.zeros(3), np.diag(spreads2**2)) == pytest.approx(expected)


def test_turning_and_shifting_both_sets_changes_nothing() -> None:
    real, fake = sets(80, 90, 6)
    turn = scipy.linalg.qr(np.random.default_rng(1).standard_normal((6, 6)))[0]
    assert frechet_distance(real @ turn + 7, fake @ turn + 7) == pytest.approx(frechet_distance(real, fake), rel=1e-9)
    assert frechet_distance(real[::-1], fake[::-1]) == pytest.approx(frechet_distance(real, fake), rel=1e-12)


def test_two_sided_in_mean_and_spread() -> None:
    real, _ = sets(500, 2, 4)
    shifts = [frechet_distance(real, real + shift) for shift in (-2, -1, 0, 1, 2)]
    assert shifts == pytest.approx([16, 4, 0, 4, 16], abs=1e-9)
    assert frechet_distance(real, 0.5 * real) > 0.1 and frechet_distance(real, 1.5 * real) > 0.1


def test_reads_tensors_and_float32() -> None:
    real, fake = sets(40, 30, 5)
    tensors = frechet_distance(torch.from_numpy(real).float().requires_grad_(), torch.from_numpy(fake).float())
    assert tensors == pytest.approx(frechet_distance(real, fake), rel=1e-5)


@pytest.mark.parametrize(
    ("real", "fake", "line"),
    [
        (np.zeros((1, 2)), np.zeros((3, 2)), "at least 2 real samples.*1 came"),
        (np.zeros((3, 2)), np.zeros((3, 4)), "same dimension; real have 2 and generated 4"),
        (np.zeros((3, 2)), np.full((3, 2), np.nan), "finite numbers; 3 of 3 generated"),
        (np.float64(3.0), np.zeros((3, 2)), "a single number came"),
    ],
)
def test_refuses_in_one_line(real: np.ndarray, fake: np.ndarray, line: str) -> None:
    with pytest.raises(UsageError, match=line):
        frechet_distance(real, fake)


def test_refuses_statistics_that_are_none() -> None:
    zero, eye = np.zeros(2), np.eye(2)
    with pytest.raises(UsageError, match="of one d; shapes"):
        frechet_from_statistics(zero, eye, np.zeros(3), np.eye(3))
    with pytest.raises(UsageError, match="symmetric covariance"):
        frechet_from_statistics(zero, np.array([[1.0, 5.0], [0.0, 1.0]]), zero, eye)
    with pytest.raises(UsageError, match="negative eigenvalues"):
        frechet_from_statistics(zero, -eye, zero, eye)
