"""Sliced Wasserstein-1 distance between two sets of points.

Axes: n m points, d dimension, s directions, t quantiles.
"""

from __future__ import annotations

import numpy as np

from saddlepoint.evaluation.arrays import Float64, Rows, as_pair


def sliced_wasserstein(real: Rows, fake: Rows, *, num_directions: int = 128, seed: int = 0) -> float:
    r"""Mean over random directions of the Wasserstein-1 distance between the projections of both sets.

    .. math:: SW_1 = \mathbb{E}_{\theta \sim S^{d-1}} \int_0^1 |F_{\theta^T x}^{-1}(t) - F_{\theta^T y}^{-1}(t)| \, dt

    Rabin et al. 2011; the integral is exact for the empirical distributions, of any two sizes. In one dimension one direction is all there is.

    Args:
        real: [n, d].
        fake: [m, d].
        num_directions: s, unit vectors drawn from ``seed``: equal seeds give equal directions.
    Returns:
        Distance >= 0 in the points' units; 0 for equal sets.

    >>> import numpy as np
    >>> sliced_wasserstein(np.array([[0.0], [1.0]]), np.array([[2.0], [5.0]]))                      # |2 - 0| and |5 - 1|, halved
    3.0
    """
    real_rows, fake_rows = as_pair(real, fake)
    d = real_rows.shape[1]
    directions = np.random.default_rng(seed).standard_normal((num_directions, d)) if d > 1 else np.ones((1, 1))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)  # s d
    return float(wasserstein_of_sorted(np.sort(real_rows @ directions.T, axis=0), np.sort(fake_rows @ directions.T, axis=0)).mean())


def wasserstein_of_sorted(real: Float64, fake: Float64) -> Float64:
    """W1 per column of two sorted arrays [n, s] and [m, s]: the area between their quantile functions, [s]."""
    n, m = len(real), len(fake)
    if n == m:
        return np.asarray(np.abs(real - fake).mean(0))
    steps = np.unique(np.concatenate([np.arange(1, n + 1) * m, np.arange(1, m + 1) * n]))  # t: borders of both step functions, in 1 / (n m)
    widths = np.diff(steps, prepend=0) / (n * m)
    at_real, at_fake = (steps - 1) // m, (steps - 1) // n
    return np.asarray((widths[:, None] * np.abs(real[at_real] - fake[at_fake])).sum(0))
