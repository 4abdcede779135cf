r"""Kernel distance: the squared maximum mean discrepancy with a cubic kernel, unbiased.

.. math:: k(x, y) = (x^T y / d + 1)^3, \quad
   \widehat{MMD}^2 = \frac{\sum_{i \ne j} k(x_i, x_j)}{n(n-1)} + \frac{\sum_{i \ne j} k(y_i, y_j)}{m(m-1)} - \frac{2 \sum_{i,j} k(x_i, y_j)}{n m}

Binkowski et al. 2018 (arXiv:1801.01401), Section 4 (KID where the features are Inception's). Unbiased at any number of samples, so it may be
negative, and it suits small sets.

All that the estimate and its standard error need are sums of kernel values along rows. Subsets that together hold more pairs than the whole sets do
share them: every kernel value is made once, and added to all subsets that it belongs to.

Axes: n real, m generated, d features, s subset, g subsets, a b rows of a tile.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import blas
from torch import Tensor

from saddlepoint.errors import UsageError
from saddlepoint.evaluation.arrays import Float64, Rows
from saddlepoint.evaluation.rows import as_float_pair

_TILE = 2048  # rows and columns of kernel values at a time
_WHOLE = 4096  # rows of either side whose pairs are made in one product
_ROWS = 128  # of them in float64

Ints = NDArray[np.int64]


class KernelDistance(NamedTuple):
    """An unbiased squared discrepancy.

    Attributes:
        value: the distance; within a few ``error`` of 0 for equal distributions, negative as often as not. Papers print it times 100 or 1000.
        std: standard deviation over the subsets, as references print it; with one subset its jackknife error.
        error: standard error of ``value``, both sets taken for random: of the mean over all that could have been drawn, and of the subsets drawn.
            NaN for fewer than three samples a side.
        subsets: how many were averaged; 1: all samples at once.
        subset_size: s.
    """

    value: float
    std: float
    error: float
    subsets: int
    subset_size: int


def kernel_distance(real: Rows, fake: Rows, *, subsets: int = 100, subset_size: int = 1000, seed: int = 0) -> KernelDistance:
    r"""KID: the mean over random subsets, 100 of 1000 by default; sets of no more than one subset are used whole, in one estimate.

    The standard error is

    .. math:: e^2 = \frac{s}{n} \bar{V}_x + \frac{s}{m} \bar{V}_y + \frac{std^2}{g}

    with V_x and V_y the jackknife variances of a subset's estimate over its real and its generated samples (Arvesen 1969), averaged over the g
    subsets. For equal distributions it is too large rather than too small: there the estimate varies by 1/s^2.

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
    n, m = len(x), len(y)
    if max(n, m) <= subset_size:
        ((value, *parts),) = _one_by_one(x, y, [(np.arange(n), np.arange(m))])
        error = float(np.sqrt(sum(parts)))
        return KernelDistance(value, error, error, 1, min(n, m))
    rng, size = np.random.default_rng(seed), min(subset_size, n, m)
    picks = [(rng.choice(n, size, replace=False), rng.choice(m, size, replace=False)) for _ in range(subsets)]
    shared = ((n * n + m * m) / 2 + n * m) * (2 * x.shape[1] + 8 * subsets) < 2 * size * size * subsets * 2 * x.shape[1]  # operations, float64 twice
    found = np.array((_together if shared else _one_by_one)(x, y, picks))  # g 3
    value, over_real, over_fake = found.mean(0).tolist()
    std = float(found[:, 0].std()) if subsets > 1 else float(np.sqrt(over_real + over_fake))
    error = float(np.sqrt(size * (over_real / n + over_fake / m) + std**2 / subsets))
    return KernelDistance(value, std, error, subsets, size)


def _together(x: NDArray[Any], y: NDArray[Any], picks: list[tuple[Ints, Ints]]) -> list[tuple[float, float, float]]:
    """The estimates of all subsets, each kernel value made once."""
    x_in, y_in = torch.zeros(len(x), len(picks), dtype=torch.float64), torch.zeros(len(y), len(picks), dtype=torch.float64)
    for group, (at, to) in enumerate(picks):
        x_in[torch.from_numpy(at), group], y_in[torch.from_numpy(to), group] = 1.0, 1.0
    sums = _sums(x, y, x_in, y_in)  # n g, n g, m g, m g
    return [_estimate(*(side[rows, group] for side, rows in zip(sums, (at, at, to, to), strict=True))) for group, (at, to) in enumerate(picks)]


def _estimate(within_x: Float64, across_x: Float64, within_y: Float64, across_y: Float64) -> tuple[float, float, float]:
    """The formula above from sums along rows, [n] and [m], and its jackknife variances over x and over y."""
    n, m, across = len(within_x), len(within_y), float(across_x.sum())
    value = within_x.sum() / (n * (n - 1)) + within_y.sum() / (m * (m - 1)) - 2 * across / (n * m)
    variances = []
    for within, along, own, other in ((within_x, across_x, n, m), (within_y, across_y, m, n)):
        if own < 3:
            variances.append(float("nan"))
            continue
        without = (within.sum() - 2 * within) / ((own - 1) * (own - 2)) - 2 * (across - along) / ((own - 1) * other)
        variances.append(float((own - 1) / own * np.square(without - without.mean()).sum()))
    return float(value), variances[0], variances[1]


