"""How the engine gets a metric's numbers from features that are read a chunk at a time, and how sure they are.

A standard error is the jackknife over groups of generated samples (sample i is in group i mod g), real samples held fixed, unless a metric says
otherwise. What compares all pairs looks at the first LIMIT samples of either side.

Axes: n real, m generated, d features, k classes, g groups.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saddlepoint.errors import UsageError
from saddlepoint.evaluation.diversity import mean_pairwise_distance
from saddlepoint.evaluation.frechet import RunningStatistics, frechet_from_statistics
from saddlepoint.evaluation.inception import as_probabilities
from saddlepoint.evaluation.kernel import kernel_distance
from saddlepoint.evaluation.laplacian import laplacian_sliced_wasserstein
from saddlepoint.evaluation.msssim import ms_ssim_diversity
from saddlepoint.evaluation.neighbours import density_coverage, precision_recall
from saddlepoint.evaluation.sets import CHUNK_ROWS, SampleSet
from saddlepoint.evaluation.sliced import sliced_wasserstein
from saddlepoint.evaluation.store import Features

LIMIT = 10_000  # rows a side of metrics that compare all pairs
GROUPS = 10
GROUPS_WIDE, WIDE = 4, 512  # fewer groups where a distance of wide features costs seconds
SPLITS = 10  # of the Inception score
PYRAMID_IMAGES, QUARTERS = 16_384, 4

Scores = dict[str, float]
Rows32 = NDArray[np.float32]
NAN = float("nan")


@dataclass(frozen=True, kw_only=True)
class Result:
    """Scores by name and their standard errors; NaN where there are too few samples for one."""

    values: Scores
    errors: Scores


Run = Callable[[Features, Features, bool], Result]


def frechet(real: Features, fake: Features, errors: bool = True) -> Result:
    """Frechet distance, streamed: memory does not grow with the samples."""
    groups = GROUPS if real.extractor.dimension <= WIDE else GROUPS_WIDE
    whole = RunningStatistics()
    for chunk in real.chunks():
        whole.update(chunk)
    parts = in_groups(fake, groups)
    value = frechet_from_statistics(whole.mean, whole.covariance, *_merged(parts))
    if not errors or sum(part.count for part in parts) < 2 * groups:
        return Result(values={"fd": value}, errors={"fd": NAN})
    left_out = [frechet_from_statistics(whole.mean, whole.covariance, *_merged([*parts[:i], *parts[i + 1 :]])) for i in range(len(parts))]
    return Result(values={"fd": value}, errors={"fd": jackknife(left_out)})


def in_groups(features: Features, groups: int) -> list[RunningStatistics]:
    """Statistics of each group: sample i belongs to group i mod g; groups without samples are left out."""
    parts = [RunningStatistics() for _ in range(groups)]
    done = 0
    for chunk in features.chunks():
        for group, part in enumerate(parts):
            rows = chunk[(group - done) % groups :: groups]
            if len(rows):
                part.update(rows)
        done += len(chunk)
    return [part for part in parts if part.count]


def _merged(parts: Sequence[RunningStatistics]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    whole = RunningStatistics()
    for part in parts:
        whole.merge(part)
    return whole.mean, whole.covariance


def jackknife(left_out: Sequence[float]) -> float:
    r"""Standard error of a statistic from its values with one of g equal groups left out.

    .. math:: s^2 = \frac{g - 1}{g} \sum_i (\theta_{(i)} - \bar\theta)^2

    Efron & Stein 1981.

    >>> round(jackknife([1.0, 2.0, 3.0]), 9)                                    # sqrt(2/3 * 2)
    1.154700538
    """
    values, g = np.asarray(left_out, dtype=np.float64), len(left_out)
    return float(np.sqrt((g - 1) / g * np.square(values - values.mean()).sum())) if g > 1 else NAN


def of_rows(score: Callable[[Rows32, Rows32], Scores]) -> Run:
    """A metric of arrays as one of features, of their first LIMIT rows."""

    def run(real: Features, fake: Features, errors: bool = True) -> Result:
        real_rows, fake_rows = real.rows(limit=LIMIT), fake.rows(limit=LIMIT)
        values = score(real_rows, fake_rows)
        number = np.arange(len(fake_rows)) % GROUPS
        if not errors or len(fake_rows) < 2 * GROUPS:
            return Result(values=values, errors=dict.fromkeys(values, NAN))
        left_out = [score(real_rows, fake_rows[number != group]) for group in range(GROUPS)]
        return Result(values=values, errors={name: jackknife([found[name] for found in left_out]) for name in values})

    return run


def precision_and_recall(real: Rows32, fake: Rows32) -> Scores:
    """Improved precision and recall, k = 3."""
    found = precision_recall(real, fake, k=3)
    return {"precision": found.precision, "recall": found.recall}


def density_and_coverage(real: Rows32, fake: Rows32) -> Scores:
    """Density and coverage, k = 5."""
    found = density_coverage(real, fake, k=5)
    return {"density": found.density, "coverage": found.coverage}


def pairwise(real: Rows32, fake: Rows32) -> Scores:
    """Mean distance between generated samples over that between real ones."""
    spread = mean_pairwise_distance(real)
    return {"pairwise_distance": mean_pairwise_distance(fake) / spread if spread else 1.0}


def sliced(real: Rows32, fake: Rows32) -> Scores:
    """Sliced Wasserstein-1 distance, 512 directions."""
    return {"sliced_wasserstein": sliced_wasserstein(real, fake, num_directions=512)}


def class_frechet(real: Features, fake: Features, errors: bool = True) -> Result:
    """Mean over the classes of the data of the Frechet distance within each, streamed; see saddlepoint.evaluation.classwise."""
    ours, theirs = _by_class(real), _by_class(fake)
    missing = [label for label in ours if label not in theirs or min(theirs[label].count, ours[label].count) < 2]
    if missing:
        raise UsageError(f"class-fd needs two real and two generated samples of each class; class {missing[0]} has fewer. Draw more samples.")
    distances = [frechet_from_statistics(a.mean, a.covariance, theirs[label].mean, theirs[label].covariance) for label, a in ours.items()]
    return Result(values={"class_fd": float(np.mean(distances))}, errors={"class_fd": NAN})


def _by_class(features: Features) -> dict[int, RunningStatistics]:
    labels, found, done = features.samples.labels, dict[int, RunningStatistics](), 0
    if labels is None:
        raise UsageError(f"class-fd needs the class of every sample; {features.samples.name} has none. Use data with labels, or fd.")
    for chunk in features.chunks():
        classes = labels(done, done + len(chunk)).numpy()
        for label in np.unique(classes):
            found.setdefault(int(label), RunningStatistics()).update(chunk[classes == label])
        done += len(chunk)
    return found


def kernel(real: Features, fake: Features, errors: bool = True) -> Result:
    """KID: unbiased, 100 subsets of 1,000, or the whole sets where they are smaller; its error is its own, over subsets."""
    found = kernel_distance(real.rows(limit=LIMIT), fake.rows(limit=LIMIT))
    return Result(values={"kid": found.value}, errors={"kid": found.error})


def inception(real: Features, fake: Features, errors: bool = True) -> Result:
    """Inception score of the generated samples, streamed; its error is the deviation over the splits by the root of their number."""
    n = len(fake)
    if n < SPLITS:
        raise UsageError(f"The Inception score needs a sample for each of {SPLITS} splits; {n} came. Draw more samples.")
    ends = np.array([(i + 1) * n // SPLITS for i in range(SPLITS)])
    sums, negative_entropy, done = np.zeros((SPLITS, 0)), np.zeros(SPLITS), 0
    for chunk in fake.chunks("probabilities"):
        p = as_probabilities(chunk)  # rows k
        split = np.searchsorted(ends, np.arange(done, done + len(p)), side="right")
        sums = np.zeros((SPLITS, p.shape[1])) if not done else sums
        np.add.at(sums, split, p)
        np.add.at(negative_entropy, split, _p_log_p(p).sum(1))
        done += len(p)
    counts = np.diff(ends, prepend=0)
    scores = np.exp(negative_entropy / counts - _p_log_p(sums / counts[:, None]).sum(1))
    return Result(values={"is": float(scores.mean())}, errors={"is": float(scores.std() / math.sqrt(SPLITS))})


def _p_log_p(p: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(p * np.log(np.where(p > 0, p, 1.0)))


def multiscale_similarity(real: Features, fake: Features, errors: bool = True) -> Result:
    """MS-SSIM of 10,000 random pairs of generated images, of one class where classes are known; compare with the floor, real images' own."""
    images = _read(fake.samples, LIMIT)
    labels = None if fake.samples.labels is None else fake.samples.labels(0, len(images))
    found = ms_ssim_diversity(images.float(), labels)
    return Result(values={"ms_ssim": found.value}, errors={"ms_ssim": found.error})


def pyramid(real: Features, fake: Features, errors: bool = True) -> Result:
    """Sliced Wasserstein distance on the Laplacian pyramid; its error is from quarters of either side."""
    num = min(len(real), len(fake), PYRAMID_IMAGES)
    sides = _read(real.samples, num), _read(fake.samples, num)
    values = _levels(*sides)
    if not errors or num < QUARTERS:
        return Result(values=values, errors=dict.fromkeys(values, NAN))
    parts = [_levels(*(images[quarter::QUARTERS][: num // QUARTERS] for images in sides)) for quarter in range(QUARTERS)]
    spread = {name: float(np.std([part[name] for part in parts], ddof=1)) / math.sqrt(QUARTERS) for name in values}
    return Result(values=values, errors=spread)


def _levels(real: Tensor, fake: Tensor) -> Scores:
    found = laplacian_sliced_wasserstein(real, fake)
    return {"swd": found.average} | {f"swd_{side}": value for side, value in found.levels.items()}


def _read(samples: SampleSet, limit: int) -> Tensor:
    """The first images, uint8, in memory."""
    num = min(samples.num, limit)
    return torch.cat([samples.read(start, min(start + CHUNK_ROWS, num)) for start in range(0, num, CHUNK_ROWS)])
