"""How long a round takes, by playing some of a game that is thrown away: so that a schedule can be stretched over minutes."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable

import torch
from lightning_fabric import Fabric

from saddlepoint.data.records import Dataset
from saddlepoint.games.game import Game
from saddlepoint.training.together import Group
from saddlepoint.training.trainer import Trainer, TrainerConfig

MOST, LEAST = 64, 8  # rounds
SLOW = 4  # times the most that LEAST rounds may take
STRIDE = 39  # odd, and .61 of MOST: any sixteen rounds in a row meet every lazy interval of 2, 4, 8 and 16, and all phases by their lengths
LAZY = 16


def rehearse(
    game: Game,
    data: Dataset,
    config: TrainerConfig,
    fabric: Fabric | None = None,
    *,
    most_sec: float = math.inf,
    now: Callable[[], float] = time.perf_counter,
) -> float | None:
    """Play rounds here and there in the whole schedule.

    Args:
        game: newly built; not to be used afterwards.
        data: real records.
        config: its ``horizon`` is what phases and lazy intervals are spread over, whatever the length will be.
        fabric: launched; None means one process on the processor.
        most_sec: after so long no more rounds are begun, once there are eight; after four times as long, once there is one.
        now: a clock in seconds.
    Returns:
        Seconds of a round, the mean over the schedule, the same on every process; None where nothing in the game depends on how long it is trained.
    """
    trainer = Trainer(game, data, config, fabric)
    group, device = Group(trainer.fabric), trainer.fabric.device
    with contextlib.closing(trainer):
        trainer.play_round()  # the first takes longer
        if not (game.phases or game.clock.asked):
            return None
        began, played = now(), 0
        while played < MOST:
            spent = (now() - began) / most_sec
            if played and group.most(int(spent > (1 if played >= LEAST else SLOW)))[0]:
                break
            game.clock.round = visited(played, config.horizon)
            trainer.play_round()
            played += 1
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return group.lead(lambda: (now() - began) / played)


def visited(index: int, horizon: int) -> int:
    """The round that a rehearsal plays after ``index`` others.

    >>> [visited(index, 1600) for index in range(5)]
    [0, 967, 350, 1317, 700]
    """
    place = index * STRIDE % MOST
    return min(place * horizon // MOST // LAZY * LAZY + place % LAZY, horizon - 1)
