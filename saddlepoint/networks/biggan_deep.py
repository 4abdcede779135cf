"""BigGAN-deep's networks (Brock, Donahue & Simonyan 2019, arXiv:1809.11096, appendix B, Tables 7-9).

Bottleneck blocks, two to a size: 1x1 to a quarter of the channels, two 3x3, 1x1 back. The class embedding and the whole of z modulate every norm of G
and enter its linear layer. Where channels fall, G's shortcut keeps the first of them; where they rise, D's shortcut keeps all and appends a 1x1
convolution's. Channels are those of :mod:`saddlepoint.networks.biggan`, D's first number being a plain 3x3 convolution's.

Axes: n batch, c channels, h w image, d latent, e condition, k classes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from saddlepoint.networks.attention import SelfAttention
from saddlepoint.networks.biggan import (
    ClassConditionalGenerator,
    ClassDiscriminator,
    Start,
    attention_levels,
    discriminator_channels,
    generator_channels,
    halvings_of,
    start_weights,
)
from saddlepoint.networks.classnorm import LinearBatchNorm
from saddlepoint.networks.convolution import Convolution, double_pixels
from saddlepoint.networks.layers import pyramid
from saddlepoint.networks.spectral import Linear

RATIO = 4  #: of a block's channels to those of its 3x3 convolutions


class DeepGeneratorBlock(nn.Module):
    """[n, c, h, w] -> [n, o, h, w], or twice the size; o is at most c.

    Args:
        c: channels in.
        o: channels out.
        condition_dim: e.
        up: whether the map is doubled, before the first 3x3 convolution.
        eps: of batch normalisation.
    """

    def __init__(self, c: int, o: int, condition_dim: int, *, up: bool, eps: float) -> None:
        super().__init__()
        hidden = max(1, c // RATIO)
        self.out, self.up = o, up
        self.norm1 = LinearBatchNorm(c, condition_dim, eps)
        self.norm2, self.norm3, self.norm4 = (LinearBatchNorm(hidden, condition_dim, eps) for _ in range(3))
        self.conv1 = Convolution(c, hidden, 1, spectral_norm=True)
        self.conv2 = Convolution(hidden, hidden, resample="up" if up else None, spectral_norm=True)
        self.conv3 = Convolution(hidden, hidden, spectral_norm=True)
        self.conv4 = Convolution(hidden, o, 1, spectral_norm=True)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Features and the condition [n, e] to the next features."""
        h = self.conv1(F.relu(self.norm1(x, condition), inplace=True))
        h = self.conv2(F.relu(self.norm2(h, condition), inplace=True))
        h = self.conv3(F.relu(self.norm3(h, condition), inplace=True))
        h = self.conv4(F.relu(self.norm4(h, condition), inplace=True))
        kept = x[:, : self.out]
        y: Tensor = h + (double_pixels(kept) if self.up else kept)
        return y


