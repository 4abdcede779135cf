"""The networks of text to image: GAN-CLS (Reed et al. 2016, arXiv:1605.05396) and StackGAN's first stage (Zhang et al. 2017, arXiv:1612.03242).

Widths and layers as in the released codes. A caption is a vector of the text encoder. Convolutions have no bias where batch normalisation follows
(the first code sets them to 0 every step).

Axes: n batch, c channels, h w image, d latent, e caption.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from saddlepoint.draws import draws_like
from saddlepoint.errors import UsageError
from saddlepoint.networks.base import Discriminator, Generator, Judgement
from saddlepoint.networks.convolution import double_pixels
from saddlepoint.networks.initialisation import normal_weights
from saddlepoint.networks.layers import Halving, doubling, pyramid

SLOPE = 0.2
CODE = 128  # of a caption behind its linear layer

Up = Literal["transposed", "nearest"]


class CaptionGenerator(Generator):
    """A generator that is told captions.

    Attributes:
        caption_dim: e.
    """

    caption_dim: int


def needed(captions: Tensor | None, dim: int) -> Tensor:
    """The captions, or one line for who has none."""
    if captions is None:
        raise UsageError(f"This network is told captions, vectors of {dim} numbers; got none. Use data with captions.")
    return captions


class Residual(nn.Module):
    """x plus three convolutions of it, 1x1, 3x3 and 3x3, with a quarter of the channels between; then the activation."""

    def __init__(self, channels: int, activation: nn.Module) -> None:
        super().__init__()
        inner = max(1, channels // 4)
        self.layers = nn.Sequential(
            nn.Conv2d(channels, inner, 1, bias=False),
            nn.BatchNorm2d(inner),
            activation,
            nn.Conv2d(inner, inner, 3, padding=1, bias=False),
            nn.BatchNorm2d(inner),
            activation,
            nn.Conv2d(inner, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] -> the same."""
        y: Tensor = self.activation(x + self.layers(x))
        return y


