"""What one would do without AmbientGAN: undo the measurement image by image, then train on the results (Bora et al. 2018, section 6.1).

    blur      Gaussian of radius 1 on 5x5 pixels, for pixels that were dropped
    median    of 3x3 pixels, for the same
    inpaint   the image of least total variation with the pixels that were seen
    telea     inpainting from the border of what was seen inwards (:mod:`saddlepoint.views.telea`)
    wiener    deconvolution with the known blur and noise

Axes: n batch, c channels, h w image.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, unfold

from saddlepoint.errors import UsageError
from saddlepoint.views.measurements import ConvolveNoise, Masking, blurred, gaussian_kernel
from saddlepoint.views.telea import inpaint_telea
from saddlepoint.views.view import View

Unmeasure = Literal["blur", "median", "inpaint", "telea", "wiener"]
ITERATIONS = 100  # of inpainting


class Unmeasured(View):
    """Measured by a measurement and restored, in one step.

    Args:
        measurement: what is undone.
        method: how.
    Raises:
        UsageError: for a method that cannot undo it.
    """

    def __init__(self, measurement: nn.Module, method: Unmeasure) -> None:
        super().__init__()
        known: tuple[str, ...] = ("wiener",) if isinstance(measurement, ConvolveNoise) else ()
        known = ("blur", "median", "inpaint", "telea") if isinstance(measurement, Masking) and type(measurement).forward is Masking.forward else known
        if method not in known:
            name = type(measurement).__name__
            fit = f"it can be undone by {' or '.join(known)}" if known else "it cannot be undone image by image"
            raise UsageError(f"{method} does not undo {name}: {fit}. Choose another --unmeasure, or --method ambient.")
        self.measurement, self.method = measurement, method

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Images [n, c, h, w] in [-1, 1], as well as they can be restored."""
        f = self.measurement
        if isinstance(f, ConvolveNoise):
            return f.image(wiener(f.measured(f(x)), f.radius, f.kernel, f.std).clamp(0 if f.unit == 2 else -1, 1))
        assert isinstance(f, Masking)
        mask, u = f.mask(x).to(x).expand(len(x), 1, *x.shape[2:]), f.measured(x)
        if self.method == "inpaint":
            return f.image(inpaint(u * mask, mask))
        if self.method == "telea":
            return f.image(inpaint_telea(u * mask, mask)).clamp(-1, 1)
        restored = blurred(u * mask * f.scale) if self.method == "blur" else median(u * mask * f.scale)
        return f.image(restored)


def median(u: Tensor) -> Tensor:
    """Median of 3x3 pixels around each, 0 beyond the border; images [n, c, h, w]."""
    n, c, h, w = u.shape
    return unfold(u, 3, padding=1).view(n, c, 9, h, w).median(2).values


def wiener(y: Tensor, radius: float, size: int, std: float) -> Tensor:
    """Wiener deconvolution of images [n, c, h, w] that a Gaussian blurred and noise of deviation ``std`` was added to.

    conj(H) Y / (|H|^2 + std^2 / power + 1e-6), the image taken as periodic; its power is that of the measurement less the noise's.
    """
    h, w = y.shape[2:]
    kernel = pad(gaussian_kernel(radius, size, y), (0, w - size, 0, h - size)).roll((-(size // 2), -(size // 2)), (0, 1))
    transfer = torch.fft.rfft2(kernel)
    power = (y.square().mean((1, 2, 3), keepdim=True) - std**2).clamp(min=1e-3)
    filtered = torch.fft.rfft2(y) * transfer.conj() / (transfer.abs().square() + std**2 / power + 1e-6)
    restored: Tensor = torch.fft.irfft2(filtered, s=(h, w))
    return restored


def inpaint(u: Tensor, mask: Tensor, iterations: int = ITERATIONS) -> Tensor:
    """The image of least total variation, sum |grad u|, that equals ``u`` where ``mask`` is 1.

    The primal-dual algorithm of Chambolle & Pock 2011, steps 1/sqrt(8); it begins at the blurred image.

    Args:
        u: [n, c, h, w], anything where it is not seen.
        mask: [n, 1, h, w], 1 where it is seen.
        iterations: of the algorithm.
    """
    step = 1 / math.sqrt(8)
    x = torch.where(mask > 0, u, blurred(u * mask) / blurred(mask).clamp(min=1e-2))
    ahead, right, down = x, torch.zeros_like(x), torch.zeros_like(x)
    for _ in range(iterations):
        right = right + step * torch.diff(ahead, dim=3, append=ahead[..., -1:])
        down = down + step * torch.diff(ahead, dim=2, append=ahead[..., -1:, :])
        length = (right.square() + down.square()).sqrt().clamp(min=1)
        right, down = right / length, down / length
        divergence = torch.diff(pad(right[..., :-1], (1, 1)), dim=3) + torch.diff(pad(down[..., :-1, :], (0, 0, 1, 1)), dim=2)
        new = torch.where(mask > 0, u, x + step * divergence)
        ahead, x = 2 * new - x, new
    return x
