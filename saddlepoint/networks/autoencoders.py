"""Auto-encoders as discriminators: EBGAN (Zhao et al. 2017, arXiv:1609.03126) and BEGAN (Berthelot et al. 2017, arXiv:1703.10717).

Their logits are minus the energy, a reconstruction error averaged over a sample's values, so that higher is more real as everywhere. The
gradient flows through both arguments of the error, sample and reconstruction. A margin of a paper that sums the error must be divided by
the number of values a sample has.

Axes: n batch, c channels, h w image, d code or features.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from saddlepoint.errors import UsageError
from saddlepoint.networks.base import Discriminator, Generator, Judgement
from saddlepoint.networks.initialisation import normal_weights, xavier_weights
from saddlepoint.networks.layers import Dropout, doubling, pyramid


class EBGANMLPDiscriminator(Discriminator):
    """Fully connected auto-encoder, by default d-256-32-256-d with ReLU in the hidden layers and a linear code, no normalisation.

    Args:
        sample_shape: any, flattened.
        width: units of the hidden layers.
        code_dim: units of the code.
        hidden: hidden layers before the code, and as many after it.
        dropout: probability of dropping a hidden unit while training; 0 is off.
    """

    def __init__(self, sample_shape: tuple[int, ...], *, width: int = 256, code_dim: int = 32, hidden: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        size = math.prod(sample_shape)
        self.encoder = self._half(size, code_dim, width, hidden, dropout)
        self.decoder = self._half(code_dim, size, width, hidden, dropout)

    @staticmethod
    def _half(inputs: int, outputs: int, width: int, hidden: int, dropout: float) -> nn.Sequential:
        layers: list[nn.Module] = []
        for size in [inputs, *[width] * (hidden - 1)][:hidden]:
            layers += [nn.Linear(size, width), nn.ReLU(inplace=True), *([Dropout(dropout)] if dropout else [])]
        return nn.Sequential(*layers, nn.Linear(width if hidden else inputs, outputs))

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Judgement:
        """Samples [n, ...] to logits [n], minus the mean squared error; features [n, code_dim] are the code. ``labels`` are not used."""
        x = rearrange(x, "n ... -> n (...)")
        code: Tensor = self.encoder(x)
        return Judgement(-(self.decoder(code) - x).square().mean(1), code)


class EBGANDiscriminator(Discriminator):
    """Convolutional auto-encoder: 4x4 kernels, stride 2, LeakyReLU .2, channels (64)-(128)-(256)-(128)-(64)-(c) for 64x64.

    Batch normalisation everywhere but on the first and the last layer, which have biases instead; weights N(0, .02).

    Args:
        image_shape: (c, h, w), sides divisible by 2**levels.
        width: channels of the first layer; twice as many with each halving.
        levels: halvings: 3 for LSUN and CelebA at 64x64.
    """

    def __init__(self, image_shape: tuple[int, int, int], *, width: int = 64, levels: int = 3) -> None:
        super().__init__()
        if any(side % 2**levels for side in image_shape[1:]):
            near = "x".join(str(max(1, round(side / 2**levels)) * 2**levels) for side in image_shape[1:])
            raise UsageError(f"EBGAN's auto-encoder needs sides divisible by {2**levels}; got {image_shape[1]}x{image_shape[2]}. Nearest: {near}.")
        widths = [image_shape[0], *(width * 2**level for level in range(levels))]
        encoder = [nn.Conv2d(widths[0], widths[1], 4, 2, 1), nn.LeakyReLU(0.2, inplace=True)]
        decoder: list[nn.Module] = [doubling(widths[1], widths[0], 4, bias=True)]
        for a, b in zip(widths[1:], widths[2:], strict=False):
            encoder += [nn.Conv2d(a, b, 4, 2, 1, bias=False), nn.BatchNorm2d(b), nn.LeakyReLU(0.2, inplace=True)]
            decoder = [doubling(b, a, 4), nn.BatchNorm2d(a), nn.LeakyReLU(0.2, inplace=True), *decoder]
        self.encoder = nn.Sequential(*encoder)
        self.decoder = nn.Sequential(*decoder)
        normal_weights(self, 0.02, gain_std=None)
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Judgement:
        """Images to logits [n], minus the mean squared error; features are the code map, flattened. ``labels`` are not used."""
        code: Tensor = self.encoder(x)
        energy = (self.decoder(code) - x).square().mean((1, 2, 3))
        return Judgement(-energy, rearrange(code, "n c h w -> n (h w c)"))


class _Conv(nn.Sequential):
    """3x3 convolution and ELU. Where it keeps the channels, ``carry`` mixes its input back in: carry * x + (1 - carry) * out."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__(nn.Conv2d(channels, out_channels, 3, padding=1), nn.ELU(inplace=True))
        self.keeps = channels == out_channels

    def mixed(self, x: Tensor, carry: Tensor | None) -> Tensor:
        """Shape [n, c, h, w]; ``carry`` None leaves the convolution alone."""
        out: Tensor = self(x)
        return torch.lerp(out, x, carry) if carry is not None and self.keeps else out


def _carry(vanishing: bool) -> Tensor | None:
    return torch.ones(()) if vanishing else None


def set_carry(network: nn.Module, carry: float) -> None:
    """Set the share of the input in every vanishing residual; the paper goes from 1 to 0 over its first 16,000 steps."""
    for module in network.modules():
        if isinstance(module, (BEGANDecoder, BEGANEncoder)) and module.carry is not None:
            module.carry.fill_(carry)


