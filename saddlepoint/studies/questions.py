"""A study of several questions, each with arms and scores: its flags, its runs, its tables."""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saddlepoint.data.records import Dataset
from saddlepoint.draws import derive_seed
from saddlepoint.studies.play import play
from saddlepoint.studies.pool import Job, Record, at_least_one, run_missing, write_text
from saddlepoint.zoo.catalogue import find_recipe

Arm = tuple[str, str, dict[str, Any]]  # recipe, preset, changes of its settings


@dataclass(frozen=True, kw_only=True)
class Questions:
    """What a study asks.

    Attributes:
        name: of its module.
        about: what it is, in a line.
        arms: question -> names of its arms.
        rounds: question -> rounds of a run.
        scores: question -> names of what is measured.
        work: a function of a module; a job with "question", "arm", "seed" and "rounds" -> {"scores": name -> value or None, ...}.
        pictures: question -> a function of its records that draws them into a PNG file.
        notes: question -> a function of its records that writes Markdown beneath its table.
    """

    name: str
    about: str
    arms: Mapping[str, Collection[str]]
    rounds: Mapping[str, int]
    scores: Mapping[str, Sequence[str]]
    work: Callable[[Job], Record]
    pictures: Mapping[str, Callable[[Sequence[Record], Path], None]] = field(default_factory=dict)
    notes: Mapping[str, Callable[[Sequence[Record]], str]] = field(default_factory=dict)


Watch = Callable[[Any, int], None]
Listener = Callable[[int, dict[str, Tensor]], None]


def trained(arm: Arm, data: Dataset, rounds: int, seed: int, *, watch: Watch | None = None, every: int = 0, record: Listener | None = None) -> Any:
    """The game of an arm after its training, in evaluation mode.

    Args:
        arm: recipe, preset, changes of its settings.
        data: real records.
        rounds: of the run, unless the arm names its own; schedules are stretched over them.
        seed: of everything random.
        watch: called with (game, round) before the first round (0) and after every ``every``-th.
        every: rounds between two calls; 0: all.
        record: called with (round, values) after each turn, from round 1.
    """
    name, preset, own = arm
    entry = find_recipe(name)
    config: Any = dataclasses.replace(entry.preset(preset), **({"rounds": rounds} | own))
    prepared = entry.prepare(config, data) if entry.prepare else data
    torch.manual_seed(derive_seed(seed, "initialisation"))
    game = entry.game(config, prepared)
    look = None if watch is None else lambda done: watch(game, done)
    with torch.enable_grad():
        play(game, prepared, rounds=config.rounds, batch=config.batch, seed=seed, every=every or config.rounds, watch=look, record=record)
    return game.eval()


def answer(study: Questions, arguments: list[str] | None = None) -> int:
    """Read the flags, measure what is missing, write a table a question."""
    parser = argparse.ArgumentParser(prog=f"python -m saddlepoint.studies.{study.name}", description=study.about)
    parser.add_argument("--questions", nargs="+", choices=[*study.arms], default=[*study.arms])
    parser.add_argument("--seeds", type=at_least_one, default=3)
    parser.add_argument("--rounds", type=at_least_one, help="of every run; left out: a number of the question's own")
    parser.add_argument("--processes", type=at_least_one, default=1)
    parser.add_argument("--keep", type=Path, help="file of finished runs; left out: none are kept")
    parser.add_argument("--out", type=Path, help="Markdown file; left out: to the screen")
    if study.pictures:
        parser.add_argument("--pictures", type=Path, help=f"folder of PNG files, one of each: {', '.join(study.pictures)}; left out: none are drawn")
    given = parser.parse_args(arguments)
    rounds = {question: given.rounds or study.rounds[question] for question in given.questions}
    jobs = [
        {"question": question, "arm": arm, "seed": seed, "rounds": rounds[question]}
        for question in given.questions
        for seed in range(given.seeds)
        for arm in study.arms[question]
    ]
    with tempfile.TemporaryDirectory() as aside:
        records = run_missing(study.work, jobs, given.keep or Path(aside) / "runs.jsonl", processes=given.processes)
    of = {question: [record for record in records if record["job"]["question"] == question] for question in given.questions}
    parts = [f"{question}, {rounds[question]} rounds\n\n{as_table(study, of[question], question)}" for question in of]
    notes = [f"\n{study.notes[question](of[question])}\n" if question in study.notes else "" for question in of]
    write_text("\n".join(part + note for part, note in zip(parts, notes, strict=True)), given.out)
    for question, draw in study.pictures.items():
        if given.pictures is not None and question in of:
            given.pictures.mkdir(parents=True, exist_ok=True)
            draw(of[question], given.pictures / f"{study.name}-{question}.png")
    return 0


def as_table(study: Questions, records: Sequence[Record], question: str) -> str:
    """A row an arm: its scores, mean over the seeds with least and most."""
    scores = study.scores[question]
    lines = ["| " + " | ".join(["arm", *scores]) + " |", "|" + " --- |" * (1 + len(scores))]
    for arm in study.arms[question]:
        own = [record["scores"] for record in records if record["job"]["question"] == question and record["job"]["arm"] == arm]
        if own:
            lines.append("| " + " | ".join([arm, *(spread([each[name] for each in own]) for name in scores)]) + " |")
    return "\n".join(lines) + "\n"


def spread(values: Sequence[float | None]) -> str:
    """Mean, least and most; empty where the arm has no such score.

    >>> spread([1.0, 2.0]), spread([None])
    ('1.5 (1 to 2)', '')
    """
    known = [value for value in values if value is not None]
    return f"{np.mean(known):.3g} ({min(known):.3g} to {max(known):.3g})" if known else ""
