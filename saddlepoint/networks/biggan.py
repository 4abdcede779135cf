"""BigGAN's networks (Brock, Donahue & Simonyan 2019, arXiv:1809.11096, appendix B, Tables 4-6), which with other settings are also SAGAN's.

G: a linear layer to a small map, residual blocks that double it, their norms modulated by the class and by a piece of z (skip-z), attention at one
size, norm, ReLU, conv3, tanh. D: residual blocks that halve the image, attention at the same size, ReLU, SUM over the map, a linear layer plus the
product with an embedding of the class. Spectral norm everywhere but in G's shared embedding. Channels are multiples of ``width`` (the paper's ch):

    image   G                              D
    32      4 4 4 4                        4 4 4 4 (two halvings)          as in the first author's code
    64      16 16 8 4 2                    1 2 4 8 16
    128     16 16 8 4 2 1                  1 2 4 8 16 16
    256     16 16 8 8 4 2 1                1 2 4 8 8 16 16
    512     16 16 8 8 4 2 1 1              1 1 2 4 8 8 16 16

D's last block does not halve. A row belongs to its number of doublings, so that 48 = 6 * 8 has that of 32; above 512 ones are added.

Axes: n batch, c channels, h w image, d latent, e condition, k classes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from saddlepoint.errors import UsageError
from saddlepoint.networks.attention import SelfAttention
from saddlepoint.networks.base import Discriminator, Generator, Judgement
from saddlepoint.networks.classnorm import MakeNorm, modulate, norm_maker
from saddlepoint.networks.convolution import Convolution, Resample
from saddlepoint.networks.layers import pyramid
from saddlepoint.networks.norms import ConditionalBatchNorm, class_rows
from saddlepoint.networks.resnet import DiscriminatorBlock
from saddlepoint.networks.spectral import FIRST_ITERATIONS, Embedding, Linear, refresh_spectral_norms

Start = Literal["orthogonal", "normal", "xavier"]

GENERATOR: dict[int, tuple[int, ...]] = {
    3: (4, 4, 4, 4),
    4: (16, 16, 8, 4, 2),
    5: (16, 16, 8, 4, 2, 1),
    6: (16, 16, 8, 8, 4, 2, 1),
    7: (16, 16, 8, 8, 4, 2, 1, 1),
}
DISCRIMINATOR: dict[int, tuple[int, ...]] = {
    3: (4, 4, 4, 4),
    4: (1, 2, 4, 8, 16),
    5: (1, 2, 4, 8, 16, 16),
    6: (1, 2, 4, 8, 8, 16, 16),
    7: (1, 1, 2, 4, 8, 8, 16, 16),
}


def generator_channels(doublings: int, width: int) -> list[int]:
    """Channels of G's smallest map and after each doubling.

    >>> generator_channels(5, 96)
    [1536, 1536, 768, 384, 192, 96]
    """
    row = GENERATOR[max(3, min(7, doublings))][: max(doublings, 1) + 1]
    return [width * c for c in (*row, *(1,) * (doublings - 7))]


def discriminator_channels(halvings: int, width: int) -> list[int]:
    """Channels after each block of D."""
    return [width * c for c in (*(1,) * (halvings - 7), *DISCRIMINATOR[max(3, min(7, halvings))])]


def halvings_of(doublings: int) -> int:
    """How many of D's blocks halve the map: all that it takes to reach G's smallest one, two for images of the first row."""
    return doublings if doublings > 3 else min(doublings, 2)


def attention_levels(sides: Sequence[int], wanted: Sequence[int]) -> set[int]:
    """Numbers of the maps with attention: for each wanted side the first among the largest maps up to it.

    >>> attention_levels([64, 32, 16, 8, 4, 4], [64]), attention_levels([7, 14, 28], [16]), attention_levels([16, 8], [4])
    ({0}, {1}, set())
    """
    fitting = [[side for side in sides if side <= most] for most in wanted]
    return {sides.index(max(known)) for known in fitting if known}


@torch.no_grad()
def start_weights(network: nn.Module, start: Start) -> None:
    """Fill the weights of all linear, convolutional and embedding layers, and of gains by class for "normal"; biases stay 0.

    Args:
        network: changed in place.
        start: "orthogonal" (BigGAN), "normal": N(0, .02) (the CIFAR-10 script of the first author's code), "xavier": Glorot-uniform (SAGAN).
    """
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.Embedding):
            if start == "orthogonal":
                nn.init.orthogonal_(layer.weight)
            elif start == "normal":
                layer.weight.normal_(0, 0.02)
            else:
                nn.init.xavier_uniform_(layer.weight)
        elif isinstance(layer, ConditionalBatchNorm) and start == "normal":
            layer.gain.normal_(1, 0.02)
            layer.bias.normal_(0, 0.02)
    refresh_spectral_norms(network, FIRST_ITERATIONS)


class GeneratorBlock(nn.Module):
    """norm, ReLU, doubling, conv3, norm, ReLU, conv3; shortcut doubling, conv1: [n, c, h, w] -> [n, o, 2h, 2w]."""

    def __init__(self, c: int, o: int, make_norm: MakeNorm) -> None:
        super().__init__()
        self.norm1, self.norm2 = make_norm(c), make_norm(o)
        self.conv1 = Convolution(c, o, resample="up", spectral_norm=True)
        self.conv2 = Convolution(o, o, spectral_norm=True)
        self.shortcut = Convolution(c, o, 1, resample="up", spectral_norm=True)

    def forward(self, x: Tensor, condition: Tensor | None) -> Tensor:
        """Features and the condition of the norms to the next features."""
        h = self.conv1(F.relu(modulate(self.norm1, x, condition), inplace=True))
        h = self.conv2(F.relu(modulate(self.norm2, h, condition), inplace=True))
        y: Tensor = h + self.shortcut(x)
        return y


class ClassConditionalGenerator(Generator):
    """What BigGAN and BigGAN-deep share: classes become a condition that can be mixed, and pictures are made of z and the condition.

    Args:
        latent_dim: d of z.
        num_classes: k; None: no labels.
        shared_dim: of the embedding of the class that all norms share; None: each norm has a gain and a bias for each class.
    """

    def __init__(self, latent_dim: int, num_classes: int | None, shared_dim: int | None) -> None:
        super().__init__()
        self.latent_dim, self.num_classes = latent_dim, num_classes
        self.shared = nn.Embedding(num_classes, shared_dim) if num_classes and shared_dim else None

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents [n, d] and classes, int64 [n] or weights [n, k] for pictures between them, to images [n, c, h, w] in [-1, 1].

        Raises:
            UsageError: where the generator is conditional and no labels came.
        """
        return self.render(z, self.embed(labels))

    def embed(self, labels: Tensor | None) -> Tensor | None:
        """The condition [n, e] of the shared embedding; without one the labels themselves."""
        if self.num_classes is None:
            return None
        if labels is None:
            raise UsageError(f"This generator is conditional on {self.num_classes} classes and needs labels; got none. Use data with labels.")
        return labels if self.shared is None else class_rows(self.shared.weight, labels)

    def render(self, z: Tensor, condition: Tensor | None) -> Tensor:
        """Latents [n, d] and what :meth:`embed` gives, or a mixture of such, to images."""
        raise NotImplementedError(f"{type(self).__name__} must say how z becomes an image.")


class BigGANGenerator(ClassConditionalGenerator):
    """z and a class to an image.

    Args:
        image_shape: (c, h, w); sides 4 to 7 times a power of two, or a multiple of it.
        latent_dim: d of z; 120 at 128x128.
        width: ch.
        num_classes: k; None: no labels.
        shared_dim: of the shared embedding; None: a table of gains and biases for each norm, as in SAGAN.
        hierarchical: cut z into a piece for the linear layer and one for each block; the first ones are longer where it cannot be even.
        attention: sides of the maps that look at themselves; of each the largest level up to it.
        eps: of batch normalisation.
        start: of the weights.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        latent_dim: int = 120,
        *,
        width: int = 96,
        num_classes: int | None = None,
        shared_dim: int | None = 128,
        hierarchical: bool = True,
        attention: Sequence[int] = (64,),
        eps: float = 1e-4,
        start: Start = "orthogonal",
    ) -> None:
        super().__init__(latent_dim, num_classes, shared_dim)
        *self.base, doublings = pyramid(image_shape, 4, "BigGAN")
        channels = generator_channels(doublings, width)
        self.chunks = _cut(latent_dim, doublings + 1) if hierarchical else [latent_dim]
        embedded = 0 if self.shared is None else self.shared.embedding_dim
        self.project = Linear(self.chunks[0], math.prod(self.base) * channels[0], spectral_norm=True)
        pieces = self.chunks[1:] if hierarchical else [0] * doublings
        attended = attention_levels([min(self.base) * 2 ** (i + 1) for i in range(doublings)], attention)
        self.blocks, self.attention = nn.ModuleList(), nn.ModuleDict()
        for i, (c, o) in enumerate(zip(channels, channels[1:], strict=False)):
            self.blocks.append(GeneratorBlock(c, o, norm_maker(embedded + pieces[i], num_classes, eps)))
            if i in attended:
                self.attention[str(i)] = SelfAttention(o)
        self.norm = nn.BatchNorm2d(channels[-1], eps=eps)
        self.to_image = Convolution(channels[-1], image_shape[0], spectral_norm=True)
        start_weights(self, start)
        self.to(memory_format=torch.channels_last)

    def render(self, z: Tensor, condition: Tensor | None) -> Tensor:
        """Latents [n, d] and the condition to images [n, c, h, w] in [-1, 1]."""
        first, *pieces = torch.split(z, self.chunks, 1)
        h = rearrange(self.project(first), "n (h w c) -> n c h w", h=self.base[0], w=self.base[1])
        for i, block in enumerate(self.blocks):
            v = condition
            if pieces:
                v = pieces[i] if condition is None else torch.cat([condition, pieces[i]], 1)  # n e
            h = block(h, v)
            h = self.attention[str(i)](h) if str(i) in self.attention else h
        return torch.tanh(self.to_image(F.relu(self.norm(h), inplace=True)))


def _cut(length: int, pieces: int) -> list[int]:
    if length < pieces:
        raise UsageError(f"A hierarchical z is cut into {pieces} pieces here; it has {length} numbers. Choose a larger latent_dim.")
    return [length // pieces + (i < length % pieces) for i in range(pieces)]


class ClassDiscriminator(Discriminator):
    """The end that BigGAN's and BigGAN-deep's D share: ReLU, sum over the map, linear layer, projection on the class.

    Subclasses define ``maps`` and call :meth:`finish` when their layers are made.
    """

    def finish(self, features: int, num_classes: int | None, start: Start) -> None:
        """Add the last layers."""
        self.num_classes = num_classes
        self.to_logit = Linear(features, 1, spectral_norm=True)
        self.embedding = Embedding(num_classes, features, spectral_norm=True) if num_classes else None
        start_weights(self, start)
        self.to(memory_format=torch.channels_last)

    def maps(self, x: Tensor) -> Tensor:
        """Images [n, c, h, w] to the last map [n, d, h', w'], before its ReLU."""
        raise NotImplementedError(f"{type(self).__name__} must say how an image becomes a map.")

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Judgement:
        """Images [n, c, h, w] and int64 [n] -> logits [n]; features [n, d] are the summed map.

        Raises:
            UsageError: where D is conditional and no labels came.
        """
        if self.num_classes and labels is None:
            raise UsageError(f"This discriminator is conditional on {self.num_classes} classes and needs labels; got none. Use data with labels.")
        features = F.relu(self.maps(x)).sum((2, 3))
        logits = self.to_logit(features).squeeze(1)
        if self.embedding is not None:
            logits = logits + (self.embedding(labels) * features).sum(1)
        return Judgement(logits, features)


class BigGANDiscriminator(ClassDiscriminator):
    """Blocks whose hidden channels are those that leave, the first without a ReLU before it.

    Args:
        image_shape: (c, h, w), as of the generator.
        width: ch.
        num_classes: k; None: no labels.
        attention: as of the generator.
        start: of the weights.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        *,
        width: int = 96,
        num_classes: int | None = None,
        attention: Sequence[int] = (64,),
        start: Start = "orthogonal",
    ) -> None:
        super().__init__()
        *_, doublings = pyramid(image_shape, 4, "BigGAN")
        halvings, channels = halvings_of(doublings), [image_shape[0], *discriminator_channels(doublings, width)]
        sides = [min(image_shape[1:]) // 2 ** min(i + 1, halvings) for i in range(len(channels) - 1)]
        attended = attention_levels(sides, attention)
        self.blocks = nn.Sequential()
        for i, (c, o) in enumerate(zip(channels, channels[1:], strict=False)):
            resample: Resample | None = "down" if i < halvings else None
            shared: Any = {"norm": "none", "spectral_norm": True, "normed_biases": True, "wide": True}
            self.blocks.append(DiscriminatorBlock(c, o, resample=resample, pixels=i == 0, **shared))
            if i in attended:
                self.blocks.append(SelfAttention(o))
        self.finish(channels[-1], num_classes, start)

    def maps(self, x: Tensor) -> Tensor:
        """Images [n, c, h, w] to the last map, before its ReLU."""
        h: Tensor = self.blocks(x)
        return h
