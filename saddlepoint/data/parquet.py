"""Tables of images: Parquet and Arrow files with one row an image, and what Hugging Face's ``datasets`` saves and uploads.

The images are a column of bytes of image files, or of {bytes, path} as ``datasets`` writes it. Of the other columns label (or class, or the first
that ``datasets`` calls a ClassLabel, with its names), caption (or text) and columns of numbers are read as in a metadata table.

Read by pyarrow alone, the extra ``tables``; nothing in a table is run, and a path in it is never followed.
"""

from __future__ import annotations

import bisect
import dataclasses
import io
import itertools
import json
import re
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import torch

from saddlepoint.data.arrays import SPLITS, ArrayDataset
from saddlepoint.data.folder import IMAGE_SUFFIXES, Found, open_with
from saddlepoint.data.metadata import LABEL_COLUMNS, Metadata, metadata_of
from saddlepoint.data.registry import Request
from saddlepoint.errors import DataError, UsageError

SUFFIXES = (".parquet", ".arrow")
SAVED, SAVED_PARTS = "state.json", "dataset_dict.json"  # what `save_to_disk` leaves of a data set, and of one in parts
EXPECTED = "a column of image files (bytes, or {bytes, path} as the library datasets writes it)"
PARTS = re.compile(r"(?:^|[-_./])(train|test|validation|valid|val|dev)(?:[-_.]|/|$)")


def tables_of(path: Path) -> list[Path]:
    """The tables that a path means: itself, those of a folder that ``datasets`` saved, or the Parquet files of a folder without images
    beside them."""
    if path.is_file():
        return [path] if path.suffix in SUFFIXES else []
    if (path / SAVED_PARTS).is_file():
        return [table for part in sorted(path.iterdir()) if (part / SAVED).is_file() for table in tables_of(part)]
    if (path / SAVED).is_file():
        return sorted(path.glob("*.arrow"))
    found = [table for table in sorted([*path.glob("*.parquet"), *path.glob("*/*.parquet")]) if table.name != "metadata.parquet"]
    folders = {path, *(table.parent for table in found)} if found else set()
    return [] if any(file.suffix.lower() in IMAGE_SUFFIXES for folder in folders for file in folder.iterdir()) else found


def open_tables(root: Path, tables: list[Path], request: Request) -> ArrayDataset:
    """The images of tables as a data set; files named after "train" and "test" are its parts.

    Raises:
        DataError: for tables that cannot be read, hold no images, or differ in their columns.
    """
    found, metadata = find_in_tables(root, tables)
    data = open_with(found, metadata, request.name, request.resolution, request.channels)
    data.splits = _splits(root, found, data)
    return data


def find_in_tables(root: Path, tables: list[Path]) -> tuple[TableFound, Metadata | None]:
    """The images of tables and what stands beside each."""
    found = TableFound(root, [], None, ())
    records: list[dict[str, Any]] = []
    facts = None
    for table in tables:
        opened = Table(table)
        own = opened.image, opened.others, opened.classes
        if facts not in (None, own):
            raise DataError(f"{table} has other columns than {tables[0]}. Tables of one data set must be alike; open them one by one.")
        facts = own
        stem = table.relative_to(root).with_suffix("").as_posix() if table != root else table.stem
        names = [f"{stem}/{row:08d}" for row in range(len(opened))]
        found.places.update((name, (len(found.tables), row)) for row, name in enumerate(names))
        found.tables.append(opened)
        found.paths.extend(names)
        records.extend(row | {"file_name": name} for name, row in zip(names, opened.rows() or itertools.repeat({}), strict=False))
    if not found.paths:
        raise DataError(f"{root} has no rows. Check how it was made.")
    if facts is None or not facts[1]:
        return found, None
    return found, dataclasses.replace(metadata_of(str(root), records), class_names=facts[2])


def _splits(root: Path, found: TableFound, data: ArrayDataset) -> dict[str, torch.Tensor]:
    """Rows of "train" and "test" where the tables are named so; of other parts (validation) none."""
    parts = []
    for table in found.tables:
        told = PARTS.search(table.path.relative_to(root).as_posix()) if table.path != root else None
        parts.append(told[1] if told else "")
    if not set(SPLITS) <= {*parts}:
        return {}
    of = [parts[found.places[name][0]] for name in data.names]
    return {split: torch.tensor([row for row, part in enumerate(of) if part == split]) for split in SPLITS}


