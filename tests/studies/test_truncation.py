"""The truncation curve: of a small trained run by the command, and its table and picture from known scores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import saddlepoint
from saddlepoint.studies.truncation import as_table, draw, main, truncation_curve


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("truncation") / "run"
    settings: dict[str, Any] = {"width": 2, "shared_dim": 4, "latent_dim": 6, "batch": 16, "resolution": 8, "attention": (), "standing_passes": 2}
    saddlepoint.train("biggan", data="digits", preset="small", steps=1, out=folder, device="cpu", **settings)
    return folder


def test_the_command(run: Path, tmp_path: Path) -> None:
    table, picture = tmp_path / "table.md", tmp_path / "curve.png"
    flags = ["--num", "64", "--at", "0.5", "1.5", "--metrics", "fd", "precision-recall", "--out", str(table), "--picture", str(picture)]
    assert main([str(run), *flags]) == 0
    lines = table.read_text(encoding="utf-8").splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["0.5", "1.5", "none", "real data"]
    assert lines[0].startswith("| truncation (64 samples against 64 of digits, quick) | Frechet distance | precision | recall |")
    assert picture.stat().st_size > 5000
    kept = [json.loads(line) for line in (run / "evaluations.jsonl").read_text().splitlines()]
    assert [record["protocol"]["truncation"] for record in kept] == [0.5, 1.5, "none"]


def test_each_truncation_gives_samples_of_its_own(run: Path) -> None:
    points = truncation_curve(run, [1.0, 0.1, 1.0], metrics=["fd"], num=40)
    assert [point["truncation"] for point in points] == [0.1, 1.0, None]
    assert len({point["scores"]["fd"]["value"] for point in points}) == 3


def test_table_and_picture_of_known_scores(tmp_path: Path) -> None:
    def point(truncation: float | None, fd: float, error: float | None) -> dict[str, Any]:
        entry = {"value": fd, "error": error, "floor": 0.25, "better": "lower"}
        return {"truncation": truncation, "scores": {"fd": entry}, "protocol": {"data": "clouds", "num_fake": 2000, "num_real": 3000}}

    points = [point(0.5, 12.345, 0.678), point(None, 3.0, None)]
    assert as_table(points).splitlines() == [
        "| truncation (2,000 samples against 3,000 of clouds, points) | Frechet distance |",
        "| --- | --- |",
        "| 0.5 | 12.3 ± 0.7 |",
        "| none | 3 |",
        "| real data | 0.25 |",
    ]
    draw(points, tmp_path / "curve.png")
    assert (tmp_path / "curve.png").stat().st_size > 2000
