"""The study of 3D-GAN's gate: its scores, its table and picture, continuing where it was stopped."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from saddlepoint.studies import shapes
from saddlepoint.studies.shapes import ARMS, compare, main


def test_scores_of_what_is_known() -> None:
    held_out = torch.zeros(3, 1, 4, 4, 4)
    for i in range(3):
        held_out[i, 0, i] = 1  # three slabs
    samples = torch.cat([held_out[:1], held_out[:1], held_out[:1]])
    found = compare(samples, held_out, held_out[1:])
    assert found == {"mmd": pytest.approx(2 / 3), "coverage": pytest.approx(1 / 3), "nearest": 0.0, "connected": 1.0}


def test_the_command_keeps_what_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep, table, picture = tmp_path / "runs.jsonl", tmp_path / "table.md", tmp_path / "picture.png"
    flags = ["--seeds", "1", "--rounds", "2", "--keep", str(keep), "--out", str(table), "--picture", str(picture)]
    assert main(flags) == 0
    first = table.read_text(encoding="utf-8")
    rows = [line.split("|")[1].strip() for line in first.splitlines() if line.startswith("|")]
    assert rows[2:] == ["real", *ARMS] and picture.stat().st_size > 1000
    monkeypatch.setattr(shapes, "work", lambda job: pytest.fail("done already"))
    assert main(flags) == 0
    assert table.read_text(encoding="utf-8").split("\n\n")[1] == first.split("\n\n")[1] and len(keep.read_text().splitlines()) == 1 + len(ARMS)
