"""The U-Net of pix2pix (Isola et al. 2017, arXiv:1611.07004, appendix 6.1): an encoder and a decoder that sees the encoder's maps beside its own.

    encoder  C64-C128-C256-C512-C512-C512-C512-C512          at 256 pixels; no normalisation on the first, nor on the 1x1 map
    decoder  CD512-CD512-CD512-C512-C256-C128-C64            D: half of the values dropped, in use too: the only noise

4x4 convolutions of stride 2, LeakyReLU .2 down, ReLU up, tanh at the end. Smaller images have fewer layers of 512 channels. Where the authors' text
normalises the 1x1 map their code does not: by its own statistics one number is 0.

Axes: n batch, c channels, h w image.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from saddlepoint.draws import draws_like
from saddlepoint.errors import UsageError
from saddlepoint.networks.initialisation import normal_weights
from saddlepoint.networks.instancenorm import TranslatorNorm, translator_norm
from saddlepoint.networks.layers import Halving, doubling

MOST_LEVELS = 8


class DropoutNoise(nn.Module):
    """Half of the values set to 0 and the others doubled, in training and in use: the noise z of pix2pix."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape [n, ...]; returns the same shape."""
        keep = draws_like(x).uniform(*x.shape) >= 0.5
        return x * keep.to(x.dtype).mul_(2)


def levels_of(height: int, width: int) -> int:
    """How often both sides can be halved, 8 times at most.

    >>> levels_of(256, 256), levels_of(128, 192), levels_of(28, 28)
    (8, 6, 2)
    """
    levels = 0
    while levels < MOST_LEVELS and height % 2 ** (levels + 1) == width % 2 ** (levels + 1) == 0:
        levels += 1
    return levels


class UNet(nn.Module):
    """Images to images of the same size.

    Args:
        channels: of the input.
        out_channels: of the output.
        size: height and width of the training images; the number of levels follows from it.
        width: channels of the first map; 8 times as many at most.
        norm: "batch" or "instance".
        noise: drop half of the values in the decoder's innermost layers: three of them at 256 pixels, one or two below.
        skips: whether the decoder sees the encoder's maps; without them it is the paper's encoder-decoder.

    Attributes:
        multiple: sides of any image must be multiples of it.
    """

    def __init__(
        self,
        channels: int,
        out_channels: int,
        size: tuple[int, int],
        width: int = 64,
        *,
        norm: TranslatorNorm = "batch",
        noise: bool = True,
        skips: bool = True,
    ) -> None:
        super().__init__()
        levels = levels_of(*size)
        if levels == 0:
            raise UsageError(f"A U-Net halves its images; {size[1]}x{size[0]} pixels cannot be halved. Choose --resolution 32, 64, 128 or 256.")
        self.skips, self.multiple = skips, 2**levels
        widths = [width * min(2**level, 8) for level in range(levels)]  # of the encoder's maps
        inner = (False, *(0 < level < levels - 1 for level in range(1, levels)))  # whether a map is normalised
        self.down = nn.ModuleList(
            nn.Sequential(Halving(a, b, 4, bias=not normed), translator_norm(norm if normed else "none", b))
            for a, b, normed in zip([channels, *widths], widths, inner, strict=False)
        )
        dropped = min(max(levels - 5, 1), 3) if noise else 0
        self.up = nn.ModuleList()
        for step, (level, above) in enumerate(zip(range(levels - 1, 0, -1), widths[-2::-1], strict=True)):
            joined = widths[level] * (2 if skips and step else 1)
            layers = [doubling(joined, above, 4), translator_norm(norm, above), *([DropoutNoise()] if step < dropped else [])]
            self.up.append(nn.Sequential(*layers))
        self.head = doubling(width * (2 if skips and levels > 1 else 1), out_channels, 4, bias=True)
        normal_weights(self, 0.02)
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        """[n, channels, h, w] in [-1, 1] -> [n, out_channels, h, w] in [-1, 1]."""
        maps: list[Tensor] = []
        for layer in self.down:
            x = layer(x if not maps else nn.functional.leaky_relu(x, 0.2))
            maps.append(x)
        for step, layer in enumerate(self.up):
            x = layer(self._joined(x, maps[-1 - step] if step else None))
        return torch.tanh(self.head(self._joined(x, maps[0] if self.up else None)))

    def _joined(self, x: Tensor, skip: Tensor | None) -> Tensor:
        """ReLU of a map, with the encoder's of the same size beside it."""
        x = torch.relu(x)
        return x if skip is None or not self.skips else torch.cat([x, torch.relu(skip)], 1)
