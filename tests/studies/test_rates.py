"""The grid of learning rates: each pair is played as named, and the table has a row for each."""

from __future__ import annotations

from pathlib import Path

import pytest

from saddlepoint.studies import rates
from saddlepoint.zoo.catalogue import find_recipe


def test_every_pair_is_played_as_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(rates.ARMS) == len(rates.RATES) ** 2
    recipe, preset, settings = rates.ARMS["D 0.001, G 0.0003"]
    find_recipe(recipe).preset(preset)
    assert (settings["discriminator_optimizer"].lr, settings["generator_optimizer"].lr) == (1e-3, 3e-4)
    monkeypatch.setattr(rates, "ARMS", {"one": rates.ARMS["D 0.003, G 0.001"]})
    rates.main(["--rounds", "5", "--seeds", "2", "--out", str(tmp_path / "rates.md")])
    row = (tmp_path / "rates.md").read_text().splitlines()[4]
    assert row.startswith("| one | 0") and row.count("(") == 3
