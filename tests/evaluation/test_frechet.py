"""Frechet distance: closed forms, the textbook matrix square root, singular and small cases."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch

from saddlepoint.errors import UsageError
from saddlepoint.evaluation import frechet
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


def covariances(kind: str, decades: float, d: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Pairs whose product falls over twice so many decades."""
    rng = np.random.default_rng(5)
    turns = [np.linalg.qr(rng.standard_normal((d, d)))[0] for _ in range(2)]
    falling, flat = np.logspace(0, -decades, d), np.linspace(1, 2, d)
    turned = [(turn * falling) @ turn.T for turn in turns]
    pairs = {
        "turned": turned,
        "one basis": [turned[0], 1.2 * turned[0]],
        "rising diagonal": [np.diag(falling[::-1]), turned[0]],
        "steep and flat": [turned[0], (turns[1] * flat) @ turns[1].T],
        "flat and steep": [(turns[1] * flat) @ turns[1].T, turned[0]],
        "opposite": [np.diag(falling), np.diag(falling[::-1])],
        "half the rank": [turned[1], np.cov(rng.standard_normal((d // 2, d)) * np.sqrt(falling), rowvar=False)],
    }
    first, second = pairs[kind]
    return (first + first.T) / 2, (second + second.T) / 2


def by_singular_values(cov1: np.ndarray, cov2: np.ndarray) -> float:
    """The overlap from eigenvectors of either side alone: no eigenvalue of a product, no root of a small number."""
    sides = []
    for cov in (cov1, cov2):
        values, vectors = np.linalg.eigh(cov)
        sides.append(np.sqrt(np.where(values < len(values) * 2.2e-16 * values[-1], 0, values))[:, None] * vectors.T)
    return float(np.linalg.svd(sides[0] @ sides[1].T, compute_uv=False).sum())


KINDS = ["turned", "one basis", "rising diagonal", "steep and flat", "flat and steep", "opposite", "half the rank"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("decades", [1, 4, 8])
def test_steep_spectra_stay_exact_by_eigenvalues_alone(kind: str, decades: int, monkeypatch: pytest.MonkeyPatch) -> None:
    cov1, cov2 = covariances(kind, decades)
    zero, spread = np.zeros(len(cov1)), np.trace(cov1 + cov2)
    expected = spread - 2 * by_singular_values(cov1, cov2)
    monkeypatch.setattr(frechet, "_singular_sum", lambda product: pytest.fail("the slower form was taken"))
    # at eight decades the eigenvectors that are compared with know the smallest variances to one digit: half their roots show
    assert frechet_from_statistics(zero, cov1, zero, cov2) == pytest.approx(expected, abs=(1e-12 if decades < 8 else 1e-9) * spread)
    assert frechet_from_statistics(zero, cov2, zero, cov1) == pytest.approx(expected, abs=(1e-12 if decades < 8 else 1e-9) * spread)


@pytest.mark.parametrize("kind", KINDS)
def test_where_the_determinant_tells_of_rounding_the_singular_values_are_taken(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cov1, cov2 = covariances(kind, 6)
    zero = np.zeros(len(cov1))
    expected = frechet_from_statistics(zero, cov1, zero, cov2)
    monkeypatch.setattr(frechet, "_EXACT", -1.0)
    assert frechet_from_statistics(zero, cov1, zero, cov2) == pytest.approx(expected, abs=1e-12 * np.trace(cov1 + cov2))


def test_eigenvalues_that_lost_their_small_ones_are_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    cov1, cov2 = covariances("turned", 6)
    zero, expected, asked = np.zeros(len(cov1)), frechet_from_statistics(*(np.zeros(60), cov1), *(np.zeros(60), cov2)), []

    def rounded(product: np.ndarray, **_: object) -> np.ndarray:
        values = np.linalg.eigvalsh(product, "L")
        asked.append(len(values))
        return np.sort(values + 1e-13 * values[-1] * np.random.default_rng(0).random(len(values)))

    monkeypatch.setattr(frechet, "eigvalsh", rounded)
    assert frechet_from_statistics(zero, cov1, zero, cov2) == pytest.approx(expected, rel=1e-12)
    assert asked == [60, 60]  # both sides were tried, then the singular values


def test_both_covariances_singular_and_covariances_rounded_to_float32() -> None:
    rng = np.random.default_rng(6)
    rows = [rng.standard_normal((n, 80)) @ rng.standard_normal((80, 80)) for n in (30, 50)]
    (mean1, cov1), (mean2, cov2) = statistics(rows[0]), statistics(rows[1])
    expected = frechet_distance(*rows)
    assert frechet_from_statistics(mean1, cov1, mean2, cov2) == pytest.approx(expected, rel=1e-9)
    single = [array.astype(np.float32) for array in (mean1, cov1, mean2, cov2)]
    assert np.linalg.eigvalsh(single[1].astype(np.float64))[0] < -1e-8  # rounding made it indefinite
    assert frechet_from_statistics(*single) == pytest.approx(expected, rel=1e-3)


def test_numbers_near_the_ends_of_float64() -> None:
    real, fake = sets(90, 80, 5)
    for factor in (1e-90, 1e-50, 1e50, 1e90):
        assert frechet_distance(factor * real, factor * fake) == pytest.approx(factor**2 * frechet_distance(real, fake), rel=1e-9)


def test_refuses_an_indefinite_second_covariance() -> None:
    zero, eye, indefinite = np.zeros(3), np.eye(3), np.diag([1.0, 1.0, -1.0])
    for pair in ((eye, indefinite), (indefinite, eye), (np.zeros((3, 3)), indefinite), (np.zeros((3, 3)), np.eye(3)[::-1])):
        with pytest.raises(UsageError, match="negative eigenvalues"):
            frechet_from_statistics(zero, pair[0], zero, pair[1])
