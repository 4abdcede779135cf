"""Writing files so that they are whole or not there, and answering a full disk in one line."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from saddlepoint.errors import StorageError, UsageError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_REFUSED = _FULL | {errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}


@contextlib.contextmanager
def refusals(path: Path) -> Iterator[None]:
    """Turn the disk's refusal of a write into a :class:`StorageError` that names the path."""
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        if error.errno in _REFUSED:
            advice = "Free some space" if error.errno in _FULL else "Choose a place that can be written"
            reason = f"The disk refused to write {path}: {error.strerror}."
            raise StorageError(f"{reason} {advice}; everything saved before is intact.") from error
        raise


def make_folder(folder: Path) -> None:
    """Make a folder and those above it.

    Raises:
        UsageError: where something above it is no folder.
        StorageError: if the disk refuses.
    """
    with refusals(folder):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (NotADirectoryError, FileExistsError, FileNotFoundError):
            raise UsageError(f"{folder} cannot be made: one of the folders above it is a file, or makes no folders. Choose another --out.") from None


def write_bytes(path: Path, content: bytes) -> None:
    """Write aside, flush to the disk, rename: the file is the old one or the new one, never half of it."""
    aside = path.with_name(path.name + ".tmp")
    with refusals(path):
        try:
            with open(aside, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(aside, path)
        except OSError:
            with contextlib.suppress(OSError):
                aside.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Write JSON, whole or not at all."""
    write_bytes(path, (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode())


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries, so that a rename survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def append_line(path: Path, record: dict[str, Any]) -> None:
    """Append one JSON object as a line."""
    with refusals(path), open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")


def drop_cut_line(path: Path) -> None:
    """Drop a last line that a crash cut off, so that what is appended begins a new one; a file that is not there is made, empty."""
    with refusals(path), open(path, "ab+") as file:
        file.seek(0)
        whole = file.read().rfind(b"\n") + 1
        if whole < file.tell():
            file.truncate(whole)


def sync_file(path: Path) -> None:
    """Flush a file's content to the disk, if it exists."""
    if path.exists():
        with refusals(path), open(path, "rb") as file:
            os.fsync(file.fileno())


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read the JSON lines of a file; a last line cut off by a crash is left out."""
    if not path.exists():
        return []
    records = []
    for line in path.read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(json.JSONDecodeError):
            records.append(json.loads(line))
    return records


def truncate_lines(path: Path, last_round: int) -> None:
    """Drop the lines of rounds after ``last_round``: a resumed run writes them again."""
    if path.exists():
        kept = [record for record in read_lines(path) if record["round"] <= last_round]
        write_bytes(path, "".join(json.dumps(record) + "\n" for record in kept).encode())
