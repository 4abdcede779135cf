"""Which arm is better, from answers that compare them: Bradley-Terry strengths, average ranks, shares of first places.

Axes: k arms, n trials.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from saddlepoint.errors import UsageError
from saddlepoint.human.statistics import CONFIDENCE, Interval, Significance, chi_square, wilson_interval

Float64 = NDArray[np.float64]
MAX_SWEEPS = 100_000


class Strengths(NamedTuple):
    """Bradley-Terry log-strengths, mean zero, with intervals; each [k]."""

    theta: Float64
    low: Float64
    high: Float64
    covariance: Float64  # k k, of the centred log-strengths

    def win_probability(self, first: int, second: int) -> float:
        """Probability that one arm is preferred to another."""
        return float(1 / (1 + math.exp(self.theta[second] - self.theta[first])))


class AverageRank(NamedTuple):
    """Mean rank (1 is best) of each arm with its standard error; each [k]."""

    mean: Float64
    standard_error: Float64


def win_matrix(pairs: ArrayLike, num_arms: int) -> Float64:
    """Wins of arm i over arm j as float64 [k, k]; a tie is half a win for both.

    Args:
        pairs: rows of (first arm, second arm, result) with result 1 where the first was preferred, 0 where the second was, 0.5 for a tie; [n, 3].
        num_arms: k.

    >>> win_matrix([(0, 1, 1), (0, 1, 0.5)], 2).tolist()
    [[0.0, 1.5], [0.5, 0.0]]
    """
    wins = np.zeros((num_arms, num_arms))
    for first, second, result in np.asarray(pairs, dtype=np.float64).reshape(-1, 3):
        wins[int(first), int(second)] += result
        wins[int(second), int(first)] += 1 - result
    return wins


def bradley_terry(wins: ArrayLike, confidence: float = CONFIDENCE, *, groups: ArrayLike | None = None, tolerance: float = 1e-10) -> Strengths:
    """Maximum-likelihood strengths of arms from who was preferred to whom, by Hunter's MM.

    Model: P(i over j) = p_i / (p_i + p_j). Sweep (Hunter 2004, Eq. 3): p_i = w_i / sum_j n_ij / (p_i + p_j), until no log-strength moves by more than
    ``tolerance``. A tie counts half a win for both. Intervals are of theta = log p, centred, normal, with the covariance F+ where
    F_ij = -n_ij p_i p_j / (p_i + p_j)^2 off the diagonal is the Fisher information and + its inverse on the subspace of mean zero: right where all
    comparisons are independent. With ``groups`` it is the sandwich F+ (sum_g u_g u_g') F+ g/(g - 1), u_g = sum_j (w_ij - n_ij p_i / (p_i + p_j))
    being the score of a group: right where only the groups are independent (raters; or orders, each of which implies several comparisons; or ties).

    Args:
        wins: [k, k], how often i was preferred to j; fractions allowed.
        confidence: of the intervals.
        groups: [g, k, k], the wins of each of g >= 2 independent groups, which sum to ``wins``; None: every comparison is one.
        tolerance: of the log-strengths.
    Raises:
        UsageError: if an arm, or a group of them, never lost or never won against the rest: no finite strength fits.

    >>> [round(float(x), 4) for x in bradley_terry([[0, 3], [1, 0]]).theta]     # log 3, centred
    [0.5493, -0.5493]
    """
    table = _check_wins(wins)
    games, won, strength = table + table.T, table.sum(1), np.ones(len(table))
    for _ in range(MAX_SWEEPS):
        new = won / (games / (strength[:, None] + strength[None, :])).sum(1)
        new /= np.exp(np.log(new).mean())
        moved = np.abs(np.log(new / strength)).max()
        strength = new
        if moved < tolerance:
            break
    weights = games * np.outer(strength, strength) / (strength[:, None] + strength[None, :]) ** 2
    information = np.diag(weights.sum(1)) - weights
    covariance: Float64 = np.linalg.pinv(information, hermitian=True).astype(np.float64)
    if groups is not None:
        parts = np.asarray(groups, dtype=np.float64).reshape(-1, *table.shape)
        if len(parts) < 2 or not np.allclose(parts.sum(0) * (1 - np.eye(len(table))), table):
            raise UsageError(f"Groups of comparisons must be at least two and sum to the table of wins; {len(parts)} came. Leave them out.")
        expected = strength[:, None] / (strength[:, None] + strength[None, :])
        scores = (parts - (parts + parts.transpose(0, 2, 1)) * expected).sum(2)  # g k
        covariance = covariance @ (scores.T @ scores) @ covariance * len(parts) / (len(parts) - 1)
    width = NormalDist().inv_cdf((1 + confidence) / 2) * np.sqrt(np.diag(covariance))
    theta = np.log(strength)
    return Strengths(theta, theta - width, theta + width, covariance)


def average_rank(orders: ArrayLike, num_arms: int) -> AverageRank:
    """Mean rank of each arm over trials that put all arms in order, with its standard error (StackGAN's human rank, lower is better).

    Args:
        orders: [n, k], each row the arms from best to worst.
        num_arms: k.
    Returns:
        Ranks in [1, k]; the standard error is nan for a single trial.

    >>> average_rank([[0, 1], [0, 1], [1, 0]], 2).mean.round(3).tolist()
    [1.333, 1.667]
    """
    rows = np.asarray(orders, dtype=np.int64).reshape(-1, num_arms)
    if not len(rows) or (np.sort(rows, 1) != np.arange(num_arms)).any():
        raise UsageError(f"An average rank needs trials that order all {num_arms} arms, each once; {len(rows)} trials came, not all of them whole.")
    ranks = np.argsort(rows, 1) + 1.0  # n k: arm i of a row has the place at which i stands in it
    error = ranks.std(0, ddof=1) / math.sqrt(len(ranks)) if len(ranks) > 1 else np.full(num_arms, np.nan)
    return AverageRank(ranks.mean(0), error)


def pairs_of_orders(orders: ArrayLike) -> list[tuple[int, int, float]]:
    """Every order as the comparisons it implies: (better, worse, 1).

    >>> pairs_of_orders([[2, 0, 1]])
    [(2, 0, 1.0), (2, 1, 1.0), (0, 1, 1.0)]
    """
    return [(int(row[i]), int(row[j]), 1.0) for row in np.asarray(orders) for i in range(len(row)) for j in range(i + 1, len(row))]


def first_places(counts: ArrayLike, confidence: float = CONFIDENCE) -> tuple[list[Interval], Significance]:
    """Share of trials in which each arm was chosen as the best, which sum to one (StarGAN's columns), and a test against equal shares.

    Args:
        counts: how often each arm was chosen, [k].
    """
    chosen = [int(count) for count in np.asarray(counts)]
    total = sum(chosen)
    return [wilson_interval(count, total, confidence) for count in chosen], chi_square(chosen)


def _check_wins(wins: ArrayLike) -> Float64:
    """A square table with a finite solution: from every arm a chain of wins leads to every other (Ford 1957)."""
    table = np.array(wins, dtype=np.float64)
    if table.ndim != 2 or table.shape[0] != table.shape[1] or len(table) < 2 or (table < 0).any() or not np.isfinite(table).all():
        raise UsageError(f"Bradley-Terry needs a square table of wins, at least 2 by 2, none negative; shape {table.shape} came.")
    np.fill_diagonal(table, 0.0)
    reach = table > 0
    for middle in range(len(table)):
        reach |= np.outer(reach[:, middle], reach[middle])
    np.fill_diagonal(reach, True)
    if not reach.all():
        alone = [index for index in range(len(table)) if not reach[:, index].all() or not reach[index].all()]
        names = ", ".join(map(str, alone))
        raise UsageError(
            f"Bradley-Terry needs every arm to win and lose, directly or through others; arms {names} never did against some. Collect more answers."
        )
    return table
