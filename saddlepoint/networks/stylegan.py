"""StyleGAN's networks: Karras, Laine & Aila 2019 (arXiv:1812.04948), section 2, and the parts that its Table 1 takes away.

    G   z -> mapping -> w; constant, and a level: double, conv3, blur | conv3; after each: noise, bias, LeakyReLU, instance norm, style (Eq. 1)
    D   Progressive GAN's, with a blur before each halving

Both grow. Without styles (configuration B) z is the input, and pixel norm follows each activation; without blur they are Progressive GAN's (A).

Axes: n batch, c channels, h w image, d style code, l layers.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saddlepoint.networks.base import Discriminator, Judgement
from saddlepoint.networks.convolution import double_pixels
from saddlepoint.networks.equalised import EqualisedConv2d, EqualisedLinear, MinibatchStddev, pixel_norm
from saddlepoint.networks.growing import Growing, blend, halve_pixels
from saddlepoint.networks.layers import one_hot, pyramid
from saddlepoint.networks.mapping import MappingNetwork, StyledGenerator
from saddlepoint.networks.modulated import Noise, NoiseMode
from saddlepoint.networks.stylegan2 import Channels
from saddlepoint.networks.upfirdn import BILINEAR, fir, kernel_of

SLOPE = 0.2
EPS = 1e-8


def adaptive_instance_norm(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Eq. 1: every channel of every image to mean 0 and variance 1, then times ``scale`` plus ``shift``; all in one pass over x.

    Args:
        x: [n, c, h, w].
        scale: y_s, [n, c].
        shift: y_b, [n, c].
    """
    var, mean = torch.var_mean(x, (2, 3), correction=0, keepdim=True)  # n c 1 1
    factor = scale[:, :, None, None].to(x.dtype) * (var + EPS).rsqrt()
    return torch.addcmul(shift[:, :, None, None].to(x.dtype) - mean * factor, x, factor)


class Epilogue(nn.Module):
    """What follows each convolution of G: noise, bias, LeakyReLU .2, pixel norm, instance norm and style, as far as they are there.

    Args:
        c: channels.
        code_dim: d; None leaves instance norm and style out.
        size: (h, w) of the image.
        noise: whether there is noise, of a strength per channel.
        pixels: whether there is pixel norm.
    """

    def __init__(self, c: int, code_dim: int | None, size: tuple[int, int], *, noise: bool, pixels: bool) -> None:
        super().__init__()
        self.noise = Noise(size, c) if noise else None
        self.bias = nn.Parameter(torch.zeros(c, 1, 1))
        self.pixels = pixels
        self.affine = None if code_dim is None else EqualisedLinear(code_dim, 2 * c)

    def forward(self, x: Tensor, code: Tensor, mode: NoiseMode) -> Tensor:
        """x [n, c, h, w] and code [n, d] to [n, c, h, w]."""
        x = x + self.bias.to(x.dtype)
        noise = None if self.noise is None else self.noise(x.shape[0], mode)
        x = F.leaky_relu(x if noise is None else x + noise.to(x.dtype), SLOPE)
        x = pixel_norm(x) if self.pixels else x
        if self.affine is None:
            return x
        scale, shift = self.affine(code).chunk(2, 1)  # n c each
        return adaptive_instance_norm(x, scale + 1, shift)


