"""The study of overlapping classes: its data, one run, its table and picture, continuing where it was stopped."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from saddlepoint.studies import class_bias
from saddlepoint.studies.class_bias import ARMS, RECORDS, as_table, main, overlapping


def test_the_classes_are_what_they_are_said_to_be() -> None:
    records = overlapping(2.5).records(torch.arange(RECORDS))
    for label, (mean, std) in enumerate([(0.0, 1.0), (2.5, 2.0), (5.0, 3.0)]):
        points = records["point"][records["label"] == label]
        assert points.shape == (RECORDS // 3, 1)
        assert points.mean().item() == pytest.approx(mean, abs=0.06) and points.std().item() == pytest.approx(std, rel=0.03)


def test_the_command_keeps_what_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(class_bias, "SAMPLES", 100)
    keep, table, picture = tmp_path / "runs.jsonl", tmp_path / "table.md", tmp_path / "picture.png"
    flags = ["--distances", "2", "--seeds", "1", "--rounds", "2", "--width", "4", "--keep", str(keep), "--out", str(table), "--picture", str(picture)]
    assert main(flags) == 0
    first = table.read_text(encoding="utf-8")
    assert [line.split("|")[2].strip() for line in first.splitlines()[2:]] == [*ARMS] and picture.stat().st_size > 5000
    monkeypatch.setattr(class_bias, "work", lambda job: pytest.fail("done already"))
    assert main(flags) == 0
    assert table.read_text(encoding="utf-8") == first and len(keep.read_text().splitlines()) == len(ARMS)


def test_the_table_is_mean_least_and_most() -> None:
    def record(seed: int, std: list[float]) -> dict:
        return {"job": {"arm": "projection", "d": 2.0, "seed": seed}, "std": std, "distance": [0.1, 0.2, 0.3]}

    lines = as_table([record(0, [1.0, 1.0, 3.0]), record(1, [0.5, 2.0, 1.5])]).splitlines()
    assert lines[2] == "| 2 | projection | 0.75 (0.50 to 1.00) | 0.75 (0.50 to 1.00) | 0.75 (0.50 to 1.00) | 0.20 (0.20 to 0.20) |"
