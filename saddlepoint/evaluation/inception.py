r"""Inception score and AM score: how sure a classifier is of each sample, and how evenly it sees the classes.

.. math:: IS = \exp \mathbb{E}_x \, KL(p(y|x) \,\Vert\, p(y)), \qquad
   AM = KL(\bar p_{train} \,\Vert\, \bar p_{gen}) + \mathbb{E}_x H(p(y|x))

Salimans et al. 2016 (arXiv:1606.03498), Section 4; Zhou et al. 2018 (arXiv:1703.02000), Section 5.2.

Axes: n samples, k classes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from torch import Tensor

from saddlepoint.errors import UsageError
from saddlepoint.evaluation.arrays import Float64, Rows, as_rows


class InceptionScore(NamedTuple):
    """Mean and standard deviation over the splits, between 1 and the number of classes."""

    value: float
    std: float


def inception_score(probabilities: Rows, splits: int = 10) -> InceptionScore:
    """Inception score of samples from the class probabilities that a classifier gives them, in the order they come.

    The marginal p(y) is each split's own. Says nothing of the real data: memorised images, or one perfect image a class, score well, and images
    optimised against the classifier reach the number of classes (Barratt and Sharma 2018, arXiv:1801.01973). Its bias is downward in samples a split.

    Args:
        probabilities: [n, k], rows sum to 1, n >= splits.
        splits: 10 in the paper.

    >>> import numpy as np
    >>> inception_score(np.tile(np.eye(4), (5, 1)), splits=5)                      # sure and even: the number of classes
    InceptionScore(value=4.0, std=0.0)
    >>> inception_score(np.full((6, 4), 1 / 4), splits=1).value
    1.0
    """
    rows = as_probabilities(probabilities)
    n = len(rows)
    if not 1 <= splits <= n:
        raise UsageError(f"The inception score needs at least one sample a split; {n} samples in {splits} splits came. Draw more or split less.")
    scores = [np.exp(_divergence(rows[i * n // splits : (i + 1) * n // splits])) for i in range(splits)]
    return InceptionScore(float(np.mean(scores)), float(np.std(scores)))


def am_score(real: Rows, fake: Rows) -> float:
    """AM score, lower is better: the labels' divergence from the training set's, and the mean entropy of each sample's own, in nats.

    Args:
        real: probabilities of the real samples [n, k].
        fake: probabilities of the generated ones [m, k].
    Returns:
        >= 0; infinite where a class of the data has no probability at all among the generated.

    >>> import numpy as np
    >>> am_score(np.eye(2), np.eye(2)), round(am_score(np.eye(2), np.array([[0.5, 0.5]])), 4)        # log 2 of doubt
    (0.0, 0.6931)
    """
    reals, fakes = as_probabilities(real), as_probabilities(fake)
    if reals.shape[1] != fakes.shape[1]:
        raise UsageError(f"The AM score needs one classifier for both; {reals.shape[1]} real and {fakes.shape[1]} generated classes came.")
    p, q = reals.mean(0), fakes.mean(0)
    if bool((q[p > 0] == 0).any()):
        return float("inf")
    held = p > 0
    divergence = float((p[held] * np.log(p[held] / q[held])).sum())
    return max(divergence, 0.0) - float(_p_log_p(fakes).sum(1).mean())


def as_probabilities(values: Rows | Tensor) -> Float64:
    """Rows [n, k] of probabilities, checked: not negative, summing to 1 within 1e-3 (float16 softmax), then divided by their sum."""
    rows = as_rows(values, "classified")
    if rows.min(initial=0) < 0 or bool((np.abs(rows.sum(1) - 1) > 1e-3).any()):
        raise UsageError(
            "This metric needs class probabilities; rows with negative numbers or sums other than 1 came. Take the softmax of the logits."
        )
    return np.asarray(rows / rows.sum(1, keepdims=True))


def _divergence(rows: Float64) -> float:
    """Mean KL of p(y|x) from p(y) in nats: the entropy of the mean less the mean entropy."""
    return max(float(_p_log_p(rows).sum(1).mean() - _p_log_p(rows.mean(0)).sum()), 0.0)


def _p_log_p(p: Float64) -> Float64:
    return np.asarray(p * np.log(np.where(p > 0, p, 1.0)))
