r"""Frechet distance between two sets of features, each taken for a Gaussian.

.. math:: d^2 = \lVert m_1 - m_2 \rVert^2 + \mathrm{Tr}\bigl(C_1 + C_2 - 2 (C_1 C_2)^{1/2}\bigr)

Heusel et al. 2017 (arXiv:1706.08500), Eq. 6. With C_i = F_i^T F_i, the trace of (C_1 C_2)^{1/2} is the sum of the singular values of
F_1 F_2^T. That form needs no matrix square root, is symmetric, and holds for singular covariances and for fewer samples than dimensions: then
it is the smaller problem, n x m instead of d x d. The eigenvalues of L^T C_2 L with C_1 = L L^T are the same numbers squared and come four times
faster; the pivoted Cholesky factor L puts the large numbers first, which is the order in which the small eigenvalues stay exact, and a comparison
of determinants says whether they did.

Axes: n m samples, d features, r rows of a factor.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigvalsh, lapack

from saddlepoint.errors import UsageError
from saddlepoint.evaluation.arrays import Float64, Rows, as_pair, as_rows

_EXACT = 1e-11  # rounding allowed to the faster form, as a share of the overlap
_BLOCK = 8192  # rows in float64 at a time
_TILE = 128  # rows compared with columns at a time
_EPS = float(np.finfo(np.float64).eps)


class RunningStatistics:
    """Mean and covariance of features that arrive in batches: one pass, float64, memory d x d whatever the number of samples.

    Batches are joined by the pairwise update of Chan, Golub and LeVeque 1979, which loses nothing to a large mean, so ``merge`` of two processes'
    statistics is the statistics of all samples (to rounding).

    Attributes:
        count: samples so far.

    >>> running = RunningStatistics()
    >>> running.update(np.array([[0.0], [2.0]])).update(np.array([[4.0]])).covariance.tolist()
    [[4.0]]
    """

    def __init__(self) -> None:
        self.count = 0
        self._mean = np.zeros(0)
        self._scatter = np.zeros((0, 0))

    def update(self, features: Rows) -> RunningStatistics:
        """Add a batch [n, d]; returns itself."""
        for start in range(0, max(len(features), 1), _BLOCK):
            rows = as_rows(features[start : start + _BLOCK], "feature")
            mean = rows.mean(0)
            rows = rows - mean
            self._join(len(rows), mean, rows.T @ rows)
        return self

    def merge(self, other: RunningStatistics) -> RunningStatistics:
        """Add the samples that ``other`` saw; returns itself."""
        if other.count:
            self._join(other.count, other._mean, other._scatter)
        return self

    @property
    def mean(self) -> Float64:
        """[d]."""
        if not self.count:
            raise UsageError("Statistics need at least one sample; none came. Add features first.")
        return self._mean

    @property
    def covariance(self) -> Float64:
        """Unbiased, [d, d]."""
        if self.count < 2:
            raise UsageError(f"A covariance needs at least two samples; {self.count} came. Add features first.")
        return self._scatter / (self.count - 1)

    def state(self) -> dict[str, Any]:
        """What is to be saved: count, mean, scatter (sum of squares around the mean)."""
        return {"count": self.count, "mean": self._mean, "scatter": self._scatter}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> RunningStatistics:
        """The statistics that :meth:`state` gave."""
        running = cls()
        running.count = int(state["count"])
        running._mean, running._scatter = np.array(state["mean"], dtype=np.float64), np.array(state["scatter"], dtype=np.float64)
        return running

    def _join(self, count: int, mean: Float64, scatter: Float64) -> None:
        if not self.count:
            self.count, self._mean, self._scatter = count, mean.copy(), scatter.copy()
            return
        if mean.shape != self._mean.shape:
            raise UsageError(f"Features need one dimension; {self._mean.size} and then {mean.size} came. Use one extractor for all.")
        total, shift = self.count + count, mean - self._mean
        self._scatter += scatter + np.outer(shift, shift) * (self.count * count / total)
        self._mean = self._mean + shift * (count / total)
        self.count = total


class Extrapolated(NamedTuple):
    """A distance extrapolated to infinitely many generated samples, with the standard error of the fit's intercept."""

    value: float
    error: float


