"""Stacked digits (``stacked-digits``, ``stacked-mnist``): three random digits as the colours of one image, a thousand known modes.

Metz et al. 2017 (arXiv:1611.02163), Section 3.3.1, after Che et al. 2017; VEEGAN and PacGAN count on 26,000 samples, the first on 25,600.

Axes: n images, h w pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from saddlepoint.errors import UsageError
from saddlepoint.evaluation.classwise import as_labels


class ClassCoverage(NamedTuple):
    """How many of the known classes were seen, and the KL divergence in nats of their frequencies from the uniform one (or the given one)."""

    modes: int
    kl: float
    counts: tuple[int, ...]


def stacked_coverage(images: NDArray[Any], classify: Callable[[NDArray[Any]], NDArray[Any] | Tensor]) -> ClassCoverage:
    """Modes of generated stacks, each channel read by a digit classifier (99 % right or better, or its errors count as modes).

    Args:
        images: [n, 3, h, w].
        classify: [n, 1, h, w] -> labels [n] or scores [n, 10].
    """
    if images.ndim != 4 or images.shape[1] != 3 or not len(images):
        raise UsageError(f"Stacked digits are images [n, 3, h, w]; {list(images.shape)} came.")
    modes = np.zeros(len(images), np.int64)
    for channel in range(3):
        answers = classify(images[:, channel : channel + 1])
        array = answers.detach().cpu().numpy() if isinstance(answers, Tensor) else np.asarray(answers)
        modes = 10 * modes + as_labels(array.argmax(1) if array.ndim == 2 else array, len(images), "digit")
    return class_coverage(modes, 1000)


def class_coverage(labels: NDArray[Any] | Tensor, num_classes: int, reference: NDArray[Any] | None = None) -> ClassCoverage:
    """Classes seen among generated samples, and KL(samples || reference) of their frequencies; log(num_classes) when one class holds all.

    Even 26,000 perfect samples of 1,000 uniform classes have an expected KL of about 999 / 52,000 = 0.019.

    Args:
        labels: [n], 0..num_classes-1.
        num_classes: how many there are.
        reference: their true frequencies, [num_classes]; None: uniform.

    >>> report = class_coverage(np.array([0, 0, 1, 2]), 4)
    >>> report.modes, round(report.kl, 4), report.counts                                    # log 4 - 1.5 log 2
    (3, 0.3466, (2, 1, 1, 0))
    """
    modes = as_labels(labels, None, "generated")
    if modes.min() < 0 or modes.max() >= num_classes:
        raise UsageError(f"Labels lie in 0..{num_classes - 1}; {modes.min()} to {modes.max()} came.")
    counts = np.bincount(modes, minlength=num_classes)
    true = np.full(num_classes, 1 / num_classes) if reference is None else np.asarray(reference, dtype=np.float64) / np.sum(reference)
    if true.shape != (num_classes,) or bool((true < 0).any()):
        raise UsageError(f"The reference needs {num_classes} frequencies, none negative; shape {list(true.shape)} came.")
    seen = counts > 0
    shares = counts[seen] / counts.sum()
    with np.errstate(divide="ignore"):
        kl = float((shares * np.log(shares / true[seen])).sum())
    return ClassCoverage(int(seen.sum()), max(kl, 0.0), tuple(counts.tolist()))
