"""A game played for a number of rounds by the library's own trainer, without a run folder: what studies of many short runs do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from saddlepoint.data.records import Dataset
from saddlepoint.games.game import Game
from saddlepoint.training.checkpoint import list_checkpoints, load_checkpoint, remove_checkpoint, save_checkpoint
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
    kept: Kept | None = None,
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
        kept: where the training goes on from what was saved, and ``watch`` may save it.
    Raises:
        NotFiniteError: if a weight is no longer finite when it is looked at.
    """
    trainer = Trainer(game, data, TrainerConfig(seed=seed, batch=batch, horizon=rounds), record=record)
    try:
        played = kept.open(trainer) if kept else 0
        for done in range(played + 1 if played else 0, rounds + 1):  # what was saved has been watched
            if done:
                trainer.play_round()
            if done % every == 0 or done == rounds:
                trainer.check_weights("")
                if watch is not None:
                    watch(done)
    finally:
        trainer.close()


class Kept:
    """A training whose last state lies in a folder, so that the end of its process costs what came after it.

    Args:
        folder: of its checkpoint.

    Attributes:
        state: what the caller keeps beside the training's own state, plain JSON; {} before the first save.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._trainer: Trainer | None = None
        saved = list_checkpoints(folder)
        self.state: dict[str, Any] = load_checkpoint(saved[-1][1]).state if saved else {}

    def open(self, trainer: Trainer) -> int:
        """Bring a new trainer to the last saved state; returns the rounds that it has played."""
        self._trainer = trainer
        if saved := list_checkpoints(self.folder):
            trainer.restore(load_checkpoint(saved[-1][1]), saved[-1][1])
        return trainer.game.clock.round

    def save(self, **state: Any) -> None:
        """Save the training as it is, in the place of what was saved before, with changes of ``state``."""
        assert self._trainer is not None
        self.state |= state
        older = [path for _, path in list_checkpoints(self.folder)]
        new = save_checkpoint(self.folder, self._trainer.game.clock.round, self._trainer.checkpoint(self.state))
        for path in older:
            if path != new:
                remove_checkpoint(path)


class Value(nn.Module):
    """A single number that a player owns."""

    def __init__(self, start: float) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(start))
