"""The study of path length regularisation, at its smallest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from saddlepoint.errors import UsageError
from saddlepoint.studies.path_length import COLUMNS, as_table, main


def test_the_command_measures_both_arms_from_the_same_weights(tmp_path: Path) -> None:
    keep, out = tmp_path / "runs.jsonl", tmp_path / "table.md"
    flags = ["--data", "digits", "--resolution", "8", "--rounds", "1", "--seeds", "1", "--paths", "4", "--keep", str(keep), "--out", str(out)]
    assert main(flags) == 0
    plain, regular = (json.loads(line) for line in keep.read_text(encoding="utf-8").splitlines())
    assert (plain["job"]["weight"], regular["job"]["weight"]) == (None, 2.0)
    assert all(plain[key] > 0 and regular[key] > 0 for key in COLUMNS)
    written = keep.read_bytes()
    assert main(flags) == 0
    assert keep.read_bytes() == written


def test_the_table_compares_seed_by_seed() -> None:
    records = [
        {"job": {"weight": w, "seed": s}} | dict.fromkeys(COLUMNS, v) for w, s, v in ((None, 0, 8.0), (2.0, 0, 4.0), (None, 1, 2.0), (2.0, 1, 3.0))
    ]
    none, two = as_table(records).splitlines()[2:]
    assert none.startswith("| none | 5 (2 to 8) |")
    assert two.endswith("| 1.00 (0.50 to 1.50) |")


def test_numbers_below_one_are_refused() -> None:
    with pytest.raises(UsageError, match="must be at least 1; 0, 3 and 2000 came"):
        main(["--rounds", "0"])
