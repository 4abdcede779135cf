"""How the engine gets a metric's numbers from features that are read a chunk at a time, and how sure they are.

A standard error is the two-sample jackknife, unless a metric says otherwise: each side is cut into groups (sample i is in group i mod g), each group
is left out in turn with the other side whole, and the two sides' variances are added. What compares all pairs looks at the first LIMIT samples of
either side.

Axes: n real, m generated, d features, k classes, g groups.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from saddlepoint.errors import UsageError
from saddlepoint.evaluation.case import Case, Result, Run, Scores
from saddlepoint.evaluation.diversity import mean_pairwise_distance
from saddlepoint.evaluation.frechet import RunningStatistics, frechet_distance, frechet_from_statistics, frechet_infinity
from saddlepoint.evaluation.inception import as_probabilities
from saddlepoint.evaluation.kernel import kernel_distance
from saddlepoint.evaluation.modes import mode_coverage
from saddlepoint.evaluation.neighbours import density_coverage, precision_recall
from saddlepoint.evaluation.sliced import sliced_wasserstein
from saddlepoint.evaluation.store import Features

LIMIT = 10_000  # rows a side of metrics that compare all pairs
GROUPS = 5  # a side
GROUPS_WIDE, WIDE = 3, 512  # fewer groups where a distance of wide features costs seconds
SPLITS = 10  # of the Inception score
BYTES = 2**30  # of features in memory at most; more are streamed

Rows32 = NDArray[np.float32]
NAN = float("nan")


def frechet(case: Case, errors: bool = True) -> Result:
    """Frechet distance, streamed: memory does not grow with the samples."""
    value, error = streamed_frechet(case.real, case.fake, errors)
    return Result(values={"fd": value}, errors={"fd": error})


def streamed_frechet(real: Features, fake: Features, errors: bool) -> tuple[float, float]:
    """Frechet distance of features, and its standard error; fewer samples than dimensions are the smaller problem, and are held in memory."""
    groups = GROUPS if real.extractor.dimension <= WIDE else GROUPS_WIDE
    if 2 <= max(len(real), len(fake)) <= real.extractor.dimension:
        rows = real.rows(), fake.rows()

        def score(x: Rows32, y: Rows32) -> Scores:
            return {"fd": frechet_distance(x, y)}

        return score(*rows)["fd"], two_sided(score, *rows, groups)["fd"] if errors else NAN
    sides = [in_groups(features, groups if errors else 1) for features in (real, fake)]
    whole = [_merged(parts) for parts in sides]
    value = frechet_from_statistics(*whole[0], *whole[1])
    if not errors or min(len(real), len(fake)) < 2 * groups:
        return value, NAN
    variance = 0.0
    for side, parts in enumerate(sides):
        without = [_merged([*parts[:i], *parts[i + 1 :]]) for i in range(len(parts))]
        pairs = [(part, whole[1]) if side == 0 else (whole[0], part) for part in without]
        variance += jackknife([frechet_from_statistics(*one, *other) for one, other in pairs]) ** 2
    return value, math.sqrt(variance)


def extrapolated(case: Case, errors: bool = True) -> Result:
    """The Frechet distance at infinitely many generated samples; see saddlepoint.evaluation.frechet.frechet_infinity."""
    found = frechet_infinity(case.real.rows(limit=LIMIT), case.fake.rows(limit=LIMIT), seed=case.extras.seed)
    return Result(values={"fd_infinity": found.value}, errors={"fd_infinity": found.error})


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


def two_sided(score: Callable[[Rows32, Rows32], Scores], real: Rows32, fake: Rows32, groups: int = GROUPS) -> Scores:
    """Standard errors of a metric of two sets of rows; NaN where a side has fewer than two rows a group."""
    if min(len(real), len(fake)) < 2 * groups:
        return dict.fromkeys(score(real, fake), NAN)
    number = [np.arange(len(rows)) % groups for rows in (real, fake)]
    sides = [[score(real[number[0] != group], fake) for group in range(groups)], [score(real, fake[number[1] != group]) for group in range(groups)]]
    return {name: math.hypot(*(jackknife([found[name] for found in side]) for side in sides)) for name in sides[0][0]}


def of_rows(score: Callable[[Rows32, Rows32], Scores]) -> Run:
    """A metric of arrays as one of features, of their first LIMIT rows."""

    def run(case: Case, errors: bool = True) -> Result:
        real, fake = case.real.rows(limit=LIMIT), case.fake.rows(limit=LIMIT)
        values = score(real, fake)
        return Result(values=values, errors=two_sided(score, real, fake) if errors else dict.fromkeys(values, NAN))

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


def modes(case: Case, errors: bool = True) -> Result:
    """Modes of the data's mixture that hold a sample of high quality, the share of such samples, and their evenness (log m where there are none)."""
    if case.real.samples.mixture is None:
        raise UsageError(f"The modes of {case.real.samples.name} are not known. Use a mixture such as ring8 or grid25, or another metric.")
    centers, std = case.real.samples.mixture

    def score(real: Rows32, fake: Rows32) -> Scores:
        report = mode_coverage(fake, centers, std)
        kl = report.kl if np.isfinite(report.kl) else math.log(len(centers))
        return {"modes": float(report.modes), "high_quality": report.high_quality, "modes_kl": kl}

    fake = case.fake.rows(limit=LIMIT)
    values = score(fake, fake)
    return Result(values=values, errors=one_sided(lambda rows: score(rows, rows), fake) if errors else dict.fromkeys(values, NAN))


