"""Scores by class: the Frechet distance within each, and the accuracy of a classifier trained on generated samples.

Axes: n real, m generated, d features, k classes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from saddlepoint.errors import UsageError
from saddlepoint.evaluation.arrays import Rows, as_pair
from saddlepoint.evaluation.frechet import frechet_distance

Values = NDArray[Any] | Tensor
Train = Callable[[Any, Any], Callable[[Any], Any]]


class ClassFrechet(NamedTuple):
    """Mean over the classes, and each class's own distance."""

    value: float
    classes: dict[int, float]


class ClassificationAccuracy(NamedTuple):
    """Share of right answers with its Wilson interval (95 %), and the share of each class: the lowest are those a generator has lost."""

    value: float
    low: float
    high: float
    classes: dict[int, float]


def class_frechet(real: Rows, real_labels: Values, fake: Rows, fake_labels: Values) -> ClassFrechet:
    """Intra-class Frechet distance (Miyato and Koyama 2018, arXiv:1802.05637, Section 5.1): within each class of the data, then the mean.

    Biased upward more than the whole set's distance, for a class has fewer samples: compare only values with equal counts a class.

    Args:
        real: [n, d].
        real_labels: [n].
        fake: [m, d].
        fake_labels: [m], the class each was asked to be; two or more of each class of the data.

    >>> class_frechet(np.array([[0.0], [2.0], [5.0], [5.0]]), np.array([0, 0, 1, 1]), np.array([[3.0], [5.0], [5.0], [5.0]]), np.array([0, 0, 1, 1]))
    ClassFrechet(value=4.5, classes={0: 9.0, 1: 0.0})
    """
    real_rows, fake_rows = as_pair(real, fake)
    reals, fakes = as_labels(real_labels, len(real_rows), "real"), as_labels(fake_labels, len(fake_rows), "generated")
    distances = {}
    for label in np.unique(reals).tolist():
        sides = real_rows[reals == label], fake_rows[fakes == label]
        if min(map(len, sides)) < 2:
            raise UsageError(
                f"Class {label} has {len(sides[0])} real and {len(sides[1])} generated samples; the distance needs 2 of each. Draw more."
            )
        distances[label] = frechet_distance(*sides)
    return ClassFrechet(float(np.mean(list(distances.values()))), distances)


def classification_accuracy(train: Train, samples: Any, labels: Values, test_samples: Any, test_labels: Values) -> ClassificationAccuracy:
    """Classification accuracy score (Ravuri and Vinyals 2019, arXiv:1905.10887): train a classifier on generated samples, test it on real ones.

    With real training samples and generated test samples it is GAN-test of Shmelkov et al. 2018 (arXiv:1807.09499), and this GAN-train.

    Args:
        train: (samples, labels) -> classifier; classifier(samples) -> labels [q] or class scores [q, k].
        samples: to train on.
        labels: of them, [m].
        test_samples: to test on.
        test_labels: of them, [n].

    >>> same = lambda x, y: lambda test: test[:, 0]                                # a "classifier" that reads the label off the sample
    >>> classification_accuracy(same, None, np.array([0, 1]), np.array([[0], [1], [1], [1]]), np.array([0, 0, 1, 1])).classes
    {0: 0.5, 1: 1.0}
    """
    given = as_labels(labels, None, "training")
    truth = as_labels(test_labels, None, "test")
    answers = train(samples, given)(test_samples)
    array = answers.detach().cpu().numpy() if isinstance(answers, Tensor) else np.asarray(answers)
    predicted = as_labels(array.argmax(1) if array.ndim == 2 else array, len(truth), "predicted")
    right = predicted == truth
    low, high = wilson(int(right.sum()), len(right))
    return ClassificationAccuracy(float(right.mean()), low, high, {label: float(right[truth == label].mean()) for label in np.unique(truth).tolist()})


def wilson(right: int, total: int, z: float = 1.959963984540054) -> tuple[float, float]:
    """Wilson's interval of a share (Wilson 1927), 95 % by default.

    >>> [round(end, 3) for end in wilson(9, 10)]
    [0.596, 0.982]
    """
    share, square = right / total, z * z
    middle = (share + square / (2 * total)) / (1 + square / total)
    half = z * np.sqrt(share * (1 - share) / total + square / (4 * total**2)) / (1 + square / total)
    return float(max(middle - half, 0.0)), float(min(middle + half, 1.0))


def error_of_share(share: float, total: int) -> float:
    """Standard error of a share: half of Wilson's interval at one deviation, so that it is not 0 where all are right.

    >>> round(error_of_share(1.0, 99), 4), round(error_of_share(0.5, 9999), 4)
    (0.005, 0.005)
    """
    low, high = wilson(round(share * total), total, 1.0)
    return (high - low) / 2


def as_labels(labels: Values, n: int | None, name: str) -> NDArray[np.int64]:
    """Integer labels [n], checked."""
    array = labels.detach().cpu().numpy() if isinstance(labels, Tensor) else np.asarray(labels)
    if array.ndim != 1 or not len(array) or (n is not None and len(array) != n) or bool((array != array.astype(np.int64)).any()):
        wanted = "one integer label a sample" if n is None else f"{n} integer labels"
        raise UsageError(f"The {name} samples need {wanted}; {array.dtype} of shape {list(array.shape)} came.")
    return np.asarray(array, dtype=np.int64)
