"""Train a recipe on data into a run folder, and go on with one."""

from __future__ import annotations

import contextlib
import dataclasses
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from saddlepoint.config import from_json, to_json
from saddlepoint.data.records import Dataset
from saddlepoint.data.sources import open_data
from saddlepoint.draws import derive_seed
from saddlepoint.errors import UsageError
from saddlepoint.games.adversarial import AdversarialConfig
from saddlepoint.games.game import Game
from saddlepoint.training import machine
from saddlepoint.training.memory import check_memory, overflows
from saddlepoint.training.plan import Plan
from saddlepoint.training.run import Run
from saddlepoint.training.session import Session
from saddlepoint.training.together import Group, together
from saddlepoint.training.trainer import Trainer, TrainerConfig
from saddlepoint.training.watchers import make_watchers
from saddlepoint.verbs.choosing import Length, configure, default_preset, holds_points, make_plan
from saddlepoint.verbs.using import load_game, report
from saddlepoint.zoo.catalogue import Recipe, find_recipe

Show = Callable[[dict[str, Any]], None]


def train(
    recipe: str,
    *,
    data: str,
    out: str | Path,
    preset: str | None = None,
    config: AdversarialConfig | None = None,
    steps: int | None = None,
    minutes: float | None = None,
    kimg: float | None = None,
    seed: int = 0,
    device: str = "auto",
    micro_batches: int = 1,
    precision: machine.Precision = "32-true",
    data_root: str | Path | None = None,
    keep_every: int = 0,
    plan: Plan | None = None,
    show: Show | None = None,
    **settings: Any,
) -> Run:
    """Train a recipe on data into a new run folder.

    Args:
        recipe: name in the catalogue.
        data: name of a shipped or known data set, or a path.
        out: the run folder; must not hold anything.
        preset: "paper", "small", ...; None: "toy" for points, "small" for images.
        config: a whole configuration in place of a preset.
        steps: rounds. At most one of steps, minutes and kimg is given; none of them means the preset's own length.
        minutes: of training.
        kimg: thousands of real images.
        seed: of everything random.
        device: "auto", "cpu", "cuda" or "mps".
        micro_batches: pieces that each batch is computed in; the result is the same.
        precision: of the computation.
        data_root: where downloaded data sets are.
        keep_every: checkpoints at multiples of this many rounds are made and kept, beside the last two and the best; 0 none.
        plan: how often to log, draw, score and save; None chooses from the length.
        show: called with each log record, score and health finding.
        settings: changes to the preset, by name.
    Returns:
        The run, finished.
    Raises:
        SaddlepointError: one of saddlepoint.errors, for everything that a user can mend.
    """
    fabric = machine.start_fabric(device, precision)
    with together(fabric) as group:  # from here on what one process finds wrong ends all
        entry = find_recipe(recipe)
        length = Length(steps=steps, minutes=minutes, kimg=kimg)
        if micro_batches < 1 or keep_every < 0:
            raise UsageError(f"micro_batches must be at least 1 and keep_every at least 0; they are {micro_batches} and {keep_every}.")
        preset = preset or default_preset(entry, data)
        config = _settle(entry, preset, config, settings, data)
        root = None if data_root is None else Path(data_root)
        dataset = open_data(data, resolution=config.resolution, root=root)
        horizon = length.horizon(config)
        if not length.limits():
            length = Length(steps=config.rounds)
        plan = plan or make_plan(length, horizon, keep_every)
        about = _describe(entry, preset, config, dataset, seed) | {
            "source": {"name": data, "resolution": config.resolution, "root": None if root is None else str(root)},
            "micro_batches": micro_batches,
            "precision": precision,
            "horizon": horizon,
            "plan": to_json(plan),
            "budget": vars(length),
        }
        torch.manual_seed(derive_seed(seed, "initialisation"))
        prepared = entry.prepare(config, dataset) if entry.prepare else dataset
        game = entry.game(config, prepared)
        check_memory(game, prepared, batch=config.batch, pieces=micro_batches * fabric.world_size, device=fabric.device)
        run = Run(Path(out), about)
        group.lead(run.create)
        return _sit(run, game, prepared, group, plan, None, show)


