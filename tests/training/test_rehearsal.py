"""The time of a round, from a few of the whole schedule."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from saddlepoint.data.sources import open_data
from saddlepoint.games.game import Game
from saddlepoint.training.rehearsal import LAZY, LEAST, MOST, rehearse, visited
from saddlepoint.training.trainer import Trainer, TrainerConfig
from saddlepoint.zoo.catalogue import find_recipe

NARROW = {"channel_base": 32, "latent_dim": 8}


def built(recipe: str, **changes: Any) -> tuple[Game, Any, TrainerConfig]:
    entry = find_recipe(recipe)
    config = replace(entry.preset("small"), resolution=8, batch=8, **changes)
    data = open_data("digits", resolution=8)
    return entry.game(config, data), data, TrainerConfig(batch=8, horizon=config.rounds)


@pytest.mark.parametrize("horizon", [1, 5, 64, 1000, 4375])
def test_what_is_visited_is_spread_over_the_schedule_and_its_lazy_intervals(horizon: int) -> None:
    rounds = [visited(index, horizon) for index in range(MOST)]
    assert min(rounds) >= 0 and max(rounds) < horizon
    if horizon >= 1000:
        for first in range(0, MOST - LAZY, 5):
            assert sorted(each % LAZY for each in rounds[first : first + LAZY]) == [*range(LAZY)]
        for most in (LAZY, MOST):
            quarters = [sum(share * horizon // 4 <= each < (share + 1) * horizon // 4 for each in rounds[:most]) for share in range(4)]
            assert max(quarters) - min(quarters) <= 2


def test_a_schedule_is_timed_over_all_its_phases(monkeypatch: pytest.MonkeyPatch) -> None:
    played: list[int] = []
    monkeypatch.setattr(Trainer, "play_round", lambda trainer: played.append(trainer.game.clock.round))
    game, data, config = built("progan", **NARROW)
    assert rehearse(game, data, config, now=lambda: 3.0 * len(played)) == pytest.approx(3.0)
    assert len(played) == MOST + 1
    found = set()
    for game.clock.round in played:
        assert game.place is not None
        found.add(game.place.phase.name)
    assert found == {phase.name for phase in game.phases}


def test_it_ends_when_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    played: list[int] = []
    monkeypatch.setattr(Trainer, "play_round", lambda trainer: played.append(trainer.game.clock.round))
    game, data, config = built("progan", **NARROW)
    assert rehearse(game, data, config, now=lambda: 3.0 * len(played), most_sec=28) == pytest.approx(3.0)
    assert len(played) == 1 + 10
    for most, expected in ((12, LEAST), (5, 7), (0.1, 1)):
        played.clear()
        assert rehearse(game, data, config, now=lambda: 3.0 * len(played), most_sec=most) == pytest.approx(3.0)
        assert len(played) == 1 + expected


def test_games_without_a_schedule_are_not_played_for_long() -> None:
    game, data, config = built("dcgan", width=4)
    assert rehearse(game, data, config) is None
    assert game.clock.round == 1
    game, data, config = built("dcgan", width=4)
    game.players["generator"].schedule = lambda clock: {"lr": 1e-4 * (1 - clock.progress)}
    assert rehearse(game, data, config) is not None
