"""Every study is a command: what a user did wrong is one line and an exit status, not a traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import saddlepoint.studies
from saddlepoint.errors import UsageError
from saddlepoint.studies.pool import answered


def test_a_mistake_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def wrong() -> None:
        raise UsageError("At least 1 seed is needed.")

    assert answered(wrong) == 2
    assert capsys.readouterr().err == "saddlepoint: error: At least 1 seed is needed.\n"
    assert answered(lambda: None) == 0


def test_every_command_answers_so() -> None:
    folder = Path(str(saddlepoint.studies.__file__)).parent  # footprint is what `bench` starts, and no command of its own
    commands = [path.name for path in folder.glob("*.py") if path.name != "footprint.py" and '__name__ == "__main__"' in path.read_text()]
    assert len(commands) > 30
    assert [name for name in commands if "raise SystemExit(answered(main))" not in (folder / name).read_text()] == []


def test_no_seeds_are_refused() -> None:
    found = subprocess.run([sys.executable, "-m", "saddlepoint.studies.rates", "--seeds", "0"], capture_output=True, text=True, check=False)
    assert found.returncode == 2 and "a whole number from 1 on is needed; 0 came" in found.stderr and "Traceback" not in found.stderr
