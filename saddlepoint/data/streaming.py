"""Images in shards that are more than this machine holds: tar shards and Parquet files, read while training, a few shards at a time.

All shards are looked through once; what is where is kept in the cache, so that the next start, or a resumed run, opens only the shards that it is in.
The order is by lanes (:class:`saddlepoint.data.order.LaneOrder`): shuffled at the grain of a shard, the same on any number of processes.

Axes: n records, c channels, h w image, a attributes.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import logging
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.folder import Damage, check_sizes, reason_of
from saddlepoint.data.images import Resolution, check_request, decode, size_of
from saddlepoint.data.order import LANES, LaneOrder
from saddlepoint.data.parquet import Table
from saddlepoint.data.records import DataSpec
from saddlepoint.data.registry import Request
from saddlepoint.data.remote import Fetched, Place, places_of
from saddlepoint.data.shards import Index, Tar, index_of, opened_shard

log = logging.getLogger("saddlepoint")


def open_stream(urls: list[str], request: Request) -> ArrayDataset:
    """Shards as a data set whose images are read, from where they lie, when they are asked for.

    Args:
        urls: see :func:`saddlepoint.data.remote.places_of`.
        request: what was asked.
    Raises:
        UsageError: for a protocol that cannot be opened.
        DataError: for shards that are not there, hold no images, or images of different sizes without a resolution.
    """
    check_request(request.resolution, request.channels)
    places = places_of(urls)
    index = index_of(places, request.name)
    arrays, about = index.arrays, index.about
    if request.resolution is None:
        check_sizes(request.name, Counter({(w, h): count for w, h, count in about["sizes"]}))
    size = size_of(request.resolution or about["sizes"][0][0])
    channels = request.channels or (1 if about["grey"] else 3)
    images = Streamed(places, arrays, (channels, *size), request.resolution, request.name)
    fields = {"image": images} | {name: arrays[name] for name in ("label", "attributes") if name in arrays}
    blocks = arrays["block"]
    lanes = LaneOrder(blocks, 0).lanes
    told = f"Read as a stream of {len(places)} shards in {lanes} lanes: each lane is shuffled shard by shard and within them, not as a whole."
    notes = [*about["notes"], told]
    for note in notes:
        log.warning(note)
    spec = DataSpec(
        name=request.name,
        kind="image",
        shape=(channels, *size),
        num_records=len(blocks),
        num_classes=len(about["class_names"]) or None,
        class_names=tuple(about["class_names"]),
        content_hash=_content_hash(places, index, (channels, *size)),
        fields=tuple(fields),
        shapes={"attributes": (len(about["attribute_names"]),)} if "attributes" in fields else {},
    )
    names = {"captions": tuple(about["captions"]), "attribute_names": tuple(about["attribute_names"])}
    dataset = ArrayDataset(fields, spec, notes=notes, blocks=blocks, **names)  # type: ignore[arg-type]
    dataset.sizes = {(w, h): count for w, h, count in about["sizes"]}
    return dataset


class Streamed:
    """The images of shards, uint8 [n, c, h, w], read by index.

    One that cannot be decoded is told, and the next of its shard stands in for it; more than one in a hundred such are an error.
    """

    dtype = torch.uint8

    def __init__(self, places: list[Place], arrays: dict[str, Tensor], shape: tuple[int, ...], resolution: Resolution | None, name: str) -> None:
        self.shape = torch.Size((len(arrays["shard"]), *shape))
        self.resolution = resolution
        self._shard, self._start, self._size = (arrays[each] for each in ("shard", "start", "size"))
        self._shards: Fetched[Tar | Table] = Fetched(places, 3 * LANES, opened_shard)
        self._workers = ThreadPoolExecutor(max_workers=os.cpu_count())
        self._damage = Damage(name, len(self))

    def __len__(self) -> int:
        """Number of images."""
        return self.shape[0]

    def __getitem__(self, rows: Tensor) -> Tensor:
        self.look_ahead(rows)
        found = [*self._workers.map(self._pixels, rows.tolist())]
        for failures in (failures for _, failures in found if failures):  # told in the order asked for, whatever thread was first
            self._tell(failures)
        return torch.from_numpy(np.stack([pixels for pixels, _ in found]) if found else np.empty((0, *self.shape[1:]), np.uint8))

    def look_ahead(self, rows: Tensor) -> None:
        """Begin to fetch the shards of these rows."""
        for shard in torch.unique(self._shard[rows]).tolist():
            self._shards.ask(shard)

    def _pixels(self, row: int) -> tuple[Any, dict[int, str]]:
        """The image, or the next of its shard that can be decoded; None when too many cannot. With the reasons of those that cannot."""
        failures: dict[int, str] = {}
        for stand_in in itertools.chain(range(row, len(self)), range(row)):
            opened = self._shards.get(int(self._shard[stand_in]))
            try:
                content = _content(opened, int(self._start[stand_in]), int(self._size[stand_in]))
                return decode(io.BytesIO(content), self.resolution, self.shape[1]), failures
            except MemoryError:
                raise
            except Exception as error:  # a damaged file may make any decoder raise anything
                failures[stand_in] = reason_of(error)
            if len(failures) > self._damage.allowed:
                break
        return None, failures

    def _tell(self, failures: dict[int, str]) -> None:
        for row, reason in failures.items():
            name = f"image {row}"
            if name not in self._damage.reasons:
                self._damage.reasons[name] = reason
                log.warning("Skipped %s of %s: %s.", name, self._damage.root, reason)
                self._damage.check()


def _content(opened: Tar | Table, start: int, size: int) -> bytes:
    return opened.content(start) if isinstance(opened, Table) else opened.content(start, size)


def _content_hash(places: list[Place], index: Index, shape: tuple[int, ...]) -> str:
    """Of the names of the shards, of where their images are, of what stands beside them, and of the size asked for: not of the pixels."""
    digest = hashlib.sha256(json.dumps([[place.name for place in places], index.about["captions"], shape]).encode())
    for name in sorted(index.arrays):
        digest.update(f"\n{name}".encode() + index.arrays[name].numpy().tobytes())
    return digest.hexdigest()[:16]
