"""What is where in shards of images: all of them are looked through once, and what was found is kept in the cache."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import json
import os
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from saddlepoint.data.archives import members_of, metadata_of_members
from saddlepoint.data.cache import cache_root, storing
from saddlepoint.data.folder import MIN_IMAGES, Damage, reason_of
from saddlepoint.data.images import Header, pool, read_header
from saddlepoint.data.metadata import Metadata, classes_in, metadata_of
from saddlepoint.data.parquet import Table
from saddlepoint.data.remote import Fetched, Place
from saddlepoint.errors import DataError

FORMAT = 1
HEAD = 1 << 16  # bytes that usually hold an image's header
TABLE_PIECES = 8  # row groups of a table in memory
AT_ONCE = 16  # shards that are held while all are looked through


@dataclass
class Index:
    """Where every record is, and what stands beside it.

    Attributes:
        arrays: shard, start and size (of its bytes; of a table the row, and -1) int64 [n], block (read together) int64 [n], and, where they are
            there, label int64 [n] and attributes float32 [n, a].
        about: sizes [[w, h, count]], grey, class_names, attribute_names, captions and notes.
    """

    arrays: dict[str, Tensor]
    about: dict[str, Any]


@dataclass
class Tar:
    """A tar shard, open; may be read by several threads."""

    file: IO[bytes]

    def content(self, start: int, size: int) -> bytes:
        """Bytes start ... start + size - 1."""
        return os.pread(self.file.fileno(), size, start)


@dataclass
class _Look:
    """One shard, looked through."""

    starts: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    blocks: list[int] = field(default_factory=list)
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    headers: list[Header] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)


def index_of(places: list[Place], name: str) -> Index:
    """The index, from the cache, or by looking through all shards once; of several processes one does.

    Raises:
        DataError: if they hold no images, or too many that cannot be read.
    """
    key = hashlib.sha256(json.dumps([FORMAT, [[place.url, place.state] for place in places]]).encode()).hexdigest()[:32]
    folder = cache_root() / "streams" / key
    with storing(folder.parent, "the index of the shards"):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with (folder.parent / f"{key}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            found = _read_index(folder)
            if found is None:
                found = _look_through(places, name)
                _write_index(folder, found)
    return found


def _read_index(folder: Path) -> Index | None:
    try:
        about = json.loads((folder / "index.json").read_text("utf-8"))
        arrays = {name: torch.from_numpy(np.load(folder / f"{name}.npy", allow_pickle=False)) for name in about.pop("arrays")}
        return Index(arrays, about)
    except (OSError, ValueError, KeyError):
        return None


def _write_index(folder: Path, index: Index) -> None:
    aside = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", suffix=".tmp", dir=folder.parent))
    try:
        for name, values in index.arrays.items():
            np.save(aside / f"{name}.npy", values.numpy(), allow_pickle=False)
        (aside / "index.json").write_text(json.dumps({**index.about, "arrays": [*index.arrays]}), "utf-8")
        shutil.rmtree(folder, ignore_errors=True)  # damaged, if there is one
        aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def opened_shard(place: Place, file: IO[bytes]) -> Tar | Table:
    """A shard by its ending."""
    return Table(Path(place.name), file, held=TABLE_PIECES) if place.name.endswith(".parquet") else Tar(file)


def _look_through(places: list[Place], name: str) -> Index:
    """Every shard once, several at a time."""
    shards: Fetched[Tar | Table] = Fetched(places, AT_ONCE, opened_shard)

    def look(shard: int) -> _Look:
        opened = shards.get(shard)
        found = _look_at_table(opened) if isinstance(opened, Table) else _look_at_tar(opened, places[shard])
        shards.drop(shard)
        return found

    with pool() as workers:
        looks = [*workers.map(look, range(len(places)))]
    damage = Damage(name, sum(len(each.starts) + len(each.reasons) for each in looks))
    for each in looks:
        damage.reasons |= each.reasons
    if damage.num_files == 0:
        raise DataError(
            f"{name} holds no images: its {len(places)} shard(s) have none. Expected KEY.png or KEY.jpg in tar files, or tables of images."
        )
    if damage.num_files < MIN_IMAGES:
        raise DataError(f"{name} holds 1 image; training needs at least {MIN_IMAGES}. Add more shards.")
    damage.check()
    return _joined(looks, damage, name)


def _joined(looks: list[_Look], damage: Damage, name: str) -> Index:
    counts = torch.tensor([len(look.starts) for look in looks])
    firsts = [0, *torch.tensor([max(look.blocks, default=-1) + 1 for look in looks]).cumsum(0).tolist()]
    block = torch.tensor([block + first for look, first in zip(looks, firsts, strict=False) for block in look.blocks], dtype=torch.int64)
    arrays = {
        "shard": torch.repeat_interleave(torch.arange(len(looks)), counts),
        "start": _all(looks, "starts"),
        "size": _all(looks, "sizes"),
        "block": torch.unique_consecutive(block, return_inverse=True)[1],
    }
    headers = [header for look in looks for header in look.headers]
    rows = {f"{shard}/{path}": row for shard, look in enumerate(looks) for path, row in look.rows.items()}
    metadata = _metadata(rows, name)
    classes: tuple[str, ...] = ()
    if metadata and metadata.has("label"):
        arrays["label"], classes = classes_in([row["label"] for row in metadata.rows.values()], name, looks[0].classes)
    if metadata and metadata.has("attributes"):
        arrays["attributes"] = torch.tensor([row["attributes"] for row in metadata.rows.values()], dtype=torch.float32)
    notes = [f"Skipped {path} of {name}: {reason}." for path, reason in damage.reasons.items()]
    clear = sum(header.alpha for header in headers)
    return Index(
        arrays,
        {
            "sizes": [[*size, count] for size, count in Counter((header.width, header.height) for header in headers).most_common()],
            "grey": all(header.grey for header in headers),
            "class_names": classes,
            "attribute_names": metadata.attribute_names if metadata else (),
            "captions": [row["caption"] for row in metadata.rows.values()] if metadata and metadata.has("caption") else [],
            "notes": notes + ([f"{clear} of the {len(headers)} images in {name} are transparent; they were put on white."] if clear else []),
        },
    )


def _all(looks: list[_Look], name: str) -> Tensor:
    return torch.tensor([value for look in looks for value in getattr(look, name)], dtype=torch.int64)


def _metadata(rows: dict[str, dict[str, Any]], name: str) -> Metadata | None:
    if not rows or "numbers" in next(iter(rows.values())) or not any("file_name" in row for row in rows.values()):
        return metadata_of_members(name, rows)
    return metadata_of(name, [row | {"file_name": path} for path, row in rows.items()])


def _look_at_tar(tar: Tar, place: Place) -> _Look:
    look = _Look()
    for member in members_of(tar.file, place.url, place.name.removesuffix(".tar")):
        try:
            look.headers.append(_header(tar, member.start, member.size))
        except Exception as error:  # a damaged file may make any decoder raise anything
            look.reasons[member.path] = reason_of(error)
            continue
        look.starts.append(member.start)
        look.sizes.append(member.size)
        look.blocks.append(0)
        look.rows[member.path] = member.row
    return look


def _header(tar: Tar, start: int, size: int) -> Header:
    if size > HEAD:
        with contextlib.suppress(Exception):  # some say their size late
            return read_header(io.BytesIO(tar.content(start, HEAD)))
    return read_header(io.BytesIO(tar.content(start, size)))


def _look_at_table(table: Table) -> _Look:
    look, beside = _Look(classes=table.classes), table.rows()
    blocks = np.repeat(np.arange(len(table.sizes)), table.sizes).tolist()
    for row, block in enumerate(blocks):
        name = f"{table.path.stem}/{row:08d}"
        try:
            look.headers.append(read_header(io.BytesIO(table.content(row))))
        except Exception as error:  # a damaged file may make any decoder raise anything
            look.reasons[name] = reason_of(error)
            continue
        look.starts.append(row)
        look.sizes.append(-1)
        look.blocks.append(block)
        look.rows[name] = {**beside[row], "file_name": name} if beside else {}
    return look
