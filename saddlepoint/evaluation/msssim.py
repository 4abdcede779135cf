r"""Multi-scale structural similarity, and the variety of generated images by it.

.. math:: MS\text{-}SSIM(x, y) = l_M^{w_M} \prod_{j=1}^{M} c_j^{w_j}, \quad
   l = \frac{2 \mu_x \mu_y + C_1}{\mu_x^2 + \mu_y^2 + C_1}, \quad c = \frac{2 \sigma_{xy} + C_2}{\sigma_x^2 + \sigma_y^2 + C_2}

Wang et al. 2003, Eq. 7, with its five weights, an 11 x 11 Gaussian window of deviation 1.5, C_i = (K_i L)^2, K = (.01, .03). Between random pairs of
one class: Odena et al. 2017 (arXiv:1610.09585), Section 4.2; 10,000 pairs in Karras et al. 2018. Similarities are averaged over pixels and channels
together, and means below 0 count as 0.

Axes: n pairs, c channels, h w image.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from saddlepoint.errors import UsageError
from saddlepoint.evaluation.pairs import error_of_pairs, random_pairs

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
WINDOW, SIGMA, K1, K2 = 11, 1.5, 0.01, 0.03
_BATCH = 64

Images = NDArray[Any] | Tensor


class Similarity(NamedTuple):
    """Mean similarity of random pairs.

    Attributes:
        value: in [0, 1]; lower is more varied. Compare with the same of the training set.
        error: standard error of the mean, for the sampling of the images; NaN of so few that every pair holds one of each tenth.
        pairs: how many.
        scales: how many of the five were used; fewer for images under 176 pixels, and not comparable with other numbers then.
    """

    value: float
    error: float
    pairs: int
    scales: int


def ms_ssim(x: Images, y: Images, *, data_range: float = 255.0, scales: int | None = None) -> NDArray[np.float64]:
    """Similarity of pairs of images.

    Args:
        x: [n, c, h, w], values over a range of ``data_range``.
        y: the same.
        data_range: L, 255 for bytes, 2 for [-1, 1].
        scales: 1 to 5; None: those whose image still holds the 11 x 11 window, 5 from 176 pixels on. The weights of fewer than five are divided by
            their sum. Where the last image is smaller than the window, window and deviation shrink with it.
    Returns:
        [n], in [0, 1]; 1 for equal images.

    >>> import numpy as np
    >>> ms_ssim(np.zeros((1, 1, 32, 32)), np.full((1, 1, 32, 32), 255.0), scales=1).round(4).tolist()        # C1 / (1 + C1), C1 = 1e-4
    [0.0001]
    """
    first, second = (torch.as_tensor(images) for images in (x, y))
    if first.ndim != 4 or first.shape != second.shape or not len(first):
        raise UsageError(f"MS-SSIM needs pairs of images [n, c, h, w]; shapes {list(first.shape)} and {list(second.shape)} came.")
    used = number_of_scales(min(first.shape[2:])) if scales is None else scales
    if not 1 <= used <= len(WEIGHTS) or min(first.shape[2:]) < 2 ** (used - 1) or not data_range > 0:
        raise UsageError(f"MS-SSIM needs 1 to 5 scales that halve {list(first.shape[2:])} pixels, and a range above 0; {used}, {data_range} came.")
    parts = [
        _similarity(a.double(), b.double(), data_range, used) for a, b in zip(torch.split(first, _BATCH), torch.split(second, _BATCH), strict=True)
    ]
    values = torch.cat(parts).cpu().numpy()
    if not np.isfinite(values).all():
        raise UsageError("MS-SSIM needs finite images; NaN or infinity came. Look at the images' generator.")
    return np.asarray(values)


def ms_ssim_diversity(
    images: Images,
    labels: NDArray[Any] | Tensor | None = None,
    *,
    pairs: int = 10_000,
    data_range: float = 255.0,
    scales: int | None = None,
    seed: int = 0,
) -> Similarity:
    """Mean MS-SSIM of random pairs of different images, of one class where there are labels.

    Args:
        images: [n, c, h, w], n >= 2.
        labels: [n]; pairs are of one class, classes as frequent as among the images.
        pairs: 10,000 in the papers.
        data_range: as for :func:`ms_ssim`.
        scales: as for :func:`ms_ssim`.
        seed: of the pairs.
    """
    stack = torch.as_tensor(images)
    if stack.ndim != 4:
        raise UsageError(f"MS-SSIM needs images [n, c, h, w]; {list(stack.shape)} came.")
    sides = random_pairs(len(stack), labels, pairs, seed)
    chunks = zip(*(torch.split(torch.from_numpy(side), _BATCH) for side in sides), strict=True)
    values = np.concatenate([ms_ssim(stack[a], stack[b], data_range=data_range, scales=scales) for a, b in chunks])
    used = number_of_scales(min(stack.shape[2:])) if scales is None else scales
    return Similarity(float(values.mean()), error_of_pairs(values, *sides), len(values), used)


def number_of_scales(side: int) -> int:
    """How many scales images of this shorter side are given: the window fits the last of them.

    >>> [number_of_scales(side) for side in (176, 128, 32, 8)]
    [5, 4, 2, 1]
    """
    return max([s for s in range(1, len(WEIGHTS) + 1) if side // 2 ** (s - 1) >= WINDOW], default=1)


def _similarity(x: Tensor, y: Tensor, data_range: float, scales: int) -> Tensor:
    weights = torch.tensor(WEIGHTS[:scales], dtype=x.dtype)
    weights = weights / weights.sum() if scales < len(WEIGHTS) else weights
    result = x.new_ones(len(x))
    for level in range(scales):
        whole, contrast = _ssim(x, y, data_range)
        last = level == scales - 1
        result = result * (whole if last else contrast).clamp(min=0) ** weights[level].to(x.device)
        if not last:
            x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)  # an odd last row or column is left out
    return result


def _ssim(x: Tensor, y: Tensor, data_range: float) -> tuple[Tensor, Tensor]:
    """Mean of luminance times contrast, and of contrast alone, [n] each."""
    size = min(WINDOW, *x.shape[2:])
    places = torch.arange(size, dtype=x.dtype, device=x.device) - (size - 1) / 2
    window = torch.exp(-(places**2) / (2 * (SIGMA * size / WINDOW) ** 2))
    window = (window / window.sum()).expand(x.shape[1], 1, 1, -1)  # c 1 1 size

    def mean(image: Tensor) -> Tensor:
        return F.conv2d(F.conv2d(image, window, groups=x.shape[1]), window.transpose(2, 3), groups=x.shape[1])

    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    mu_x, mu_y = mean(x), mean(y)
    var_x, var_y, cov = mean(x * x) - mu_x**2, mean(y * y) - mu_y**2, mean(x * y) - mu_x * mu_y
    contrast = (2 * cov + c2) / (var_x + var_y + c2)
    luminance = (2 * mu_x * mu_y + c1) / (mu_x**2 + mu_y**2 + c1)
    return (luminance * contrast).mean((1, 2, 3)), contrast.mean((1, 2, 3))
