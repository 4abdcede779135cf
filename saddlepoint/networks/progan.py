"""Progressive GAN: Karras, Aila, Laine, Lehtinen 2018 (arXiv:1710.10196), Table 2, and the parts that its Table 1 takes away.

    G   z -> unit RMS -> dense to the base -> conv3; a level: double, conv3, conv3;            to image: conv1, linear
    D   from image: conv1; a level: conv3, conv3, halve; base: deviation of the minibatch, conv3, dense, dense to 1 (+ k class logits)

Leaky ReLU .2 throughout, pixel norm after it in G, weights scaled when they are used. What the released code does otherwise than the paper's Table 2
is said where it is. Any size that is a base of 4 to 7 pixels times a power of two.

Axes: n batch, c channels, h w image, d latent, k classes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saddlepoint.draws import draws_like
from saddlepoint.networks.base import Discriminator, Generator, Judgement
from saddlepoint.networks.convolution import double_pixels
from saddlepoint.networks.equalised import EqualisedConv2d, EqualisedLinear, MinibatchStddev, pixel_norm
from saddlepoint.networks.growing import Growing, blend, channels_at, halve_pixels
from saddlepoint.networks.layers import one_hot, pyramid
from saddlepoint.networks.minibatch import MinibatchDiscrimination

SLOPE = 0.2


@dataclass(frozen=True, kw_only=True)
class Channels:
    """Channels by level: min(base / 2^(level + 1), most)."""

    base: int = 8192
    most: int = 512

    def __call__(self, level: int) -> int:
        """Channels at a level; level -1 is the width of D's dense layer."""
        return channels_at(level, self.base, self.most)


def _plain(layer: Any, equalised: bool) -> Any:
    """The layer itself, or with its weight as it is used: He et al. 2015's initialisation without the equalised learning rate."""
    if not equalised:
        layer.weight.data.mul_(layer.scale)
        layer.scale = 1.0
    return layer


class _GeneratorLayer(nn.Module):
    """conv3, perhaps at doubled pixels; batch norm; (leaky) ReLU; pixel norm."""

    def __init__(self, c: int, o: int, *, up: bool, equalised: bool, norm: str, slope: float) -> None:
        super().__init__()
        self.conv = _plain(EqualisedConv2d(c, o, resample="up" if up else None, bias=norm != "batch"), equalised)
        self.norm = nn.BatchNorm2d(o, eps=1e-4) if norm == "batch" else None
        self.after = partial(_activated, slope=slope, pixels=norm == "pixel")

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] -> [n, o, h', w']."""
        x = self.conv(x)
        return self.after(x if self.norm is None else self.norm(x))


def _activated(x: Tensor, *, slope: float, pixels: bool) -> Tensor:
    x = F.leaky_relu(x, slope) if slope else F.relu(x)
    return pixel_norm(x) if pixels else x


class ProGANGenerator(Growing, Generator):
    """Table 2, left: z [n, latent_dim] to images of the level in play, not bounded (the paper's output is linear).

    Args:
        image_shape: (c, h, w) of the highest level.
        latent_dim: d.
        channels: by level.
        num_classes: k; one-hot labels are appended to z, and both are normalised together (the released code).
        norm: "pixel" after each activation; "batch" before it and "none" are of Table 1.
        equalised: scale weights when they are used.
        leaky: leaky ReLU; ReLU otherwise.
        normalise_latents: z to unit root mean square.
        tanh: bounded output.
        pixel_bias: the dense layer has a bias for every value of its map, not for every channel (pytorch_GAN_zoo).
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        *,
        latent_dim: int = 512,
        channels: Channels | None = None,
        num_classes: int | None = None,
        norm: Literal["pixel", "batch", "none"] = "pixel",
        equalised: bool = True,
        leaky: bool = True,
        normalise_latents: bool = True,
        tanh: bool = False,
        pixel_bias: bool = False,
    ) -> None:
        height, width, top = pyramid(image_shape, 4, "ProGAN")
        super().__init__(top)
        nf, self.latent_dim, self.num_classes = channels or Channels(), latent_dim, num_classes
        self.normalise_latents, self.tanh, self.base = normalise_latents, tanh, (nf(0), height, width)
        slope, area = SLOPE if leaky else 0.0, height * width
        inputs = latent_dim + (num_classes or 0)
        self.dense = _plain(EqualisedLinear(inputs, nf(0) * area, gain=math.sqrt(2 / area), bias=False), equalised)  # sqrt(2) / 4 at 4x4
        self.bias = nn.Parameter(torch.zeros(self.base if pixel_bias else (nf(0), 1, 1))) if norm != "batch" else None
        self.norm = nn.BatchNorm2d(nf(0), eps=1e-4) if norm == "batch" else None
        self.after = partial(_activated, slope=slope, pixels=norm == "pixel")
        layer = partial(_GeneratorLayer, equalised=equalised, norm=norm, slope=slope)
        self.blocks = nn.ModuleList([layer(nf(0), nf(0), up=False)])
        for level in range(1, top + 1):
            self.blocks.append(nn.Sequential(layer(nf(level - 1), nf(level), up=True), layer(nf(level), nf(level), up=False)))
        self.to_image = nn.ModuleList(_plain(EqualisedConv2d(nf(level), image_shape[0], 1, gain=1.0), equalised) for level in range(top + 1))

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """[n, latent_dim] (and labels, int64 [n], where conditional) -> [n, c, h, w] of the level in play."""
        level, alpha = self.stage
        x = before = self.blocks[0](self._first(z, labels))
        for block in self.blocks[1 : level + 1]:
            before, x = x, block(x)
        images: Tensor = self.to_image[level](x)
        if alpha is not None:
            images = blend(double_pixels(self.to_image[level - 1](before)), images, alpha)  # Figure 2 (b)
        return torch.tanh(images) if self.tanh else images

    def _first(self, z: Tensor, labels: Tensor | None) -> Tensor:
        if self.num_classes is not None:
            z = torch.cat([z, one_hot(labels, self.num_classes, z)], 1)
        if self.normalise_latents:
            z = pixel_norm(z)
        x = self.dense(z).unflatten(1, self.base).contiguous(memory_format=torch.channels_last)  # n c h w
        x = x + self.bias if self.norm is None else self.norm(x)
        return self.after(x)


