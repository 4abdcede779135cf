"""The study of shapes: its scores, its tables and picture, continuing where it was stopped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from saddlepoint.errors import UsageError
from saddlepoint.studies import shapes
from saddlepoint.studies.shapes import ARMS, compare, main, opened


def test_scores_of_what_is_known() -> None:
    held_out = torch.zeros(3, 1, 4, 4, 4)
    for i in range(3):
        held_out[i, 0, i] = 1  # three slabs
    samples = torch.cat([held_out[:1], held_out[:1], held_out[:1]])
    found = compare(samples, held_out, held_out[1:])
    assert found == {"mmd": pytest.approx(2 / 3), "coverage": pytest.approx(1 / 3), "nearest": 0.0, "connected": 1.0}


def rows_of(table: Path) -> list[str]:
    lines = table.read_text(encoding="utf-8").splitlines()
    return [cell for cell in (line.split("|")[1].strip() for line in lines if line.startswith("|")) if cell not in ("", "---")]


def test_the_command_keeps_what_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On blocks of three sizes that have pictures."""
    rng, whole = np.random.default_rng(0), np.zeros((40, 16, 16, 16), np.uint8)
    for row in range(40):
        whole[row, 4:12, : 4 + 4 * (row % 3), 4:12] = 1
    pictures = (whole.max(1)[:, None] * 200 + rng.integers(0, 20, (40, 1, 16, 16))).astype(np.uint8).repeat(3, 1)
    np.savez(tmp_path / "blocks.npz", volumes=whole, images=pictures)
    keep, table, picture = tmp_path / "runs.jsonl", tmp_path / "table.md", tmp_path / "picture.png"
    flags = ["--questions", "samples", "pictures", "--data", f"voxels:{tmp_path / 'blocks.npz'}", "--seeds", "1", "--rounds", "1"]
    flags += ["--keep", str(keep), "--out", str(table), "--picture", str(picture)]
    assert main(flags) == 0
    first = table.read_text(encoding="utf-8")
    assert rows_of(table) == [*ARMS["samples"], *ARMS["pictures"]] and picture.stat().st_size > 1000
    near = next(line for line in first.splitlines() if line.startswith("| nearest picture"))
    assert near.split("|")[2:4] == [" 1.000 ", " 1.000 "], "blocks of one size have like pictures"
    monkeypatch.setattr(shapes, "work", lambda job: pytest.fail("done already"))
    assert main(flags) == 0
    assert table.read_text(encoding="utf-8").split("\n\n")[1:] == first.split("\n\n")[1:]
    assert len(keep.read_text().splitlines()) == len(ARMS["samples"]) + len(ARMS["pictures"])


def test_records_with_a_word_in_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    from saddlepoint.data.sources import open_data

    data = open_data("shapes3d", resolution=16)
    data.names = tuple("Oak Chair" if row % 2 else "Lamp" for row in range(len(data)))
    monkeypatch.setattr(shapes, "open_data", lambda name, resolution: data)
    train, held_out = opened({"data": "any", "words": ["chair"]})
    assert (len(train), len(held_out)) == (900, 300) and set(train.names) == {"Oak Chair"}
    with pytest.raises(UsageError, match="0 records of any have horse in their names; 32 are needed"):
        opened({"data": "any", "words": ["horse"]})
