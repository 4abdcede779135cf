"""The log of a run: losses are kept on the device and fetched together, so that logging costs no synchronisation in the loop."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from saddlepoint.errors import NotFiniteError


class Logbook:
    """Collects the values of each turn; :meth:`drain` fetches them, checks them, and averages them over the log interval.

    Args:
        every: rounds in a log record.
    """

    def __init__(self, every: int) -> None:
        self.every = every
        self.waiting: list[tuple[int, dict[str, Tensor]]] = []
        self.sums: dict[str, float] = {}
        self.counts: dict[str, int] = {}

    def add(self, round: int, values: dict[str, Tensor]) -> None:
        """Keep the values of one turn of a round, scalars on any device."""
        if values:
            self.waiting.append((round, values))

    def drain(self, last_good: str) -> None:
        """Fetch what is waiting in one transfer.

        Raises:
            NotFiniteError: names the first value that is not finite, its player and round, and the last good checkpoint.
        """
        if not self.waiting:
            return
        flat = torch.stack([value.to(torch.float64) for _, values in self.waiting for value in values.values()]).tolist()
        names = [(round, name) for round, values in self.waiting for name in values]
        self.waiting = []
        for (round, name), value in zip(names, flat, strict=True):
            if not math.isfinite(value):
                player, term = name.split("/", 1)
                raise NotFiniteError(
                    f"Round {round}: the {player}'s {term} became {value}. Training stopped; nothing broken was saved. "
                    f"{last_good} Try lower learning rates."
                )
            self.sums[name] = self.sums.get(name, 0.0) + value
            self.counts[name] = self.counts.get(name, 0) + 1

    def record(self) -> dict[str, float]:
        """Mean of every value over the interval; starts the next interval."""
        means = {name: self.sums[name] / self.counts[name] for name in self.sums}
        self.sums, self.counts = {}, {}
        return means

    def state_dict(self) -> dict[str, Any]:
        """Sums of the interval under way, after a drain; plain JSON."""
        assert not self.waiting, "drain before saving"
        return {"sums": dict(self.sums), "counts": dict(self.counts)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue the interval under way."""
        self.sums, self.counts = dict(state["sums"]), dict(state["counts"])
