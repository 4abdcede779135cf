"""Metz et al. 2017 (arXiv:1611.02163): the ring of eight Gaussians for 0, 1, 5 and 10 unrolled steps, and as many extra steps of D instead.

The constants are those of the authors' demonstration (batch 512, 25,000 rounds), but for the length and the batch that are asked for. The control
arms tell a generator that sees D's future from one that plays a D trained more.
"""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import torch

from saddlepoint.data.sources import open_data
from saddlepoint.data.toys import ToyDataset
from saddlepoint.draws import derive_seed
from saddlepoint.errors import NotFiniteError
from saddlepoint.evaluation.samples import draw_samples
from saddlepoint.studies.play import play
from saddlepoint.studies.pool import run_missing
from saddlepoint.studies.toyruns import SAMPLES, measure
from saddlepoint.zoo.catalogue import find_recipe

DATA = "ring8-unrolled"
STEPS = (0, 1, 5, 10)
EXTRA = (5, 10)
LOOKS = 10


def unrolled_run(job: dict[str, Any]) -> dict[str, Any]:
    """One run.

    Args:
        job: "unroll_steps" K, "d_steps" of a round, "seed", "rounds"; and "settings", other changes of the recipe's preset.
    Returns:
        "looks": modes, high quality and distance on the way; "cpu_sec"; "stopped".
    """
    recipe, data = find_recipe("unrolled"), open_data(DATA)
    assert isinstance(data, ToyDataset)
    changes = {"unroll_steps": job["unroll_steps"], "d_steps": job["d_steps"], "rounds": job["rounds"]} | job["settings"]
    config = dataclasses.replace(recipe.preset("paper"), **changes)
    torch.manual_seed(derive_seed(job["seed"], "initialisation"))
    game = recipe.game(config, data)
    looks: list[dict[str, Any]] = []
    began, stopped = time.process_time(), None

    def look(done: int) -> None:
        looks.append({"round": done} | measure(draw_samples(game, SAMPLES, seed=job["seed"]).numpy(), data))  # type: ignore[arg-type]

    try:
        play(game, data, rounds=config.rounds, batch=config.batch, seed=job["seed"], every=max(1, config.rounds // LOOKS), watch=look)
    except NotFiniteError as error:
        stopped = str(error).partition(". ")[0]
    return {"looks": looks, "cpu_sec": round(time.process_time() - began, 1), "stopped": stopped}


def jobs(rounds: int, batch: int, seeds: int) -> list[dict[str, Any]]:
    """All arms before the next seed."""
    arms = [(steps, 1) for steps in STEPS] + [(0, 1 + extra) for extra in EXTRA]
    return [
        {"study": "unrolled", "unroll_steps": steps, "d_steps": d_steps, "seed": seed, "rounds": rounds, "settings": {"batch": batch}}
        for seed in range(seeds)
        for steps, d_steps in arms
    ]


def name_of(job: dict[str, Any]) -> str:
    """The arm in words."""
    return f"unrolled {job['unroll_steps']}" if job["d_steps"] == 1 else f"not unrolled, {job['d_steps'] - 1} extra steps of D"


def unrolled_study(path: Path, *, rounds: int, batch: int, seeds: int = 3, processes: int = 1) -> dict[str, list[dict[str, Any]]]:
    """Every arm's runs, by name; finished ones are kept in ``path``."""
    found: dict[str, list[dict[str, Any]]] = {}
    for record in run_missing(unrolled_run, jobs(rounds, batch, seeds), path, processes=processes):
        found.setdefault(name_of(record["job"]), []).append(record)
    return found
