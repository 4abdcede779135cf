"""Windows of FASTA files."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
import torch

from saddlepoint.data.sources import open_data
from saddlepoint.errors import DataError, UsageError


def save(path: Path, *sequences: str) -> Path:
    text = "".join(f">s{k} something\n{letters[:7]}\n{letters[7:]}\n" for k, letters in enumerate(sequences))
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def texts(data: object, rows: list[int]) -> list[str]:
    words = data.spec.vocabulary  # type: ignore[attr-defined]
    return ["".join(words[number] for number in row) for row in data.records(torch.tensor(rows))["tokens"].tolist()]  # type: ignore[attr-defined]


def test_windows_stay_within_a_sequence_and_within_the_alphabet(tmp_path: Path) -> None:
    path = save(tmp_path / "a.fa.gz", "ACGTACGTaC", "GGGNGGTTTT", "AC")
    data = open_data(f"fasta:{path}?length=4&step=2")
    assert data.spec.kind == "sequence"
    assert data.spec.vocabulary == ("<end>", "A", "C", "G", "T")
    assert texts(data, [*range(len(data))]) == ["ACGT", "GTAC", "ACGT", "GTAC", "GGTT", "TTTT"]
    assert data.names[-1] == "s1 something"
    assert any("2 windows" in note for note in data.notes)
    assert any("1 of the 3 sequences" in note and "s2 something" in note for note in data.notes)
    assert data.records(torch.tensor([0]))["tokens"].dtype == torch.int64


def test_the_other_strand_is_read_backwards_in_complements(tmp_path: Path) -> None:
    data = open_data(f"fasta:{save(tmp_path / 'a.fa', 'AACCGTTA', 'CCCCGGGT')}?length=4&strands=2")
    assert texts(data, [*range(4)]) == ["AACC", "GTTA", "CCCC", "GGGT"]
    assert texts(data, [*range(4, 8)]) == ["GGTT", "TAAC", "GGGG", "ACCC"]


def test_sequences_of_one_length_need_no_length(tmp_path: Path) -> None:
    data = open_data(f"fasta:{save(tmp_path / 'a.fa', 'MKVLAAGG', 'MKVLWWGG')}?alphabet=protein")
    assert (data.spec.shape, texts(data, [1])) == ((8,), ["MKVLWWGG"])
    assert len(open_data(f"fasta:{save(tmp_path / 'b.fa', *['ACGTACGT'] * 20)}:test")) == 2


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (b"", "", "is no FASTA file"),
        (b"ACGT\n", "", "is no FASTA file"),
        (b">a\n>b\n", "", "holds names but no letters"),
        (b">a\nACGTA\n>b\nACG\n", "", r"2 sequences of 3 to 5 letters.*\?length=64"),
        (b">a\nACGTA\n>b\nACG\n", "?length=9", "gives 0 windows of 9 letters of dna.*longest sequence has 5"),
        (b">a\nACGUA\n>b\nACGUU\n", "", "2 windows hold others than ACGT"),
        (b">a\nACGT\n>b\nACGT\n", "?alphabet=latin", "alphabet is one of dna, rna, protein"),
        (b">a\nACGT\n>b\nACGT\n", "?alphabet=protein&strands=2", "strands is 1, or 2 of dna and rna"),
        (b"\x1f\x8bnonsense", "", "cannot be unpacked"),
    ],
)
def test_bad_files_and_options_are_one_line(tmp_path: Path, content: bytes, options: str, message: str) -> None:
    (tmp_path / "a.fa").write_bytes(content)
    with pytest.raises((DataError, UsageError), match=message):
        open_data(f"fasta:{tmp_path / 'a.fa'}{options}")


def test_a_missing_file_and_a_resolution(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no file"):
        open_data(f"fasta:{tmp_path / 'a.fa'}")
    with pytest.raises(UsageError, match="no resolution"):
        open_data(f"fasta:{tmp_path / 'a.fa'}", resolution=8)
