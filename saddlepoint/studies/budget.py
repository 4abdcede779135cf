"""What studies share that give every arm the same time of the processor."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
import torch

from saddlepoint.data.records import Dataset
from saddlepoint.draws import derive_seed
from saddlepoint.games.game import Game
from saddlepoint.games.settings import GameConfig
from saddlepoint.studies.play import play
from saddlepoint.training.trainer import Trainer, TrainerConfig

LOOKS = 4  # rounds that are timed


def trained(build: Callable[[], Game], data: Dataset, config: GameConfig, *, seconds: float, seed: int) -> tuple[Game, int]:
    """A game trained for a time of the processor, in evaluation mode, and its rounds: as many as fit by the time of a round, measured before.

    Args:
        build: makes the game.
        data: real records.
        config: of the game.
        seconds: of the processor, in one thread.
        seed: of everything random.
    """
    rounds = max(round(seconds / round_seconds(build, data, config)), 1)
    torch.manual_seed(derive_seed(seed, "initialisation"))
    game = build()
    play(game, data, rounds=rounds, batch=config.batch, seed=seed, every=rounds)
    return game.eval(), rounds


def round_seconds(build: Callable[[], Game], data: Dataset, config: GameConfig) -> float:
    """What a round of a game takes of the processor, in one thread: the median of a few after the first."""
    torch.set_num_threads(1)
    trainer = Trainer(build(), data, TrainerConfig(batch=config.batch, horizon=config.rounds))
    try:
        times = []
        for _ in range(LOOKS + 1):
            begin = time.process_time()
            trainer.play_round()
            times.append(time.process_time() - begin)
    finally:
        trainer.close()
    return float(np.median(times[1:]))


def spread(values: Sequence[float], form: str = "{:.2f}") -> str:
    """Mean, and least to most where there are several.

    >>> spread([1.0, 2.0, 3.0]), spread([0.5])
    ('2.00 (1.00 to 3.00)', '0.50')
    """
    mean = form.format(float(np.mean(values)))
    return mean if len(values) == 1 else f"{mean} ({form.format(min(values))} to {form.format(max(values))})"


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table.

    >>> print(markdown(["a", "b"], [["1", "2"]]), end="")
    | a | b |
    | --- | --- |
    | 1 | 2 |
    """
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head), *("| " + " | ".join(row) + " |" for row in rows)]
    return "\n".join(lines) + "\n"
