"""Random pairs of different samples, of one class where there are labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from saddlepoint.errors import UsageError


def random_pairs(n: int, labels: NDArray[Any] | Tensor | None, pairs: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of both sides, [pairs] each, never a sample with itself.

    Args:
        n: samples.
        labels: [n]; None: all of one class.
        pairs: how many.
        seed: of the draw.
    """
    classes = np.zeros(n, np.int64) if labels is None else (labels.detach().cpu().numpy() if isinstance(labels, Tensor) else np.asarray(labels))
    if classes.shape != (n,) or pairs < 1:
        raise UsageError(f"Pairs need one label a sample and one pair or more; {n} samples, labels {list(classes.shape)} and {pairs} pairs came.")
    _, inverse, counts = np.unique(classes, return_inverse=True, return_counts=True)
    eligible = np.flatnonzero(counts[inverse] > 1)
    if not len(eligible):
        raise UsageError(f"Pairs need a class with two samples or more; {n} samples in {len(counts)} classes came. Draw more samples.")
    rng = np.random.default_rng(seed)
    first = rng.choice(eligible, pairs)
    order = np.argsort(inverse, kind="stable")
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    rank = np.empty(n, np.int64)
    rank[order] = np.arange(n) - np.repeat(starts, counts)  # place of a sample within its class
    size = counts[inverse[first]]
    shift = rng.integers(1, size)
    return first.astype(np.int64), order[starts[inverse[first]] + (rank[first] + shift) % size].astype(np.int64)
