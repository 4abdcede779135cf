"""Views that add noise: instance noise on real and fake alike, and the dequantisation of 8-bit images."""

from __future__ import annotations

import torch
from torch import Tensor

from saddlepoint.draws import draws_like
from saddlepoint.errors import UsageError
from saddlepoint.views.view import View


class InstanceNoise(View):
    """Adds Gaussian noise to every value: Sonderby et al. 2017 (arXiv:1610.04490) and Arjovsky and Bottou 2017 (arXiv:1701.04862).

    Overlaps the supports of data and generator; makes the Dirac-GAN converge (Mescheder et al. 2018, Section 3.3).

    Args:
        std: of the noise, in the unit of the samples; a buffer, so that it can be lowered while training and is saved with the run.
    """

    std: Tensor

    def __init__(self, std: float) -> None:
        super().__init__()
        if std < 0:
            raise UsageError(f"Instance noise needs a standard deviation of at least 0; came {std}.")
        self.register_buffer("std", torch.tensor(float(std)))

    def forward(self, x: Tensor) -> Tensor:
        """Noisy samples, the same shape."""
        return x + self.std.to(x) * draws_like(x).normal(*x.shape).to(x)


class Dequantise(View):
    """Fills the gaps between the 256 levels of 8-bit images with uniform noise, for REAL images only; generated ones are continuous already.

    Level i, which arrives as i/127.5 - 1, becomes i/128 - 1 + U[0, 1/128), all of [-1, 1): as in the code released with Gulrajani et al. 2017
    (arXiv:1704.00028) for CIFAR-10.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Images in [-1, 1] of any shape; the same shape in [-1, 1)."""
        return (x + 1) * (127.5 / 128) - 1 + draws_like(x).uniform(*x.shape, high=1 / 128).to(x)
