"""In which order records are seen: an endless stream of shuffled epochs that can be entered anywhere."""

from __future__ import annotations

import torch
from torch import Tensor

from saddlepoint.data.records import Dataset
from saddlepoint.draws import derive_seed

LANES = 8  # of a stream, at most


class Order:
    """The stream of record indices of a run, a pure function of (seed, position).

    Positions k*N ... (k+1)*N - 1 are a permutation of all N records, seeded by (seed, k). Nothing has to be saved to resume: the position is enough.

    >>> order = Order(4, seed=0)
    >>> sorted(order.indices(0, 4).tolist()), sorted(order.indices(4, 4).tolist())
    ([0, 1, 2, 3], [0, 1, 2, 3])
    >>> torch.equal(order.indices(3, 2), torch.cat([order.indices(3, 1), order.indices(4, 1)]))
    True
    """

    def __init__(self, num_records: int, seed: int) -> None:
        if num_records < 1:
            raise ValueError(f"Order needs at least one record, got {num_records}.")
        self.num_records = num_records
        self.seed = seed
        self._epoch = -1
        self._permutation = torch.empty(0, dtype=torch.int64)

    def indices(self, position: int, count: int) -> Tensor:
        """Indices at stream positions position ... position + count - 1, int64 [count]; a count may span many epochs."""
        if position < 0 or count < 0:
            raise ValueError(f"position and count must not be negative, got {position} and {count}.")
        pieces = []
        while count > 0:
            epoch, offset = divmod(position, self.num_records)
            piece = self._shuffled(epoch)[offset : offset + count]
            pieces.append(piece)
            position, count = position + len(piece), count - len(piece)
        return torch.cat(pieces) if pieces else torch.empty(0, dtype=torch.int64)

    def _shuffled(self, epoch: int) -> Tensor:
        if epoch != self._epoch:
            rng = torch.Generator().manual_seed(derive_seed("order", self.seed, epoch))
            self._permutation, self._epoch = torch.randperm(self.num_records, generator=rng), epoch
        return self._permutation

    def batch(self, position: int, count: int) -> Tensor:
        """The records at those positions as they stand in a batch: of n processes each takes an n-th of them, one after the other."""
        return self.indices(position, count)


class LaneOrder:
    """The stream of a data set whose records are read in blocks (the shards of a stream): also a pure function of (seed, position).

    The records are dealt to lanes, runs of neighbouring blocks of equal length (to one record); the stream takes one record of each lane in turn. A
    lane goes through its blocks in an order of chance, and through the records of a block in an order of chance, before it begins anew. So at any
    time one block of each lane is read; a batch mixes the lanes; and since it holds them side by side, each process reads its own lanes only,
    wherever their number is a multiple of that of the processes.

    Shuffled less than :class:`Order`: two records of one lane are far apart in the stream if their blocks are.

    Args:
        blocks: block of each record, int64 [n], not falling.
        seed: of the run.
        lanes: at most this many; a power of two.

    >>> order = LaneOrder(torch.tensor([0, 0, 0, 1, 1, 1]), seed=0, lanes=2)
    >>> sorted(order.indices(0, 6).tolist()), (order.batch(6, 6) >= 3).tolist()
    ([0, 1, 2, 3, 4, 5], [False, False, False, True, True, True])
    """

    def __init__(self, blocks: Tensor, seed: int, lanes: int = LANES) -> None:
        if not len(blocks):
            raise ValueError("LaneOrder needs at least one record.")
        kinds, counts = torch.unique_consecutive(blocks, return_counts=True)
        self.num_records, self.seed = len(blocks), seed
        self.lanes = max(power for power in (1 << k for k in range(lanes.bit_length())) if power <= min(lanes, len(kinds)))
        ends = counts.cumsum(0)
        self._starts = [lane * self.num_records // self.lanes for lane in range(self.lanes + 1)]
        self._pieces = [self._cut(ends, first, last) for first, last in zip(self._starts, self._starts[1:], strict=False)]
        self._held: dict[int, tuple[int, Tensor]] = {}

    def indices(self, position: int, count: int) -> Tensor:
        """Indices at stream positions position ... position + count - 1, int64 [count]; position p belongs to lane p modulo the number of lanes."""
        if position < 0 or count < 0:
            raise ValueError(f"position and count must not be negative, got {position} and {count}.")
        found = torch.empty(count, dtype=torch.int64)
        for lane in range(self.lanes):
            first = (lane - position) % self.lanes
            own = range(first, count, self.lanes)
            found[first :: self.lanes] = self._of_lane(lane, (position + first) // self.lanes, len(own))
        return found

    def batch(self, position: int, count: int) -> Tensor:
        """The records at those positions, lane by lane."""
        lane = torch.arange(position, position + count) % self.lanes
        return self.indices(position, count)[lane.argsort(stable=True)]

    def _cut(self, ends: Tensor, first: int, last: int) -> list[tuple[int, int]]:
        """The parts of blocks in records first ... last - 1, as (start, stop)."""
        inside = ends[(ends > first) & (ends < last)].tolist()
        return [*zip([first, *inside], [*inside, last], strict=True)]

    def _of_lane(self, lane: int, offset: int, count: int) -> Tensor:
        """Records offset ... offset + count - 1 of a lane's own stream."""
        length = self._starts[lane + 1] - self._starts[lane]
        pieces = []
        while count > 0:
            epoch, place = divmod(offset, length)
            piece = self._shuffled(lane, epoch)[place : place + count]
            pieces.append(piece)
            offset, count = offset + len(piece), count - len(piece)
        return torch.cat(pieces) if pieces else torch.empty(0, dtype=torch.int64)

    def _shuffled(self, lane: int, epoch: int) -> Tensor:
        if self._held.get(lane, (-1,))[0] != epoch:
            rng = torch.Generator().manual_seed(derive_seed("lane", self.seed, lane, epoch))
            pieces = self._pieces[lane]
            order = torch.randperm(len(pieces), generator=rng).tolist()
            shuffled = [pieces[k][0] + torch.randperm(pieces[k][1] - pieces[k][0], generator=rng) for k in order]
            self._held[lane] = (epoch, torch.cat(shuffled))
        return self._held[lane][1]


def order_of(data: Dataset, seed: int) -> Order | LaneOrder:
    """The order in which a data set is seen: by lanes where it says which records are read together (``blocks``), otherwise shuffled as a whole."""
    blocks = getattr(data, "blocks", None)
    return Order(len(data), seed) if blocks is None else LaneOrder(blocks, seed)
