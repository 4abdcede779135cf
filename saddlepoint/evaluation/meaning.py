"""Does a translation mean the same? Each is looked up among the images of the other domain, whose answer is known.

Axes: n queries, m candidates, d features.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from saddlepoint.errors import UsageError
from saddlepoint.evaluation.arrays import Rows, as_pair
from saddlepoint.evaluation.classwise import as_labels

_BLOCK = 1024


class Retrieval(NamedTuple):
    """How well queries find what they mean.

    Attributes:
        first: share of the queries whose nearest candidate has their key.
        reciprocal: mean of 1 / rank of the first candidate with the key.
        rank: median of that rank, 1 is the best.
        chance: what ``first`` would be with candidates in random order.
    """

    first: float
    reciprocal: float
    rank: float
    chance: float


def retrieval(queries: Rows, candidates: Rows, keys: Sequence[Any], candidate_keys: Sequence[Any] | None = None) -> Retrieval:
    """Look up translations among the images of the other domain by the cosine of their features, each centred on its own set's mean.

    The same emoji drawn by two vendors have one name: a translation of a vendor's emoji should find the other's of that name. Centring takes away
    what all translations share, so that style does not hide meaning.

    Args:
        queries: [n, d], features of translations.
        candidates: [m, d], features of the other domain.
        keys: n names or numbers, what each query means; each must be among the candidates' keys.
        candidate_keys: m; None: as ``keys``.
    Returns:
        See :class:`Retrieval`; candidates as near as one with the key count half.
    Raises:
        UsageError: for numbers of keys that do not fit, or a key that no candidate has.

    >>> rows = np.array([[0.0, 1.0], [1.0, 0.0], [-1.0, -1.0]])
    >>> retrieval(rows, rows, ["sun", "moon", "star"]).first
    1.0
    """
    asked, given = as_pair(queries, candidates)
    theirs = keys if candidate_keys is None else candidate_keys
    if len(keys) != len(asked) or len(theirs) != len(given):
        raise UsageError(f"One key a row is needed; {len(asked)} and {len(given)} rows and {len(keys)} and {len(theirs)} keys came.")
    number = {key: i for i, key in enumerate(dict.fromkeys(theirs))}
    missing = [key for key in keys if key not in number]
    if missing:
        raise UsageError(f"{len(missing)} keys are of no candidate, the first is {missing[0]!r}. Look them up among images that have all of them.")
    own, other = (torch.tensor([number[key] for key in each]) for each in (keys, theirs))
    a, b = (F.normalize(torch.from_numpy(rows - rows.mean(0)), dim=1) for rows in (asked, given))
    ranks = torch.cat([_ranks(part @ b.T, own[start : start + _BLOCK, None] == other) for start, part in _blocks(a)])
    share = torch.bincount(other)[own].double() / len(other)
    return Retrieval(float((ranks <= 1).double().mean()), float((1 / ranks).mean()), float(ranks.median()), float(share.mean()))


def _blocks(rows: Tensor) -> list[tuple[int, Tensor]]:
    return [(i * _BLOCK, part) for i, part in enumerate(torch.split(rows, _BLOCK))]


def _ranks(cosines: Tensor, right: Tensor) -> Tensor:
    """Rank of the best right candidate of each row [n]; others as near as it count half."""
    best = cosines.masked_fill(~right, -2.0).amax(1, keepdim=True)
    before = ((cosines > best) & ~right).sum(1)
    level = ((cosines == best) & ~right).sum(1)
    return 1 + before.double() + level.double() / 2


def attribute_accuracy(predicted: NDArray[Any] | Tensor, wanted: NDArray[Any] | Tensor, names: Sequence[str] = ()) -> dict[str, float]:
    """Share of translations that a trained classifier gives the attributes asked for.

    Args:
        predicted: labels [n], or attributes [n, k] as logits, probabilities above 1/2 less 1/2, or 0 and 1 less 1/2: present where above 0.
        wanted: labels [n], or attributes [n, k], present where above 1/2.
        names: of the attributes.
    Returns:
        "all": share of samples with everything right; and, for attributes, each one's share by name.

    >>> attribute_accuracy(np.array([[2.0, -1.0], [1.0, 1.0]]), np.array([[1, 0], [0, 1]]), ["glasses", "beard"])
    {'all': 0.5, 'glasses': 0.5, 'beard': 1.0}
    """
    found, asked = (values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values) for values in (predicted, wanted))
    if found.shape != asked.shape or found.ndim not in (1, 2) or not found.size:
        raise UsageError(f"Predictions and wishes need one shape, [n] or [n, k]; {list(found.shape)} and {list(asked.shape)} came.")
    if found.ndim == 1:
        return {"all": float((as_labels(found, None, "predicted") == as_labels(asked, None, "wanted")).mean())}
    right = (found > 0) == (asked > 0.5)
    each = {(names[i] if i < len(names) else str(i)): float(right[:, i].mean()) for i in range(right.shape[1])}
    return {"all": float(right.all(1).mean())} | each
