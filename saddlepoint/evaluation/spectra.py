"""How sharp images are: their power at each frequency, and the size of their gradients. A blurred image has less of both.

Axes: n images, c channels, h w image, k frequencies.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saddlepoint.errors import UsageError

_BATCH = 256
_LEAST = 1e-12  # of power, where its logarithm is taken

Images = NDArray[Any] | Tensor
Float64 = NDArray[np.float64]


def radial_power(images: Images, *, data_range: float = 255.0) -> Float64:
    """Power of images at each radial frequency: the mean over rings of the squared Fourier transform, over channels alike.

    Ring j holds the frequencies whose length, in cycles over the shorter side, rounds to j; beyond half the side, the corners, they are left out. By
    Parseval's theorem the powers of all frequencies sum to the mean square of the image.

    Args:
        images: [n, c, h, w], values over a range of ``data_range``.
        data_range: images are divided by it.
    Returns:
        [n, k], k = half the shorter side, and one.

    >>> radial_power(np.tile([0.0, 255.0], (1, 1, 4, 2))).round(4).tolist()            # stripes a pixel wide: mean 1/2, and 1/4 at the highest of 2
    [[0.25, 0.0, 0.0417]]
    """
    x = _images(images)
    h, w = x.shape[2:]
    side = min(h, w)
    lengths = torch.hypot(torch.fft.fftfreq(h, dtype=torch.float64)[:, None], torch.fft.fftfreq(w, dtype=torch.float64)) * side
    ring = lengths.round().long().to(x.device)  # h w
    kept = ring <= side // 2
    count = torch.bincount(ring[kept], minlength=side // 2 + 1)
    parts = []
    for part in torch.split(x, _BATCH):
        power = torch.fft.fft2(part.double() / data_range, norm="forward").abs().square().mean(1)  # n h w
        parts.append(power.new_zeros(len(part), len(count)).index_add_(1, ring[kept], power[:, kept]) / count)
    return np.asarray(torch.cat(parts).cpu().numpy())


def spectral_gap(real: Images, fake: Images, *, data_range: float = 255.0) -> Float64:
    """How much more power generated images have than real ones at each frequency, in decibels; negative at the high ones where they are blurred.

    Args:
        real: [n, c, h, w].
        fake: [m, c, h, w].
        data_range: of the values.
    Returns:
        [k], of the mean powers.
    """
    ours, theirs = (radial_power(images, data_range=data_range).mean(0) for images in (fake, real))
    if ours.shape != theirs.shape:
        raise UsageError(f"Spectra are compared at one size; {len(theirs)} and {len(ours)} frequencies came. Bring the images to one size.")
    return np.asarray(10 * np.log10(np.maximum(ours, _LEAST) / np.maximum(theirs, _LEAST)))


def fine_gap(real: Images, fake: Images, *, data_range: float = 255.0) -> float:
    """The mean of :func:`spectral_gap` over the upper half of the frequencies, in decibels: 0 as sharp as real images, below 0 blurred."""
    gap = spectral_gap(real, fake, data_range=data_range)
    return float(gap[len(gap) // 2 :].mean())


def sharpness(images: Images, *, data_range: float = 255.0) -> Float64:
    """Mean length of the gradient over places and channels, forward differences, in shares of the range a pixel.

    Args:
        images: [n, c, h, w], sides of 2 or more.
        data_range: of the values.
    Returns:
        [n].

    >>> sharpness(np.array([[[[0.0, 255.0], [0.0, 255.0]]]])).tolist()                 # the only place has a slope of 1
    [1.0]
    """
    x = _images(images)
    if min(x.shape[2:]) < 2:
        raise UsageError(f"Gradients need sides of 2 pixels or more; {list(x.shape)} came.")
    parts = []
    for part in torch.split(x, _BATCH):
        values = part.double() / data_range
        down, right = (values[:, :, 1:, :-1] - values[:, :, :-1, :-1]), (values[:, :, :-1, 1:] - values[:, :, :-1, :-1])
        parts.append(torch.hypot(down, right).mean((1, 2, 3)))
    return np.asarray(torch.cat(parts).cpu().numpy())


def _images(images: Images) -> Tensor:
    x = torch.as_tensor(images)
    if x.ndim != 4 or not len(x):
        raise UsageError(f"Images [n, c, h, w] are needed; {list(x.shape)} came.")
    return x
