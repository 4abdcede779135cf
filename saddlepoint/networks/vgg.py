"""The feature maps of VGG-19 that SRGAN compares images by.

Simonyan & Zisserman 2015 (arXiv:1409.1556), configuration E: 3x3 convolutions with ReLU, 2x2 maxima between the stages. Layers are numbered as in
torchvision's file of its weights (``vgg19-dcbb9e9d.pth``).

Axes: n batch, c channels, h w image.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

Layer = Literal["vgg22", "vgg54"]
STAGES = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))  # channels, convolutions
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class VGG19Features(nn.Module):
    """Maps after the j-th convolution (and its ReLU) before the i-th maximum, Ledig et al. 2017 (arXiv:1609.04802), section 2.2.1.

    Args:
        layer: "vgg22" (low-level) or "vgg54" (of whole objects).
    """

    mean: Tensor
    std: Tensor

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        stage, convolution = int(layer[3]), int(layer[4])
        layers: list[nn.Module] = []
        channels = 3
        for index, (width, count) in enumerate(STAGES[:stage]):
            layers += [nn.MaxPool2d(2)] if index else []
            for _ in range(count if index < stage - 1 else convolution):
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
                channels = width
        self.features = nn.Sequential(*layers)
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(STD)[:, None, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Images [n, 1 or 3, h, w] in [-1, 1] -> maps [n, c', h', w']."""
        maps: Tensor = self.features(((x.expand(-1, 3, -1, -1) + 1) / 2 - self.mean) / self.std)
        return maps
