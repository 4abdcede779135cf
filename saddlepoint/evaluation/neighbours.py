"""Metrics by nearest neighbours: precision and recall, density and coverage, and the nearest real sample itself.

Distances are Euclidean, float64, made a block of rows at a time: memory stays small for any number of samples. A sample on a ball's surface is
inside it.
Axes: n real, m generated, q queries, d features, k neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from saddlepoint.errors import UsageError
from saddlepoint.evaluation.arrays import Float64, Rows, as_pair

_BLOCK = 4_000_000  # distances held at a time: 32 MB


class PrecisionRecall(NamedTuple):
    """Kynkaanniemi et al. 2019; both shares in [0, 1]."""

    precision: float
    recall: float


class DensityCoverage(NamedTuple):
    """Naeem et al. 2020; density >= 0 (may pass 1), coverage in [0, 1]."""

    density: float
    coverage: float


def precision_recall(real: Rows, fake: Rows, k: int = 3) -> PrecisionRecall:
    """Share of generated samples on the real manifold, and share of real samples on the generated one.

    Kynkaanniemi et al. 2019 (arXiv:1904.06991), Eq. 1 and 2: a manifold is the union of balls around its samples, each as wide as the distance to its
    k-th nearest neighbour in the same set (itself not counted).

    Args:
        real: [n, d], n > k.
        fake: [m, d], m > k.
        k: neighbours, 3 in the paper.

    >>> import numpy as np
    >>> precision_recall(np.array([[0.0], [1.0], [10.0], [11.0]]), np.array([[0.2], [0.6], [0.9]]), k=1)     # one of two modes dropped
    PrecisionRecall(precision=1.0, recall=0.5)
    """
    real_rows, fake_rows = as_pair(real, fake, least=k + 1)
    precision = _inside(fake_rows, real_rows, neighbour_radii(real_rows, k)).astype(bool).mean()
    recall = _inside(real_rows, fake_rows, neighbour_radii(fake_rows, k)).astype(bool).mean()
    return PrecisionRecall(float(precision), float(recall))


def density_coverage(real: Rows, fake: Rows, k: int = 5) -> DensityCoverage:
    """How many real balls a generated sample lies in, over k; and the share of real balls that hold a generated sample.

    Naeem et al. 2020 (arXiv:2002.09797), Section 3. For two sets of one distribution and n = m the expected coverage is
    1 - (n-1)...(n-k) / (2n-1)...(2n-k), about 1 - 2^-k = 0.97 for k = 5; density is about 1.

    Args:
        real: [n, d], n > k.
        fake: [m, d].
        k: neighbours, 5 in the paper.

    >>> import numpy as np
    >>> density_coverage(np.array([[0.0], [1.0], [10.0], [11.0]]), np.array([[0.2], [0.6]]), k=1)      # each sample lies in two balls of radius 1
    DensityCoverage(density=2.0, coverage=0.5)
    """
    if k < 1:
        raise UsageError(f"Density and coverage need at least one neighbour; k={k} came. The paper takes k=5.")
    real_rows, fake_rows = as_pair(real, fake)
    radii = neighbour_radii(real_rows, k)  # n
    in_balls = _inside(fake_rows, real_rows, radii)  # m
    closest = nearest(fake_rows, real_rows)[1]  # n
    return DensityCoverage(float(in_balls.mean() / k), float((closest <= radii).mean()))


def coverage(real: Rows, fake: Rows, k: int = 5) -> float:
    """Share of real samples with a generated one nearer than their k-th real neighbour, in [0, 1]; see :func:`density_coverage`."""
    real_rows, fake_rows = as_pair(real, fake)
    return float((nearest(fake_rows, real_rows)[1] <= neighbour_radii(real_rows, k)).mean())


def nearest(real: Rows, queries: Rows) -> tuple[NDArray[np.int64], Float64]:
    """The nearest real sample to each query and its distance.

    Args:
        real: [n, d].
        queries: [q, d].
    Returns:
        indices [q] into ``real`` (the first among equals), distances [q].

    >>> import numpy as np
    >>> nearest(np.array([[0.0, 0.0], [3.0, 0.0]]), np.array([[3.0, 4.0]]))
    (array([1]), array([4.]))
    """
    real_rows, query_rows = as_pair(real, queries)
    indices = np.concatenate([squared.argmin(1) for _, squared in _blocks(query_rows, real_rows)])
    return indices, np.sqrt(np.square(query_rows - real_rows[indices]).sum(1))


def neighbour_radii(rows: Rows, k: int) -> Float64:
    """Distance of each row [n, d] to its k-th nearest other row, [n]."""
    own = as_pair(rows, rows)[0]
    if not 1 <= k < len(own):
        raise UsageError(f"The {k}-th neighbour needs k >= 1 and more than k samples; {len(own)} samples came. Draw more samples or lower k.")
    radii = [np.partition(squared, k, axis=1)[:, k] for _, squared in _blocks(own, own)]  # the row itself is neighbour 0
    return np.sqrt(np.concatenate(radii))


def _inside(queries: Float64, centres: Float64, radii: Float64) -> NDArray[np.int64]:
    """In how many balls each query lies, [q]."""
    return np.concatenate([(squared <= np.square(radii)).sum(1) for _, squared in _blocks(queries, centres)])


def _blocks(queries: Float64, centres: Float64) -> Iterator[tuple[int, Float64]]:
    """Squared distances, a block [rows, n] of queries at a time, with the index of its first row; what is within rounding of zero is zero."""
    middle = centres.mean(0)
    centres, queries = centres - middle, queries - middle
    centre_norms, query_norms = np.square(centres).sum(1), np.square(queries).sum(1)
    rounding = 16 * np.finfo(np.float64).eps
    step = max(1, _BLOCK // len(centres))
    for start in range(0, len(queries), step):
        stop = start + step
        norms = query_norms[start:stop, None] + centre_norms
        squared = norms - 2 * (queries[start:stop] @ centres.T)
        squared[squared <= rounding * norms] = 0.0
        yield start, squared
