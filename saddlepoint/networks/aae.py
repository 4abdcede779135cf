"""Fully connected networks of the adversarial autoencoder: Makhzani et al. 2015 (arXiv:1511.05644), appendix A.

Two hidden layers of 1000 ReLU units in each of the three; weights N(0, .01) as published, biases 0. Images are in [0, 1] inside, in [-1, 1] outside.

Axes: n batch, c channels, h w image, d latent, k categories.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from saddlepoint.draws import draws_like
from saddlepoint.networks.base import Judgement
from saddlepoint.networks.initialisation import normal_weights
from saddlepoint.networks.layers import Dropout


def _layers(inputs: int, width: int, outputs: int, std: float) -> nn.Sequential:
    layers = nn.Sequential(nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, outputs))
    normal_weights(layers, std)
    return layers


class AAEEncoder(nn.Module):
    """Images to ``outputs`` numbers.

    Args:
        shape: of an image.
        outputs: numbers that come out.
        width: units of both hidden layers.
        std: of the weights at the start.
        noise_dim: normal numbers that join the image, for a posterior of any form; 0 none.
        dropout: probability that a pixel is dropped while training.
    """

    def __init__(
        self, shape: tuple[int, ...], outputs: int, *, width: int = 1000, std: float = 0.01, noise_dim: int = 0, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.noise_dim = noise_dim
        self.dropout = Dropout(dropout)
        self.layers = _layers(math.prod(shape) + noise_dim, width, outputs, std)

    def forward(self, x: Tensor) -> Tensor:
        """Images [n, c, h, w] in [-1, 1] to [n, outputs]."""
        h = self.dropout((x.flatten(1) + 1) / 2)
        if self.noise_dim:
            h = torch.cat([h, draws_like(x).normal(len(x), self.noise_dim)], 1)
        y: Tensor = self.layers(h)
        return y


class AAEDecoder(nn.Module):
    """Codes, and categories where there are any, to images; a sigmoid at the end.

    Args:
        shape: of an image.
        code_dim: numbers that come in.
        width: units of both hidden layers.
        std: of the weights at the start.
    """

    def __init__(self, shape: tuple[int, ...], code_dim: int, *, width: int = 1000, std: float = 0.01) -> None:
        super().__init__()
        self.shape = shape
        self.layers = _layers(code_dim, width, math.prod(shape), std)

    def forward(self, z: Tensor) -> Tensor:
        """Codes [n, d] to images [n, c, h, w] in [-1, 1]."""
        return 2 * torch.sigmoid(self.layers(z)).view(len(z), *self.shape) - 1


class AAEDiscriminator(nn.Module):
    """Tells draws of the prior from codes.

    Args:
        inputs: numbers of a code, and of a class vector beside it.
        width: units of both hidden layers.
        std: of the weights at the start.
    """

    def __init__(self, inputs: int, *, width: int = 1000, std: float = 0.01) -> None:
        super().__init__()
        self.layers = _layers(inputs, width, 1, std)

    def forward(self, z: Tensor) -> Judgement:
        """Codes [n, inputs] to logits [n]."""
        return Judgement(self.layers(z).squeeze(1))
