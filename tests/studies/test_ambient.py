"""The study of AmbientGAN against its baselines: one run, its table and picture, continuing where it was stopped."""

from __future__ import annotations

from pathlib import Path

import pytest

from saddlepoint.studies import ambient
from saddlepoint.studies.ambient import main


def test_the_command_keeps_what_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ambient, "REAL", 40)
    monkeypatch.setattr(ambient, "FAKE", 20)
    ambient.judges.cache_clear()
    keep, table, picture = tmp_path / "runs.jsonl", tmp_path / "table.md", tmp_path / "picture.png"
    flags = ["--drop", "0.5", "--seeds", "1", "--rounds", "1", "--width", "2", "--keep", str(keep), "--out", str(table), "--picture", str(picture)]
    assert main(flags) == 0
    first = table.read_text(encoding="utf-8")
    rows = [line.split("|")[2].strip() for line in first.splitlines() if line.startswith("|")]
    assert rows[2:] == ["real images", "whole images", "ambient", "ignore", "blur"] and picture.stat().st_size > 1000
    monkeypatch.setattr(ambient, "work", lambda job: pytest.fail("done already"))
    assert main(flags) == 0
    assert table.read_text(encoding="utf-8").split("\n\n")[1] == first.split("\n\n")[1] and len(keep.read_text().splitlines()) == 4
    monkeypatch.undo()
    monkeypatch.setattr(ambient, "REAL", 40)
    monkeypatch.setattr(ambient, "FAKE", 20)
    ambient.judges.cache_clear()
    others = ["--measurements", "block-patch:size=10", "--unmeasure", "telea", "inpaint", "--seeds", "1", "--rounds", "1", "--width", "2"]
    assert main([*others, "--out", str(table)]) == 0
    lines = [[cell.strip() for cell in line.split("|")[1:3]] for line in table.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    assert lines[4:] == [["block-patch:size=10", method] for method in ("ambient", "ignore", "telea", "inpaint")]
    ambient.judges.cache_clear()
