"""Data sets out of the data room: packed, as StyleGAN's zip, as WebDataset's tar shards, or as a folder of images.

All of them may be interrupted: the same call goes on where the last one stopped. Images become PNG files on all cores. What was done to the data
before, such as leaving near duplicates out, stands in the packed index, or in ``provenance.json`` inside.

Axes: n records, c channels, h w image.
"""

from __future__ import annotations

import io
import json
import os
import struct
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import torch
from PIL import Image
from torch import Tensor

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.images import in_order
from saddlepoint.data.packed import INDEX, PIECE, Show, write_json, write_packed
from saddlepoint.draws import derive_seed
from saddlepoint.errors import DataError, StorageError, UsageError

FORMS = ("packed", "zip", "shards", "folder")
SHARD = 1000  # images in a tar shard
SAFE = 4096  # images in a zip file between two points that it can be continued from
MARK, PROVENANCE = ".saddlepoint", "provenance.json"
LOCAL = struct.Struct("<4s5H3I2H")  # a zip file's local header: signature, ..., checksum, packed size, size, lengths of name and extra field


def form_of(out: Path, form: str | None) -> str:
    """The form asked for; None: by the ending, .zip or a packed folder."""
    chosen = form or ("zip" if out.suffix == ".zip" else "packed")
    if chosen not in FORMS:
        raise UsageError(f"Data are written as {', '.join(FORMS)}; {chosen!r} came.")
    return chosen


def convert(
    data: ArrayDataset, out: Path, *, source: str, form: str | None = None, show: Show | None = None, about: Mapping[str, Any] | None = None
) -> Path:
    """Write a data set; the same call twice changes nothing, and after an interruption it goes on.

    Args:
        data: any for "packed", images for the other forms.
        out: what to make.
        source: where the data came from.
        form: one of ``FORMS``; None: by the ending of ``out``.
        show: called with (records done, all).
        about: what was done to the data before, plain JSON; None: nothing is written of it.
    Raises:
        UsageError: if ``out`` holds something else.
        DataError: for a form that these data do not have.
        StorageError: if the disk refuses.
    """
    chosen = form_of(out, form)
    if chosen == "packed":
        return write_packed(data, out, source, show, about)
    if data.spec.kind != "image" or data.spec.shape[0] not in (1, 3):
        raise DataError(f"{source} is written as {chosen} only where it holds grey or RGB images. Write it packed.")
    write = {"zip": _zip, "shards": _shards, "folder": _folder}[chosen]
    try:
        return write(data, out, show, {"source": source} | dict(about) if about else None)
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise StorageError(f"Cannot write {out}: {error.strerror or error}. Make room; the same command goes on where it stopped.") from error


def provenance_of(out: Path) -> dict[str, Any]:
    """What :func:`convert` was told of data that it wrote; empty where it was told nothing."""
    if out.is_dir():
        index, beside = out / INDEX, out / PROVENANCE
        content = index.read_text("utf-8") if index.exists() else beside.read_text("utf-8") if beside.exists() else "{}"
        found: dict[str, Any] = json.loads(content)
        return found.get("provenance", {}) if index.exists() else found
    with zipfile.ZipFile(out) as archive:
        return json.loads(archive.read(PROVENANCE)) if PROVENANCE in archive.namelist() else {}


# -- StyleGAN's zip ----------------------------------------------------------------------------------------------------------------------


def _zip(data: ArrayDataset, out: Path, show: Show | None, about: dict[str, Any] | None) -> Path:
    """PNG files stored as they are, and dataset.json with labels or null."""
    stamp = f"saddlepoint {data.spec.content_hash}"
    if out.exists():
        if zipfile.is_zipfile(out):
            with zipfile.ZipFile(out) as archive:
                if archive.comment.decode("utf-8", "replace") == stamp:
                    return out
        raise UsageError(f"{out} exists and holds something else. Choose another name, or remove it.")
    out.parent.mkdir(parents=True, exist_ok=True)
    aside, progress = out.with_name(f"{out.name}.part"), out.with_name(f"{out.name}.part.json")
    labels = data.column("label").tolist() if "label" in data.spec.fields else None
    done, end = _progress(progress, stamp) if aside.exists() else (0, 0)
    with aside.open("r+b" if done else "wb") as file:
        with _continued(file, end) as archive:
            archive.comment = stamp.encode()
            for i, content in _pictures(data, torch.arange(done, len(data))):
                archive.writestr(zipfile.ZipInfo(_member(i)), content)
                if (i + 1) % SAFE == 0:
                    _sync(file)
                    write_json(progress, {"stamp": stamp, "done": i + 1, "end": archive.start_dir})
                _tell(show, i + 1, len(data))
            table = {"labels": None if labels is None else [[_member(i), label] for i, label in enumerate(labels)]}
            archive.writestr(zipfile.ZipInfo("dataset.json"), json.dumps(table))
            if about:
                archive.writestr(zipfile.ZipInfo(PROVENANCE), json.dumps(about))
        _sync(file)
    aside.rename(out)
    progress.unlink(missing_ok=True)
    return out


def _member(i: int) -> str:
    return f"{i // 1000:05d}/img{i:08d}.png"


