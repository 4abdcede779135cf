"""Residual generators and discriminators of WGAN-GP and SNGAN: one pair of classes and a table of the published variants.

    wgan-gp-32   Gulrajani et al. 2017 (arXiv:1704.00028), CIFAR-10: G and D 128 channels, global mean pool
    good-64      the same paper's 64x64 network: G 512 512 256 128 64, D 64 128 256 512 512 with layer norm, no pool
    sngan-32     Miyato et al. 2018 (arXiv:1802.05957), CIFAR-10: G 256, D 128 with spectral norm, global sum pool; 48x48 is its STL-10 form
    sngan-64, sngan-128, sngan-256   Miyato & Koyama 2018 (arXiv:1802.05637)

G's block: norm, ReLU, doubling, conv3, norm, ReLU, conv3; its hidden channels are those that leave. D's block: norm, ReLU, conv3, norm, ReLU, conv3,
mean of 2x2; its hidden channels are those that enter. The shortcut is a 1x1 convolution where size or channels change. D's first block acts on
pixels: it has no norm and no ReLU before its first convolution. Residual kernels are Glorot-uniform with gain sqrt(2), others with gain 1, biases 0.
The linear layer of G writes in (h w c) order, which is a channels_last image without a copy.

Axes: n batch, c channels, h w image, d latent or feature, k classes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from saddlepoint.errors import UsageError, nearest
from saddlepoint.networks.base import Discriminator, Generator, Judgement
from saddlepoint.networks.convolution import Convolution, Resample
from saddlepoint.networks.norms import Norm, apply_norm, make_norm
from saddlepoint.networks.spectral import Embedding, Linear

RESIDUAL_GAIN = math.sqrt(2)
Head = Literal["projection", "auxiliary", "concat"]


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One published pair.

    Attributes:
        generator: channels of the smallest map and after each doubling block.
        discriminator: channels after each block.
        halvings: how many of D's blocks halve the map, the first ones.
        stem: channels of a plain 3x3 convolution before D's blocks; None: the first block acts on pixels.
        pool: how D's last map becomes a vector; "sum" and "mean" come after a last ReLU.
        norm: D's normalisation.
        spectral_norm: whether D's layers are spectrally normalised.
        normed_biases: whether a convolution followed by a norm has a bias.
        head_bias: whether D's last layer has a bias.
    """

    generator: tuple[int, ...]
    discriminator: tuple[int, ...]
    halvings: int
    stem: int | None = None
    pool: Literal["sum", "mean", "flatten"] = "sum"
    norm: Norm = "none"
    spectral_norm: bool = True
    normed_biases: bool = True
    head_bias: bool = True


VARIANTS: dict[str, Variant] = {
    "wgan-gp-32": Variant(generator=(128,) * 4, discriminator=(128,) * 4, halvings=2, pool="mean", spectral_norm=False),
    "good-64": Variant(
        generator=(512, 512, 256, 128, 64),
        discriminator=(128, 256, 512, 512),
        halvings=4,
        stem=64,
        pool="flatten",
        norm="layer",
        spectral_norm=False,
        normed_biases=False,
    ),
    "sngan-32": Variant(generator=(256,) * 4, discriminator=(128,) * 4, halvings=2, head_bias=False),
    "sngan-64": Variant(generator=(1024, 512, 256, 128, 64), discriminator=(64, 128, 256, 512, 1024), halvings=5),
    "sngan-128": Variant(generator=(1024, 1024, 512, 256, 128, 64), discriminator=(64, 128, 256, 512, 1024, 1024), halvings=5),
    "sngan-256": Variant(generator=(1024, 1024, 512, 512, 256, 128, 64), discriminator=(64, 128, 256, 512, 512, 1024, 1024), halvings=6),
}


def find_variant(name: str) -> Variant:
    """The row of the table with this name.

    Raises:
        UsageError: for a name that is not there, with the nearest ones.
    """
    if name not in VARIANTS:
        raise UsageError(f"There is no residual network {name!r}. {nearest(name, VARIANTS)}")
    return VARIANTS[name]


