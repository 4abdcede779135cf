"""The evaluation engine: samples to features once, features to every metric asked for, each score with its floor, its error and its protocol.

The floor of a score is the same metric of held-out real samples, as many as there are generated ones, against the same real samples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from saddlepoint.data.records import Dataset
from saddlepoint.draws import derive_seed
from saddlepoint.errors import DataError, UsageError, nearest
from saddlepoint.evaluation.case import Case, Extras, Result
from saddlepoint.evaluation.extractors import Extractor, points_as_they_are
from saddlepoint.evaluation.measures import HINTS, MEASURES, Measure
from saddlepoint.evaluation.scoring import LIMIT
from saddlepoint.evaluation.sets import SampleSet, of_data, with_classes_of
from saddlepoint.evaluation.store import Features

Tell = Callable[[str], None]
FEW = 10_000  # samples below which a Frechet distance is known to be far from its limit (Heusel et al. 2017)


def find_measures(names: Sequence[str]) -> list[Measure]:
    """Metrics by name, each once, in the order given.

    Raises:
        UsageError: for an unknown name, with the nearest.
    """
    for name in names:
        if name in HINTS:
            raise UsageError(f"There is no metric {name!r} by that name: it is {HINTS[name]}.")
        if name not in MEASURES:
            raise UsageError(f"There is no metric {name!r}. {nearest(name, MEASURES)} All: {', '.join(MEASURES)}.")
    if not names:
        raise UsageError(f"Name at least one metric: {', '.join(MEASURES)}.")
    return [MEASURES[name] for name in dict.fromkeys(names)]


def divide(dataset: Dataset, num_real: int | None, num_fake: int, seed: int) -> tuple[SampleSet, SampleSet | None]:
    """Real samples to compare with, and others held out for the floor, chosen at random without overlap.

    Args:
        dataset: real data.
        num_real: how many to compare with; None: as many as are generated, at most half of the data.
        num_fake: generated samples; so many are held out. Where the data cannot spare them there is no floor.
        seed: of the choice.
    """
    records = len(dataset)
    if records < 2:
        raise DataError(f"A distribution cannot be compared with {records} real sample; {dataset.spec.name} has no more. Use more data.")
    if num_real is not None and not 2 <= num_real <= records:
        raise UsageError(f"{dataset.spec.name} has {records} records; {num_real} real samples were asked for. Use 2 to {records}.")
    rng = torch.Generator().manual_seed(derive_seed("evaluation", seed))
    order = torch.randperm(records, generator=rng)
    count = max(2, min(num_fake, records // 2)) if num_real is None else num_real
    held = order[count : count + num_fake]
    return of_data(dataset, order[:count]), of_data(dataset, held) if len(held) == num_fake else None


def evaluate(
    real: SampleSet,
    held: SampleSet | None,
    fake: SampleSet,
    *,
    metrics: Sequence[str],
    extractor: Extractor | None,
    extras: Extras | None = None,
    tell: Tell | None = None,
) -> dict[str, Any]:
    """Score generated samples against real ones.

    Args:
        real: to compare with.
        held: real ones for the floor, as many as generated; None: no floor.
        fake: generated ones.
        metrics: names in MEASURES.
        extractor: for images; points are their own features.
        extras: what some metrics need besides.
        tell: told what is being done, and what it will cost before it starts.
    Returns:
        scores: by name, each {"value", "error" (standard error or None), "floor" (or None), "better"}; notes: what a reader should know, sentences;
        details: by metric, what else it found; protocol: how the numbers were made, without what only the caller knows.
    Raises:
        UsageError: for a metric that these samples or this extractor do not allow.
    """
    chosen, given = find_measures(metrics), extras or Extras()
    _check(real, fake)
    seen_by = extractor if real.kind == "image" else points_as_they_are(math.prod(real.shape))
    if seen_by is None:
        raise UsageError("Images need an extractor. Choose quick, lite0, inception, clip, dinov2, vgg16 or module:attribute.")
    for measure in chosen:
        check_needs(measure, real.kind, given)
    sets = {"real": real, "held-out real": held, "generated": with_classes_of(fake, real)}
    looked = {name: Features(samples, seen_by, _progress(name, tell)) for name, samples in sets.items() if samples}
    case = Case(real=looked["real"], fake=looked["generated"], extras=given)
    scores: dict[str, dict[str, Any]] = {}
    notes, details = _notes(chosen, real, fake, seen_by, held), {}
    for measure in chosen:
        if tell is not None and measure.price(case):
            tell(measure.price(case))
        result = measure.run(case, True)
        floors = result.floors
        if measure.floor and held is not None:
            floors = measure.run(replace(case, fake=looked["held-out real"]), False).values
        scores |= _tabulate(measure, result, floors)
        notes += result.notes
        if result.details:
            details[measure.name] = dict(result.details)
    told = {"details": details} if details else {}
    return {"scores": scores, "notes": notes, **told, "protocol": _protocol(chosen, case, held)}


def _protocol(chosen: Sequence[Measure], case: Case, held: SampleSet | None) -> dict[str, Any]:
    real, fake, extras = case.real.samples, case.fake.samples, case.extras
    needed = {need for measure in chosen for need in measure.needs}
    said: dict[str, Any] = {}
    if "distance" in needed and extras.distance is not None:
        said |= extras.distance.stamp
    if "segmenter" in needed and extras.segmenter is not None:
        areas = extras.segmenter.areas
        said |= {"segmenter": areas.name, "segmenter_hash": areas.weights_hash, "segmenter_preprocessing": areas.preprocessing}
    if "labels" in needed and extras.labels is not None:
        said |= {"label_maps": extras.labels.name, "label_maps_hash": extras.labels.digest}
    if "unseen" in needed and extras.unseen is not None and extras.training is not None:
        said |= {"held_out": extras.unseen.name, "num_held_out": extras.unseen.num, "num_training": extras.training.num}
    return {
        "data": real.name,
        **case.real.extractor.stamp,
        **said,
        "resolution": [*fake.shape],
        "num_real": real.num,
        "num_fake": fake.num,
        "settings": {measure.name: measure.settings for measure in chosen if measure.settings},
        "error": "standard error: two-sample jackknife, groups of real and of generated samples left out, unless a metric's settings say otherwise",
        "floor": f"{fake.num} other real samples in place of the generated" if held is not None else "none: the data cannot spare so many records",
    }


MISSING = {
    "walk": "a run whose generator has latents; these samples have no generator. Name a run folder",
    "distance": "a distance of images. Name one with --distance: quick, lite0, vgg16, lpips or module:attribute",
    "segmenter": "a segmenter of images. Name yours with --segmenter module:attribute",
    "labels": "label maps. Name their folder with --labels; or give the segmenter `colours`, if the run translates pictures of label maps",
    "targets": "the images that translations should be: a run that translates, and data of pairs",
    "returned": "a run that translates both ways, and data of two domains",
    "meanings": "a run that translates, and two domains whose images have names in common, or classes",
    "classes": "a run that translates, and two domains whose images have classes",
    "unseen": "real samples that the generator was not trained on. Name them with --held-out, such as fashion:test of a run on fashion:train",
}


def check_needs(measure: Measure, kind: str, extras: Extras) -> None:
    """Refuse a metric that is not of these samples, or that lacks what it needs.

    Raises:
        UsageError: with what to name.
    """
    if kind not in measure.kinds:
        raise UsageError(f"The metric {measure.name} is of {' and '.join(measure.kinds)} samples; these are {kind}. Leave it out.")
    for need in measure.needs:
        if getattr(extras, need) is None:
            raise UsageError(f"The metric {measure.name} needs {MISSING[need]}.")


def _check(real: SampleSet, fake: SampleSet) -> None:
    """Refuse sets that cannot be compared."""
    if fake.num < 2:
        raise UsageError(f"A distribution needs at least 2 generated samples; {fake.name} gives {fake.num}. Draw more samples.")
    if real.kind != fake.kind:
        raise UsageError(f"{real.name} holds {real.kind} samples and {fake.name} {fake.kind}. Compare like with like.")
    if (real.shape != fake.shape) and (real.kind == "points" or real.shape[1:] != fake.shape[1:]):
        advice = "Bring both to one size with --resolution" if real.kind == "image" else "Name real data of the same dimension"
        raise UsageError(f"Real samples have shape {[*real.shape]} and generated {[*fake.shape]}. {advice}.")


def _progress(what: str, tell: Tell | None) -> Callable[[int, int], None] | None:
    if tell is None:
        return None
    return lambda done, of: tell(f"features of {what} samples: {done:,} of {of:,}")


def _tabulate(measure: Measure, result: Result, floors: Mapping[str, float] | None) -> dict[str, dict[str, Any]]:
    """One entry a score; JSON has no NaN, so an error that is unknown is None."""
    return {
        name: {
            "value": value,
            "error": None if math.isnan(result.errors[name]) else result.errors[name],
            "floor": None if floors is None else floors.get(name),
            "better": measure.direction(name),
        }
        for name, value in result.values.items()
    }


def _notes(chosen: Sequence[Measure], real: SampleSet, fake: SampleSet, extractor: Extractor, held: SampleSet | None) -> list[str]:
    """What a reader of the numbers should know."""
    notes = []
    count = min(real.num, fake.num)
    biased = [measure.name for measure in chosen if measure.name in ("fd", "class-fd", "fsd")]
    if count < FEW and biased:
        why = f"{count} samples a side are few: a Frechet distance is biased upward below {FEW:,}"
        notes.append(f"{', '.join(biased)}: {why}. Compare only with equal numbers, and prefer kid, which is unbiased.")
    if count <= extractor.dimension and "fd" in biased:
        notes.append(f"{count} samples do not fill {extractor.dimension} dimensions: the covariances are singular, and the distance is mostly bias.")
    if max(real.num, fake.num) > LIMIT and any("rows" in measure.settings or measure.pairs for measure in chosen):
        names = ", ".join(measure.name for measure in chosen if "rows" in measure.settings or measure.pairs)
        notes.append(f"{names}: of the first {LIMIT:,} samples a side.")
    if held is None and any(measure.floor for measure in chosen):
        notes.append(f"No floor: that needs {real.num} + {fake.num} real records. Ask for fewer with --num or --num-real.")
    return notes
