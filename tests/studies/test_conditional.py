"""The study of conditional discriminators: it runs, goes on where it was stopped, and tells a generator that keeps its classes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from saddlepoint.data.sources import open_data
from saddlepoint.evaluation.arrays import as_rows
from saddlepoint.studies import conditional
from saddlepoint.zoo.catalogue import find_recipe


def test_it_runs_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arms = {"real images": None, "concat": ("projection", "small-concat", {"resolution": 16, "width": 8, "batch": 4, "latent_dim": 4})}
    monkeypatch.setattr(conditional, "ARMS", {"heads": arms})
    monkeypatch.setattr(conditional, "EACH", 20)
    flags = ["--seeds", "1", "--rounds", "2", "--keep", str(tmp_path / "runs.jsonl"), "--out", str(tmp_path / "table.md")]
    assert conditional.main(flags) == 0
    table = (tmp_path / "table.md").read_text()
    rows = {line.split(" | ")[0].strip("| "): line.split(" | ")[1:] for line in table.splitlines() if line.startswith("| ")}
    accuracy = {name: float(rows[name][0].split()[0]) for name in arms}
    assert accuracy["real images"] > 0.6 > 0.4 > accuracy["concat"]
    monkeypatch.setattr(conditional, "work", None)  # what is on file is not done again
    assert conditional.main(flags) == 0
    assert (tmp_path / "table.md").read_text() == table


def test_arms_differ_in_the_head_alone() -> None:
    configs = []
    for arm in conditional.ARMS["heads"].values():
        if arm is not None:
            recipe, preset, changes = arm
            config = vars(find_recipe(recipe).preset(preset)) | changes
            configs.append({name: value for name, value in config.items() if name != "head"})
    assert len(configs) == 3
    assert all(config == configs[0] for config in configs)


def test_spread_within_a_class_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conditional, "CLASSES", 2)
    rows = as_rows(torch.tensor([[0.0], [2.0], [5.0], [9.0]]), "rows")
    assert conditional.within(rows, torch.tensor([0, 0, 1, 1])) == pytest.approx(3.0)


def test_as_many_of_each_class(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conditional, "EACH", 3)
    images, labels = conditional.of_each_class(open_data("fashion:test", resolution=16))
    assert torch.bincount(labels).tolist() == [3] * 10
    assert images.shape == (30, 1, 16, 16)
