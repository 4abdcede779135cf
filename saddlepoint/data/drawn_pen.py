"""A pen whose lengths are shares of a picture's side, drawing finer than the pixels: edges are smooth, and the same on every machine.

Curves are drawn as polygons and the fine pixels are averaged in whole numbers, so that nothing hangs on how a library of images draws an arc.
"""

from __future__ import annotations

import colorsys
import functools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from saddlepoint.data.images import Pixels

FINE = 4  # fine pixels a pixel and side
CORNERS = 64  # of a whole oval

Colour = tuple[int, int, int]
Points = NDArray[np.float64]
INK: Colour = (40, 30, 34)


class Pen:
    """Draws on a square picture.

    Args:
        side: of the picture in pixels.
        ground: colour of the empty picture.

    >>> pen = Pen(8, (255, 255, 255))
    >>> pen.box(0.5, 0.5, 0.25, 0.5, (0, 0, 0))     # middle, half its width, half its height
    >>> pen.pixels()[0, 3].tolist()
    [255, 255, 0, 0, 0, 0, 255, 255]
    """

    def __init__(self, side: int, ground: Colour) -> None:
        self._side = side * FINE
        self._canvas = Image.new("RGB", (self._side, self._side), ground)
        self._pen = ImageDraw.Draw(self._canvas)

    def pixels(self) -> Pixels:
        """What was drawn, uint8 [3, side, side]."""
        return np.ascontiguousarray(np.asarray(self._canvas.reduce(FINE)).transpose(2, 0, 1))  # h w c -> c h w

    def shape(self, points: Points, fill: Colour, edge: Colour | None = None, width: float = 0.0) -> None:
        """A filled polygon, with a line around it where it has an edge."""
        corners = self._fine(points)
        self._pen.polygon(corners, fill)
        if edge is not None:
            self._pen.line([*corners, *corners[:2]], edge, self._thick(width))

    def oval(self, x: float, y: float, wide: float, high: float, fill: Colour) -> None:
        """A filled ellipse around (x, y); ``wide`` and ``high`` are half its extent."""
        self.shape(bow(x, y, wide, high, 0, 360), fill)

    def box(self, x: float, y: float, wide: float, high: float, fill: Colour) -> None:
        """A filled rectangle around (x, y)."""
        s = self._side
        corners = round((x - wide) * s), round((y - high) * s), round((x + wide) * s) - 1, round((y + high) * s) - 1
        if corners[2] >= corners[0] and corners[3] >= corners[1]:
            self._pen.rectangle(corners, fill)

    def line(self, points: Points | Sequence[tuple[float, float]], fill: Colour, width: float) -> None:
        """A line through the points."""
        self._pen.line(self._fine(np.asarray(points)), fill, self._thick(width))

    def _fine(self, points: Points) -> list[int]:
        """Whole fine pixels: x, y, x, y, ..."""
        return np.rint(points * self._side).astype(int).ravel().tolist()

    def _thick(self, width: float) -> int:
        return max(1, round(width * self._side))


def bow(x: float, y: float, wide: float, high: float, start: float, end: float) -> Points:
    """Points of an ellipse around (x, y) from one angle to another, in degrees, clockwise from the right: float64 [k, 2]."""
    points: Points = _unit(start, end) * np.array((wide, high)) + np.array((x, y))
    return points


@functools.lru_cache(4096)
def _unit(start: float, end: float) -> Points:
    angles = np.radians(np.linspace(start, end, max(2, math.ceil(CORNERS * (end - start) / 360)) + 1))
    points: Points = np.stack([np.cos(angles), np.sin(angles)], 1)
    return points


def rounded(x: float, y: float, wide: float, high: float, radius: float) -> Points:
    """Points of a rectangle around (x, y) with round corners, closed: float64 [k, 2]."""
    r = min(radius, wide, high)
    middles = np.repeat(np.array(((wide - r, high - r), (r - wide, high - r), (r - wide, r - high), (wide - r, r - high))), CORNERS // 4 + 1, 0)
    corners = middles + r * np.concatenate([_unit(start, start + 90) for start in (0, 90, 180, 270)])
    points: Points = np.concatenate([corners, corners[:1]]) + np.array((x, y))
    return points


def mixed(one: Colour, other: Colour, share: float) -> Colour:
    """A colour between two: ``share`` 0 is the first."""
    r, g, b = (round(first + share * (second - first)) for first, second in zip(one, other, strict=True))
    return r, g, b


def hue(angle: float, saturation: float, value: float) -> Colour:
    """A colour by hue, saturation and value, each in [0, 1]."""
    r, g, b = (round(255 * level) for level in colorsys.hsv_to_rgb(angle, saturation, value))
    return r, g, b