class BigGANDeepGenerator(ClassConditionalGenerator):
    """z and a class to an image.

    Args:
        image_shape: (c, h, w); sides 4 to 7 times a power of two, or a multiple of it.
        latent_dim: d of z; 128 at 128x128.
        width: ch; 128.
        num_classes: k; None: no labels.
        shared_dim: of the embedding of the class.
        depth: blocks a size.
        attention: sides of the maps that look at themselves; of each the largest level up to it.
        eps: of batch normalisation.
        start: of the weights.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        latent_dim: int = 128,
        *,
        width: int = 128,
        num_classes: int | None = None,
        shared_dim: int = 128,
        depth: int = 2,
        attention: Sequence[int] = (64,),
        eps: float = 1e-4,
        start: Start = "orthogonal",
    ) -> None:
        super().__init__(latent_dim, num_classes, shared_dim)
        *self.base, doublings = pyramid(image_shape, 4, "BigGAN-deep")
        channels = generator_channels(doublings, width)
        condition = latent_dim + (shared_dim if num_classes else 0)
        self.project = Linear(condition, math.prod(self.base) * channels[0], spectral_norm=True)
        attended = attention_levels([min(self.base) * 2 ** (i + 1) for i in range(doublings)], attention)
        self.blocks, self.attention = nn.ModuleList(), nn.ModuleDict()
        for i, (c, o) in enumerate(zip(channels, channels[1:], strict=False)):
            for j in range(depth):
                last = j == depth - 1
                self.blocks.append(DeepGeneratorBlock(c, o if last else c, condition, up=last, eps=eps))
            if i in attended:
                self.attention[str(len(self.blocks) - 1)] = SelfAttention(o)
        self.norm = nn.BatchNorm2d(channels[-1], eps=eps)
        self.to_image = Convolution(channels[-1], image_shape[0], spectral_norm=True)
        start_weights(self, start)
        self.to(memory_format=torch.channels_last)

    def render(self, z: Tensor, condition: Tensor | None) -> Tensor:
        """Latents [n, d] and the embedded classes to images [n, c, h, w] in [-1, 1]."""
        v = z if condition is None else torch.cat([condition, z], 1)  # n e
        h = rearrange(self.project(v), "n (h w c) -> n c h w", h=self.base[0], w=self.base[1])
        for i, block in enumerate(self.blocks):
            h = block(h, v)
            h = self.attention[str(i)](h) if str(i) in self.attention else h
        return torch.tanh(self.to_image(F.relu(self.norm(h), inplace=True)))


class DeepDiscriminatorBlock(nn.Module):
    """[n, c, h, w] -> [n, o, h, w], or half the size; o is at least c."""

    def __init__(self, c: int, o: int, *, down: bool) -> None:
        super().__init__()
        hidden = max(1, o // RATIO)
        self.down = down
        self.conv1 = Convolution(c, hidden, 1, spectral_norm=True)
        self.conv2 = Convolution(hidden, hidden, spectral_norm=True)
        self.conv3 = Convolution(hidden, hidden, spectral_norm=True)
        self.conv4 = Convolution(hidden, o, 1, resample="down" if down else None, spectral_norm=True)  # the mean of 2x2 comes before a 1x1
        self.shortcut = Convolution(c, o - c, 1, spectral_norm=True) if o > c else None

    def forward(self, x: Tensor) -> Tensor:
        """Features to the next features."""
        h = self.conv3(F.relu(self.conv2(F.relu(self.conv1(F.relu(x))))))
        h = self.conv4(F.relu(h))
        x = F.avg_pool2d(x, 2) if self.down else x
        y: Tensor = h + (x if self.shortcut is None else torch.cat([x, self.shortcut(x)], 1))
        return y


class BigGANDeepDiscriminator(ClassDiscriminator):
    """A 3x3 convolution, then bottleneck blocks.

    Args:
        image_shape: (c, h, w), as of the generator.
        width: ch; 128.
        num_classes: k; None: no labels.
        depth: blocks a size; the first of them halves.
        attention: as of the generator.
        start: of the weights.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        *,
        width: int = 128,
        num_classes: int | None = None,
        depth: int = 2,
        attention: Sequence[int] = (64,),
        start: Start = "orthogonal",
    ) -> None:
        super().__init__()
        *_, doublings = pyramid(image_shape, 4, "BigGAN-deep")
        halvings, channels = halvings_of(doublings), discriminator_channels(doublings, width)
        attended = attention_levels([min(image_shape[1:]) // 2 ** min(i + 1, halvings) for i in range(len(channels) - 1)], attention)
        self.stem = Convolution(image_shape[0], channels[0], spectral_norm=True)
        self.blocks = nn.Sequential()
        for i, (c, o) in enumerate(zip(channels, channels[1:], strict=False)):
            for j in range(depth):
                self.blocks.append(DeepDiscriminatorBlock(o if j else c, o, down=i < halvings and j == 0))
            if i in attended:
                self.blocks.append(SelfAttention(o))
        self.finish(channels[-1], num_classes, start)

    def maps(self, x: Tensor) -> Tensor:
        """Images [n, c, h, w] to the last map, before its ReLU."""
        h: Tensor = self.blocks(self.stem(x))
        return h
