"""The distance of images on a Laplacian pyramid: coarse and fine errors count alike, and none is squared, so that edges are not averaged away.

Axes: n images, c channels, h w image.
"""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from torch import Tensor

from saddlepoint.errors import UsageError

TAPS, DEVIATION = 5, 2**0.5


def laplacian_l1(x: Tensor, y: Tensor, levels: int = 3) -> Tensor:
    r"""Mean absolute difference of two images at each level of their Laplacian pyramids and of what remains, summed over the levels.

    .. math:: d(x, y) = \sum_{j=0}^{J} \frac{1}{N_j} | L^j x - L^j y |_1, \quad N_j = 4^{-j} N

    Bojanowski et al. 2018 (arXiv:1707.05776), Section 3.2, after Ling & Okada 2006: their factors 2^{2j} before sums over the N_j values are these
    means times N. A level is an image less the same blurred by a 5 x 5 Gaussian of deviation sqrt 2, edges repeated; the next is the mean of 2 x 2
    pixels of the blurred one. The pyramid is linear, so that of the difference is taken.

    Args:
        x: [n, c, h, w].
        y: the same.
        levels: J, 3 in the well-known PyTorch code; sides of 2^J pixels or more.
    Returns:
        [n], in the unit of the values.
    Raises:
        UsageError: for images too small for so many levels.

    >>> laplacian_l1(torch.zeros(1, 1, 8, 8), torch.full((1, 1, 8, 8), 0.5)).tolist()                    # a constant is all in the remainder
    [0.5]
    """
    if min(x.shape[2:]) < 2**levels:
        raise UsageError(f"A pyramid of {levels} levels needs sides of {2**levels} pixels or more; {x.shape[3]}x{x.shape[2]} came. Set fewer levels.")
    rest, total = x - y, x.new_zeros(len(x))
    kernel = _gaussian(x.device, x.dtype).expand(x.shape[1], 1, TAPS)
    for _ in range(levels):
        blurred = _blurred(rest, kernel)
        total = total + (rest - blurred).abs().mean((1, 2, 3))
        rest = F.avg_pool2d(blurred, 2)
    return total + rest.abs().mean((1, 2, 3))


@functools.lru_cache(maxsize=8)
def _gaussian(device: torch.device, dtype: torch.dtype) -> Tensor:
    places = torch.arange(TAPS, device=device, dtype=dtype) - TAPS // 2
    weights = torch.exp(-(places**2) / (2 * DEVIATION**2))
    return weights / weights.sum()


def _blurred(x: Tensor, kernel: Tensor) -> Tensor:
    """Both passes of the separable Gaussian, [n, c, h, w]; ``kernel`` is [c, 1, taps]."""
    c, margin = x.shape[1], TAPS // 2
    x = F.pad(x, (margin,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(x, kernel[:, :, None], groups=c), kernel[..., None], groups=c)
