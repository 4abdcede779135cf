"""Does an image show its caption? R-precision (Xu et al. 2018, arXiv:1711.10485, section 4), with a matcher that the reader can see through.

The matcher maps features of images to vectors of captions by ridge regression on real images that the judged generator was not trained on. An image
is right when its own caption is nearer to where the matcher puts it than those of 99 other records.

Axes: n images, d features of an image, e numbers of a caption, k candidates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from saddlepoint.draws import derive_seed
from saddlepoint.errors import UsageError
from saddlepoint.evaluation.arrays import Rows

CANDIDATES = 100


class RPrecision(NamedTuple):
    """How often the own caption is the nearest.

    Attributes:
        value: share of the images.
        error: standard error of it, binomial.
        chance: 1 / candidates.
    """

    value: float
    error: float
    chance: float


@dataclass(frozen=True)
class Matcher:
    """Where captions of images should lie: a linear map of features that were centred and scaled.

    Attributes:
        mean, scale: of the features, float64 [d].
        weights: float64 [d, e].
        offset: mean caption, float64 [e].
    """

    mean: Tensor
    scale: Tensor
    weights: Tensor
    offset: Tensor

    def __call__(self, features: Rows) -> Tensor:
        """Features [n, d] to directions of captions, less the mean caption: float64 [n, e], of length 1."""
        return F.normalize(self.values(features) - self.offset, dim=1)

    def values(self, features: Rows) -> Tensor:
        """What the regression foretells of features [n, d]: float64 [n, e]."""
        return (torch.as_tensor(features).double() - self.mean) / self.scale @ self.weights + self.offset


def fit_matcher(features: Rows, captions: Rows, ridge: float | None = None) -> Matcher:
    """The ridge regression of captions on features, the penalty chosen by leaving one out where none is given.

    Args:
        features: [n, d] of real images.
        captions: [n, e], their vectors.
        ridge: penalty on the squared weights, in units of n.
    """
    x, y = torch.as_tensor(features).double(), torch.as_tensor(captions).double()
    if len(x) != len(y) or len(x) < 3:
        raise UsageError(f"One caption for each of at least 3 images is needed; {len(x)} images and {len(y)} captions came.")
    mean, scale, offset = x.mean(0), x.std(0).clamp_min(1e-8), y.mean(0)
    x, y = (x - mean) / scale, y - offset
    u, s, v = torch.linalg.svd(x, full_matrices=False)
    penalties = [10.0**power for power in range(-4, 3)] if ridge is None else [ridge]
    best = min(penalties, key=lambda penalty: _left_out(u, s, y, penalty * len(x)))
    return Matcher(mean, scale, v.T @ ((s / (s**2 + best * len(x)))[:, None] * (u.T @ y)), offset)


def _left_out(u: Tensor, s: Tensor, y: Tensor, penalty: float) -> float:
    """Mean squared error of each row predicted from the others (PRESS)."""
    shrunk = s**2 / (s**2 + penalty)
    residual = y - u @ (shrunk[:, None] * (u.T @ y))
    leverage = (u**2 * shrunk).sum(1) + 1 / len(y)
    return float(((residual / (1 - leverage).clamp_min(1e-6)[:, None]) ** 2).mean())


def r_precision(matcher: Matcher, features: Rows, captions: Rows, *, candidates: int = CANDIDATES, seed: int = 0) -> RPrecision:
    """Share of images whose own caption is nearest, among those of ``candidates`` - 1 other rows.

    Args:
        matcher: of :func:`fit_matcher`.
        features: [n, d], of images that were made to show ``captions``.
        captions: [n, e]. Rows with the same caption as an image's own are not among its candidates.
        candidates: k, at most the number of different captions.
        seed: of the choice.
    Raises:
        UsageError: for fewer different captions than candidates.
    """
    rows, vectors = torch.as_tensor(features), torch.as_tensor(captions).double()
    if len(rows) != len(vectors):
        raise UsageError(f"One caption an image is needed; {len(rows)} images and {len(vectors)} captions came.")
    different, numbers = torch.unique(vectors, dim=0, return_inverse=True)
    if not 2 <= candidates <= len(different):
        raise UsageError(f"{candidates} candidates need as many different captions; {len(different)} came. Ask for fewer, or judge more images.")
    directions = F.normalize(different - matcher.offset, dim=1)
    scores = matcher(rows) @ directions.T  # n, different
    rng = torch.Generator().manual_seed(derive_seed("r-precision", seed))
    order = torch.rand(scores.shape, generator=rng)
    order[torch.arange(len(order)), numbers] = 2.0  # the own caption is added by itself
    others = order.topk(candidates - 1, dim=1, largest=False).indices
    own = scores[torch.arange(len(scores)), numbers]
    right = (own[:, None] > scores.gather(1, others)).all(1).double()
    value = float(right.mean())
    return RPrecision(value, (value * (1 - value) / len(right)) ** 0.5, 1 / candidates)
