"""Statistics against hand-checked values, second implementations, and their own promises (an interval holds the truth as often as it says)."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from saddlepoint.errors import UsageError
from saddlepoint.human.ranking import average_rank, bradley_terry, first_places, pairs_of_orders, win_matrix
from saddlepoint.human.staircase import DOWN_MS, LONGEST_MS, SHORTEST_MS, START_MS, UP_MS, exposures, modal_exposure, next_exposure, threshold
from saddlepoint.human.statistics import binomial_p, chi_square, d_prime, forced_choice_sensitivity, mean_over_raters, welch_t, wilson_interval


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (3, 10), (10, 10), (213, 1000), (1, 1)])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_wilson_agrees_with_scipy(successes, trials, confidence):
    expected = stats.binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    assert wilson_interval(successes, trials, confidence)[1:] == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_wilson_solves_its_equation():
    low, high = wilson_interval(7, 30)[1:]
    for end in (low, high):
        assert abs(7 / 30 - end) == pytest.approx(1.959963984540054 * math.sqrt(end * (1 - end) / 30), rel=1e-9)


def test_wilson_covers_the_truth():
    # A count is discrete, so for one share the coverage swings around 95 %; over all shares it is right on average and never far off.
    counts, shares = np.arange(41), np.linspace(0.05, 0.95, 181)
    intervals = [wilson_interval(int(count), 40) for count in counts]
    inside = np.array([[low <= share <= high for _, low, high in intervals] for share in shares])
    coverage = (stats.binom.pmf(counts, 40, shares[:, None]) * inside).sum(1)
    assert coverage.mean() == pytest.approx(0.95, abs=0.005)
    assert coverage.min() > 0.9


def test_binomial_p_by_counting():
    weights = [math.comb(12, k) for k in range(13)]
    for count in range(13):
        expected = sum(weight for weight in weights if weight <= weights[count]) / 2**12
        assert binomial_p(count, 12) == pytest.approx(expected, rel=1e-12)


def test_sensitivity_by_hand_and_its_direction():
    found = d_prime(75, 100, 30, 100)
    normal = stats.norm
    hit, alarm = 75.5 / 101, 30.5 / 101
    assert found.d_prime == pytest.approx(normal.ppf(hit) - normal.ppf(alarm))
    assert found.criterion == pytest.approx(-(normal.ppf(hit) + normal.ppf(alarm)) / 2)
    assert d_prime(90, 100, 30, 100).d_prime > found.d_prime > d_prime(75, 100, 50, 100).d_prime
    assert d_prime(90, 100, 80, 100).criterion < 0 < d_prime(10, 100, 5, 100).criterion  # leaning, not seeing
    assert math.isfinite(d_prime(10, 10, 0, 10).d_prime)
    assert forced_choice_sensitivity(50, 100) == 0.0 < forced_choice_sensitivity(80, 100)


def test_sensitivity_covers_the_truth():
    rng, truth = np.random.default_rng(1), stats.norm.ppf(0.8) - stats.norm.ppf(0.3)
    held = []
    for _ in range(1000):
        found = d_prime(int(rng.binomial(200, 0.8)), 200, int(rng.binomial(200, 0.3)), 200)
        held.append(found.low <= truth <= found.high)
    assert 0.93 <= np.mean(held) <= 0.97


def test_mean_over_raters_covers_the_truth():
    rng = np.random.default_rng(2)
    intervals = [mean_over_raters(rng.beta(4, 6, size=30), samples=1000, seed=i) for i in range(300)]
    assert 0.90 <= np.mean([low <= 0.4 <= high for _, low, high in intervals]) <= 0.98
    assert mean_over_raters([0.2, 0.4]) == mean_over_raters([0.2, 0.4])
    assert math.isnan(mean_over_raters([0.3]).low)


def test_tests_of_difference_agree_with_scipy():
    table = [[30, 10], [22, 18], [5, 35]]
    theirs = stats.chi2_contingency(table, correction=False)
    assert chi_square(table) == pytest.approx((theirs.statistic, theirs.dof, theirs.pvalue), rel=1e-10)
    assert chi_square([30, 10, 20])[::2] == pytest.approx(tuple(stats.chisquare([30, 10, 20])), rel=1e-10)
    a, b = np.random.default_rng(3).normal(1, 1, 8), np.random.default_rng(4).normal(0, 3, 5)
    theirs = stats.ttest_ind(a, b, equal_var=False)
    assert welch_t(a, b) == pytest.approx((theirs.statistic, theirs.df, theirs.pvalue), rel=1e-10)
    assert welch_t(b, a).statistic == -welch_t(a, b).statistic


# -- ranking -------------------------------------------------------------------------------------------------------------------------------


def simulate_wins(theta: np.ndarray, games: int, seed: int) -> np.ndarray:
    rng, wins = np.random.default_rng(seed), np.zeros((len(theta), len(theta)))
    for i in range(len(theta)):
        for j in range(i + 1, len(theta)):
            wins[i, j] = rng.binomial(games, 1 / (1 + math.exp(theta[j] - theta[i])))
            wins[j, i] = games - wins[i, j]
    return wins


def test_bradley_terry_is_the_maximum_of_its_likelihood():
    from sklearn.linear_model import LogisticRegression

    wins = simulate_wins(np.array([0.8, 0.1, -0.2, -0.7]), 50, seed=0)
    rows, results, weights = [], [], []
    for i in range(4):
        for j in range(4):
            if i != j:
                rows.append(np.eye(4)[i] - np.eye(4)[j])
                results.append(1)
                weights.append(wins[i, j])
    rows += [-row for row in rows]
    fit = LogisticRegression(C=1e9, fit_intercept=False, tol=1e-10, max_iter=1000).fit(rows, results + [0] * 12, weights * 2)
    theta = fit.coef_[0] - fit.coef_[0].mean()
    assert bradley_terry(wins).theta == pytest.approx(theta, abs=1e-5)


def test_bradley_terry_of_two_arms_by_hand():
    found = bradley_terry([[0, 30], [10, 0]])
    assert found.theta[0] - found.theta[1] == pytest.approx(math.log(3))
    assert found.win_probability(0, 1) == pytest.approx(0.75)
    variance = found.covariance[0, 0] + found.covariance[1, 1] - 2 * found.covariance[0, 1]
    assert variance == pytest.approx(1 / 30 + 1 / 10)  # of the log odds


def test_bradley_terry_covers_the_truth():
    truth = np.array([0.9, 0.3, -0.2, -1.0])
    held = []
    for seed in range(300):
        found = bradley_terry(simulate_wins(truth, 40, seed))
        held.append((found.low <= truth) & (truth <= found.high))
    assert 0.93 <= np.mean(held) <= 0.97


def test_bradley_terry_of_orders_covers_the_truth_where_fisher_does_not():
    rng, truth, held = np.random.default_rng(0), np.array([0.8, 0.2, -0.2, -0.8]), {"groups": [], "fisher": []}
    for _ in range(300):
        orders = np.argsort(-(truth + rng.gumbel(size=(60, 4))), 1)
        tables = [win_matrix(pairs_of_orders([order]), 4) for order in orders]
        for name, groups in (("groups", tables), ("fisher", None)):
            found = bradley_terry(np.sum(tables, 0), groups=groups, tolerance=1e-6)
            held[name].append((found.low <= truth) & (truth <= found.high))
    assert 0.92 <= np.mean(held["groups"]) <= 0.97
    assert np.mean(held["fisher"]) < np.mean(held["groups"]) - 0.01


def test_groups_of_single_comparisons_agree_with_fisher():
    wins = simulate_wins(np.array([0.5, 0.0, -0.5]), 400, seed=1)
    single = [np.eye(3)[i][:, None] * np.eye(3)[j] for i in range(3) for j in range(3) for _ in range(int(wins[i, j]))]
    assert bradley_terry(wins, groups=single).low == pytest.approx(bradley_terry(wins).low, abs=0.01)
    with pytest.raises(UsageError, match="sum to the table of wins; 2 came"):
        bradley_terry(wins, groups=single[:2])


def test_a_tie_is_half_a_win_for_both():
    tied = bradley_terry(win_matrix([(0, 1, 1.0)] * 6 + [(0, 1, 0.0)] * 2 + [(0, 1, 0.5)] * 4, 2))
    assert tied.win_probability(0, 1) == pytest.approx(8 / 12)


def test_bradley_terry_refuses_what_has_no_finite_answer():
    with pytest.raises(UsageError, match="arms 0, 1 never did against some"):
        bradley_terry([[0, 5], [0, 0]])
    with pytest.raises(UsageError, match="square table"):
        bradley_terry([[0, 5]])


def test_average_rank_and_shares_by_hand():
    found = average_rank([[2, 0, 1], [2, 1, 0], [0, 2, 1]], 3)
    assert found.mean.tolist() == pytest.approx([2.0, 8 / 3, 4 / 3])
    assert found.standard_error[0] == pytest.approx(1 / math.sqrt(3))
    assert len(pairs_of_orders([[2, 0, 1], [2, 1, 0]])) == 6
    with pytest.raises(UsageError, match="order all 3 arms"):
        average_rank([[0, 0, 1]], 3)
    shares, test = first_places([60, 25, 15])
    assert sum(share.value for share in shares) == pytest.approx(1.0)
    assert test.p_value < 1e-6


# -- the staircase -------------------------------------------------------------------------------------------------------------------------


def test_staircase_by_hand():
    assert exposures([True, True, False]) == [500, 490, 480, 510]
    assert next_exposure([False] * 30) == 1000
    assert next_exposure([True] * 60) == 100
    assert modal_exposure([500, 490, 500]) == 500
    assert modal_exposure([500, 490]) == 495
    assert threshold([[500, 500, 490], [300]]) == 400


def test_staircase_settles_where_three_of_four_are_right():
    rng, right, shown = np.random.default_rng(0), [], START_MS
    for _ in range(4000):
        right.append(bool(rng.random() < 0.5 + 0.5 * stats.norm.cdf((shown - 350) / 60)))
        shown = min(LONGEST_MS, max(SHORTEST_MS, shown + (-DOWN_MS if right[-1] else UP_MS)))
    assert shown == next_exposure(right)
    assert np.mean(right[500:]) == pytest.approx(0.75, abs=0.02)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: wilson_interval(3, 2), "3 of 2 came"),
        (lambda: wilson_interval(0, 0), "0 of 0 came"),
        (lambda: wilson_interval(1, 2, confidence=95), "between 0 and 1; 95 came"),
        (lambda: mean_over_raters([]), "at least one rater"),
        (lambda: chi_square([[1, 0], [2, 0]]), "none of them empty"),
        (lambda: welch_t([1.0], [1.0, 2.0]), "at least two numbers on either side; 1 and 2 came"),
        (lambda: welch_t([1.0, 1.0], [2.0, 2.0]), "both sides are constant"),
        (lambda: modal_exposure([]), "at least one answer"),
    ],
)
def test_what_has_no_answer_is_refused_in_one_line(call, message):
    with pytest.raises(UsageError, match=message) as refused:
        call()
    assert "\n" not in str(refused.value)
