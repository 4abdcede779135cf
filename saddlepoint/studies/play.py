"""A game played for a number of rounds by the library's own trainer, without a run folder: what studies of many short runs do."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from saddlepoint.data.records import Dataset
from saddlepoint.games.game import Game
from saddlepoint.training.trainer import Trainer, TrainerConfig


def play(
    game: Game,
    data: Dataset,
    *,
    rounds: int,
    batch: int,
    seed: int = 0,
    every: int = 1,
    watch: Callable[[int], None] | None = None,
    record: Callable[[int, dict[str, Tensor]], None] | None = None,
) -> None:
    """Train ``game`` in this process on the processor, in place.

    Args:
        game: built under a seed of the caller's.
        data: real records.
        rounds: how many; schedules are stretched over them.
        batch: records in a batch.
        seed: of the draws and of the order of the data.
        every: rounds between two calls of ``watch``.
        watch: called with the round, before the first (0) and after every ``every``-th.
        record: called with (round, values) after each turn; the first round is 1.
    Raises:
        NotFiniteError: if a weight is no longer finite when it is looked at.
    """
    trainer = Trainer(game, data, TrainerConfig(seed=seed, batch=batch, horizon=rounds), record=record)
    try:
        for done in range(rounds + 1):
            if done:
                trainer.play_round()
            if done % every == 0 or done == rounds:
                trainer.check_weights("")
                if watch is not None:
                    watch(done)
    finally:
        trainer.close()


class Value(nn.Module):
    """A single number that a player owns."""

    def __init__(self, start: float) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(start))