def one_sided(score: Callable[[Rows32], Scores], fake: Rows32, groups: int = 2 * GROUPS) -> Scores:
    """Standard errors of a metric of generated rows alone."""
    if len(fake) < 2 * groups:
        return dict.fromkeys(score(fake), NAN)
    number = np.arange(len(fake)) % groups
    left_out = [score(fake[number != group]) for group in range(groups)]
    return {name: jackknife([found[name] for found in left_out]) for name in left_out[0]}


def class_frechet(case: Case, errors: bool = True) -> Result:
    """Mean over the classes of the data of the Frechet distance within each; classes are independent, so their variances add.

    Features of up to BYTES a side are held in memory; more are streamed, without errors.
    """
    width = 4 * case.real.extractor.dimension
    if max(len(case.real), len(case.fake)) * width > BYTES:
        distances, squares = _class_frechet_streamed(case), [NAN]
    else:
        sides = _rows_by_class(case.real), _rows_by_class(case.fake)
        _check_classes(*({label: len(rows) for label, rows in side.items()} for side in sides))
        distances = {label: frechet_distance(rows, sides[1][label]) for label, rows in sides[0].items()}
        one = lambda real, fake: {"fd": frechet_distance(real, fake)}  # noqa: E731
        squares = [two_sided(one, rows, sides[1][label])["fd"] ** 2 for label, rows in sides[0].items()] if errors else [NAN]
    names = case.real.samples.class_names
    details = {names[label] if label < len(names) else str(label): value for label, value in sorted(distances.items())}
    error = math.sqrt(sum(squares)) / len(distances)
    return Result(values={"class_fd": float(np.mean(list(distances.values())))}, errors={"class_fd": error}, details=details)


def _check_classes(real: dict[int, int], fake: dict[int, int]) -> None:
    for label, count in real.items():
        if min(count, fake.get(label, 0)) < 2:
            came = f"class {label} has {count} real and {fake.get(label, 0)} generated"
            raise UsageError(f"class-fd needs two real and two generated samples of each class; {came}. Draw more samples.")


def _rows_by_class(features: Features) -> dict[int, Rows32]:
    rows, classes = features.rows(), all_labels(features, "class-fd")
    return {int(label): rows[classes == label] for label in np.unique(classes)}


def all_labels(features: Features, metric: str) -> NDArray[np.int64]:
    """The class of every sample, int64 [n].

    Raises:
        UsageError: if they have none.
    """
    if features.samples.labels is None:
        raise UsageError(f"{metric} needs the class of every sample; {features.samples.name} has none. Use data with labels, or fd.")
    return features.samples.labels(0, len(features)).numpy()


def _class_frechet_streamed(case: Case) -> dict[int, float]:
    ours, theirs = _by_class(case.real), _by_class(case.fake)
    _check_classes(*({label: found.count for label, found in side.items()} for side in (ours, theirs)))
    return {label: frechet_from_statistics(a.mean, a.covariance, theirs[label].mean, theirs[label].covariance) for label, a in ours.items()}


def _by_class(features: Features) -> dict[int, RunningStatistics]:
    found, done, classes = dict[int, RunningStatistics](), 0, all_labels(features, "class-fd")
    for chunk in features.chunks():
        own = classes[done : done + len(chunk)]
        for label in np.unique(own):
            found.setdefault(int(label), RunningStatistics()).update(chunk[own == label])
        done += len(chunk)
    return found


def kernel(case: Case, errors: bool = True) -> Result:
    """KID: unbiased, 100 subsets of 1,000, or the whole sets where they are smaller; its error is its own, a jackknife over both sets."""
    found = kernel_distance(case.real.rows(limit=LIMIT), case.fake.rows(limit=LIMIT))
    return Result(values={"kid": found.value}, errors={"kid": found.error})


def inception(case: Case, errors: bool = True) -> Result:
    """Inception score of the generated samples, streamed; its error is the deviation over the splits by the root of their number."""
    n = len(case.fake)
    if n < SPLITS:
        raise UsageError(f"The Inception score needs a sample for each of {SPLITS} splits; {n} came. Draw more samples.")
    ends = np.array([(i + 1) * n // SPLITS for i in range(SPLITS)])
    sums, negative_entropy, done = np.zeros((SPLITS, 0)), np.zeros(SPLITS), 0
    for chunk in case.fake.chunks("probabilities"):
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
