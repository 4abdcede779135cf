r"""Images against the images they should be: signal to noise, structural similarity, exact error, distance of features.

.. math:: PSNR = 10 \log_{10} \frac{L^2}{\frac{1}{N} \sum_i (x_i - y_i)^2}, \quad
   SSIM = \frac{(2 \mu_x \mu_y + C_1)(2 \sigma_{xy} + C_2)}{(\mu_x^2 + \mu_y^2 + C_1)(\sigma_x^2 + \sigma_y^2 + C_2)}

Wang et al. 2004 ("Image quality assessment", IEEE TIP 13), Eq. 13, with K = (.01, .03). All functions are pure, compute in float64 on the images'
device, and give one number an image. Axes: n images, c channels, h w image.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from saddlepoint.errors import UsageError
from saddlepoint.evaluation.perceptual import Distance

K1, K2 = 0.01, 0.03
UNIFORM, GAUSSIAN, SIGMA = 7, 11, 1.5  # sides of the windows; deviation of the Gaussian one
LUMA = (65.481, 128.553, 24.966)  # Rec. 601, of R, G, B in [0, 1]; black is 16, white 235
_BATCH = 64

Images = NDArray[Any] | Tensor
Scores = NDArray[np.float64]


def psnr(x: Images, y: Images, *, data_range: float = 255.0) -> Scores:
    """Peak signal-to-noise ratio of pairs, in decibels; infinite for equal images.

    Args:
        x: [n, c, h, w], values over a range of ``data_range``.
        y: the same.
        data_range: L, 255 for bytes, 2 for [-1, 1].
    Returns:
        [n].
    Raises:
        UsageError: for images of different shapes, or a range that is not positive.

    >>> psnr(np.zeros((1, 1, 2, 2)), np.full((1, 1, 2, 2), 25.5)).tolist()                                     # a tenth of the range
    [20.0]
    """
    return _each(x, y, data_range, lambda a, b: 10 * torch.log10(data_range**2 / (a - b).square().flatten(1).mean(1)))


def ssim(x: Images, y: Images, *, data_range: float = 255.0, window: Literal["uniform", "gaussian"] = "gaussian") -> Scores:
    """Mean structural similarity of pairs, over places and channels alike; 1 for equal images.

    Args:
        x: [n, c, h, w], sides of 7 ("uniform") or 11 ("gaussian") pixels or more.
        y: the same.
        data_range: L.
        window: "gaussian": 11 x 11 of deviation 1.5, as the paper; "uniform": 7 x 7 with unbiased variances, what scikit-image does unasked.
    Returns:
        [n], in [-1, 1].
    Raises:
        UsageError: as :func:`psnr`, or for images smaller than the window.

    >>> ssim(np.zeros((1, 1, 16, 16)), np.full((1, 1, 16, 16), 255.0)).round(4).tolist()                      # C1 / (1 + C1), C1 = 1e-4
    [0.0001]
    """
    size = UNIFORM if window == "uniform" else GAUSSIAN
    sides = x.shape[2:]
    if len(sides) == 2 and min(sides) < size:
        raise UsageError(f"SSIM needs sides of {size} pixels or more; {sides[1]}x{sides[0]} came. Enlarge the images, or use psnr.")
    return _each(x, y, data_range, lambda a, b: _similarity(a, b, data_range, window))


def target_error(x: Images, y: Images, *, data_range: float = 255.0) -> Scores:
    """Mean absolute difference of pairs, as a share of the range; 0 where a target was hit exactly.

    Args:
        x: [n, c, h, w].
        y: the same.
        data_range: L.
    Returns:
        [n], in [0, 1].

    >>> target_error(np.zeros((1, 1, 1, 2)), np.array([[[[0.0, 51.0]]]])).tolist()
    [0.1]
    """
    return _each(x, y, data_range, lambda a, b: (a - b).abs().flatten(1).mean(1) / data_range)


def exact_share(x: Images, y: Images, *, data_range: float = 255.0, tolerance: float = 8 / 255) -> Scores:
    """Share of the pixels of each image whose every channel is within a tolerance of its target.

    Args:
        x: [n, c, h, w].
        y: the same.
        data_range: L.
        tolerance: as a share of the range.
    Returns:
        [n], in [0, 1].

    >>> exact_share(np.zeros((1, 1, 1, 2)), np.array([[[[0.0, 51.0]]]])).tolist()
    [0.5]
    """
    return _each(x, y, data_range, lambda a, b: ((a - b).abs().amax(1) <= (tolerance + 1e-6) * data_range).flatten(1).double().mean(1))


def paired_distance(x: Images, y: Images, distance: Distance, *, data_range: float = 255.0) -> Scores:
    """Distance of features of pairs: LPIPS, or its like on another extractor (:func:`saddlepoint.evaluation.distances.open_distance`).

    Args:
        x: [n, c, h, w].
        y: the same.
        distance: of images float [n, c, h, w] in [-1, 1] -> [n], squared; bytes are brought there (0 is -1, ``data_range`` is 1).
        data_range: L; 2 is taken to be [-1, 1] already.
    Returns:
        [n].
    """

    def between(a: Tensor, b: Tensor) -> Tensor:
        shift = 0.0 if data_range == 2 else 1.0
        with torch.no_grad():
            return distance((a * (2 / data_range) - shift).float(), (b * (2 / data_range) - shift).float())

    return _each(x, y, data_range, between)


def luma(images: Images, *, data_range: float = 255.0, border: int = 0) -> Tensor:
    """Brightness Y of Rec. 601, as papers on super-resolution compare it, with a border of some pixels cut off.

    Args:
        images: [n, 3, h, w], or [n, 1, h, w] which are taken for brightness over the whole range.
        data_range: L of values that begin at 0.
        border: pixels cut off at each side (Ledig et al. 2017: 4).
    Returns:
        float64 [n, 1, h - 2 border, w - 2 border], 16 to 235 for colour images: compare with a range of 255.

    >>> luma(np.full((1, 3, 1, 1), 255)).round(decimals=3).flatten().tolist()
    [235.0]
    """
    x = torch.as_tensor(images).double() / data_range
    if x.ndim != 4 or x.shape[1] not in (1, 3) or min(x.shape[2:]) <= 2 * border:
        raise UsageError(f"Brightness needs images [n, 1 or 3, h, w] of more than {2 * border} pixels a side; {list(x.shape)} came.")
    grey = 255 * x if x.shape[1] == 1 else 16 + torch.einsum("nchw,c->nhw", x, x.new_tensor(LUMA))[:, None]
    return grey[:, :, border : grey.shape[2] - border, border : grey.shape[3] - border]


def _each(x: Images, y: Images, data_range: float, score: Distance) -> Scores:
    """A score of pairs, some at a time."""
    first, second = (torch.as_tensor(images) for images in (x, y))
    if first.ndim != 4 or first.shape != second.shape or not len(first):
        raise UsageError(f"Pairs of images [n, c, h, w] of one shape are needed; shapes {list(first.shape)} and {list(second.shape)} came.")
    if not data_range > 0:
        raise UsageError(f"The range of the values must be more than 0; data_range is {data_range}.")
    pairs = zip(torch.split(first, _BATCH), torch.split(second, _BATCH), strict=True)
    return np.asarray(torch.cat([score(a.double(), b.double()).double() for a, b in pairs]).cpu().numpy())


def _similarity(x: Tensor, y: Tensor, data_range: float, window: Literal["uniform", "gaussian"]) -> Tensor:
    """Equation 13, mean over the places where the whole window fits, [n]."""
    if window == "uniform":
        weights, unbias = torch.ones(UNIFORM, dtype=x.dtype), UNIFORM**2 / (UNIFORM**2 - 1)
    else:
        places = torch.arange(GAUSSIAN, dtype=x.dtype) - GAUSSIAN // 2
        weights, unbias = torch.exp(-(places**2) / (2 * SIGMA**2)), 1.0
    row = (weights / weights.sum()).to(x).expand(x.shape[1], 1, 1, -1)  # c 1 1 size

    def mean(image: Tensor) -> Tensor:
        return F.conv2d(F.conv2d(image, row, groups=x.shape[1]), row.transpose(2, 3), groups=x.shape[1])

    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    mu_x, mu_y = mean(x), mean(y)
    var_x, var_y, cov = (unbias * (mean(a * b) - mu) for a, b, mu in ((x, x, mu_x**2), (y, y, mu_y**2), (x, y, mu_x * mu_y)))
    similarity = (2 * mu_x * mu_y + c1) * (2 * cov + c2) / ((mu_x**2 + mu_y**2 + c1) * (var_x + var_y + c2))
    return similarity.mean((1, 2, 3))
