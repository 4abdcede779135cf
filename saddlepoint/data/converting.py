"""Data sets out of the data room: packed, as StyleGAN's zip, or as a folder of images.

Axes: n records, c channels, h w image.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.packed import PIECE, Show, write_packed
from saddlepoint.errors import DataError, StorageError, UsageError

FORMS = ("packed", "zip", "folder")


def form_of(out: Path, form: str | None) -> str:
    """The form asked for; None: by the ending, .zip or a packed folder."""
    chosen = form or ("zip" if out.suffix == ".zip" else "packed")
    if chosen not in FORMS:
        raise UsageError(f"Data are written as {', '.join(FORMS)}; {chosen!r} came.")
    return chosen


def convert(data: ArrayDataset, out: Path, *, source: str, form: str | None = None, show: Show | None = None) -> Path:
    """Write a data set; the same call twice changes nothing.

    Args:
        data: any for "packed", images for the other forms.
        out: what to make.
        source: where the data came from.
        form: one of ``FORMS``; None: by the ending of ``out``.
        show: called with (records done, all).
    Raises:
        UsageError: if ``out`` holds something else.
        DataError: for a form that these data do not have.
        StorageError: if the disk refuses.
    """
    chosen = form_of(out, form)
    if chosen == "packed":
        return write_packed(data, out, source, show)
    if data.spec.kind != "image" or data.spec.shape[0] not in (1, 3):
        raise DataError(f"{source} is written as {chosen} only where it holds grey or RGB images. Write it packed.")
    try:
        return _zip(data, out, show) if chosen == "zip" else _folder(data, out, show)
    except OSError as error:
        raise StorageError(f"Cannot write {out}: {error.strerror or error}. Make room, or choose another place.") from error


def _zip(data: ArrayDataset, out: Path, show: Show | None) -> Path:
    """StyleGAN's: PNG files stored as they are, and dataset.json with labels or null."""
    stamp = f"saddlepoint {data.spec.content_hash}"
    if out.exists():
        if zipfile.is_zipfile(out):
            with zipfile.ZipFile(out) as archive:
                if archive.comment.decode("utf-8", "replace") == stamp:
                    return out
        raise UsageError(f"{out} exists and holds something else. Choose another name, or remove it.")
    aside = out.with_name(f"{out.name}.part")
    out.parent.mkdir(parents=True, exist_ok=True)
    labels = data.column("label").tolist() if "label" in data.spec.fields else None
    names = [f"{i // 1000:05d}/img{i:08d}.png" for i in range(len(data))]
    with zipfile.ZipFile(aside, "w", zipfile.ZIP_STORED) as archive:
        archive.comment = stamp.encode()
        for i, image in _images(data):
            archive.writestr(zipfile.ZipInfo(names[i]), _png(image))
            _tell(show, i + 1, len(data))
        table = {"labels": None if labels is None else [[name, label] for name, label in zip(names, labels, strict=True)]}
        archive.writestr(zipfile.ZipInfo("dataset.json"), json.dumps(table))
    with aside.open("rb") as file:
        os.fsync(file.fileno())
    aside.rename(out)
    return out


def _folder(data: ArrayDataset, out: Path, show: Show | None) -> Path:
    """One PNG file a record, classes as folders; files that are there already are left."""
    labels = data.column("label").tolist() if data.spec.class_names and "label" in data.spec.fields else None
    out.mkdir(parents=True, exist_ok=True)
    if any(out.iterdir()) and not (out / ".saddlepoint").exists():
        raise UsageError(f"{out} exists and holds something else. Choose another name, or remove it.")
    mark = out / ".saddlepoint"
    if mark.exists() and mark.read_text(encoding="utf-8") != data.spec.content_hash:
        raise UsageError(f"{out} holds other data. Choose another name, or remove it.")
    mark.write_text(data.spec.content_hash, encoding="utf-8")
    for i, image in _images(data):
        place = out if labels is None else out / data.spec.class_names[labels[i]].replace("/", "-")
        place.mkdir(exist_ok=True)
        path = place / f"{i:08d}.png"
        if not path.exists():
            aside = path.with_suffix(".part")
            aside.write_bytes(_png(image))
            aside.rename(path)
        _tell(show, i + 1, len(data))
    return out


def _images(data: ArrayDataset) -> Iterator[tuple[int, Tensor]]:
    """Number and pixels of every image, read in pieces."""
    for rows in torch.split(torch.arange(len(data)), PIECE):
        images = data.records(rows)["image"]
        if images.dtype != torch.uint8:
            raise DataError("Images of 16 bits or floats lose their depth in PNG files. Write them packed.")
        yield from zip(rows.tolist(), images, strict=True)


def _png(image: Tensor) -> bytes:
    buffer = io.BytesIO()
    pixels = image.numpy()
    Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)).save(buffer, "png")
    return buffer.getvalue()


def _tell(show: Show | None, done: int, total: int) -> None:
    if show is not None and (done % PIECE == 0 or done == total):
        show(done, total)
