"""Minibatch discrimination (Salimans et al. 2016, section 3.2): how near a sample lies to the others of its batch, as features.

Axes: n batch, a input features, b kernels, c dimensions of a kernel.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MinibatchDiscrimination(nn.Module):
    r"""Concatenate to each feature vector its closeness to the rest of the batch under ``num_kernels`` learned projections.

    .. math:: M_i = f(x_i) T, \quad o_b(i) = \sum_{j \ne i} \exp(-\lVert M_{i,b} - M_{j,b} \rVert_1) + \beta_b

    T [a, b, c] is weight-normalised over a with the learned logarithm of its scale, beta starts at -1, as in the authors' code. Real and
    fake samples must pass in separate batches. While ``initialising`` is set (see initialise_from_data) the scale is chosen so that half the
    mean distance to the nearest neighbour is 1 for each kernel, and beta so that o has mean 0.

    Args:
        in_features: a.
        num_kernels: b.
        dim_kernels: c.
    """

    mixes_samples = True

    def __init__(self, in_features: int, num_kernels: int = 100, dim_kernels: int = 5) -> None:
        super().__init__()
        self.out_features = in_features + num_kernels
        self.initialising = False
        self.weight = nn.Parameter(torch.empty(in_features, num_kernels, dim_kernels).normal_(0, 0.05))
        self.log_scale = nn.Parameter(torch.zeros(num_kernels, dim_kernels))
        self.bias = nn.Parameter(torch.full((num_kernels,), -1.0))

    def forward(self, features: Tensor) -> Tensor:
        """Shape [n, a] to [n, a + b]."""
        if self.initialising:
            self._fit(features)
        return torch.cat([features, (-self.distances(features)).exp().sum(1) + self.bias], 1)

    def distances(self, features: Tensor) -> Tensor:
        """L1 distances between samples under each kernel, shape [n, n, b]; infinite from a sample to itself, so that it counts as 0."""
        tensor = self.weight * (self.log_scale.exp() / self.weight.norm(dim=0))  # a b c
        projected = torch.einsum("na,abc->nbc", features, tensor)
        distances = (projected.unsqueeze(1) - projected.unsqueeze(0)).abs().sum(-1)  # n n b
        itself = torch.eye(len(features), dtype=torch.bool, device=features.device).unsqueeze(-1)
        return distances.masked_fill(itself, torch.inf)

    def _fit(self, features: Tensor) -> None:
        half_nearest = 0.5 * self.distances(features).amin(1).mean(0)  # b
        scale = torch.where(half_nearest > 0, half_nearest, torch.ones_like(half_nearest))
        self.log_scale.sub_(scale.log().unsqueeze(1))
        self.bias.copy_(-(-self.distances(features)).exp().sum(1).mean(0))
