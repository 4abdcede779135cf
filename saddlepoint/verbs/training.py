"""Train a recipe on data into a run folder, and go on with one."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from saddlepoint.config import from_json, to_json
from saddlepoint.data.records import Dataset
from saddlepoint.errors import UsageError
from saddlepoint.evaluation.movie import movie_of
from saddlepoint.evaluation.walks import walk_of
from saddlepoint.games.game import Game
from saddlepoint.games.settings import GameConfig
from saddlepoint.training import machine
from saddlepoint.training.memory import overflows
from saddlepoint.training.plan import Plan
from saddlepoint.training.run import Run
from saddlepoint.training.session import Session
from saddlepoint.training.storage import write_bytes
from saddlepoint.training.together import Group, together
from saddlepoint.training.trainer import Trainer, TrainerConfig
from saddlepoint.training.watchers import make_watchers
from saddlepoint.verbs.choosing import Length
from saddlepoint.verbs.preparing import Pieces, Wish, estimate, prepare
from saddlepoint.verbs.starting import start_from
from saddlepoint.verbs.using import load_game, report

Show = Callable[[dict[str, Any]], None]


def train(
    recipe: str | None = None,
    *,
    data: str,
    out: str | Path,
    preset: str | None = None,
    config: GameConfig | None = None,
    steps: int | None = None,
    minutes: float | None = None,
    kimg: float | None = None,
    seed: int = 0,
    device: str = "auto",
    micro_batches: Pieces = "auto",
    precision: machine.Asked = "auto",
    data_root: str | Path | None = None,
    augment_data: Sequence[str] = (),
    keep_every: int = 0,
    init_from: str | Path | None = None,
    plan: Plan | None = None,
    show: Show | None = None,
    **settings: Any,
) -> Run:
    """Train a recipe on data into a new run folder.

    Args:
        recipe: name in the catalogue; None: chosen by the data and the machine, and the choice explained to ``show``.
        data: name of a shipped or known data set, or a path.
        out: the run folder; must not hold anything.
        preset: "paper", "small", ...; None: "toy" for points, "small" for images.
        config: a whole configuration in place of a preset.
        steps: rounds. At most one of steps, minutes and kimg is given; none of them means the preset's own length.
        minutes: of training.
        kimg: thousands of real images.
        seed: of everything random.
        device: "auto", "cpu", "cuda" or "mps".
        micro_batches: pieces that each batch is computed in, with the same gradient; "auto": one, or as many as the memory asks for.
        precision: of the computation; "auto": bf16-mixed where the device has it, otherwise 32-true.
        data_root: where downloaded data sets are.
        augment_data: what real records look like as well, drawn anew each time: "mirror", "crop", ...; see ``saddlepoint.data.augmenting``.
        keep_every: checkpoints at multiples of this many rounds are made and kept, beside the last two and the best; 0 none.
        init_from: whose weights it starts from: a run (RUN, RUN:best, RUN:ROUND), a model folder, hf:USER/NAME, or a file that :func:`import_weights`
            reads; what fitted is told to ``show``.
        plan: how often to log, draw, score and save; None chooses from the length.
        show: called with each log record, score and health finding.
        settings: changes to the preset, by name.
    Returns:
        The run, finished.
    Raises:
        SaddlepointError: one of saddlepoint.errors, for everything that a user can mend.
    """
    precision = machine.pick_precision(precision, device)
    fabric = machine.start_fabric(device, precision)
    with together(fabric) as group:  # from here on what one process finds wrong ends all
        wish = Wish(
            recipe=recipe,
            data=data,
            preset=preset,
            config=config,
            length=Length(steps=steps, minutes=minutes, kimg=kimg),
            seed=seed,
            micro_batches=micro_batches,
            precision=precision,
            data_root=data_root,
            augment_data=tuple(augment_data),
            keep_every=keep_every,
            init_from=init_from,
            plan=plan,
            settings=settings,
        )
        ready = prepare(wish, fabric)
        for note in ready.notes:
            if show is not None:
                show({"round": 0, "kind": "note", "message": note})
        run = Run(Path(out), ready.about)
        group.lead(run.create)
        return _sit(run, ready.game, ready.data, group, ready.plan, None, show)


def foresee(recipe: str | None = None, *, data: str, device: str = "auto", precision: machine.Asked = "auto", **wishes: Any) -> dict[str, Any]:
    """What a training would need, without starting it: parameters, memory, pieces of a batch, length.

    Args:
        recipe: as of :func:`train`.
        data: as of :func:`train`.
        device: as of :func:`train`.
        precision: as of :func:`train`.
        wishes: the other arguments of :func:`train`; settings of the recipe too.
    Returns:
        Plain values, see :func:`saddlepoint.verbs.preparing.estimate`.
    """
    precision = machine.pick_precision(precision, device)
    fabric = machine.start_fabric(device, precision)
    length = Length(**{name: wishes.pop(name) for name in ("steps", "minutes", "kimg") if name in wishes})
    named = {field.name for field in dataclasses.fields(Wish)} - {"settings", "length"}
    given = {name: wishes.pop(name) for name in [*wishes] if name in named}
    return estimate(prepare(Wish(recipe=recipe, data=data, precision=precision, length=length, settings=wishes, **given), fabric), fabric)


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
    if opened.about["source"]["name"] is None:
        raise UsageError(f"{run} was imported without data to go on with. Train on data of yours: `saddlepoint train RECIPE --init-from {run}`.")
    plan = from_json(Plan, opened.about["plan"])
    if length.limits():
        plan = dataclasses.replace(plan, **vars(length))
    fabric = machine.start_fabric(device, opened.about["precision"])
    with together(fabric) as group:
        game, data = load_game(opened)
        begun = group.lead(lambda: bool(opened.checkpoints()))
        if not begun and checkpoint != "last":
            opened.find_checkpoint(checkpoint)  # says that there is none
        if not begun and (started := opened.about.get("init_from")):
            start_from(game, started["source"], started["sha256"])
        return _sit(opened, game, data, group, plan, checkpoint if begun else None, show)


def _sit(run: Run, game: Game, data: Dataset, group: Group, plan: Plan, checkpoint: str | None, show: Show | None) -> Run:
    """One sitting: from a checkpoint, or from the beginning where there is none."""
    budget = {"steps": plan.steps, "minutes": plan.minutes, "kimg": plan.kimg}
    about = run.about | {"plan": to_json(plan), "budget": budget}  # a later resume keeps the new end
    if about["precision"] == "64-true":
        game.double()
    config = TrainerConfig(
        seed=about["seed"],
        batch=about["batch"],
        micro_batches=about["micro_batches"],
        horizon=about["horizon"],
        augmentations=tuple(about.get("augment_data", ())),
    )
    try:
        group.lead(lambda: run.begin_sitting(about))
        trainer = Trainer(game, data, config, group.fabric)
        session = Session(trainer, run, plan, make_watchers(run, game, data, show))
        with contextlib.closing(trainer), overflows(config.batch, config.micro_batches):
            if checkpoint is not None:
                session.resume(checkpoint)
                if session.over and show is not None:
                    said = f"{run.folder} is at the end of its plan, round {game.clock.round}: --steps, --minutes or --kimg sets a later one."
                    show({"round": game.clock.round, "kind": "note", "message": said})
            else:
                group.lead(lambda: run.rewind(-1))
            session.train()
            group.lead(lambda: _end(run, game, plan))
    finally:
        run.unlock()
    return run


def _end(run: Run, game: Game, plan: Plan) -> None:
    """A walk through the finished generator's latents, where the run draws previews."""
    if (plan.preview_every or plan.by_clock) and run.about["data"]["kind"] == "image" and walk_of(game):
        write_bytes(run.folder / "samples" / "walk.gif", movie_of(game, seed=run.about["seed"]))


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
