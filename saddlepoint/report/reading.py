"""Reading a run folder for its report: what is missing is None or empty, what is damaged is named."""

from __future__ import annotations

import io
import json
import math
import re
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from saddlepoint.errors import CheckpointError, UsageError
from saddlepoint.evaluation.health import BETTER_LOW
from saddlepoint.training.storage import read_lines

Record = dict[str, Any]
Arrays = dict[str, NDArray[np.generic]]
OPINION = ("discriminator/real", "discriminator/fake", "discriminator/separation")


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """All that a run folder tells.

    Attributes:
        about: run.json.
        log, scores, timing, health: the lines of the four logs.
        frames: (round, file) of the previews, oldest first.
        folder: of the run.
    """

    folder: Path
    about: Record
    log: list[Record] = field(default_factory=list)
    scores: list[Record] = field(default_factory=list)
    timing: list[Record] = field(default_factory=list)
    health: list[Record] = field(default_factory=list)
    frames: list[tuple[int, Path]] = field(default_factory=list)

    @property
    def metric(self) -> str | None:
        """Name of the main score, lower is better; None where there is no score."""
        for record in self.scores:
            name = record.get("metric") or next((name for name in BETTER_LOW if name in record), None)
            if isinstance(name, str):
                return name
        return None

    @property
    def best(self) -> Record | None:
        """The score record with the lowest main score."""
        metric = self.metric
        scored = [record for record in self.scores if is_number(record.get(metric or ""))]
        return min(scored, key=lambda record: float(record[metric or ""])) if scored else None


def read_run(folder: Path) -> RunRecord:
    """Read everything but the pictures.

    Raises:
        UsageError: if there is no run.json.
        CheckpointError: if run.json is damaged.
    """
    about = _read_about(folder)
    logs = {name: [line for line in read_lines(folder / f"{name}.jsonl") if isinstance(line, dict)] for name in ("log", "scores", "timing", "health")}
    found = [
        (int(match[1]), path) for path in (folder / "samples").glob("round-*") if (match := re.fullmatch(r"round-(\d+)\.(?:png|npz|txt)", path.name))
    ]
    return RunRecord(folder=folder, about=about, frames=sorted(found), **logs)


def _read_about(folder: Path) -> Record:
    """run.json as it is: a report needs none of its fields."""
    file = folder / "run.json"
    if not file.is_file():
        raise UsageError(f"A report needs a run folder; {folder} has no run.json. `saddlepoint train RECIPE --out {folder}` makes one.")
    try:
        about = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        about = None
    if not isinstance(about, dict):
        raise CheckpointError(f"A report needs a run.json that is a JSON object; {file} is damaged. Restore it from a copy of the run.")
    return about


def is_number(value: object) -> bool:
    """Whether a logged value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def curve(records: Iterable[Mapping[str, Any]], name: str) -> tuple[list[float], list[float]]:
    """Rounds and values of one logged name, where it is a finite number."""
    points = [(float(record["round"]), float(record[name])) for record in records if is_number(record.get(name)) and is_number(record.get("round"))]
    return [x for x, _ in points], [y for _, y in points]


def floor_of(record: Mapping[str, Any], name: str, metric: str | None) -> float | None:
    """What real samples score; a single number is the floor of the main score."""
    floor = record.get("floor")
    value = floor.get(name) if isinstance(floor, Mapping) else floor if name == metric else None
    return float(value) if value is not None and is_number(value) else None


def read_picture(path: Path) -> Image.Image | None:
    """A picture, or None if it is not there or cannot be read."""
    try:
        with Image.open(path) as picture:
            picture.load()
            return picture.copy()
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError):
        return None


def read_arrays(path: Path) -> Arrays | None:
    """The arrays of an .npz file, or None if it is not there or cannot be read."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
        return None
