"""Does a generator copy? A verdict with a known rate of false alarms, from three sets: training, held-out and generated.

Nearest training samples are as near to held-out real samples as to those of a generator that has learned the distribution, and nearer to copies.
Meehan et al. 2020 (arXiv:2004.05675) make a test of it.

Axes: n generated, k held-out, m training samples, d features.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import hypergeom, mannwhitneyu, rankdata
from sklearn.cluster import KMeans

from saddlepoint.errors import UsageError
from saddlepoint.evaluation.arrays import Float64, Rows, as_rows
from saddlepoint.evaluation.neighbours import nearest
from saddlepoint.evaluation.uncertainty import Estimate, bootstrap

Verdict = Literal["copies", "some copies", "no sign of copying"]


class CopyVerdict(NamedTuple):
    """What three sets say of copying.

    Attributes:
        verdict: "copies"; "some copies", where only the nearest samples are too near; or "no sign of copying": they are too few, too far, or new.
        ratio: median distance of generated samples to their nearest training sample over that of held-out ones, with its bootstrap interval.
        p: chance of distances as small as these without copying, one-sided, for both tests together (twice the smaller p of the two).
        suspects: share of generated samples nearer to the training set than all but 1 % of the held-out ones; 0.01 without copying.
    """

    verdict: Verdict
    ratio: Estimate
    p: float
    suspects: float


def copy_verdict(train: Rows, held_out: Rows, fake: Rows, *, alpha: float = 0.01, seed: int = 0) -> CopyVerdict:
    """Two tests that generated samples are nearer to the training set than held-out real ones are: of all samples, and of the nearest ones.

    Given the training set, the distances of samples of the true distribution are independent and equally distributed with those of held-out ones, so
    a generator that does not copy is accused with probability ``alpha`` at most. Half of it is spent on the Mann-Whitney test of all distances (to
    its normal approximation), half on the number s of generated samples nearer than the r-th held-out one, r a hundredth of them: s or more of the
    s + r - 1 smallest distances are generated ones, which is hypergeometric. The second finds a few copies among samples that lie far away.

    Args:
        train: [m, d].
        held_out: [k, d], real, not in ``train``, k >= 8.
        fake: [n, d], n >= 8.
        alpha: rate of false alarms.
        seed: of the bootstrap.
    """
    return verdict_of_distances(_distances(train, held_out, "held-out"), _distances(train, fake, "generated"), alpha=alpha, seed=seed)


def verdict_of_distances(usual: Float64, found: Float64, *, alpha: float = 0.01, seed: int = 0) -> CopyVerdict:
    """:func:`copy_verdict` from distances to the nearest training sample.

    Args:
        usual: of held-out samples, [k].
        found: of generated samples, [n].
        alpha: rate of false alarms.
        seed: of the bootstrap.
    """
    if not 0 < alpha < 1:
        raise UsageError(f"The rate of false alarms lies between 0 and 1; {alpha} came.")
    if np.median(usual) == 0:
        raise UsageError("Copying cannot be judged: half of the held-out samples are in the training set themselves. Remove the duplicates.")
    ratio = bootstrap(_ratio_of_medians, found, usual, seed=seed)
    rank = max(1, round(len(usual) / 100))
    suspects = int((found < np.sort(usual)[rank - 1]).sum())
    p_all = float(mannwhitneyu(found, usual, alternative="less").pvalue)
    p_nearest = float(hypergeom.sf(suspects - 1, len(found) + len(usual), len(found), suspects + rank - 1))
    accused = p_all < alpha / 2, p_nearest < alpha / 2
    verdict: Verdict = "copies" if accused[0] else "some copies" if accused[1] else "no sign of copying"
    return CopyVerdict(verdict, ratio, min(1.0, 2 * min(p_all, p_nearest)), suspects / len(found))


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
    return statistic_of_distances(usual, found, means.predict(as_rows(held_out, "held-out")), means.predict(as_rows(fake, "generated")), least=least)


def statistic_of_distances(usual: Float64, found: Float64, of_real: NDArray[np.integer], of_fake: NDArray[np.integer], *, least: int = 20) -> float:
    """:func:`copying_statistic` from distances to the nearest training sample and the cells that samples lie in.

    Args:
        usual: of held-out samples, [k].
        found: of generated samples, [n].
        of_real: cells of held-out samples, [k].
        of_fake: cells of generated samples, [n].
        least: held-out and generated samples that a cell needs.
    """
    shares, scores = [], []
    for cell in np.unique(of_real):
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
