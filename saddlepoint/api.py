"""The verbs of the command line as Python functions of the same names."""

from __future__ import annotations

import contextlib
import dataclasses
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from saddlepoint import __version__
from saddlepoint.config import from_json, to_json
from saddlepoint.data.records import Dataset
from saddlepoint.data.sources import list_data, open_data
from saddlepoint.draws import derive_seed
from saddlepoint.errors import DataError, StorageError, UsageError, nearest
from saddlepoint.games.adversarial import AdversarialConfig
from saddlepoint.games.game import Game, Samples
from saddlepoint.training import machine
from saddlepoint.training.checkpoint import restore_game
from saddlepoint.training.memory import check_memory, overflows
from saddlepoint.training.plan import Plan
from saddlepoint.training.run import Run
from saddlepoint.training.session import Session
from saddlepoint.training.together import Group, together
from saddlepoint.training.trainer import Trainer, TrainerConfig
from saddlepoint.training.watchers import make_watchers
from saddlepoint.zoo.catalogue import Recipe, find_recipe, list_recipes

if TYPE_CHECKING:
    from saddlepoint.evaluation.sets import SampleSet
    from saddlepoint.human.study import Study

Show = Callable[[dict[str, Any]], None]
NEIGHBOURS_SHOWN = 24  # samples in a report beside their nearest real images


def list() -> Sequence[Recipe]:
    """The catalogue, oldest paper first."""
    return list_recipes()


def holds_points(data: str) -> bool:
    """Whether a name or path is of points rather than images, as far as can be told without opening it."""
    cards = {card.name: card.kind for card in list_data()}
    name = data.rpartition(":")[0] if data.endswith((":train", ":test")) else data
    if name not in cards and Path(name).suffix in (".npy", ".npz") and Path(name).is_file():
        with contextlib.suppress(DataError, UsageError):  # what is wrong with it is said where it is opened for use
            return open_data(name).spec.kind == "points"
    return cards.get(name) == "points"


def default_preset(recipe: Recipe, data: str) -> str:
    """The preset for two cores that fits the data: "toy" for points where the recipe has it, otherwise "small"."""
    return "toy" if "toy" in recipe.presets and holds_points(data) else "small"


