"""What stands beside a folder's images: labels, attributes and captions in a table, StyleGAN's dataset.json, or a text file beside each image.

metadata.csv, .jsonl, .json or .parquet: a column with the file (file_name, file, filename, path, image or name), and any of
    label or class       whole numbers from 0 on, or words: the class
    caption or text      a sentence
    every other column   of numbers: an attribute
dataset.json             {"labels": [["00000/img00000000.png", 3], ...]}, a number or a list of numbers for each file
NAME.txt beside NAME.png the caption of that image
"""

from __future__ import annotations

import csv
import dataclasses
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import torch

from saddlepoint.data.arrays import ArrayDataset, content_hash
from saddlepoint.errors import DataError, UsageError

TABLES = ("metadata.csv", "metadata.jsonl", "metadata.json", "metadata.parquet")
STYLEGAN = "dataset.json"
FILE_COLUMNS = ("file_name", "file", "filename", "path", "image", "name")
LABEL_COLUMNS = ("label", "class")
CAPTION_COLUMNS = ("caption", "text")
NAMED = 3  # files that a line names

Row = dict[str, Any]
Read = Callable[[str], bytes | None]


@dataclass(frozen=True)
class Metadata:
    """Rows of a table by file.

    Attributes:
        source: name of the file it was read from, for messages.
        rows: path -> column -> value; "label", "caption" and "attributes" (a list of numbers) are what counts.
        attribute_names: one a number of "attributes".
        notes: what the user is told.
        class_names: of labels that are numbers, where the source says them; every label must then be the number of one.
    """

    source: str
    rows: dict[str, Row]
    attribute_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()

    def has(self, column: str) -> bool:
        """Whether any row has it."""
        return any(column in row for row in self.rows.values())


def read_metadata(place: str, paths: Sequence[str], read: Read) -> Metadata | None:
    """The table beside images; None where there is none.

    Args:
        place: the folder or archive, for messages.
        paths: of the images, relative to it.
        read: a file's content by its path relative to it; None where it is not there.
    Raises:
        DataError: for a table that cannot be read, that gives one file two different rows, or that leaves images without a row.
    """
    for name in (*TABLES, STYLEGAN):
        content = read(name)
        if content is not None:
            found = _stylegan(place, content) if name == STYLEGAN else metadata_of(f"{place}/{name}", _records(f"{place}/{name}", name, content))
            return None if found is None else _for_images(found, paths)
    captions = {path: text for path in paths if (text := read(str(PurePosixPath(path).with_suffix(".txt")))) is not None}
    if not captions:
        return None
    rows = {path: {"caption": _decoded(text, f"{place}/{path}").strip()} for path, text in captions.items()}
    return _for_images(Metadata(f"the .txt files in {place}", rows), paths)


def attach(data: ArrayDataset, metadata: Metadata) -> ArrayDataset:
    """The data set with the labels, attributes and captions of its files.

    Raises:
        DataError: for labels that are neither words nor whole numbers from 0 on.
    """
    rows = [metadata.rows[name] for name in data.names]
    fields = {name: data.column(name) for name in data.spec.fields}
    spec, shapes = data.spec, dict(data.spec.shapes)
    if metadata.has("label"):
        fields["label"], classes = classes_in([row["label"] for row in rows], metadata.source, metadata.class_names)
        spec = dataclasses.replace(spec, num_classes=len(classes), class_names=classes)
    if metadata.has("attributes"):
        fields["attributes"] = torch.tensor([row["attributes"] for row in rows], dtype=torch.float32)
        shapes["attributes"] = (fields["attributes"].shape[1],)
    captions = tuple(row["caption"] for row in rows) if metadata.has("caption") else ()
    digest = content_hash({name: values for name, values in fields.items() if name != "image"}) if len(fields) > 1 else ""
    spec = dataclasses.replace(
        spec, fields=tuple(fields), shapes=shapes, content_hash=f"{spec.content_hash[:8]}{digest[:8]}" if digest else spec.content_hash
    )
    return ArrayDataset(
        fields, spec, names=data.names, captions=captions, attribute_names=metadata.attribute_names, notes=(*data.notes, *metadata.notes)
    )


def metadata_of(where: str, records: list[Row]) -> Metadata:
    """A table's rows by file.

    Args:
        where: the table, for messages.
        records: one a file, column -> value.
    Raises:
        DataError: if there are none, none of the columns names the file, or one file has two different rows.
    """
    if not records:
        raise DataError(f"{where} has no rows. Give it a row for each image, or remove it.")
    columns = list(dict.fromkeys(column for record in records for column in record))
    lower = {column.lower().strip(): column for column in columns}
    file = next((lower[column] for column in FILE_COLUMNS if column in lower), None)
    if file is None:
        raise DataError(f"{where} has the columns {', '.join(columns)}; one must name the file: {', '.join(FILE_COLUMNS[:3])}.")
    label, caption = (next((lower[column] for column in known if column in lower), None) for known in (LABEL_COLUMNS, CAPTION_COLUMNS))
    others = [column for column in columns if column not in (file, label, caption)]
    numeric = [column for column in others if all(_number(record.get(column)) is not None for record in records)]
    rows: dict[str, Row] = {}
    for record in records:
        row: Row = {} if label is None else {"label": record.get(label)}
        row |= {} if caption is None else {"caption": str(record.get(caption) or "").strip()}
        row |= {"attributes": [_number(record[column]) for column in numeric]} if numeric else {}
        path = str(PurePosixPath(str(record.get(file)).replace("\\", "/")))
        if rows.setdefault(path, row) != row:
            raise DataError(f"{where} gives {path} two different rows. Keep one.")
    left = [column for column in others if column not in numeric]
    notes = (f"Columns of {where} that are not numbers were left out: {', '.join(left)}.",) if left else ()
    return Metadata(where, rows, tuple(numeric), notes)


