"""How much volumes have in common: intersection over union, and average precision of occupancies.

Axes: n m volumes, v voxels.
"""

from __future__ import annotations

import torch
from torch import Tensor

THRESHOLD = 0.5  # above it a voxel is occupied


def iou(x: Tensor, y: Tensor, threshold: float = THRESHOLD) -> Tensor:
    """Intersection over union of pairs of volumes; of two empty ones 1.

    Args:
        x: occupancies [n, ...] in [0, 1].
        y: the same shape.
        threshold: above it a voxel is occupied.
    Returns:
        [n] in [0, 1].

    >>> x = torch.tensor([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    >>> iou(x, torch.tensor([[1.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]])).tolist()     # one of three; nothing of nothing
    [0.3333333432674408, 1.0]
    """
    a, b = x.flatten(1) > threshold, y.flatten(1) > threshold
    union = (a | b).sum(1)
    return torch.where(union > 0, (a & b).sum(1) / union.clamp(min=1), 1.0).to(x.dtype)


def pairwise_iou(x: Tensor, y: Tensor, threshold: float = THRESHOLD) -> Tensor:
    """Intersection over union of every volume of ``x`` [n, ...] with every one of ``y`` [m, ...]: [n, m] in [0, 1]."""
    a, b = (each.flatten(1).gt(threshold).to(torch.float32) for each in (x, y))
    both = a @ b.T  # n m; exact up to 2^24 voxels
    union = a.sum(1)[:, None] + b.sum(1) - both
    return torch.where(union > 0, both / union.clamp(min=1), 1.0)


def average_precision(predicted: Tensor, truth: Tensor) -> Tensor:
    """Area under precision over recall of each volume's occupancies, by the steps at every occupied voxel.

    Args:
        predicted: [n, ...], higher is more occupied.
        truth: [n, ...], above .5 is occupied; a volume without any has precision 0.
    Returns:
        [n] in [0, 1].

    >>> round(average_precision(torch.tensor([[0.9, 0.8, 0.7]]), torch.tensor([[1.0, 0.0, 1.0]])).item(), 4)     # (1 + 2/3) / 2
    0.8333
    """
    order = predicted.flatten(1).argsort(dim=1, descending=True, stable=True)
    hits = truth.flatten(1).gt(THRESHOLD).gather(1, order).to(predicted.dtype)  # n v
    precision = hits.cumsum(1) / torch.arange(1, hits.shape[1] + 1, device=hits.device)
    return (precision * hits).sum(1) / hits.sum(1).clamp(min=1)