def frechet_distance(real: Rows, fake: Rows) -> float:
    """Squared Frechet distance (d^2 above, as FID is reported) between two sets of features; covariances are unbiased (n - 1).

    Args:
        real: [n, d], n >= 2.
        fake: [m, d], m >= 2.
    Returns:
        d^2 >= 0 in squared feature units; 0 for equal sets. Biased upward by finite samples: compare only values with equal n and m.

    >>> import numpy as np
    >>> round(frechet_distance(np.array([[0.0], [2.0]]), np.array([[3.0], [9.0]])), 9)     # means 1, 6; deviations sqrt 2, sqrt 18
    33.0
    """
    real_rows, fake_rows = as_pair(real, fake, least=2)
    if max(len(real_rows), len(fake_rows)) > real_rows.shape[1]:
        return _from_covariances(*statistics(real_rows), *statistics(fake_rows))
    first, second = _centred(real_rows), _centred(fake_rows)  # n d, m d
    spread = float(np.square(first).sum() + np.square(second).sum())
    return _combine(real_rows.mean(0), fake_rows.mean(0), spread, _singular_sum(first @ second.T))


def frechet_from_statistics(mean1: Float64, cov1: Float64, mean2: Float64, cov2: Float64) -> float:
    """Squared Frechet distance between N(mean1, cov1) and N(mean2, cov2).

    Args:
        mean1: [d].
        cov1: [d, d], symmetric, positive semi-definite (singular is fine).
        mean2: [d].
        cov2: as cov1.
    Raises:
        UsageError: if shapes do not match or a covariance is not symmetric and positive semi-definite.

    >>> import numpy as np
    >>> frechet_from_statistics(np.zeros(2), np.eye(2), np.array([3.0, 0.0]), 4 * np.eye(2))    # 3^2 + 2 (2 - 1)^2
    11.0
    """
    means = [np.asarray(mean, dtype=np.float64) for mean in (mean1, mean2)]
    covs = [np.asarray(cov, dtype=np.float64) for cov in (cov1, cov2)]
    d = means[0].size
    if any(mean.shape != (d,) for mean in means) or any(cov.shape != (d, d) for cov in covs):
        came = ", ".join(str(array.shape) for array in (means[0], covs[0], means[1], covs[1]))
        raise UsageError(f"The Frechet distance needs means [d] and covariances [d, d] of one d; shapes {came} came. Use one extractor for both.")
    if not all(np.isfinite(array).all() for array in (*means, *covs)):
        raise UsageError("The Frechet distance needs finite statistics; NaN or infinity came. Look at the features they were made from.")
    for cov in covs:
        _check_symmetric(cov)
    return _from_covariances(means[0], covs[0], means[1], covs[1])


