"""Image recipes under one budget of the processor's own seconds, as tables made by one command.

    python -m saddlepoint.studies.images                                     # all of PLAN
    python -m saddlepoint.studies.images --data photos/ --resolution 32      # one table, on other data

Every recipe trains as its preset "small" has it, but for as many rounds as the budget holds: the whole schedule, phases and all, is rehearsed in a
few rounds, and their time says how many. What rehearsing and scoring take is not counted. Kept are the last state and the one that scored best on
the way. Interrupted, the same command continues, a run under way from its last look; another budget or another seed adds to what is there.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.records import Dataset
from saddlepoint.data.sources import open_data
from saddlepoint.draws import derive_seed
from saddlepoint.errors import NotFiniteError, UsageError
from saddlepoint.evaluation.extractors import Extractor, open_extractor
from saddlepoint.evaluation.frechet import frechet_distance
from saddlepoint.evaluation.grid import image_grid
from saddlepoint.evaluation.kernel import kernel_distance
from saddlepoint.evaluation.neighbours import precision_recall
from saddlepoint.evaluation.quick import QuickScorer
from saddlepoint.evaluation.samples import draw_samples
from saddlepoint.games.game import Game, Samples
from saddlepoint.studies.play import Kept, play
from saddlepoint.studies.pool import Record, answered, run_missing
from saddlepoint.studies.toys import cell
from saddlepoint.training import machine
from saddlepoint.training.checkpoint import Checkpoint, list_checkpoints, load_checkpoint, save_checkpoint
from saddlepoint.training.rehearsal import rehearse
from saddlepoint.training.storage import write_bytes
from saddlepoint.training.trainer import TrainerConfig
from saddlepoint.zoo.catalogue import find_recipe

ARMS = ("dcgan", "diffaugment", "sngan", "wgan-gp", "progan", "stylegan2", "stylegan2-ada", "r3gan")
LOOKS = 8  # quick scores on the way, evenly in the budget
PLAN: tuple[dict[str, Any], ...] = (  # of the command that names no data: every recipe once, then the two best for longer
    {"data": "emoji", "resolution": 32},
    {"data": "emoji", "resolution": 64},
    {"data": "fashion", "resolution": 32},
    {"data": "emoji", "resolution": 32, "finalists": 2, "longer": 2, "runs": 3, "suffix": "-finalists"},  # twenty minutes, where the others have ten
    {"data": "emoji", "resolution": 32, "finalists": 2, "longer": 6, "runs": 1, "suffix": "-hour"},
)
COLUMNS = {"fd": ("FD-Lite0", "{:.0f}"), "kd": ("KID-Lite0 x 1000", "{:.1f}"), "precision": ("precision", "{:.2f}"), "recall": ("recall", "{:.2f}")}
SHOWN = 24  # samples of each run in the picture


class _Over(Exception):
    """The budget is used up."""


class _Budget:
    """The processor's seconds of a run: those of this process, scoring aside, and those that were used before."""

    def __init__(self, seconds: float, before: float) -> None:
        self.seconds, self.began, self.aside = seconds, time.process_time() - before, 0.0

    @property
    def used(self) -> float:
        return time.process_time() - self.began - self.aside


