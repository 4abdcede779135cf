"""BiGAN's networks for MNIST without its layout: Donahue et al. 2017 (arXiv:1605.09782), and the code released with it.

Two hidden layers of 1024 units each; batch normalisation has neither gain nor bias and no other layer has a bias; weights N(0, .02). Images are
in [0, 1] inside, in [-1, 1] outside.

Axes: n batch, c channels, h w image, d latent.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from saddlepoint.networks.base import Generator, Judgement

Latent = Literal["uniform", "normal"]


class _Layer(nn.Module):
    """Weights, with those of a second input added to them where there is one, batch normalisation, activation."""

    def __init__(self, inputs: int, width: int, slope: float, *, beside: int = 0, norm: bool = True) -> None:
        super().__init__()
        self.slope = slope
        self.weights = nn.Linear(inputs, width, bias=False)
        self.beside = nn.Linear(beside, width, bias=False) if beside else None
        self.norm = nn.BatchNorm1d(width, eps=1e-8, affine=False) if norm else None

    def forward(self, x: Tensor, other: Tensor | None = None) -> Tensor:
        h = self.weights(x)
        if self.beside is not None:
            assert other is not None
            h = h + self.beside(other)
        return nn.functional.leaky_relu(h if self.norm is None else self.norm(h), self.slope)


def _start(network: nn.Module) -> None:
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, 0.0, 0.02)


class BiGANGenerator(Generator):
    """z -> 1024 -> 1024 -> image, ReLU, sigmoid; the second layer sees z as well.

    Args:
        latent_dim: d.
        sample_shape: of an image.
        width: units of both hidden layers.
    """

    def __init__(self, latent_dim: int, sample_shape: tuple[int, ...], *, width: int = 1024) -> None:
        super().__init__()
        self.latent_dim, self.sample_shape = latent_dim, tuple(sample_shape)
        self.first = _Layer(latent_dim, width, 0.0)
        self.second = _Layer(width, width, 0.0, beside=latent_dim)
        self.last = nn.Linear(width, math.prod(sample_shape), bias=False)
        _start(self)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents [n, d] to images [n, c, h, w] in [-1, 1]; ``labels`` are not used."""
        h = self.last(self.second(self.first(z), z))
        return 2 * torch.sigmoid(h).view(len(z), *self.sample_shape) - 1


class BiGANEncoder(nn.Module):
    """image -> 1024 -> 1024 -> d, leaky ReLU .2; no normalisation in the first layer.

    Args:
        sample_shape: of an image.
        latent_dim: d.
        width: units of both hidden layers.
        zero: the last layer starts at 0, as a latent regressor's does.
    """

    def __init__(self, sample_shape: tuple[int, ...], latent_dim: int, *, width: int = 1024, zero: bool = False) -> None:
        super().__init__()
        self.first = _Layer(math.prod(sample_shape), width, 0.2, norm=False)
        self.second = _Layer(width, width, 0.2)
        self.last = nn.Linear(width, latent_dim, bias=False)
        _start(self)
        if zero:
            nn.init.zeros_(self.last.weight)

    def features(self, x: Tensor) -> Tensor:
        """The layer before the output, [n, width], on which the paper's classifiers work."""
        h: Tensor = self.second(self.first((x.flatten(1) + 1) / 2))
        return h

    def forward(self, x: Tensor) -> Tensor:
        """Images [n, c, h, w] to raw codes [n, d]."""
        code: Tensor = self.last(self.features(x))
        return code


class BiGANDiscriminator(nn.Module):
    """(image, z) -> 1024 -> 1024 -> logit, leaky ReLU .2; z enters at the second layer. Without z it judges images alone.

    Args:
        sample_shape: of an image.
        latent_dim: d; 0 for a discriminator of images.
        width: units of both hidden layers.
    """

    def __init__(self, sample_shape: tuple[int, ...], latent_dim: int, *, width: int = 1024) -> None:
        super().__init__()
        self.first = _Layer(math.prod(sample_shape), width, 0.2, norm=False)
        self.second = _Layer(width, width, 0.2, beside=latent_dim)
        self.head = nn.Linear(width, 1, bias=False)
        _start(self)

    def forward(self, x: Tensor, z: Tensor | None = None) -> Judgement:
        """Images [n, c, h, w] and latents [n, d] to logits [n] and features [n, width]."""
        features: Tensor = self.second(self.first((x.flatten(1) + 1) / 2), z)
        return Judgement(self.head(features).squeeze(1), features)
