"""Modulated convolution (Karras et al. 2020, arXiv:1912.04958, section 2.2): a style scales the weights, and demodulation takes its size back out.

    w'_oik = s_i w_oik                                              Eq. 1
    w''_oik = w'_oik / sqrt(sum_ik w'_oik^2 + 1e-8)                 Eq. 3

Every sample has weights of its own, but they are never made: the style scales the input channels, the convolution is an ordinary one, and its output
channels are divided by the root, whose sum is styles^2 times the kernel's squares summed over pixels.

Axes: n batch, c i channels in, o channels out, h w image, k kernel, d style code.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saddlepoint.draws import draws_like
from saddlepoint.networks.convolution import conv2d
from saddlepoint.networks.equalised import EqualisedLinear
from saddlepoint.networks.upfirdn import BINOMIAL, conv_up, conv_up_reference, kernel_of

NoiseMode = Literal["random", "fixed", "none"]
EPS = 1e-8
SLOPE = 0.2


def demodulation(weight: Tensor, styles: Tensor) -> Tensor:
    """1 / sqrt(sum_ik (s_i w_oik)^2 + 1e-8), the denominator of Eq. 3: [n, o] from weight [o, c, k, k] and styles [n, c]."""
    with torch.autocast(styles.device.type, enabled=False):
        s, w = styles.float() if styles.dtype != torch.float64 else styles, weight
        return F.linear(s.square(), w.square().sum((2, 3))).add(EPS).rsqrt()


def modulated_conv2d(x: Tensor, weight: Tensor, styles: Tensor, *, up: Tensor | None = None, demodulate: bool = True) -> Tensor:
    """Convolution whose weights are scaled by each sample's style (Eq. 1) and demodulated (Eq. 3), with zero padding that keeps the size.

    Args:
        x: [n, c, h, w].
        weight: [o, c, k, k], k odd.
        styles: [n, c].
        up: a low-pass filter [t, t] where the image is doubled first; None keeps the size.
        demodulate: whether Eq. 3 follows Eq. 1.
    Returns:
        [n, o, h, w], or [n, o, 2h, 2w].
    """
    y = modulated(x, weight, styles, up)
    return y * demodulation(weight, styles)[:, :, None, None].to(y.dtype) if demodulate else y


def modulated(x: Tensor, weight: Tensor, styles: Tensor, up: Tensor | None = None) -> Tensor:
    """:func:`modulated_conv2d` before demodulation."""
    x = x * styles[:, :, None, None].to(x.dtype)
    return conv2d(x, weight, padding=weight.shape[-1] // 2) if up is None else conv_up(x, weight, up)


def modulated_conv2d_reference(x: Tensor, weight: Tensor, styles: Tensor, *, up: Tensor | None = None, demodulate: bool = True) -> Tensor:
    """The same as written in the paper: every sample's own weights, and one convolution a sample."""
    images = []
    for image, style in zip(x, styles, strict=True):
        w = weight * style[None, :, None, None]  # o i k k
        if demodulate:
            w = w / (w.square().sum((1, 2, 3), keepdim=True) + EPS).sqrt()
        one = image[None]
        images.append(F.conv2d(one, w, padding=w.shape[-1] // 2) if up is None else conv_up_reference(one, w, up))
    return torch.cat(images)


class Noise(nn.Module):
    """Single-channel Gaussian noise, scaled by learned strengths that start at 0 (Karras et al. 2019, arXiv:1812.04948, section 2).

    Args:
        size: (h, w) of the image.
        channels: 1 scales all channels alike (StyleGAN2), c gives each channel its own strength (StyleGAN).
    """

    fixed: Tensor

    def __init__(self, size: tuple[int, int], channels: int = 1) -> None:
        super().__init__()
        self.register_buffer("fixed", torch.randn(1, 1, *size))
        self.strength = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, n: int, mode: NoiseMode, factor: float = 1.0) -> Tensor | None:
        """Noise for n samples times the strengths and ``factor``: [n, channels, h, w]; the fixed one has n = 1, none is None."""
        if mode == "none":
            return None
        noise = self.fixed if mode == "fixed" else draws_like(self.fixed).normal(n, *self.fixed.shape[1:]).to(self.fixed)
        return noise * (self.strength * factor)


class StyledConv2d(nn.Module):
    """A layer of StyleGAN2's synthesis network: modulated convolution, noise, bias, LeakyReLU .2 times sqrt(2).

    The factor sqrt(2) is folded into demodulation, noise and bias, through which LeakyReLU lets it pass.

    Args:
        c: channels in.
        o: channels out.
        code_dim: d of the style code.
        size: (h, w) of the output.
        kernel: its odd side.
        up: whether the image is doubled.
        taps: of the low-pass filter.
        noise: whether there is noise.
        gain: of the output; sqrt(1/2) before a residual sum.
    """

    filter: Tensor | None

    def __init__(
        self,
        c: int,
        o: int,
        code_dim: int,
        size: tuple[int, int],
        *,
        kernel: int = 3,
        up: bool = False,
        taps: tuple[float, ...] = BINOMIAL,
        noise: bool = True,
        gain: float = 1.0,
    ) -> None:
        super().__init__()
        self.affine = EqualisedLinear(code_dim, c, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn(o, c, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(o))
        self.noise = Noise(size) if noise else None
        self.register_buffer("filter", kernel_of(taps).float() if up else None, persistent=False)
        self.gain = gain * math.sqrt(2)

    def forward(self, x: Tensor, code: Tensor, mode: NoiseMode = "random") -> Tensor:
        """x [n, c, h, w] and code [n, d] to [n, o, h', w']."""
        styles = self.affine(code)  # n c
        y = modulated(x, self.weight, styles, self.filter)
        scale = demodulation(self.weight, styles)[:, :, None, None] * self.gain
        y = torch.addcmul((self.bias * self.gain)[:, None, None].to(y.dtype), y, scale.to(y.dtype))
        noise = None if self.noise is None else self.noise(x.shape[0], mode, self.gain)
        if noise is not None:
            y.add_(noise.to(y.dtype))
        return F.leaky_relu_(y, SLOPE)

    def extra_repr(self) -> str:
        """Shown by print(network)."""
        return f"{tuple(self.weight.shape)}, up={self.filter is not None}"


class ToImage(nn.Module):
    """Modulated 1x1 convolution without demodulation, and a bias: features to the channels of an image ("tRGB").

    As the weights are few, each sample's own are made, and the image is one batched matrix product.

    Args:
        c: channels in.
        o: channels of the image.
        code_dim: d of the style code.
    """

    def __init__(self, c: int, o: int, code_dim: int) -> None:
        super().__init__()
        self.affine = EqualisedLinear(code_dim, c, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn(o, c, 1, 1))
        self.bias = nn.Parameter(torch.zeros(o))
        self.scale = 1 / math.sqrt(c)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        """x [n, c, h, w] and code [n, d] to [n, o, h, w]."""
        styles = self.affine(code) * self.scale  # n c
        weights = self.weight.flatten(1) * styles[:, None]  # n o c
        pixels = x.permute(0, 2, 3, 1).flatten(1, 2)  # n hw c: so that the gradient of x is channels_last, as x is
        image: Tensor = pixels @ weights.to(x.dtype).transpose(1, 2) + self.bias.to(x.dtype)  # n hw o
        return image.view(-1, *x.shape[2:], image.shape[2]).permute(0, 3, 1, 2)
