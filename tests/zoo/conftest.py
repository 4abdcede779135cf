"""Small data for the papers' tests, their games, and a trainer that keeps what is logged."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.records import DataSpec
from saddlepoint.games.game import Game
from saddlepoint.training.trainer import Trainer, TrainerConfig
from saddlepoint.zoo.catalogue import find_recipe


def make_game(name: str, preset: str, data: ArrayDataset, **changes: Any) -> tuple[Any, Any, Any]:
    """Game, configuration and data as the recipe prepares it."""
    recipe = find_recipe(name)
    config = dataclasses.replace(recipe.preset(preset), **changes)
    torch.manual_seed(0)
    prepared = recipe.prepare(config, data) if recipe.prepare else data
    return recipe.game(config, prepared), config, prepared


@pytest.fixture
def images() -> Any:
    """A function that makes noise with four labels."""

    def noise(c: int = 1, size: int = 16, n: int = 40) -> ArrayDataset:
        pixels = torch.randint(0, 256, (n, c, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
        fields = {"image": pixels, "label": torch.arange(n) % 4}
        return ArrayDataset(fields, DataSpec(name="noise", kind="image", shape=(c, size, size), num_records=n, num_classes=4, fields=tuple(fields)))

    return noise


@pytest.fixture
def points() -> Any:
    """A function that makes a cloud of points with four labels."""

    def cloud(n: int = 40) -> ArrayDataset:
        fields = {"point": torch.randn(n, 2, generator=torch.Generator().manual_seed(0)), "label": torch.arange(n) % 4}
        return ArrayDataset(fields, DataSpec(name="cloud", kind="points", shape=(2,), num_records=n, num_classes=4, fields=tuple(fields)))

    return cloud


class Playing:
    """A trainer that keeps what is logged."""

    def __init__(self, game: Game, config: Any, data: Any) -> None:
        self.log: list[dict[str, Tensor]] = []
        settings = TrainerConfig(seed=1, batch=config.batch, horizon=config.rounds)
        self.trainer = Trainer(game, data, settings, record=lambda round, values: self.log.append(values))

    def __enter__(self) -> Playing:
        return self

    def rounds(self, count: int) -> None:
        for _ in range(count):
            self.trainer.play_round()

    def __exit__(self, *error: object) -> None:
        self.trainer.close()


@pytest.fixture
def make() -> Any:
    """A function that builds a recipe on data."""
    return make_game


@pytest.fixture
def play() -> Any:
    """The trainer that keeps what is logged."""
    return Playing
