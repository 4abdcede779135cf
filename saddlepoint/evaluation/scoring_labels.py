"""How the engine scores images that were made from label maps: does a segmenter find the labels again?

Axes: n images, c channels, h w pixels, k classes, g groups.
"""

from __future__ import annotations

from itertools import groupby

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from saddlepoint.errors import UsageError
from saddlepoint.evaluation.case import Case, Result, Scores
from saddlepoint.evaluation.labelmaps import VOID, LabelMaps, Map
from saddlepoint.evaluation.scoring import GROUPS, NAN, jackknife
from saddlepoint.evaluation.segmentation import Confusion, scores_of_confusion
from saddlepoint.evaluation.segmenters import Segmenter
from saddlepoint.evaluation.sets import CHUNK_ROWS, SampleSet

BATCH = 16  # images segmented at a time
SCORES = ("fcn_pixel", "fcn_class", "fcn_iou")


def fcn(case: Case, errors: bool = True) -> Result:
    """FCN scores of the generated images against the label maps they were made from; the floor is that of the real images against theirs.

    An image is brought to the size of its label map before it is segmented, as the authors' evaluation does (bilinear, rounded to 8 bits).
    """
    segmenter, maps = case.extras.segmenter, case.extras.labels
    assert segmenter is not None and maps is not None
    alone = maps.missing(case.fake.samples)
    if alone is not None:
        raise UsageError(f"fcn-score needs a label map of every generated image; {maps.name} has none for {alone}. Names must be equal.")
    groups = confusions(case.fake.samples, segmenter, maps, 2 * GROUPS)
    whole = groups.sum(0)
    found = scores_of_confusion(whole)
    values = dict(zip(SCORES, found[:3], strict=True))
    known = dict.fromkeys(SCORES, NAN)
    if errors and len(case.fake) >= 4 * GROUPS:
        left_out = [scores_of_confusion(whole - group)[:3] for group in groups]
        known = {name: jackknife([each[place] for each in left_out]) for place, name in enumerate(SCORES)}
    floors: Scores | None = None
    notes: tuple[str, ...] = (_worst(whole, segmenter),)
    if maps.missing(case.real.samples) is None:
        floors = dict(zip(SCORES, scores_of_confusion(confusions(case.real.samples, segmenter, maps, 1)[0])[:3], strict=True))
    else:
        notes += ("fcn-score: no floor, for the real images have no label maps of their names.",)
    return Result(values=values, errors=known, floors=floors or {}, notes=notes, details=_by_class(whole, segmenter))


def confusions(samples: SampleSet, segmenter: Segmenter, maps: LabelMaps, groups: int) -> Confusion:
    """Pixels of each true class (row) given each label (column), summed over the images i of each group i mod g, [g, k, k]; streamed."""
    k = len(segmenter.classes)
    total = np.zeros((groups, k, k), np.int64)
    for start in range(0, samples.num, CHUNK_ROWS):
        stop = min(start + CHUNK_ROWS, samples.num)
        images, wanted = samples.read(start, stop), maps.of(samples, start, stop)
        for size, members in groupby(range(stop - start), key=lambda index: wanted[index].shape):
            which = [*members]
            for i in range(0, len(which), BATCH):
                part = which[i : i + BATCH]
                for index, labels in zip(part, _segmented(images[part], segmenter, size), strict=True):
                    total[(start + index) % groups] += _confusion(wanted[index], labels, k)
    if not total.sum():
        raise UsageError(f"FCN scores need at least one pixel that is judged; all those of {maps.name} are to be ignored.")
    return total


@torch.no_grad()
def _segmented(images: Tensor, segmenter: Segmenter, size: tuple[int, ...]) -> list[Map]:
    """Labels [h, w] of images uint8 [n, c, ., .] brought to a size."""
    if images.shape[2:] != size:
        images = F.interpolate(images.float(), size, mode="bilinear", antialias=True).round().clamp(0, 255).to(torch.uint8)
    labels = segmenter.segment(images)
    if labels.shape[1:] != size:  # of a network that answers at a size of its own
        labels = F.interpolate(labels[:, None].double(), size, mode="nearest-exact")[:, 0].long()
    return [*labels.cpu().numpy()]


def _confusion(truth: Map, guess: Map, k: int) -> Confusion:
    judged = truth != VOID
    return np.bincount(truth[judged] * k + guess[judged], minlength=k * k).reshape(k, k)


def _by_class(confusion: Confusion, segmenter: Segmenter) -> dict[str, dict[str, float | None]]:
    """Accuracy and intersection over union of each class that occurs; no accuracy for one that is only guessed."""
    right, truth, guess = confusion.diagonal(), confusion.sum(1), confusion.sum(0)
    return {
        name: {"accuracy": float(right[i] / truth[i]) if truth[i] else None, "iou": float(right[i] / (truth[i] + guess[i] - right[i]))}
        for i, name in enumerate(segmenter.classes)
        if truth[i] or guess[i]
    }


def _worst(confusion: Confusion, segmenter: Segmenter) -> str:
    found = sorted(_by_class(confusion, segmenter).items(), key=lambda item: item[1]["iou"] or 0.0)
    named = ", ".join(f"{name} {each['iou']:.2f}" for name, each in found[:3])
    return f"fcn-score: intersection over union, worst first: {named}."
