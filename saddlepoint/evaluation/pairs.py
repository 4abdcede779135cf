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


def error_of_pairs(values: NDArray[np.float64], first: NDArray[np.int64], second: NDArray[np.int64], groups: int = 10) -> float:
    """Standard error of the mean over pairs that share samples: the jackknife over groups of samples, sample i in group i mod g.

    The pairs of a group are those that hold any of its samples. Pairs are not independent, so their own deviation by the root of their number would
    be too small where there are more pairs than samples.

    Args:
        values: one a pair.
        first: number of the first sample, one a pair; likewise ``second``.
        groups: g.
    Returns:
        NaN where a group holds a sample of every pair.
    """
    left_out = []
    for group in range(groups):
        rest = (first % groups != group) & (second % groups != group)
        if not rest.any():
            return float("nan")
        left_out.append(values[rest].mean())
    return float(np.sqrt((groups - 1) * np.var(left_out)))
