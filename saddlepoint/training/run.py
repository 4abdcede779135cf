"""The run folder: everything that training leaves, and all that a resumed run needs.

RUN/run.json              recipe, configuration, data, seed, budget, versions: written before round one
RUN/log.jsonl             losses and D's opinion, one line per log interval; the same in every run with the same seed
RUN/scores.jsonl          quick scores with their protocol
RUN/health.jsonl          what the health monitor said
RUN/timing.jsonl          seconds and images per second: the only file that differs between two equal runs
RUN/samples/              grids of generated samples from fixed latents, and real ones
RUN/checkpoints/          see saddlepoint.training.checkpoint
"""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Any

from saddlepoint.errors import CheckpointError, UsageError
from saddlepoint.training.checkpoint import Checkpoint, list_checkpoints, load_checkpoint
from saddlepoint.training.storage import append_line, read_lines, refusals, sync_file, truncate_lines, write_json

DETERMINISTIC = ("log.jsonl", "scores.jsonl", "health.jsonl")


class Run:
    """A run folder, opened."""

    def __init__(self, folder: Path, about: dict[str, Any]) -> None:
        self.folder, self.about = folder, about
        self._lock: int | None = None

    @classmethod
    def create(cls, folder: Path, about: dict[str, Any]) -> Run:
        """Start a new run; refuses a folder that holds anything.

        Raises:
            UsageError: if the folder exists and is not empty.
        """
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            what = "already holds a run: `saddlepoint resume` continues it" if (folder / "run.json").exists() else "exists and is not an empty folder"
            raise UsageError(f"{folder} {what}. Choose another --out or remove it.")
        with refusals(folder):
            (folder / "samples").mkdir(parents=True, exist_ok=True)
            (folder / "checkpoints").mkdir(exist_ok=True)
        write_json(folder / "run.json", about)
        return cls(folder, about)

    @classmethod
    def open(cls, folder: Path) -> Run:
        """Open an existing run.

        Raises:
            UsageError: if there is none.
        """
        file = folder / "run.json"
        if not file.exists():
            raise UsageError(f"{folder} is not a run folder: it has no run.json. `saddlepoint train RECIPE --out {folder}` makes one.")
        try:
            return cls(folder, json.loads(file.read_text(encoding="utf-8")))
        except ValueError:
            raise CheckpointError(f"{file} is damaged: it is not JSON.") from None

    def lock(self) -> None:
        """Hold the folder for this process; the system lets go when the process ends, however it ends.

        Raises:
            UsageError: if another process trains in it.
        """
        with refusals(self.folder):
            self._lock = os.open(self.folder / ".lock", os.O_CREAT | os.O_RDWR)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UsageError(f"Another process is training in {self.folder}. Wait for it or stop it.") from None

    def unlock(self) -> None:
        """Let go of the folder."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def checkpoints(self) -> list[tuple[int, Path]]:
        """Whole checkpoints, oldest first."""
        return list_checkpoints(self.folder / "checkpoints")

    def best_round(self) -> int | None:
        """Round of the best score so far, among the checkpoints that are there."""
        best = None
        kept = {round for round, _ in self.checkpoints()}
        for record in read_lines(self.folder / "scores.jsonl"):
            value = record.get(record.get("metric", ""))
            if value is not None and record["round"] in kept and (best is None or value < best[0]):
                best = (value, record["round"])
        return None if best is None else best[1]

    def find_checkpoint(self, which: str = "last") -> Path:
        """Path of a checkpoint: "last", "best" or a round.

        Raises:
            CheckpointError: if there is none such, with those there are.
        """
        found = dict(self.checkpoints())
        if not found:
            raise CheckpointError(f"{self.folder} has no checkpoint yet.")
        if which == "last":
            return found[max(found)]
        round = self.best_round() if which == "best" else int(which) if which.isdigit() else None
        if round is None or round not in found:
            raise CheckpointError(f"{self.folder} has no checkpoint {which!r}; there are {', '.join(map(str, found))}, and `last` and `best`.")
        return found[round]

    def load(self, which: str = "last") -> tuple[Checkpoint, Path]:
        """Read and check a checkpoint."""
        path = self.find_checkpoint(which)
        return load_checkpoint(path), path

    def append(self, name: str, record: dict[str, Any]) -> None:
        """Append a line to one of the run's files."""
        append_line(self.folder / name, record)

    def sync(self) -> None:
        """Flush the logs, so that a checkpoint never knows more than they do."""
        for name in DETERMINISTIC:
            sync_file(self.folder / name)

    def rewind(self, round: int) -> None:
        """Drop what was logged and drawn after a round; the resumed run writes it again."""
        for name in (*DETERMINISTIC, "timing.jsonl"):
            truncate_lines(self.folder / name, round)
        for sample in (self.folder / "samples").glob("round-*"):
            if int(sample.stem[6:14]) > round:
                sample.unlink()
