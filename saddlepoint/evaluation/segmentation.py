"""What a segmenter sees: Frechet segmentation distance, the objects a generator leaves out, and FCN scores of translations.

Bau et al. 2019 (arXiv:1910.11626), Section 3; Isola et al. 2017 (arXiv:1611.07004), Section 4.1, after Long et al. 2015. The label maps come from a
segmenter of the caller's.

Axes: n m images, h w pixels, k classes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from saddlepoint.errors import UsageError
from saddlepoint.evaluation.arrays import Float64
from saddlepoint.evaluation.frechet import frechet_distance

Maps = NDArray[Any] | Tensor
Confusion = NDArray[np.int64]


class SegmentationDistance(NamedTuple):
    """Frechet distance of the area statistics, and each class's relative difference in mean area, (fake - real) / real, most left out first."""

    value: float
    differences: dict[int, float]


class FcnScore(NamedTuple):
    """Shares in [0, 1].

    Attributes:
        pixel_accuracy: of pixels labelled right.
        class_accuracy: mean over the classes of that within a class.
        class_iou: mean over the classes of intersection over union.
        confusion: pixels of each true class (row) given each label (column).
    """

    pixel_accuracy: float
    class_accuracy: float
    class_iou: float
    confusion: Confusion


def class_areas(maps: Maps, num_classes: int) -> Float64:
    """Share of each image's pixels in each class, [n, k].

    Args:
        maps: labels [n, h, w] in 0..k-1.
        num_classes: k.
    """
    labels = _as_maps(maps, num_classes, None)
    flat = labels.reshape(len(labels), -1) + num_classes * np.arange(len(labels))[:, None]
    counts = np.bincount(flat.ravel(), minlength=len(labels) * num_classes).reshape(len(labels), num_classes)
    return np.asarray(counts / labels[0].size)


def segmentation_distance(real: Maps, fake: Maps, num_classes: int) -> SegmentationDistance:
    """FSD: Frechet distance between the vectors of class areas of real and generated images; 10,000 images a side in the paper.

    Args:
        real: labels [n, h, w], n >= 2.
        fake: labels [m, h, w], m >= 2.
        num_classes: k.

    >>> real, fake = np.array([[[0, 0, 0, 1]]] * 2), np.zeros((2, 1, 4), int)                     # class 1 is never drawn
    >>> segmentation_distance(real, fake, 2)
    SegmentationDistance(value=0.125, differences={1: -1.0, 0: 0.3333333333333333})
    """
    reals, fakes = class_areas(real, num_classes), class_areas(fake, num_classes)
    means = reals.mean(0), fakes.mean(0)
    change = {
        k: float((means[1][k] - means[0][k]) / means[0][k]) if means[0][k] else float("inf") for k in range(num_classes) if means[0][k] or means[1][k]
    }
    return SegmentationDistance(frechet_distance(reals, fakes), dict(sorted(change.items(), key=lambda item: item[1])))


def fcn_score(predicted: Maps, target: Maps, num_classes: int, *, ignore: int | None = None) -> FcnScore:
    """How well a segmenter finds the labels an image was made from again.

    Classes that occur in neither map count for nothing; a class that is only predicted has an intersection over union of 0.

    Args:
        predicted: the segmenter's labels of the generated images, [n, h, w], resized to the target's size.
        target: the labels they were made from, [n, h, w].
        num_classes: k.
        ignore: a target label that is not judged, such as 255.

    >>> fcn_score(np.array([[[0, 0, 1, 1]]]), np.array([[[0, 1, 1, 1]]]), 2)[:3]         # 3/4; (1 + 2/3)/2; (1/2 + 2/3)/2
    (0.75, 0.8333333333333333, 0.5833333333333333)
    """
    guess, truth = _as_maps(predicted, num_classes, None), _as_maps(target, num_classes, ignore)
    if guess.shape != truth.shape:
        raise UsageError(
            f"FCN scores need maps of one shape; {list(guess.shape)} and {list(truth.shape)} came. Resize the predictions to the labels."
        )
    judged = np.ones(truth.shape, bool) if ignore is None else truth != ignore
    if not judged.any():
        raise UsageError("FCN scores need at least one pixel that is judged; all are to be ignored.")
    confusion = np.bincount(truth[judged] * num_classes + guess[judged], minlength=num_classes**2).reshape(num_classes, num_classes)
    return scores_of_confusion(confusion)


def scores_of_confusion(confusion: Confusion) -> FcnScore:
    """FCN scores from counts of pixels [k, k], true class by row, of at least one pixel.

    >>> scores_of_confusion(np.array([[1, 1], [0, 2]]))[:3]
    (0.75, 0.75, 0.5833333333333333)
    """
    right, of_truth, of_guess = confusion.diagonal(), confusion.sum(1), confusion.sum(0)
    true, either = of_truth > 0, of_truth + of_guess > 0
    accuracy = float((right[true] / of_truth[true]).mean())
    iou = float((right[either] / (of_truth + of_guess - right)[either]).mean())
    return FcnScore(float(right.sum() / confusion.sum()), accuracy, iou, confusion)


def _as_maps(maps: Maps, num_classes: int, ignore: int | None) -> NDArray[np.int64]:
    array = maps.detach().cpu().numpy() if isinstance(maps, Tensor) else np.asarray(maps)
    if array.ndim != 3 or not array.size or array.dtype.kind not in "iu":
        raise UsageError(f"Label maps are integers [n, h, w]; {array.dtype} of shape {list(array.shape)} came.")
    labels = array.astype(np.int64)
    judged = labels if ignore is None else labels[labels != ignore]
    if judged.size and (judged.min() < 0 or judged.max() >= num_classes):
        raise UsageError(f"Labels lie in 0..{num_classes - 1}; {judged.min()} to {judged.max()} came.")
    return labels