def _one_by_one(x: NDArray[Any], y: NDArray[Any], picks: list[tuple[Ints, Ints]]) -> list[tuple[float, float, float]]:
    """The estimates of subsets of one size, all pairs of a subset in one product of half the work; memory is that of one subset, used again."""
    n, m = map(len, picks[0])
    if n + m > _WHOLE:
        every = [torch.ones(size, 1, dtype=torch.float64) for size in (n, m)]
        return [_estimate(*(side[:, 0] for side in _sums(x[at], y[to], *every))) for at, to in picks]
    z, product = np.empty((n + m, x.shape[1]), x.dtype), np.zeros((n + m, n + m), x.dtype, order="F")
    found = []
    for at, to in picks:
        np.take(x, np.sort(at), axis=0, out=z[:n], mode="clip")
        np.take(y, np.sort(to), axis=0, out=z[n:], mode="clip")
        to_x, to_y = _sums_of(z, n, product)
        found.append(_estimate(to_x[:n], to_y[:n], to_y[n:], to_x[n:]))
    return found


def _sums_of(z: NDArray[Any], n: int, product: NDArray[Any]) -> tuple[Float64, Float64]:
    """Sums of k from each row of z [b, d], itself left out, to the first n rows and to the others, [b] each; ``product`` [b, b] is written over."""
    syrk = blas.ssyrk if z.dtype == np.float32 else blas.dsyrk
    upper = torch.from_numpy(syrk(1 / z.shape[1], z.T, trans=1, lower=1, c=product, overwrite_c=1).T)  # above the diagonal, each pair once
    size, sums = len(z), torch.zeros(2, len(z), dtype=torch.float64)
    memory = torch.empty(_ROWS * size, dtype=upper.dtype), torch.empty(_ROWS * size, dtype=torch.float64), torch.ones(_ROWS, dtype=torch.float64)
    for side, (first, last) in enumerate(((0, n), (n, size))):
        for start in range(first, last, _ROWS):
            stop = min(start + _ROWS, last)
            base, values = (part[: (stop - start) * (size - start)].view(stop - start, size - start) for part in memory[:2])
            values.copy_(torch.add(upper[start:stop, start:], 1, out=base).pow_(3))[:, : stop - start].triu_(1)
            cut = max(n - start, 0)
            sums[0, start:stop] += values[:, :cut].sum(1)
            sums[1, start:stop] += values[:, cut:].sum(1)
            sums[side, start:] += torch.mv(values.T, memory[2][: stop - start])
    return sums[0].numpy(), sums[1].numpy()


def _sums(x: NDArray[Any], y: NDArray[Any], x_in: Tensor, y_in: Tensor) -> tuple[Float64, Float64, Float64, Float64]:
    """The same sums over the members of each subset, [n, g] and [m, g]; ``x_in`` [n, g] and ``y_in`` [m, g] are 1 for a member."""
    across_x, across_y = torch.zeros_like(x_in), torch.zeros_like(y_in)
    for start in range(0, len(x), _TILE):
        for other in range(0, len(y), _TILE):
            here, there = slice(start, start + _TILE), slice(other, other + _TILE)
            _add(x[here] @ y[there].T, across_x[here], y_in[there], across_y[there], x_in[here], x.shape[1])
    return _within(x, x_in), across_x.numpy(), _within(y, y_in), across_y.numpy()


def _within(x: NDArray[Any], members: Tensor) -> Float64:
    """Sums of k from each row to the others that are members, [n, g]; tiles above the diagonal serve both sides."""
    sums, d = torch.zeros_like(members), x.shape[1]
    for start in range(0, len(x), _TILE):
        here = slice(start, start + _TILE)
        product = x[here] @ x[here].T  # a a; NumPy makes a tile with itself at half the cost
        np.fill_diagonal(product, -d)  # where k is 0
        _add(product, sums[here], members[here], None, members[here], d)
        for other in range(start + _TILE, len(x), _TILE):
            there = slice(other, other + _TILE)
            _add(x[here] @ x[there].T, sums[here], members[there], sums[there], members[here], d)
    return sums.numpy()


def _add(product: NDArray[Any], rows: Tensor, in_columns: Tensor, columns: Tensor | None, in_rows: Tensor, d: int) -> None:
    """Add the kernel values of products x.y [a, b] to the sums along their rows [a, g], and along their columns [b, g] where asked for."""
    base = torch.from_numpy(product)
    one = torch.ones((), dtype=base.dtype)
    for start in range(0, len(base), _ROWS):  # few enough to stay near the processor
        here = slice(start, start + _ROWS)
        values = torch.add(one, base[here], alpha=1 / d).pow_(3).double()  # rows b
        rows[here] += values @ in_columns
        if columns is not None:
            columns += values.T @ in_rows[here]
