"""Windows of long recordings: clips of a video, stretches of a sound. What lies in several windows is kept once.

Axes: n windows, k parts of a window, p all parts.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


class Windows:
    """Windows that are put together when they are asked for.

    Args:
        parts: [p, ...], frames or short stretches, recording after recording; may be mapped from a file.
        starts: int64 [n], the part that each window begins with.
        num_parts: k.
        shape: of a window.
        finish: [m, k, ...] -> [m, *shape]; None: it has that shape already.
    """

    def __init__(self, parts: Tensor, starts: Tensor, num_parts: int, shape: Sequence[int], finish: Callable[[Tensor], Tensor] | None = None) -> None:
        self.parts, self.starts, self.num_parts = parts, starts, num_parts
        self.shape = torch.Size((len(starts), *shape))
        self.finish = finish

    def __len__(self) -> int:
        """Number of windows."""
        return len(self.starts)

    def __getitem__(self, rows: Any) -> Tensor:
        found = self.parts[self.starts[torch.as_tensor(rows)][:, None] + torch.arange(self.num_parts)]
        return found if self.finish is None else self.finish(found)


def starts_of(recordings: Sequence[str], num_parts: int, step: int) -> Tensor:
    """Where windows begin that lie within one recording each.

    Args:
        recordings: p names, the recording that each part is of; the parts of one stand together.
        num_parts: of a window.
        step: parts from the beginning of one window to that of the next.
    Returns:
        int64 [n]; a recording shorter than a window gives none.

    >>> starts_of(["a", "a", "a", "b", "c", "c"], 2, 1).tolist()
    [0, 1, 4]
    """
    starts: list[int] = []
    first = 0
    for _, run in itertools.groupby(recordings):
        count = sum(1 for _ in run)
        starts.extend(range(first, first + count - num_parts + 1, step))
        first += count
    return torch.tensor(starts, dtype=torch.int64)
