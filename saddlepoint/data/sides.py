"""The two sides of data whose records hold two images: where they lie, and how they are brought to one size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from saddlepoint.data.arrays import SPLITS, ArrayDataset
from saddlepoint.data.images import Resolution, size_of
from saddlepoint.data.packed import is_packed, open_packed
from saddlepoint.data.registry import SOURCES
from saddlepoint.errors import DataError, UsageError

FOLDERS = (("A", "B"), ("trainA", "trainB"), ("a", "b"))
Sizes = Mapping[tuple[int, int], int]  # how many images are stored at a width and a height


def sides_of(text: str) -> tuple[str, str] | None:
    """The two sides of data named pairs:... or domains:..., each as it is named by itself; None of other data, and of images side by side."""
    kind, _, place = text.partition(":")
    whole, _, split = place.rpartition(":")
    if kind not in ("pairs", "domains"):
        return None
    sides = sides_in(whole if split in SPLITS else place)
    return sides if sides is None or split not in SPLITS else (f"{sides[0]}:{split}", f"{sides[1]}:{split}")


def sides_in(place: str) -> tuple[str, str] | None:
    """The two sides that a place names, or holds as sub-folders; None where it is one folder.

    Args:
        place: what stands behind "pairs:" or "domains:".
    Raises:
        UsageError: for more sides than two, or one without a name.
        DataError: if it is no folder.
    """
    if "+" in place and not Path(place).expanduser().exists():
        parts = place.split("+")
        if len(parts) != 2 or not all(parts):
            raise UsageError(f"Two sides are written FIRST+SECOND; {place!r} came.")
        return parts[0], parts[1]
    path = Path(place).expanduser()
    if not path.is_dir():
        raise DataError(f"There is no folder {place}. Check the path, or name two: FIRST+SECOND.")
    for names in FOLDERS:
        if all((path / name).is_dir() for name in names):
            return str(path / names[0]), str(path / names[1])
    return None


def no_images(name: str, kind: str) -> DataError:
    """The line for a side that holds something else."""
    return DataError(f"Two images a record are needed; {name} holds {kind}. Name two sets of images.")


def check_sides(sides: Sequence[str]) -> None:
    """Refuse sides before they are opened: sets of no images, and two packed folders of different sizes, of which neither can take the other's.

    Args:
        sides: names or paths.
    Raises:
        DataError: with both sizes.
    """
    for side in sides:
        if side in SOURCES and SOURCES[side][0].kind != "image":
            raise no_images(side, SOURCES[side][0].kind)
    packed = [Path(side).expanduser() for side in sides if side not in SOURCES and is_packed(Path(side).expanduser())]
    shapes = [open_packed(path, path.name).spec.shape for path in packed]
    if len(packed) == 2 and all(len(shape) == 3 for shape in shapes) and shapes[0][1:] != shapes[1][1:]:
        one, other = (f"{shape[2]}x{shape[1]}" for shape in shapes)
        raise DataError(
            f"{sides[0]} is packed at {one} pixels and {sides[1]} at {other}, and packed data keep their size. Convert the source of one again, with "
            "the other's --resolution, or name the sources themselves."
        )


def check_alike(sides: Sequence[str], one: ArrayDataset, other: ArrayDataset) -> None:
    """Refuse sides of different sizes where none was asked for.

    Raises:
        DataError: with both sizes.
    """
    if one.spec.kind == other.spec.kind == "image" and one.spec.shape[1:] != other.spec.shape[1:]:
        smaller = min(one.spec.shape[1:], other.spec.shape[1:])
        raise DataError(
            f"{sides[0]} and {sides[1]} are of {_written(one)} and {_written(other)} pixels, and no size was asked for. Bring both to one: "
            f"--resolution {smaller[0] if smaller[0] == smaller[1] else f'{smaller[0]} {smaller[1]}'}, for example."
        )


def brought_together(sides: Sequence[str], one: ArrayDataset, other: ArrayDataset, resolution: Resolution | None) -> tuple[str, ...]:
    """What is told of images of two sides that were brought to one size.

    Args:
        sides: what each is called.
        one, other: opened at the resolution.
        resolution: that was asked for.
    Returns:
        One line with the sizes of both, the size that they have now, and how many were smaller; nothing where all are stored at one size that is no
        smaller and has the shape that was asked for.
    """
    if resolution is None or not one.spec.kind == other.spec.kind == "image":
        return ()
    height, width = size_of(resolution)
    stored = [stored_sizes(side, data) for side, data in zip(sides, (one, other), strict=True)]
    every = {*stored[0], *stored[1]}
    cropped = any(w * height != h * width for w, h in every)
    small = [sum(count for (w, h), count in sizes.items() if w < width or h < height) for sizes in stored]
    if len(every) == 1 and not cropped and not any(small):
        return ()
    spans = [_span(sizes) for sizes in stored]
    same = f"{sides[0]} and {sides[1]} hold images of {spans[0]}"
    held = same if spans[0] == spans[1] else f"{sides[0]} holds images of {spans[0]}, {sides[1]} of {spans[1]}"
    counts = [sum(sizes.values()) for sizes in stored]
    fewer = [f"{'all' if few == n else f'{few} of the'} {n} in {side}" for few, n, side in zip(small, counts, sides, strict=True) if few]
    told = f" ({' and '.join(fewer)} are smaller than that)" if fewer else ""
    return (f"{held}; both are {'cropped and ' if cropped else ''}brought to {width}x{height}{told}. --resolution sets another.",)


def stored_sizes(side: str, data: ArrayDataset) -> Sizes:
    """How many images of a side are stored at which width and height."""
    if data.sizes:
        return data.sizes
    card = SOURCES[side][0] if side in SOURCES else None
    drawn = card is None or card.origin.startswith("saddlepoint.")  # at any size that is asked for
    height, width = data.spec.shape[-2:] if card is None or drawn else card.shape[-2:]
    return {(width, height): len(data)}


def _span(sizes: Sizes) -> str:
    """The smallest and the largest by their area."""
    ordered = sorted(sizes, key=lambda size: (size[0] * size[1], size))
    return " to ".join(f"{width}x{height}" for width, height in dict.fromkeys((ordered[0], ordered[-1])))


def _written(data: ArrayDataset) -> str:
    return f"{data.spec.shape[-1]}x{data.spec.shape[-2]}"
