"""EBGAN with few labels: the margin fades, the ladder learns to classify."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from saddlepoint.errors import UsageError
from saddlepoint.zoo.catalogue import find_recipe


def test_the_margin_falls_to_nothing_with_the_clock(make: Any, images: Any) -> None:
    game, _, _ = make("ebgan-ladder", "small", images(), width=8, d_width=32, labels_per_class=2, margin=16.0, margin_until=0.5)
    game.clock.horizon = 100
    real, fake = torch.zeros(1), torch.zeros(1)
    margins = []
    for round in (0, 25, 50, 90):
        game.clock.round = round
        margins.append(game.objective.discriminator(real, fake).item())
    assert margins == pytest.approx([16 / 256, 8 / 256, 0, 0])
    plain, _, _ = make("ebgan-ladder", "ladder", images(), width=8, d_width=32, labels_per_class=2, resolution=None)
    assert plain.objective.discriminator(real, fake).item() == 0


def test_it_learns_classes_from_two_labels_each(make: Any, images: Any, play: Any) -> None:
    data = images(n=80)
    stripes = data.column("image")
    for k in range(4):  # class k: a bright quarter in the noise
        rows = data.column("label") == k
        stripes[rows, :, 4 * k : 4 * k + 4] = stripes[rows, :, 4 * k : 4 * k + 4] // 4 + 190
    sizes = {"width": 16, "d_width": 64, "batch": 40, "rounds": 60, "average_rate": 0.1}
    game, config, prepared = make("ebgan-ladder", "small", data, resolution=None, labels_per_class=2, **sizes)
    with play(game, config, prepared) as playing:
        playing.rounds(60)
    found = game.classify(data.column("image").float() / 127.5 - 1)
    torch.testing.assert_close(found.sum(1), torch.ones(80))
    assert (found.argmax(1) == data.column("label")).float().mean() > 0.9


def test_settings_that_cannot_be_are_refused() -> None:
    config = find_recipe("ebgan-ladder").preset("paper")
    for change in ({"margin_until": 1.5}, {"margin": 0.0}, {"average_rate": 0.0}):
        with pytest.raises(UsageError, match="margin_until must lie"):
            dataclasses.replace(config, **change)
    with pytest.raises(UsageError, match="told no labels"):
        dataclasses.replace(config, conditional=True)
