"""Sequences written for other programs, from the files that they were learned from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

import saddlepoint
from saddlepoint.data.abc_notation import tokens_of, tunes_of
from saddlepoint.data.melody import VOCABULARY, melody
from saddlepoint.data.sources import open_data
from saddlepoint.errors import DataError, UsageError
from saddlepoint.report.sequences import write_sequences

TUNES = "".join(
    f"X:{k}\nT:tune\nM:2/4\nL:1/8\nK:{key}\n|: D2 E F | G A {note} d :|\n\n" for k, (key, note) in enumerate(["DB", "GB", "Dc", "Gc"] * 5)
)
SMALL: dict[str, Any] = {"steps": 2, "batch": 4, "device": "cpu"}


@pytest.fixture(scope="module")
def tunes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tunes")
    (folder / "a.abc").write_bytes(TUNES[: len(TUNES) // 2].encode())
    (folder / "b.abc").write_bytes(TUNES[len(TUNES) // 2 :].replace("T:tune", "T:tún").encode("latin-1"))
    return folder


def test_tunes_of_a_folder_are_records(tunes: Path) -> None:
    data = open_data(f"abc:{tunes}")
    assert len(data) >= 18
    assert {"K:D", "K:G", "|:", ":|", "D2"} <= set(data.spec.vocabulary)


def test_a_run_on_tunes_writes_abc_and_midi(tunes: Path, tmp_path: Path) -> None:
    run = saddlepoint.train("sequence-mle", data=f"abc:{tunes}", out=tmp_path / "run", **SMALL)
    saddlepoint.sample(run.folder, num=3, out=tmp_path / "s.abc")
    written = (tmp_path / "s.abc").read_text(encoding="utf-8")
    assert re.findall(r"^X:(\d)$", written, re.MULTILINE) == ["1", "2", "3"]
    with pytest.raises(UsageError, match=r"written as .txt, .abc, .mid, .midi, .musicxml, .npy or .npz; s.fasta was asked for"):
        saddlepoint.sample(run.folder, num=1, out=tmp_path / "s.fasta")


def test_tunes_are_written_as_they_were(tunes: Path, tmp_path: Path) -> None:
    data = open_data(f"abc:{tunes}")
    lines = [" ".join(tokens_of(tune)) for _, tune in tunes_of((tunes / "a.abc").read_text(encoding="utf-8"))]
    write_sequences(lines, data.spec.vocabulary, data.spec.name, tmp_path / "new" / "out.abc")
    assert [" ".join(tokens_of(tune)) for _, tune in tunes_of((tmp_path / "new" / "out.abc").read_text(encoding="utf-8"))] == lines
    write_sequences([*lines[:2], "(3 (3 [K:?] |1 >"], data.spec.vocabulary, data.spec.name, tmp_path / "out.mid")
    notes = [VOCABULARY[token] for token in melody(tmp_path / "out.mid", 2)]
    assert notes[:8] == ["D4", "-", "E4", "F#4", "G4", "A4", "B4", "D5"]


def test_other_keys_are_an_augmentation(tunes: Path, tmp_path: Path) -> None:
    name = f"abc:{tunes}?transpose=2"
    data = open_data(name)
    record = data.records(torch.tensor([0]))
    assert record["transposed"].shape == (1, 4, data.spec.shape[0])
    keys = {data.spec.vocabulary[each] for each in record["transposed"][0, :, 2].tolist()}
    assert len(keys) == 4
    run = saddlepoint.train("sequence-mle", data=name, out=tmp_path / "run", augment_data=("transpose",), **SMALL)
    assert run.folder.exists()
    with pytest.raises(UsageError, match=r"transpose needs the field 'transposed'.*abc:PATH\?transpose=5"):
        saddlepoint.train("sequence-mle", data=f"abc:{tunes}", out=tmp_path / "other", augment_data=("transpose",), **SMALL)


def test_letters_become_fasta(tmp_path: Path) -> None:
    (tmp_path / "a.fa").write_text(">one\n" + "ACGT" * 200)
    run = saddlepoint.train("sequence-mle", data=f"fasta:{tmp_path / 'a.fa'}?length=70&step=2", out=tmp_path / "run", **SMALL)
    tokens = saddlepoint.sample(run.folder, num=2, out=tmp_path / "s.fasta")
    names, *rest = (tmp_path / "s.fasta").read_text(encoding="utf-8").split("\n", 1)
    assert names == ">sample-1"
    again = re.sub(r"\n", "", rest[0].partition(">sample-2\n")[0])
    whole = "".join(" ACGT"[token] for token in tokens[0].tolist()).partition(" ")[0]
    assert again == whole


def test_an_empty_folder_and_a_folder_of_other_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no .abc file in"):
        open_data(f"abc:{tmp_path}")
    (tmp_path / "a.abc").write_text("words, no tune\n")
    with pytest.raises(DataError, match="holds no notes, bars and marks"):
        open_data(f"abc:{tmp_path}")