class FollowingNoise(nn.Module):
    """Multiplicative Gaussian noise on the inputs of D's layers, the stronger the more D wins (Karras et al. 2018, section 4 of the appendices).

    Strength .2 max(0, d - .5)^2, where d <- .9 d + .1 (D's mean output on real samples, in [0, 1]); a value of channel i of a sample is multiplied
    by N(1, strength^2 c), the same for all pixels (the authors' first code). Needed with least squares, which fails as d nears 1.
    """

    mean: Tensor
    strength: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("strength", torch.zeros(()))

    def follow(self, output: Tensor) -> None:
        """Move the mean towards D's output on real samples, a scalar, and set the strength for the next turn."""
        self.mean.mul_(0.9).add_(output.to(self.mean).clamp(0, 1), alpha=0.1)
        self.strength.copy_(0.2 * (self.mean - 0.5).clamp(min=0).square())

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w]; the same shape."""
        if not self.training:
            return x
        noise = draws_like(x).normal(*x.shape[:2]).to(x)[:, :, None, None]
        return x * (1 + self.strength * math.sqrt(x.shape[1]) * noise)


class _LayerNorm(nn.Module):
    """Each sample to mean 0 and variance 1, one gain for all and a bias a channel (the authors' first code)."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))
        self.bias = nn.Parameter(torch.zeros(c))

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w]; the same shape."""
        return F.group_norm(x, 1, self.gain.expand_as(self.bias), self.bias, 1e-4)


class _DiscriminatorLayer(nn.Module):
    """conv3, perhaps halved in the same step; layer norm; leaky ReLU; perhaps halved."""

    def __init__(self, c: int, o: int, *, halve: bool, equalised: bool, norm: bool, fused: bool) -> None:
        super().__init__()
        fused = halve and fused and not norm
        self.halve = halve and not fused
        self.conv = _plain(EqualisedConv2d(c, o, resample="down" if fused else None, bias=not norm), equalised)
        self.norm = _LayerNorm(o) if norm else None

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] -> [n, o, h', w']."""
        x = self.conv(x)
        x = F.leaky_relu(x if self.norm is None else self.norm(x), SLOPE)
        return halve_pixels(x) if self.halve else x


