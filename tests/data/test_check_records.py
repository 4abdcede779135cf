"""A look at points, sequences, volumes and sounds before they are used."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

from saddlepoint import api
from saddlepoint.cli.main import main


def test_sequences_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a rose is a rose\nthe sun\nthe sun\na rose is red\n", encoding="utf-8")
    found = api.check_data(f"text:{tmp_path / 'a.txt'}")
    assert (found["kind"], found["records"], found["shape"], found["lengths"], found["vocabulary"]) == ("sequence", 4, [5], [2, 4, 5], 7)
    assert [*found["commonest"].items()][:2] == [("a", 3), ("rose", 3)]
    assert found["duplicates"] == [["1", "2"]]
    assert found["recipe"] == "sequence-mle"
    assert "tokens of a record: 2 to 5, half have at most 4" in found["lines"]
    unknown = api.check_data(f"text:{tmp_path / 'a.txt'}?min_count=2")
    assert unknown["unknown"] == 1 / 13
    assert any("7.7% of the tokens are unknown" in line for line in unknown["lines"])


def test_points_volumes_and_sounds(tmp_path: Path) -> None:
    points = np.random.default_rng(0).normal(size=(30, 2)).astype(np.float32)
    points[7] = points[3]
    np.save(tmp_path / "points.npy", points)
    found = api.check_data(tmp_path / "points.npy")
    assert found["duplicates"] == [["3", "7"]]
    assert found["range"] == [float(points.min()), float(points.max())]
    assert found["recipe"] == "relativistic"
    assert any("1 records are copies of others" in line for line in found["lines"])
    np.save(tmp_path / "grids.npy", np.random.default_rng(0).random((4, 8, 8, 8)) > 0.5)
    assert api.check_data(f"voxels:{tmp_path / 'grids.npy'}")["recipe"] == "3d-gan"
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(np.arange(4000, dtype="<i2").tobytes())
    sound = api.check_data(f"audio:{tmp_path / 'a.wav'}?length=1000")
    assert (sound["kind"], sound["records"], sound["recipe"]) == ("audio", 4, None)


def test_the_command_prints_lines_and_json(tmp_path: Path, capsys: object) -> None:
    (tmp_path / "a.fa").write_text(">a\n" + "ACGT" * 40)
    assert main(["data", "check", f"fasta:{tmp_path / 'a.fa'}?length=16"]) == 0
    assert "10 records of sequence data, 16 each" in capsys.readouterr().out  # type: ignore[attr-defined]
