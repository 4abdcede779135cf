"""The PatchGAN (Isola et al. 2017, arXiv:1611.07004, appendix 6.1.2): a discriminator that judges every patch of an image and nothing larger.

    1     C64-C128, kernels 1x1: each pixel alone
    16    C64-C128
    70    C64-C128-C256-C512
    286   C64-C128-C256-C512-C512-C512

4x4 convolutions of stride 2, the last hidden one and the last of all of stride 1; LeakyReLU .2; no normalisation on the first.

Axes: n batch, c channels, h w image.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from saddlepoint.errors import UsageError
from saddlepoint.networks.base import Discriminator, Judgement
from saddlepoint.networks.convolution import conv2d
from saddlepoint.networks.initialisation import normal_weights
from saddlepoint.networks.instancenorm import TranslatorNorm, translator_norm

Patch = Literal[1, 16, 34, 70, 142, 286]
STRIDED: dict[int, int] = {16: 1, 34: 2, 70: 3, 142: 4, 286: 5}  # side of the patch -> convolutions of stride 2


class _Convolution(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        return conv2d(x, self.weight, self.bias, stride=self.stride[0], padding=int(self.padding[0]))


class PatchGAN(Discriminator):
    """Logits of patches.

    Args:
        channels: of the input; of both images where the pair is judged.
        patch: side of what a logit sees, in pixels.
        width: channels of the first map; 8 times as many at most.
        norm: "batch" or "instance".
        size: height and width of the training images, checked against the patch; None checks nothing.
    """

    def __init__(
        self, channels: int, patch: Patch = 70, width: int = 64, *, norm: TranslatorNorm = "batch", size: tuple[int, int] | None = None
    ) -> None:
        super().__init__()
        kernel, padding = (1, 0) if patch == 1 else (4, 1)
        strides = [1, 1] if patch == 1 else [2] * STRIDED[patch] + [1]
        if size is not None and patch > 1 and min(size) // 2 ** STRIDED[patch] < 3:
            least = 3 * 2 ** STRIDED[patch]
            smaller = " or a smaller --patch" if patch > 16 else ""
            raise UsageError(f"Patches of {patch} need images of {least} pixels or more; {min(size)} came. Choose a larger --resolution{smaller}.")
        widths = [channels, *(width * min(2**level, 8) for level in range(len(strides)))]
        layers: list[nn.Module] = []
        for level, (a, b, stride) in enumerate(zip(widths, widths[1:], strides, strict=False)):
            normed: TranslatorNorm = norm if level else "none"
            layers += [
                _Convolution(a, b, kernel, stride, padding, bias=normed == "none"),
                translator_norm(normed, b),
                nn.LeakyReLU(0.2, inplace=True),
            ]
        self.layers = nn.Sequential(*layers, _Convolution(widths[-1], 1, kernel, 1, padding))
        normal_weights(self, 0.02)
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Judgement:
        """[n, c, h, w] to logits [n, 1, h', w'], one a patch."""
        return Judgement(self.layers(x))