def _progress(path: Path, stamp: str) -> tuple[int, int]:
    """Images that an interrupted call left written, and where they end in the file."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return (int(found["done"]), int(found["end"])) if found["stamp"] == stamp else (0, 0)
    except (OSError, ValueError, KeyError, TypeError):
        return 0, 0


def _continued(file: IO[bytes], end: int) -> zipfile.ZipFile:
    """A zip file to write behind its first ``end`` bytes, which are whole members; its directory is made of their headers."""
    file.truncate(end)
    archive = zipfile.ZipFile(file, "w", zipfile.ZIP_STORED)
    place = 0
    while place < end:
        file.seek(place)
        *_, checksum, packed, size, name_length, extra = LOCAL.unpack(file.read(LOCAL.size))
        info = zipfile.ZipInfo(file.read(name_length).decode())
        info.header_offset, info.CRC, info.compress_size, info.file_size = place, checksum, packed, size
        info.external_attr = 0o600 << 16  # as zipfile sets it
        archive.filelist.append(info)
        archive.NameToInfo[info.filename] = info
        place += LOCAL.size + name_length + extra + packed
    archive.start_dir = end
    return archive


# -- WebDataset's shards -----------------------------------------------------------------------------------------------------------------


def _shards(data: ArrayDataset, out: Path, show: Show | None, about: dict[str, Any] | None) -> Path:
    """Tar files of ``SHARD`` images: KEY.png, KEY.cls, and KEY.json with the label's name, the caption and the attributes; whole ones are left.

    KEY is the image's number. They are shuffled, always in the same way: whoever reads the shards one after the other meets all kinds.
    """
    _begin_folder(data, out, about)
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(derive_seed("shards")))
    for number, rows in enumerate(torch.split(order, SHARD)):
        path, done = out / f"{number:06d}.tar", number * SHARD
        if not path.exists():
            aside = path.with_suffix(".part")
            with aside.open("wb") as file, tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as archive:
                for k, ((i, content), beside) in enumerate(zip(_pictures(data, rows), _beside(data, rows), strict=True), 1):
                    for ending, each in {"png": content, **beside}.items():
                        info = tarfile.TarInfo(f"{i:08d}.{ending}")
                        info.size = len(each)
                        archive.addfile(info, io.BytesIO(each))
                    _tell(show, done + k, len(data))
                archive.close()
                _sync(file)
            aside.rename(path)
        _tell(show, done + len(rows), len(data), always=True)
    return out


def _beside(data: ArrayDataset, rows: Tensor) -> list[dict[str, bytes]]:
    """What stands beside each image, by ending."""
    labels = data.column("label")[rows].tolist() if "label" in data.spec.fields else None
    attributes = data.column("attributes")[rows].tolist() if "attributes" in data.spec.fields else None
    found = []
    for k, row in enumerate(rows.tolist()):
        about = {"label": data.spec.class_names[labels[k]]} if labels and data.spec.class_names else {}
        about |= {"caption": data.captions[row]} if data.captions else {}
        about |= dict(zip(data.attribute_names, attributes[k], strict=True)) if attributes and data.attribute_names else {}
        files = {"cls": str(labels[k]).encode()} if labels else {}
        found.append(files | ({"json": json.dumps(about).encode()} if about else {}))
    return found


# -- a folder of images ------------------------------------------------------------------------------------------------------------------


def _folder(data: ArrayDataset, out: Path, show: Show | None, about: dict[str, Any] | None) -> Path:
    """One PNG file a record, classes as folders; files that are there already are left."""
    labels = data.column("label").tolist() if data.spec.class_names and "label" in data.spec.fields else None
    _begin_folder(data, out, about)
    places = [out if labels is None else out / name.replace("/", "-") for name in data.spec.class_names or ("",)]
    for place in places:
        place.mkdir(exist_ok=True)

    def path_of(i: int) -> Path:
        return places[labels[i] if labels else 0] / f"{i:08d}.png"

    first = next((i for i in range(len(data)) if not path_of(i).exists()), len(data))  # they are written in order
    for i, content in _pictures(data, torch.arange(first, len(data))):
        aside = path_of(i).with_suffix(".part")
        aside.write_bytes(content)
        aside.rename(path_of(i))
        _tell(show, i + 1, len(data))
    return out


def _begin_folder(data: ArrayDataset, out: Path, about: dict[str, Any] | None) -> None:
    """A new folder, or one that an earlier call for the same data began."""
    out.mkdir(parents=True, exist_ok=True)
    mark = out / MARK
    if not mark.exists() and any(out.iterdir()):
        raise UsageError(f"{out} exists and holds something else. Choose another name, or remove it.")
    if mark.exists() and mark.read_text(encoding="utf-8") != data.spec.content_hash:
        raise UsageError(f"{out} holds other data. Choose another name, or remove it.")
    if not mark.exists():
        mark.write_text(data.spec.content_hash, encoding="utf-8")
    if about and not (out / PROVENANCE).exists():
        write_json(out / PROVENANCE, about)


# -- all -----------------------------------------------------------------------------------------------------------------------------------


def _pictures(data: ArrayDataset, rows: Tensor) -> Iterator[tuple[int, bytes]]:
    """Number and PNG file of the images at ``rows`` (int64 [n]), in that order."""
    return in_order(lambda item: (item[0], _png(item[1])), _images(data, rows))


def _images(data: ArrayDataset, rows: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Number and pixels of images, read in pieces."""
    for part in torch.split(rows, PIECE):
        images = data.records(part)["image"]
        if images.dtype != torch.uint8:
            raise DataError("Images of 16 bits or floats lose their depth in PNG files. Write them packed.")
        yield from zip(part.tolist(), images, strict=True)


def _png(image: Tensor) -> bytes:
    buffer = io.BytesIO()
    pixels = image.numpy()
    Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)).save(buffer, "png")
    return buffer.getvalue()


def _sync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _tell(show: Show | None, done: int, total: int, *, always: bool = False) -> None:
    if show is not None and (always or done % PIECE == 0 or done == total):
        show(done, total)
