"""Files that are longer than a record: found below a folder, read one after the other, kept as one memory-mapped file of equal parts.

What videos and sounds have in common. A file is one recording, and so is a folder of frames; folders directly below the root are classes.
"""

from __future__ import annotations

import hashlib
import itertools
import logging
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.cache import Packed, PackWriter, pack_key, read_pack
from saddlepoint.data.folder import MIN_IMAGES, NAMED, classes_of
from saddlepoint.data.images import Pixels
from saddlepoint.data.records import DataSpec, Kind
from saddlepoint.data.windows import Windows, starts_of
from saddlepoint.errors import DataError, SaddlepointError

log = logging.getLogger("saddlepoint")
Read = Callable[[Path], Iterator[Pixels]]  # a recording -> its parts, all of one shape


@dataclass(frozen=True, kw_only=True)
class Cut:
    """How recordings become records.

    Attributes:
        kind: of a sample.
        noun: what a recording is called in messages.
        num_parts: of a window.
        step: parts from one window to the next.
        fields: parts and int64 [n], where windows begin -> fields of the records, the sample first.
        short: what a recording needs to be long enough, for messages.
        asked: everything that the parts depend on, for the cache.
        vocabulary: of tokens.
    """

    kind: Kind
    noun: str
    num_parts: int
    step: int
    fields: Callable[[Tensor, Tensor], dict[str, Windows]]
    short: str
    asked: Mapping[str, Any]
    vocabulary: tuple[str, ...] = ()


def find_recordings(root: Path, suffixes: Collection[str], frames: Collection[str] = ()) -> list[Path]:
    """Files with one of the suffixes at or below ``root``, and folders that hold frames, in the order of their names; hidden ones left out."""
    if not root.exists():
        raise DataError(f"There is no folder or file {root}. Check the path.")
    if root.is_file():
        return [root]
    found = []
    for place, folders, files in os.walk(root):
        folders[:] = sorted(folder for folder in folders if not folder.startswith("."))
        shown = sorted(file for file in files if not file.startswith("."))
        if frames and sum(Path(file).suffix.lower() in frames for file in shown) > 1:
            found.append(Path(place))
        found.extend(Path(place, file) for file in shown if Path(file).suffix.lower() in suffixes)
    return sorted(found, key=in_order)


def in_order(path: Path) -> list[tuple[int, str]]:
    """Sorting key by which frame 2 comes before frame 10.

    >>> sorted([Path("f10"), Path("f2")], key=in_order)[0].name
    'f2'
    """
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", str(path)) if part]


def open_recordings(name: str, root: Path, paths: list[Path], read: Read, cut: Cut) -> ArrayDataset:
    """Records of all recordings.

    Args:
        name: of the data set.
        root: folder or file that was named.
        paths: of the recordings.
        read: one of them, part by part.
        cut: how they become records.
    Raises:
        DataError: nothing there, more damaged than may be skipped, or all too short.
    """
    if not paths:
        raise DataError(f"{root} holds no {cut.noun}s. Check the path and the kinds of files that docs/data.md names.")
    names = [path.relative_to(root).as_posix() if path != root else path.name for path in paths]
    labels, classes = classes_of(str(root), names) if len(paths) > 1 else (None, ())
    key = pack_key(root, [(each, _state(path)) for each, path in zip(names, paths, strict=True)], {"recordings": dict(cut.asked)})
    packed = read_pack(key) or _pack(key, root, dict(zip(names, paths, strict=True)), labels, read, cut)
    for note in packed.notes:
        log.warning(note)
    starts = starts_of(packed.names, cut.num_parts, cut.step)
    _check_length(root, packed, starts, cut)
    made: dict[str, Any] = {**cut.fields(packed.images, starts)}
    shapes = {field: tuple(values.shape[1:]) for field, values in made.items()}
    shape = shapes.pop(next(iter(made)))
    fields = made | ({"label": torch.tensor(packed.labels)[starts]} if labels is not None else {})
    spec = DataSpec(
        name=name,
        kind=cut.kind,
        shape=shape,
        num_records=len(starts),
        num_classes=len(classes) or None,
        class_names=classes,
        content_hash=hashlib.sha256(f"{packed.content_hash}:{cut.num_parts}:{cut.step}:{shape}".encode()).hexdigest()[:16],
        fields=tuple(fields),
        shapes=shapes,
        vocabulary=cut.vocabulary,
    )
    return ArrayDataset(fields, spec, names=[packed.names[start] for start in starts.tolist()], notes=packed.notes)


def _state(path: Path) -> str:
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return " ".join(f"{file.name} {stat.st_size} {stat.st_mtime_ns}" for file in files for stat in [file.stat()])


def _pack(key: str, root: Path, paths: dict[str, Path], labels: list[int] | None, read: Read, cut: Cut) -> Packed:
    names: list[str] = []
    classes: list[int] = []
    damage: dict[str, str] = {}
    with PackWriter(key) as writer:
        for row, (name, path) in enumerate(paths.items()):
            try:
                for pixels in read(path):
                    if writer.shape not in (None, pixels.shape):
                        raise DataError(f"{path} is of another size than those before it: {_unlike(writer.shape, pixels.shape, cut)}")
                    writer.append(pixels)
                    names.append(name)
                    classes.append(labels[row] if labels is not None else 0)
            except (SaddlepointError, MemoryError):
                raise
            except Exception as error:  # a damaged file may make any decoder raise anything
                damage[name] = str(error).strip().split("\n")[0][:120] or type(error).__name__
            _check_damage(root, damage, len(paths), cut.noun)
        if not names:
            raise DataError(f"{root} gives 0 records of {cut.short}: every {cut.noun} is shorter, or empty. Ask for shorter ones (docs/data.md).")
        lengths = {name: sum(1 for _ in run) for name, run in itertools.groupby(names)}
        short = [name for name in paths if name not in damage and lengths.get(name, 0) < cut.num_parts]
        notes = [f"{'Only the beginning of' if name in lengths else 'Skipped'} {root / name}: {reason}." for name, reason in damage.items()]
        notes += [f"{len(short)} {cut.noun}(s) in {root} are shorter than {cut.short} and give no record, such as {short[0]}."] if short else []
        return writer.finish(names=names, labels=classes if labels is not None else [], notes=notes)


def _unlike(first: tuple[int, ...] | None, other: tuple[int, ...], cut: Cut) -> str:
    advice = "Say to what they are to be brought: --resolution 64." if cut.kind == "image" else "Bring them to one number of channels."
    return f"{other} and {first}. {advice}"


def _check_damage(root: Path, damage: dict[str, str], num: int, noun: str) -> None:
    if len(damage) > max(1, num // 100) or num == len(damage):
        first = "; ".join(f"{name} ({reason})" for name, reason in list(damage.items())[:NAMED])
        raise DataError(f"{len(damage)} of the {num} {noun}s in {root} cannot be read: {first}. Repair or remove them.")


def _check_length(root: Path, packed: Packed, starts: Tensor, cut: Cut) -> None:
    if len(starts) < MIN_IMAGES:
        longest = max((sum(1 for _ in run) for _, run in itertools.groupby(packed.names)), default=0)
        raise DataError(
            f"{root} gives {len(starts)} records of {cut.short}; training needs at least {MIN_IMAGES}, and the longest {cut.noun} has {longest} of "
            f"{cut.num_parts} parts. Ask for shorter or more closely spaced ones (docs/data.md), or add files."
        )
