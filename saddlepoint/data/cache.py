"""Decoded images kept on disk as one file of bytes, mapped into memory: the second start of a run is instant.

A pack is a folder ``$SADDLEPOINT_CACHE/images/KEY`` with ``images.bin`` (uint8, n c h w) and ``pack.json``. It is written aside and renamed, so it is
whole or not there; it may be deleted at any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor

from saddlepoint.data.images import Pixels
from saddlepoint.data.mapping import mapped
from saddlepoint.errors import StorageError

FORMAT = 2


@dataclass
class Packed:
    """A pack in use.

    Attributes:
        images: uint8 [n, c, h, w], mapped from the file; never written to.
        names: n paths relative to the folder.
        labels: n classes, or empty.
        notes: what the user is told each time the data is opened.
        content_hash: of images and labels.
        sizes: how many images were stored at which width and height, before they were brought to one; empty where they are of no files.
    """

    images: Tensor
    names: list[str]
    labels: list[int]
    notes: list[str]
    content_hash: str
    sizes: dict[tuple[int, int], int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Index:
    format: int
    shape: list[int]
    names: list[str]
    labels: list[int]
    notes: list[str]
    content_hash: str
    sizes: list[list[int]]


def cache_root() -> Path:
    """``$SADDLEPOINT_CACHE``, or ``~/.cache/saddlepoint``."""
    return Path(os.environ.get("SADDLEPOINT_CACHE") or "~/.cache/saddlepoint").expanduser()


def pack_key(root: Path, files: Sequence[tuple[str, str]], request: dict[str, Any]) -> str:
    """Name of the pack: a hash of the folder, of the path and state (size, time of change) of each file, and of what was asked of them."""
    digest = hashlib.sha256(json.dumps([FORMAT, str(root.resolve()), request], sort_keys=True).encode())
    for path, state in files:
        digest.update(f"\n{path}\0{state}".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:32]


def read_pack(key: str) -> Packed | None:
    """The pack of that key; None if there is none, or if it is not what was written (it is made again then)."""
    folder = _packs() / key
    try:
        index = _Index(**json.loads((folder / "pack.json").read_text("utf-8")))
        size = (folder / "images.bin").stat().st_size
    except (OSError, ValueError, TypeError):
        return None
    count = torch.Size(index.shape).numel()
    if size != count or index.format != FORMAT:
        return None
    images = mapped(folder / "images.bin", torch.uint8, index.shape)
    sizes = {(width, height): count for width, height, count in index.sizes}
    return Packed(images=images, names=index.names, labels=index.labels, notes=index.notes, content_hash=index.content_hash, sizes=sizes)


class PackWriter:
    """Writes a pack image by image into a folder of its own, which takes its name when it is finished and goes when it is not.

    Args:
        key: from :func:`pack_key`.
    """

    def __init__(self, key: str) -> None:
        self.key = key
        self.shape: tuple[int, ...] | None = None
        self._count = 0
        self._digest = hashlib.sha256()

    def __enter__(self) -> Self:
        """Make the folder aside."""
        with storing():
            _packs().mkdir(parents=True, exist_ok=True)
            self._aside = Path(tempfile.mkdtemp(prefix=f"{self.key}.", suffix=".tmp", dir=_packs()))
            self._file = (self._aside / "images.bin").open("wb")
        return self

    def append(self, pixels: Pixels) -> None:
        """Add one image, uint8 [c, h, w], of the shape of the first."""
        self.shape = self.shape or pixels.shape
        data = pixels.tobytes()
        self._digest.update(data)
        self._count += 1
        with storing():
            self._file.write(data)

    def finish(self, *, names: list[str], labels: list[int], notes: list[str], sizes: Mapping[tuple[int, int], int] | None = None) -> Packed:
        """Close the pack, put it in its place and open it."""
        assert self.shape is not None and self._count == len(names)
        self._digest.update(json.dumps([self._count, *self.shape, labels]).encode())
        stored = [[*size, count] for size, count in (sizes or {}).items()]
        index = _Index(FORMAT, [self._count, *self.shape], names, labels, notes, self._digest.hexdigest()[:16], stored)
        with storing():
            self._sync()
            with (self._aside / "pack.json").open("w", encoding="utf-8") as file:
                json.dump(asdict(index), file)
                file.flush()
                os.fsync(file.fileno())
            self._take_place()
        packed = read_pack(self.key)
        assert packed is not None
        return packed

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Remove what was not finished."""
        self._file.close()
        shutil.rmtree(self._aside, ignore_errors=True)

    def _sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def _take_place(self) -> None:
        place = _packs() / self.key
        if place.exists() and read_pack(self.key) is None:
            shutil.rmtree(place)  # damaged: this is why it was made again
        try:
            self._aside.rename(place)
        except OSError:
            if read_pack(self.key) is None:  # otherwise another process finished the same pack first
                raise


def _packs() -> Path:
    return cache_root() / "images"


@contextlib.contextmanager
def storing(place: Path | None = None, what: str = "the decoded images") -> Iterator[None]:
    """Turn what the disk refuses into one line.

    Args:
        place: what is written to; None: the folder of the packs.
        what: is written.
    Raises:
        StorageError: instead of an OSError.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise StorageError(
            f"Cannot write {what} to {place or _packs()}: {reason}. Make room there, or set SADDLEPOINT_CACHE to a folder that can be written."
        ) from error
