"""How the engine scores translations: against the images they should be, by the way back, by what they mean; and how sharp any images are.

Axes: n images.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saddlepoint.errors import UsageError
from saddlepoint.evaluation.case import Case, Result, Run
from saddlepoint.evaluation.classwise import error_of_share, wilson
from saddlepoint.evaluation.meaning import retrieval
from saddlepoint.evaluation.paired import exact_share, paired_distance, psnr, ssim, target_error
from saddlepoint.evaluation.scoring import LIMIT, NAN, one_sided
from saddlepoint.evaluation.scoring_pairs import read_images
from saddlepoint.evaluation.spectra import radial_power, sharpness
from saddlepoint.evaluation.store import Features
from saddlepoint.evaluation.trainee import EPOCHS, steps_for, train_classifier

MOST_PSNR = 100.0  # decibels, of images that are equal
Pairwise = Callable[[Tensor, Tensor], NDArray[np.float64]]


def paired(name: str, score: Callable[[Case], Pairwise]) -> Run:
    """A score of pairs as a metric of translations; that of the inputs left as they are stands in the details, where they have as many channels."""

    def run(case: Case, errors: bool = True) -> Result:
        assert case.extras.targets is not None
        made = read_images(case.fake.samples, LIMIT)
        wanted = torch.cat([case.extras.targets(start, min(start + 512, len(made))) for start in range(0, len(made), 512)])
        compare = score(case)
        found = compare(made, wanted)
        given = case.fake.samples.given
        details = {}
        if given is not None and (inputs := given(0, len(made))).shape[2:] == wanted.shape[2:]:
            details["input_unchanged"] = float(compare(inputs.expand_as(wanted) if inputs.shape[1] == 1 else inputs, wanted).mean())
        return Result(values={name: float(found.mean())}, errors={name: _error_of_mean(found)}, details=details)

    return run


def _error_of_mean(values: NDArray[np.float64]) -> float:
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else NAN


def _distance(case: Case) -> Pairwise:
    distance = case.extras.distance
    assert distance is not None
    return lambda x, y: paired_distance(x, y, distance.between)


def cycle_error(case: Case, errors: bool = True) -> Result:
    """Mean absolute difference of inputs from their translations translated back."""
    samples, back = case.fake.samples, case.extras.returned
    assert samples.given is not None and back is not None
    num = min(samples.num, LIMIT)
    found = target_error(torch.cat([back(start, min(start + 512, num)) for start in range(0, num, 512)]), samples.given(0, num))
    return Result(values={"cycle_error": float(found.mean())}, errors={"cycle_error": _error_of_mean(found)})


def same_meaning(case: Case, errors: bool = True) -> Result:
    """How often a translation's nearest real image of the other domain has its name, or its class."""
    known = case.extras.translation
    assert known is not None and known.meanings is not None
    domain = Features(known.domain, case.fake.extractor, case.fake.show)
    queries = case.fake.rows(limit=LIMIT)
    keys, theirs = known.meanings[0][: len(queries)], known.meanings[1]
    queries, keys = queries[keys >= 0], keys[keys >= 0]
    if len(queries) < 2:
        raise UsageError(f"retrieval needs two translations whose name or class the other domain has; {len(queries)} came. Ask for more with --num.")
    found = retrieval(queries, domain.rows(), keys.tolist(), theirs.tolist())
    values = {"retrieval": found.first, "retrieval_rank": found.rank}
    details = {"reciprocal_rank": found.reciprocal, "chance": found.chance, "candidates": known.domain.num}
    return Result(values=values, errors={"retrieval": error_of_share(found.first, len(queries)), "retrieval_rank": NAN}, details=details)


def kept_class(case: Case, errors: bool = True) -> Result:
    """How often a classifier trained on the other domain gives a translation the class of its input; the floor is its accuracy on real images."""
    known, extras = case.extras.translation, case.extras
    assert known is not None and known.classes is not None
    images, labels = read_images(known.domain, LIMIT), known.classes[1][:LIMIT].numpy()
    held = np.random.default_rng(extras.seed).permutation(len(images)) < len(images) // 5
    classify = train_classifier(images[~held], labels[~held], known.num_classes, seed=extras.seed, device=extras.device)
    made = read_images(case.fake.samples, LIMIT)
    right = classify(made) == known.classes[0][: len(made)].numpy()
    share, own = float(right.mean()), float((classify(images[held]) == labels[held]).mean())
    details = {"interval": [*wilson(int(right.sum()), len(right))], "steps": steps_for(int((~held).sum()))}
    return Result(values={"kept_class": share}, errors={"kept_class": error_of_share(share, len(right))}, floors={"kept_class": own}, details=details)


