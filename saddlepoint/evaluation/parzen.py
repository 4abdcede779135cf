r"""Log-likelihood under a Parzen window, as early papers reported it. Do not choose a model by it.

.. math:: \log p(x) = \log \frac{1}{n} \sum_i \mathcal{N}(x; s_i, \sigma^2 I)

Goodfellow et al. 2014 (arXiv:1406.2661), Section 5: 10,000 samples, sigma from validation. Theis et al. 2016 (arXiv:1511.01844), Section 3.2: with
any number of samples the estimate is far from the true likelihood in high dimension, and k-means centroids of the training set score above the true
distribution. It is here to repeat published numbers.

Axes: n samples, q test points, d dimension, t candidates of sigma.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp

from saddlepoint.errors import UsageError
from saddlepoint.evaluation.arrays import Float64, Rows, as_pair

WARNING = "Parzen windows rank models wrongly in high dimension (Theis et al. 2016): do not compare models by this number."
SIGMAS = np.logspace(-1, 0, 10)
_BLOCK = 2_000_000  # distances held at a time


class ParzenEstimate(NamedTuple):
    """Mean log-likelihood in nats, its standard error over the test points, the chosen sigma, and what to know of it."""

    value: float
    error: float
    sigma: float
    warning: str


def parzen_window(samples: Rows, validation: Rows, test: Rows, sigmas: Sequence[float] | None = None) -> ParzenEstimate:
    """Mean log-likelihood of the test points, with sigma the best on the validation points.

    Args:
        samples: generated, [n, d]; 10,000 in the paper, in [0, 1].
        validation: real, [., d]; 1,000 in the authors' program.
        test: real, [q, d].
        sigmas: candidates; None: ten from 0.1 to 1, evenly in the logarithm.
    """
    candidates = SIGMAS if sigmas is None else np.asarray(sigmas, dtype=np.float64)
    best = float(candidates[np.argmax(parzen_log_likelihoods(samples, validation, candidates).mean(1))])
    values = parzen_log_likelihood(samples, test, best)
    return ParzenEstimate(float(values.mean()), float(values.std() / np.sqrt(len(values))), best, WARNING)


def parzen_log_likelihood(samples: Rows, test: Rows, sigma: float) -> Float64:
    """Log-likelihood of each test point in nats, [q].

    Args:
        samples: [n, d].
        test: [q, d].
        sigma: width, > 0.

    >>> parzen_log_likelihood(np.zeros((3, 1)), np.zeros((1, 1)), 1.0).round(4).tolist()              # -log sqrt(2 pi)
    [-0.9189]
    """
    return np.asarray(parzen_log_likelihoods(samples, test, [sigma])[0])


def parzen_log_likelihoods(samples: Rows, points: Rows, sigmas: Sequence[float] | Float64) -> Float64:
    """The same for several widths, [t, q] in nats; distances are made once for all of them, a block of points at a time.

    Raises:
        UsageError: for no width, or one that is not above 0.
    """
    sigmas = np.asarray(sigmas, dtype=np.float64)
    if not sigmas.size or not bool((sigmas > 0).all()):
        raise UsageError(f"Parzen windows need widths above 0; {sigmas.tolist()} came.")
    centres, rows = as_pair(samples, points)
    middle = centres.mean(0)
    centres, rows = centres - middle, rows - middle
    norms, d, result = np.square(centres).sum(1), centres.shape[1], []
    step = max(1, _BLOCK // len(centres))
    for start in range(0, len(rows), step):
        part = rows[start : start + step]
        squared = np.maximum(np.square(part).sum(1)[:, None] + norms - 2 * part @ centres.T, 0.0)
        constants = np.log(len(centres)) + d / 2 * np.log(2 * np.pi * sigmas**2)
        result.append([logsumexp(-squared / (2 * sigma**2), axis=1) - constant for sigma, constant in zip(sigmas, constants, strict=True)])
    return np.concatenate(result, axis=1)
