"""Orthogonal wavelets as matrices: the resampling and the frequency bands of adaptive discriminator augmentation.

Every map here acts along one axis of an image, so it is a matrix, made once for a size: products of matrices run at the full speed of a processor,
where short filters with holes between their taps do not. Reflection at the border is part of the matrices.

Axes: s pixels along one axis, t taps of a filter.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor

# Low-pass filters of Daubechies' least asymmetric wavelets with 6 and with 2 vanishing moments, of unit norm (Ten Lectures on Wavelets, Table 6.3)
SYM6 = (
    0.015404109327027373,
    0.0034907120842174702,
    -0.11799011114819057,
    -0.048311742585633,
    0.4910559419267466,
    0.787641141030194,
    0.3379294217276218,
    -0.07263752278646252,
    -0.021060292512300564,
    0.04472490177066578,
    0.0017677118642428036,
    -0.007800708325034148,
)
SYM2 = (-0.12940952255092145, 0.22414386804185735, 0.836516303737469, 0.48296291314469025)
BANDS = 4


def padded_size(size: int) -> int:
    """Pixels with the reflection at both ends: as far as it goes without repeating itself, or as the filters need for the smallest images.

    >>> padded_size(32), padded_size(4)
    (94, 20)
    """
    return size + 2 * max(size - 1, 8)


@functools.lru_cache(maxsize=64)
def upsampling(size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Reflection, then 2x upsampling by sym6.

    Row 0 and the last are zeros, for places beyond the reflection; row 1 + j is the j-th of the finer pixels, two a pixel of :func:`padded_size`.

    Returns:
        Shape [2 padded_size + 2, s]; rows well within the reflection have the sum 1.
    """
    padded = padded_size(size)
    margin = (padded - size) // 2
    taps = _filter(SYM6) * 2**0.5  # sum 2: half of the taps meet a pixel
    fine, coarse = torch.arange(2 * padded).unsqueeze(1), torch.arange(padded)
    tap = 5 + fine - 2 * coarse  # 2p p
    spread = torch.where((tap >= 0) & (tap < len(taps)), taps[tap.clamp(0, len(taps) - 1)], 0.0)
    matrix = torch.zeros(2 * padded + 2, size, dtype=torch.float64)
    matrix[1:-1].index_add_(1, reflected(torch.arange(-margin, size + margin), size), spread)
    return _kept(matrix, dtype, device)


@functools.lru_cache(maxsize=64)
def downsampling(size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """2x downsampling by sym6, the transpose of the upsampling: what follows the one by the other is the identity.

    Returns:
        Shape [s, 2s + 10]; every row has the sum 1.
    """
    taps = _filter(SYM6) * 0.5**0.5
    tap = torch.arange(2 * size + len(taps) - 2) - 2 * torch.arange(size).unsqueeze(1)  # s 2s+10
    return _kept(torch.where((tap >= 0) & (tap < len(taps)), taps[tap.clamp(0, len(taps) - 1)], 0.0), dtype, device)


@functools.lru_cache(maxsize=64)
def bands(size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The four octaves of sym2, lowest first, each a symmetric filter along an axis with reflection; together they are the identity.

    Returns:
        Shape [4, s, s].
    """
    filters = band_filters()  # b t
    reach = filters.shape[1] // 2
    tap = torch.arange(size + 2 * reach) - torch.arange(size).unsqueeze(1)  # s s+2*reach
    spread = torch.where((tap >= 0) & (tap < filters.shape[1]), filters[:, tap.clamp(0, filters.shape[1] - 1)], 0.0)  # b s s+2*reach
    matrix = torch.zeros(BANDS, size, size, dtype=torch.float64)
    return _kept(matrix.index_add_(2, reflected(torch.arange(-reach, size + reach), size), spread), dtype, device)


def band_filters() -> Tensor:
    """Impulse responses of the four bands of the autocorrelated sym2 bank, lowest first, float64, shape [4, 43].

    >>> band_filters().sum(0).round(decimals=9).nonzero().tolist(), len(band_filters()[0])       # the bands add up to an impulse
    ([[21]], 43)
    """
    low = _filter(SYM2)
    high = low * torch.tensor([1.0, -1.0, 1.0, -1.0], dtype=torch.float64)
    low_power, high_power = (_convolve(taps, taps.flip(0)) / 2 for taps in (low, high))  # H(z) H(1/z) / 2 and H(-z) H(-1/z) / 2
    found = [torch.ones(1, dtype=torch.float64)]
    for _ in range(BANDS - 1):
        finer = [_convolve(_with_holes(each), low_power) for each in found]
        length = len(finer[0])
        finer.append(torch.nn.functional.pad(high_power, [(length - len(high_power)) // 2] * 2))
        found = finer
    return torch.stack(found)


def reflected(place: Tensor, size: int) -> Tensor:
    """Indices inside [0, size) of places on an axis that is mirrored at its first and last pixel, again and again.

    >>> reflected(torch.tensor([-2, -1, 0, 2, 3, 4, 5]), 3).tolist()
    [2, 1, 0, 2, 1, 0, 1]
    """
    period = max(2 * (size - 1), 1)
    place = place.remainder(period)
    return torch.where(place < size, place, period - place)


def _filter(taps: tuple[float, ...]) -> Tensor:
    return torch.tensor(taps, dtype=torch.float64)


def _with_holes(taps: Tensor) -> Tensor:
    """A zero between every two taps."""
    holed = torch.zeros(2 * len(taps) - 1, dtype=taps.dtype)
    holed[::2] = taps
    return holed


def _convolve(a: Tensor, b: Tensor) -> Tensor:
    return torch.nn.functional.conv1d(a.view(1, 1, -1), b.flip(0).view(1, 1, -1), padding=len(b) - 1).flatten()


def _kept(matrix: Tensor, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The matrix as it is kept: an ordinary tensor, also where it is first asked for in inference mode."""
    with torch.inference_mode(False):
        return matrix.to(device, dtype, copy=True)
