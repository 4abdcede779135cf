"""How the engine scores precision and recall of distributions.

Axes: n real, m generated, r clusterings.
"""

from __future__ import annotations

import numpy as np

from saddlepoint.errors import UsageError
from saddlepoint.evaluation.case import Case, Result, Scores
from saddlepoint.evaluation.prd import CLUSTERS, RUNS, cluster, curve_of_clusters
from saddlepoint.evaluation.scoring import GROUPS, LIMIT, NAN, Rows32, two_sided

POINTS = 50  # of the curve, kept in the details: each 20th angle
SCORES = ("prd_recall", "prd_precision")


def prd(case: Case, errors: bool = True) -> Result:
    """The greatest F_8 and F_1/8 of as many real as generated samples; the clusterings are made once, and their errors are of the samples alone."""
    num = min(len(case.real), len(case.fake), LIMIT)
    if 2 * num < CLUSTERS:
        raise UsageError(f"prd needs {CLUSTERS // 2} samples a side for its {CLUSTERS} clusters; {num} came. Draw more samples.")
    sides = cluster(case.real.rows(limit=num), case.fake.rows(limit=num), clusters=CLUSTERS, runs=RUNS, seed=case.extras.seed)
    curve = curve_of_clusters(*sides)
    values = dict(zip(SCORES, curve.best(), strict=True))
    real, fake = (np.ascontiguousarray(side.T, np.float32) for side in sides)
    known = two_sided(_score, real, fake, GROUPS) if errors else dict.fromkeys(SCORES, NAN)
    step = len(curve.recall) // POINTS
    points = [[round(float(value), 4) for value in pair] for pair in zip(curve.recall[::step], curve.precision[::step], strict=True)]
    return Result(values=values, errors=known, details={"curve": points})


def _score(real: Rows32, fake: Rows32) -> Scores:
    """Of clusters [n, r] and [m, r]."""
    return dict(zip(SCORES, curve_of_clusters(real.T.astype(np.int64), fake.T.astype(np.int64)).best(), strict=True))