class ProGANDiscriminator(Growing, Discriminator):
    """Table 2, right: images of the level in play to a logit (and class logits).

    Args:
        image_shape: (c, h, w) of the highest level.
        channels: by level, as G's.
        num_classes: k class logits beside the logit (AC-GAN).
        group: of the minibatch's deviation: 4 in the release, the whole batch in the paper; None leaves it out.
        kernels: of minibatch discrimination before the last layer (Table 1, row e*); None leaves it out.
        equalised: scale weights when they are used.
        norm: layer norm after each convolution but the first (Table 1, rows a to c).
        noise: multiplicative Gaussian noise on the inputs of the layers, for least squares.
        fused: halve before the activation, in one strided convolution (the released code) instead of after it (Table 2).
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        *,
        channels: Channels | None = None,
        num_classes: int | None = None,
        group: int | None = 4,
        kernels: int | None = None,
        equalised: bool = True,
        norm: bool = False,
        noise: bool = False,
        fused: bool = True,
    ) -> None:
        height, width, top = pyramid(image_shape, 4, "ProGAN")
        super().__init__(top)
        nf, self.num_classes = channels or Channels(), num_classes
        self.noise = FollowingNoise() if noise else None
        layer = partial(_DiscriminatorLayer, equalised=equalised, norm=norm, fused=fused)
        self.from_image = nn.ModuleList(_plain(EqualisedConv2d(image_shape[0], nf(level), 1), equalised) for level in range(top + 1))
        self.blocks = nn.ModuleList()  # of level 1 first
        for level in range(1, top + 1):
            self.blocks.append(nn.ModuleList([layer(nf(level), nf(level), halve=False), layer(nf(level), nf(level - 1), halve=True)]))
        self.stddev = None if group is None else MinibatchStddev(group)
        self.conv = layer(nf(0) + (group is not None), nf(0), halve=False)
        self.dense = _plain(EqualisedLinear(nf(0) * height * width, nf(-1), gain=math.sqrt(2), bias=not norm), equalised)
        self.norm = _LayerNorm(nf(-1)) if norm else None
        self.kernels = MinibatchDiscrimination(nf(-1), kernels) if kernels else None
        self.head = _plain(EqualisedLinear(nf(-1) + (kernels or 0), 1 + (num_classes or 0)), equalised)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Judgement:
        """[n, c, h, w] of the level in play to logits [n] and, where it classifies, class logits [n, k]; ``labels`` are not used."""
        level, alpha = self.stage
        y = self._from_image(level, x)
        for index in range(level, 0, -1):
            for layer in self.blocks[index - 1]:  # type: ignore[attr-defined]
                y = layer(self._noisy(y))
            if index == level and alpha is not None:
                y = blend(self._from_image(level - 1, halve_pixels(x)), y, alpha)
        y = self.conv(self._noisy(y if self.stddev is None else self.stddev(y)))
        features = self._dense(self._noisy(y))
        outputs = self.head(features if self.kernels is None else self.kernels(features))  # n 1+k
        return Judgement(outputs[:, 0], features, None if self.num_classes is None else outputs[:, 1:])

    def follow(self, output: Tensor) -> None:
        """Set the strength of the noise, if there is any, by this turn's mean output on real samples, a scalar."""
        if self.noise is not None:
            self.noise.follow(output)

    def _noisy(self, x: Tensor) -> Tensor:
        return x if self.noise is None else self.noise(x)

    def _from_image(self, level: int, x: Tensor) -> Tensor:
        return F.leaky_relu(self.from_image[level](x), SLOPE)

    def _dense(self, x: Tensor) -> Tensor:
        """The convolution of Table 2 whose kernel is as large as the image: [n, c, h, w] -> [n, d]."""
        y: Tensor = self.dense(x.flatten(1))
        if self.norm is not None:
            y = self.norm(y[:, :, None, None])[:, :, 0, 0]
        return F.leaky_relu(y, SLOPE)
