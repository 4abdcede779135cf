"""The one record type: what a data set gives and what a turn receives.

Axes: n batch, c channels, h w image, d point dimension.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from saddlepoint.errors import DataError

Kind = Literal["image", "points", "sequence", "volume", "audio"]
# the field that holds the sample
SAMPLE: dict[str, str] = {"image": "image", "points": "point", "sequence": "tokens", "volume": "volume", "audio": "audio"}


@dataclass(frozen=True, kw_only=True)
class DataSpec:
    """What a data set holds, as a recipe must know it to build its networks.

    Attributes:
        name: as the user gave it.
        kind: what a sample is: "image" (uint8 [c, h, w], becomes float in [-1, 1]; or float32 in [-1, 1]), "points" (float32 [d], passed as it is),
            "sequence" (tokens, int64 [t]), "volume" (float32 [1, d, h, w] in [0, 1]) or "audio" (float32 [c, t] in [-1, 1]).
        shape: of one sample.
        num_records: how many there are.
        num_classes: None without labels.
        class_names: one a class, empty without labels.
        class_counts: records of each class, empty where they are not known.
        content_hash: of what was read, after decoding and resizing; two equal hashes are the same data.
        fields: names of the fields of a record, e.g. ("image", "label").
        shapes: shapes of fields beside the sample, such as a partner image or a caption's embedding, by name.
        vocabulary: one word a token of sequences, empty otherwise.
        attribute_names: one a number of the field ``attributes``, or empty.
        other_names: of the second image's attributes or classes, where a record has two images, or empty.
    """

    name: str
    kind: Kind
    shape: tuple[int, ...]
    num_records: int
    num_classes: int | None = None
    class_names: tuple[str, ...] = ()
    class_counts: tuple[int, ...] = ()
    content_hash: str = ""
    fields: tuple[str, ...] = ("image",)
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    vocabulary: tuple[str, ...] = ()
    attribute_names: tuple[str, ...] = ()
    other_names: tuple[str, ...] = ()


class Dataset(Protocol):
    """Random access to records by index; images stay uint8 until they reach the device."""

    spec: DataSpec

    def __len__(self) -> int:
        """Number of records."""
        ...

    def records(self, indices: Tensor) -> dict[str, Tensor]:
        """The fields at ``indices`` (int64 [n]): image uint8 [n, c, h, w] or point float32 [n, d]; label int64 [n]; ..."""
        ...


class Batch(Mapping[str, Tensor]):
    """The records of one turn, fields by name, on the device: ``batch.image`` is float in [-1, 1].

    A field that the data does not have is refused with the names of those it has.
    """

    def __init__(self, fields: Mapping[str, Tensor]) -> None:
        self.fields = dict(fields)

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.fields:
            raise DataError(f"This recipe needs the field {name!r}; the data has {', '.join(self.fields)}. Choose data with it or another recipe.")
        return self.fields[name]

    def __getattr__(self, name: str) -> Tensor:
        if name.startswith("__") or name == "fields":
            raise AttributeError(name)
        return self[name]

    def __iter__(self) -> Any:
        return iter(self.fields)

    def __len__(self) -> int:
        """Number of samples (not of fields)."""
        return len(next(iter(self.fields.values())))

    @property
    def x(self) -> Tensor:
        """The samples themselves: images, points, tokens or volumes."""
        return self[next((name for name in SAMPLE.values() if name in self.fields), "image")]

    def rows(self, start: int, stop: int) -> Batch:
        """The records start..stop-1."""
        return Batch({name: values[start:stop] for name, values in self.fields.items()})


def to_device(records: Mapping[str, Tensor], device: torch.device | str, dtype: torch.dtype = torch.float32) -> Batch:
    """Move raw records to the device; uint8 images become ``dtype`` in [-1, 1], channels_last in memory."""
    fields = {}
    for name, values in records.items():
        values = values.to(device, non_blocking=True)
        if values.dtype == torch.uint8:
            values = values.to(dtype).div_(127.5).sub_(1)
            values = values.contiguous(memory_format=torch.channels_last) if values.ndim == 4 else values
        elif values.is_floating_point():
            values = values.to(dtype)
            values = values.contiguous(memory_format=torch.channels_last) if values.ndim == 4 else values
        fields[name] = values
    return Batch(fields)
