"""StyleGAN2's discriminator: Karras et al. 2020 (arXiv:1912.04958), section 4; conditional by projection on a mapped label (arXiv:2006.06676).

    "resnet"  conv3, filter and conv3 with stride 2, beside filter and conv1, a level; the sum divided by sqrt(2)
    "skip"    every level also looks at the image, filtered down to its size
    "orig"    the plain stack, which can grow

Axes: n batch, c channels, h w image, d features.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saddlepoint.networks.base import Discriminator, Judgement
from saddlepoint.networks.convolution import conv2d
from saddlepoint.networks.equalised import EqualisedConv2d, EqualisedLinear, MinibatchStddev
from saddlepoint.networks.growing import Growing, blend, halve_pixels
from saddlepoint.networks.layers import pyramid
from saddlepoint.networks.mapping import MappingNetwork
from saddlepoint.networks.stylegan2 import Architecture, Channels
from saddlepoint.networks.upfirdn import BINOMIAL, conv_down, fir_down, kernel_of

SLOPE = 0.2


class ActivatedConv2d(EqualisedConv2d):
    """Convolution, bias, LeakyReLU .2 times sqrt(2), which is folded into weight and bias.

    Args:
        c: channels in.
        o: channels out.
        kernel: its odd side.
        down: filter [t, t] before the convolution, which then has stride 2.
        gain: of the output; sqrt(1/2) before a residual sum.
    """

    filter: Tensor | None

    def __init__(self, c: int, o: int, kernel: int = 3, *, down: Tensor | None = None, gain: float = 1.0) -> None:
        super().__init__(c, o, kernel, gain=gain * math.sqrt(2))
        self.register_buffer("filter", down, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] -> [n, o, h', w']."""
        weight, bias = self.used_weight(), self.used_bias(self.gain)
        if self.filter is None:
            return F.leaky_relu_(conv2d(x, weight, bias, padding=weight.shape[-1] // 2), SLOPE)
        return F.leaky_relu_(conv_down(x, weight, bias, self.filter), SLOPE)


class _Level(nn.Module):
    """The layers of one resolution; the second halves the image."""

    def __init__(self, c: int, o: int, *, taps: tuple[float, ...], residual: bool) -> None:
        super().__init__()
        down = kernel_of(taps).float()
        self.first = ActivatedConv2d(c, c)
        self.second = ActivatedConv2d(c, o, down=down, gain=math.sqrt(0.5) if residual else 1.0)
        self.skip = EqualisedConv2d(c, o, 1, gain=math.sqrt(0.5), bias=False) if residual else None

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] -> [n, o, h/2, w/2]."""
        y: Tensor = self.second(self.first(x))
        if self.skip is None or self.second.filter is None:
            return y
        return conv_down(x, self.skip.used_weight(), None, self.second.filter).add_(y)


class StyleGAN2Discriminator(Growing, Discriminator):
    """Images [n, c, h, w] of the level in play to logits [n].

    Args:
        image_shape: (c, h, w).
        channels: by level, as G's.
        architecture: "resnet" is the paper's choice.
        growing: every level can look at images, as in configurations B to D; needs "orig".
        num_classes: k, or None.
        stddev_group: of the minibatch's deviation; None compares the whole batch, 0 leaves the layer out.
        stddev_channels: maps of it.
        mapping_layers: of the label's mapping network.
        taps: of the low-pass filter.
    """

    filter: Tensor

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        *,
        channels: Channels | None = None,
        architecture: Architecture | Literal["resnet"] = "resnet",
        growing: bool = False,
        num_classes: int | None = None,
        stddev_group: int | None = 4,
        stddev_channels: int = 1,
        mapping_layers: int = 8,
        taps: tuple[float, ...] = BINOMIAL,
    ) -> None:
        height, width, top = pyramid(image_shape, 4, "StyleGAN2")
        super().__init__(top)
        nf, self.architecture = channels or Channels(), architecture
        self.levels, self.from_image = nn.ModuleList(), nn.ModuleDict()  # of level 1 first
        for level in range(top + 1):
            if level:
                self.levels.append(_Level(nf(level), nf(level - 1), taps=taps, residual=architecture == "resnet"))
            if growing or architecture == "skip" or level == top:
                self.from_image[str(level)] = ActivatedConv2d(image_shape[0], nf(level), 1)
        stddev = stddev_group != 0 and stddev_channels > 0
        self.stddev = MinibatchStddev(stddev_group, stddev_channels) if stddev else None
        self.conv = ActivatedConv2d(nf(0) + (stddev_channels if stddev else 0), nf(0))
        self.dense = EqualisedLinear(nf(0) * height * width, nf(0))
        self.mapping = None
        if num_classes is not None:
            self.mapping = MappingNetwork(0, nf(0), layers=mapping_layers, num_classes=num_classes, mean_decay=None)
        self.head = EqualisedLinear(nf(0), 1 if num_classes is None else nf(0))
        self.register_buffer("filter", kernel_of(taps).float(), persistent=False)
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Judgement:
        """[n, c, h, w] (and labels, int64 [n], where conditional) to logits [n] and features [n, d]."""
        start, alpha = self.stage
        x = x.contiguous(memory_format=torch.channels_last)
        y: Tensor = self.from_image[str(start)](x)
        for level in range(start, 0, -1):
            y = self.levels[level - 1](y)
            if self.architecture == "skip":
                x = fir_down(x, self.filter)
                y = y + self.from_image[str(level - 1)](x)
            elif level == start and alpha is not None:
                y = blend(self.from_image[str(level - 1)](halve_pixels(x)), y, alpha)
        y = self.conv(y if self.stddev is None else self.stddev(y))
        features = F.leaky_relu(self.dense(y.flatten(1)), SLOPE) * math.sqrt(2)
        outputs = self.head(features)  # n 1, or n d
        if self.mapping is None:
            return Judgement(outputs.squeeze(1), features)
        directions = self.mapping(None, labels)  # n d
        return Judgement((outputs * directions).sum(1) / math.sqrt(directions.shape[1]), features)