class BEGANDecoder(nn.Module):
    """Code to image; the same design serves as G and as D's decoder (Berthelot et al. 2017, Figure 1).

    A linear layer without activation to a map h0 of 8x8; per level two 3x3 convolutions of ``width`` channels with ELU; nearest upsampling
    between levels; a 3x3 convolution to the image, no tanh. levels = log2(side) - 2. No normalisation.

    Args:
        code_dim: of z or of the encoder's code.
        image_shape: (c, h, w); sides 8 to 15 times a power of two.
        width: n of the paper, 64 or 128.
        skips: concatenate h0, upsampled, after each upsampling.
        vanishing: vanishing residuals, see set_carry.
    """

    carry: Tensor | None

    def __init__(self, code_dim: int, image_shape: tuple[int, int, int], width: int = 128, *, skips: bool = False, vanishing: bool = False) -> None:
        super().__init__()
        *self.base, doublings = pyramid(image_shape, 8, "BEGAN")
        self.skips = skips
        self.dense = nn.Linear(code_dim, width * math.prod(self.base))
        joined = 2 * width if skips else width
        self.firsts = nn.ModuleList(_Conv(joined if level else width, width) for level in range(doublings + 1))
        self.seconds = nn.ModuleList(_Conv(width, width) for _ in range(doublings + 1))
        self.last = nn.Conv2d(width, image_shape[0], 3, padding=1)
        self.register_buffer("carry", _carry(vanishing))
        xavier_weights(self)
        self.to(memory_format=torch.channels_last)

    def forward(self, code: Tensor) -> Tensor:
        """Shape [n, code_dim] to [n, c, h, w]."""
        h0 = rearrange(self.dense(code), "n (h w c) -> n c h w", h=self.base[0], w=self.base[1])
        h = h0
        for level, (first, second) in enumerate(zip(self.firsts, self.seconds, strict=True)):
            if level:
                h = F.interpolate(h, scale_factor=2.0)
                h = torch.cat([h, F.interpolate(h0, size=h.shape[2:])], 1) if self.skips else h
            assert isinstance(first, _Conv) and isinstance(second, _Conv)
            h = second.mixed(first.mixed(h, self.carry), self.carry)
        image: Tensor = self.last(h)
        return image


class BEGANEncoder(nn.Module):
    """Image to code: 3x3 convolution of n channels; per level two of n * level channels, then one with stride 2, all with ELU; linear code.

    Args as BEGANDecoder's. There is no stride and no activation at the end.
    """

    carry: Tensor | None

    def __init__(self, code_dim: int, image_shape: tuple[int, int, int], width: int = 128, *, vanishing: bool = False) -> None:
        super().__init__()
        *base, doublings = pyramid(image_shape, 8, "BEGAN")
        widths = [width * (level + 1) for level in range(doublings + 1)]
        self.entry = _Conv(image_shape[0], width)
        self.firsts = nn.ModuleList(_Conv(a, b) for a, b in zip([width, *widths], widths, strict=False))
        self.seconds = nn.ModuleList(_Conv(b, b) for b in widths)
        self.downs = nn.ModuleList(nn.Sequential(nn.Conv2d(b, b, 3, 2, 1), nn.ELU(inplace=True)) for b in widths[:-1])
        self.dense = nn.Linear(widths[-1] * math.prod(base), code_dim)
        self.register_buffer("carry", _carry(vanishing))
        xavier_weights(self)
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        """Shape [n, c, h, w] to [n, code_dim]."""
        h: Tensor = self.entry(x)
        for level, (first, second) in enumerate(zip(self.firsts, self.seconds, strict=True)):
            assert isinstance(first, _Conv) and isinstance(second, _Conv)
            h = second.mixed(first.mixed(h, self.carry), self.carry)
            h = self.downs[level](h) if level < len(self.downs) else h
        code: Tensor = self.dense(rearrange(h, "n c h w -> n (h w c)"))
        return code


class BEGANGenerator(Generator):
    """BEGAN's G: a BEGANDecoder of z; its images are not bounded, though trained towards [-1, 1]."""

    def __init__(
        self, image_shape: tuple[int, int, int], *, latent_dim: int = 64, width: int = 128, skips: bool = False, vanishing: bool = False
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.decoder = BEGANDecoder(latent_dim, image_shape, width, skips=skips, vanishing=vanishing)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents [n, latent_dim] to images [n, c, h, w]; ``labels`` are not used."""
        image: Tensor = self.decoder(z)
        return image


class BEGANDiscriminator(Discriminator):
    """BEGAN's D: encoder and decoder; logits are -mean |x - D(x)| over a sample's values, features the code [n, code_dim]."""

    def __init__(
        self, image_shape: tuple[int, int, int], *, code_dim: int = 64, width: int = 128, skips: bool = False, vanishing: bool = False
    ) -> None:
        super().__init__()
        self.encoder = BEGANEncoder(code_dim, image_shape, width, vanishing=vanishing)
        self.decoder = BEGANDecoder(code_dim, image_shape, width, skips=skips, vanishing=vanishing)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Judgement:
        """Images [n, c, h, w] to logits [n]; ``labels`` are not used."""
        code: Tensor = self.encoder(x)
        return Judgement(-(x - self.decoder(code)).abs().mean((1, 2, 3)), code)
