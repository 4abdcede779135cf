"""Real records for the turns: read only if a turn looks at them, fetched ahead in the background."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

from saddlepoint.data.order import Order
from saddlepoint.data.records import Batch, Dataset, to_device


class LazyBatch(Batch):
    """A batch whose records are read when the first field is asked for; its length is known without reading."""

    def __init__(self, size: int, read: Callable[[], Mapping[str, Tensor]]) -> None:
        self.size, self.read = size, read
        self._fields: dict[str, Tensor] | None = None

    @property
    def fields(self) -> dict[str, Tensor]:  # type: ignore[override]
        """The records, read on first use."""
        if self._fields is None:
            self._fields = dict(self.read())
        return self._fields

    def __getattr__(self, name: str) -> Tensor:
        if name.startswith("_") or name in ("size", "read", "fields"):
            raise AttributeError(name)
        return self[name]

    def __len__(self) -> int:
        return self.size

    def rows(self, start: int, stop: int) -> Batch:
        """The records start..stop-1, still unread."""
        return LazyBatch(stop - start, lambda: {name: values[start:stop] for name, values in self.fields.items()})


class Feed:
    """The endless, resumable stream of whole batches, of which this process reads its rows.

    The batch after ``reads`` batches is a pure function of (seed, reads): nothing of the order has to be saved but that number.

    Args:
        data: where records come from.
        seed: of the order.
        batch: records in the whole batch of all processes.
        rank: of this process.
        processes: how many share the batch.
        device: where batches go.
        dtype: of images on the device.
    """

    def __init__(self, data: Dataset, *, seed: int, batch: int, rank: int, processes: int, device: torch.device, dtype: torch.dtype) -> None:
        self.data, self.order = data, Order(len(data), seed)
        self.batch, self.own = batch, batch // processes
        self.start = rank * self.own
        self.device, self.dtype = device, dtype
        self.reads = 0
        self._ahead: tuple[int, Future[dict[str, Tensor]]] | None = None
        self._pool = ThreadPoolExecutor(max_workers=1)

    def next(self) -> LazyBatch:
        """The next batch; it counts as read only if somebody looks at it."""
        return LazyBatch(self.own, self._take)

    def _take(self) -> Batch:
        position = self.reads
        records = self._ahead[1].result() if self._ahead and self._ahead[0] == position else self._read(position)
        self.reads += 1
        self._ahead = (position + 1, self._pool.submit(self._read, position + 1))
        return to_device(records, self.device, self.dtype)

    def _read(self, position: int) -> dict[str, Tensor]:
        return self.data.records(self.order.indices(position * self.batch + self.start, self.own))

    def close(self) -> None:
        """Stop fetching ahead."""
        self._pool.shutdown(wait=True, cancel_futures=True)
