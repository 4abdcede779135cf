"""How the engine scores what takes more than features of two sets: copies, classifiers, Parzen windows, segmenters, stacked digits.

Axes: n real, m generated, d features, k classes, t test points.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp
from sklearn.cluster import KMeans
from torch import Tensor

from saddlepoint.errors import UsageError
from saddlepoint.evaluation.case import Case, Result
from saddlepoint.evaluation.classwise import classification_accuracy, error_of_share
from saddlepoint.evaluation.copying import statistic_of_distances, verdict_of_distances
from saddlepoint.evaluation.extractors import Extractor, pixels_as_they_are
from saddlepoint.evaluation.neighbours import nearest
from saddlepoint.evaluation.parzen import SIGMAS, WARNING, parzen_log_likelihood, parzen_window
from saddlepoint.evaluation.scoring import GROUPS, LIMIT, NAN, Rows32, all_labels, jackknife, one_sided, streamed_frechet
from saddlepoint.evaluation.scoring_pairs import read_images
from saddlepoint.evaluation.sets import SampleSet
from saddlepoint.evaluation.stacked import class_coverage
from saddlepoint.evaluation.store import Features
from saddlepoint.evaluation.trainee import train_classifier

ALPHA, CELLS = 0.01, 3
THIRDS = 3
VALIDATION = 1000  # points that choose the width of a Parzen window


def copying(case: Case, errors: bool = True) -> Result:
    """Are generated samples nearer to the training set than real ones that it does not hold? In the extractor's features and in pixels."""
    found = _copying(case, case.real.extractor, "")
    if case.real.samples.kind == "image":
        pixels = _copying(case, pixels_as_they_are(case.real.samples.shape), "_pixels")
        found = Result(
            values={**found.values, **pixels.values},
            errors={**found.errors, **pixels.errors},
            floors={**(found.floors or {}), **(pixels.floors or {})},
            notes=found.notes + pixels.notes,
            details={"features": found.details["verdict"], "pixels": pixels.details["verdict"]},
        )
    return found


def _copying(case: Case, extractor: Extractor, suffix: str) -> Result:
    training, unseen = case.extras.training, case.extras.unseen
    assert training is not None and unseen is not None
    train = Features(training, extractor)
    sides = [Features(samples, extractor).rows(limit=LIMIT) for samples in (unseen, case.fake.samples)]
    usual, found = (nearest_distances(train, rows) for rows in sides)
    said = verdict_of_distances(usual, found, alpha=ALPHA, seed=case.extras.seed)
    values = {"copy_ratio": said.ratio.value, "copy_suspects": said.suspects}
    known = {"copy_ratio": said.ratio.error, "copy_suspects": error_of_share(said.suspects, len(found))}
    floors = {"copy_ratio": 1.0, "copy_suspects": 0.01, "copy_statistic": 0.0}
    cells = KMeans(CELLS, n_init=3, random_state=case.extras.seed).fit(train.rows(limit=LIMIT))
    try:
        values["copy_statistic"] = statistic_of_distances(usual, found, *(cells.predict(rows) for rows in sides))
        known["copy_statistic"] = 1.0
    except UsageError:
        pass  # too few samples in every cell
    where = "pixels" if suffix else f"features of {extractor.name}"
    note = f"copying, in {where}: {said.verdict} (p = {said.p:.2g}; accused wrongly at most once in {round(1 / ALPHA)})."
    named = {f"{name}{suffix}": value for name, value in values.items()}
    return Result(
        values=named,
        errors={f"{name}{suffix}": known[name] for name in values},
        floors={f"{name}{suffix}": floors[name] for name in values},
        notes=(note,),
        details={"verdict": {"verdict": said.verdict, "p": said.p, "ratio_low": said.ratio.low, "ratio_high": said.ratio.high}},
    )


def nearest_distances(train: Features, rows: Rows32) -> NDArray[np.float64]:
    """Distance of each row to the nearest training sample, streamed over the training set."""
    best = np.full(len(rows), np.inf)
    for chunk in train.chunks():
        best = np.minimum(best, nearest(chunk, rows)[1])
    return best


def accuracy_of_trained(case: Case, errors: bool = True) -> Result:
    """CAS: a classifier trained on the generated images, tested on the real ones; the floor is that of one trained on other real images.

    Its variance is the test set's (binomial), and that of the training set: of classifiers trained on thirds, over three.
    """
    images, tests = read_images(case.fake.samples, LIMIT), read_images(case.real.samples, LIMIT)
    labels, truth = all_labels(case.fake, "cas")[: len(images)], all_labels(case.real, "cas")[: len(tests)]
    num_classes = 1 + int(max(labels.max(), truth.max()))
    seed, device = case.extras.seed, case.extras.device

    def train(x: Tensor, y: NDArray[np.int64]) -> object:
        return train_classifier(x, y, num_classes, seed=seed, device=device)

    found = classification_accuracy(train, images, labels, tests, truth)  # type: ignore[arg-type]
    names = case.real.samples.class_names
    details = {names[label] if label < len(names) else str(label): value for label, value in found.classes.items()}
    error = NAN
    if errors and len(images) >= 2 * THIRDS:
        thirds = [classification_accuracy(train, images[i::THIRDS], labels[i::THIRDS], tests, truth).value for i in range(THIRDS)]  # type: ignore[arg-type]
        error = math.hypot(error_of_share(found.value, len(tests)), float(np.std(thirds, ddof=1)) / math.sqrt(THIRDS))
    return Result(values={"cas": found.value}, errors={"cas": error}, details=details)


