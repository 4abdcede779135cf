"""Real records for the turns: read only if a turn looks at them, fetched ahead in the background."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.augmenting import augment
from saddlepoint.data.order import LaneOrder, Order, order_of
from saddlepoint.data.records import Batch, Dataset, to_device

FAR_AHEAD = 16  # batches that shards are asked for ahead


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


def single_threaded_pool() -> ThreadPoolExecutor:
    """A background thread whose own torch operations stay in it.

    With helpers of its own, OpenMP would count more threads than processors and let those of the main thread sleep after every operation: waking
    them up costs small operations more than they gain (docs/performance.md).
    """
    pool, threads = ThreadPoolExecutor(max_workers=1), torch.get_num_threads()
    pool.submit(_stay_alone).result()
    torch.set_num_threads(threads)  # it also is what later threads begin with
    return pool


def _stay_alone() -> None:
    torch.get_num_threads()  # a thread's first question sets its number to that of the others
    torch.set_num_threads(1)


class Feed:
    """The endless, resumable stream of whole batches, of which this process reads its rows; a record knows its number in the data ("index").

    The batch after ``position`` records is a pure function of (seed, position): nothing of the order has to be saved but that number.

    Args:
        data: where records come from.
        seed: of the order.
        batch: records in the whole batch of all processes.
        rank: of this process.
        processes: how many share the batch.
        device: where batches go.
        dtype: of images on the device.
        augmentations: of the data, see :mod:`saddlepoint.data.augmenting`.
    """

    def __init__(
        self,
        data: Dataset,
        *,
        seed: int,
        batch: int,
        rank: int,
        processes: int,
        device: torch.device,
        dtype: torch.dtype,
        augmentations: Sequence[str] = (),
    ) -> None:
        self.data, self.order, self._far = data, order_of(data, seed), order_of(data, seed)
        self.seed, self.augmentations = seed, augmentations
        self.rank, self.processes = rank, processes
        self.resize(batch)
        self.device, self.dtype = device, dtype
        self.position = 0
        self._ahead: tuple[tuple[int, int], Future[dict[str, Tensor]]] | None = None
        self._pool = single_threaded_pool()

    def resize(self, batch: int) -> None:
        """Cut batches of another size from now on."""
        self.batch, self.own = batch, batch // self.processes

    def next(self) -> LazyBatch:
        """The next batch; it counts as read only if somebody looks at it."""
        return LazyBatch(self.own, self._take)

    def _take(self) -> Batch:
        wanted = (self.position, self.batch)
        records = self._ahead[1].result() if self._ahead and self._ahead[0] == wanted else self._read(*wanted)
        self.position += self.batch
        ahead = (self.position, self.batch)
        self._ahead = (ahead, self._pool.submit(self._read, *ahead))
        if isinstance(self.data, ArrayDataset) and self.data.blocks is not None:
            self.data.look_ahead(self._own(self._far, self.position + FAR_AHEAD * self.batch, self.batch))
        return to_device(records, self.device, self.dtype)

    def _read(self, position: int, batch: int) -> dict[str, Tensor]:
        indices, first = self._own(self.order, position, batch), position + self.rank * (batch // self.processes)
        places = torch.arange(first, first + len(indices))
        return {**augment(self.data.records(indices), self.augmentations, seed=self.seed, positions=places), "index": indices}

    def _own(self, order: Order | LaneOrder, position: int, batch: int) -> Tensor:
        """The records of a whole batch that this process reads."""
        own = batch // self.processes
        return order.batch(position, batch)[self.rank * own :][:own]

    def close(self) -> None:
        """Stop fetching ahead."""
        self._pool.shutdown(wait=True, cancel_futures=True)