class _Level(nn.Module):
    """The two layers of one resolution; at the base the first is the input itself."""

    def __init__(
        self, c: int | None, o: int, code_dim: int | None, size: tuple[int, int], *, noise: bool, pixels: bool, taps: tuple[float, ...] | None
    ) -> None:
        super().__init__()
        self.up = None if c is None else EqualisedConv2d(c, o, resample="up", bias=False)
        self.register_buffer("filter", None if taps is None or c is None else kernel_of(taps).float(), persistent=False)
        self.first = Epilogue(o, code_dim, size, noise=noise, pixels=pixels)
        self.conv = EqualisedConv2d(o, o, bias=False)
        self.second = Epilogue(o, code_dim, size, noise=noise, pixels=pixels)

    def forward(self, x: Tensor, codes: tuple[Tensor, ...], mode: NoiseMode) -> Tensor:
        """x [n, c, h, w] and two codes [n, d] to [n, o, h', w']."""
        x = x if self.up is None else self.up(x)
        filter = self.get_buffer("filter") if self.filter is not None else None
        x = x if filter is None else fir(x, filter, padding=((filter.shape[-1] - 1) // 2, filter.shape[-1] // 2))
        x = self.first(x, codes[0], mode)
        out: Tensor = self.second(self.conv(x), codes[1], mode)
        return out


class StyleGANGenerator(StyledGenerator):
    """z [n, latent_dim] to images [n, c, h, w] of the level in play, not bounded.

    Args:
        image_shape: (c, h, w) of the highest level.
        latent_dim: of z.
        code_dim: d of w.
        mapping_layers: of the mapping network; 0 passes the normalised z on.
        channels: by level.
        num_classes: k, or None.
        styles: instance norm and styles; pixel norm otherwise.
        constant: learned constant input; a dense layer from the first code otherwise ("traditional input").
        noise: whether layers have noise.
        style_mixing: probability of mixing styles while training.
        taps: of the blur after doubling; None is none.
        truncated_layers: how many layers truncation reaches; None is all (8 for the paper's pictures).
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        *,
        latent_dim: int = 512,
        code_dim: int = 512,
        mapping_layers: int = 8,
        channels: Channels | None = None,
        num_classes: int | None = None,
        styles: bool = True,
        constant: bool = True,
        noise: bool = True,
        style_mixing: float = 0.9,
        taps: tuple[float, ...] | None = BILINEAR,
        truncated_layers: int | None = None,
    ) -> None:
        *base, top = pyramid(image_shape, 4, "StyleGAN")
        super().__init__(top)
        nf = channels or Channels(base=16384)
        self.latent_dim, self.num_layers = latent_dim, 2 * top + 2
        self.style_mixing, self.truncated_layers = style_mixing, truncated_layers
        self.noise_mode: NoiseMode = "random"
        self.mapping = MappingNetwork(latent_dim, code_dim, layers=mapping_layers, num_classes=num_classes, bias_gain=1.0)
        code_dim = self.mapping.mean.shape[0]
        self.base = (nf(0), *base)
        self.constant = nn.Parameter(torch.ones(1, *self.base)) if constant else None
        area = math.prod(base)
        self.dense = None if constant else EqualisedLinear(code_dim, nf(0) * area, gain=math.sqrt(2 / area), bias=False)
        self.levels, self.to_image = nn.ModuleList(), nn.ModuleList()
        for level in range(top + 1):
            size, c = (base[0] << level, base[1] << level), nf(level - 1) if level else None
            self.levels.append(_Level(c, nf(level), code_dim if styles else None, size, noise=noise, pixels=not styles, taps=taps))
            self.to_image.append(EqualisedConv2d(nf(level), image_shape[0], 1, gain=1.0))
        self.to(memory_format=torch.channels_last)

    def synthesis(self, ws: Tensor) -> Tensor:
        """Codes [n, l, d] to images [n, c, h, w] of the level in play."""
        stop, alpha = self.stage
        codes = ws.unbind(1)
        if self.dense is None:
            assert self.constant is not None
            x: Tensor = self.constant.expand(ws.shape[0], -1, -1, -1)
        else:
            x = self.dense(codes[0]).unflatten(1, self.base).contiguous(memory_format=torch.channels_last)
        before = x
        for level in range(stop + 1):
            before, x = x, self.levels[level](x, codes[2 * level : 2 * level + 2], self.noise_mode)
        images: Tensor = self.to_image[stop](x)
        return images if alpha is None else blend(double_pixels(self.to_image[stop - 1](before)), images, alpha)


class _DiscriminatorLevel(nn.Module):
    """conv3, blur, conv3 and halving in one strided convolution, LeakyReLU .2 after each."""

    def __init__(self, c: int, o: int, taps: tuple[float, ...] | None) -> None:
        super().__init__()
        self.first, self.second = EqualisedConv2d(c, c), EqualisedConv2d(c, o, resample="down")
        self.register_buffer("filter", None if taps is None else kernel_of(taps).float(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] -> [n, o, h/2, w/2]."""
        x = F.leaky_relu(self.first(x), SLOPE)
        filter = self.get_buffer("filter") if self.filter is not None else None
        x = x if filter is None else fir(x, filter, padding=((filter.shape[-1] - 1) // 2, filter.shape[-1] // 2))
        return F.leaky_relu(self.second(x), SLOPE)


class StyleGANDiscriminator(Growing, Discriminator):
    """Images of the level in play to a logit; conditional: the label's own output of k (the released code).

    Args:
        image_shape: (c, h, w) of the highest level.
        channels: by level, as G's.
        num_classes: k, or None.
        stddev_group: of the minibatch's deviation; None compares the whole batch, 0 leaves the layer out.
        taps: of the blur before halving; None is none.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        *,
        channels: Channels | None = None,
        num_classes: int | None = None,
        stddev_group: int | None = 4,
        taps: tuple[float, ...] | None = BILINEAR,
    ) -> None:
        height, width, top = pyramid(image_shape, 4, "StyleGAN")
        super().__init__(top)
        nf, self.num_classes = channels or Channels(base=16384), num_classes
        self.from_image = nn.ModuleList(EqualisedConv2d(image_shape[0], nf(level), 1) for level in range(top + 1))
        self.levels = nn.ModuleList(_DiscriminatorLevel(nf(level), nf(level - 1), taps) for level in range(1, top + 1))
        self.stddev = None if stddev_group == 0 else MinibatchStddev(stddev_group)
        self.conv = EqualisedConv2d(nf(0) + (stddev_group != 0), nf(0))
        self.dense = EqualisedLinear(nf(0) * height * width, nf(0), gain=math.sqrt(2))
        self.head = EqualisedLinear(nf(0), num_classes or 1)
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Judgement:
        """[n, c, h, w] of the level in play (and labels, int64 [n], where conditional) to logits [n] and features [n, d]."""
        level, alpha = self.stage
        x = x.contiguous(memory_format=torch.channels_last)
        y = F.leaky_relu(self.from_image[level](x), SLOPE)
        for index in range(level, 0, -1):
            y = self.levels[index - 1](y)
            if index == level and alpha is not None:
                y = blend(F.leaky_relu(self.from_image[level - 1](halve_pixels(x)), SLOPE), y, alpha)
        y = F.leaky_relu(self.conv(y if self.stddev is None else self.stddev(y)), SLOPE)
        features = F.leaky_relu(self.dense(y.flatten(1)), SLOPE)
        outputs = self.head(features)  # n 1, or n k
        if self.num_classes is None:
            return Judgement(outputs.squeeze(1), features)
        return Judgement((outputs * one_hot(labels, self.num_classes, outputs)).sum(1), features)
