"""An encoder that pools, and maps made of a code: the two ends that a PixelCNN decoder is put between.

Axes: n batch, c colours, h w image, d code, e maps.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

STAGES = 3


class PoolingEncoder(nn.Module):
    """Three 3x3 convolutions with width, 2 and 4 times width channels, each followed by 2x2 max pooling, then a linear layer.

    Args:
        shape: c, h, w of the images, of any side.
        code_dim: d.
        width: channels of the first convolution.
    """

    def __init__(self, shape: tuple[int, int, int], code_dim: int, width: int) -> None:
        super().__init__()
        c, h, w = shape
        sizes = (c, width, 2 * width, 4 * width)
        self.convs = nn.ModuleList(nn.Conv2d(i, o, 3, padding=1) for i, o in zip(sizes[:-1], sizes[1:], strict=True))
        self.last = nn.Linear(sizes[-1] * -(-h // 2**STAGES) * -(-w // 2**STAGES), code_dim)

    def forward(self, x: Tensor) -> Tensor:
        """x [n, c, h, w] -> codes [n, d]."""
        for conv in self.convs:
            x = F.max_pool2d(conv(x).relu(), 2, ceil_mode=True)
        z: Tensor = self.last(x.flatten(1))
        return z


class CodeMaps(nn.Module):
    """Maps of the image's size from a code: a linear layer to a quarter of each side, then two transposed 4x4 convolutions of stride 2.

    Args:
        code_dim: d.
        maps: e.
        size: h, w, of any side.
        width: channels of the smaller maps, twice as many of the smallest.
    """

    def __init__(self, code_dim: int, maps: int, size: tuple[int, int], width: int) -> None:
        super().__init__()
        self.size, self.seed = size, (2 * width, -(-size[0] // 4), -(-size[1] // 4))
        self.first = nn.Linear(code_dim, 2 * width * self.seed[1] * self.seed[2])
        self.grow = nn.ConvTranspose2d(2 * width, width, 4, 2, 1)
        self.last = nn.ConvTranspose2d(width, maps, 4, 2, 1)

    def forward(self, z: Tensor) -> Tensor:
        """z [n, d] -> [n, e, h, w]."""
        s = self.first(z).relu().unflatten(1, self.seed)
        y: Tensor = self.last(self.grow(s).relu())
        return y[:, :, : self.size[0], : self.size[1]]
