r"""Precision and recall of distributions: the curve of what a model can give up in the one for the other.

.. math:: \alpha(\lambda) = \sum_i \min(\lambda p_i, q_i), \qquad \beta(\lambda) = \sum_i \min(p_i, q_i / \lambda)

Sajjadi et al. 2018 (arXiv:1806.00035), Eq. 3 and 4 and Section 3.3: p and q are the shares of real and generated samples in each of 20 clusters of
both sets together, lambda the tangent of 1001 angles evenly spread over a right one, and the curve is the mean over ten clusterings. It is summed up
by the greatest F_8, which weighs recall, and the greatest F_1/8, which weighs precision.

Axes: n real, m generated, d features, k clusters, a angles, r clusterings.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import MiniBatchKMeans

from saddlepoint.errors import UsageError
from saddlepoint.evaluation.arrays import Float64, Rows
from saddlepoint.evaluation.rows import as_float_pair

CLUSTERS, ANGLES, RUNS, BETA = 20, 1001, 10, 8.0
_EDGE = 1e-10  # of the first and the last angle, in radians, from the axes

Clusters = NDArray[np.int64]


class PrdCurve(NamedTuple):
    """The curve, each [a], from lambda near 0 to lambda without bound; shares in [0, 1]."""

    precision: Float64
    recall: Float64

    def best(self, beta: float = BETA) -> tuple[float, float]:
        """The greatest F_beta and the greatest F_1/beta: of recall and of precision, for beta above 1."""
        return _best(self, beta), _best(self, 1 / beta)


def prd_curve(real: Rows, fake: Rows, *, clusters: int = CLUSTERS, angles: int = ANGLES, runs: int = RUNS, seed: int = 0) -> PrdCurve:
    """Precision and recall of distributions; both sets count alike, whatever their sizes, but should be of one size, for the clusters are of both.

    Args:
        real: [n, d].
        fake: [m, d].
        clusters: k, at most n + m.
        angles: a, 3 or more.
        runs: clusterings whose curves are averaged.
        seed: of the first of them.

    >>> real, fake = np.array([[0.0], [10.0]] * 20), np.array([[0.0]] * 40)                             # one of two modes dropped
    >>> curve = prd_curve(real, fake, clusters=2, runs=1)
    >>> round(float(curve.precision.max()), 6), round(float(curve.recall.max()), 6)
    (1.0, 0.5)
    """
    x, y = as_float_pair(real, fake)
    if not 2 <= clusters <= len(x) + len(y) or angles < 3 or runs < 1:
        came = f"{clusters} clusters, {angles} angles and {runs} runs for {len(x) + len(y)} samples"
        raise UsageError(f"The curve needs 2 clusters or more, no more than samples, 3 angles and a run; {came} came.")
    return curve_of_clusters(*cluster(x, y, clusters=clusters, runs=runs, seed=seed), clusters=clusters, angles=angles)


def cluster(real: NDArray[np.generic], fake: NDArray[np.generic], *, clusters: int, runs: int, seed: int) -> tuple[Clusters, Clusters]:
    """The cluster of every sample in each clustering of both sets together, by k-means of mini-batches: [r, n] and [r, m]."""
    both = np.concatenate([real, fake])
    found = np.stack([MiniBatchKMeans(clusters, n_init=10, random_state=seed + run).fit(both).labels_ for run in range(runs)]).astype(np.int64)
    return found[:, : len(real)], found[:, len(real) :]


def curve_of_clusters(real: Clusters, fake: Clusters, *, clusters: int = CLUSTERS, angles: int = ANGLES) -> PrdCurve:
    """The mean curve of clusterings [r, n] and [r, m]."""
    curves = [_curve(_shares(one, clusters), _shares(other, clusters), angles) for one, other in zip(real, fake, strict=True)]
    precision, recall = np.mean(curves, axis=0)
    return PrdCurve(precision, recall)


def _shares(side: Clusters, clusters: int) -> Float64:
    return np.asarray(np.bincount(side, minlength=clusters) / len(side))


def _curve(p: Float64, q: Float64, angles: int) -> tuple[Float64, Float64]:
    """Precision and recall [a] of the shares [k] of real and of generated samples."""
    slopes = np.tan(np.linspace(_EDGE, np.pi / 2 - _EDGE, angles))  # a
    precision = np.minimum(slopes[:, None] * p, q).sum(1)
    return np.minimum(precision, 1.0), np.minimum(precision / slopes, 1.0)  # a sum may pass 1 by its rounding


def _best(curve: PrdCurve, beta: float) -> float:
    below = beta**2 * curve.precision + curve.recall
    return float(((1 + beta**2) * curve.precision * curve.recall / np.where(below > 0, below, 1.0)).max())
