"""A pair that plays in another unit than the images': G's output and D's input are (x - mean) / scale.

Axes: n batch, c channels, h w image.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from saddlepoint.networks.base import Discriminator, Generator, Judgement


class _Unit(nn.Module):
    mean: Tensor
    scale: Tensor

    def _measure(self, mean: float, scale: float) -> None:
        self.register_buffer("mean", torch.tensor(float(mean)))
        self.register_buffer("scale", torch.tensor(float(scale)))


class UnitGenerator(Generator, _Unit):
    """mean + scale * G(z).

    Args:
        generator: G, whose output lies in its own unit.
        mean: what 0 means.
        scale: what 1 more means.
    """

    def __init__(self, generator: Generator, mean: float, scale: float) -> None:
        super().__init__()
        self.generator, self.latent_dim = generator, generator.latent_dim
        self._measure(mean, scale)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """As the inner generator, in the images' unit."""
        x: Tensor = self.generator(z, labels)
        return self.mean.to(x) + self.scale.to(x) * x


class UnitDiscriminator(Discriminator, _Unit):
    """D((x - mean) / scale); arguments as :class:`UnitGenerator`."""

    def __init__(self, discriminator: Discriminator, mean: float, scale: float) -> None:
        super().__init__()
        self.discriminator = discriminator
        self._measure(mean, scale)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Judgement:
        """As the inner discriminator."""
        judgement: Judgement = self.discriminator((x - self.mean.to(x)) / self.scale.to(x), labels)
        return judgement
