"""Near duplicates: a perceptual hash of images, and which records have hashes so alike that one of them is enough.

A hash is a whole number of so many bits; two records are near where theirs differ in few. Axes: c channels, h w image.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.images import in_order
from saddlepoint.data.packed import PIECE
from saddlepoint.errors import DataError, UsageError

BITS = 64  # of the perceptual hash
NEAR = 4  # bits of them that two hashes may differ in

Show = Callable[[int, int], None]


def perceptual_hash(image: Image.Image) -> int:
    """64 bits of a grey picture: in which of 8 x 8 places it gets brighter to the right."""
    pixels = np.asarray(image.resize((9, 8), Image.Resampling.BILINEAR)).astype(np.int16)
    return int.from_bytes(np.packbits(pixels[:, 1:] > pixels[:, :-1]).tobytes(), "big")


def picture_of(pixels: NDArray[np.generic]) -> Image.Image:
    """An image [c, h, w], uint8 or float in [-1, 1], as a picture: RGB of three channels, else grey, their mean."""
    levels = pixels if pixels.dtype == np.uint8 else ((pixels.astype(np.float32) + 1) * 127.5).round().astype(np.uint8)
    if len(levels) == 3:
        return Image.fromarray(levels.transpose(1, 2, 0))
    return Image.fromarray(levels.mean(0).round().astype(np.uint8))


def perceptual_hashes(data: ArrayDataset, show: Show | None = None) -> list[int]:
    """The perceptual hash of every image, on all cores.

    Args:
        data: images.
        show: called with (images done, all).
    """
    found: list[int] = []
    for rows in torch.split(torch.arange(len(data)), PIECE):
        images = data.records(rows)["image"].numpy()
        found += in_order(lambda pixels: perceptual_hash(picture_of(pixels).convert("L")), images)
        if show is not None:
            show(len(found), len(data))
    return found


def near_pairs(hashes: dict[str, int], distance: int = NEAR, bits: int = BITS) -> list[list[str]]:
    """Pairs of names whose hashes differ in at most ``distance`` of their ``bits``.

    Two hashes that differ in at most 4 bits agree in at least one of five parts, so only names that share a part are compared.

    >>> near_pairs({"a": 0, "b": 0b1111, "c": 0b11111})
    [['a', 'b'], ['b', 'c']]
    """
    names = [*hashes]
    return [[names[i], names[j]] for i, j in _near_rows([*hashes.values()], distance, bits)]


def twins(hashes: Sequence[int], distance: int, bits: int) -> dict[int, int]:
    """Which records are near duplicates of one that comes before them and is kept: row -> row of that one.

    A record that is like one that goes, but like none that stays, stays: no chain of small steps can empty the data.

    Args:
        hashes: one a record.
        distance: bits that two may differ in.
        bits: that a hash has.
    Raises:
        UsageError: for a distance below 0, or of all bits.

    >>> twins([0b0000, 0b1111, 0b0011, 0b0000], distance=2, bits=4)      # the third is like the first; the fourth is the first again
    {2: 0, 3: 0}
    """
    if not 0 <= distance < bits:
        raise UsageError(f"Near duplicates differ in 0 to {bits - 1} of the {bits} bits of a hash; {distance} came.")
    first: dict[int, int] = {}
    for row, each in enumerate(hashes):
        first.setdefault(each, row)
    rows, gone = [*first.values()], dict[int, int]()
    for i, j in _near_rows([*first], distance, bits) if distance and first else []:
        if rows[i] not in gone:
            gone.setdefault(rows[j], rows[i])
    copies = {row: first[each] for row, each in enumerate(hashes) if first[each] != row}
    return dict(sorted((gone | {row: gone.get(one, one) for row, one in copies.items()}).items()))


def without_twins(data: ArrayDataset, found: dict[int, int], about: dict[str, Any]) -> tuple[ArrayDataset, dict[str, Any]]:
    """The data without the records that have a twin, and what is written beside them.

    Args:
        data: any.
        found: row that goes -> row that is kept in its place, of :func:`twins`.
        about: how they were found, plain JSON.
    Returns:
        The data that are left; and ``about`` with "records", "kept" and "dropped", a row [number, name, number kept, its name] for each.
    """
    gone = torch.tensor([*found], dtype=torch.int64)
    keep = torch.ones(len(data), dtype=torch.bool)
    keep[gone] = False
    names = data.names or [""] * len(data)
    dropped = [[row, names[row], one, names[one]] for row, one in found.items()]
    left = data.part(keep.nonzero().flatten(), "without-duplicates")
    return left, about | {"records": len(data), "kept": len(left), "dropped": dropped}


def check_images(data: ArrayDataset) -> None:
    """Refuse data without images.

    Raises:
        DataError: for these.
    """
    if data.spec.kind != "image":
        raise DataError(f"Near duplicates are found among images; {data.spec.name} holds {data.spec.kind} data. Leave --without-duplicates out.")


def _near_rows(hashes: Sequence[int], distance: int, bits: int) -> list[tuple[int, int]]:
    """Pairs of rows, the smaller first, in their order."""
    pairs = set[tuple[int, int]]()
    words = np.array([[each >> shift & (2**64 - 1) for shift in range(0, bits, 64)] for each in hashes], np.uint64).reshape(len(hashes), -1)
    for places in np.array_split(np.arange(bits), distance + 1):
        mask = sum(1 << int(place) for place in places)
        groups: dict[int, list[int]] = defaultdict(list)
        for row, each in enumerate(hashes):
            groups[each & mask].append(row)
        for rows in groups.values():
            pairs.update(_close(words[rows], rows, distance))
    return sorted(pairs)


def _close(words: NDArray[np.uint64], rows: Sequence[int], distance: int) -> set[tuple[int, int]]:
    """Pairs of rows whose words differ in at most so many bits."""
    found: set[tuple[int, int]] = set()
    for i in range(len(words) - 1):
        differ = np.bitwise_count(words[i] ^ words[i + 1 :]).sum(1)
        found.update((rows[i], rows[i + 1 + int(j)]) for j in np.flatnonzero(differ <= distance))
    return found