def parzen(case: Case, errors: bool = True) -> Result:
    """Parzen windows: log-likelihood of real samples in pixels of [0, 1] (points as they are), the width chosen on a tenth of them, 1,000 at most.

    Its variance is that of the test points and, by the jackknife, of the generated samples.
    """
    kind, shape = case.real.samples.kind, case.real.samples.shape
    looks = [Features(f.samples, pixels_as_they_are(shape)) if kind == "image" else f for f in (case.real, case.fake)]
    real, fake = (features.rows(limit=LIMIT) for features in looks)
    first = min(VALIDATION, len(real) // 10)
    if first < 1 or len(real) - first < 2:
        raise UsageError(f"Parzen windows need 12 real samples or more; {len(real)} came. Use --num-real.")
    found = parzen_window(fake, real[:first], real[first:])
    error = NAN
    if errors and len(fake) >= 2 * GROUPS:
        tests, number = real[first:], np.arange(len(fake)) % GROUPS
        logs = np.stack([parzen_log_likelihood(fake[number == g], tests, found.sigma) + math.log((number == g).sum()) for g in range(GROUPS)])  # g t
        without = [logsumexp(np.delete(logs, g, 0), axis=0).mean() - math.log((number != g).sum()) for g in range(GROUPS)]
        error = math.hypot(found.error, jackknife(without))
    notes = [WARNING]
    if found.sigma in (SIGMAS[0], SIGMAS[-1]):
        notes.append(f"parzen: the best width, {found.sigma:.3g}, is the end of those tried; the number is not at its best.")
    return Result(values={"parzen": found.value}, errors={"parzen": error}, notes=tuple(notes), details={"sigma": found.sigma})


def segmentation(case: Case, errors: bool = True) -> Result:
    """Frechet segmentation distance of class areas, streamed, and which classes are left out."""
    segmenter = case.extras.segmenter
    assert segmenter is not None
    real, fake = (Features(features.samples, segmenter.areas) for features in (case.real, case.fake))
    value, error = streamed_frechet(real, fake, errors)
    means = [np.mean([chunk.mean(0, dtype=np.float64) * len(chunk) for chunk in f.chunks()], axis=0) for f in (real, fake)]
    means = [mean / mean.sum() for mean in means]
    change = {
        name: (float(means[1][k] / means[0][k] - 1) if means[0][k] else None)
        for k, name in enumerate(segmenter.classes)
        if means[0][k] or means[1][k]
    }
    ordered = dict(sorted(change.items(), key=lambda item: math.inf if item[1] is None else item[1]))
    worst = [f"{name} {100 * share:+.0f} %" for name, share in ordered.items() if share is not None][:3]
    note = f"fsd: change of mean area, most left out first: {', '.join(worst)}."
    return Result(values={"fsd": value}, errors={"fsd": error}, notes=(note,), details=ordered)


def stacked_modes(case: Case, errors: bool = True) -> Result:
    """Modes of images whose three channels are pictures of their own (stacked digits), each read by an extractor that knows classes."""
    samples = case.fake.samples
    if samples.kind != "image" or samples.shape[0] != 3:
        raise UsageError(f"stacked-modes needs images of 3 channels, each a digit of its own; {[*samples.shape]} came.")
    answers = [Features(_channel(samples, channel), case.fake.extractor).rows("probabilities", limit=LIMIT) for channel in range(3)]
    k = answers[0].shape[1]
    numbers = np.stack([rows.argmax(1) for rows in answers], axis=1) @ np.array([k * k, k, 1])

    def score(rows: Rows32) -> dict[str, float]:
        found = class_coverage(rows.astype(np.int64), k**3)
        return {"stacked_modes": float(found.modes), "stacked_kl": found.kl}

    values = score(numbers)
    known = one_sided(score, numbers) if errors else dict.fromkeys(values, NAN)
    return Result(values=values, errors=known)


def _channel(samples: SampleSet, channel: int) -> SampleSet:
    digest = f"{samples.content_hash} channel {channel}" if samples.content_hash else ""

    def read(start: int, stop: int) -> Tensor:
        return samples.read(start, stop)[:, channel : channel + 1]

    return replace(samples, shape=(1, *samples.shape[1:]), content_hash=digest, read=read)
