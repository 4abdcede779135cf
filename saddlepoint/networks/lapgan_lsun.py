"""LAPGAN's networks for LSUN: grouped convolutions, batch norm and dropout; Denton, Chintala, Szlam, Fergus 2015 (arXiv:1506.05751), section 4.

Layers, groups and initialisation as in the authors' LSUN code, whose search found them. All levels have the same layers.

Axes: n batch, c channels, h w image, g groups.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from saddlepoint.draws import draws_like
from saddlepoint.networks.base import Discriminator, Judgement
from saddlepoint.networks.layers import Dropout

Size = tuple[int, int]
G_PLANES = (64, 368, 128, 224)  #: maps after each hidden convolution of G
D_PLANES = (48, 448, 416)  #: and of D
D_KERNELS = (3, 5, 7)
PADDED_BELOW = 16  #: pixels from which D pads nothing: its three convolutions take 12


class ChannelDropout(Dropout):
    """Drop whole maps while training: one mask for each sample and channel."""

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] -> [n, c, h, w]."""
        if not self.training or self.p == 0:
            return x
        keep = draws_like(x).uniform(*x.shape[:2], 1, 1) >= self.p
        return x * keep.to(x.dtype).div_(1 - self.p)


class PairNorm(nn.Module):
    """The length of each two neighbouring channels, sqrt(a^2 + b^2): pooling over features with p = 2."""

    def forward(self, x: Tensor) -> Tensor:
        """[n, 2c, h, w] -> [n, c, h, w]; the slope is 0 where both are 0."""
        n, c, h, w = x.shape
        lengths: Tensor = torch.linalg.vector_norm(x.reshape(n, c // 2, 2, h, w), dim=2)
        return lengths


def grouped(inputs: int, outputs: int, kernel: int, groups: int = 1, *, padded: bool = True) -> nn.Conv2d:
    """Convolution whose weights and biases start in U(-b, b), b = 1/(kernel sqrt(inputs)): all inputs count, not only those of a group."""
    layer = nn.Conv2d(inputs, outputs, kernel, padding=(kernel - 1) // 2 if padded else 0, groups=groups)
    bound = 1 / (kernel * inputs**0.5)
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, -bound, bound)
    return layer


def scaled(planes: tuple[int, ...], first: int, multiple: int) -> list[int]:
    """The planes of a network whose first layer has ``first``, the later ones rounded to multiples.

    >>> scaled(G_PLANES, 64, 8), scaled(G_PLANES, 16, 8), scaled(D_PLANES, 12, 16)
    ([64, 368, 128, 224], [16, 96, 32, 56], [12, 112, 96])
    """
    return [first, *(max(multiple, multiple * round(each * first / planes[0] / multiple)) for each in planes[1:])]


class GroupedBandGenerator(nn.Module):
    """l [n, c, h, w] and a plane of noise U(-1, 1) to the band that l lacks, size kept.

        conv7 64, ReLU, norm; conv7 368 in 4 groups, ReLU, norm, dropout; conv7 128 in 4 groups, ReLU, norm, pairs to 64;
        conv5 224 in 2 groups, ReLU, norm, dropout; conv7 c, norm

    The hidden norms have no gain and no bias. The last one has both, as the code says of this network and as its search builds them; the network
    it spells out has none there, and so could only make bands as large as the images.

    Args:
        channels: c.
        size: (h, w).
        width: planes of the first layer, a multiple of 4; the others in proportion.
        dropout: of whole maps.
    """

    def __init__(self, channels: int, size: Size, *, width: int = 64, dropout: float = 0.5) -> None:
        super().__init__()
        self.size = size
        first, second, third, fourth = scaled(G_PLANES, width, 8)
        self.hidden = nn.Sequential(
            *_layer(channels + 1, first, 7),
            *_layer(first, second, 7, 4),
            ChannelDropout(dropout),
            *_layer(second, third, 7, 4),
            PairNorm(),
            *_layer(third // 2, fourth, 5, 2),
            ChannelDropout(dropout),
        )
        self.last = nn.Sequential(grouped(fourth, channels, 7), nn.BatchNorm2d(channels))

    def forward(self, low: Tensor, labels: Tensor | None = None) -> Tensor:
        """[n, c, h, w] -> [n, c, h, w]."""
        noise = draws_like(low).uniform(len(low), 1, *self.size, low=-1.0, high=1.0).to(low)
        return self.last(self.hidden(torch.cat([noise, low], 1)))  # type: ignore[no-any-return]


def _layer(inputs: int, outputs: int, kernel: int, groups: int = 1) -> list[nn.Module]:
    return [grouped(inputs, outputs, kernel, groups), nn.ReLU(), nn.BatchNorm2d(outputs, affine=False)]


class GroupedBandDiscriminator(Discriminator):
    """The sum of l and a band to a logit: conv3 48 ReLU, conv5 448 in 4 groups ReLU, conv7 416 in 16 groups ReLU, linear; no dropout.

    Nothing is padded from 16 pixels on; the lowest level's 8 would not outlast the kernels.

    Args:
        channels: c.
        size: (h, w).
        width: planes of the first layer, a multiple of 4; the others in proportion.
    """

    def __init__(self, channels: int, size: Size, *, width: int = 48) -> None:
        super().__init__()
        planes, padded = scaled(D_PLANES, width, 16), min(size) < PADDED_BELOW
        layers: list[nn.Module] = []
        for inputs, outputs, kernel, groups in zip((channels, *planes), planes, D_KERNELS, (1, 4, 16), strict=False):
            layers += [grouped(inputs, outputs, kernel, groups, padded=padded), nn.ReLU()]
        self.hidden = nn.Sequential(*layers)
        h, w = (side if padded else side - sum(D_KERNELS) + len(D_KERNELS) for side in size)
        self.head = nn.Linear(planes[-1] * h * w, 1)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Judgement:
        """l + h, [n, c, h, w] -> logits [n]."""
        features = self.hidden(x).flatten(1)
        return Judgement(self.head(features)[:, 0], features)
