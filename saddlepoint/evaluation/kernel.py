r"""Kernel distance: the squared maximum mean discrepancy with a cubic kernel, unbiased.

.. math:: k(x, y) = (x^T y / d + 1)^3, \quad
   \widehat{MMD}^2 = \frac{\sum_{i \ne j} k(x_i, x_j)}{n(n-1)} + \frac{\sum_{i \ne j} k(y_i, y_j)}{m(m-1)} - \frac{2 \sum_{i,j} k(x_i, y_j)}{n m}

Binkowski et al. 2018 (arXiv:1801.01401), Section 4 (KID where the features are Inception's). Unbiased at any number of samples, so it may be
negative, and it suits small sets.

Axes: n real, m generated, d features, s subset.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from saddlepoint.errors import UsageError
from saddlepoint.evaluation.arrays import Rows
from saddlepoint.evaluation.rows import as_float_pair

_BLOCK = 2048  # rows of kernel values at a time


class KernelDistance(NamedTuple):
    """An unbiased squared discrepancy.

    Attributes:
        value: the distance; within a few ``error`` of 0 for equal distributions, negative as often as not. Papers print it times 100 or 1000.
        std: standard deviation over the subsets, as references print it; with one subset the deviation over random halves.
        error: standard error of ``value``: ``std`` brought from a subset of s to all n samples by sqrt(s / (n - s)).
        subsets: how many were averaged; 1: all samples at once.
        subset_size: s.
    """

    value: float
    std: float
    error: float
    subsets: int
    subset_size: int


def kernel_distance(real: Rows, fake: Rows, *, subsets: int = 100, subset_size: int = 1000, seed: int = 0) -> KernelDistance:
    """KID: the mean over random subsets, 100 of 1000 by default; sets of no more than one subset are used whole, in one estimate.

    Kernel values of float32 features are made in float32, as they came, and summed in float64: their rounding, some 1e-7 of a value each and of
    random sign, averages out over the million pairs of a subset. Give float64 features for float64 throughout.

    Args:
        real: [n, d], n >= 2.
        fake: [m, d], m >= 2.
        subsets: how many, 1 or more.
        subset_size: s, of either set.
        seed: of the subsets.

    >>> import numpy as np
    >>> kernel_distance(np.array([[0.0], [1.0]]), np.array([[0.0], [2.0]])).value               # 1 + 1 - (1 + 1 + 1 + 27) / 2
    -13.0
    """
    x, y = as_float_pair(real, fake, least=2)
    if subsets < 1 or subset_size < 2:
        raise UsageError(f"The kernel distance needs one subset of two samples or more; {subsets} of {subset_size} came.")
    rng, smaller = np.random.default_rng(seed), min(len(x), len(y))
    if max(len(x), len(y)) <= subset_size:
        halves = [(_half(x, rng), _half(y, rng)) for _ in range(20)] if smaller >= 4 else []
        std = float(np.std([_unbiased(*half) for half in halves], ddof=1)) if halves else float("nan")
        return KernelDistance(_unbiased(x, y), std, std, 1, smaller)
    size = min(subset_size, smaller)
    values = [_unbiased(_draw(x, size, rng), _draw(y, size, rng)) for _ in range(subsets)]
    std = float(np.std(values))
    error = std * float(np.sqrt(size / (smaller - size))) if smaller > size else std
    return KernelDistance(float(np.mean(values)), std, error, subsets, size)


def _draw(rows: NDArray[Any], size: int, rng: np.random.Generator) -> NDArray[Any]:
    return rows[rng.choice(len(rows), size, replace=False)]


def _half(rows: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    return _draw(rows, len(rows) // 2, rng)


def _unbiased(x: NDArray[Any], y: NDArray[Any]) -> float:
    """The estimate above for x [n, d] and y [m, d]."""
    n, m = len(x), len(y)
    within = [(_sum(rows, rows) - _sum_of_diagonal(rows)) / (len(rows) * (len(rows) - 1)) for rows in (x, y)]
    return within[0] + within[1] - 2 * _sum(x, y) / (n * m)


def _sum(x: NDArray[Any], y: NDArray[Any]) -> float:
    """Sum of k over all pairs, a block of rows at a time."""
    total = 0.0
    for start in range(0, len(x), _BLOCK):
        block = x if len(x) <= _BLOCK else x[start : start + _BLOCK]
        base = torch.from_numpy(block @ y.T).div_(x.shape[1]).add_(1)  # b m
        total += float((base * base).mul_(base).sum(dtype=torch.float64))
    return total


def _sum_of_diagonal(x: NDArray[Any]) -> float:
    base = np.einsum("nd,nd->n", x, x, dtype=np.float64) / x.shape[1] + 1
    return float((base**3).sum())
