"""StyleGAN2's generator: Karras et al. 2020 (arXiv:1912.04958), and its grid of architectures (section 4, Figure 7).

    z -> mapping -> w;  constant -> [double, styled conv3,] styled conv3 a level;  images: "skip" adds up an image of every level,
    "resnet" adds a 1x1 convolution around each level, "orig" makes an image at the top only

Any size that is a base of 4 to 7 pixels times a power of two, any number of channels.

Axes: n batch, c channels, h w image, d style code, l layers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from saddlepoint.networks.convolution import double_pixels
from saddlepoint.networks.equalised import EqualisedConv2d
from saddlepoint.networks.growing import blend
from saddlepoint.networks.layers import pyramid
from saddlepoint.networks.mapping import MappingNetwork, StyledGenerator
from saddlepoint.networks.modulated import NoiseMode, StyledConv2d, ToImage
from saddlepoint.networks.upfirdn import BINOMIAL, conv_up, fir_up, kernel_of

Architecture = Literal["orig", "skip", "resnet"]


@dataclass(frozen=True, kw_only=True)
class Channels:
    """Channels by level: min(base / pixels, most), where level k counts as 4 * 2^k pixels."""

    base: int = 32768
    most: int = 512

    def __call__(self, level: int) -> int:
        """Channels at a level.

        >>> [Channels()(level) for level in range(9)]
        [512, 512, 512, 512, 512, 256, 128, 64, 32]
        """
        return max(1, min(self.base >> (level + 2), self.most))


class _Level(nn.Module):
    """Styled convolutions of one resolution: the first doubles the image, except at the base."""

    filter: Tensor

    def __init__(
        self, c: int | None, o: int, code_dim: int, size: tuple[int, int], *, noise: bool, taps: tuple[float, ...], architecture: Architecture
    ) -> None:
        super().__init__()
        residual = architecture == "resnet" and c is not None
        layer = partial(StyledConv2d, code_dim=code_dim, size=size, noise=noise, taps=taps)
        self.convs = nn.ModuleList([layer(c, o, up=True)] if c is not None else [])
        self.convs.append(layer(o, o, gain=math.sqrt(0.5) if residual else 1.0))
        self.skip = EqualisedConv2d(c, o, 1, gain=math.sqrt(0.5), bias=False) if residual and c is not None else None
        self.register_buffer("filter", kernel_of(taps).float(), persistent=False)

    def forward(self, x: Tensor, codes: tuple[Tensor, ...], mode: NoiseMode) -> Tensor:
        """x [n, c, h, w] and one code [n, d] a layer to [n, o, h', w']."""
        around = None if self.skip is None else conv_up(x, self.skip.used_weight(), self.filter)
        for conv, code in zip(self.convs, codes, strict=True):
            x = conv(x, code, mode)
        return x if around is None else around.add_(x)


class StyleGAN2Generator(StyledGenerator):
    """z [n, latent_dim] to images [n, c, h, w], not bounded.

    Args:
        image_shape: (c, h, w).
        latent_dim: of z.
        code_dim: d of w.
        mapping_layers: of the mapping network.
        channels: by level.
        architecture: "skip" is the paper's choice.
        growing: every level can make images, as in configurations B to D; needs "orig".
        num_classes: k, or None.
        style_mixing: probability of mixing styles while training.
        noise: whether layers have noise.
        taps: of the low-pass filter.
        truncated_layers: how many layers truncation reaches; None is all.
    """

    filter: Tensor

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        *,
        latent_dim: int = 512,
        code_dim: int = 512,
        mapping_layers: int = 8,
        channels: Channels | None = None,
        architecture: Architecture = "skip",
        growing: bool = False,
        num_classes: int | None = None,
        style_mixing: float = 0.9,
        noise: bool = True,
        taps: tuple[float, ...] = BINOMIAL,
        truncated_layers: int | None = None,
    ) -> None:
        *base, top = pyramid(image_shape, 4, "StyleGAN2")
        super().__init__(top)
        nf = channels or Channels()
        self.latent_dim, self.num_layers = latent_dim, 2 * top + 2
        self.style_mixing, self.truncated_layers = style_mixing, truncated_layers
        self.noise_mode: NoiseMode = "random"
        self.architecture, self.growing = architecture, growing
        self.mapping = MappingNetwork(latent_dim, code_dim, layers=mapping_layers, num_classes=num_classes)
        self.constant = nn.Parameter(torch.randn(1, nf(0), *base))
        self.levels, self.to_image = nn.ModuleList(), nn.ModuleDict()
        for level in range(top + 1):
            size = (base[0] << level, base[1] << level)
            self.levels.append(_Level(nf(level - 1) if level else None, nf(level), code_dim, size, noise=noise, taps=taps, architecture=architecture))
            if growing or architecture == "skip" or level == top:
                self.to_image[str(level)] = ToImage(nf(level), image_shape[0], code_dim)
        self.register_buffer("filter", kernel_of(taps).float(), persistent=False)
        self.to(memory_format=torch.channels_last)

    def synthesis(self, ws: Tensor) -> Tensor:
        """Codes [n, l, d] to images [n, c, h, w] of the level in play."""
        stop, alpha = self.stage
        codes = ws.unbind(1)
        x: Tensor = self.constant.expand(ws.shape[0], -1, -1, -1)
        before: Tensor = x
        image: Tensor | None = None
        for level in range(stop + 1):
            before, x = x, self.levels[level](x, codes[max(2 * level - 1, 0) : 2 * level + 1], self.noise_mode)
            if self.architecture == "skip":
                new = self._image(level, x, codes)
                image = new if image is None else fir_up(image, self.filter).add_(new)
        if image is not None:
            return image
        if alpha is None:
            return self._image(stop, x, codes)
        return blend(double_pixels(self._image(stop - 1, before, codes)), self._image(stop, x, codes), alpha)

    def _image(self, level: int, x: Tensor, codes: tuple[Tensor, ...]) -> Tensor:
        image: Tensor = self.to_image[str(level)](x, codes[2 * level + 1])  # the code of the layer that comes next
        return image
