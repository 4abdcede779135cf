"""The discriminator of vectors of measurements: AmbientGAN's for one-dimensional projections (Bora et al. 2018, as released)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, one_hot

from saddlepoint.networks.base import Discriminator, Judgement


class VectorDiscriminator(Discriminator):
    """Two hidden layers of 25 units with batch norm and LeakyReLU .2, linear; the label's one-hot vector enters every layer.

    Weights start from N(0, .02), biases from 0.

    Args:
        size: numbers of a vector.
        width: units of a hidden layer.
        num_classes: where it is told labels.
    """

    def __init__(self, size: int, width: int = 25, num_classes: int | None = None) -> None:
        super().__init__()
        self.num_classes, told = num_classes, num_classes or 0
        self.hidden = nn.ModuleList(nn.Linear(before + told, width) for before in (size, width))
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(2))
        self.head = nn.Linear(width + told, 1)
        for layer in (*self.hidden, self.head):
            nn.init.normal_(layer.weight, 0, 0.02)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Judgement:
        """Vectors [n, d] to logits [n]; features [n, width] are the last hidden layer."""
        for layer, norm in zip(self.hidden, self.norms, strict=True):
            x = leaky_relu(norm(layer(self._with(x, labels))), 0.2)
        return Judgement(self.head(self._with(x, labels)).squeeze(1), x)

    def _with(self, x: Tensor, labels: Tensor | None) -> Tensor:
        if self.num_classes is None:
            return x
        assert labels is not None
        return torch.cat([x, one_hot(labels, self.num_classes).to(x)], 1)
