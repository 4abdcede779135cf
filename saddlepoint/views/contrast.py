"""Global contrast normalisation of real images (Goodfellow et al. 2014 on CIFAR-10, constants as in the library of the authors).

Axes: n batch, c channels, h w image.
"""

from __future__ import annotations

import torch
from torch import Tensor

from saddlepoint.errors import UsageError
from saddlepoint.views.view import View

SMALLEST = 1e-8  # a norm below it is left as it is


def contrast_normalised(x: Tensor, norm: float = 55.0) -> Tensor:
    """Each image less its mean over all values, brought to Euclidean length ``norm``: [n, c, h, w] to the same shape.

    >>> y = contrast_normalised(torch.tensor([[[[3.0, 5.0]]]]), norm=2.0)
    >>> [round(v, 4) for v in y.flatten().tolist()]     # -1, 1 has length sqrt 2
    [-1.4142, 1.4142]
    """
    centred = x - x.flatten(1).mean(1).view(-1, 1, 1, 1)
    lengths = centred.flatten(1).norm(dim=1).view(-1, 1, 1, 1) / norm
    return centred / torch.where(lengths < SMALLEST, torch.ones_like(lengths), lengths)


class ContrastNormalisation(View):
    """For REAL images: contrast-normalised, then mean + scale * y, so that all images have the data's mean brightness and contrast.

    The networks play on y itself (saddlepoint.networks.contrast); this unit only makes samples images that can be looked at.

    Args:
        norm: Euclidean length of y; 55 on CIFAR-10.
        mean: of the data's values.
        scale: the images' mean length about their own means, divided by ``norm``.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, norm: float, mean: float, scale: float) -> None:
        super().__init__()
        if norm <= 0:
            raise UsageError(f"Contrast normalisation needs a length above 0; came {norm}.")
        self.norm = norm
        self.register_buffer("mean", torch.tensor(float(mean)))
        self.register_buffer("scale", torch.tensor(float(scale)))

    def forward(self, x: Tensor) -> Tensor:
        """Images of any range; the same shape, of one mean and one contrast."""
        return self.mean.to(x) + self.scale.to(x) * contrast_normalised(x, self.norm)
