"""Random numbers that belong to records: the same for a record whenever and in whatever batch it is met.

A counter-based generator: each number is a hash (the finaliser of SplitMix64, Steele et al. 2014) of the seed, the record's index, how many draws
came before, and its place in the draw. Nothing is stored, and all of a batch's numbers are made at once, on any device.

Axes: n records.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator

import torch
from torch import Tensor

from saddlepoint.draws import Draws, derive_seed

STEP, FIRST, SECOND = (value - 2**64 for value in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))  # as signed 64-bit numbers
BITS = 24  # of a uniform number: those of float32


class RecordDraws(Draws):
    """Draws whose row i is a function of (seed, indices[i]) and of the draws before it.

    Args:
        seed: of all of them.
        indices: int64 [n], numbers of the records.
        dtype: floating type of normal and uniform numbers.
    """

    def __init__(self, seed: str | int, indices: Tensor, dtype: torch.dtype = torch.float32) -> None:
        super().__init__(device=indices.device, dtype=dtype)
        self.start, self.indices, self.calls = derive_seed(seed, "records"), indices, 0

    def uniform(self, n: int, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """Uniform numbers in [low, high), shape [n, *shape]."""
        return self._bits(n, shape).to(self.dtype) * 2.0**-BITS * (high - low) + low

    def normal(self, n: int, *shape: int) -> Tensor:
        """Standard normal numbers, shape [n, *shape]: the transformation of Box & Muller 1958."""
        far, turn = self.uniform(n, *shape), self.uniform(n, *shape)
        return (-2 * torch.log1p(-far)).sqrt() * (2 * math.pi * turn).cos()

    def integers(self, n: int, *shape: int, high: int) -> Tensor:
        """Uniform integers in [0, high), int64, shape [n, *shape]; high is far below 2^24."""
        return (self._bits(n, shape) * high) >> BITS

    @contextlib.contextmanager
    def together(self, groups: int) -> Iterator[None]:
        """Nothing changes: a row belongs to its record."""
        yield

    def _bits(self, n: int, shape: tuple[int, ...]) -> Tensor:
        assert n == len(self.indices), f"{n} rows were asked for; there are {len(self.indices)} records"
        self.calls += 1
        row = _mix(self.indices * STEP + derive_seed(self.start, self.calls))
        place = torch.arange(1, math.prod(shape) + 1, device=self.indices.device) * STEP
        bits: Tensor = _mix(row[:, None] + place) >> (64 - BITS) & (2**BITS - 1)
        return bits.view(n, *shape)


def _mix(x: Tensor) -> Tensor:
    """The 64 bits of int64 numbers, mixed."""
    x = (x ^ (x >> 30 & (2**34 - 1))) * FIRST
    x = (x ^ (x >> 27 & (2**37 - 1))) * SECOND
    return x ^ (x >> 31 & (2**33 - 1))