def image_run(job: dict[str, Any]) -> dict[str, Any]:
    """One run.

    Args:
        job: "recipe", "preset", "settings" (changes of it), "data", "resolution", "seed", "cpu_minutes", "judged" (samples of either kind), and
            "folder" of the sample files.
    Returns:
        "best" and "last": scores of those states; "floor": of real against real, with the same numbers; "looks": quick scores on the way; "rounds",
        "images_seen", "cpu_sec"; "stopped": why it ended early, or None.
    """
    data = open_data(job["data"], resolution=job["resolution"])
    folder, kept = Path(job["folder"]) / name_of(job), Kept(Path(job["folder"]) / name_of(job))
    rounds = kept.state.get("rounds_planned") or _rehearse(job, data)
    game, prepared, config = _start(job, data, rounds)
    assert isinstance(game, Samples) and isinstance(data, ArrayDataset)
    scorer = QuickScorer(data)
    looks: list[dict[str, Any]] = kept.state.get("looks", [])
    budget = _Budget(60 * job["cpu_minutes"], looks[-1]["cpu_sec"] if looks else 0.0)

    def watch(done: int) -> None:
        over = budget.used >= budget.seconds
        due = done and (over or done == config.rounds or budget.used >= budget.seconds * (len(looks) + 1) / LOOKS)
        if not due:
            return
        start = time.process_time()
        score = scorer.score(draw_samples(game, scorer.num_fake, seed=job["seed"]))
        seen = {"rounds": done, "images_seen": game.clock.images_seen, "cpu_sec": round(budget.used, 1)}
        looks.append(seen | {name: score[name] for name in ("quick_frechet", "coverage")})
        if looks[-1] is _best(looks):
            save_checkpoint(folder / "best", 0, Checkpoint(game.state_dict(), {}, {}))
        kept.save(looks=looks, rounds_planned=rounds)
        budget.aside += time.process_time() - start
        if over:
            raise _Over

    stopped = None
    try:
        play(game, prepared, rounds=config.rounds, batch=config.batch, seed=job["seed"], watch=watch, kept=kept)
    except _Over:
        pass
    except NotFiniteError as error:
        stopped = str(error).partition(". ")[0]
    judge = Judge(data, job["judged"])
    found: dict[str, Any] = {"last": judge(game, job, "last"), "floor": judge.floor, "looks": looks}
    if looks:
        game.load_state_dict(load_checkpoint(list_checkpoints(folder / "best")[-1][1]).game)
    found["best"] = judge(game, job, "best") | {"rounds": _best(looks)["rounds"] if looks else 0}
    shutil.rmtree(folder, ignore_errors=True)
    return found | (looks[-1] if looks else {}) | {"stopped": stopped}


def _best(looks: list[dict[str, Any]]) -> dict[str, Any]:
    return min(looks, key=lambda look: float(look["quick_frechet"]))


def _rehearse(job: dict[str, Any], data: Dataset) -> int:
    """How many rounds the budget holds; more than it can where nothing depends on the number."""
    game, prepared, config = _start(job, data, find_recipe(job["recipe"]).preset(job["preset"]).rounds)
    trained = TrainerConfig(seed=job["seed"], batch=config.batch, horizon=config.rounds)
    seconds = rehearse(game, prepared, trained, now=time.process_time)
    return sys.maxsize if seconds is None else max(round(60 * job["cpu_minutes"] / seconds), 1)


def _start(job: dict[str, Any], data: Dataset, rounds: int) -> tuple[Game, Dataset, Any]:
    """The game of a run before its first round, its data and its configuration."""
    recipe = find_recipe(job["recipe"])
    config = replace(recipe.preset(job["preset"]), **({"resolution": job["resolution"], "rounds": rounds} | job["settings"]))
    prepared = recipe.prepare(config, data) if recipe.prepare else data
    torch.manual_seed(derive_seed(job["seed"], "initialisation"))
    return recipe.game(config, prepared), prepared, config


