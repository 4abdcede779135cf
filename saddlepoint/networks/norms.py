"""Normalisation layers of residual GANs. Axes: n batch, c channels, h w image, k classes."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saddlepoint.errors import UsageError

Norm = Literal["batch", "layer", "none"]
EPS = 1e-5


class LayerNorm(nn.Module):
    """Each sample to mean 0 and variance 1 over (c, h, w), then a gain and a bias a channel; no sample sees another.

    The critic's normalisation in Gulrajani et al. 2017 (arXiv:1704.00028), section 4: batch norm would tie the samples of the penalty together.
    """

    is_normalisation = True

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] -> [n, c, h, w]."""
        return F.group_norm(x, 1, self.weight, self.bias, EPS)


def class_rows(table: Tensor, labels: Tensor) -> Tensor:
    """The rows of a table [k, d] for classes int64 [n], or their mixtures for weights of classes [n, k]: [n, d].

    >>> class_rows(torch.tensor([[0.0, 2.0], [4.0, 6.0]]), torch.tensor([[0.5, 0.5]])).tolist()
    [[2.0, 4.0]]
    """
    return labels.to(table.dtype) @ table if labels.ndim == 2 else F.embedding(labels, table)


class ConditionalBatchNorm(nn.Module):
    """Batch normalisation whose gain and bias are looked up by class (Dumoulin et al. 2017, as used by Miyato & Koyama 2018); gains start at 1.

    Weights of classes [n, k] in place of labels mix gains and biases: the category morphing of Miyato & Koyama 2018.
    """

    mixes_samples = True
    is_normalisation = True

    def __init__(self, num_features: int, num_classes: int) -> None:
        super().__init__()
        self.normalise = nn.BatchNorm2d(num_features, eps=EPS, affine=False)
        self.gain = nn.Parameter(torch.ones(num_classes, num_features))
        self.bias = nn.Parameter(torch.zeros(num_classes, num_features))

    def forward(self, x: Tensor, labels: Tensor | None) -> Tensor:
        """[n, c, h, w] and int64 [n], or weights [n, k], -> [n, c, h, w].

        Raises:
            UsageError: without labels.
        """
        if labels is None:
            raise UsageError(f"This network is conditional on {len(self.gain)} classes and needs labels; got none. Use data with labels.")
        gain, bias = class_rows(self.gain, labels), class_rows(self.bias, labels)  # n c
        return torch.addcmul(bias[:, :, None, None], self.normalise(x), gain[:, :, None, None])


def make_norm(kind: Norm, num_features: int, num_classes: int | None = None) -> nn.Module:
    """The layer of this kind: [n, c, h, w] -> [n, c, h, w]; conditional batch norm where ``num_classes`` is given."""
    if kind == "none":
        return nn.Identity()
    if kind == "layer":
        return LayerNorm(num_features)
    return nn.BatchNorm2d(num_features, eps=EPS) if num_classes is None else ConditionalBatchNorm(num_features, num_classes)


def apply_norm(norm: nn.Module, x: Tensor, labels: Tensor | None) -> Tensor:
    """Call a layer of :func:`make_norm`; only the conditional kind takes the labels."""
    y: Tensor = norm(x, labels) if isinstance(norm, ConditionalBatchNorm) else norm(x)
    return y
