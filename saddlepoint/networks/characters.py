"""LSGAN's conditional pair for many classes (Mao et al. 2017, arXiv:1611.04076, section 3.3 and Figure 4), constants as in the authors' code.

A one-hot vector of thousands of classes would outweigh every map that it is joined to; a linear layer without activation first brings it to 256
numbers, in G and in D alike, which are joined to z, and to every layer of D as constant maps. Weights N(0, .02), those of D's convolutions cut
off at two deviations; biases 0, gains 1; batch normalisation in G but not at its output, and in D but not on its first layer.

Axes: n batch, c channels, h w image, e embedded label.
"""

from __future__ import annotations

import torch
from einops import rearrange, repeat
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from saddlepoint.errors import UsageError
from saddlepoint.networks.base import Discriminator, Generator, Judgement
from saddlepoint.networks.initialisation import normal_weights

EMBEDDING = 4  # times the width: 256


class LabelEmbedding(nn.Linear):
    """W onehot(label) + b, read from W's columns: labels int64 [n] to [n, e]."""

    def forward(self, labels: Tensor) -> Tensor:
        """Labels [n] to [n, e]."""
        return self.weight.t()[labels] + self.bias


def _base(image_shape: tuple[int, int, int]) -> tuple[int, int]:
    _, height, width = image_shape
    if height % 4 or width % 4:
        near = "x".join(str(max(1, round(side / 4)) * 4) for side in (height, width))
        raise UsageError(f"The character networks make sides divisible by 4; got {height}x{width}. The nearest is {near}: choose such a resolution.")
    return height // 4, width // 4


class CharacterGenerator(Generator):
    """[z, embedded label], linear to 7x7x128, transposed 5x5 convolutions with stride 2: 128, c; ReLU, sigmoid (mapped to [-1, 1]).

    Args:
        image_shape: (c, h, w), sides divisible by 4; 28 in the authors' code.
        num_classes: 3740 Chinese characters in the paper.
        latent_dim: of z, U(-1, 1).
        width: half the channels of the maps, a quarter of the embedded label.
    """

    def __init__(self, image_shape: tuple[int, int, int], num_classes: int, *, latent_dim: int = 1024, width: int = 64) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.base = _base(image_shape)
        maps = 2 * width
        self.embedding = LabelEmbedding(num_classes, EMBEDDING * width)
        self.project = nn.Linear(latent_dim + EMBEDDING * width, maps * self.base[0] * self.base[1])
        self.first = nn.BatchNorm1d(maps * self.base[0] * self.base[1])
        self.middle = nn.Sequential(nn.ConvTranspose2d(maps, maps, 5, 2, 2, output_padding=1), nn.BatchNorm2d(maps), nn.ReLU(inplace=True))
        self.last = nn.ConvTranspose2d(maps, image_shape[0], 5, 2, 2, output_padding=1)
        normal_weights(self, 0.02, gain_std=None)
        self.to(memory_format=torch.channels_last)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents [n, latent_dim] and labels [n] to images [n, c, h, w] in [-1, 1]."""
        assert labels is not None, "the character networks are told labels"
        h = self.first(self.project(torch.cat([z, self.embedding(labels)], 1))).relu()
        h = self.middle(rearrange(h, "n (h w c) -> n c h w", h=self.base[0], w=self.base[1]))
        return 2 * torch.sigmoid(self.last(h)) - 1


class CharacterDiscriminator(Discriminator):
    """5x5 convolutions, stride 2, of c + 256 and 64 + 256 channels, linear 1024, one more unit; LeakyReLU .2, the label joined to every input but x.

    Args:
        image_shape: as the generator's.
        num_classes: likewise.
        width: a quarter of the embedded label; the linear layer has 16 times as many units.
    """

    def __init__(self, image_shape: tuple[int, int, int], num_classes: int, *, width: int = 64) -> None:
        super().__init__()
        base, label = _base(image_shape), EMBEDDING * width
        first, second, units = image_shape[0] + label, width + label, 16 * width
        self.embedding = LabelEmbedding(num_classes, label)
        self.first = nn.Conv2d(image_shape[0], first, 5, 2, 2)
        self.second = nn.Sequential(nn.Conv2d(first + label, second, 5, 2, 2), nn.BatchNorm2d(second), nn.LeakyReLU(0.2, inplace=True))
        self.dense = nn.Sequential(nn.Linear(second * base[0] * base[1] + label, units), nn.BatchNorm1d(units), nn.LeakyReLU(0.2, inplace=True))
        self.head = nn.Linear(units + label, 1)
        normal_weights(self, 0.02, gain_std=None)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.trunc_normal_(layer.weight, 0, 0.02, -0.04, 0.04)
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Judgement:
        """Images [n, c, h, w] (as 0 to 1 inside, as the paper feeds them) and labels [n] to logits [n]; features [n, 16 width]."""
        assert labels is not None, "the character networks are told labels"
        y = self.embedding(labels)  # n e
        h = leaky_relu(self.first(x.add(1).div(2)), 0.2)
        h = self.second(torch.cat([h, repeat(y, "n e -> n e h w", h=h.shape[2], w=h.shape[3])], 1))
        features = self.dense(torch.cat([rearrange(h, "n c h w -> n (h w c)"), y], 1))
        return Judgement(self.head(torch.cat([features, y], 1)).squeeze(1), features)
