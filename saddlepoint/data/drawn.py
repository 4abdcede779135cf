"""What the sets that are drawn rather than read have in common: records made when they are asked for, and a description that stands for them.

Axes: n records, c channels, h w image.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class Drawn:
    """A column of records drawn when they are asked for, and kept from then on.

    Args:
        count: n.
        shape: of one record.
        draw: rows (int64 [m]) to uint8 [m, *shape].
        keep: False draws anew each time: where that is faster than to remember.

    >>> column = Drawn(3, (2,), lambda rows: rows[:, None].expand(-1, 2).to(torch.uint8))
    >>> column[torch.tensor([2, 0, 2])].tolist()
    [[2, 2], [0, 0], [2, 2]]
    """

    def __init__(self, count: int, shape: tuple[int, ...], draw: Callable[[Tensor], Tensor], *, keep: bool = True) -> None:
        self.shape = torch.Size((count, *shape))
        self._draw, self._keep = draw, keep
        self._values = torch.empty(self.shape if keep else 0, dtype=torch.uint8)  # the system gives the memory when it is written
        self._there = torch.zeros(count, dtype=torch.bool)

    def __len__(self) -> int:
        """Number of records."""
        return self.shape[0]

    def __getitem__(self, rows: Any) -> Tensor:
        wanted = torch.arange(len(self))[rows]
        if not self._keep:
            return self._draw(wanted)
        new = torch.unique(wanted[~self._there[wanted]])
        if len(new):
            self._values[new] = self._draw(new)
            self._there[new] = True
        return self._values[wanted]


def description_hash(**parts: Any) -> str:
    """First 16 hex digits of the SHA-256 of what a drawn set is made from: its version, its numbers, its size.

    Tensors count with every byte; the rest as JSON.
    """
    digest = hashlib.sha256()
    for name in sorted(parts):
        part = parts[name]
        digest.update(name.encode())
        digest.update(part.contiguous().numpy().tobytes() if isinstance(part, Tensor) else json.dumps(part).encode())
    return digest.hexdigest()[:16]
