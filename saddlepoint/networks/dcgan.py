"""DCGAN (Radford et al. 2016, arXiv:1511.06434) and the variants of it that WGAN (Arjovsky et al. 2017) was tried on.

No pooling; batch normalisation everywhere but at G's output and D's input; ReLU in G, LeakyReLU .2 in D; no biases but those of batch
normalisation; weights N(0, .02), gains N(1, .02). The authors use 5x5 kernels, the well-known torch version 4x4.

Axes: n batch, c channels, h w image, d latent, k classes.
"""

from __future__ import annotations

from typing import Literal

import torch
from einops import rearrange
from torch import Tensor, nn

from saddlepoint.networks.base import Discriminator, Generator, Judgement
from saddlepoint.networks.initialisation import normal_weights
from saddlepoint.networks.layers import Halving, doubling, one_hot, pyramid, with_labels
from saddlepoint.networks.virtualbatchnorm import VirtualBatchNorm

Norm = Literal["batch", "none", "virtual"]


def _norm(kind: Norm, channels: int) -> nn.Module:
    if kind == "none":
        return nn.Identity()
    return nn.BatchNorm2d(channels) if kind == "batch" else VirtualBatchNorm(channels)


def _dense_norm(kind: Norm, features: int) -> nn.Module:
    return nn.BatchNorm1d(features) if kind == "batch" else _norm(kind, features)


class DCGANGenerator(Generator):
    """z, a linear layer to a small map, then transposed convolutions with stride 2, each with half the channels of the one before.

    The linear layer is the torch version's 1x1 to 4x4 transposed convolution, weight for weight; its outputs lie in (h w c) order, which is
    a channels_last image without a copy.

    Args:
        latent_dim: of z.
        image_shape: (c, h, w); sides 4 to 7 times a power of two, e.g. 16, 28, 32, 48, 64, 64x128.
        width: channels of the largest hidden map; twice as many with each halving (64 in the torch version, 128 in the face model).
        kernel: 4 or 5.
        norm: "batch", "none" (WGAN's ablation) or "virtual" (wrap in VirtualBatchGenerator).
        constant_filters: every hidden map has ``width`` channels (WGAN's ablation: norm "none", width 512).
        num_classes: None, or the number of classes; then the one-hot label joins the input of every layer (the authors' MNIST model).
        dense: None, or units of a hidden layer before the map (1024 in the authors' MNIST model).
        output: "tanh", or "sigmoid" for 2 sigmoid(.) - 1 (the authors' MNIST model).
    """

    def __init__(
        self,
        latent_dim: int,
        image_shape: tuple[int, int, int],
        width: int = 64,
        kernel: Literal[4, 5] = 4,
        *,
        norm: Norm = "batch",
        constant_filters: bool = False,
        num_classes: int | None = None,
        dense: int | None = None,
        output: Literal["tanh", "sigmoid"] = "tanh",
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.num_classes = num_classes
        self.output = output
        *self.base, doublings = pyramid(image_shape, 4, "DCGAN")
        labels = num_classes or 0
        widths = [width * (1 if constant_filters else 2**level) for level in reversed(range(doublings))]
        size = latent_dim + labels
        self.dense = None
        if dense is not None:
            self.dense = nn.Sequential(nn.Linear(size, dense, bias=False), _dense_norm(norm, dense), nn.ReLU(inplace=True))
            size = dense + labels
        self.project = nn.Linear(size, widths[0] * self.base[0] * self.base[1], bias=False)
        self.first = nn.Sequential(_norm(norm, widths[0]), nn.ReLU(inplace=True))
        self.levels = nn.ModuleList(
            nn.Sequential(doubling(a + labels, b, kernel), _norm(norm, b), nn.ReLU(inplace=True)) for a, b in zip(widths, widths[1:], strict=False)
        )
        self.last = doubling(widths[-1] + labels, image_shape[0], kernel)
        normal_weights(self, 0.02)
        self.to(memory_format=torch.channels_last)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents [n, latent_dim] to images [n, c, h, w] in [-1, 1]."""
        y = one_hot(labels, self.num_classes, z) if self.num_classes else None
        h = with_labels(z, y)
        if self.dense is not None:
            h = with_labels(self.dense(h), y)
        h = rearrange(self.project(h), "n (h w c) -> n c h w", h=self.base[0], w=self.base[1])
        h = with_labels(self.first(h), y)
        for level in self.levels:
            h = with_labels(level(h), y)
        h = self.last(h)
        return torch.tanh(h if self.output == "tanh" else h / 2)  # 2 sigmoid(t) - 1 = tanh(t / 2)


class DCGANDiscriminator(Discriminator):
    """Convolutions with stride 2, each with twice the channels of the one before, down to a small map, and one linear unit over it.

    The last layer is the torch version's 4x4 convolution to one number, written as a linear layer over (h w c). No sigmoid: the loss takes
    logits. WGAN's critic is the same network.

    Args:
        image_shape: (c, h, w), as DCGANGenerator's.
        width: channels of the first layer; twice as many with each halving.
        kernel: 4 or 5.
        norm: "batch", "none" or "virtual" (wrap in VirtualBatchDiscriminator); never on the first layer.
        num_classes: None, or the number of classes; then the one-hot label joins the input of every layer.
        dense: None, or units of a hidden layer after the last map (1024 in the authors' MNIST model).
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        width: int = 64,
        kernel: Literal[4, 5] = 4,
        *,
        norm: Norm = "batch",
        num_classes: int | None = None,
        dense: int | None = None,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        *base, doublings = pyramid(image_shape, 4, "DCGAN")
        labels = num_classes or 0
        widths = [image_shape[0], *(width * 2**level for level in range(doublings))]
        self.levels = nn.ModuleList(
            nn.Sequential(
                Halving(a + labels, b, kernel),
                _norm(norm if level else "none", b),
                nn.LeakyReLU(0.2, inplace=True),
            )
            for level, (a, b) in enumerate(zip(widths, widths[1:], strict=False))
        )
        size = widths[-1] * base[0] * base[1] + labels
        self.dense = None
        if dense is not None:
            self.dense = nn.Sequential(nn.Linear(size, dense, bias=False), _dense_norm(norm, dense), nn.LeakyReLU(0.2, inplace=True))
            size = dense + labels
        self.head = nn.Linear(size, 1, bias=False)
        normal_weights(self, 0.02)
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Judgement:
        """Images [n, c, h, w] to logits [n]; features are the last map flattened in (h w c) order, or the dense layer where there is one."""
        y = one_hot(labels, self.num_classes, x) if self.num_classes else None
        h = x
        for level in self.levels:
            h = level(with_labels(h, y))
        features = rearrange(h, "n c h w -> n (h w c)")
        if self.dense is not None:
            features = self.dense(with_labels(features, y))
        return Judgement(self.head(with_labels(features, y)).squeeze(1), features)
