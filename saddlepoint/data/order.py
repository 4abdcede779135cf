"""In which order records are seen: an endless stream of shuffled epochs that can be entered anywhere."""

from __future__ import annotations

import torch
from torch import Tensor

from saddlepoint.draws import derive_seed


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