def frechet_infinity(real: Rows, fake: Rows, *, points: int = 15, smallest: int | None = None, seed: int = 0) -> Extrapolated:
    """The distance for infinitely many generated samples: a straight line through the distances of subsets against 1/m, at 1/m = 0.

    Chong and Forsyth 2020 (arXiv:1911.07023), Section 4: 15 sizes, evenly spaced from 5,000 to all 50,000. The real samples stay as they are, so
    their own bias remains. Costs ``points`` Frechet distances.

    Args:
        real: [n, d], n >= 2.
        fake: [m, d], m >= 20.
        points: sizes, 3 or more.
        smallest: size of the first subset; None: a tenth of m, as in the paper. It should be above d.
        seed: of the subsets.
    """
    real_rows, fake_rows = as_pair(real, fake, least=2)
    low = max(len(fake_rows) // 10, 2) if smallest is None else smallest
    if points < 3 or not 2 <= low < len(fake_rows) or len(fake_rows) < 20:
        raise UsageError(
            f"The line needs 3 sizes from 2 to {len(fake_rows)} samples, 20 or more in all; {points} from {low} came. Draw more samples."
        )
    rng = np.random.default_rng(seed)
    sizes = np.linspace(low, len(fake_rows), points).astype(int)
    values = np.array([frechet_distance(real_rows, fake_rows[rng.permutation(len(fake_rows))[:size]]) for size in sizes])
    design = np.stack([np.ones(points), 1 / sizes], axis=1)
    fit = np.linalg.lstsq(design, values, rcond=None)[0]
    noise = np.square(values - design @ fit).sum() / (points - 2)
    return Extrapolated(float(fit[0]), float(np.sqrt(noise * np.linalg.inv(design.T @ design)[0, 0])))


def statistics(features: Rows) -> tuple[Float64, Float64]:
    """Mean [d] and unbiased covariance [d, d] of features [n, d], float64: all that the distance needs to know of a set."""
    as_rows(features, "feature", least=2)
    running = RunningStatistics().update(features)
    return running.mean, running.covariance


class _Factor(NamedTuple):
    """C[order][:, order] = lower lower^T, lower [d, r] with its large rows and columns first."""

    lower: Float64
    order: NDArray[np.int64]

    def rows(self) -> Float64:
        """F [r, d] with C = F^T F."""
        rows = np.empty(self.lower.shape[::-1])
        rows[:, self.order] = self.lower.T
        return rows


def _from_covariances(mean1: Float64, cov1: Float64, mean2: Float64, cov2: Float64) -> float:
    return _combine(mean1, mean2, float(np.trace(cov1) + np.trace(cov2)), _overlap(cov1, cov2))


def _combine(mean1: Float64, mean2: Float64, spread: float, overlap: float) -> float:
    return max(float(np.square(mean1 - mean2).sum()) + spread - 2 * overlap, 0.0)


def _overlap(cov1: Float64, cov2: Float64) -> float:
    """Tr (C1 C2)^(1/2): by eigenvalues where they are exact, from either side, or else by the singular values of F1 F2^T."""
    first = _factor(cov1)
    second = None if first.lower.shape[1] == len(cov1) else _factor(cov2)
    overlap = _root_sum(first, cov2)
    if overlap is None:
        second = second or _factor(cov2)
        overlap = _root_sum(second, cov1)
    return _singular_sum(first.rows() @ second.rows().T) if overlap is None and second else float(overlap or 0.0)


def _root_sum(factor: _Factor, other: Float64) -> float | None:
    """Sum of the roots of the eigenvalues of M = L^T C L for the factor L of one covariance and the other C; None where rounding shows in it.

    Their errors e_i add e_i / l_i to the logarithm of the determinant, which a Cholesky factor of M gives exactly however far the l_i fall (Demmel
    1989), and e_i / 2 sqrt(l_i) to the sum. For e_i of one size and any signs the first, which is measured, tells the second.
    """
    lower, order = factor
    d, r = lower.shape
    product = other[order][:, order]  # d d
    if r == d:
        product, _ = lapack.dsygst(product.T, lower, itype=2, lower=1, overwrite_a=1)  # only its lower triangle counts
    else:
        product = np.asfortranarray(lower.T @ (product @ lower))  # r r
    if not r:
        return 0.0
    triangle, failed = lapack.dpotrf(product, lower=1)
    if failed or not np.isfinite(triangle.diagonal()).all():
        return None
    values = eigvalsh(product, lower=True, driver="evr", overwrite_a=True, check_finite=False)
    if values[0] <= 0:
        return None
    missed = abs(2 * np.log(np.diagonal(triangle)).sum() - np.log(values).sum())
    roots, size = np.sqrt(values), values[0] / np.sqrt(np.square(values[0] / values).sum())  # size of the e_i per unit missed
    return float(roots.sum()) if missed * size * (0.5 / roots).sum() <= _EXACT * roots.sum() else None


def _singular_sum(product: Float64) -> float:
    return float(np.linalg.svd(product, compute_uv=False).sum())


def _factor(cov: Float64) -> _Factor:
    """Cholesky with pivots, up to where they are rounding; by eigenvectors if what is left is more than that."""
    lower, order, rank, _ = lapack.dpstrf(cov.T, lower=1)
    order, rounding = order.astype(np.int64) - 1, len(cov) * _EPS * float(np.abs(cov.diagonal()).max(initial=0.0))
    for column in range(1, rank):
        lower[:column, column] = 0.0  # what was above the diagonal
    lower = lower[:, :rank]
    if rank < len(cov):
        rest = order[rank:]
        left = cov[np.ix_(rest, rest)] - lower[rank:] @ lower[rank:].T
        if np.abs(left).max() > 4 * rounding:
            return _factor_by_eigenvectors(cov)
    return _Factor(lower, order)


def _factor_by_eigenvectors(cov: Float64) -> _Factor:
    """The same for a covariance that was rounded to less than float64: eigenvalues within rounding of zero count as zero."""
    values, vectors = np.linalg.eigh((cov + cov.T) / 2)  # d, d d
    if values[0] < -1e-6 * max(values[-1], 1e-300):
        raise UsageError(f"The Frechet distance needs a covariance without negative eigenvalues; {values[0]:.3g} came. Compute it in float64.")
    kept = values >= len(values) * _EPS * values[-1]
    return _Factor(np.asfortranarray((vectors[:, kept] * np.sqrt(values[kept]))[:, ::-1]), np.arange(len(cov)))


def _check_symmetric(cov: Float64) -> None:
    least = 1e-9 * max(float(np.abs(cov).max(initial=0.0)), 1e-300)
    for start in range(0, len(cov), _TILE):
        across, down = cov[start : start + _TILE, start:], cov[start:, start : start + _TILE].T
        if not np.array_equal(across, down) and not np.allclose(across, down, rtol=1e-6, atol=least):
            raise UsageError("The Frechet distance needs a symmetric covariance; the given one is not. Use numpy.cov(features, rowvar=False).")


def _centred(rows: Float64) -> Float64:
    """F [n, d] with F^T F the covariance of rows [n, d]."""
    return np.asarray((rows - rows.mean(0)) / np.sqrt(len(rows) - 1))
