"""How far generated samples lie from one another.

Axes: n samples, d features.
"""

from __future__ import annotations

import numpy as np

from saddlepoint.evaluation.arrays import Rows, as_rows

_ROWS = 512


def mean_pairwise_distance(rows: Rows) -> float:
    """Mean Euclidean distance over all pairs of different samples, in feature units; near 0 when samples have collapsed to one.

    Args:
        rows: [n, d], n >= 2.

    >>> import numpy as np
    >>> mean_pairwise_distance(np.array([[0.0], [1.0], [3.0]]))                 # (1 + 3 + 2) / 3
    2.0
    """
    own = as_rows(rows, "", least=2)
    own = own - own.mean(0)
    norms = np.square(own).sum(1)
    total = 0.0
    for start in range(0, len(own), _ROWS):
        stop = min(start + _ROWS, len(own))
        squared = norms[start:stop, None] + norms - 2 * (own[start:stop] @ own.T)
        squared[np.arange(stop - start), np.arange(start, stop)] = 0.0
        total += float(np.sqrt(np.maximum(squared, 0.0)).sum())
    return total / (len(own) * (len(own) - 1))
