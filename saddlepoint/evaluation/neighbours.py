"""Metrics by nearest neighbours: precision and recall, density and coverage, and the nearest real sample itself.

Distances are Euclidean, made a block of rows at a time: memory stays small for any number of samples. Balls are decided as in float64, by products
in float32 (see :mod:`saddlepoint.evaluation.balls`). A sample on a ball's surface is inside it.

The cost is that of all pairs: 2 d (n^2 / 2 + m^2 / 2 + n m) operations for precision and recall, 20 TFLOP at 50,000 x 2048 a side.

Axes: n real, m generated, q queries, d features, k neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from saddlepoint.errors import UsageError
from saddlepoint.evaluation.arrays import Float64, Rows, as_pair
from saddlepoint.evaluation.balls import cross, kth_radii
from saddlepoint.evaluation.rows import as_float_pair, as_float_rows

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
    real_rows, fake_rows = as_float_pair(real, fake, least=k + 1)
    crossing = cross(real_rows, fake_rows, neighbour_radii(real_rows, k), neighbour_radii(fake_rows, k))
    return PrecisionRecall(float(crossing.fake_in_real.astype(bool).mean()), float(crossing.real_in_fake.astype(bool).mean()))


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
    real_rows, fake_rows = as_float_pair(real, fake)
    crossing = cross(real_rows, fake_rows, neighbour_radii(real_rows, k))
    return DensityCoverage(float(crossing.fake_in_real.mean() / k), float(crossing.real_holds.astype(bool).mean()))


def coverage(real: Rows, fake: Rows, k: int = 5) -> float:
    """Share of real samples with a generated one nearer than their k-th real neighbour, in [0, 1]; see :func:`density_coverage`."""
    return density_coverage(real, fake, k).coverage


def realism(real: Rows, fake: Rows, k: int = 3) -> Float64:
    """Realism score of each generated sample: the largest ratio of a real ball's radius to the sample's distance from its centre.

    Kynkaanniemi et al. 2019, Eq. 3: only the smaller half of the real balls count, so that lone real samples with wide balls do not. At least 1:
    inside a ball that counts.

    Args:
        real: [n, d], n > k.
        fake: [m, d].
        k: neighbours, 3 in the paper.
    Returns:
        [m], > 0; infinite on a real sample itself.

    >>> import numpy as np
    >>> realism(np.array([[0.0], [1.0], [2.0], [9.0]]), np.array([[3.0], [6.0]]), k=1).tolist()        # balls of radius 1 around 0, 1, 2
    [1.0, 0.25]
    """
    real_rows, fake_rows = as_pair(real, fake, least=1)
    radii = neighbour_radii(real_rows, k)
    small = radii <= np.median(radii)
    centres, radii = real_rows[small], radii[small]
    best = []
    for _, squared in _blocks(fake_rows, centres):
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(squared == 0, np.inf, np.square(radii) / squared)
        best.append(np.sqrt(ratio.max(1)))
    return np.concatenate(best)


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
    own = as_float_rows(rows, "given")
    if not 1 <= k < len(own):
        raise UsageError(f"The {k}-th neighbour needs k >= 1 and more than k samples; {len(own)} samples came. Draw more samples or lower k.")
    return kth_radii(own, k)


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
