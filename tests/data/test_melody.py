"""Melodies of scores, there and back."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from saddlepoint.data.melody import FIRST, LOWEST, VOCABULARY, melody, score_of, shifted
from saddlepoint.data.sources import open_data
from saddlepoint.errors import DataError, UsageError

TUNE = ["C4", "-", "E4", "r", "r", "G4", "G4", "-", "-", "A4"]


music21: Any = importlib.import_module("music21")


def save(path: Path, *notes: Any) -> None:
    music21.stream.Score([music21.stream.Part(notes)]).write("midi", path)


def words(tokens: list[int]) -> list[str]:
    return [VOCABULARY[token] for token in tokens]


@pytest.mark.parametrize("form", ["midi", "musicxml"])
def test_a_melody_is_written_and_read_again(tmp_path: Path, form: str) -> None:
    path = tmp_path / ("a.mid" if form == "midi" else "a.musicxml")
    score_of([TUNE, TUNE], grid=2).write(form, path)
    assert words(melody(path, 2)) == [*TUNE, *["r"] * 8, *TUNE]


def test_the_highest_note_is_the_melody(tmp_path: Path) -> None:
    save(tmp_path / "a.mid", music21.chord.Chord(["C3", "C5"], quarterLength=1), music21.note.Note("B4", quarterLength=0.5))
    assert words(melody(tmp_path / "a.mid", 2)) == ["C5", "-", "B4"]


def test_scores_become_records(tmp_path: Path) -> None:
    for name in ("jig", "reel"):
        (tmp_path / name).mkdir()
        score_of([TUNE * 4], grid=2).write("midi", tmp_path / name / "a.mid")
    data = open_data(f"midi:{tmp_path}?length=10")
    assert data.spec.kind == "sequence"
    assert data.spec.vocabulary[0] == "<end>"
    assert len(data.spec.vocabulary) == 91
    assert data.spec.class_names == ("jig", "reel")
    found = data.records(torch.arange(len(data)))["tokens"]
    assert found.dtype == torch.int64
    assert [words(row) for row in found.tolist()] == [TUNE] * 8


def test_shifting_stays_on_the_keyboard() -> None:
    tokens = torch.tensor([[FIRST, 1, 2, FIRST + 40], [len(VOCABULARY) - 1, 0, 1, FIRST]])
    found = shifted(tokens, torch.tensor([-3, 5]))
    assert found.tolist() == [[FIRST + 9, 1, 2, FIRST + 37], [len(VOCABULARY) - 8, 0, 1, FIRST + 5]]
    assert VOCABULARY[FIRST + 60 - LOWEST] == "C4"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # music21 leaves a damaged file open
def test_bad_scores_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.mid").write_bytes(b"MThd")
    with pytest.raises(DataError, match=r"1 of the 1 scores in .* cannot be read: a.mid \("):
        open_data(f"midi:{tmp_path}")
    save(tmp_path / "a.mid", music21.note.Rest(quarterLength=4))
    with pytest.raises(DataError, match=r"a.mid \(it has no notes between A0 and C8\)"):
        open_data(f"midi:{tmp_path}")
    score_of([TUNE], grid=2).write("midi", tmp_path / "a.mid")
    with pytest.raises(DataError, match="gives 0 records of 32 places"):
        open_data(f"midi:{tmp_path}")
    with pytest.raises(UsageError, match="no resolution"):
        open_data(f"midi:{tmp_path}", resolution=8)
    monkeypatch.setitem(sys.modules, "music21", None)
    with pytest.raises(UsageError, match=r"pip install 'saddlepoint\[music\]'"):
        open_data(f"midi:{tmp_path}?grid=3")