class NearestDoubling(nn.Module):
    """Every pixel to a square of four, then a 3x3 convolution."""

    def __init__(self, channels: int, out_channels: int, *, bias: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out_channels, 3, padding=1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """[n, channels, h, w] -> [n, out_channels, 2h, 2w]."""
        y: Tensor = self.conv(double_pixels(x))
        return y


class Augmentation(nn.Module):
    """Conditioning augmentation (Zhang et al. 2017, section 3.2): a caption becomes N(mu, sigma^2), from which its code is drawn.

    Args:
        caption_dim: e.
        code_dim: of mu and sigma.
        drawn: without, the code is mu: the arm without augmentation.
    """

    def __init__(self, caption_dim: int, code_dim: int = CODE, *, drawn: bool = True) -> None:
        super().__init__()
        self.drawn = drawn
        self.linear = nn.Linear(caption_dim, 2 * code_dim)

    def moments(self, captions: Tensor) -> tuple[Tensor, Tensor]:
        """mu and log sigma, [n, code_dim] each."""
        mean, log_std = F.leaky_relu(self.linear(captions), SLOPE).chunk(2, 1)
        return mean, log_std

    def forward(self, captions: Tensor) -> Tensor:
        """[n, e] -> [n, code_dim]."""
        mean, log_std = self.moments(captions)
        return mean + log_std.exp() * draws_like(mean).normal(*mean.shape) if self.drawn else mean


def conditioning_kl(mean: Tensor, log_std: Tensor) -> Tensor:
    """KL(N(mean, std^2) || N(0, 1)), the mean over the numbers of a code as in the released code, [n].

    >>> conditioning_kl(torch.zeros(1, 2), torch.zeros(1, 2)).item(), conditioning_kl(torch.ones(1, 2), torch.zeros(1, 2)).item()
    (0.0, 0.5)
    """
    return (-log_std + 0.5 * ((2 * log_std).exp() + mean**2 - 1)).mean(1)


class ReedGenerator(CaptionGenerator):
    """z and the caption's code to a small map, then doublings, each with half the channels of the one before.

    The first and the second map pass a residual block (1024 and 512 channels at width 128 and 64 pixels).

    Args:
        image_shape: (c, h, w); sides 4 to 7 times a power of two.
        caption_dim: e.
        latent_dim: of z.
        width: channels of the largest hidden map.
        up: "transposed" 4x4 convolutions (GAN-CLS), or "nearest" pixels and 3x3 convolutions (StackGAN).
        code: makes the code from the caption; None: a linear layer with LeakyReLU.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        caption_dim: int,
        *,
        latent_dim: int = 100,
        width: int = 128,
        up: Up = "transposed",
        code: Augmentation | None = None,
    ) -> None:
        super().__init__()
        height, across, doublings = pyramid(image_shape, 4, "This generator")
        self.latent_dim, self.caption_dim, self.base = latent_dim, caption_dim, (height, across)
        channels = [width << (doublings - 1 - k) for k in range(doublings)]
        self.code: nn.Module = code or nn.Sequential(nn.Linear(caption_dim, CODE), nn.LeakyReLU(SLOPE))
        self.first = nn.Linear(latent_dim + CODE, channels[0] * height * across, bias=False)
        self.norm = nn.BatchNorm2d(channels[0])
        self.residual = Residual(channels[0], nn.ReLU())
        layers: list[nn.Module] = []
        for k, (wide, narrow) in enumerate(zip(channels, channels[1:], strict=False)):
            layers += [_up(up, wide, narrow), nn.BatchNorm2d(narrow), Residual(narrow, nn.ReLU()) if k == 0 else nn.ReLU()]
        self.layers = nn.Sequential(*layers, _up(up, channels[-1], image_shape[0], bias=True), nn.Tanh())
        normal_weights(self)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents [n, d] and captions [n, e] to images [n, c, h, w]."""
        code = self.code(needed(labels, self.caption_dim))
        h = rearrange(self.first(torch.cat([z, code], 1)), "n (h w c) -> n c h w", h=self.base[0], w=self.base[1])
        x: Tensor = self.layers(self.residual(self.norm(h)))
        return x


def _up(kind: Up, channels: int, out_channels: int, *, bias: bool = False) -> nn.Module:
    return doubling(channels, out_channels, 4, bias=bias) if kind == "transposed" else NearestDoubling(channels, out_channels, bias=bias)


class ReedDiscriminator(Discriminator):
    """Strided 4x4 convolutions to a small map, a residual block, the caption's code beside every place, and one number.

    Args:
        image_shape: (c, h, w).
        caption_dim: e.
        width: channels of the first map; twice as many with each halving, at most 8 times.
        told: without, the caption is not looked at: the arm without text.
    """

    def __init__(self, image_shape: tuple[int, int, int], caption_dim: int, *, width: int = 64, told: bool = True) -> None:
        super().__init__()
        height, across, halvings = pyramid(image_shape, 4, "This discriminator")
        self.caption_dim, self.told = caption_dim, told
        channels = [width * min(2**k, 2 ** max(3, halvings - 1)) for k in range(halvings)]
        layers: list[nn.Module] = [Halving(image_shape[0], channels[0], 4, bias=True), nn.LeakyReLU(SLOPE)]
        for k, (narrow, wide) in enumerate(zip(channels, channels[1:], strict=False)):
            layers += [Halving(narrow, wide, 4), nn.BatchNorm2d(wide), *([nn.LeakyReLU(SLOPE)] if k == 0 else [])]
        self.layers = nn.Sequential(*layers, Residual(channels[-1], nn.LeakyReLU(SLOPE)))
        self.code = nn.Sequential(nn.Linear(caption_dim, CODE, bias=False), nn.BatchNorm1d(CODE), nn.LeakyReLU(SLOPE)) if told else None
        self.joint = nn.Sequential(
            nn.Conv2d(channels[-1] + (CODE if told else 0), channels[-1], 1, bias=False), nn.BatchNorm2d(channels[-1]), nn.LeakyReLU(SLOPE)
        )
        self.head = nn.Linear(channels[-1] * height * across, 1)
        normal_weights(self)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Judgement:
        """Images [n, c, h, w] and captions [n, e] to logits [n]; features [n, f] are the joint map."""
        h = self.layers(x)
        if self.code is not None:
            code = self.code(needed(labels, self.caption_dim))
            h = torch.cat([h, code[:, :, None, None].expand(-1, -1, *h.shape[2:])], 1)
        features = self.joint(h).flatten(1)
        return Judgement(self.head(features).squeeze(1), features)