def _settle(entry: Recipe, preset: str, config: AdversarialConfig | None, settings: dict[str, Any], data: str) -> AdversarialConfig:
    """The whole configuration: a preset with changes, or the one given; points have no resolution."""
    if config is None:
        config = configure(entry, preset, settings)
    elif settings:
        raise UsageError("Give a whole config or single settings, not both.")
    return dataclasses.replace(config, resolution=None) if holds_points(data) and "resolution" not in settings else config


def _describe(entry: Recipe, preset: str, config: AdversarialConfig, data: Dataset, seed: int) -> dict[str, Any]:
    """What a run's description says of the recipe, the data, the command and the machine."""
    by_command = bool(sys.argv) and Path(sys.argv[0]).name in ("saddlepoint", "__main__.py")
    return {
        "recipe": entry.name,
        "title": entry.title,
        "paper": entry.paper,
        "year": entry.year,
        "url": entry.url,
        "preset": preset,
        "config": to_json(config),
        "data": to_json(data.spec),
        "command": shlex.join(["saddlepoint", *sys.argv[1:]]) if by_command else "saddlepoint.train(...)",
        "seed": seed,
        "batch": config.batch,
        "versions": machine.versions(),
        "commit": machine.commit(),
        "hardware": machine.hardware(),
    }


def resume(
    run: str | Path,
    *,
    checkpoint: str = "last",
    steps: int | None = None,
    minutes: float | None = None,
    kimg: float | None = None,
    device: str = "auto",
    show: Show | None = None,
) -> Run:
    """Continue a run from a checkpoint as if it had never stopped.

    Args:
        run: the run folder.
        checkpoint: "last", "best" or a round; what came after it is dropped.
        steps: a new end in rounds; likewise minutes and kimg. None keeps the old end.
        minutes: of training, all sittings together.
        kimg: thousands of real images, all sittings together.
        device: "auto", "cpu", "cuda" or "mps".
        show: called with each log record, score and health finding.
    """
    length = Length(steps=steps, minutes=minutes, kimg=kimg)
    opened = Run.open(Path(run))
    plan = from_json(Plan, opened.about["plan"])
    if length.limits():
        plan = dataclasses.replace(plan, **vars(length))
    fabric = machine.start_fabric(device, opened.about["precision"])
    with together(fabric) as group:
        game, data = load_game(opened)
        begun = group.lead(lambda: bool(opened.checkpoints()))
        if not begun and checkpoint != "last":
            opened.find_checkpoint(checkpoint)  # says that there is none
        return _sit(opened, game, data, group, plan, checkpoint if begun else None, show)


def _sit(run: Run, game: Game, data: Dataset, group: Group, plan: Plan, checkpoint: str | None, show: Show | None) -> Run:
    """One sitting: from a checkpoint, or from the beginning where there is none."""
    budget = {"steps": plan.steps, "minutes": plan.minutes, "kimg": plan.kimg}
    about = run.about | {"plan": to_json(plan), "budget": budget}  # a later resume keeps the new end
    if about["precision"] == "64-true":
        game.double()
    config = TrainerConfig(seed=about["seed"], batch=about["batch"], micro_batches=about["micro_batches"], horizon=about["horizon"])
    try:
        group.lead(lambda: run.begin_sitting(about))
        trainer = Trainer(game, data, config, group.fabric)
        session = Session(trainer, run, plan, make_watchers(run, game, data, show))
        with contextlib.closing(trainer), overflows(config.batch, config.micro_batches):
            if checkpoint is not None:
                session.resume(checkpoint)
            else:
                group.lead(lambda: run.rewind(-1))
            session.train()
    finally:
        run.unlock()
    return run


def demo(out: str | Path = "demo", *, minutes: float = 3.0, seed: int = 0, show: Show | None = None) -> Path:
    """Train a GAN on real images shipped with the package, measure it, and leave a report.

    Args:
        out: the run folder; must not hold anything.
        minutes: of training.
        seed: of everything random.
        show: called with each log record, score and health finding.
    Returns:
        The path of the report, a single HTML file.
    """
    run = train("dcgan", data="fashion", out=out, preset="small", minutes=minutes, seed=seed, show=show)
    return report(run.folder)