def configure(recipe: Recipe, preset: str, settings: dict[str, Any]) -> AdversarialConfig:
    """A preset with some settings changed.

    Raises:
        UsageError: for a setting the recipe does not have, with the nearest names.
    """
    config = recipe.preset(preset)
    names = {field.name for field in dataclasses.fields(config)}
    for name in settings:
        if name not in names:
            raise UsageError(f"{recipe.name} has no setting {name!r}. {nearest(name, names)}")
    return dataclasses.replace(config, **settings)


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
        _check_length(steps, minutes, kimg)
        if micro_batches < 1 or keep_every < 0:
            raise UsageError(f"micro_batches must be at least 1 and keep_every at least 0; they are {micro_batches} and {keep_every}.")
        preset = preset or default_preset(entry, data)
        if config is None:
            config = configure(entry, preset, settings)
        elif settings:
            raise UsageError("Give a whole config or single settings, not both.")
        if holds_points(data) and "resolution" not in settings:
            config = dataclasses.replace(config, resolution=None)
        dataset = open_data(data, resolution=config.resolution, root=None if data_root is None else Path(data_root))
        if steps is None and minutes is None and kimg is None:
            steps = config.rounds
        images_a_round = config.batch * config.d_steps
        horizon = steps or (-(-int(kimg * 1000) // images_a_round) if kimg else config.rounds)
        plan = plan or dataclasses.replace(make_plan(steps, minutes, kimg, horizon), keep_every=keep_every, checkpoint_every=keep_every)
        about = {
            "recipe": entry.name,
            "title": entry.title,
            "paper": entry.paper,
            "year": entry.year,
            "url": entry.url,
            "preset": preset,
            "config": to_json(config),
            "data": to_json(dataset.spec),
            "source": {"name": data, "resolution": config.resolution, "root": None if data_root is None else str(data_root)},
            "command": shlex.join(["saddlepoint", *sys.argv[1:]])
            if sys.argv and Path(sys.argv[0]).name in ("saddlepoint", "__main__.py")
            else "saddlepoint.train(...)",
            "seed": seed,
            "batch": config.batch,
            "micro_batches": micro_batches,
            "precision": precision,
            "horizon": horizon,
            "plan": to_json(plan),
            "budget": {"steps": steps, "minutes": minutes, "kimg": kimg},
            "versions": machine.versions(),
            "commit": machine.commit(),
            "hardware": machine.hardware(),
        }
        torch.manual_seed(derive_seed(seed, "initialisation"))
        data_for_game = entry.prepare(config, dataset) if entry.prepare else dataset
        game = entry.game(config, data_for_game)
        check_memory(game, data_for_game, batch=config.batch, pieces=micro_batches * fabric.world_size, device=fabric.device)
        run = Run(Path(out), about)
        group.lead(run.create)
        return _train(run, game, data_for_game, group, plan, None, show)


def _check_length(steps: int | None, minutes: float | None, kimg: float | None) -> None:
    """At most one limit, and more than nothing."""
    limits = {name: value for name, value in (("steps", steps), ("minutes", minutes), ("kimg", kimg)) if value is not None}
    if len(limits) > 1:
        raise UsageError("Give one of steps, minutes and kimg, not several.")
    for name, value in limits.items():
        if not value > 0:
            raise UsageError(f"{name} must be more than 0; it is {value}.")


def make_plan(steps: int | None, minutes: float | None, kimg: float | None, horizon: int) -> Plan:
    """About twenty sample grids and ten scores a run."""
    if minutes is not None:
        return Plan(minutes=minutes, preview_every=0, score_every=0, by_clock=True)
    log_every = max(1, min(20, horizon // 50))
    return Plan(
        steps=steps, kimg=kimg, log_every=log_every, preview_every=max(1, min(1000, horizon // 20)), score_every=max(1, min(2000, horizon // 10))
    )


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
    _check_length(steps, minutes, kimg)
    opened = Run.open(Path(run))
    plan = from_json(Plan, opened.about["plan"])
    if any(limit is not None for limit in (steps, minutes, kimg)):
        plan = dataclasses.replace(plan, steps=steps, minutes=minutes, kimg=kimg)
    fabric = machine.start_fabric(device, opened.about["precision"])
    with together(fabric) as group:
        game, data = load_game(opened)
        begun = group.lead(lambda: bool(opened.checkpoints()))
        if not begun and checkpoint != "last":
            opened.find_checkpoint(checkpoint)  # says that there is none
        return _train(opened, game, data, group, plan, checkpoint if begun else None, show)


def load_game(run: Run) -> tuple[Game, Dataset]:
    """Build the game of a run, as it was before round one, and open its data.

    Raises:
        DataError: if the data is no longer what the run was trained on.
    """
    about, entry = run.about, find_recipe(run.about["recipe"])
    source = about["source"]
    dataset = open_data(source["name"], resolution=source["resolution"], root=None if source["root"] is None else Path(source["root"]))
    found, trained = dataset.spec.content_hash, about["data"]["content_hash"]
    if found != trained:
        name = source["name"]
        raise DataError(f"{name} is no longer the data of this run: its content hash is {found}, it was {trained}. Restore it, or start a new run.")
    config = from_json(type(entry.preset("paper")), about["config"])
    torch.manual_seed(derive_seed(about["seed"], "initialisation"))
    prepared = entry.prepare(config, dataset) if entry.prepare else dataset
    return entry.game(config, prepared), prepared


def _train(run: Run, game: Game, data: Dataset, group: Group, plan: Plan, checkpoint: str | None, show: Show | None) -> Run:
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


def load(run: str | Path, *, checkpoint: str = "last") -> tuple[Game, Run]:
    """The trained game of a run, on the CPU, in the state of a checkpoint."""
    opened = Run.open(Path(run))
    saved, path = opened.load(checkpoint)
    game, _ = load_game(opened)
    if opened.about["precision"] == "64-true":
        game.double()
    restore_game(game, saved.game, path)
    game.clock.round, game.clock.images_seen = saved.state["round"], saved.state["images_seen"]
    return game.eval(), opened


def sample(
    run: str | Path, *, num: int = 64, out: str | Path | None = None, seed: int = 0, checkpoint: str = "last", label: int | None = None
) -> Tensor:
    """Draw samples from a run; sample i depends on (seed, i) alone, not on how many are drawn.

    Args:
        run: the run folder.
        num: how many.
        out: where to write them: .png (one grid), .npy, .npz, or a folder of PNG files; None writes nothing.
        seed: of the latents.
        checkpoint: "last", "best" or a round.
        label: class of all samples, for conditional recipes; None draws classes too.
    Returns:
        Images uint8 [num, c, h, w], or points float32 [num, d].
    """
    from saddlepoint.evaluation.samples import draw_samples, write_samples

    if num < 1:
        raise UsageError(f"At least 1 sample is needed; num is {num}.")
    game, _ = load(run, checkpoint=checkpoint)
    samples = draw_samples(as_sampler(game), num, seed=seed, label=label)
    if out is not None:
        write_samples(samples, Path(out))
    return samples


def as_sampler(game: Game) -> Samples:
    """The game as something that draws samples.

    Raises:
        UsageError: if it cannot.
    """
    if not isinstance(game, Samples):
        raise UsageError(f"{type(game).__name__} cannot draw samples from nothing. `saddlepoint info RUN` says what it can do.")
    return game


def report(run: str | Path) -> Path:
    """Write the run's report.html, one file that opens in any browser, and return its path.

    The nearest real images are searched for where the run's data is still at hand; without it that section says so.
    """
    from saddlepoint.evaluation.memorisation import write_nearest
    from saddlepoint.evaluation.samples import draw_samples
    from saddlepoint.report.html import write_report

    opened = Run.open(Path(run))
    if opened.checkpoints() and opened.about["data"]["kind"] == "image":
        with contextlib.suppress(DataError):
            game, data = load_game(opened)
            saved, path = opened.load()
            restore_game(game, saved.game, path)
            write_nearest(opened.folder, draw_samples(as_sampler(game), NEIGHBOURS_SHOWN, seed=opened.about["seed"]), data)
    return write_report(opened.folder)


def info(run: str | Path) -> dict[str, Any]:
    """What a run is and where it stands: its description, checkpoints, last losses and scores."""
    from saddlepoint.training.storage import read_lines

    opened = Run.open(Path(run))
    log, scores = read_lines(opened.folder / "log.jsonl"), read_lines(opened.folder / "scores.jsonl")
    return {
        **opened.about,
        "checkpoints": [round for round, _ in opened.checkpoints()],
        "best": opened.best_round(),
        "last_log": log[-1] if log else None,
        "last_score": scores[-1] if scores else None,
        "health": read_lines(opened.folder / "health.jsonl"),
    }


def evaluate(
    target: str | Path | Callable[[int, torch.Generator], Tensor],
    *,
    against: str | None = None,
    metrics: str | Sequence[str] | None = None,
    extractor: str = "quick",
    weights: str | Path | None = None,
    num: int | None = None,
    num_real: int | None = None,
    resolution: int | None = None,
    checkpoint: str = "last",
    seed: int = 0,
    device: str = "cpu",
    data_root: str | Path | None = None,
    show: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Score a run, a folder or array of samples, or a generator, against real data.

    Without ``metrics``, and with the quick extractor, the quick score that training makes too: a few seconds, and its keys at the top.

    Args:
        target: a run folder; or a folder of images, a .npy or .npz file, or the name of a data set; or a function of (n, torch.Generator) that makes
            n images float [n, c, h, w] in [-1, 1], or points [n, d].
        against: real data by name or path; None means what the run was trained on.
        metrics: names, in a sequence or with commas between; see saddlepoint.evaluation.measures.MEASURES. None: the quick score, or "fd".
        extractor: of the features of images: quick, lite0, inception, clip, dinov2, vgg16 or module:attribute.
        weights: file of the extractor's weights, in place of the one in the cache.
        num: generated samples; None: those there are, at most 10,000 (1,000 of the quick score).
        num_real: real samples to compare with; None: as many as generated, at most half of the data, so that the rest gives the floor.
        resolution: side that all images are brought to; None: that of the samples.
        checkpoint: of a run: "last", "best" or a round.
        seed: of the latents, of the choice of real samples, and of generated ones where there are more than asked for.
        device: where features are computed.
        data_root: where downloaded data sets are.
        show: told what is being done, and what it costs before it starts.
    Returns:
        Where metrics are named, scores by name with error and floor, notes and protocol; otherwise the quick score, its floor and protocol.
        A run keeps it as a line of RUN/evaluations.jsonl.
    Raises:
        SaddlepointError: one of saddlepoint.errors, for everything that a user can mend.
    """
    from saddlepoint.evaluation.engine import divide, find_measures
    from saddlepoint.evaluation.engine import evaluate as score
    from saddlepoint.evaluation.extractors import open_extractor

    if num is not None and num < 2:
        raise UsageError(f"At least 2 generated samples are needed; num is {num}.")
    quick = metrics is None and extractor == "quick" and weights is None and num_real is None
    names = ["fd"] if metrics is None else [name.strip() for name in metrics.split(",")] if isinstance(metrics, str) else [*metrics]
    find_measures(names)
    fake, real_name, about = _generated(target, against, num, 1000 if quick else 10_000, resolution, checkpoint, seed, data_root)
    side = None if fake.kind == "points" else resolution or fake.shape[-1]
    real = open_data(real_name, resolution=None if holds_points(real_name) else side, root=about.pop("root"))
    if quick:
        result = _quick_score(fake, real, num, seed)
    else:
        seen_by = open_extractor(extractor, weights=None if weights is None else Path(weights), device=device) if fake.kind == "image" else None
        chosen, held = divide(real, num_real, fake.num, seed)
        result = score(chosen, held, fake, metrics=names, extractor=seen_by, tell=show)
    stamp = {"content_hash": real.spec.content_hash, "seed": seed, "version": __version__, "commit": machine.commit()}
    result["protocol"] |= stamp | {"ema": about.get("ema"), "truncation": about.pop("truncation")}
    result = about | result
    if "run" in about:
        try:
            Run.open(Path(about["run"])).append("evaluations.jsonl", result)
        except StorageError as error:
            result["notes"] = [*result.get("notes", []), f"Not kept with the run: {error}"]
    return result


def _generated(
    target: str | Path | Callable[[int, torch.Generator], Tensor],
    against: str | None,
    num: int | None,
    usual: int,
    resolution: int | None,
    checkpoint: str,
    seed: int,
    data_root: str | Path | None,
) -> tuple[SampleSet, str, dict[str, Any]]:
    """The samples of a target, the name of the real data, and what is to be said of them."""
    from saddlepoint.evaluation.sets import of_data, of_function, of_game

    root = None if data_root is None else Path(data_root)
    if not callable(target) and (Path(target) / "run.json").exists():
        game, run = load(target, checkpoint=checkpoint)
        source = run.about["source"]
        named = source["root"]
        about = {
            "run": str(run.folder),
            "recipe": run.about["recipe"],
            "round": game.clock.round,
            "images_seen": game.clock.images_seen,
            "ema": hasattr(game, "generator_ema"),
            "sample_seed": seed,
            "truncation": 1.0,
            "root": root or (Path(named) if named is not None and against is None else None),
        }
        if resolution is not None:
            raise UsageError("A run's samples have a size of their own. Leave --resolution out, or evaluate a folder of its samples.")
        return of_game(as_sampler(game), num or usual, name=str(target), seed=seed), against or source["name"], about
    if against is None:
        raise UsageError(f"{target} is not a run folder, so say what to compare it with: --against DATA.")
    if callable(target):
        name = getattr(target, "__name__", type(target).__name__)
        return of_function(target, num or usual, name=name, seed=seed), against, {"samples": name, "truncation": None, "root": root}
    given = open_data(str(target), resolution=resolution, root=root)
    count = num or min(usual, len(given))
    if len(given) < count:
        raise UsageError(f"{target} holds {len(given)} samples; {count} were asked for. Use --num {len(given)} or fewer.")
    rng = torch.Generator().manual_seed(derive_seed("generated", seed))  # files are in order, so the first ones would be of one class
    rows = torch.randperm(len(given), generator=rng)[:count].sort().values
    return of_data(given, rows), against, {"samples": str(target), "truncation": None, "root": root}


def _quick_score(fake: SampleSet, real: Dataset, num: int | None, seed: int) -> dict[str, Any]:
    """The score that training makes too."""
    from saddlepoint.evaluation.quick import QuickScorer

    scorer = QuickScorer(real, num_fake=num or fake.num, seed=seed)
    return scorer.score(fake.read(0, fake.num))


def compare(*targets: str | Path, out: str | Path | None = None) -> dict[str, Any]:
    """Put evaluated runs, or results of ``evaluate`` in files, beside one another.

    Args:
        *targets: run folders, or files that ``saddlepoint evaluate --json`` printed.
        out: folder for table.md, compare.json and the plots; None writes nothing.
    Returns:
        rows: the scores of each target, best and last; differences: what keeps a target's scores from being compared with the first's.
    """
    from saddlepoint.evaluation.compare import compare as beside

    return beside([Path(target) for target in targets], out=None if out is None else Path(out))


def study(
    folder: str | Path,
    *,
    kind: Literal["real-or-fake", "ranking"] | None = None,
    layout: Literal["one", "pair", "best", "order"] | None = None,
    real: str | None = None,
    arms: Sequence[str] = (),
    num: int = 500,
    resolution: int | None = None,
    seed: int = 0,
    data_root: str | Path | None = None,
    **settings: Any,
) -> Study:
    """Open a study with people; or make one, where a kind is given.

    Args:
        folder: of the study; a new one must not hold anything.
        kind: of a new study.
        layout: how pictures are shown; None: "one" of real-or-fake, "pair" of ranking.
        real: of real-or-fake: real pictures by name or path.
        arms: generated pictures, or all arms of a ranking: run folders, folders, arrays or names; "NAME=SOURCE" names one.
        num: pictures an arm at most.
        resolution: side of all pictures; None means that of the last arm.
        seed: of samples, choices and orders.
        data_root: where downloaded data sets are.
        **settings: fields of saddlepoint.human.study.Settings: trials, practice, display_ms, staircase, ...
    Returns:
        The study; ``serve()`` shows its page, ``report()`` writes and returns what the answers say.
    """
    from saddlepoint.human.arms import gather_arms
    from saddlepoint.human.study import Settings, create_study, open_study

    if kind is None:
        return open_study(Path(folder))
    if (kind == "real-or-fake") == (real is None):
        raise UsageError(f"Real pictures are what a real-or-fake study needs and a ranking has no place for; kind {kind}, real {real} came.")
    chosen = Settings(kind=kind, layout=layout or ("one" if real else "pair"), seed=seed, **settings)
    pictures = gather_arms(
        [*([real] if real else []), *arms],
        num=num,
        sample=lambda run, count, start: sample(run, num=count, seed=start),
        resolution=resolution,
        ordered=chosen.matched,
        seed=seed,
        root=None if data_root is None else Path(data_root),
    )
    return create_study(Path(folder), chosen, pictures)


def bench(recipe: str, **settings: Any) -> dict[str, Any]:
    """Time a recipe's round; see saddlepoint.studies.bench.bench for the settings and what is measured."""
    from saddlepoint.studies.bench import bench as measure

    return measure(recipe, **settings)


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
