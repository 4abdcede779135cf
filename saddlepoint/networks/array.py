"""Many discriminators, each on its own fixed low-dimensional projection (Neyshabur et al. 2017, arXiv:1705.07831).

Axes: n batch, m discriminators, c channels, h w image, d features.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from einops import rearrange
from torch import Tensor, nn

from saddlepoint.errors import UsageError
from saddlepoint.networks.base import Discriminator, Generator, Judgement
from saddlepoint.networks.initialisation import fan_in_weights
from saddlepoint.networks.layers import ShiftBatchNorm, doubling, pyramid


class DiscriminatorArray(Discriminator):
    """m discriminators side by side; the k-th sees samples through the k-th projection only.

    Args:
        discriminators: m of them, for samples of the projections' output shape.
        projections: m views without parameters, e.g. fixed random convolutions.
    """

    def __init__(self, discriminators: Sequence[Discriminator], projections: Sequence[nn.Module]) -> None:
        super().__init__()
        if len(discriminators) != len(projections) or not discriminators:
            raise UsageError(f"An array needs one projection for each discriminator; got {len(projections)} for {len(discriminators)}.")
        self.discriminators = nn.ModuleList(discriminators)
        self.projections = nn.ModuleList(projections)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Judgement:
        """Samples [n, ...] to logits [n, m]; no features."""
        pairs = zip(self.discriminators, self.projections, strict=True)
        return Judgement(torch.stack([discriminator(projection(x), labels).logits for discriminator, projection in pairs], 1))


class ProjectionDiscriminator(Discriminator):
    """4x4 convolutions with stride 2 down to 2x2, then a 2x2 convolution to one number; LeakyReLU .2, no normalisation, with biases.

    The D_k of the paper: width 128 on 32x32x1 projections of 64x64x3 faces, 64 on 64x64x1 ones of dogs and for the single-D baseline on
    full images. Weights uniform with variance 1 / fan-in, biases 0. For sides that are no power of two the last convolution covers the
    map of 2 or 3 that is left.

    Args:
        image_shape: (c, h, w) after projection; sides of at least 4.
        width: channels of the first layer; twice as many with each halving.
    """

    def __init__(self, image_shape: tuple[int, int, int], *, width: int = 128) -> None:
        super().__init__()
        channels, height, side = image_shape
        if min(height, side) < 4:
            raise UsageError(f"The projection discriminator needs maps of at least 4x4; got {height}x{side}. Choose a larger resolution.")
        layers: list[nn.Module] = []
        while min(height, side) > 3:
            layers += [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2, inplace=True)]
            channels, width, height, side = width, 2 * width, height // 2, side // 2
        self.convolutions = nn.Sequential(*layers)
        self.head = nn.Linear(channels * height * side, 1)
        fan_in_weights(self)
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Judgement:
        """Images [n, c, h, w] to logits [n]; features are the last map, flattened in (h w c) order. ``labels`` are not used."""
        h: Tensor = self.convolutions(x)
        features = rearrange(h, "n c h w -> n (h w c)")
        return Judgement(self.head(features).squeeze(1), features)


class ProjectionGenerator(Generator):
    """The G of the paper: z U(-1, 1), 4x4 map, transposed 4x4 convolutions with stride 2, ReLU, tanh; batch normalisation without gain.

    Normalisation has eps .001 and is absent at the output, which has a bias. Weights uniform with variance 1 / fan-in, biases 0.

    Args:
        image_shape: (c, h, w); sides 4 to 7 times a power of two.
        latent_dim: 100 for faces, 200 for dogs.
        width: channels of the smallest map, 1024 for faces and 2048 for dogs; half as many with each doubling.
    """

    def __init__(self, image_shape: tuple[int, int, int], *, latent_dim: int = 100, width: int = 1024) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        *self.base, doublings = pyramid(image_shape, 4, "The projection generator")
        widths = [max(1, width // 2**level) for level in range(doublings)]
        self.project = nn.Linear(latent_dim, width * math.prod(self.base), bias=False)
        layers: list[nn.Module] = [ShiftBatchNorm(width, eps=1e-3), nn.ReLU(inplace=True)]
        for a, b in zip(widths, widths[1:], strict=False):
            layers += [doubling(a, b, 4), ShiftBatchNorm(b, eps=1e-3), nn.ReLU(inplace=True)]
        self.levels = nn.Sequential(*layers, doubling(widths[-1], image_shape[0], 4, bias=True), nn.Tanh())
        fan_in_weights(self)
        self.to(memory_format=torch.channels_last)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents [n, latent_dim] to images [n, c, h, w] in [-1, 1]; ``labels`` are not used."""
        h = rearrange(self.project(z), "n (h w c) -> n c h w", h=self.base[0], w=self.base[1])
        images: Tensor = self.levels(h)
        return images
