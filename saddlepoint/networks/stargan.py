"""StarGAN's two networks: one generator for all domains, and a discriminator that judges patches and names the domain.

    G   c7s1-64, two 4x4 convolutions of stride 2 (128, 256), 6 residual blocks of 256, two 4x4 transposed ones, c7s1-3, tanh
    D   4x4 convolutions of stride 2 (64, 128, ... 2048 at 128 pixels), LeakyReLU .01; 3x3 to patches, and one as large as the map to the domains

Choi et al. 2018 (arXiv:1711.09020), Tables IV and V, and the released code: instance normalisation with gain and bias in G, none in D, zero padding.
A label spread over the image is a constant that instance normalisation takes out again wherever the convolution does not see the border; mirrored
borders would leave nothing of it.

Axes: n batch, c channels, k domains, h w image.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from saddlepoint.errors import UsageError
from saddlepoint.networks.base import Discriminator, Judgement
from saddlepoint.networks.convolution import conv2d
from saddlepoint.networks.instancenorm import ImageBatchNorm, InstanceNorm, TranslatorNorm

MOST_LEVELS = 6


def _norm(kind: TranslatorNorm, channels: int) -> nn.Module:
    """With gain and bias, as in the released code."""
    return ImageBatchNorm(channels) if kind == "batch" else InstanceNorm(channels, affine=True)


class _Residual(nn.Module):
    """x + N(conv(ReLU(N(conv(x))))), 3x3."""

    def __init__(self, channels: int, norm: TranslatorNorm) -> None:
        super().__init__()
        first, second = (nn.Conv2d(channels, channels, 3, padding=1, bias=False) for _ in range(2))
        self.branch = nn.Sequential(first, _norm(norm, channels), nn.ReLU(inplace=True), second, _norm(norm, channels))

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] -> [n, c, h, w]."""
        y: Tensor = x + self.branch(x)
        return y


class StarGANGenerator(nn.Module):
    """An image and the domain it shall be in -> the image there.

    Args:
        channels: of the images.
        condition: numbers that say the domain.
        width: channels of the first map.
        blocks: residual blocks.
        norm: "instance" or "batch".

    Attributes:
        multiple: sides of any image must be multiples of it.
    """

    multiple = 4

    def __init__(self, channels: int, condition: int, width: int = 64, blocks: int = 6, *, norm: TranslatorNorm = "instance") -> None:
        super().__init__()

        def then(convolution: nn.Module, c: int) -> list[nn.Module]:
            return [convolution, _norm(norm, c), nn.ReLU(inplace=True)]

        layers = then(nn.Conv2d(channels + condition, width, 7, padding=3, bias=False), width)
        for c in (width, 2 * width):
            layers += then(nn.Conv2d(c, 2 * c, 4, 2, 1, bias=False), 2 * c)
        layers += [_Residual(4 * width, norm) for _ in range(blocks)]
        for c in (4 * width, 2 * width):
            layers += then(nn.ConvTranspose2d(c, c // 2, 4, 2, 1, bias=False), c // 2)
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, channels, 7, padding=3, bias=False), nn.Tanh())
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Images [n, c, h, w] in [-1, 1] and conditions [n, k] -> images [n, c, h, w] in [-1, 1]."""
        maps = condition.to(x.dtype)[:, :, None, None].expand(-1, -1, *x.shape[2:])
        y: Tensor = self.layers(torch.cat([x, maps], 1).contiguous(memory_format=torch.channels_last))
        return y


class _Kernel(nn.Conv2d):
    """Convolution whose derivative of any order is a convolution: the slope penalty differentiates twice."""

    def __init__(self, c: int, o: int, kernel: int | tuple[int, int], stride: int = 1, padding: int = 0, *, bias: bool = False) -> None:
        super().__init__(c, o, kernel, stride, padding, bias=bias)
        self.form = stride, padding

    def forward(self, x: Tensor) -> Tensor:
        return conv2d(x, self.weight, self.bias, stride=self.form[0], padding=self.form[1])


def levels_of(size: tuple[int, int]) -> int:
    """Convolutions of stride 2: as many as leave 2 pixels of the shorter side, 6 at most.

    >>> levels_of((128, 128)), levels_of((32, 32)), levels_of((28, 40))
    (6, 4, 3)
    """
    levels, side = 0, min(size)
    while side // 2 >= 2 and levels < MOST_LEVELS:
        side, levels = side // 2, levels + 1
    return levels


class StarGANDiscriminator(Discriminator):
    """Logits of patches, and logits of the domains.

    Args:
        channels: of the images.
        num_domains: k, of all data sets together.
        size: height and width of the training images.
        width: channels of the first map; doubled by every convolution.
    """

    def __init__(self, channels: int, num_domains: int, size: tuple[int, int], width: int = 64) -> None:
        super().__init__()
        levels = levels_of(size)
        if levels < 2:
            raise UsageError(
                f"StarGAN's discriminator needs images of 8 pixels or more; {size[1]}x{size[0]} came. Choose --resolution 32, for example."
            )
        layers: list[nn.Module] = []
        for level in range(levels):
            layers += [_Kernel(width * 2 ** (level - 1) if level else channels, width * 2**level, 4, 2, 1, bias=True), nn.LeakyReLU(0.01)]
        self.layers = nn.Sequential(*layers)
        top, self.size = width * 2 ** (levels - 1), size
        self.patches = _Kernel(top, 1, 3, padding=1)
        self.domains = _Domains(top, num_domains, (size[0] // 2**levels, size[1] // 2**levels))
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Judgement:
        """[n, c, h, w] to patch logits [n, 1, h', w'] and domain logits [n, k]."""
        h = self.layers(x)
        return Judgement(self.patches(h), None, self.domains(h))


class _Domains(nn.Linear):
    """A convolution as large as the map it sees: one linear map, differentiable to any order."""

    def __init__(self, channels: int, num_domains: int, size: tuple[int, int]) -> None:
        super().__init__(channels * size[0] * size[1], num_domains, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.flatten(1))
