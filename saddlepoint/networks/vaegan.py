"""Networks of VAE/GAN (Larsen et al. 2016, arXiv:1512.09300, Table 1), at any size that is 8 pixels or more.

    encoder        C64-C128-C256 of stride 2, FC2048, then the code                 C: 5x5, batch normalisation, ReLU
    decoder        FC256 maps, U256-U128-U32 of stride 2, 5x5 convolution, tanh     U: transposed C
    discriminator  5x5 convolution to 32 and ReLU, C128-C256-C256 of stride 2, FC512, one unit

The encoder's plan with other widths is IcGAN's (Perarnau et al. 2016). Weights start as Glorot & Bengio 2010's.

Axes: n batch, c channels, h w image, d code.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from saddlepoint.errors import UsageError
from saddlepoint.networks.base import Discriminator, Generator, Judgement

LEVELS, SMALLEST = 3, 8


def _halved(side: int, levels: int = LEVELS) -> list[int]:
    """A side and what is left of it after each 5x5 convolution of stride 2.

    >>> _halved(28), _halved(32)
    ([28, 14, 7, 4], [32, 16, 8, 4])
    """
    sides = [side]
    for _ in range(levels):
        sides.append(-(-sides[-1] // 2))
    return sides


def _checked(shape: tuple[int, ...]) -> tuple[int, int, int]:
    c, h, w = shape
    if min(h, w) < SMALLEST:
        raise UsageError(f"These networks halve images three times; {w}x{h} pixels are fewer than {SMALLEST}. Choose --resolution 32, for example.")
    return c, h, w


def _block(c: int, o: int) -> list[nn.Module]:
    return [nn.Conv2d(c, o, 5, 2, 2, bias=False), nn.BatchNorm2d(o), nn.ReLU(inplace=True)]


def _dense(inputs: int, units: int) -> list[nn.Module]:
    return [nn.Linear(inputs, units, bias=False), nn.BatchNorm1d(units), nn.ReLU(inplace=True)]


def _start(network: nn.Module) -> None:
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    network.to(memory_format=torch.channels_last)


class BlockEncoder(nn.Module):
    """Convolutions of stride 2, a hidden layer, and ``outputs`` numbers.

    Args:
        shape: of an image.
        outputs: numbers that come out: 2 d for a mean and a log variance.
        widths: channels of the convolutions.
        hidden: units of the hidden layer; 0 none.
    """

    def __init__(self, shape: tuple[int, ...], outputs: int, *, widths: tuple[int, ...] = (64, 128, 256), hidden: int = 2048) -> None:
        super().__init__()
        c, h, w = _checked(shape)
        size = widths[-1] * _halved(h, len(widths))[-1] * _halved(w, len(widths))[-1]
        layers = [layer for a, b in zip((c, *widths), widths, strict=False) for layer in _block(a, b)]
        self.body = nn.Sequential(*layers, nn.Flatten(), *(_dense(size, hidden) if hidden else []))
        self.last = nn.Linear(hidden or size, outputs)
        _start(self)

    def features(self, x: Tensor) -> Tensor:
        """The layer before the output, [n, hidden]."""
        h: Tensor = self.body(x)
        return h

    def forward(self, x: Tensor) -> Tensor:
        """Images [n, c, h, w] -> [n, outputs]."""
        y: Tensor = self.last(self.features(x))
        return y


class BlockDecoder(Generator):
    """Codes to images.

    Args:
        latent_dim: d.
        shape: of an image.
        width: channels of the encoder's first map; the decoder's are 4, 4, 2 and 1/2 times as many.
    """

    def __init__(self, latent_dim: int, shape: tuple[int, ...], width: int = 64) -> None:
        super().__init__()
        c, h, w = _checked(shape)
        self.latent_dim = latent_dim
        rows, columns = _halved(h), _halved(w)
        self.base = (4 * width, rows[-1], columns[-1])
        layers: list[nn.Module] = [*_dense(latent_dim, math.prod(self.base)), nn.Unflatten(1, self.base)]
        widths = (4 * width, 4 * width, 2 * width, max(width // 2, 1))
        for level, (a, b) in enumerate(zip(widths, widths[1:], strict=False)):
            down, right = (sides[-2 - level] - (2 * sides[-1 - level] - 1) for sides in (rows, columns))
            layers += [nn.ConvTranspose2d(a, b, 5, 2, 2, (down, right), bias=False), nn.BatchNorm2d(b), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], c, 5, 1, 2), nn.Tanh())
        _start(self)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Codes [n, d] to images [n, c, h, w] in [-1, 1]; ``labels`` are not used."""
        x: Tensor = self.layers(z)
        return x


class LayeredDiscriminator(Discriminator):
    """Images to logits; the output of one of its convolutions, before normalisation, is what reconstructions are compared in.

    Args:
        shape: of an image.
        width: channels of the encoder's first map; here half, 2, 4 and 4 times as many.
        layer: which convolution: 1 to 3 of stride 2 (the released code: 3 at 64 pixels, 2 at 32), 0 the image itself.
    """

    def __init__(self, shape: tuple[int, ...], width: int = 64, layer: int = 3) -> None:
        super().__init__()
        c, h, w = _checked(shape)
        if not 0 <= layer <= LEVELS:
            raise UsageError(f"The discriminator has the layers 1 to {LEVELS}, and 0 for the image; layer is {layer}.")
        self.layer = layer
        widths = (max(width // 2, 1), 2 * width, 4 * width, 4 * width)
        self.first = nn.Sequential(nn.Conv2d(c, widths[0], 5, 1, 2), nn.ReLU(inplace=True))
        self.convolutions = nn.ModuleList(nn.Conv2d(a, b, 5, 2, 2, bias=False) for a, b in zip(widths, widths[1:], strict=False))
        self.norms = nn.ModuleList(nn.Sequential(nn.BatchNorm2d(b), nn.ReLU()) for b in widths[1:])
        self.head = nn.Sequential(nn.Flatten(), *_dense(widths[-1] * _halved(h)[-1] * _halved(w)[-1], 8 * width), nn.Linear(8 * width, 1))
        _start(self)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Judgement:
        """Images [n, c, h, w] to logits [n] and the features of ``layer`` [n, f]."""
        features, h = x, self.first(x)
        for level, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True), 1):
            h = convolution(h)
            features = h if level == self.layer else features
            h = norm(h)
        return Judgement(self.head(h).squeeze(1), features.flatten(1))

    def features(self, x: Tensor) -> Tensor:
        """The features of ``layer`` alone, [n, f]; what lies behind is not computed."""
        if self.layer == 0:
            return x.flatten(1)
        h = self.first(x)
        for level in range(self.layer - 1):
            h = self.norms[level](self.convolutions[level](h))
        found: Tensor = self.convolutions[self.layer - 1](h)
        return found.flatten(1)
