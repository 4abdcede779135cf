"""Images in archives, read where they lie: zip files (StyleGAN's with its dataset.json among them), and WebDataset's tar shards.

A tar shard groups files by their name up to the first dot: 000017.png, 000017.cls (a class), 000017.json (a row: label, caption, numbers), 000017.txt
(a caption). Several shards are one data set: a folder of .tar files, or one of them.
"""

from __future__ import annotations

import io
import json
import logging
import tarfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any

from saddlepoint.data.folder import IMAGE_SUFFIXES, NAMED, Found, classes_of
from saddlepoint.data.metadata import STYLEGAN, TABLES, Metadata, Row, read_metadata
from saddlepoint.errors import DataError

log = logging.getLogger("saddlepoint")


@dataclass
class ZipFound(Found):
    """Image files inside a zip file."""

    archive: zipfile.ZipFile | None = None

    def open(self, path: str) -> IO[bytes]:
        """The bytes of one image."""
        assert self.archive is not None
        return io.BytesIO(self.archive.read(path))

    def state(self, path: str) -> str:
        """Size and checksum as the archive says."""
        assert self.archive is not None
        info = self.archive.getinfo(path)
        return f"{info.file_size} {info.CRC:08x}"


def find_in_zip(path: Path) -> tuple[Found, Metadata | None]:
    """The images of a zip file, and the table inside; folders directly inside it are classes where no table says otherwise.

    Raises:
        DataError: if it cannot be read, or holds no images.
    """
    try:
        archive = zipfile.ZipFile(path)
        names = [info.filename for info in archive.infolist() if not info.is_dir()]
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} cannot be read as a zip file: {error}.") from None
    _refuse_outside(str(path), names)
    paths = sorted(name for name in names if _is_image(name))
    if not paths:
        raise DataError(f"{path} holds no images: expected .png, .jpg, .webp or other image files; it has {len(names)} other files.")
    present = set(names)
    metadata = read_metadata(str(path), paths, lambda name: archive.read(name) if name in present else None)
    tabled = bool(present & {*TABLES, STYLEGAN})
    labels, classes = (None, ()) if tabled else classes_of(str(path), paths)
    return ZipFound(path, paths, labels, classes, archive=archive), metadata


def _refuse_outside(archive: str, names: Sequence[str]) -> None:
    outside = [name for name in names if name.startswith(("/", "\\")) or ".." in PurePosixPath(name).parts]
    if outside:
        raise DataError(
            f"{archive} names files outside of itself, such as {outside[0]}. It was not made by a tool that can be trusted; nothing was read."
        )


