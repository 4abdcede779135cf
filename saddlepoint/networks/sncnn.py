"""The standard convolutional pair of SNGAN (Miyato et al. 2018, arXiv:1802.05957, Table 3).

G: linear to a map of 512, transposed 4x4 convolutions of stride 2 to 256, 128, 64, each with batch norm and ReLU, conv3, tanh. D: pairs of conv3 and
4x4 convolutions of stride 2 with 64, 128, 256 channels, conv3 with 512, each with LeakyReLU .1, and a linear layer. CIFAR-10 32x32, STL-10 48x48.

Axes: n batch, c channels, h w image, d latent or feature.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from saddlepoint.networks.base import Discriminator, Generator, Judgement
from saddlepoint.networks.convolution import Convolution, conv2d, conv_transpose2d, glorot_uniform_
from saddlepoint.networks.norms import Norm, make_norm
from saddlepoint.networks.resnet import smallest_map
from saddlepoint.networks.spectral import Linear, SpectralNorm, use_weight_norm


class Doubling(nn.Module):
    """Transposed 4x4 convolution of stride 2: [n, c, h, w] -> [n, o, 2h, 2w]."""

    def __init__(self, c: int, o: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(glorot_uniform_(torch.empty(c, o, 4, 4), stride=2))
        self.bias = nn.Parameter(torch.zeros(o))

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] -> [n, o, 2h, 2w]."""
        return conv_transpose2d(x, self.weight, self.bias, stride=2, padding=1)


class Halving(nn.Conv2d):
    """4x4 convolution of stride 2: [n, c, h, w] -> [n, o, h/2, w/2]."""

    def __init__(self, c: int, o: int, *, spectral_norm: bool) -> None:
        super().__init__(c, o, 4, 2, 1)
        glorot_uniform_(self.weight, stride=2)
        assert self.bias is not None
        nn.init.zeros_(self.bias)
        self.spectral = SpectralNorm(self.weight) if spectral_norm else None

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] -> [n, o, h/2, w/2]."""
        return conv2d(x, self.weight if self.spectral is None else self.spectral(self.weight), self.bias, stride=2, padding=1)


class SNCNNGenerator(Generator):
    """Four layers of G of the standard pair.

    Args:
        image_shape: (c, h, w), h and w divisible by 8.
        latent_dim: d of z, 128 as published.
        width: factor on all channels.
        norm: "batch" as published, "layer" or "none".
    """

    def __init__(self, image_shape: tuple[int, int, int], latent_dim: int = 128, *, width: float = 1.0, norm: Norm = "batch") -> None:
        super().__init__()
        channels = [max(1, round(c * width)) for c in (512, 256, 128, 64)]
        self.latent_dim = latent_dim
        self.base = smallest_map("sncnn", image_shape, 3)
        self.project = Linear(latent_dim, math.prod(self.base) * channels[0])
        self.doublings = nn.ModuleList(Doubling(c, o) for c, o in zip(channels, channels[1:], strict=False))
        self.norms = nn.ModuleList(make_norm(norm, o) for o in channels[1:])
        self.to_image = Convolution(channels[-1], image_shape[0])
        self.to(memory_format=torch.channels_last)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """[n, d] -> images [n, c, h, w] in [-1, 1]; labels are not used."""
        h = rearrange(self.project(z), "n (h w c) -> n c h w", h=self.base[0], w=self.base[1])
        for doubling, norm in zip(self.doublings, self.norms, strict=True):
            h = F.relu(norm(doubling(h)))
        return torch.tanh(self.to_image(h))


class SNCNNDiscriminator(Discriminator):
    """Seven convolutions and a linear layer.

    Args:
        image_shape: (c, h, w), h and w divisible by 8.
        width: factor on all channels.
        spectral_norm: as published; False for the paper's comparisons.
        norm: after each convolution but the first; "none" as published.
        weight_norm: rows of length 1 in place of spectral norm, one of the paper's comparisons.
    """

    def __init__(
        self, image_shape: tuple[int, int, int], *, width: float = 1.0, spectral_norm: bool = True, norm: Norm = "none", weight_norm: bool = False
    ) -> None:
        super().__init__()
        h, w = smallest_map("sncnn", image_shape, 3)
        c, layers, norms = image_shape[0], nn.ModuleList(), nn.ModuleList()
        for o in (max(1, round(o * width)) for o in (64, 128, 256)):
            layers += [Convolution(c, o, spectral_norm=spectral_norm), Halving(o, o, spectral_norm=spectral_norm)]
            norms += [make_norm(norm if len(norms) else "none", o), make_norm(norm, o)]
            c = o
        last = max(1, round(512 * width))
        self.layers = layers.append(Convolution(c, last, spectral_norm=spectral_norm))
        self.norms = norms.append(make_norm(norm, last))
        self.to_logit = Linear(last * h * w, 1, spectral_norm=spectral_norm)
        if weight_norm:
            use_weight_norm(self)
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Judgement:
        """Images [n, c, h, w] -> logits [n]; features are the last map flattened in (h w c) order; labels are not used."""
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = F.leaky_relu(norm(layer(x)), 0.1)
        features = rearrange(x, "n c h w -> n (h w c)")
        return Judgement(self.to_logit(features).squeeze(1), features)
