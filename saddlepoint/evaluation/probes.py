"""What has a network learned? Simple classifiers on its features: DCGAN's L2-SVM, logistic regression, the nearest neighbour.

Radford et al. 2016 (arXiv:1511.06434), Section 5; Donahue et al. 2017 (arXiv:1605.09782) for the other two.

Axes: n training, q test samples, c channels, h w map, d features.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC
from torch import Tensor

from saddlepoint.errors import UsageError
from saddlepoint.evaluation.arrays import Float64, Rows, as_pair
from saddlepoint.evaluation.classwise import as_labels
from saddlepoint.evaluation.neighbours import nearest

PENALTIES = (1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2)

Labels = NDArray[Any] | Tensor


class FewLabels(NamedTuple):
    """Test error with few labels: mean over random draws of them, 1.96 deviations of a draw, and the penalty C that validation chose."""

    error: float
    spread: float
    penalty: float


class Probe(NamedTuple):
    """Test accuracy, and the inverse regularisation C that validation chose."""

    accuracy: float
    penalty: float


def pooled_features(maps: Sequence[Tensor], grid: int = 4) -> Tensor:
    """A discriminator's activations as one vector: each map max-pooled to ``grid`` x ``grid``, flattened and joined, [n, d].

    On 32 pixels maps of 16, 8 and 4 are pooled by 4, 2 and 1. Batch-norm statistics should be those of the training set.

    Args:
        maps: [n, c, h, w] each, sides multiples of ``grid``.
        grid: 4 in the paper.
    """
    if not maps or any(m.ndim != 4 or m.shape[2] % grid or m.shape[3] % grid for m in maps):
        raise UsageError(f"Features need maps [n, c, h, w] with sides that {grid} divides; {[list(m.shape) for m in maps]} came.")
    return torch.cat([F.max_pool2d(m, (m.shape[2] // grid, m.shape[3] // grid)).flatten(1) for m in maps], dim=1)


def few_label_svm(
    features: Rows,
    labels: Labels,
    validation: Rows,
    validation_labels: Labels,
    test: Rows,
    test_labels: Labels,
    *,
    per_class: int = 100,
    penalties: Sequence[float] = PENALTIES,
    validation_draws: int = 10,
    draws: int = 100,
    seed: int = 0,
) -> FewLabels:
    """DCGAN's protocol on SVHN: L2-SVM (squared hinge) on ``per_class`` labels of each class, drawn at random.

    C is the one with the least mean error on the validation set over ``validation_draws``; the test error is that of ``draws`` other draws.

    Args:
        features: [n, d] to draw from.
        labels: [n].
        validation: [., d].
        validation_labels: of them.
        test: [q, d].
        test_labels: [q].
        per_class: 100 in the paper: 1,000 labels of ten classes.
        penalties: candidates of C.
        validation_draws: 10 in the authors' program.
        draws: 100 in the authors' program.
        seed: of all draws.
    """
    rows, checks = as_pair(features, validation)
    tests = as_pair(features, test)[1]
    own, check_labels = as_labels(labels, len(rows), "training"), as_labels(validation_labels, len(checks), "validation")
    truth, rng = as_labels(test_labels, len(tests), "test"), np.random.default_rng(seed)
    if np.unique(own, return_counts=True)[1].min() < per_class or per_class < 1 or min(draws, validation_draws) < 1:
        raise UsageError(
            f"Every class needs {per_class} labels to draw; the rarest has {np.unique(own, return_counts=True)[1].min()}. Lower per_class."
        )
    chosen = [_draw(own, per_class, rng) for _ in range(validation_draws)]
    errors = [np.mean([_svm_error(rows[i], own[i], checks, check_labels, c) for i in chosen]) for c in penalties]
    best = float(penalties[int(np.argmin(errors))])
    chosen = [_draw(own, per_class, rng) for _ in range(draws)]
    found = [_svm_error(rows[i], own[i], tests, truth, best) for i in chosen]
    return FewLabels(float(np.mean(found)), float(1.96 * np.std(found)), best)


def linear_probe(
    features: Rows, labels: Labels, test: Rows, test_labels: Labels, *, penalties: Sequence[float] = tuple(np.logspace(-3, 3, 7)), seed: int = 0
) -> Probe:
    """Multinomial logistic regression with an L2 penalty on standardised features; C by a held-out fifth of the training set, then fitted on all.

    Args:
        features: [n, d].
        labels: [n].
        test: [q, d].
        test_labels: [q].
        penalties: candidates of C.
        seed: of the split.
    """
    rows, tests = as_pair(features, test, least=2)
    own, truth = as_labels(labels, len(rows), "training"), as_labels(test_labels, len(tests), "test")
    mean, deviation = rows.mean(0), rows.std(0)
    rows, tests = ((x - mean) / np.where(deviation > 0, deviation, 1) for x in (rows, tests))
    order = np.random.default_rng(seed).permutation(len(rows))
    held, kept = order[: max(len(rows) // 5, 1)], order[max(len(rows) // 5, 1) :]
    if len(np.unique(own[kept])) < 2:
        raise UsageError(f"A probe needs two classes in its training set; {len(np.unique(own))} came over {len(own)} samples.")
    scores = [_fit_logistic(rows[kept], own[kept], c).score(rows[held], own[held]) for c in penalties]
    best = float(penalties[int(np.argmax(scores))])
    return Probe(float(_fit_logistic(rows, own, best).score(tests, truth)), best)


def nearest_neighbour_accuracy(features: Rows, labels: Labels, test: Rows, test_labels: Labels) -> float:
    """Share of test samples whose nearest training sample has their label.

    >>> nearest_neighbour_accuracy(np.array([[0.0], [9.0]]), np.array([3, 5]), np.array([[1.0], [8.0], [7.0], [2.0]]), np.array([3, 5, 3, 3]))
    0.75
    """
    rows, tests = as_pair(features, test)
    found = as_labels(labels, len(rows), "training")[nearest(rows, tests)[0]]
    return float((found == as_labels(test_labels, len(tests), "test")).mean())


def _draw(labels: NDArray[np.int64], per_class: int, rng: np.random.Generator) -> NDArray[np.int64]:
    return np.concatenate([rng.choice(np.flatnonzero(labels == label), per_class, replace=False) for label in np.unique(labels)])


def _svm_error(rows: Float64, labels: NDArray[np.int64], tests: Float64, truth: NDArray[np.int64], penalty: float) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a fit that stops early is judged by its error like any other
        return 1 - float(LinearSVC(C=penalty, dual=len(rows) < rows.shape[1], random_state=0).fit(rows, labels).score(tests, truth))


def _fit_logistic(rows: Float64, labels: NDArray[np.int64], penalty: float) -> LogisticRegression:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(C=penalty, max_iter=1000).fit(rows, labels)
