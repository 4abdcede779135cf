"""EBGAN's grid: its size, its arms, its score, its command."""

from __future__ import annotations

import math

import numpy as np
import pytest
from torch import nn

from saddlepoint.data.sources import open_data
from saddlepoint.errors import UsageError
from saddlepoint.games.player import SGD, Adam
from saddlepoint.networks.layers import Dropout
from saddlepoint.studies import ebgan_grid
from saddlepoint.studies.ebgan_grid import build, chosen, grid, jobs, sureness


def test_the_grids_are_the_papers():
    assert [len(grid(family)) for family in ("ebgan", "gan")] == [512, 6144]
    assert len({str(arm) for arm in chosen("gan", 50)}) == 50
    assert chosen("ebgan", 3) == chosen("ebgan", 10)[:3]
    assert [job["family"] for job in jobs(2, 5, 8, 1)] == ["ebgan", "gan"] * 2


def test_the_score_is_the_formula():
    p = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]])
    marginal = p.mean(0)
    by_hand = np.mean([sum(m * math.log(m / q) for m, q in zip(marginal, row, strict=True)) for row in p])
    assert sureness(p) == pytest.approx(by_hand)
    assert sureness(np.tile([[1.0, 0.0]], (4, 1))) == pytest.approx(0)  # all of one class: worth nothing


def linears(network: nn.Module) -> list[int]:
    return [layer.out_features for layer in network.modules() if isinstance(layer, nn.Linear)]


def test_arms_are_built_as_they_say():
    data = open_data("digits")
    settings = {"g_layers": 2, "d_layers": 3, "g_units": 400, "d_units": 128, "dropout": True}
    game = build({"family": "ebgan", "settings": settings, "scale": 8}, data)
    assert linears(game.generator) == [50, 64]
    assert linears(game.discriminator) == [16, 16, 4, 16, 16, 64]
    assert sum(isinstance(layer, Dropout) for layer in game.discriminator.modules()) == 4
    assert game.objective.margin == pytest.approx(10 / 784)
    assert game.config.generator_optimizer == Adam(lr=1e-3, beta1=0.5)
    more = settings | {"dropout": False, "d_optimizer": "sgd", "g_optimizer": "adam", "lr": 0.01}
    game = build({"family": "gan", "settings": more, "scale": 8}, data)
    assert linears(game.discriminator) == [16, 16, 1]
    assert not any(isinstance(layer, Dropout) for layer in game.discriminator.modules())
    assert game.config.discriminator_optimizer == SGD(lr=0.01)
    assert game.config.generator_optimizer == Adam(lr=0.01, beta1=0.5)


def test_the_command_leaves_a_table_and_a_picture(tmp_path):
    places = ["--work", str(tmp_path / "w"), "--out", str(tmp_path / "g.md"), "--picture", str(tmp_path / "g.png")]
    ebgan_grid.main(["--arms", "2", "--rounds", "2", "--scale", "32", *places])
    text = (tmp_path / "g.md").read_text()
    assert "| ebgan | 2 | 512 |" in text and "| gan | 2 | 6144 |" in text
    assert (tmp_path / "g.png").stat().st_size > 1000
    with pytest.raises(UsageError, match="at least 1"):
        ebgan_grid.main(["--arms", "0", *places])
