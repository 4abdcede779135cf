r"""Frechet distance between two sets of features, each taken for a Gaussian.

.. math:: d^2 = \lVert m_1 - m_2 \rVert^2 + \mathrm{Tr}\bigl(C_1 + C_2 - 2 (C_1 C_2)^{1/2}\bigr)

Heusel et al. 2017 (arXiv:1706.08500), Eq. 6. With C_i = F_i^T F_i, the trace of (C_1 C_2)^{1/2} is the sum of the singular values of
F_1 F_2^T. That form needs no matrix square root, is symmetric, and holds for singular covariances and for fewer samples than dimensions.

Axes: n m samples, d features, r rows of a factor.
"""

from __future__ import annotations

import numpy as np

from saddlepoint.errors import UsageError
from saddlepoint.evaluation.arrays import Float64, Rows, as_pair


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
    return _distance(means[0], _factor_of_covariance(covs[0]), means[1], _factor_of_covariance(covs[1]))


def statistics(features: Rows) -> tuple[Float64, Float64]:
    """Mean [d] and unbiased covariance [d, d] of features [n, d], float64: all that the distance needs to know of a set."""
    rows = as_pair(features, features, least=2)[0]
    return rows.mean(0), np.atleast_2d(np.cov(rows, rowvar=False))


def _distance(mean1: Float64, factor1: Float64, mean2: Float64, factor2: Float64) -> float:
    """d^2 from means [d] and factors F [r, d] with C = F^T F."""
    overlap = np.linalg.svd(factor1 @ factor2.T, compute_uv=False).sum()  # Tr (C1 C2)^(1/2)
    spread = np.square(factor1).sum() + np.square(factor2).sum()  # Tr C1 + Tr C2
    return max(float(np.square(mean1 - mean2).sum() + spread - 2 * overlap), 0.0)


def _factor_of_rows(rows: Float64) -> Float64:
    """F [min(n, d), d] with F^T F the covariance of rows [n, d]: the rows themselves, or the triangle of their QR where they are many."""
    centred = (rows - rows.mean(0)) / np.sqrt(len(rows) - 1)
    return np.asarray(np.linalg.qr(centred, mode="r")) if len(rows) > rows.shape[1] else centred


def _factor_of_covariance(cov: Float64) -> Float64:
    """F [d, d] with F^T F = cov; eigenvalues within rounding of zero count as zero."""
    if not np.allclose(cov, cov.T, rtol=1e-6, atol=1e-9 * max(float(np.abs(cov).max()), 1e-300)):
        raise UsageError("The Frechet distance needs a symmetric covariance; the given one is not. Use numpy.cov(features, rowvar=False).")
    values, vectors = np.linalg.eigh((cov + cov.T) / 2)  # d, d d
    if values[0] < -1e-6 * max(values[-1], 1e-300):
        raise UsageError(f"The Frechet distance needs a covariance without negative eigenvalues; {values[0]:.3g} came. Compute it in float64.")
    values = np.where(values < len(values) * np.finfo(np.float64).eps * values[-1], 0.0, values)
    return np.asarray(np.sqrt(values)[:, None] * vectors.T)
