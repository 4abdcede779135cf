"""Random numbers of one turn, the same however the batch is cut.

Every draw is made for the whole batch of all processes and micro-batches ("pieces"), and a piece keeps its own rows. So k micro-batches, or n
processes, see exactly the latents, dropout masks and augmentations that one process with the whole batch would see. The seed of a turn is a
function of (run seed, round, turn) alone: nothing random has to be saved for a run to be resumed.

Networks and views that need chance ask :func:`current`; the trainer puts a turn's draws there with :func:`use`.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor


def derive_seed(*parts: int | str) -> int:
    """63-bit seed that depends on every part and on their order.

    >>> derive_seed(0, "latents") == derive_seed(0, "latents"), derive_seed(1, 2) == derive_seed(2, 1)
    (True, False)
    """
    digest = hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


@dataclass
class Draws:
    """Random numbers for one piece (micro-batch of a process) of a turn's whole batch.

    Args:
        rng: source of randomness, on ``device``. None: torch's default generator of that device.
        device: where the numbers are made and returned.
        dtype: floating type of normal and uniform numbers.
        piece: index of this piece in the whole batch, 0 <= piece < pieces.
        pieces: processes times micro-batches.
        groups: kinds of samples that pass through a network together, one kind after the other, each cut into pieces (see :meth:`together`).
    """

    rng: torch.Generator | None = None
    device: torch.device | str = "cpu"
    dtype: torch.dtype | None = None
    piece: int = 0
    pieces: int = 1
    groups: int = 1

    @classmethod
    def seeded(cls, *seed: int | str, device: torch.device | str = "cpu", dtype: torch.dtype | None = None, piece: int = 0, pieces: int = 1) -> Self:
        """Draws that depend on the seed parts only."""
        rng = torch.Generator(device=device).manual_seed(derive_seed(*seed))
        return cls(rng=rng, device=device, dtype=dtype, piece=piece, pieces=pieces)

    def normal(self, n: int, *shape: int) -> Tensor:
        """Standard normal numbers, shape [n, *shape]: n rows of this piece."""
        return self._own(torch.randn(n * self.pieces, *shape, generator=self.rng, device=self.device, dtype=self.dtype))

    def uniform(self, n: int, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """Uniform numbers in [low, high), shape [n, *shape]: n rows of this piece."""
        numbers = torch.rand(n * self.pieces, *shape, generator=self.rng, device=self.device, dtype=self.dtype)
        return self._own(numbers * (high - low) + low)

    def integers(self, n: int, *shape: int, high: int) -> Tensor:
        """Uniform integers in [0, high), int64, shape [n, *shape]: n rows of this piece."""
        return self._own(torch.randint(high, (n * self.pieces, *shape), generator=self.rng, device=self.device))

    @contextlib.contextmanager
    def together(self, groups: int) -> Iterator[None]:
        """While inside, rows are ``groups`` kinds of samples in turn, as where real and fake pass through D in one batch."""
        before, self.groups = self.groups, groups
        try:
            yield
        finally:
            self.groups = before

    def _own(self, whole: Tensor) -> Tensor:
        if self.pieces == 1:
            return whole
        kinds = whole.view(self.groups, self.pieces, -1, *whole.shape[1:])  # group piece row ...
        return kinds[:, self.piece].flatten(0, 1)


_stack: list[Draws] = []


def current() -> Draws | None:
    """The draws of the turn under way; None outside a turn."""
    return _stack[-1] if _stack else None


def draws_like(x: Tensor) -> Draws:
    """The draws of the turn under way, or torch's default generator on the device of ``x``."""
    return _stack[-1] if _stack else Draws(device=x.device, dtype=x.dtype)


@contextlib.contextmanager
def use(draws: Draws) -> Iterator[Draws]:
    """Make ``draws`` the source for every network and view called inside."""
    _stack.append(draws)
    try:
        yield draws
    finally:
        _stack.pop()


def truncated_normal(z: Tensor, threshold: float) -> Tensor:
    """Turn standard normal numbers into normal ones between -threshold and threshold, by way of the distribution functions.

    >>> truncated_normal(torch.tensor([-9.0, 0.0, 1.0]), 0.5).abs().max().item() <= 0.5
    True
    """
    low = torch.special.ndtr(z.new_tensor(-threshold, dtype=torch.float64))
    truncated: Tensor = torch.special.ndtri(low + torch.special.ndtr(z.double()) * (1 - 2 * low)).to(z.dtype)
    return truncated