def smallest_map(name: str, image_shape: tuple[int, int, int], halvings: int) -> tuple[int, int]:
    """Height and width after ``halvings`` of the image.

    Raises:
        UsageError: where a side cannot be halved so often.

    >>> smallest_map("sngan-32", (3, 48, 48), 3)
    (6, 6)
    """
    _, h, w = image_shape
    step = 2**halvings
    if h % step or w % step or 0 in (h, w):
        raise UsageError(
            f"{name} halves its images {halvings} times, so their sides must be multiples of {step}; got {h}x{w}. Set another resolution."
        )
    return h // step, w // step


def _scaled(channels: int, width: float) -> int:
    return max(1, round(channels * width))


class GeneratorBlock(nn.Module):
    """Residual block that doubles the map: [n, c, h, w] -> [n, o, 2h, 2w]."""

    def __init__(self, c: int, o: int, *, norm: Norm, num_classes: int | None, normed_biases: bool) -> None:
        super().__init__()
        self.norm1, self.norm2 = make_norm(norm, c, num_classes), make_norm(norm, o, num_classes)
        self.conv1 = Convolution(c, o, resample="up", bias=normed_biases or norm == "none", gain=RESIDUAL_GAIN)
        self.conv2 = Convolution(o, o, gain=RESIDUAL_GAIN)
        self.shortcut = Convolution(c, o, 1, resample="up")
        self.inplace = norm != "none"  # without a norm the ReLU would overwrite the input of the shortcut

    def forward(self, x: Tensor, labels: Tensor | None) -> Tensor:
        """The image features and int64 labels [n] to the next features."""
        h = self.conv1(F.relu(apply_norm(self.norm1, x, labels), inplace=self.inplace))
        h = self.conv2(F.relu(apply_norm(self.norm2, h, labels), inplace=self.inplace))
        y: Tensor = h + self.shortcut(x)
        return y


