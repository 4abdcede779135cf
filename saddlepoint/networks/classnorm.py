"""Batch normalisation whose gain and bias are linear in a condition: an embedding of the class shared by all layers, a piece of z, or both.

    y = (1 + W_gain v) * (x - mean) / sqrt(variance + eps) + W_bias v          v: the condition

Brock et al. 2019 (arXiv:1809.11096), section 3 and appendix B; W_gain and W_bias have no bias and are spectrally normalised.

Axes: n batch, c channels, h w image, e condition, k classes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from saddlepoint.networks.norms import ConditionalBatchNorm
from saddlepoint.networks.spectral import Linear

MakeNorm = Callable[[int], nn.Module]


class LinearBatchNorm(nn.Module):
    """Batch normalisation of ``num_features`` channels, modulated by a condition [n, e].

    Args:
        num_features: c.
        condition_dim: e.
        eps: added to the variance; 1e-4 in the paper.
    """

    mixes_samples = True
    is_normalisation = True

    def __init__(self, num_features: int, condition_dim: int, eps: float = 1e-4) -> None:
        super().__init__()
        self.normalise = nn.BatchNorm2d(num_features, eps=eps, affine=False)
        self.gain = Linear(condition_dim, num_features, bias=False, spectral_norm=True)
        self.bias = Linear(condition_dim, num_features, bias=False, spectral_norm=True)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """[n, c, h, w] and [n, e] -> [n, c, h, w]."""
        gain, bias = 1 + self.gain(condition), self.bias(condition)  # n c
        return torch.addcmul(bias[:, :, None, None], self.normalise(x), gain[:, :, None, None])


def norm_maker(condition_dim: int | None, num_classes: int | None, eps: float) -> MakeNorm:
    """Which norm the blocks of a generator have: linear in a condition, else with a gain and a bias for each class, else plain."""
    if condition_dim:
        return partial(LinearBatchNorm, condition_dim=condition_dim, eps=eps)
    if num_classes:
        return partial(ConditionalBatchNorm, num_classes=num_classes)
    return partial(nn.BatchNorm2d, eps=eps)


def modulate(norm: nn.Module, x: Tensor, condition: Tensor | None) -> Tensor:
    """Call a norm of :func:`norm_maker`; the plain one takes no condition."""
    y: Tensor = norm(x) if isinstance(norm, nn.BatchNorm2d) else norm(x, condition)
    return y
