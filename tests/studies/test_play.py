"""A training without a run folder: broken off and gone on with, it is the unbroken one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from saddlepoint.data.sources import open_data
from saddlepoint.games.game import Game
from saddlepoint.studies.play import Kept, play
from saddlepoint.training.checkpoint import list_checkpoints
from saddlepoint.zoo.catalogue import find_recipe


def train(folder: Path, stop: int | None) -> Game:
    """Six rounds, saved after every second; broken off after ``stop``."""
    recipe, data, kept = find_recipe("gan-r1"), open_data("ring8"), Kept(folder)
    torch.manual_seed(0)
    game = recipe.game(replace(recipe.preset("toy"), width=8, batch=8, rounds=6), data)

    def watch(done: int) -> None:
        if done % 2 == 0 and done:
            kept.save(looks=[*kept.state.get("looks", []), done])
        if done == stop:
            raise KeyboardInterrupt

    play(game, data, rounds=6, batch=8, watch=watch, kept=kept)
    assert kept.state["looks"] == [2, 4, 6]
    return game


def test_a_kept_training_goes_on_as_if_unbroken(tmp_path: Path) -> None:
    whole = train(tmp_path / "whole", None).state_dict()
    for stop in (3, 5):
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "pieces", stop)
        assert len(list_checkpoints(tmp_path / "pieces")) == 1
    pieces = train(tmp_path / "pieces", None).state_dict()
    assert all(torch.equal(value, pieces[name]) for name, value in whole.items())