class ResNetGenerator(Generator):
    """z, a linear layer to a small map, doubling blocks, norm, ReLU, conv3, tanh.

    Args:
        variant: name in the table.
        image_shape: (c, h, w); h and w must be divisible by 2**(number of doubling blocks).
        latent_dim: d of z; 128 in all variants.
        width: factor on all channels.
        num_classes: set: batch norm inside the blocks is conditional on the label.
        norm: "batch" as published, "layer" or "none".
    """

    def __init__(
        self,
        variant: str,
        image_shape: tuple[int, int, int],
        latent_dim: int = 128,
        *,
        width: float = 1.0,
        num_classes: int | None = None,
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        row = find_variant(variant)
        channels = [_scaled(c, width) for c in row.generator]
        self.latent_dim = latent_dim
        self.base = smallest_map(variant, image_shape, len(channels) - 1)
        self.project = Linear(latent_dim, math.prod(self.base) * channels[0])
        self.blocks = nn.ModuleList(
            GeneratorBlock(c, o, norm=norm, num_classes=num_classes, normed_biases=row.normed_biases)
            for c, o in zip(channels, channels[1:], strict=False)
        )
        self.norm = make_norm(norm, channels[-1])
        self.to_image = Convolution(channels[-1], image_shape[0])
        self.to(memory_format=torch.channels_last)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """[n, d] and int64 [n] -> images [n, c, h, w] in [-1, 1]."""
        x = rearrange(self.project(z), "n (h w c) -> n c h w", h=self.base[0], w=self.base[1])
        for block in self.blocks:
            x = block(x, labels)
        return torch.tanh(self.to_image(F.relu(self.norm(x))))


class DiscriminatorBlock(nn.Module):
    """Residual block: [n, c, h, w] -> [n, o, h, w], or half the size where it resamples "down".

    Args:
        c: channels in, and of the hidden map.
        o: channels out, and of the hidden map where ``pixels`` or ``wide``.
        norm: before each ReLU.
        resample: "down" or None.
        pixels: whether the input is an image: then no norm, and no ReLU before the first convolution.
        spectral_norm: of all three convolutions.
        normed_biases: whether a convolution followed by a norm has a bias.
        wide: whether the hidden map has the channels that leave, as in SAGAN and BigGAN.
    """

    def __init__(
        self, c: int, o: int, *, norm: Norm, resample: Resample | None, pixels: bool, spectral_norm: bool, normed_biases: bool, wide: bool = False
    ) -> None:
        super().__init__()
        self.pixels = pixels
        norm = "none" if pixels else norm
        hidden = o if pixels or wide else c
        self.norm1, self.norm2 = make_norm(norm, c), make_norm(norm, hidden)
        self.conv1 = Convolution(c, hidden, bias=normed_biases or norm == "none", gain=RESIDUAL_GAIN, spectral_norm=spectral_norm)
        self.conv2 = Convolution(hidden, o, resample=resample, gain=RESIDUAL_GAIN, spectral_norm=spectral_norm)
        identity = c == o and resample is None
        self.shortcut = nn.Identity() if identity else Convolution(c, o, 1, resample=resample, spectral_norm=spectral_norm)

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] -> [n, o, h', w']."""
        h = x if self.pixels else F.relu(self.norm1(x))
        h = self.conv2(F.relu(self.norm2(self.conv1(h))))
        y: Tensor = h + self.shortcut(x)
        return y


class ResNetDiscriminator(Discriminator):
    """Residual blocks, a pool and a linear layer; conditional where ``num_classes`` is given.

    Args:
        variant: name in the table.
        image_shape: (c, h, w); h and w must be divisible by 2**halvings.
        width: factor on all channels.
        num_classes: set: D is conditional in the way of ``head``.
        head: "projection" adds <embedding of the label, features> to the logit (Miyato & Koyama 2018, Eq. 5); "auxiliary" classifies and takes no
            label (Odena et al. 2017); "concat" joins an embedding of 128 to the map before the fourth block (the ablation of Miyato & Koyama 2018).
        norm: None: as published.
        spectral_norm: None: as published.
    """

    def __init__(
        self,
        variant: str,
        image_shape: tuple[int, int, int],
        *,
        width: float = 1.0,
        num_classes: int | None = None,
        head: Head = "projection",
        norm: Norm | None = None,
        spectral_norm: bool | None = None,
    ) -> None:
        super().__init__()
        row = find_variant(variant)
        self.head, self.num_classes, self.pool = head, num_classes, row.pool
        spectral = row.spectral_norm if spectral_norm is None else spectral_norm
        base = smallest_map(variant, image_shape, row.halvings)
        stem = None if row.stem is None else _scaled(row.stem, width)
        self.stem = nn.Identity() if stem is None else Convolution(image_shape[0], stem, spectral_norm=spectral)
        channels = [stem or image_shape[0], *(_scaled(c, width) for c in row.discriminator)]
        extra = _scaled(128, width) if num_classes and head == "concat" else 0
        self.blocks = nn.ModuleList(
            DiscriminatorBlock(
                c + extra * (i == 3),
                o,
                norm=row.norm if norm is None else norm,
                resample="down" if i < row.halvings else None,
                pixels=i == 0 and stem is None,
                spectral_norm=spectral,
                normed_biases=row.normed_biases,
            )
            for i, (c, o) in enumerate(zip(channels, channels[1:], strict=False))
        )
        features = channels[-1] * (math.prod(base) if row.pool == "flatten" else 1)
        self.to_logit = Linear(features, 1, bias=row.head_bias, spectral_norm=spectral)
        if num_classes and head == "auxiliary":
            self.to_classes = Linear(features, num_classes, spectral_norm=spectral)
        elif num_classes:
            self.embedding = Embedding(num_classes, extra or features, spectral_norm=spectral)
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Judgement:
        """Images [n, c, h, w] and int64 [n] -> logits [n]; features are the pooled ones before the last layer.

        Raises:
            UsageError: where the head needs labels and none came.
        """
        if self.num_classes and self.head != "auxiliary" and labels is None:
            raise UsageError(f"This discriminator is conditional on {self.num_classes} classes and needs labels; got none. Use data with labels.")
        h = self.stem(x)
        for i, block in enumerate(self.blocks):
            if i == 3 and self.num_classes and self.head == "concat":
                maps = self.embedding(labels)[:, :, None, None].expand(-1, -1, *h.shape[2:])
                h = torch.cat([h, maps], 1)
            h = block(h)
        features = self._pooled(h)
        logits = self.to_logit(features).squeeze(1)
        if self.num_classes and self.head == "projection":
            logits = logits + (self.embedding(labels) * features).sum(1)
        return Judgement(logits, features, self.to_classes(features) if self.num_classes and self.head == "auxiliary" else None)

    def _pooled(self, h: Tensor) -> Tensor:
        if self.pool == "flatten":
            return rearrange(h, "n c h w -> n (h w c)")
        h = F.relu(h)
        return h.sum((2, 3)) if self.pool == "sum" else h.mean((2, 3))
