"""Statistics of answers: shares with intervals, sensitivity, HYPE, and tests of difference. Pure functions, float64.

Intervals are two-sided. "Hit" means that a generated picture was called generated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from saddlepoint.draws import derive_seed
from saddlepoint.errors import UsageError

CONFIDENCE = 0.95
BOOTSTRAP_SAMPLES = 10_000  # as in HYPE


class Interval(NamedTuple):
    """An estimate between the ends of its confidence interval."""

    value: float
    low: float
    high: float


class Sensitivity(NamedTuple):
    """Signal detection: d' with its interval, and the criterion c (below 0: leans towards calling pictures generated)."""

    d_prime: float
    low: float
    high: float
    criterion: float


class Significance(NamedTuple):
    """A test of difference: its statistic, degrees of freedom (0: none) and two-sided p value."""

    statistic: float
    freedom: float
    p_value: float


def wilson_interval(successes: int, trials: int, confidence: float = CONFIDENCE) -> Interval:
    """A share with Wilson's score interval, which stays in [0, 1] and holds for few trials and shares near the ends.

    Wilson 1927: the shares p at which a normal test does not reject,
    ``abs(successes/n - p) <= z sqrt(p (1 - p) / n)``.

    Args:
        successes: 0 <= successes <= trials.
        trials: at least 1.
        confidence: of the interval, in (0, 1).

    >>> [round(x, 4) for x in wilson_interval(5, 10)]
    [0.5, 0.2366, 0.7634]
    """
    _check_counts(successes, trials)
    z = _normal_quantile(confidence)
    share, shrink = successes / trials, 1 + z * z / trials
    center = (share + z * z / (2 * trials)) / shrink
    width = z / shrink * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    low = 0.0 if successes == 0 else center - width
    return Interval(share, low, 1.0 if successes == trials else center + width)


def binomial_p(successes: int, trials: int, share: float = 0.5) -> float:
    """Exact two-sided p value of a count under a binomial law: the weight of all counts that are no likelier than it.

    >>> binomial_p(9, 10) == 22 / 1024
    True
    """
    _check_counts(successes, trials)
    return float(stats.binomtest(successes, trials, share).pvalue)


def d_prime(hits: int, num_fake: int, false_alarms: int, num_real: int, confidence: float = CONFIDENCE) -> Sensitivity:
    """Sensitivity z(hit rate) - z(false alarm rate): 0 for guessing, whatever the leaning; criterion -(z(H) + z(F)) / 2.

    Log-linear correction of Hautus 1995 (half a hit and one trial more on either side), so that perfect rates stay finite; interval by the
    variance of Gourevitch and Galanter 1967 at the corrected rates.

    Args:
        hits: generated pictures called generated.
        num_fake: generated pictures shown.
        false_alarms: real pictures called generated.
        num_real: real pictures shown.
        confidence: of the interval.

    >>> d_prime(50, 100, 50, 100).d_prime
    0.0
    """
    normal, z_scores, variance = NormalDist(), [], 0.0
    for count, trials in ((hits, num_fake), (false_alarms, num_real)):
        _check_counts(count, trials)
        rate = (count + 0.5) / (trials + 1)
        z_scores.append(normal.inv_cdf(rate))
        variance += rate * (1 - rate) / ((trials + 1) * normal.pdf(z_scores[-1]) ** 2)
    value, width = z_scores[0] - z_scores[1], _normal_quantile(confidence) * math.sqrt(variance)
    return Sensitivity(value, value - width, value + width, -0.5 * sum(z_scores) + 0.0)


def mean_over_raters(rates: ArrayLike, confidence: float = CONFIDENCE, *, samples: int = BOOTSTRAP_SAMPLES, seed: int = 0) -> Interval:
    """Mean of one number a rater, with its percentile bootstrap interval over raters: what other raters might have said.

    HYPE-infinity (Zhou et al. 2019, arXiv:1904.01121) is this of each rater's share of wrong answers on real and generated pictures alike, shown
    without a limit of time, 10,000 resamples. HYPE-time is this of each rater's threshold in milliseconds.

    Args:
        rates: one number a rater, at least one rater; the interval of a single rater is (nan, nan).
        confidence: of the interval.
        samples: bootstrap resamples.
        seed: of the resamples.
    """
    values = np.asarray(rates, dtype=np.float64).reshape(-1)
    if not len(values):
        raise UsageError("A mean over raters needs at least one rater; none came. Ask somebody.")
    if len(values) == 1:
        return Interval(float(values[0]), math.nan, math.nan)
    rng = np.random.default_rng(derive_seed("raters", seed))
    means = values[rng.integers(len(values), size=(samples, len(values)))].mean(1)
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, (tail, 1 - tail))
    return Interval(float(values.mean()), float(low), float(high))


def chi_square(counts: Sequence[Sequence[int]] | Sequence[int]) -> Significance:
    """Pearson's test without continuity correction: do rows of a table have one distribution? A single row is tested against equal shares.

    Args:
        counts: table [rows, columns] or one row; no empty row or column.

    >>> chi_square([30, 10]).statistic
    10.0
    """
    table = np.asarray(counts, dtype=np.float64)
    if table.ndim == 1:
        expected, freedom = np.full_like(table, table.mean()), table.size - 1
    else:
        expected, freedom = np.outer(table.sum(1), table.sum(0)) / max(table.sum(), 1.0), (table.shape[0] - 1) * (table.shape[1] - 1)
    if freedom < 1 or (expected <= 0).any():
        raise UsageError(f"A chi-square test needs at least two columns, none of them empty; counts {table.astype(int).tolist()} came.")
    statistic = float(((table - expected) ** 2 / expected).sum())
    return Significance(statistic, float(freedom), float(special.gammaincc(freedom / 2, statistic / 2)))


def welch_t(first: ArrayLike, second: ArrayLike) -> Significance:
    """Welch's t test of two means without equal variances; the samples are seeds, raters or scores (SeqGAN, Tables 1 to 4).

    Args:
        first: at least two independent numbers.
        second: at least two independent numbers.
    Returns:
        t > 0 where the first mean is larger.
    """
    a, b = (np.asarray(values, dtype=np.float64).reshape(-1) for values in (first, second))
    if min(len(a), len(b)) < 2:
        raise UsageError(f"Welch's test needs at least two numbers on either side; {len(a)} and {len(b)} came. Run more seeds.")
    errors = a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)
    if sum(errors) == 0:
        raise UsageError("Welch's test needs numbers that differ among themselves; both sides are constant.")
    freedom = sum(errors) ** 2 / (errors[0] ** 2 / (len(a) - 1) + errors[1] ** 2 / (len(b) - 1))
    statistic = float((a.mean() - b.mean()) / math.sqrt(sum(errors)))
    return Significance(statistic, float(freedom), float(2 * special.stdtr(freedom, -abs(statistic))))


def forced_choice_sensitivity(correct: int, trials: int) -> float:
    """d' of a choice between two pictures side by side, sqrt(2) z(share correct), with half an answer added on either side."""
    _check_counts(correct, trials)
    return math.sqrt(2) * NormalDist().inv_cdf((correct + 0.5) / (trials + 1))


def _check_counts(successes: int, trials: int) -> None:
    if not 0 <= successes <= trials or trials < 1:
        raise UsageError(f"A share needs a count of at least 0 and at most the number of trials, which is at least 1; {successes} of {trials} came.")


def _normal_quantile(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise UsageError(f"A confidence lies between 0 and 1; {confidence} came. 0.95 is usual.")
    return NormalDist().inv_cdf((1 + confidence) / 2)
