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
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from saddlepoint.errors import CheckpointError, UsageError
from saddlepoint.training.checkpoint import Checkpoint, list_checkpoints, load_checkpoint, remove_checkpoint
from saddlepoint.training.storage import append_line, make_folder, read_lines, refusals, sync_file, truncate_lines, write_json

DETERMINISTIC = ("log.jsonl", "scores.jsonl", "health.jsonl")
FOLDERS = ("samples", "checkpoints")
REQUIRED = ("recipe", "config", "data", "source", "seed", "batch", "micro_batches", "precision", "horizon", "plan")


class Run:
    """A run folder, opened."""

    def __init__(self, folder: Path, about: dict[str, Any]) -> None:
        self.folder, self.about = folder, about
        self._lock: int | None = None

    def create(self) -> None:
        """Start a new run, and hold its folder; refuses one that holds anything but what a process left that was killed while it did this.

        Raises:
            UsageError: if the folder exists and is not empty, or cannot be a folder.
            StorageError: if the disk refuses.
        """
        folder = self.folder
        self._refuse_occupied()
        make_folder(folder)
        self.lock()
        try:
            self._refuse_occupied()  # by a process that was a moment earlier
            with refusals(folder):
                for name in FOLDERS:
                    (folder / name).mkdir(exist_ok=True)
            write_json(folder / "run.json", self.about)
        except BaseException:
            self.unlock()
            raise

    def _refuse_occupied(self) -> None:
        if not self.folder.exists():
            return
        if not self.folder.is_dir():
            raise UsageError(f"{self.folder} exists and is not an empty folder. Choose another --out or remove it.")
        left = {".lock", "run.json.tmp"} | {name for name in FOLDERS if _is_empty(self.folder / name)}
        if any(path.name not in left for path in self.folder.iterdir()):
            begun = (self.folder / "run.json").exists()
            what = "already holds a run: `saddlepoint resume` continues it" if begun else "exists and is not an empty folder"
            raise UsageError(f"{self.folder} {what}. Choose another --out or remove it.")

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
            about = json.loads(file.read_text(encoding="utf-8"))
        except ValueError:
            raise CheckpointError(f"{file} is damaged: it is not JSON.") from None
        missing = [name for name in REQUIRED if name not in about] if isinstance(about, dict) else [*REQUIRED]
        if missing:
            raise CheckpointError(f"{file} is not of a saddlepoint run: it lacks {', '.join(missing)}.")
        return cls(folder, about)

    def lock(self) -> None:
        """Hold the folder for this process; the system lets go when the process ends, however it ends.

        Raises:
            UsageError: if another process trains in it.
        """
        if self._lock is not None:
            return
        with refusals(self.folder):
            descriptor = os.open(self.folder / ".lock", os.O_CREAT | os.O_RDWR)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                raise UsageError(f"Another process is training in {self.folder}. Wait for it or stop it.") from None
        self._lock = descriptor

    def unlock(self) -> None:
        """Let go of the folder."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def begin_sitting(self, about: dict[str, Any]) -> None:
        """Hold the folder, clear what a killed process left half written, and note what is new about the run (a longer plan).

        Raises:
            UsageError: if another process trains in it.
        """
        self.lock()
        with refusals(self.folder):
            for place in (self.folder, *(self.folder / name for name in FOLDERS)):
                for left in place.glob("*.tmp"):
                    shutil.rmtree(left) if left.is_dir() else left.unlink()
                place.mkdir(exist_ok=True)
        if about != self.about:
            self.about = about
            write_json(self.folder / "run.json", about)

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

    def drop_checkpoints(self, unwanted: Callable[[int], bool]) -> None:
        """Remove the checkpoints of these rounds, the oldest first."""
        for round, path in self.checkpoints():
            if unwanted(round):
                remove_checkpoint(path)

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
                with refusals(sample):
                    sample.unlink()


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())
