"""The metrics that the engine offers by name: what each needs, what its numbers are called, and how sure they are.

A distance or share comes with its standard error: the jackknife over groups of generated samples (sample i is in group i mod g), real samples held
fixed. What compares all pairs looks at the first LIMIT samples of either side and says so.

Axes: n real, m generated, d features, g groups.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from saddlepoint.evaluation.diversity import mean_pairwise_distance
from saddlepoint.evaluation.frechet import RunningStatistics, frechet_from_statistics
from saddlepoint.evaluation.neighbours import density_coverage, precision_recall
from saddlepoint.evaluation.sliced import sliced_wasserstein
from saddlepoint.evaluation.store import Features

LIMIT = 10_000  # rows a side of metrics that compare all pairs
GROUPS = 10
GROUPS_WIDE, WIDE = 4, 512  # fewer groups where a distance of wide features costs seconds

Scores = dict[str, float]
Rows32 = NDArray[np.float32]
Run = Callable[[Features, Features, bool], "Result"]


@dataclass(frozen=True, kw_only=True)
class Result:
    """Scores by name and their standard errors; NaN where there are too few samples for one."""

    values: Scores
    errors: Scores


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A metric by name.

    Attributes:
        name: as the user writes it.
        better: for each of its scores, which direction is better; "none" where neither is.
        settings: what else a reader must know, for the protocol.
        run: from real and generated features, and whether errors are wanted (they cost g times as much).
        output: of the extractor that it looks at: "features" or "probabilities".
        kinds: of samples that it is defined for.
        pairs: it compares all pairs, of at most LIMIT rows a side.
        distance: a distance between the sets, whose bias falls with the number of samples.
    """

    name: str
    better: dict[str, Literal["lower", "higher", "none"]]
    run: Run
    settings: dict[str, Any] = field(default_factory=dict)
    output: Literal["features", "probabilities"] = "features"
    kinds: tuple[str, ...] = ("image", "points")
    pairs: bool = False
    distance: bool = False

    def cost(self, real: Features, fake: Features) -> str:
        """What it will cost, in words, before it starts; "" where it grows with the samples only."""
        if not self.pairs:
            return ""
        n, m, d = min(len(real), LIMIT), min(len(fake), LIMIT), real.extractor.dimension
        work = (n * n + m * m + n * m) * d * 2 * GROUPS
        return f"{self.name} compares all pairs of {n:,} real and {m:,} generated rows of {d}, about {work / 1e9:,.0f} billion operations"


def frechet(real: Features, fake: Features, errors: bool = True) -> Result:
    """Frechet distance, streamed: memory does not grow with the samples."""
    groups = GROUPS if real.extractor.dimension <= WIDE else GROUPS_WIDE
    whole = RunningStatistics()
    for chunk in real.chunks():
        whole.update(chunk)
    parts = in_groups(fake, groups)
    value = frechet_from_statistics(whole.mean, whole.covariance, *_merged(parts))
    if not errors or sum(part.count for part in parts) < 2 * groups:
        return Result(values={"fd": value}, errors={"fd": float("nan")})
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
    return float(np.sqrt((g - 1) / g * np.square(values - values.mean()).sum())) if g > 1 else float("nan")


def of_rows(score: Callable[[Rows32, Rows32], Scores]) -> Run:
    """A metric of arrays as one of features, of their first LIMIT rows."""

    def run(real: Features, fake: Features, errors: bool = True) -> Result:
        real_rows, fake_rows = real.rows(limit=LIMIT), fake.rows(limit=LIMIT)
        values = score(real_rows, fake_rows)
        number = np.arange(len(fake_rows)) % GROUPS
        if not errors or len(fake_rows) < 2 * GROUPS:
            return Result(values=values, errors=dict.fromkeys(values, float("nan")))
        left_out = [score(real_rows, fake_rows[number != group]) for group in range(GROUPS)]
        return Result(values=values, errors={name: jackknife([found[name] for found in left_out]) for name in values})

    return run


def _precision_recall(real: Rows32, fake: Rows32) -> Scores:
    found = precision_recall(real, fake, k=3)
    return {"precision": found.precision, "recall": found.recall}


def _density_coverage(real: Rows32, fake: Rows32) -> Scores:
    found = density_coverage(real, fake, k=5)
    return {"density": found.density, "coverage": found.coverage}


def _pairwise(real: Rows32, fake: Rows32) -> Scores:
    spread = mean_pairwise_distance(real)
    return {"pairwise_distance": mean_pairwise_distance(fake) / spread if spread else 1.0}


def _sliced(real: Rows32, fake: Rows32) -> Scores:
    return {"sliced_wasserstein": sliced_wasserstein(real, fake, num_directions=512)}


MEASURES = {
    measure.name: measure
    for measure in (
        Measure(name="fd", better={"fd": "lower"}, run=frechet, distance=True),
        Measure(
            name="precision-recall",
            better={"precision": "higher", "recall": "higher"},
            run=of_rows(_precision_recall),
            settings={"neighbours": 3, "rows": LIMIT},
            pairs=True,
        ),
        Measure(
            name="density-coverage",
            better={"density": "higher", "coverage": "higher"},
            run=of_rows(_density_coverage),
            settings={"neighbours": 5, "rows": LIMIT},
            pairs=True,
        ),
        Measure(
            name="pairwise-distance",
            better={"pairwise_distance": "none"},
            run=of_rows(_pairwise),
            settings={"over": "that of the real samples", "rows": LIMIT},
            pairs=True,
        ),
        Measure(
            name="sliced-wasserstein",
            better={"sliced_wasserstein": "lower"},
            run=of_rows(_sliced),
            settings={"directions": 512, "rows": LIMIT},
            distance=True,
        ),
    )
}
