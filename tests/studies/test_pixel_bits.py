"""The study of bits per dimension."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from saddlepoint.studies import pixel_bits


def test_it_measures_every_arm(capsys: pytest.CaptureFixture[str]) -> None:
    assert pixel_bits.main(["--rounds", "4", "--seeds", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["job"]["arm"] for row in found["rows"]] == [*pixel_bits.ARMS]
    assert found["rows"][0]["agreement"] is None
    assert all(row["best"] <= row["bits"] < 2 for row in found["rows"])
    assert all(0 <= row["agreement"] <= 1 for row in found["rows"][1:])
    text = pixel_bits.table(found["rows"], found["independent_bits"], found["nearest_agrees"])
    assert text.count("\n| ") == 2 + len(pixel_bits.ARMS)
    assert found["nearest_agrees"] > 0.9


def test_other_images_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flags = ["--data", "fashion", "--rounds", "1", "--seeds", "1", "--arms", "given the class", "--width", "2", "--held-out", "5", "--looks", "1"]
    flags += ["--keep", str(tmp_path / "runs.jsonl"), "--out", str(tmp_path / "table.md")]
    monkeypatch.setattr(pixel_bits, "AT_ONCE", 2)
    monkeypatch.setattr(pixel_bits, "KNOWN", 50)
    assert pixel_bits.main(flags) == 0
    assert "| given the class | " in (tmp_path / "table.md").read_text()
    monkeypatch.setattr(pixel_bits, "work", None)  # what is on file is not done again
    assert pixel_bits.main(flags) == 0


def test_independent_pixels() -> None:
    train = torch.tensor([[1.0, -1.0], [1.0, -1.0]])  # white with 3/4 and 1/4
    assert pixel_bits.bernoulli_bits(train, torch.tensor([[1.0, -1.0]])) == pytest.approx(0.4150375)
    assert pixel_bits.bernoulli_bits(train, torch.tensor([[-1.0, -1.0]])) == pytest.approx((2 + 0.4150375) / 2)
