"""Does a generator copy? A verdict with a known rate of false alarms, from three sets: training, held-out and generated.

Nearest training samples are as near to held-out real samples as to those of a generator that has learned the distribution, and nearer to copies.
Meehan et al. 2020 (arXiv:2004.05675) make a test of it.

Axes: n generated, k held-out, m training samples, d features.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu, rankdata
from sklearn.cluster import KMeans

from saddlepoint.errors import UsageError
from saddlepoint.evaluation.arrays import Float64, Rows, as_rows
from saddlepoint.evaluation.neighbours import nearest
from saddlepoint.evaluation.uncertainty import Estimate, bootstrap


class CopyVerdict(NamedTuple):
    """What three sets say of copying.

    Attributes:
        verdict: "copies", or "no sign of copying": the samples are too few, too far, or new.
        ratio: median distance of generated samples to their nearest training sample over that of held-out ones, with its bootstrap interval.
        p: chance of distances as small as these without copying, one-sided.
        suspects: share of generated samples nearer to the training set than all but 1 % of the held-out ones; 0.01 without copying.
    """

    verdict: Literal["copies", "no sign of copying"]
    ratio: Estimate
    p: float
    suspects: float


def copy_verdict(train: Rows, held_out: Rows, fake: Rows, *, alpha: float = 0.01, seed: int = 0) -> CopyVerdict:
    """Mann-Whitney test that generated samples are nearer to the training set than held-out real ones are.

    Given the training set, the distances of samples of the true distribution are independent and equally distributed with those of held-out ones, so
    a generator that does not copy is accused with probability ``alpha`` at most (to the normal approximation). A generator whose samples lie far from
    the data hides copies among them: read ``suspects`` too.

    Args:
        train: [m, d].
        held_out: [k, d], real, not in ``train``, k >= 8.
        fake: [n, d], n >= 8.
        alpha: rate of false alarms.
        seed: of the bootstrap.
    """
    if not 0 < alpha < 1:
        raise UsageError(f"The rate of false alarms lies between 0 and 1; {alpha} came.")
    usual, found = _distances(train, held_out, "held-out"), _distances(train, fake, "generated")
    if np.median(usual) == 0:
        raise UsageError("Copying cannot be judged: half of the held-out samples are in the training set themselves. Remove the duplicates.")
    ratio = bootstrap(_ratio_of_medians, found, usual, seed=seed)
    p = float(mannwhitneyu(found, usual, alternative="less").pvalue)
    suspects = float((found < np.quantile(usual, 0.01)).mean())
    return CopyVerdict("copies" if p < alpha else "no sign of copying", ratio, p, suspects)


def copying_statistic(train: Rows, held_out: Rows, fake: Rows, *, cells: int = 3, least: int = 20, seed: int = 0) -> float:
    r"""C_T: the mean over cells of the Mann-Whitney z score of generated against held-out distances; well below 0 copies, well above 0 underfits.

    .. math:: C_T = \frac{\sum_\pi P(\pi) Z_U(\pi)}{\sum_\pi P(\pi)}

    Meehan et al. 2020, Section 3: cells are those of k-means on the training set, P(pi) their share of held-out samples; cells without ``least``
    samples of either set are left out. Each z score is standard normal without copying, so -3 is news.

    Args:
        train: [m, d], m >= cells.
        held_out: [k, d].
        fake: [n, d].
        cells: of the feature space; 1 is the test of :func:`copy_verdict`.
        least: held-out and generated samples that a cell needs.
        seed: of k-means.
    """
    rows = as_rows(train, "training", least=max(cells, 1))
    usual, found = _distances(rows, held_out, "held-out"), _distances(rows, fake, "generated")
    if cells < 1:
        raise UsageError(f"C_T needs at least one cell; {cells} came.")
    means = KMeans(cells, n_init=3, random_state=seed).fit(rows)
    of_real, of_fake = means.predict(as_rows(held_out, "held-out")), means.predict(as_rows(fake, "generated"))
    shares, scores = [], []
    for cell in range(cells):
        real_cell, fake_cell = usual[of_real == cell], found[of_fake == cell]
        if min(len(real_cell), len(fake_cell)) >= least:
            shares.append(len(real_cell))
            scores.append(_z_score(fake_cell, real_cell))
    if not shares:
        raise UsageError(f"C_T needs {least} held-out and generated samples in one cell; no cell has them. Draw more samples or make fewer cells.")
    return float(np.average(scores, weights=shares))


def _distances(train: Rows, samples: Rows, name: str) -> Float64:
    return nearest(train, as_rows(samples, name, least=8))[1]


def _ratio_of_medians(found: NDArray[np.float64], usual: NDArray[np.float64]) -> float:
    middle = float(np.median(usual))
    return float(np.median(found)) / middle if middle else float("inf")


def _z_score(found: Float64, usual: Float64) -> float:
    """Normal score of the chance that a generated distance is larger than a held-out one; 0 for equal sets, ties halved."""
    n, m = len(found), len(usual)
    larger = rankdata(np.concatenate([found, usual]))[:n].sum() - n * (n + 1) / 2
    return float((larger - n * m / 2) / np.sqrt(n * m * (n + m + 1) / 12))
