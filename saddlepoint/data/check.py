"""A look at images before they are used: what is there, what is wrong with it, and what would be done with each file.

Every file of a folder, an archive or a table is opened and decoded once, on all cores; of other data every image is looked at as it was read.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from saddlepoint.data.archives import find_in_shards, find_in_zip, shards_of
from saddlepoint.data.arrayfile import holds_arrays
from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.check_records import RecordsReport, check_records, lines_of_records
from saddlepoint.data.folder import Found, find_images, reason_of
from saddlepoint.data.images import DEEP_MODES, EXIF_ORIENTATION, has_alpha, in_order, upright
from saddlepoint.data.metadata import Metadata, read_metadata
from saddlepoint.data.near import near_pairs, perceptual_hash, picture_of
from saddlepoint.data.packed import is_packed
from saddlepoint.data.parquet import find_in_tables, tables_of
from saddlepoint.data.sources import open_data
from saddlepoint.errors import DataError

LISTED = 20  # files or groups that a report names
SIDES = (16, 32, 64, 128, 256, 512, 1024)


@dataclass(frozen=True)
class Look:
    """What one file showed.

    Attributes:
        width, height: in pixels, as stored.
        mode: Pillow's name of it.
        notes: what would be done with it beside cropping and resizing.
        digest: of its bytes.
        bits: of :func:`saddlepoint.data.near.perceptual_hash`.
    """

    width: int
    height: int
    mode: str
    notes: tuple[str, ...]
    digest: str
    bits: int


@dataclass
class Report:
    """What a check found; plain values, so that it can be printed as JSON.

    Attributes:
        path: what was checked.
        files: image files found.
        readable: of them that can be decoded.
        corrupt: path -> reason.
        sizes: "WxH" -> count, the most frequent first.
        modes: Pillow's mode -> count.
        treatment: what the pipeline does -> count of files.
        labels: class -> count; empty without labels.
        attributes: names of the numbers beside each image.
        captions: how many have one.
        duplicates: groups of files with the same bytes.
        near_duplicates: pairs of files that look alike.
        resolution: side that is suggested.
        advice: what to do, in plain words.
    """

    path: str
    files: int
    readable: int
    corrupt: dict[str, str]
    sizes: dict[str, int]
    modes: dict[str, int]
    treatment: dict[str, int]
    labels: dict[str, int]
    attributes: list[str]
    captions: int
    duplicates: list[list[str]]
    near_duplicates: list[list[str]]
    resolution: int
    advice: list[str] = field(default_factory=list)


def check_any(path: str | Path, show: Callable[[int, int], None] | None = None) -> Report | RecordsReport:
    """:func:`check` of images, :func:`saddlepoint.data.check_records.check_records` of data that are none."""
    if _find(Path(path).expanduser())[0] is None:
        data = open_data(str(path))
        if data.spec.kind != "image":
            return check_records(str(path), data, show)
    return check(path, show)


def check(path: str | Path, show: Callable[[int, int], None] | None = None) -> Report:
    """Look at every image of some data.

    Args:
        path: as for training: of a folder, archive or table every file is opened as it is; anything else as training would read it.
        show: called with (files done, all).
    Raises:
        DataError: if there is nothing to look at.
        UsageError: for an unknown name.
    """
    found, metadata = _find(Path(path).expanduser())
    looks: dict[str, Look] = {}
    corrupt: dict[str, str] = {}
    results: Iterator[Look | str]
    if found is None:
        data = open_data(str(path))
        found, results = _found_in(data), _looks_of(data)
    else:
        results = in_order(functools.partial(_attempt, found), found.paths)
    total = len(found.paths)
    for number, (name, result) in enumerate(zip(found.paths, results, strict=True), 1):
        if isinstance(result, Look):
            looks[name] = result
        else:
            corrupt[name] = result
        if show is not None and (number % 64 == 0 or number == total):
            show(number, total)
    report = _report(str(path), found, metadata, looks, corrupt)
    report.advice.extend(_advice(report, looks))
    return report


def _find(path: Path) -> tuple[Found | None, Metadata | None]:
    """The image files that a path means, and the table beside them; None where it is no path, or one of other things."""
    if not path.exists() or (path.is_dir() and is_packed(path)) or holds_arrays(path):
        return None, None
    tables = tables_of(path)
    if tables:
        return find_in_tables(path, tables)
    shards = shards_of(path) if path.is_dir() or path.suffix == ".tar" else []
    if shards:
        return find_in_shards(path, shards)
    if path.suffix == ".zip":
        return find_in_zip(path)
    if not path.is_dir():
        return None, None
    found = find_images(path)
    return found, read_metadata(str(path), found.paths, lambda name: (path / name).read_bytes() if (path / name).is_file() else None)


def _found_in(data: ArrayDataset) -> Found:
    """The images of data that are no files, by name or number."""
    if data.spec.kind != "image":
        raise DataError(f"{data.spec.name} holds {len(data)} records of {data.spec.kind} data, shape {[*data.spec.shape]}; expected images.")
    names = [f"{i} {data.names[i]}".strip() if data.names else str(i) for i in range(len(data))]
    labelled = "label" in data.spec.fields and data.spec.class_names
    return Found(Path(data.spec.name), names, data.column("label").tolist() if labelled else None, data.spec.class_names)


def _looks_of(data: ArrayDataset) -> Iterator[Look]:
    """A look at each image of data that are no files."""
    for rows in torch.split(torch.arange(len(data)), 256):
        yield from in_order(_look_at_pixels, data.records(rows)["image"].numpy())


def _look_at_pixels(pixels: NDArray[np.generic]) -> Look:
    channels, height, width = pixels.shape
    mode = {1: "L", 3: "RGB"}.get(channels, f"{channels} channels") + ("" if pixels.dtype == np.uint8 else f" of {pixels.dtype}")
    notes = ("cropped to the centred square",) if width != height else ()
    return Look(
        width,
        height,
        mode,
        notes,
        hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest(),
        perceptual_hash(picture_of(pixels).convert("L")),
    )


def _attempt(found: Found, name: str) -> Look | str:
    try:
        source = found.open(name)
        content = source.read_bytes() if isinstance(source, Path) else source.read()
        return _look(content)
    except MemoryError:
        raise
    except Exception as error:  # a damaged file may make any decoder raise anything
        reason = reason_of(error)
        return "empty file" if reason == "not a readable image" and not content else reason


def _look(content: bytes) -> Look:
    with Image.open(BytesIO(content)) as image:
        width, height, mode = image.width, image.height, image.mode
        notes = ["transparent: put on white"] if has_alpha(image) else []
        notes += ["16 bits: brought to 8"] if mode in DEEP_MODES else []
        notes += ["turned upright by its EXIF note"] if image.getexif().get(EXIF_ORIENTATION, 1) != 1 else []
        notes += ["animated: the first frame is taken"] if getattr(image, "n_frames", 1) > 1 else []
        notes += ["cropped to the centred square"] if width != height else []
        notes += [f"{mode}: converted to RGB"] if mode in ("P", "CMYK", "YCbCr", "HSV", "LAB", "PA") else []
    return Look(width, height, mode, tuple(notes), hashlib.sha256(content).hexdigest(), perceptual_hash(upright(BytesIO(content), 1)))


def _report(path: str, found: Found, metadata: Metadata | None, looks: dict[str, Look], corrupt: dict[str, str]) -> Report:
    labels: Counter[str] = Counter()
    if metadata is not None and metadata.has("label"):
        labels.update(str(row["label"]) for row in metadata.rows.values())
    elif found.labels is not None:
        labels.update(found.class_names[label] for label in found.labels)
    same: dict[str, list[str]] = defaultdict(list)
    for name, look in looks.items():
        same[look.digest].append(name)
    sides = sorted(min(look.width, look.height) for look in looks.values()) or [1]
    return Report(
        path=path,
        files=len(found.paths),
        readable=len(looks),
        corrupt=corrupt,
        sizes=dict(Counter(f"{look.width}x{look.height}" for look in looks.values()).most_common()),
        modes=dict(Counter(look.mode for look in looks.values()).most_common()),
        treatment=dict(Counter(note for look in looks.values() for note in look.notes).most_common()),
        labels=dict(labels.most_common()),
        attributes=[*metadata.attribute_names] if metadata else [],
        captions=len(metadata.rows) if metadata and metadata.has("caption") else 0,
        duplicates=[names for names in same.values() if len(names) > 1],
        near_duplicates=near_pairs({names[0]: looks[names[0]].bits for names in same.values()}),
        resolution=max((side for side in SIDES if side <= sides[len(sides) // 20]), default=SIDES[0]),
    )


def _advice(report: Report, looks: dict[str, Look]) -> list[str]:
    lines = []
    if report.corrupt:
        lines.append(f"{len(report.corrupt)} files cannot be read; training skips up to 1 % of them and refuses more. Repair or remove them.")
    if report.duplicates:
        extra = sum(len(names) - 1 for names in report.duplicates)
        lines.append(f"{extra} files are copies of others: they count twice in training and hide memorisation. Remove them.")
    if report.near_duplicates:
        lines.append(f"{len(report.near_duplicates)} pairs look alike; keep them out of different parts (train and test).")
    if report.labels and max(report.labels.values()) > 10 * min(report.labels.values()):
        most, least = max(report.labels, key=report.labels.__getitem__), min(report.labels, key=report.labels.__getitem__)
        lines.append(f"Classes are out of balance: {most} has {report.labels[most]}, {least} {report.labels[least]}.")
    small = sum(min(look.width, look.height) < report.resolution for look in looks.values())
    smaller = f" ({small} smaller ones are enlarged)" if small else ""
    lines.append(f"Up to --resolution {report.resolution} nineteen of twenty images are not enlarged{smaller}.")
    return lines


def lines_of(report: Report | RecordsReport) -> list[str]:
    """The report for people."""
    if isinstance(report, RecordsReport):
        return lines_of_records(report)

    def some(items: Sequence[str]) -> str:
        return ", ".join(itertools.islice(items, LISTED)) + (f", and {len(items) - LISTED} more" if len(items) > LISTED else "")

    counts = [("sizes", report.sizes), ("modes", report.modes), ("what is done", report.treatment), ("labels", report.labels)]
    lines = [f"{report.path}: {report.readable} of {report.files} image files can be read"]
    lines += [f"{name}: {some([f'{what} ({count})' for what, count in found.items()])}" for name, found in counts if found]
    lines += [f"attributes: {some(report.attributes)}"] if report.attributes else []
    lines += [f"captions: {report.captions}"] if report.captions else []
    lines += [f"cannot be read: {some([f'{name} ({why})' for name, why in report.corrupt.items()])}"] if report.corrupt else []
    lines += [f"copies: {some([' = '.join(names) for names in report.duplicates])}"] if report.duplicates else []
    lines += [f"look alike: {some([' ~ '.join(pair) for pair in report.near_duplicates])}"] if report.near_duplicates else []
    return lines + report.advice
