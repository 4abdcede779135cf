"""Records kept in tensors, in memory or mapped from a file, read by index.

Axes: n records, c channels, h w image, d point dimension.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
import torch
from torch import Tensor

from saddlepoint.data.records import DataSpec
from saddlepoint.draws import derive_seed
from saddlepoint.errors import UsageError

SPLITS = ("train", "test")
TEST_SHARE = 0.1


class ArrayDataset:
    """Records in tensors whose first axis counts the records.

    Args:
        fields: field name to tensor [n, ...], which may be a memory map. One is ``image`` (uint8 [n, c, h, w]) or ``point`` (float32 [n, d]).
        spec: what the records are.
        names: one a record (an emoji's name, a file's path), or empty.
        keywords: words that describe each record, or empty.
        captions: a sentence for each record, or empty.
        attribute_names: one a column of the field ``attributes``; empty: as the spec says.
        other_names: of the second image's attributes or classes, where a record has two images; empty: as the spec says.
        notes: what happened on the way in that the user was told of, e.g. files that could not be read.
        blocks: of records that are read together (a shard), int64 [n], not falling; None where any record is as near as any other.

    Attributes:
        splits: rows of "train" and "test" where the data's authors chose them; empty where the split is ours (:func:`split_rows`).
        sizes: how many images were stored at which width and height, before they were brought to one size; empty where nothing says it.

    >>> spec = DataSpec(name="three", kind="points", shape=(1,), num_records=3, fields=("point",))
    >>> data = ArrayDataset({"point": torch.tensor([[0.0], [1.0], [2.0]])}, spec)
    >>> data.records(torch.tensor([2, 0]))["point"].tolist()
    [[2.0], [0.0]]
    """

    def __init__(
        self,
        fields: Mapping[str, Tensor],
        spec: DataSpec,
        *,
        names: Sequence[str] = (),
        keywords: Sequence[tuple[str, ...]] = (),
        captions: Sequence[str] = (),
        attribute_names: Sequence[str] = (),
        other_names: Sequence[str] = (),
        notes: Sequence[str] = (),
        blocks: Tensor | None = None,
    ) -> None:
        lengths = {name: len(values) for name, values in fields.items()}
        assert set(lengths.values()) == {spec.num_records}, f"fields of {lengths} records; the spec says {spec.num_records}"
        assert all(len(each) in (0, spec.num_records) for each in (names, keywords, captions))
        self.attribute_names, self.other_names = tuple(attribute_names) or spec.attribute_names, tuple(other_names) or spec.other_names
        self.spec = dataclasses.replace(
            spec,
            attribute_names=self.attribute_names,
            other_names=self.other_names,
            class_counts=_class_counts(spec, None if blocks is not None else fields.get("label")),
        )
        self.names = tuple(names)
        self.keywords = tuple(keywords)
        self.captions = tuple(captions)
        self.notes = tuple(notes)
        self.blocks = blocks
        self.splits: dict[str, Tensor] = {}
        self.sizes: dict[tuple[int, int], int] = {}
        self._fields = dict(fields)
        self._rows: Tensor | None = None

    def __len__(self) -> int:
        """Number of records."""
        return self.spec.num_records

    def records(self, indices: Tensor) -> dict[str, Tensor]:
        """The fields at ``indices`` (int64 [n], 0 <= index < len): copies, contiguous, on the CPU."""
        rows = indices if self._rows is None else self._rows[indices]
        return {name: values[rows].contiguous() for name, values in self._fields.items()}

    def look_ahead(self, indices: Tensor) -> None:
        """Begin to fetch what the records at ``indices`` need, where it lies elsewhere."""
        rows = indices if self._rows is None else self._rows[indices]
        for values in self._fields.values():
            if self.blocks is not None and hasattr(values, "look_ahead"):
                values.look_ahead(rows)

    def column(self, name: str) -> Tensor:
        """One field of every record, shape [n, ...]: the labels, without reading the images."""
        values = self._fields[name]
        return values if self._rows is None else values[self._rows]

    def part(self, rows: Tensor, suffix: str) -> Self:
        """The records at ``rows`` (int64 [m]) as a data set of its own, named ``name:suffix``; nothing is copied."""
        chosen = copy.copy(self)
        if self.blocks is not None:
            rows = rows.sort().values
            chosen.blocks = self.blocks[rows]
        chosen.splits = {}
        chosen._rows = rows if self._rows is None else self._rows[rows]
        order = rows.tolist()
        chosen.names = tuple(self.names[i] for i in order) if self.names else ()
        chosen.keywords = tuple(self.keywords[i] for i in order) if self.keywords else ()
        chosen.captions = tuple(self.captions[i] for i in order) if self.captions else ()
        digest = hashlib.sha256(f"{self.spec.content_hash}:{suffix}:".encode() + rows.numpy().tobytes()).hexdigest()[:16]
        counts = _class_counts(self.spec, chosen.column("label") if self.spec.class_counts else None)
        name = f"{self.spec.name}:{suffix}"
        chosen.spec = dataclasses.replace(self.spec, name=name, num_records=len(rows), content_hash=digest, class_counts=counts)
        return chosen


def _class_counts(spec: DataSpec, labels: Tensor | None) -> tuple[int, ...]:
    """Records of each class; none without labels, and of streams, whose labels lie in their shards."""
    if labels is None or spec.num_classes is None or labels.ndim != 1:
        return ()
    return tuple(torch.bincount(labels, minlength=spec.num_classes).tolist())


def split_rows(num_records: int, split: str, key: str) -> Tensor:
    """Rows of the fixed 90/10 split: a shuffle seeded by ``key`` alone, its first nine tenths "train", the rest "test".

    Returns:
        int64 [m]. Of fewer than 10 records one is "test", so both parts hold something from 2 records on.

    >>> [len(split_rows(10_000, split, "fashion")) for split in SPLITS]
    [9000, 1000]
    """
    if split not in SPLITS:
        raise UsageError(f"No split {split!r}: write :train (nine tenths) or :test (the other tenth) behind the name, or nothing for all records.")
    rng = torch.Generator().manual_seed(derive_seed("split", key))
    shuffled = torch.randperm(num_records, generator=rng)
    num_test = max(1, round(num_records * TEST_SHARE))
    return shuffled[: num_records - num_test] if split == "train" else shuffled[num_records - num_test :]


def content_hash(fields: Mapping[str, Tensor]) -> str:
    """First 16 hex digits of the SHA-256 of all fields: names, types, shapes and bytes, in the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(fields):
        values = fields[name]
        digest.update(f"{name} {values.dtype} {tuple(values.shape)}\n".encode())
        for chunk in torch.split(values, 4096):
            digest.update(np.ascontiguousarray(chunk.numpy()).data)
    return digest.hexdigest()[:16]
