"""Kernel distance: the formula by plain loops, subsets alone and sharing their pairs, the jackknife by leaving samples out, and errors that hold."""

from __future__ import annotations

import numpy as np
import pytest

from saddlepoint.evaluation import kernel
from saddlepoint.evaluation.kernel import kernel_distance


def formula(x: np.ndarray, y: np.ndarray) -> float:
    def k(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (a.astype(np.float64) @ b.T.astype(np.float64) / a.shape[1] + 1) ** 3

    n, m, own, other = len(x), len(y), k(x, x), k(y, y)
    return (own.sum() - np.trace(own)) / (n * (n - 1)) + (other.sum() - np.trace(other)) / (m * (m - 1)) - 2 * k(x, y).mean()


def jackknife(x: np.ndarray, y: np.ndarray) -> float:
    variance = 0.0
    for side, score in ((x, lambda rows: formula(rows, y)), (y, lambda rows: formula(x, rows))):
        without = np.array([score(np.delete(side, i, axis=0)) for i in range(len(side))])
        variance += (len(side) - 1) / len(side) * np.square(without - without.mean()).sum()
    return float(np.sqrt(variance))


def sets(n: int, m: int, d: int = 6, seed: int = 0, shift: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)), 0.8 * rng.standard_normal((m, d)) + shift


@pytest.fixture(params=[None, 7])
def tiles(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """All pairs in one product, and in tiles the last of which is short."""
    if request.param:
        for name in ("_TILE", "_ROWS", "_WHOLE"):
            monkeypatch.setattr(kernel, name, request.param)


@pytest.mark.usefixtures("tiles")
@pytest.mark.parametrize(("n", "m"), [(3, 3), (30, 21), (50, 150)])
def test_whole_sets_give_the_formula_and_its_jackknife(n: int, m: int) -> None:
    x, y = sets(n, m)
    found = kernel_distance(x, y)
    assert found.subsets == 1
    assert found.value == pytest.approx(formula(x, y), rel=1e-11)
    assert found.error == found.std == pytest.approx(jackknife(x, y), rel=1e-9)


@pytest.mark.usefixtures("tiles")
@pytest.mark.parametrize("subsets", [3, 60])
def test_subsets_are_the_formula_on_each_whether_they_share_pairs_or_not(subsets: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = sets(90, 70, d=40)
    taken = []
    for name in ("_together", "_one_by_one"):
        form = getattr(kernel, name)
        monkeypatch.setattr(kernel, name, lambda *given, form=form, name=name: taken.append(name) or form(*given))
    found = kernel_distance(x, y, subsets=subsets, subset_size=30, seed=4)
    assert taken == ["_one_by_one" if subsets == 3 else "_together"]
    rng = np.random.default_rng(4)
    values, variances = [], []
    for _ in range(subsets):
        at, to = rng.choice(90, 30, replace=False), rng.choice(70, 30, replace=False)
        values.append(formula(x[at], y[to]))
        variances.append([part**2 for part in parts_of_jackknife(x[at], y[to])])
    assert found.value == pytest.approx(np.mean(values), rel=1e-11)
    assert found.std == pytest.approx(np.std(values), rel=1e-9)
    over_real, over_fake = np.mean(variances, axis=0)
    assert found.error == pytest.approx(np.sqrt(over_real * 30 / 90 + over_fake * 30 / 70 + np.var(values) / subsets), rel=1e-9)


def parts_of_jackknife(x: np.ndarray, y: np.ndarray) -> list[float]:
    parts = []
    for side, score in ((x, lambda rows: formula(rows, y)), (y, lambda rows: formula(x, rows))):
        without = np.array([score(np.delete(side, i, axis=0)) for i in range(len(side))])
        parts.append(float(np.sqrt((len(side) - 1) / len(side) * np.square(without - without.mean()).sum())))
    return parts


@pytest.mark.parametrize(("n", "m", "subsets", "size"), [(60, 40, 1, 1000), (150, 50, 20, 50), (200, 200, 10, 50)])
def test_the_error_is_the_deviation_over_new_samples(n: int, m: int, subsets: int, size: int) -> None:
    found = [kernel_distance(*sets(n, m, d=3, seed=seed), subsets=subsets, subset_size=size, seed=seed) for seed in range(300)]
    deviation = np.std([one.value for one in found])
    # 4 percent is the deviation's own error; the jackknife is biased upward, by what a product of two noises adds
    assert 0.85 * deviation < np.sqrt(np.mean([one.error**2 for one in found])) < 1.35 * deviation


def test_the_error_of_equal_distributions_is_not_too_small() -> None:
    found = [
        kernel_distance(*(np.random.default_rng([seed, side]).standard_normal((120, 5)) for side in range(2)), subset_size=60) for seed in range(60)
    ]
    deviation = np.std([one.value for one in found])
    assert np.mean([one.error for one in found]) > 0.8 * deviation


def test_float32_keeps_six_digits_of_a_small_distance() -> None:
    x, y = (rows.astype(np.float32) for rows in sets(400, 300, d=512, shift=0.05))
    for subsets in (4, 100):
        single = kernel_distance(x, y, subsets=subsets, subset_size=100)
        double = kernel_distance(x.astype(np.float64), y.astype(np.float64), subsets=subsets, subset_size=100)
        assert single.value == pytest.approx(double.value, abs=1e-7)
        assert single.error == pytest.approx(double.error, rel=1e-4)


def test_two_samples_have_a_value_and_no_error() -> None:
    found = kernel_distance(np.array([[0.0], [1.0]]), np.array([[0.0], [2.0]]))
    assert found.value == -13
    assert np.isnan(found.error)
