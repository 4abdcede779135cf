"""LAPGAN: a generator and a discriminator for each band of a Laplacian pyramid; Denton, Chintala, Szlam, Fergus 2015 (arXiv:1506.05751).

    I_k = u(I_k+1) + h_k             l_k = u(I_k+1): the next coarser image, enlarged; h_k: the band that it lacks
    coarsest   G(z) fully connected                                     D(I)
    a band     G(z_k, l_k) -> h_k, z_k one plane of noise               D(l_k + h_k): it judges the sum

Layers, sizes and initialisation as in the authors' CIFAR-10 code, or its LSUN code (:mod:`.lapgan_lsun` has the bands' networks); images are
standardised, not squashed. u and d are the antialiased bilinear change of size, so sides need not double (8, 14, 28 in the paper).

Axes: n batch, c channels, h w image, d latent, k classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saddlepoint.draws import draws_like
from saddlepoint.networks.base import Discriminator, Generator, Judgement
from saddlepoint.networks.lapgan_lsun import GroupedBandGenerator, Size
from saddlepoint.networks.layers import Dropout, one_hot

Networks = Literal["cifar", "lsun"]


def resize(x: Tensor, size: Size) -> Tensor:
    """d and u of the paper: [n, c, h, w] at another size; smaller: blurred by a triangle as wide as two new pixels; larger: bilinear."""
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False, antialias=True)


def pyramid_of(x: Tensor, sizes: Sequence[Size]) -> list[Tensor]:
    """The Laplacian pyramid of images [n, c, h, w] of the last size: the coarsest image, then the band of each size that follows.

    >>> [level.shape[-1] for level in pyramid_of(torch.zeros(1, 1, 28, 28), [(8, 8), (14, 14), (28, 28)])]
    [8, 14, 28]
    """
    images = [x]
    for size in reversed(sizes[:-1]):
        images.insert(0, resize(images[0], size))
    return [images[0], *(fine - resize(coarse, size) for coarse, fine, size in zip(images[:-1], images[1:], sizes[1:], strict=True))]


def image_of(levels: Sequence[Tensor]) -> Tensor:
    """The images of a pyramid: the inverse of :func:`pyramid_of`, exact up to rounding."""
    x = levels[0]
    for band in levels[1:]:
        x = resize(x, (band.shape[2], band.shape[3])) + band
    return x


def _linear(inputs: int, outputs: int, std: float | None) -> nn.Linear:
    """Linear layer with weights N(0, std^2) and bias 0; None: U(-1/sqrt(inputs), 1/sqrt(inputs)) for both."""
    layer = nn.Linear(inputs, outputs)
    if std is not None:
        nn.init.normal_(layer.weight, std=std)
        nn.init.zeros_(layer.bias)
    return layer


class CoarseGenerator(Generator):
    """z [n, latent_dim] to the coarsest images: 8000 ReLU, 8000 sigmoid, linear; weights N(0, .05^2).

    Told labels, or ``uniform`` (LSUN): ReLU twice, uniform weights.
    """

    def __init__(
        self, shape: tuple[int, int, int], *, latent_dim: int = 100, width: int = 8000, num_classes: int | None = None, uniform: bool = False
    ) -> None:
        super().__init__()
        self.shape, self.latent_dim, self.num_classes = shape, latent_dim, num_classes
        self.bounded = num_classes is None and not uniform
        std = 0.05 if self.bounded else None
        self.first = _linear(latent_dim + (num_classes or 0), width, std)
        self.second = _linear(width, width, std)
        self.last = _linear(width, shape[0] * shape[1] * shape[2], std)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """[n, latent_dim] -> [n, c, h, w]."""
        if self.num_classes is not None:
            z = torch.cat([z, one_hot(labels, self.num_classes, z)], 1)
        x = self.second(self.first(z).relu())
        x = x.sigmoid() if self.bounded else x.relu()
        return self.last(x).unflatten(1, self.shape)  # type: ignore[no-any-return]


class CoarseDiscriminator(Discriminator):
    """The coarsest images to a logit: 1600 and 1600 ReLU with dropout; weights N(0, .005^2).

    Told labels, which are appended to the pixels, or ``uniform`` (LSUN): uniform weights.
    """

    def __init__(
        self, shape: tuple[int, int, int], *, width: int = 1600, dropout: float = 0.5, num_classes: int | None = None, uniform: bool = False
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        std = 0.005 if num_classes is None and not uniform else None
        self.first = _linear(shape[0] * shape[1] * shape[2] + (num_classes or 0), width, std)
        self.second = _linear(width, width, std)
        self.head = _linear(width, 1, std)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Judgement:
        """[n, c, h, w] -> logits [n]."""
        x = x.flatten(1)
        if self.num_classes is not None:
            x = torch.cat([x, one_hot(labels, self.num_classes, x)], 1)
        features = self.dropout(self.second(self.dropout(self.first(x).relu())).relu())
        return Judgement(self.head(features)[:, 0], features)


class _ClassPlane(nn.Module):
    """A label as one plane: one-hot, linear, ReLU."""

    def __init__(self, num_classes: int, size: Size) -> None:
        super().__init__()
        self.num_classes, self.size = num_classes, size
        self.linear = nn.Linear(num_classes, size[0] * size[1])

    def forward(self, labels: Tensor | None, like: Tensor) -> Tensor:
        """int64 [n] -> [n, 1, h, w], in the dtype of ``like``."""
        return self.linear(one_hot(labels, self.num_classes, like)).relu().unflatten(1, (1, *self.size))  # type: ignore[no-any-return]


class BandGenerator(nn.Module):
    """l [n, c, h, w] and a plane of noise U(-1, 1) to the band that l lacks: conv7 64 ReLU, conv7 64 ReLU, conv5 c, linear, size kept."""

    def __init__(self, channels: int, size: Size, *, width: int = 64, num_classes: int | None = None) -> None:
        super().__init__()
        self.size = size
        self.classes = None if num_classes is None else _ClassPlane(num_classes, size)
        planes = channels + 1 + (num_classes is not None)
        self.first = nn.Conv2d(planes, width, 7, padding=3)
        self.second = nn.Conv2d(width, width, 7, padding=3)
        self.last = nn.Conv2d(width, channels, 5, padding=2)

    def forward(self, low: Tensor, labels: Tensor | None = None) -> Tensor:
        """[n, c, h, w] -> [n, c, h, w]."""
        planes = [draws_like(low).uniform(len(low), 1, *self.size, low=-1.0, high=1.0).to(low), low]
        if self.classes is not None:
            planes.append(self.classes(labels, low))
        return self.last(self.second(self.first(torch.cat(planes, 1)).relu()).relu())  # type: ignore[no-any-return]


class BandDiscriminator(Discriminator):
    """The sum of l and a band to a logit: conv5 64 ReLU, conv5 of stride 2 64 ReLU, dropout, linear; nothing padded from 10 pixels on."""

    def __init__(self, channels: int, size: Size, *, width: int = 64, dropout: float = 0.5, num_classes: int | None = None) -> None:
        super().__init__()
        self.classes = None if num_classes is None else _ClassPlane(num_classes, size)
        padding = 0 if min(size) >= 10 else 2
        self.first = nn.Conv2d(channels + (num_classes is not None), width, 5, padding=padding)
        self.second = nn.Conv2d(width, width, 5, 2, padding=padding)
        h, w = ((side + 4 * padding - 4 - 5) // 2 + 1 for side in size)
        self.dropout, self.head = Dropout(dropout), nn.Linear(width * h * w, 1)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Judgement:
        """l + h, [n, c, h, w] -> logits [n]."""
        if self.classes is not None:
            x = torch.cat([x, self.classes(labels, x)], 1)
        features = self.dropout(self.second(self.first(x).relu()).relu().flatten(1))
        return Judgement(self.head(features)[:, 0], features)


class LapganGenerator(Generator):
    """All levels: z [n, latent_dim] to images, coarse to fine, each band on what came before (Section 3.2, Figure 1).

    Args:
        shape: (c, h, w) of the finest images.
        sizes: of all levels, the coarsest first, the last (h, w).
        latent_dim: d of the coarsest level.
        width: channels of the bands' layers.
        coarse_width: units of the coarsest level's.
        num_classes: k.
        networks: of the CIFAR-10 code, or of the LSUN code, which are told no labels.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        shape: tuple[int, int, int],
        sizes: Sequence[Size],
        *,
        latent_dim: int = 100,
        width: int = 64,
        coarse_width: int = 8000,
        num_classes: int | None = None,
        networks: Networks = "cifar",
    ) -> None:
        super().__init__()
        self.latent_dim, self.sizes, channels, lsun = latent_dim, tuple(sizes), shape[0], networks == "lsun"
        coarsest = CoarseGenerator((channels, *sizes[0]), latent_dim=latent_dim, width=coarse_width, num_classes=num_classes, uniform=lsun)
        bands = (
            GroupedBandGenerator(channels, size, width=width) if lsun else BandGenerator(channels, size, width=width, num_classes=num_classes)
            for size in sizes[1:]
        )
        self.levels = nn.ModuleList([coarsest, *bands])
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("std", torch.ones(shape))

    def standardise(self, x: Tensor) -> Tensor:
        """Images in [-1, 1] as the levels know them: each pixel with mean 0 and deviation 1 over the data."""
        return (x - self.mean) / self.std

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """[n, latent_dim] -> [n, c, h, w], in the units of the data, not bounded."""
        x = self.levels[0](z, labels)
        for level, size in zip(self.levels[1:], self.sizes[1:], strict=True):
            low = resize(x, size)
            x = low + level(low, labels)
        return x * self.std + self.mean  # type: ignore[no-any-return]
