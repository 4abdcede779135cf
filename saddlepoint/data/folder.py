"""A folder of images: found, checked, decoded once on all cores, and kept as one memory-mapped file for the next start."""

from __future__ import annotations

import dataclasses
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TypeVar

import torch

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.cache import Packed, PackWriter, pack_key, read_pack
from saddlepoint.data.images import CHUNK, Header, Pixels, Resolution, check_request, decode, in_order, left_out, read_header
from saddlepoint.data.metadata import Metadata, attach, read_metadata
from saddlepoint.data.records import DataSpec
from saddlepoint.errors import DataError

IMAGE_SUFFIXES = frozenset(
    (".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".jp2", ".tga", ".avif")
)
MAX_CORRUPT_SHARE = 0.01
MIN_IMAGES = 2
NAMED = 3  # how many paths an error line names
NOTED = 20  # how many skipped files are told one by one

log = logging.getLogger("saddlepoint")
Result = TypeVar("Result")
Decode = Callable[[Path | IO[bytes], Resolution | None, int], Pixels]


@dataclass
class Found:
    """Image files of a folder, in the order of their names.

    Attributes:
        root: the folder.
        paths: relative to ``root``, with forward slashes.
        labels: one a path, or None.
        class_names: names of the sub-folders, sorted; empty without labels.
        notes: what the user is told of them.
    """

    root: Path
    paths: list[str]
    labels: list[int] | None
    class_names: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def open(self, path: str) -> Path | IO[bytes]:
        """Where an image's bytes are read from."""
        return self.root / path

    def state(self, path: str) -> str:
        """What changes when the file does."""
        try:
            stat = (self.root / path).stat()
        except OSError:  # a link to nowhere: it is reported when it is read
            return "missing"
        return f"{stat.st_size} {stat.st_mtime_ns}"


@dataclass
class Damage:
    """The files that could not be read, with the reason, and how many may be skipped before it is an error.

    Args:
        root: the folder, for messages.
        num_files: image files found; max(1, 1 %) of them may be unreadable.
    """

    root: Path | str
    num_files: int
    reasons: dict[str, str] = field(default_factory=dict)

    @property
    def allowed(self) -> int:
        """How many may be unreadable."""
        return max(1, int(MAX_CORRUPT_SHARE * self.num_files))

    def check(self) -> None:
        """Raise DataError when more files are damaged than may be skipped."""
        if len(self.reasons) > self.allowed or self.num_files - len(self.reasons) < MIN_IMAGES:
            first = "; ".join(f"{path} ({reason})" for path, reason in list(self.reasons.items())[:NAMED])
            more = f" and {len(self.reasons) - NAMED} more" if len(self.reasons) > NAMED else ""
            raise DataError(
                f"{len(self.reasons)} of the {self.num_files} image files in {self.root} cannot be read: {first}{more}. "
                f"At most {self.allowed} may be skipped, and {MIN_IMAGES} images must be left. Repair or remove them."
            )


def open_folder(root: Path, name: str, resolution: Resolution | None, channels: int | None) -> ArrayDataset:
    """All images below ``root``; sub-folders directly below it are the classes.

    Each image is turned upright (EXIF), put on white where it is transparent, cropped to its largest centred square and resized with antialiasing.
    Without ``channels`` they are RGB, or grey if every file is. Without ``resolution`` they must all be square and of one size.
    """
    found = find_images(root)
    metadata = read_metadata(str(root), found.paths, lambda path: (root / path).read_bytes() if (root / path).is_file() else None)
    return open_with(found, metadata, name, resolution, channels)


def open_with(found: Found, metadata: Metadata | None, name: str, resolution: Resolution | None, channels: int | None) -> ArrayDataset:
    """Image files already found, with the table beside them; its labels stand in for the folders'."""
    if metadata is not None and metadata.has("label"):
        found = dataclasses.replace(found, labels=None, class_names=())
    dataset = open_found(found, name, resolution, channels)
    for note in metadata.notes if metadata else ():
        log.warning(note)
    if metadata is None:
        return dataset
    attached = attach(dataset, metadata)
    attached.sizes = dataset.sizes
    return attached


def open_found(
    found: Found,
    name: str,
    resolution: Resolution | None,
    channels: int | None,
    *,
    read: Decode | None = None,
    layout: str = "",
    wide: int = 1,
) -> ArrayDataset:
    """The same for image files already found: from the pack of an earlier start, or decoded now.

    Args:
        found: the files.
        name: of the data set.
        resolution: see :func:`open_folder`.
        channels: see :func:`open_folder`.
        read: path, resolution, channels -> pixels uint8 [c, h, w] of a record; None: :func:`saddlepoint.data.images.decode`.
        layout: what ``read`` makes, where it is not one square image.
        wide: width over height of the files, where they are not resized.
    """
    check_request(resolution, channels)
    asked: dict[str, object] = {"resolution": resolution, "channels": channels, "labels": found.class_names}
    asked |= {name: value for name, value in (("layout", layout), ("notes", found.notes)) if value}  # a pack keeps what is told of it
    key = pack_key(found.root, [(path, found.state(path)) for path in found.paths], asked)
    packed = read_pack(key) or _pack(found, key, resolution, channels, read or decode, wide)
    for note in packed.notes:
        log.warning(note)
    labels = {"label": torch.tensor(packed.labels, dtype=torch.int64)} if found.labels is not None else {}
    spec = DataSpec(
        name=name,
        kind="image",
        shape=tuple(packed.images.shape[1:]),
        num_records=len(packed.images),
        num_classes=len(found.class_names) or None,
        class_names=found.class_names,
        content_hash=packed.content_hash,
        fields=("image", *labels),
    )
    dataset = ArrayDataset({"image": packed.images} | labels, spec, names=packed.names, notes=packed.notes)
    dataset.sizes = packed.sizes
    return dataset


def find_images(root: Path) -> Found:
    """The image files below a folder (by their suffix; hidden ones left out), and their classes where it has sub-folders of images.

    Links are followed, and it is told where they lead outside of the folder.

    Raises:
        DataError: if it, or a folder in it, cannot be read, or if there are fewer than two images.
    """
    paths, others, closed = [], Counter[str](), list[OSError]()
    home = os.path.realpath(root)
    walked = {home}
    for folder, subfolders, files in os.walk(root, followlinks=True, onerror=closed.append):
        places = {sub: os.path.realpath(os.path.join(folder, sub)) for sub in sorted(subfolders) if not sub.startswith(".")}
        subfolders[:] = [sub for sub, place in places.items() if place not in walked]  # a link may lead back up
        walked.update(places.values())
        for file in sorted(file for file in files if not file.startswith(".")):
            suffix = Path(file).suffix.lower()
            if suffix in IMAGE_SUFFIXES:
                paths.append((Path(folder) / file).relative_to(root).as_posix())
            else:
                others[suffix or "no suffix"] += 1
    if closed:
        raise DataError(f"{len(closed)} folders in {root} cannot be read: {closed[0].filename} ({closed[0].strerror}). Allow it, or move them away.")
    if not paths:
        held = ", ".join(f"{count} {suffix}" for suffix, count in others.most_common(4)) or "nothing"
        raise DataError(f"{root} holds no images: expected .png, .jpg, .webp or other image files, or sub-folders of them; found {held}.")
    if len(paths) < MIN_IMAGES:
        raise DataError(f"{root} holds 1 image ({paths[0]}); training needs at least {MIN_IMAGES}. Add more images.")
    return Found(root, paths, *classes_of(str(root), paths), notes=(*left_out(root, others), *_outside(root, home, paths)))


def _outside(root: Path, home: str, paths: Sequence[str]) -> tuple[str, ...]:
    """What is told of links that lead to images outside of a folder."""
    folders: dict[str, bool] = {}
    outside = []
    for path in paths:
        above = os.path.dirname(path)
        if above not in folders:
            folders[above] = not f"{os.path.realpath(root / above)}/".startswith(f"{home}/")
        if folders[above] or (os.path.islink(root / path) and not os.path.realpath(root / path).startswith(f"{home}/")):
            outside.append(path)
    if not outside:
        return ()
    return (f"{len(outside)} of the {len(paths)} images in {root} are links to places outside of it: {', '.join(outside[:NAMED])}.",)


def classes_of(root: str, paths: Sequence[str]) -> tuple[list[int] | None, tuple[str, ...]]:
    """Classes of images by the folder directly below ``root`` that each lies in; None where there is one folder or none."""
    tops = [path.split("/")[0] if "/" in path else "" for path in paths]
    classes = tuple(sorted(set(tops)))
    if len(classes) <= 1:
        return None, ()
    if "" in classes:
        loose = [path for path in paths if "/" not in path]
        raise DataError(
            f"{root} mixes {len(loose)} loose images (such as {loose[0]}) with sub-folders of images ({', '.join(classes[1 : 1 + NAMED])}); "
            "expected only images, or only sub-folders, one a class. Move the loose ones into a sub-folder, or point at one sub-folder."
        )
    return [classes.index(top) for top in tops], classes


def _pack(found: Found, key: str, resolution: Resolution | None, channels: int | None, read: Decode, wide: int) -> Packed:
    damage = Damage(found.root, len(found.paths))
    headers = dict(_on_all_cores(found, range(len(found.paths)), read_header, damage))
    damage.check()
    sizes = Counter((header.width, header.height) for header in headers.values())
    if resolution is None:
        check_sizes(found.root, sizes, wide)
    depth = channels or (1 if all(header.grey for header in headers.values()) else 3)
    names, labels = [], []
    with PackWriter(key) as writer:
        for row, pixels in _on_all_cores(found, list(headers), lambda path: read(path, resolution, depth), damage):
            assert writer.shape in (None, pixels.shape), f"decoded to {pixels.shape} beside {writer.shape}"
            writer.append(pixels)
            names.append(found.paths[row])
            labels.append(found.labels[row] if found.labels is not None else 0)
            if len(names) % CHUNK == 0:
                damage.check()
        damage.check()
        return writer.finish(names=names, labels=labels if found.labels is not None else [], notes=_notes(found, headers, damage), sizes=sizes)


def _on_all_cores(found: Found, rows: Sequence[int], read: Callable[[Path | IO[bytes]], Result], damage: Damage) -> Iterator[tuple[int, Result]]:
    """Row and result of ``read``, in order; files that cannot be read go to ``damage``."""

    def attempt(row: int) -> Result | Exception:
        try:
            return read(found.open(found.paths[row]))
        except MemoryError:
            raise
        except Exception as error:  # a damaged file may make any decoder raise anything
            return error

    for row, result in zip(rows, in_order(attempt, rows), strict=True):
        if isinstance(result, Exception):
            damage.reasons[found.paths[row]] = reason_of(result)
        else:
            yield row, result


def reason_of(error: Exception) -> str:
    """Why a file cannot be read, in a few words."""
    if type(error).__name__ == "UnidentifiedImageError":
        return "not a readable image"
    return str(error).strip().split("\n")[0][:120] or type(error).__name__


def check_sizes(root: Path | str, sizes: Counter[tuple[int, int]], wide: int = 1) -> None:
    """Refuse images that are not of one size, ``wide`` times as wide as high, where no size was asked for."""
    (width, height), _ = sizes.most_common(1)[0]
    if len(sizes) == 1 and width == wide * height:
        return
    if len(sizes) == 1:
        held = f"are {width}x{height} pixels, not square"
    else:
        sides = sorted(sizes)
        held = f"have {len(sizes)} different sizes, from {sides[0][0]}x{sides[0][1]} to {sides[-1][0]}x{sides[-1][1]} pixels"
    raise DataError(
        f"The images in {root} {held}. Say to what they are to be cropped and resized: --resolution 64, or --resolution 48 64 (height and width)."
    )


def _notes(found: Found, headers: dict[int, Header], damage: Damage) -> list[str]:
    notes = [*found.notes]
    notes += [f"Skipped {found.root / path}: {reason}." for path, reason in list(damage.reasons.items())[:NOTED]]
    if len(damage.reasons) > NOTED:
        notes.append(f"Skipped {len(damage.reasons) - NOTED} more files in {found.root} that cannot be read.")
    alpha, moving = sum(header.alpha for header in headers.values()), sum(header.moving for header in headers.values())
    for count, said in ((alpha, "are transparent; they were put on white"), (moving, "have several frames; the first of each was taken")):
        notes += [f"{count} of the {len(headers)} images in {found.root} {said}."] if count else []
    return notes


def folder_key(root: Path) -> str:
    """What seeds the split of a folder or file: its own name, wherever it lies."""
    return root.resolve().name
