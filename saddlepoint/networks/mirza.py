"""The networks of the first conditional GAN (Mirza & Osindero 2014, arXiv:1411.1784, section 4.1), fully connected.

Axes: n batch, d features, k classes.
"""

from __future__ import annotations

import math

import torch
from einops import rearrange
from torch import Tensor, nn

from saddlepoint.networks.base import Discriminator, Generator, Judgement
from saddlepoint.networks.initialisation import uniform_weights
from saddlepoint.networks.layers import Dropout, one_hot
from saddlepoint.networks.maxout import WEIGHT_RANGE, Maxout

DROP = 0.5  # of hidden units, in both players


class MirzaGenerator(Generator):
    """z and the label pass a ReLU layer each, and one together; a sigmoid gives the image, mapped to [-1, 1].

    Args:
        sample_shape: of one sample, flattened.
        num_classes: k.
        latent_dim: of z, uniform in the paper.
        width: of the joint layer: 1200. z has a sixth of its units (200), the label five sixths (1000).
        bounded: images end in a sigmoid, points are linear.
    """

    def __init__(self, sample_shape: tuple[int, ...], num_classes: int, *, latent_dim: int = 100, width: int = 1200, bounded: bool = True) -> None:
        super().__init__()
        self.sample_shape, self.num_classes, self.latent_dim, self.bounded = tuple(sample_shape), num_classes, latent_dim, bounded
        of_latents = max(1, width // 6)
        self.of_latents = nn.Sequential(nn.Linear(latent_dim, of_latents), nn.ReLU(), Dropout(DROP))
        self.of_label = nn.Sequential(nn.Linear(num_classes, max(1, width - of_latents)), nn.ReLU(), Dropout(DROP))
        self.joint = nn.Sequential(nn.Linear(of_latents + max(1, width - of_latents), width), nn.ReLU(), Dropout(DROP))
        self.last = nn.Linear(width, math.prod(sample_shape))
        uniform_weights(self, 0.05)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents [n, latent_dim] and labels int64 [n] to samples [n, *sample_shape]."""
        h = torch.cat([self.of_latents(z), self.of_label(one_hot(labels, self.num_classes, z))], 1)
        h = self.last(self.joint(h))
        h = torch.sigmoid(h) * 2 - 1 if self.bounded else h
        return h.view(z.shape[0], *self.sample_shape)


class MirzaDiscriminator(Discriminator):
    """The sample passes a maxout layer of 240 units and 5 pieces, the label one of 50 and 5, both together one of 240 and 4.

    Args:
        sample_shape: any, flattened.
        num_classes: k.
        units: of the sample's and of the joint layer: 240; the label's has 5/24 of them (50).
        bounded: samples are mapped from [-1, 1] to the [0, 1] that the paper feeds.
    """

    def __init__(self, sample_shape: tuple[int, ...], num_classes: int, *, units: int = 240, bounded: bool = True) -> None:
        super().__init__()
        self.num_classes, self.bounded = num_classes, bounded
        of_label = max(1, units * 5 // 24)
        self.of_sample = nn.Sequential(Maxout(math.prod(sample_shape), units, 5), Dropout(DROP))
        self.of_label = nn.Sequential(Maxout(num_classes, of_label, 5), Dropout(DROP))
        self.joint = Maxout(units + of_label, units, 4)
        self.drop = Dropout(DROP)
        self.head = nn.Linear(units, 1)
        uniform_weights(self, WEIGHT_RANGE)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Judgement:
        """Samples [n, ...] and labels int64 [n] to logits [n]; features [n, units] are the joint layer before its dropout."""
        x = rearrange(x, "n ... -> n (...)")
        x = x.add(1).div(2) if self.bounded else x
        features: Tensor = self.joint(torch.cat([self.of_sample(x), self.of_label(one_hot(labels, self.num_classes, x))], 1))
        return Judgement(self.head(self.drop(features)).squeeze(1), features)