class Table:
    """One file, read in the pieces that it was written in: a Parquet file's row groups, an Arrow file's batches.

    Args:
        path: of the file, or its name where it is given open.
        file: a Parquet file, open.
        held: pieces kept in memory.
    Attributes:
        image: name of the column of images.
        others: names of the columns beside it that are read.
        classes: names of the classes, where the table says them.
        sizes: rows of each piece.
    """

    def __init__(self, path: Path, file: IO[bytes] | None = None, held: int = 1) -> None:
        self.path, self.file = path, file
        self.state = "" if file else f"{path.stat().st_size} {path.stat().st_mtime_ns}"
        self._arrow = arrow()
        self._lock = threading.Lock()
        self._held: OrderedDict[int, Any] = OrderedDict()
        self._most = held
        try:
            self._open()
        except (OSError, self._arrow.ArrowException) as error:
            raise DataError(f"{path} cannot be read as a table ({str(error).splitlines()[0]}). Get it again.") from None
        self._starts: list[int] = [0, *itertools.accumulate(self.sizes)]
        self.image = self._image_column()
        self.label, self.classes = self._label_column()
        plain = self._arrow.types
        skipped = plain.is_nested, plain.is_binary, plain.is_large_binary
        kept = [f.name for f in self.schema if f.name != self.image and not any(is_one(f.type) for is_one in skipped)]
        self.others = tuple(name for name in kept if name == self.label or name not in self._class_labels())

    def __len__(self) -> int:
        """Number of rows."""
        return self._starts[-1]

    def content(self, row: int) -> bytes:
        """The image file in a row.

        Raises:
            ValueError: if there is none.
        """
        piece = bisect.bisect_right(self._starts, row) - 1
        with self._lock:
            if piece not in self._held:
                self._held[piece] = self._piece(piece)
            self._held.move_to_end(piece)
            while len(self._held) > self._most:
                self._held.popitem(last=False)
            value = self._held[piece][row - self._starts[piece]].as_py()
        content = value.get("bytes") if isinstance(value, dict) else value
        if content is None:
            raise ValueError("the row has no bytes of an image, only its path" if value else "the row is empty")
        return bytes(content)

    def rows(self) -> list[dict[str, Any]]:
        """What stands beside each image; the label's column is called so."""
        names = [*self.others]
        if not names:
            return []
        table = self._columns(names).rename_columns(["label" if name == self.label else name for name in names])
        records: list[dict[str, Any]] = table.to_pylist()
        return records

    def _open(self) -> None:
        pa = self._arrow
        if self.path.suffix == ".parquet":
            import pyarrow.parquet

            opened = self._file = pyarrow.parquet.ParquetFile(self.file or self.path)
            self.schema = opened.schema_arrow
            self.sizes = [opened.metadata.row_group(i).num_rows for i in range(opened.num_row_groups)]
            return
        source = pa.memory_map(str(self.path))
        feather = source.read(6) == b"ARROW1"
        source.seek(0)
        self._file = (pa.ipc.open_file if feather else pa.ipc.open_stream)(source).read_all()  # mapped, not read
        self.schema = self._file.schema
        self.sizes = [len(chunk) for chunk in self._file.column(0).chunks] if self._file.num_columns else []

    def _piece(self, piece: int) -> Any:
        if self.path.suffix == ".parquet":
            return self._file.read_row_group(piece, columns=[self.image]).column(0)
        return self._file.column(self.image).chunk(piece)

    def _columns(self, names: list[str]) -> Any:
        return (self._file.read(columns=names) if self.path.suffix == ".parquet" else self._file).select(names)

    def _image_column(self) -> str:
        plain = self._arrow.types
        told = self._features()
        for f in self.schema:
            if told.get(f.name, {}).get("_type") == "Image" or (plain.is_struct(f.type) and f.type.get_field_index("bytes") >= 0):
                return str(f.name)
        of_bytes = [str(f.name) for f in self.schema if plain.is_binary(f.type) or plain.is_large_binary(f.type)]
        if len(of_bytes) != 1:
            held = ", ".join(f"{f.name} ({f.type})" for f in self.schema)
            raise DataError(f"{self.path} has {len(of_bytes)} columns of bytes among {held}; expected {EXPECTED}. Name or convert it so.")
        return of_bytes[0]

    def _label_column(self) -> tuple[str | None, tuple[str, ...]]:
        lower = {name.lower(): name for name in self.schema.names if name != self.image}
        classes = self._class_labels()
        column = next((lower[name] for name in LABEL_COLUMNS if name in lower), next(iter(classes), None))
        return column, tuple(classes.get(column or "", ()))

    def _class_labels(self) -> dict[str, list[str]]:
        return {name: told.get("names") or [] for name, told in self._features().items() if told.get("_type") == "ClassLabel"}

    def _features(self) -> dict[str, dict[str, Any]]:
        """What ``datasets`` notes of the columns."""
        try:
            features = json.loads((self.schema.metadata or {})[b"huggingface"])["info"]["features"]
            return {name: told for name, told in features.items() if isinstance(told, dict)}
        except (KeyError, ValueError, TypeError, AttributeError):
            return {}


@dataclass
class TableFound(Found):
    """Images in tables, by table and row."""

    tables: list[Table] = field(default_factory=list)
    places: dict[str, tuple[int, int]] = field(default_factory=dict)

    def open(self, path: str) -> IO[bytes]:
        """The bytes of one image."""
        table, row = self.places[path]
        return io.BytesIO(self.tables[table].content(row))

    def state(self, path: str) -> str:
        """The table's size and time of change."""
        return self.tables[self.places[path][0]].state


def arrow() -> Any:
    """The library pyarrow.

    Raises:
        UsageError: if it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.ipc
        import pyarrow.types
    except ImportError:
        raise UsageError("Parquet and Arrow files are read by pyarrow, which is not installed: pip install 'saddlepoint[tables]'.") from None
    return pyarrow


def rows_of(content: bytes) -> list[dict[str, Any]]:
    """The rows of a Parquet file beside images, as they are written.

    Raises:
        ValueError: if it cannot be read.
    """
    pa = arrow()
    import pyarrow.parquet

    try:
        records: list[dict[str, Any]] = pyarrow.parquet.read_table(pa.BufferReader(content)).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise ValueError(str(error).splitlines()[0]) from None
    return records
