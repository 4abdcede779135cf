"""How far a score could be from what infinitely many samples would give: half samples, the bootstrap, and the floor of real against real.

Axes: n real, m generated, d features.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from saddlepoint.errors import UsageError
from saddlepoint.evaluation.arrays import Rows, as_rows

Metric = Callable[[Rows, Rows], float]


class Estimate(NamedTuple):
    """A value with its standard error and a central interval, in the metric's own units."""

    value: float
    error: float
    low: float
    high: float


def bootstrap(statistic: Callable[..., float], *samples: Rows, repeats: int = 1000, level: float = 0.95, seed: int = 0) -> Estimate:
    """Percentile bootstrap of a statistic of independent samples (Efron 1979): each is drawn again with replacement.

    For means, medians and shares. Not for distances between sets and not for nearest neighbours: a repeated sample lies on itself, which moves them;
    use :func:`half_sample_error`.

    Args:
        statistic: called with one array a sample.
        samples: [n, ...] each, n >= 2.
        repeats: of the resampling.
        level: of the central interval, in (0, 1).
        seed: of the draws.

    >>> bootstrap(np.mean, np.array([1.0, 1.0, 1.0]))
    Estimate(value=1.0, error=0.0, low=1.0, high=1.0)
    """
    arrays = [_as_array(sample) for sample in samples]
    if not arrays or min(map(len, arrays)) < 2 or repeats < 2 or not 0 < level < 1:
        raise UsageError("The bootstrap needs samples of two or more, two or more repeats and a level between 0 and 1. Draw more samples.")
    rng = np.random.default_rng(seed)
    values = [statistic(*(array[rng.integers(len(array), size=len(array))] for array in arrays)) for _ in range(repeats)]
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(float(statistic(*arrays)), float(np.std(values, ddof=1)), float(low), float(high))


def half_sample_error(metric: Metric, real: Rows, fake: Rows, *, repeats: int = 20, seed: int = 0) -> float:
    """Standard error of ``metric(real, fake)``: the standard deviation of its value over random halves of both sets.

    The delete-d jackknife with d = n/2 (Shao and Wu 1989): its factor (n - d)/d is 1, so nothing has to be rescaled. It holds for smooth metrics to
    first order in 1/n; the metric's bias at half the samples shifts every value alike and so does not enter.

    Args:
        metric: of real and generated rows.
        real: [n, d], n >= 4.
        fake: [m, d], m >= 4.
        repeats: halves drawn; the error is itself uncertain by about 1/sqrt(2 repeats).
        seed: of the halves.
    """
    arrays = _as_array(real), _as_array(fake)
    if min(map(len, arrays)) < 4 or repeats < 2:
        raise UsageError(f"Halves need at least 4 samples a side and 2 repeats; {len(arrays[0])}, {len(arrays[1])} and {repeats} came.")
    rng = np.random.default_rng(seed)
    values = [metric(*(array[rng.permutation(len(array))[: len(array) // 2]] for array in arrays)) for _ in range(repeats)]
    return float(np.std(values, ddof=1))


def floor(metric: Metric, real: Rows, *, seed: int = 0) -> float:
    """The metric between two random halves of the real samples: what a perfect generator scores with half as many samples a side.

    Args:
        metric: of real and generated rows.
        real: [n, d], n >= 4.
        seed: of the split.

    >>> floor(lambda a, b: float(len(a) - len(b)), np.zeros((9, 1)))            # the odd one is left out
    0.0
    """
    rows = _as_array(real)
    if len(rows) < 4:
        raise UsageError(f"The floor needs at least 4 real samples to halve; {len(rows)} came. Use more of the data.")
    order, half = np.random.default_rng(seed).permutation(len(rows)), len(rows) // 2
    return metric(rows[order[:half]], rows[order[half : 2 * half]])


def best_of_budget(values: Rows, budget: int, *, level: float = 0.95) -> Estimate:
    """The least of so many runs, as one would get it again: its mean, deviation and interval over draws of ``budget`` of the runs, with replacement.

    Lucic et al. 2018 (arXiv:1711.10337), Section 5.1: methods are compared by the least distance that a budget of random settings finds. Their
    bootstrap in closed form: the i-th least of n runs is the least of a draw with the probability ((n - i + 1)^b - (n - i)^b) / n^b.

    Args:
        values: a distance of each run [n], lower is better.
        budget: b, runs that one can afford.
        level: of the central interval, in (0, 1).

    >>> best_of_budget(np.array([3.0, 1.0]), 2).value                                     # 1 in three of the four pairs
    1.5
    """
    runs = np.sort(_as_array(values).astype(np.float64).reshape(-1))
    n = len(runs)
    if not n or budget < 1 or not np.isfinite(runs).all() or not 0 < level < 1:
        raise UsageError(f"The best of a budget needs finite scores of a run or more and a budget of one or more; {n} runs and {budget} came.")
    left = (np.arange(n, -1, -1) / n) ** budget  # chance that all are among the n - i worst
    chances = left[:-1] - left[1:]
    mean = float(chances @ runs)
    low, high = (float(runs[min(int(np.searchsorted(1 - left[1:], quantile)), n - 1)]) for quantile in ((1 - level) / 2, (1 + level) / 2))
    return Estimate(mean, float(np.sqrt(chances @ np.square(runs - mean))), low, high)


def bias_curve(metric: Metric, real: Rows, fake: Rows, sizes: tuple[int, ...], *, repeats: int = 10, seed: int = 0) -> list[tuple[int, float, float]]:
    """Mean and standard deviation of the metric on random subsets of each size: how it is biased by few samples.

    Returns:
        One (size, mean, deviation) a size.
    """
    arrays = as_rows(real, "real"), as_rows(fake, "generated")
    if not sizes or max(sizes) > min(map(len, arrays)) or min(sizes) < 1:
        raise UsageError(f"The curve needs sizes from 1 to {min(map(len, arrays))}, the smaller set; {sizes} came.")
    rng = np.random.default_rng(seed)
    curve = []
    for size in sizes:
        values = [metric(*(array[rng.permutation(len(array))[:size]] for array in arrays)) for _ in range(repeats)]
        curve.append((size, float(np.mean(values)), float(np.std(values, ddof=1) if repeats > 1 else 0.0)))
    return curve


def _as_array(values: Rows) -> NDArray[np.generic]:
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
