"""Modes covered and high-quality share for mixtures whose centres are known: the ring, the grid.

Axes: n samples, m modes, d dimension.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from saddlepoint.errors import UsageError
from saddlepoint.evaluation.arrays import Rows, as_pair


@dataclass(frozen=True, kw_only=True)
class ModeReport:
    """What a set of samples covers of a mixture.

    Attributes:
        modes: how many modes hold at least ``min_count`` high-quality samples.
        high_quality: share of samples within ``within`` deviations of their nearest centre, in [0, 1].
        kl: KL divergence in nats of the histogram of high-quality samples over the modes from the uniform one; log m when one mode holds all,
            infinite when there is no high-quality sample.
        counts: high-quality samples a mode.
    """

    modes: int
    high_quality: float
    kl: float
    counts: tuple[int, ...]


def mode_coverage(samples: Rows, centers: Rows, std: float, within: float = 3.0, min_count: int = 1) -> ModeReport:
    """Modes captured, high-quality share and evenness, as VEEGAN (arXiv:1705.07761) and PacGAN (arXiv:1712.04086) count them.

    A sample belongs to its nearest centre and is of high quality within three deviations of it; both papers take 2,500 samples. Of samples of the
    mixture itself in two dimensions, 1 - exp(-9/2) = 98.9 % are of high quality: that is the ceiling, not 100 %.

    Args:
        samples: [n, d].
        centers: [m, d].
        std: of each mode, the same in every direction, > 0.
        within: radius in deviations.
        min_count: samples that make a mode captured.

    >>> import numpy as np
    >>> report = mode_coverage(np.array([[0.0], [0.2], [0.9], [5.0]]), np.array([[0.0], [1.0], [2.0]]), std=0.1)
    >>> report.modes, report.high_quality, round(report.kl, 4), report.counts            # thirds 2, 1, 0: log 3 - entropy
    (2, 0.75, 0.4621, (2, 1, 0))
    """
    rows, middles = as_pair(samples, centers)
    if not std > 0 or not within > 0 or min_count < 1:
        raise UsageError(f"Mode coverage needs std > 0, within > 0 and min_count >= 1; {std}, {within} and {min_count} came.")
    squared = np.square(rows[:, None] - middles).sum(2)  # n m
    mode, good = squared.argmin(1), squared.min(1) <= (within * std) ** 2  # n, n
    counts = np.bincount(mode[good], minlength=len(middles))  # m
    shares = counts[counts > 0] / max(int(counts.sum()), 1)
    kl = float((shares * np.log(shares * len(middles))).sum()) if good.any() else float("inf")
    return ModeReport(modes=int((counts >= min_count).sum()), high_quality=float(good.mean()), kl=max(kl, 0.0), counts=tuple(counts.tolist()))
