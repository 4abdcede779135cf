"""Pictures of samples: a grid of images, a scatter of points.

Axes: n samples, c channels, h w image, d dimension.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from saddlepoint.errors import UsageError
from saddlepoint.evaluation.arrays import Float64, Rows, as_rows

_FAKE, _REAL = (38, 110, 230, 150), (140, 140, 140, 150)
_OVER = 3  # drawn larger and shrunk, for smooth dots


def to_uint8(images: NDArray[np.generic] | Tensor) -> NDArray[np.uint8]:
    """Images [n, c, h, w] as bytes: uint8 as they are, floats in [-1, 1] clipped and rounded, as when saved to a file.

    >>> to_uint8(np.array([-1.0, 0.0, 1.0, 7.0]).reshape(1, 1, 2, 2)).ravel().tolist()
    [0, 128, 255, 255]
    """
    array = images.detach().cpu().numpy() if isinstance(images, Tensor) else np.asarray(images)
    if array.ndim != 4:
        raise UsageError(f"Images are needed as [n, c, h, w]; shape {list(array.shape)} came. Add or drop an axis.")
    if array.dtype == np.uint8:
        return array
    if not np.issubdtype(array.dtype, np.floating):
        raise UsageError(f"Images are needed as uint8 or as floats in [-1, 1]; {array.dtype} came. Convert them.")
    if not np.isfinite(array).all():
        raise UsageError("Images are needed with finite values; NaN or infinity came. Look at the generator that made them.")
    return np.floor(np.clip(array * 127.5 + 128, 0, 255)).astype(np.uint8)


def image_grid(images: NDArray[np.generic] | Tensor, columns: int | None = None, *, gap: int = 2, zoom: int = 1) -> Image.Image:
    """Images in rows, left to right, on white.

    Args:
        images: [n, c, h, w], uint8 or float in [-1, 1]; c of 1 or 3 (of any other count the first channel is shown).
        columns: about the square root of n when None.
        gap: pixels between images.
        zoom: whole number of screen pixels an image pixel takes.
    Returns:
        An "L" or "RGB" picture.
    """
    pixels = to_uint8(images)
    n, c, h, w = pixels.shape
    if n == 0:
        raise UsageError("A grid needs at least one image; none came.")
    if c not in (1, 3):
        pixels, c = pixels[:, :1], 1
    columns = min(columns or math.ceil(math.sqrt(n)), n)
    rows = math.ceil(n / columns)
    sheet = np.full((rows * (h + gap) - gap, columns * (w + gap) - gap, c), 255, dtype=np.uint8)
    for i, image in enumerate(pixels):
        top, left = i // columns * (h + gap), i % columns * (w + gap)
        sheet[top : top + h, left : left + w] = image.transpose(1, 2, 0)
    picture = Image.fromarray(sheet[:, :, 0] if c == 1 else sheet)
    return picture.resize((picture.width * zoom, picture.height * zoom), Image.Resampling.NEAREST) if zoom > 1 else picture


def plane_limits(points: Rows) -> tuple[float, float, float, float]:
    """Left, right, bottom and top of a square plane that holds the points [n, d] with a margin of 15 %; the axes for a whole series of pictures."""
    plane = _plane(as_rows(points, "real"))
    low, high = plane.min(0), plane.max(0)
    half = max(float((high - low).max()) / 2 * 1.3, 1e-3)
    middle = (low + high) / 2
    return float(middle[0] - half), float(middle[0] + half), float(middle[1] - half), float(middle[1] + half)


def scatter_picture(
    points: Rows | None, real: Rows | None = None, *, limits: tuple[float, float, float, float] | None = None, size: int = 360, max_points: int = 2500
) -> Image.Image:
    """Points as blue dots over the real ones in grey, on a transparent ground; points of one dimension as a histogram of 80 bins.

    Args:
        points: generated, [n, d]; None draws the real ones alone. Of d > 2 the first two coordinates are shown.
        real: [m, d].
        limits: left, right, bottom, top; from the real points (or the points) when None. What lies outside is not shown.
        size: width and height in pixels.
        max_points: the first so many of each set are drawn.
    Returns:
        An "RGBA" picture.
    """
    layers = [(as_rows(given, name), colour) for given, name, colour in ((real, "real", _REAL), (points, "generated", _FAKE)) if given is not None]
    if not layers:
        raise UsageError("A scatter needs generated or real points; neither came.")
    left, right, bottom, top = limits or plane_limits(layers[0][0])
    picture = Image.new("RGBA", (size * _OVER, size * _OVER), (0, 0, 0, 0))
    for shown, colour in layers:
        layer = Image.new("RGBA", picture.size, (*colour[:3], 0))
        pen = ImageDraw.Draw(layer)
        if shown.shape[1] == 1:
            _draw_histogram(pen, shown, left, right, picture.width, colour)
        else:
            scale = np.array([picture.width / (right - left), -picture.height / (top - bottom)])
            at = (_plane(shown[:max_points]) - np.array([left, top])) * scale
            reach = 1.3 * _OVER
            for x, y in at[((at > -reach) & (at < picture.width + reach)).all(1)].tolist():
                pen.ellipse((x - reach, y - reach, x + reach, y + reach), fill=colour)
        picture = Image.alpha_composite(picture, layer)
    return picture.resize((size, size), Image.Resampling.BOX)


def _plane(rows: Float64) -> Float64:
    """The first two coordinates [n, 2]; a second one of zero where there is only one."""
    return rows[:, :2] if rows.shape[1] > 1 else np.concatenate([rows, np.zeros_like(rows)], axis=1)


def _draw_histogram(pen: ImageDraw.ImageDraw, rows: Float64, left: float, right: float, width: int, colour: tuple[int, int, int, int]) -> None:
    """Bars of the share of values in 80 bins; the highest fills 90 % of the height."""
    counts, _ = np.histogram(rows[:, 0], bins=80, range=(left, right))
    bar = width / 80
    for i, share in enumerate(counts / max(int(counts.max()), 1)):
        if share > 0:
            pen.rectangle((i * bar, width * (1 - 0.9 * share), (i + 1) * bar - 1, width), fill=colour)
