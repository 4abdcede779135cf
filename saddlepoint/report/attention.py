"""Where a network looks: each image with a few of its places marked, and beside it the attention of each place over the whole image.

Zhang et al. 2019 (arXiv:1805.08318), Fig. 1 and 5.

Axes: n images, c channels, h w image or map, i j pooled map, k places.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from saddlepoint.errors import UsageError
from saddlepoint.evaluation.grid import to_uint8

COLOURS = ((230, 60, 50), (50, 120, 230), (40, 170, 90), (235, 160, 20), (150, 70, 200), (20, 170, 190))
GAP = 2

Place = tuple[float, float]


def attention_picture(
    images: Tensor, maps: Tensor, places: Sequence[Place] = ((0.5, 0.5), (0.25, 0.25), (0.75, 0.75)), *, zoom: int = 2
) -> Image.Image:
    """Rows of images, each followed by one picture for each place: bright where that place looks.

    Args:
        images: [n, c, h, w], uint8 or float in [-1, 1].
        maps: [n, h', w', i, j], of :func:`saddlepoint.networks.attention.attention_maps`.
        places: (down, right) as shares of the sides, in [0, 1); at most six.
        zoom: screen pixels an image pixel takes.
    Returns:
        An RGB picture of n rows and 1 + k columns.
    Raises:
        UsageError: for maps of other images, or too many places or ones outside.
    """
    if maps.ndim != 5 or len(maps) != len(images):
        raise UsageError(f"Attention is shown with one map [h, w, i, j] an image; {list(maps.shape)} came for {len(images)} images.")
    if not 1 <= len(places) <= len(COLOURS) or not all(0 <= share < 1 for place in places for share in place):
        raise UsageError(f"Name 1 to {len(COLOURS)} places as shares of the sides in [0, 1); {list(places)} came.")
    pixels = to_uint8(images)
    height, width = pixels.shape[2] * zoom, pixels.shape[3] * zoom
    sheet = Image.new("RGB", ((width + GAP) * (1 + len(places)) - GAP, (height + GAP) * len(pixels) - GAP), "white")
    for row, (image, attention) in enumerate(zip(pixels, maps.detach().float().cpu().numpy(), strict=True)):
        plain = _rgb(image).resize((width, height), Image.Resampling.NEAREST)
        marked = plain.copy()
        for column, (place, colour) in enumerate(zip(places, COLOURS, strict=False), start=1):
            _mark(marked, place, colour)
            seen = attention[int(place[0] * attention.shape[0]), int(place[1] * attention.shape[1])]  # i j
            shaded = _shade(plain, seen)
            _mark(shaded, place, colour)
            sheet.paste(shaded, (column * (width + GAP), row * (height + GAP)))
        sheet.paste(marked, (0, row * (height + GAP)))
    return sheet


def _rgb(image: NDArray[np.uint8]) -> Image.Image:
    c = image.shape[0]
    return Image.fromarray(np.ascontiguousarray(np.moveaxis(image if c == 3 else np.repeat(image[:1], 3, 0), 0, -1)))


def _shade(picture: Image.Image, seen: NDArray[np.float32]) -> Image.Image:
    """The picture dark where little attention falls; the most looked-at place keeps its brightness."""
    share = Image.fromarray(np.round(255 * seen / max(float(seen.max()), 1e-12)).astype(np.uint8)).resize(picture.size, Image.Resampling.BILINEAR)
    light = 0.15 + 0.85 * np.asarray(share, dtype=np.float32)[:, :, None] / 255
    return Image.fromarray(np.round(np.asarray(picture, dtype=np.float32) * light).astype(np.uint8))


def _mark(picture: Image.Image, place: Place, colour: tuple[int, int, int]) -> None:
    y, x = place[0] * picture.height, place[1] * picture.width
    radius = max(2, min(picture.size) // 24)
    ImageDraw.Draw(picture).ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour, outline="white")
