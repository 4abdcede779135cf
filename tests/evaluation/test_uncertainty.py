"""Running statistics, extrapolation, kernel, inception scores and their uncertainty: closed forms and known distributions."""

from __future__ import annotations

import numpy as np
import pytest

from saddlepoint.errors import UsageError
from saddlepoint.evaluation.frechet import RunningStatistics, frechet_distance, frechet_from_statistics, frechet_infinity, statistics
from saddlepoint.evaluation.inception import am_score, inception_score
from saddlepoint.evaluation.kernel import kernel_distance
from saddlepoint.evaluation.uncertainty import best_of_budget, bias_curve, bootstrap, floor, half_sample_error

rng = np.random.default_rng


def test_running_statistics_are_those_of_all_rows_and_merge():
    rows = rng(0).standard_normal((1000, 5)) + 1e6
    parts = [RunningStatistics().update(part) for part in (rows[:7], rows[7:600], rows[600:])]
    merged = RunningStatistics().merge(parts[0]).merge(parts[1]).merge(RunningStatistics.from_state(parts[2].state())).merge(RunningStatistics())
    assert merged.count == 1000
    np.testing.assert_allclose(merged.mean, rows.mean(0), rtol=1e-14)
    np.testing.assert_allclose(merged.covariance, np.cov(rows, rowvar=False), rtol=1e-8, atol=1e-9)  # a mean a million deviations away
    with pytest.raises(UsageError, match="5 and then 4"):
        merged.update(rows[:, :4])
    with pytest.raises(UsageError, match="none came"):
        RunningStatistics().mean  # noqa: B018
    with pytest.raises(UsageError, match="NaN or infinity"):
        RunningStatistics().update(np.array([[np.nan]]))
    with pytest.raises(UsageError, match="finite statistics"):
        frechet_from_statistics(np.array([np.nan]), np.eye(1), np.zeros(1), np.eye(1))