def _records(where: str, name: str, content: bytes) -> list[Row]:
    """The rows of a table as they are written."""
    text = "" if name.endswith(".parquet") else _decoded(content, where)
    try:
        if name.endswith(".parquet"):
            from saddlepoint.data.parquet import rows_of

            return rows_of(content)
        if name.endswith(".csv"):
            return [dict(record) for record in csv.DictReader(text.splitlines())]
        found = [json.loads(line) for line in text.splitlines() if line.strip()] if name.endswith(".jsonl") else json.loads(text)
    except (ValueError, csv.Error) as error:
        if isinstance(error, UsageError):
            raise
        raise DataError(f"{where} cannot be read: {error}.") from None
    if isinstance(found, dict):
        found = [{"file": file} | (row if isinstance(row, dict) else {"label": row}) for file, row in found.items()]
    if not isinstance(found, list) or not all(isinstance(record, dict) for record in found):
        raise DataError(f"{where} must be a list of rows, or an object with a row for each file.")
    return found


def _stylegan(place: str, content: bytes) -> Metadata | None:
    """StyleGAN's dataset.json; None where it has no labels."""
    where = f"{place}/{STYLEGAN}"
    try:
        labels = json.loads(content)["labels"]
        pairs = list(labels.items() if isinstance(labels, dict) else labels or ())
        rows = {str(file): {"attributes": [float(v) for v in value]} if isinstance(value, list) else {"label": value} for file, value in pairs}
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f'{where} is not as StyleGAN writes it, {{"labels": [["FILE", 0], ...]}}: {error!r}.') from None
    if not rows:
        return None
    lengths = {len(row.get("attributes", ())) for row in rows.values()}
    if len(lengths) > 1:
        raise DataError(f"{where} has labels of {len(lengths)} different lengths; all must be alike.")
    return Metadata(where, rows, tuple(str(k) for k in range(lengths.pop())))


def _for_images(metadata: Metadata, paths: Sequence[str]) -> Metadata:
    """The rows of the images that are there."""
    there, notes = set(paths), list(metadata.notes)
    gone = [path for path in metadata.rows if path not in there]
    if gone:
        notes.append(f"{metadata.source} names {len(gone)} files that are not there: {_some(gone)}.")
    bare = [path for path in paths if path not in metadata.rows]
    if bare:
        raise DataError(f"{len(bare)} of {len(paths)} images have no row in {metadata.source}: {_some(bare)}. Add them, or remove the images.")
    return dataclasses.replace(metadata, rows={path: metadata.rows[path] for path in paths}, notes=tuple(notes))


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")


def classes_in(labels: list[Any], source: str, names: tuple[str, ...] = ()) -> tuple[torch.Tensor, tuple[str, ...]]:
    """Labels as numbers, and the names of the classes.

    Args:
        labels: n words, or n whole numbers from 0 on.
        source: of them, for messages.
        names: of the classes, where the source says them.
    Returns:
        int64 [n], and one name a class.
    Raises:
        DataError: for labels that are empty, neither, or outside the classes.
    """
    numbers = [_number(label) for label in labels]
    outside = [label for label, number in zip(labels, numbers, strict=True) if names and (number is None or not 0 <= number < len(names))]
    if outside:
        raise DataError(
            f"{len(outside)} labels in {source} are outside its {len(names)} classes, such as {outside[0]}. Repair them or leave them out."
        )
    if all(number is not None for number in numbers):
        wrong = [label for label, number in zip(labels, numbers, strict=True) if number is None or number < 0 or number != int(number)]
        if wrong:
            raise DataError(f"{len(wrong)} labels in {source} are not whole numbers from 0 on, such as {wrong[0]}. Number the classes 0, 1, 2, ...")
        values = torch.tensor([int(number or 0) for number in numbers])
        return values, names or tuple(str(k) for k in range(int(values.max()) + 1))
    empty = sum(label in (None, "") for label in labels)
    if empty:
        raise DataError(f"{empty} of {len(labels)} labels in {source} are empty. Fill them in, or remove the column.")
    names = tuple(sorted({str(label) for label in labels}))
    place = {name: k for k, name in enumerate(names)}
    return torch.tensor([place[str(label)] for label in labels]), names


def _number(value: Any) -> float | None:
    """A finite number, or one written as text; None for everything else."""
    if isinstance(value, bool):
        return float(value)
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _decoded(content: bytes, where: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{where} is not UTF-8 text (byte {error.start}). Save it as UTF-8.") from None