class Judge:
    """Scores on the features of EfficientNet-Lite0, of as many samples as real images, against a fixed choice of the data."""

    def __init__(self, data: ArrayDataset, judged: int) -> None:
        order = torch.randperm(len(data), generator=torch.Generator().manual_seed(derive_seed("images study")))
        self.judged = min(judged, len(data) // 2)
        self.extractor: Extractor = open_extractor("lite0@128")
        self.real = self._see(data.records(order[: self.judged])["image"])
        self.floor = self._compare(self._see(data.records(order[self.judged : 2 * self.judged])["image"]))

    def __call__(self, game: Game, job: dict[str, Any], which: str) -> dict[str, float]:
        """Score a game's samples, and leave some as a picture."""
        assert isinstance(game, Samples)
        samples = draw_samples(game, self.judged, seed=job["seed"])
        path = Path(job["folder"]) / f"{name_of(job)}-{which}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image_grid(samples[:SHOWN], columns=SHOWN // 2).save(path)
        return self._compare(self._see(samples))

    def _see(self, images: Tensor) -> Tensor:
        return torch.cat([self.extractor(part)["features"] for part in torch.split(images, self.extractor.batch)])

    def _compare(self, fake: Tensor) -> dict[str, float]:
        precision, recall = precision_recall(self.real, fake)
        distance = kernel_distance(self.real, fake, subset_size=min(1000, self.judged))
        return {"fd": frechet_distance(self.real, fake), "kd": 1000 * distance.value, "precision": precision, "recall": recall}


def name_of(job: dict[str, Any]) -> str:
    """Of a run's files."""
    settings = "".join(f"-{name}-{value}" for name, value in job["settings"].items())
    return f"{job['recipe']}{settings}-{job['data']}-{job['resolution']}-{job['cpu_minutes']:g}-{job['seed']}"


def jobs(given: argparse.Namespace) -> list[dict[str, Any]]:
    """Every recipe before the next seed."""
    common = {"data": given.data, "resolution": given.resolution, "cpu_minutes": given.cpu_minutes, "judged": given.judged}
    common |= {"folder": str(given.work), "preset": "small"}
    return [common | {"recipe": recipe, "settings": {}, "seed": seed} for seed in range(given.seeds) for recipe in given.recipes]


def table(records: Sequence[Record]) -> str:
    """A line a recipe, the best by its last state's median kernel distance first; real images on top."""
    headings = [f"{which}: {heading}" for which in ("last", "best") for heading, _ in COLUMNS.values()]
    lines = ["| recipe | " + " | ".join([*headings, "rounds", "kimg"]) + " |", "|" + " --- |" * (len(headings) + 3)]
    floor = [form.format(records[0]["floor"][key]) for key, (_, form) in COLUMNS.items()]
    lines.append(f"| *real images* | {' | '.join(floor + floor)} | | |")
    for name, runs in ranking(records):
        cells = [cell([run[which][key] for run in runs], form) for which in ("last", "best") for key, (_, form) in COLUMNS.items()]
        cells += [cell([run["rounds"] for run in runs], "{:.0f}"), cell([run["images_seen"] / 1000 for run in runs], "{:.0f}")]
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def ranking(records: Sequence[Record]) -> list[tuple[str, list[Record]]]:
    """Recipes and their runs, the best by its last state's median kernel distance first."""
    runs: dict[str, list[Record]] = {}
    for record in records:
        runs.setdefault(record["job"]["recipe"], []).append(record)
    return sorted(runs.items(), key=lambda item: sorted(run["last"]["kd"] for run in item[1])[len(item[1]) // 2])


def page(records: Sequence[Record], given: argparse.Namespace, about: dict[str, Any]) -> str:
    """The table with the protocol that it was made under."""
    judged = min(given.judged, len(open_data(given.data, resolution=given.resolution)) // 2)
    stopped = [f"`{record['job']['recipe']}` seed {record['job']['seed']}: {record['stopped']}" for record in records if record["stopped"]]
    command = "python -m saddlepoint.studies.images"
    if not given.planned:
        recipes = "" if tuple(given.recipes) == ARMS else f" --recipes {' '.join(given.recipes)}"
        command += f" --data {given.data} --resolution {given.resolution} --cpu-minutes {given.cpu_minutes:g} --seeds {given.seeds}{recipes}"
    parts = [
        f"{given.data} at {given.resolution} pixels, {given.cpu_minutes:g} minutes of the processor a run (scoring aside), preset small, "
        f"{'one seed' if given.seeds == 1 else f'seeds 0 to {given.seeds - 1}; median (least to most)'}. {judged} samples against {judged} real "
        "images, features of EfficientNet-Lite0 at 128 pixels; "
        "*real images* is as many others. Best is the state with the best of "
        f"{LOOKS} quick scores on the way. KID is the unbiased estimate, and the order of the table.",
        f"Made by `{command}` at commit {about['commit'] or 'unknown'} on {about['hardware']}, one thread a run, torch {about['versions']['torch']}.",
        *(["Ended early: " + "; ".join(stopped) + "."] if stopped else []),
        table(records),
    ]
    return "\n\n".join(parts) + "\n"


def picture(records: Sequence[Record], path: Path) -> None:
    """The last samples of the first seed of every recipe, one above the other, in the order of the table."""
    from PIL import Image, ImageDraw

    firsts = [runs[0]["job"] for _, runs in ranking(records)]
    grids = []
    for job in firsts:
        with Image.open(Path(job["folder"]) / f"{name_of(job)}-last.png") as grid:
            grids.append(grid.convert("RGB"))
    height = max(rows.height for rows in grids) + 18
    sheet = Image.new("RGB", (max(rows.width for rows in grids), height * len(grids)), "white")
    pen = ImageDraw.Draw(sheet)
    for index, (job, rows) in enumerate(zip(firsts, grids, strict=True)):
        pen.text((3, index * height + 3), job["recipe"], fill="black")
        sheet.paste(rows, (0, index * height + 18))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)  # a third of the size, for the pages


def show(done: int, total: int, record: Record) -> None:
    """A line a finished run, on standard error."""
    job = record["job"]
    sys.stderr.write(f"{done}/{total} {job['recipe']} seed {job['seed']}: last {record['last']}, best {record['best']}\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing, then write the tables, the numbers and the pictures."""
    parser = argparse.ArgumentParser(prog="python -m saddlepoint.studies.images", description="Image recipes under one budget.")
    parser.add_argument("--data", default=None, help="without it: emoji at 32 and 64 pixels and fashion, then the two best on emoji for longer")
    parser.add_argument("--resolution", type=int, default=32)
    parser.add_argument("--cpu-minutes", type=float, default=10.0, help="of the processor, for each run")
    parser.add_argument("--seeds", type=int, default=1, help="runs of each recipe")
    parser.add_argument("--recipes", nargs="+", default=ARMS)
    parser.add_argument("--judged", type=int, default=900, help="samples that are scored, and real images")
    parser.add_argument("--processes", type=int, default=1, help="runs at once, one thread each")
    parser.add_argument("--work", type=Path, default=Path("runs/images"), help="folder of finished runs")
    parser.add_argument("--out", type=Path, default=None, help="the table of --data; docs/tables/images-DATA-RESOLUTION.md where none is named")
    given = parser.parse_args(arguments)
    if given.seeds < 1 or given.cpu_minutes <= 0:
        raise UsageError(f"At least 1 seed and more than 0 minutes are needed; {given.seeds} and {given.cpu_minutes} came.")
    if given.out and not given.data:
        raise UsageError("--out is of one table, and without --data there are several. Name the data.")
    for stage in [{"data": given.data}] if given.data else PLAN:
        compare(argparse.Namespace(**{"finalists": 0} | vars(given) | {"planned": not given.data} | stage))


def compare(given: argparse.Namespace) -> None:
    """One table; what is missing of it is run first. ``finalists``: so many of the best by the table of all, for longer."""
    name = f"images-{given.data}-{given.resolution}"
    if given.finalists:
        best = [recipe for recipe, _ in ranking(_runs(given))[: given.finalists]]
        longer = {"recipes": best, "cpu_minutes": given.longer * given.cpu_minutes, "seeds": given.runs}
        given, name = argparse.Namespace(**vars(given) | longer), name + given.suffix
    records = _runs(given)
    out = given.out or Path(f"docs/tables/{name}.md")
    about = {"commit": machine.commit(), "hardware": machine.hardware(), "versions": machine.versions()}
    out.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(out, page(records, given, about).encode())
    lines = ",\n".join(json.dumps(record) for record in records)
    write_bytes(out.with_suffix(".json"), f'{json.dumps(about)[:-1]}, "runs": [\n{lines}\n]}}\n'.encode())
    picture(records, out.parent.parent / "pictures" / f"{out.stem}.png")


def _runs(given: argparse.Namespace) -> list[Record]:
    return run_missing(image_run, jobs(given), given.work / "runs.jsonl", processes=given.processes, show=show)


if __name__ == "__main__":
    raise SystemExit(answered(main))