def how_sharp(case: Case, errors: bool = True) -> Result:
    """Mean gradient over that of real images, and the power at the upper half of the frequencies against theirs, in decibels."""
    real, fake = (read_images(side.samples, LIMIT) for side in (case.real, case.fake))
    theirs = float(sharpness(real).mean()), radial_power(real).mean(0)
    rows = np.concatenate([sharpness(fake)[:, None], radial_power(fake)], 1)

    def score(chosen: NDArray[Any]) -> dict[str, float]:
        means = chosen.mean(0)
        gap = 10 * np.log10(np.maximum(means[1:], 1e-12) / np.maximum(theirs[1], 1e-12))
        return {"sharpness": float(means[0] / theirs[0]), "fine_gap": float(gap[len(gap) // 2 :].mean())}

    values = score(rows)
    return Result(values=values, errors=one_sided(score, rows) if errors else dict.fromkeys(values, NAN))


_TARGETS: dict[str, Any] = {"needs": ("targets",), "settings": {"rows": LIMIT, "error": "of the mean over images"}}
_OF_PAIRS: tuple[tuple[str, str, str, Callable[[Case], Pairwise], str], ...] = (
    ("psnr", "psnr", "higher", lambda case: lambda x, y: np.minimum(psnr(x, y), MOST_PSNR), "peak signal-to-noise ratio, decibels"),
    ("ssim", "ssim", "higher", lambda case: ssim, "structural similarity, Gaussian window"),
    ("target-error", "target_error", "lower", lambda case: target_error, "mean absolute error, as a share of the range"),
    ("exact", "exact", "higher", lambda case: exact_share, "share of pixels within 8 of 255 of the target in every channel"),
)
ROWS: tuple[dict[str, Any], ...] = (
    *(
        {"name": name, "better": {key: better}, "run": paired(key, score), "about": f"of a translation and its target: {about}", **_TARGETS}
        for name, key, better, score, about in _OF_PAIRS
    ),
    {
        "name": "feature-distance",
        "better": {"feature_distance": "lower"},
        "run": paired("feature_distance", _distance),
        "about": "of a translation and its target: the distance of --distance",
        **_TARGETS,
        "needs": ("targets", "distance"),
    },
    {
        "name": "cycle-error",
        "better": {"cycle_error": "lower"},
        "run": cycle_error,
        "about": "mean absolute error of inputs translated there and back, as a share of the range",
        "settings": {"rows": LIMIT, "error": "of the mean over images"},
        "needs": ("returned",),
    },
    {
        "name": "retrieval",
        "better": {"retrieval": "higher", "retrieval_rank": "lower"},
        "run": same_meaning,
        "about": "share of translations whose nearest real image of the other domain has their name or class; median rank of the first that has",
        "settings": {"rows": LIMIT, "distance": "cosine of centred features", "error": "binomial"},
        "needs": ("meanings",),
    },
    {
        "name": "kept-class",
        "better": {"kept_class": "higher"},
        "run": kept_class,
        "about": "share of translations that a classifier trained on the other domain gives the input's class; floor: its accuracy on real images",
        "settings": {"classifier": f"five convolutions at 32x32, {EPOCHS} epochs on four fifths", "rows": LIMIT, "error": "binomial"},
        "needs": ("classes",),
    },
    {
        "name": "sharpness",
        "better": {"sharpness": "none", "fine_gap": "none"},
        "run": how_sharp,
        "about": "mean gradient over that of real images (1 as sharp), and decibels of their power at the upper half of the frequencies (0 as sharp)",
        "settings": {"rows": LIMIT, "error": "jackknife over generated samples"},
    },
)  #: the engine's metrics of translations, as :class:`saddlepoint.evaluation.measures.Measure` takes them
