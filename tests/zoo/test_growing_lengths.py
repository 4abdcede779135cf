"""Lengths in images of games that can grow: as many rounds as read them, whatever batch and size a run has in place of its preset's."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.records import DataSpec
from saddlepoint.games.growing import GrowingConfig, GrowingGame, with_rounds
from saddlepoint.networks.growing import Stage
from saddlepoint.training.trainer import Trainer, TrainerConfig
from saddlepoint.zoo.catalogue import find_recipe
from saddlepoint.zoo.progan import ProGANConfig

RECIPE = find_recipe("progan")


def preset(recipe: str, name: str) -> Any:
    return find_recipe(recipe).preset(name)


def test_rounds_follow_the_batch_of_the_run() -> None:
    small = preset("progan", "small")
    assert small.rounds_in(140.0) == 4375 and dataclasses.replace(small, batch=64).rounds_in(140.0) == 2188
    still = preset("stylegan2", "small")
    assert still.rounds_in(64.0) == 2_000 and dataclasses.replace(still, batch=16).rounds_in(64.0) == 4_000  # nothing grows


@pytest.mark.parametrize(("recipe", "name"), [("progan", "release"), ("progan", "paper"), ("stylegan", "paper"), ("stylegan2", "d")])
def test_the_whole_length_is_the_presets_rounds(recipe: str, name: str) -> None:
    config = preset(recipe, name)
    assert isinstance(config, GrowingConfig) and config.rounds_in(config.total_kimg) == config.rounds
    at_64 = dataclasses.replace(config, resolution=64)  # the rounds are still those of the preset's size
    assert at_64.rounds_in(config.total_kimg) == with_rounds(at_64, 4).rounds


@pytest.mark.parametrize("changes", [{}, {"batch": 16}, {"d_steps": 2}, {"resolution": 8}, {"total_kimg": 0.01}])
def test_growing_ends_with_the_images(changes: dict[str, Any]) -> None:
    """A run of so many images has read them when its rounds are over, and has gone through all levels."""
    small = RECIPE.preset("small")
    assert isinstance(small, ProGANConfig)
    lengths: dict[str, Any] = {"stable_kimg": 0.064, "fade_kimg": 0.064, "total_kimg": 0.32, "batch_at": ((4, 16), (8, 8))}
    config = with_rounds(dataclasses.replace(small, resolution=16, width=4, latent_dim=4, batch=4, **lengths), 2)
    config = dataclasses.replace(config, **changes)
    assert isinstance(config.resolution, int)
    pixels = torch.randint(0, 256, (40, 1, config.resolution, config.resolution), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    data = ArrayDataset({"image": pixels}, DataSpec(name="noise", kind="image", shape=tuple(pixels.shape[1:]), num_records=40))
    game = RECIPE.game(config, data)
    assert isinstance(game, GrowingGame)
    horizon = config.rounds_in(0.96)
    trainer = Trainer(game, data, TrainerConfig(batch=config.batch, horizon=horizon))
    while game.clock.images_seen < 960:
        trainer.play_round()
    trainer.close()
    assert abs(game.clock.round - horizon) <= 2 and game.stage == Stage(game.top, None)