@pytest.mark.parametrize("decades", [0, 4, 12, 16])
def test_frechet_of_spectra_that_fall_to_rounding(decades):
    """Commuting covariances have a closed form, whatever their condition; half the spectrum's rounding shows as its root: 1e-7 of the trace."""
    d = 40
    turn = np.linalg.qr(rng(1).standard_normal((d, d)))[0]
    one, two = np.logspace(0, -decades, d), np.logspace(-decades, 0, d)
    expected = np.square(np.sqrt(one) - np.sqrt(two)).sum()
    found = frechet_from_statistics(np.zeros(d), (turn * one) @ turn.T, np.zeros(d), (turn * two) @ turn.T)
    assert found == pytest.approx(expected, rel=1e-9 if decades <= 4 else 1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_frechet_of_constant_features(dtype):
    real, fake = rng(2).standard_normal((300, 8)).astype(dtype), rng(3).standard_normal((200, 8)).astype(dtype)
    real[:, 3], fake[:, 3], fake[:, 4] = 7, 9, 0
    kept = [0, 1, 2, 4, 5, 6, 7]
    assert frechet_distance(real, fake) == pytest.approx(frechet_distance(real[:, kept], fake[:, kept]) + 4, rel=1e-7)


def test_frechet_infinity_takes_the_bias_away():
    real, fake = rng(4).standard_normal((4000, 20)), rng(5).standard_normal((600, 20))
    found = frechet_infinity(real, fake, smallest=60)
    assert frechet_distance(real, fake) > 0.1
    assert abs(found.value) < 0.1
    assert 0 < found.error < 0.05


def test_frechet_falls_toward_its_limit_with_more_samples():
    real, fake = rng(6).standard_normal((2000, 10)), rng(7).standard_normal((2000, 10))
    means = [mean for _, mean, _ in bias_curve(frechet_distance, real, fake, (50, 200, 1000), repeats=4)]
    assert means[0] > 2 * means[1] > 4 * means[2] > 0
    with pytest.raises(UsageError, match="sizes from 1 to 2000"):
        bias_curve(frechet_distance, real, fake, (5000,))


def test_kernel_distance_is_unbiased_and_negative_as_often_as_not():
    values = np.array([kernel_distance(rng(s).standard_normal((30, 4)), rng(1000 + s).standard_normal((20, 4))).value for s in range(200)])
    assert abs(values.mean()) < 4 * values.std() / np.sqrt(200)
    assert 0.3 < (values < 0).mean() < 0.75


def test_kernel_distance_of_float32_agrees_with_float64():
    real, fake = rng(0).standard_normal((1500, 64)), rng(1).standard_normal((1500, 64)) + 0.1
    single, double = kernel_distance(real.astype(np.float32), fake.astype(np.float32), subsets=5), kernel_distance(real, fake, subsets=5)
    assert single.value == pytest.approx(double.value, abs=1e-7)
    assert kernel_distance(real[:2], fake[:2]).subset_size == 2
    with pytest.raises(UsageError, match="one subset of two"):
        kernel_distance(real, fake, subsets=0)


def test_scores_rise_with_planted_shift():
    real, fake = rng(8).standard_normal((500, 6)), rng(9).standard_normal((500, 6))
    for metric in (frechet_distance, lambda a, b: kernel_distance(a, b).value):
        values = [metric(real, fake + shift) for shift in (0, 0.3, 0.6, 1.0)]
        assert values == sorted(values)
        assert values[3] > 10 * abs(values[0])


def test_inception_and_am_scores_at_their_bounds():
    assert inception_score(np.full((20, 5), 0.2)).value == pytest.approx(1)
    assert inception_score(np.eye(5)[np.arange(20) % 5], splits=2).value == pytest.approx(5)
    assert inception_score(np.eye(5)[np.zeros(20, int)]).value == pytest.approx(1)  # sure, but of one class only
    assert am_score(np.eye(4), np.eye(4)[[0, 0, 0, 1]]) == np.inf
    with pytest.raises(UsageError, match="softmax"):
        inception_score(np.array([[2.0, -1.0]]), splits=1)
    with pytest.raises(UsageError, match="one sample a split"):
        inception_score(np.eye(5))


def test_half_samples_and_bootstrap_know_the_error_of_a_mean():
    rows = rng(10).standard_normal((400, 1))
    truth = rows.std() / np.sqrt(400)
    found = half_sample_error(lambda a, b: float(np.mean(a)), rows, rows, repeats=200)
    assert found == pytest.approx(truth, rel=0.25)  # five standard errors of a deviation from 200 draws
    estimate = bootstrap(np.mean, rows, repeats=400)
    assert estimate.error == pytest.approx(truth, rel=0.18)
    assert estimate.low < estimate.value < estimate.high
    assert floor(frechet_distance, rows) < 0.1
    for bad in (
        lambda: bootstrap(np.mean, rows[:1]),
        lambda: half_sample_error(frechet_distance, rows[:3], rows),
        lambda: floor(frechet_distance, rows[:3]),
    ):
        with pytest.raises(UsageError, match="need"):
            bad()


def test_statistics_are_numpys():
    rows = rng(11).standard_normal((50, 3)).astype(np.float32)
    mean, cov = statistics(rows)
    np.testing.assert_allclose(cov, np.cov(rows.astype(np.float64), rowvar=False), rtol=1e-12)
    np.testing.assert_allclose(mean, rows.astype(np.float64).mean(0), rtol=1e-12)


def test_the_best_of_a_budget_is_the_bootstraps_in_closed_form():
    random = rng(4)
    runs = random.gamma(2.0, 10.0, 30)
    for budget in (1, 3, 12):
        draws = np.sort(runs)[random.integers(0, 30, (40_000, budget)).min(1)]
        found = best_of_budget(runs, budget)
        assert found.value == pytest.approx(draws.mean(), abs=5 * draws.std() / 200)
        assert found.error == pytest.approx(draws.std(), rel=0.05)
        assert (found.low, found.high) == pytest.approx(np.quantile(draws, [0.025, 0.975], method="inverted_cdf"), rel=0.15)
    assert best_of_budget(runs, 1).value == pytest.approx(runs.mean())
    assert best_of_budget(runs, 500).value == pytest.approx(runs.min(), rel=1e-3)
    for values, budget in ((runs, 0), (np.array([]), 1), (np.array([1.0, np.nan]), 1)):
        with pytest.raises(UsageError, match="The best of a budget needs"):
            best_of_budget(values, budget)
