"""A data set as one folder that moves between machines: a file a field, mapped into memory, with an index, a hash and its provenance.

    OUT/data.json       format, specification, names, captions, provenance
    OUT/FIELD.bin       the field of every record, one after the other, little-endian

It is written aside and renamed, so it is whole or not there; interrupted, the next call goes on after the last piece that was written.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import torch

from saddlepoint import __version__
from saddlepoint.config import to_json
from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.mapping import mapped
from saddlepoint.data.records import DataSpec
from saddlepoint.errors import DataError, StorageError, UsageError

FORMAT = "saddlepoint data 1"
INDEX = "data.json"
PIECE = 256  # records written at once
DTYPES = {"uint8": torch.uint8, "int64": torch.int64, "float32": torch.float32}

Show = Callable[[int, int], None]


def is_packed(path: Path) -> bool:
    """Whether a folder is one that :func:`write_packed` left."""
    return (path / INDEX).is_file() and FORMAT in (path / INDEX).read_text(encoding="utf-8", errors="replace")[:200]


def open_packed(path: Path, name: str) -> ArrayDataset:
    """The data set of a packed folder; nothing is read but the index.

    Raises:
        DataError: if a file is missing, of another size, or the index is damaged.
    """
    try:
        index = json.loads((path / INDEX).read_text(encoding="utf-8"))
        stored, fields = index["spec"], {}
        spec = DataSpec(
            **{key: stored[key] for key in ("kind", "num_records", "num_classes", "content_hash")},
            name=name,
            shape=tuple(stored["shape"]),
            class_names=tuple(stored["class_names"]),
            fields=tuple(stored["fields"]),
            shapes={key: tuple(shape) for key, shape in stored["shapes"].items()},
            vocabulary=tuple(stored["vocabulary"]),
        )
        for field, about in index["fields"].items():
            dtype, shape, file = DTYPES[about["dtype"]], torch.Size(about["shape"]), path / f"{field}.bin"
            if not file.is_file() or file.stat().st_size != shape.numel() * dtype.itemsize:
                raise DataError(f"{file} is missing or of another size than {INDEX} says. Copy the folder again.")
            fields[field] = mapped(file, dtype, shape)
        return ArrayDataset(
            fields,
            spec,
            names=index["names"],
            keywords=[tuple(words) for words in index["keywords"]],
            captions=index["captions"],
            attribute_names=index["attribute_names"],
            notes=index["notes"],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path / INDEX} is damaged ({error!r}). Convert the data again.") from None


def write_packed(data: ArrayDataset, out: Path, source: str, show: Show | None = None, about: Mapping[str, Any] | None = None) -> Path:
    """Write a data set as a packed folder.

    Args:
        data: any.
        out: folder to make; one that holds the same data already is left as it is.
        source: where the data came from, for the index.
        show: called with (records done, all).
        about: what else the index says of where they came from, plain JSON.
    Raises:
        UsageError: if the folder holds something else.
        StorageError: if the disk refuses; what was written is kept for the next call.
    """
    if out.exists():
        if is_packed(out) and open_packed(out, source).spec.content_hash == data.spec.content_hash:
            return out
        raise UsageError(f"{out} exists and holds something else. Choose another name, or remove it.")
    aside = out.with_name(f"{out.name}.part")
    try:
        done = _begin(aside, data)
        samples = data.records(torch.zeros(1, dtype=torch.int64))
        files = {name: (aside / f"{name}.bin").open("r+b" if done else "wb") for name in data.spec.fields}
        try:
            _fill(data, aside, files, {name: values[0] for name, values in samples.items()}, done, show)
        finally:
            for file in files.values():
                file.close()
        write_json(aside / INDEX, _index(data, source, samples) | ({"provenance": dict(about)} if about else {}))
        (aside / "progress.json").unlink()
        aside.rename(out)
    except OSError as error:
        raise StorageError(f"Cannot write {aside}: {error.strerror or error}. Make room; the same command goes on where it stopped.") from error
    return out


def _begin(aside: Path, data: ArrayDataset) -> int:
    """Records that an interrupted call left written; a folder of other data is begun anew."""
    try:
        progress = json.loads((aside / "progress.json").read_text(encoding="utf-8"))
        if progress["content_hash"] == data.spec.content_hash and progress["done"]:
            return int(progress["done"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    return 0


def _fill(data: ArrayDataset, aside: Path, files: Mapping[str, IO[bytes]], one: dict[str, torch.Tensor], done: int, show: Show | None) -> None:
    for name, file in files.items():
        file.seek(done * one[name].numel() * one[name].element_size())
        file.truncate()
    while done < len(data):
        rows = torch.arange(done, min(done + PIECE, len(data)))
        for name, values in data.records(rows).items():
            files[name].write(values.contiguous().numpy().tobytes())
        done += len(rows)
        if done % (16 * PIECE) == 0 or done == len(data):
            for file in files.values():
                file.flush()
                os.fsync(file.fileno())
            write_json(aside / "progress.json", {"content_hash": data.spec.content_hash, "done": done})
        if show is not None:
            show(done, len(data))


def _index(data: ArrayDataset, source: str, samples: dict[str, torch.Tensor]) -> dict[str, Any]:
    fields = {name: {"dtype": str(values.dtype).removeprefix("torch."), "shape": [len(data), *values.shape[1:]]} for name, values in samples.items()}
    return {
        "format": FORMAT,
        "source": source,
        "version": __version__,
        "spec": to_json(dataclasses.replace(data.spec, name="")),
        "fields": fields,
        "names": data.names,
        "captions": data.captions,
        "keywords": data.keywords,
        "attribute_names": data.attribute_names,
        "notes": data.notes,
    }


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a file aside and give it its name, so that it is whole or as it was."""
    aside = path.with_suffix(".tmp")
    with aside.open("w", encoding="utf-8") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
