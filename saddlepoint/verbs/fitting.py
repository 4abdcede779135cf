"""What images are like, and what is done to them to train on them: their sizes beside the size of the networks, and how many each class has."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.errors import UsageError
from saddlepoint.games.game import Game, classes_told
from saddlepoint.networks.layers import pyramid

CUT, ENLARGED = 0.1, 1.15  # of an image's area that is lost, and how often it is enlarged, before it is said
NAMED = 5  # classes that a note names
Sizes = Mapping[tuple[int, int], int]  # width and height: how many images


def empty_classes_note(game: Game, data: ArrayDataset) -> list[str]:
    """That a game is told classes of which there is nothing, as where labels are counted from 1."""
    counts = data.spec.class_counts if classes_told(game) else ()
    names = data.spec.class_names or tuple(str(number) for number in range(len(counts)))
    empty = [names[number] for number, count in enumerate(counts) if not count]
    if not empty:
        return []
    named = ", ".join(empty[:NAMED]) + (", ..." if len(empty) > NAMED else "")
    return [
        f"Of {len(empty)} of the {len(counts)} classes there is no image ({named}): what is drawn of them means nothing. Number labels from 0 on."
    ]


def usual_side(sizes: Sizes) -> int | None:
    """Median of the shorter sides of images, in pixels; None of none.

    >>> usual_side({(64, 48): 3, (20, 30): 2})
    48
    """
    sides = sorted((min(size), count) for size, count in sizes.items())
    done, half = 0, sum(sizes.values()) / 2
    for side, count in sides:
        done += count
        if done >= half:
            return side
    return None


def fitting_side(side: int, most: int) -> int:
    """The side at which images of a side are trained: 4 to 7 times a power of two, from 16 on, that enlarges them by less than a sixth.

    >>> [fitting_side(side, 256) for side in (8, 24, 28, 48, 71, 300)], fitting_side(300, 32)
    ([16, 24, 32, 48, 64, 256], 32)
    """
    power: int = max(16, 2 ** int(math.log2(min(1.15 * side, most))))  # 28 pixels are taken for 32
    return max([power, *(k * power // 4 for k in (5, 6, 7) if k * power // 4 <= min(side, most))])


def kept_shape(sizes: Sizes, most: int) -> tuple[int, int] | None:
    """Height and width where all images have the same, which is no square, small enough, and which networks make; None otherwise.

    >>> kept_shape({(40, 24): 9}, 32), kept_shape({(1920, 1080): 9}, 32), kept_shape({(40, 24): 9, (24, 40): 1}, 32)
    ((24, 40), None, None)
    """
    (width, height), *others = [*sizes] or [(0, 0)]
    if others or width == height or not 16 <= min(width, height) <= most or max(width, height) > 2 * most:
        return None
    with contextlib.suppress(UsageError):
        pyramid((1, height, width), 4, "")
        return height, width
    return None


def fitting_notes(sizes: Sizes, shape: Sequence[int]) -> list[str]:
    """What is done to images of these sizes for training at a shape [c, h, w], where they lose or lack something.

    >>> fitting_notes({(64, 48): 60}, (3, 32, 32))[0]
    '60 of the 60 images lose more than a tenth of their area, as their middle is cut to 32x32. --resolution 32 40 (height and width) keeps more.'
    >>> fitting_notes({(48, 48): 60}, (3, 64, 64)), fitting_notes({(28, 28): 60}, (1, 32, 32))
    (['60 of the 60 images are smaller than 64x64 and are enlarged.'], [])
    """
    height, width = shape[-2:]
    notes, scales, total = [], {size: min(size[0] / width, size[1] / height) for size in sizes}, sum(sizes.values())
    cut = {size: count for size, count in sizes.items() if height * width * scales[size] ** 2 < (1 - CUT) * size[0] * size[1]}
    if cut:
        lost = sum(cut.values())
        said = f"{lost} of the {total} images lose more than a tenth of their area, as their middle is cut to {height}x{width}."
        high, wide = _nearest_shape(max(cut, key=lambda size: cut[size]), min(height, width))
        better = 2 * lost > total and (high, wide) != (height, width)
        notes.append(said + (f" --resolution {high} {wide} (height and width) keeps more." if better else ""))
    small = sum(count for size, count in sizes.items() if scales[size] * ENLARGED < 1)
    return [*notes, f"{small} of the {total} images are smaller than {height}x{width} and are enlarged."] if small else notes


def _nearest_shape(size: tuple[int, int], short: int) -> tuple[int, int]:
    """Height and width nearest to the shape of an image of this width and height that networks make, the shorter side being ``short``."""
    step = 2 ** int(math.log2(max(short // 4, 1)))
    long = max(short, step * round(short * max(size) / min(size) / step))
    return (short, long) if size[0] >= size[1] else (long, short)
