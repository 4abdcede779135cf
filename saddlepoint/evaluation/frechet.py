r"""Frechet distance between two sets of features, each taken for a Gaussian.

.. math:: d^2 = \lVert m_1 - m_2 \rVert^2 + \mathrm{Tr}\bigl(C_1 + C_2 - 2 (C_1 C_2)^{1/2}\bigr)

Heusel et al. 2017 (arXiv:1706.08500), Eq. 6. With C_i = F_i^T F_i, the trace of (C_1 C_2)^{1/2} is the sum of the singular values of
F_1 F_2^T. That form needs no matrix square root, is symmetric, and holds for singular covariances and for fewer samples than dimensions: then
it is the smaller problem, n x m instead of d x d. Where both covariances have full rank the eigenvalues of L^T C_2 L with C_1 = L L^T are the
same numbers squared and come faster; they are taken only where a bound on their rounding says that the sum of their roots is exact enough.

Axes: n m samples, d features, r rows of a factor.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch

from saddlepoint.errors import UsageError
from saddlepoint.evaluation.arrays import Float64, Rows, as_pair, as_rows

_EXACT = 1e-10  # rounding allowed to the faster form, as a share of Tr C1 + Tr C2
_BLOCK = 8192  # rows in float64 at a time


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
    d = real_rows.shape[1]
    if min(len(real_rows), len(fake_rows)) > d:
        (mean1, cov1), (mean2, cov2) = statistics(real_rows), statistics(fake_rows)
        overlap = _overlap(cov1, cov2)
        if overlap is not None:
            return _combine(mean1, mean2, float(np.trace(cov1) + np.trace(cov2)), overlap)
    return _distance(real_rows.mean(0), _factor_of_rows(real_rows), fake_rows.mean(0), _factor_of_rows(fake_rows))


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
    overlap = _overlap(*covs)
    if overlap is not None:
        return _combine(means[0], means[1], float(np.trace(covs[0]) + np.trace(covs[1])), overlap)
    return _distance(means[0], _factor_of_covariance(covs[0]), means[1], _factor_of_covariance(covs[1]))


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


def _distance(mean1: Float64, factor1: Float64, mean2: Float64, factor2: Float64) -> float:
    """d^2 from means [d] and factors F [r, d] with C = F^T F."""
    overlap = np.linalg.svd(factor1 @ factor2.T, compute_uv=False).sum()  # Tr (C1 C2)^(1/2)
    spread = np.square(factor1).sum() + np.square(factor2).sum()  # Tr C1 + Tr C2
    return _combine(mean1, mean2, float(spread), float(overlap))


def _combine(mean1: Float64, mean2: Float64, spread: float, overlap: float) -> float:
    return max(float(np.square(mean1 - mean2).sum()) + spread - 2 * overlap, 0.0)


def _overlap(cov1: Float64, cov2: Float64) -> float | None:
    """Tr (C1 C2)^(1/2) of two covariances of full rank, or None where rounding would show.

    An eigenvalue of a symmetric d x d matrix is found to about sqrt(d) eps of the largest one, so its root to that over twice the root. Where those
    errors add up to more than _EXACT of the traces, the singular values of L1^T L2 are found instead, whose error is not magnified by a root.
    """
    first, second = torch.from_numpy(np.ascontiguousarray(cov1)), torch.from_numpy(np.ascontiguousarray(cov2))
    lower, failed = torch.linalg.cholesky_ex(first)
    if failed or bool((lower.diagonal() ** 2 < _rounding(first)).any()):
        return None
    values = torch.linalg.eigvalsh(lower.T @ second @ lower)  # d
    noise = np.sqrt(len(values)) * torch.finfo(values.dtype).eps * values[-1].clamp(min=0)
    roots = values.clamp(min=0).sqrt()
    error = (noise / (2 * roots.clamp(min=noise.sqrt().clamp(min=1e-300)))).sum()
    if error <= _EXACT * (first.trace() + second.trace()):
        return float(roots.sum())
    lower2, failed = torch.linalg.cholesky_ex(second)
    if failed or bool((lower2.diagonal() ** 2 < _rounding(second)).any()):
        return None
    return float(torch.linalg.svdvals(lower.T @ lower2).sum())


def _rounding(cov: torch.Tensor) -> float:
    """Pivots below this are rounding: the covariance counts as singular."""
    return len(cov) * torch.finfo(cov.dtype).eps * float(cov.diagonal().max())


def _check_symmetric(cov: Float64) -> None:
    if not np.allclose(cov, cov.T, rtol=1e-6, atol=1e-9 * max(float(np.abs(cov).max()), 1e-300)):
        raise UsageError("The Frechet distance needs a symmetric covariance; the given one is not. Use numpy.cov(features, rowvar=False).")


def _factor_of_rows(rows: Float64) -> Float64:
    """F [min(n, d), d] with F^T F the covariance of rows [n, d]: the rows themselves, or the triangle of their QR where they are many."""
    centred = (rows - rows.mean(0)) / np.sqrt(len(rows) - 1)
    return np.asarray(np.linalg.qr(centred, mode="r")) if len(rows) > rows.shape[1] else centred


def _factor_of_covariance(cov: Float64) -> Float64:
    """F [d, d] with F^T F = cov; eigenvalues within rounding of zero count as zero."""
    values, vectors = np.linalg.eigh((cov + cov.T) / 2)  # d, d d
    if values[0] < -1e-6 * max(values[-1], 1e-300):
        raise UsageError(f"The Frechet distance needs a covariance without negative eigenvalues; {values[0]:.3g} came. Compute it in float64.")
    values = np.where(values < len(values) * np.finfo(np.float64).eps * values[-1], 0.0, values)
    return np.asarray(np.sqrt(values)[:, None] * vectors.T)