def _is_image(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix.lower() in IMAGE_SUFFIXES and not any(part.startswith((".", "__MACOSX")) for part in path.parts)


@dataclass
class TarFound(Found):
    """Image files inside tar shards, by shard, place and size."""

    places: dict[str, tuple[Path, int, int]] = field(default_factory=dict)

    def open(self, path: str) -> IO[bytes]:
        """The bytes of one image."""
        shard, start, size = self.places[path]
        with shard.open("rb") as file:
            file.seek(start)
            return io.BytesIO(file.read(size))

    def state(self, path: str) -> str:
        """Shard, its time of change, place and size."""
        shard, start, size = self.places[path]
        return f"{shard.name} {shard.stat().st_mtime_ns} {start} {size}"


def shards_of(path: Path) -> list[Path]:
    """The tar shards that a path means: itself, or those of a folder that holds nothing but them and tables; empty where it is none."""
    if path.is_file():
        return [path] if path.suffix == ".tar" else []
    shards = sorted(path.glob("*.tar"))
    others = any(_is_image(file.name) or file.is_dir() for file in path.iterdir() if file.suffix != ".tar") if shards else True
    return [] if others else shards


def find_in_shards(root: Path, shards: list[Path]) -> tuple[Found, Metadata | None]:
    """The images of tar shards and what stands beside each.

    Raises:
        DataError: if a shard cannot be read, or holds no images.
    """
    found = TarFound(root, [], None, ())
    rows: dict[str, Row] = {}
    for shard in shards:
        with shard.open("rb") as file:
            for member in members_of(file, str(shard), shard.stem):
                found.paths.append(member.path)
                found.places[member.path] = (shard, member.start, member.size)
                rows[member.path] = member.row
    if not found.paths:
        raise DataError(
            f"{root} holds no images: its {len(shards)} tar file(s) have none. Expected KEY.png or KEY.jpg, with KEY.cls, KEY.json or KEY.txt."
        )
    return found, metadata_of_members(str(root), rows)


@dataclass(frozen=True)
class Member:
    """One image of a tar shard.

    Attributes:
        path: SHARD/KEY.png.
        start, size: of its bytes in the shard.
        row: what stands beside it: "label", "caption", and "numbers" by name.
    """

    path: str
    start: int
    size: int
    row: Row


def members_of(file: IO[bytes], shard: str, stem: str) -> list[Member]:
    """The images of one shard; links and what is no file are left out.

    Args:
        file: the shard, open.
        shard: its name, for messages.
        stem: what its images' paths begin with.
    Raises:
        DataError: if it cannot be read.
    """
    try:
        with tarfile.open(fileobj=file, mode="r:") as archive:
            groups: dict[str, dict[str, tarfile.TarInfo]] = {}
            members = archive.getmembers()
            _refuse_outside(shard, [member.name for member in members])
            links = [member.name for member in members if member.issym() or member.islnk()]
            if links:
                log.warning("%d links in %s were left out: %s.", len(links), shard, ", ".join(links[:NAMED]))
            for member in members:
                if member.isfile():
                    name, _, ending = member.name.rpartition("/")[2].partition(".")
                    groups.setdefault(f"{member.name.rpartition('/')[0]}/{name}".lstrip("/"), {})[ending.lower()] = member
            found = (_member(shard, stem, archive, key, files) for key, files in groups.items())
            return [member for member in found if member is not None]
    except (OSError, tarfile.TarError) as error:
        raise DataError(f"{shard} cannot be read as an uncompressed tar file: {error}.") from None


def metadata_of_members(root: str, rows: dict[str, Row]) -> Metadata | None:
    """What stands beside the images of shards, by path; None where nothing does.

    Raises:
        DataError: if images have different things beside them.
    """
    if not any(rows.values()):
        return None
    numbers = tuple(sorted({name for row in rows.values() for name in row.get("numbers", {})}))
    tidy = {path: _row(row, numbers) for path, row in rows.items()}
    bare = [path for path, row in tidy.items() if row.keys() != next(iter(tidy.values())).keys()]
    if bare:
        raise DataError(f"{len(bare)} of {len(tidy)} images in {root} have other things beside them than the first: {bare[0]}. Give all the same.")
    return Metadata(root, tidy, numbers)


def _member(shard: str, stem: str, archive: tarfile.TarFile, key: str, files: dict[str, tarfile.TarInfo]) -> Member | None:
    """One group of a shard: its image's place, and what stands beside it."""
    ending = next((ending for ending in files if f".{ending}" in IMAGE_SUFFIXES), None)
    if ending is None:
        return None
    row: Row = {}
    beside: dict[str, str] = {}
    for other in ("cls", "txt", "json"):
        file = archive.extractfile(files[other]) if other in files else None
        if file is not None:
            beside[other] = file.read().decode("utf-8", "replace").strip()
    if "json" in beside:
        try:
            values: dict[str, Any] = json.loads(beside["json"])
        except ValueError:
            raise DataError(f"{key}.json in {shard} is not JSON. Repair it, or leave it out.") from None
        row |= {name: values[name] for name in ("label", "caption") if name in values}
        row["numbers"] = {name: float(value) for name, value in values.items() if name not in row and isinstance(value, int | float)}
    row |= ({"label": beside["cls"]} if "cls" in beside and "label" not in row else {}) | ({"caption": beside["txt"]} if "txt" in beside else {})
    return Member(f"{stem}/{key}.{ending}", files[ending].offset_data, files[ending].size, row)


def _row(row: Row, numbers: tuple[str, ...]) -> Row:
    given = row.pop("numbers", {})
    if numbers and given.keys() == set(numbers):
        row["attributes"] = [given[name] for name in numbers]
    return row
