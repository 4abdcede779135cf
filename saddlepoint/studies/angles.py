"""Two domains of drawings that have an angle in common and nothing else, for translators that shall find it without pairs.

Cars from above and kites, each turned by an angle from -75 to 75 degrees, after the cars and faces of Kim et al. 2017 (arXiv:1703.05192).
The angle of any image is that of the drawing it is nearest to.

Axes: n images, t drawings, c channels, h w image.
"""

from __future__ import annotations

import functools
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.drawn_pen import Pen, Points, rounded
from saddlepoint.data.records import DataSpec
from saddlepoint.draws import derive_seed

MOST = 75  # degrees to either side
BEYOND = 90  # degrees to either side that are looked for
BINS = 15
Kind = Literal["car", "kite"]


def drawn(kind: Kind, degrees: Tensor, side: int) -> Tensor:
    """Drawings turned clockwise by these angles [n] around the middle: uint8 [n, 3, side, side]."""
    pictures = [_car(float(angle), side) if kind == "car" else _kite(float(angle), side) for angle in degrees]
    return torch.from_numpy(np.stack(pictures))


def _car(degrees: float, side: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    pen = Pen(side, (236, 236, 236))
    pen.shape(_turned(rounded(0.5, 0.5, 0.2, 0.38, 0.1), degrees), (36, 70, 150))
    pen.shape(_turned(rounded(0.5, 0.36, 0.15, 0.08, 0.03), degrees), (190, 220, 245))
    return pen.pixels()


def _kite(degrees: float, side: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    pen = Pen(side, (60, 66, 60))
    pen.shape(_turned(np.array(((0.5, 0.1), (0.8, 0.42), (0.5, 0.9), (0.2, 0.42))), degrees), (240, 170, 40))
    pen.shape(_turned(np.array(((0.5, 0.1), (0.8, 0.42), (0.2, 0.42))), degrees), (205, 50, 40))
    return pen.pixels()


def _turned(points: Points, degrees: float) -> Points:
    angle = np.radians(degrees)
    turn = np.array(((np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))))
    found: Points = (points - 0.5) @ turn + 0.5
    return found


def domains(n: int, side: int) -> tuple[ArrayDataset, Tensor]:
    """Cars ("image") and kites ("other"), n each, turned independently of one another; and the cars' angles in degrees [n]."""
    rng = torch.Generator().manual_seed(derive_seed("angles"))
    cars, kites = (MOST * (2 * torch.rand(n, generator=rng) - 1) for _ in range(2))
    fields = {"image": drawn("car", cars, side), "other": drawn("kite", kites, side)}
    shape = (3, side, side)
    return ArrayDataset(
        fields, DataSpec(name="angles", kind="image", shape=shape, num_records=n, fields=tuple(fields), shapes={"other": shape})
    ), cars


@functools.cache
def _templates(kind: Kind, side: int) -> tuple[Tensor, Tensor]:
    degrees = torch.arange(-BEYOND, BEYOND + 1).float()
    return degrees, drawn(kind, degrees, side).float().flatten(1)


def angle_of(images: Tensor, kind: Kind) -> tuple[Tensor, Tensor]:
    """The angle in degrees [n] of the nearest drawing, one of every degree, and the root of the mean squared error to it in [0, 1].

    Args:
        images: uint8 [n, 3, h, w].
        kind: of drawings.
    """
    degrees, drawings = _templates(kind, images.shape[-1])
    rows = images.float().flatten(1)
    distance, nearest = torch.cdist(rows, drawings).min(1)
    return degrees[nearest], distance / (255 * rows.shape[1] ** 0.5)


class Relation(NamedTuple):
    """How the angles of translations hang together with those of their inputs.

    Attributes:
        correlation: without its sign: a mirrored relation is one too.
        error: root of the mean squared distance from the best straight line, in degrees.
        reached: share of fifteen equal parts of the range that any translation is turned to.
    """

    correlation: float
    error: float
    reached: float


def relation(given: Tensor, made: Tensor) -> Relation:
    """What angles in degrees [n] of inputs say of those of their translations.

    >>> relation(torch.linspace(-75, 75, 31), -torch.linspace(-75, 75, 31))
    Relation(correlation=1.0, error=0.0, reached=1.0)
    """
    x, y = (values.double() - values.double().mean() for values in (given, made))
    spread = (x.square().mean() * y.square().mean()).sqrt()
    correlation = float((x * y).mean() / spread) if spread > 0 else 0.0
    error = float((y.square().mean() * max(0.0, 1 - correlation**2)).sqrt())
    inside = made[made.abs() <= MOST]
    filled = torch.histc(inside.float(), BINS, -MOST, MOST) > 0
    return Relation(round(abs(correlation), 6), round(error, 4), float(filled.double().mean()))
