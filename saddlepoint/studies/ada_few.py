"""StyleGAN2 with and without adaptive augmentation on a few hundred images, as one table made by one command.

    python -m saddlepoint.studies.ada_few --seeds 3 --out docs/tables/ada-few.md

Interrupted, the same command continues. It leaves the table, every measurement beside it (ada-few.json), and a picture of p, r_t, r_v and the quick
Frechet distance over the images seen.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.images import Resolution
from saddlepoint.data.records import Dataset, to_device
from saddlepoint.data.sources import open_data
from saddlepoint.draws import Draws, derive_seed, use
from saddlepoint.errors import NotFiniteError, UsageError
from saddlepoint.evaluation.quick import QuickScorer
from saddlepoint.evaluation.samples import draw_samples
from saddlepoint.games.adversarial import AdversarialGame
from saddlepoint.studies.play import play
from saddlepoint.studies.pool import Record, answered, run_missing
from saddlepoint.studies.toys import cell
from saddlepoint.training import machine
from saddlepoint.training.storage import write_bytes
from saddlepoint.zoo.catalogue import find_recipe

ARMS = {"ada": "small", "none": "small-none"}
LOOKS = 10
JUDGED = 256  # images of each kind that D is asked about for r_v
COLUMNS = {  # key of a look: its heading and format
    "quick_frechet": ("quick Frechet", "{:.2f}"),
    "coverage": ("coverage", "{:.2f}"),
    "p": ("p", "{:.2f}"),
    "r_t": ("r_t", "{:.2f}"),
    "r_v": ("r_v", "{:.2f}"),
}


def few_and_others(name: str, resolution: Resolution, images: int) -> tuple[ArrayDataset, ArrayDataset, ArrayDataset]:
    """All images, the few that are trained on, and the others; the choice is the same in every run."""
    data = open_data(name, resolution=resolution)
    if not isinstance(data, ArrayDataset) or len(data) <= images:
        raise UsageError(f"The study needs more than {images} images, the rest to compare with; {name} has {len(data)}. Choose fewer images.")
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(derive_seed("a few images")))
    return data, data.part(order[:images], f"{images}"), data.part(order[images:], "others")


def few_run(job: dict[str, Any]) -> dict[str, Any]:
    """One run.

    Args:
        job: "arm", "seed", "data", "images" that are trained on, "rounds"; and "settings", changes of the preset.
    Returns:
        "looks": measurements on the way, oldest first; "floor" of the quick score; "cpu_sec" of all; "stopped": why it ended early, or None.
    """
    recipe = find_recipe("stylegan2-ada")
    config = dataclasses.replace(recipe.preset(ARMS[job["arm"]]), rounds=job["rounds"], **job["settings"])
    everything, few, others = few_and_others(job["data"], config.resolution or 32, job["images"])
    scorer = QuickScorer(everything)
    torch.manual_seed(derive_seed(job["seed"], "initialisation"))
    game = recipe.game(config, few)
    assert isinstance(game, AdversarialGame)
    looks: list[dict[str, Any]] = []
    since: list[Tensor] = []  # r_t of the turns since the last look
    began, stopped = time.process_time(), None

    def record(round: int, values: dict[str, Tensor]) -> None:
        if "discriminator/sign" in values:
            since.append(values["discriminator/sign"])

    def look(done: int) -> None:
        scores = scorer.score(draw_samples(game, scorer.num_fake, seed=job["seed"]))
        told = {"images_seen": done * config.batch, "p": float(game.view.p), "r_t": float(torch.stack(since).mean()) if since else None}  # type: ignore
        looks.append(told | {name: scores[name] for name in ("quick_frechet", "coverage")} | {"r_v": r_v(game, few, others, job["seed"])})
        since.clear()

    every = max(1, config.rounds // LOOKS)
    try:
        play(game, few, rounds=config.rounds, batch=config.batch, seed=job["seed"], every=every, watch=look, record=record)
    except NotFiniteError as error:
        stopped = str(error).partition(". ")[0]
    return {"looks": looks, "floor": scorer.floor, "cpu_sec": round(time.process_time() - began, 1), "stopped": stopped}


@torch.no_grad()
def r_v(game: AdversarialGame, few: Dataset, others: Dataset, seed: int) -> float:
    """Overfitting of D by the paper's Eq. 1: (E[D(trained on)] - E[D(held out)]) / (E[D(trained on)] - E[D(generated)]); 0 is none, 1 complete."""
    means = []
    for data in (few, others):
        rows = torch.arange(min(JUDGED, len(data))) * (len(data) // min(JUDGED, len(data)))
        means.append(_mean_logit(game, to_device(data.records(rows), "cpu").x))
    draws = Draws.seeded(seed, "r_v")
    means.append(_mean_logit(game, game.sample(JUDGED, draws)))
    trained_on, held_out, generated = means
    return (trained_on - held_out) / (trained_on - generated)


def _mean_logit(game: AdversarialGame, x: Tensor) -> float:
    """Mean of D behind its view, in pieces of a batch."""
    with use(Draws.seeded("r_v", "view")):
        return float(torch.cat([game.judge(part).logits for part in torch.split(x, game.config.batch)]).mean())


def jobs(given: argparse.Namespace) -> list[dict[str, Any]]:
    """Both arms before the next seed."""
    common = {"study": "ada-few", "data": given.data, "images": given.images, "rounds": given.rounds, "settings": given.settings}
    return [common | {"arm": arm, "seed": seed} for seed in range(given.seeds) for arm in ARMS]


def table(records: Sequence[Record]) -> str:
    """A line an arm: the last look, and the best by the quick score; above them real images against others."""
    headings = [heading for heading, _ in COLUMNS.values()]
    lines = ["| arm | " + " | ".join(["best: quick Frechet", "at thousand images", *headings]) + " | CPU s |", "|" + " --- |" * (len(headings) + 4)]
    floor = records[0]["floor"]
    lines.append(f"| *real images* | {floor['quick_frechet']:.2f} | | {floor['quick_frechet']:.2f} | {floor['coverage']:.2f} | | | | |")
    for arm, preset in ARMS.items():
        runs = [record for record in records if record["job"]["arm"] == arm]
        best = [min(run["looks"], key=lambda look: look["quick_frechet"]) for run in runs]
        cells = [cell([look["quick_frechet"] for look in best], "{:.2f}"), cell([look["images_seen"] / 1000 for look in best], "{:.0f}")]
        cells += [cell([run["looks"][-1][key] for run in runs], form) for key, (_, form) in COLUMNS.items()]
        lines.append(f"| `stylegan2-ada --preset {preset}` | " + " | ".join(cells) + f" | {cell([run['cpu_sec'] for run in runs], '{:.0f}')} |")
    return "\n".join(lines)


def page(records: Sequence[Record], given: argparse.Namespace, about: dict[str, Any]) -> str:
    """The table with the protocol that it was made under."""
    stopped = [f"`{record['job']['arm']}` seed {record['job']['seed']}: {record['stopped']}" for record in records if record["stopped"]]
    resolution = find_recipe("stylegan2-ada").preset("small").resolution
    parts = [
        f"{given.images} of the images of {given.data} at {resolution} pixels, {given.rounds} rounds, seeds 0 to {given.seeds - 1}; median (least to "
        "most). Quick Frechet distance and coverage against images of the whole set, most of which were not trained on; *real images* is the floor "
        "of that score. p and r_t (mean sign of D on the images trained on, since the look before) as logged; r_v is the paper's Eq. 1 with "
        f"{JUDGED} images of each kind behind the augmentation.",
        f"Made by `python -m saddlepoint.studies.ada_few --seeds {given.seeds} --images {given.images} --rounds {given.rounds} --data {given.data}"
        + (f" --settings '{json.dumps(given.settings)}'" if given.settings else "")
        + f"` at commit {about['commit'] or 'unknown'} on {about['hardware']}, one thread a run, torch {about['versions']['torch']}.",
        *(["Ended early: " + "; ".join(stopped) + "."] if stopped else []),
        table(records),
    ]
    return "\n\n".join(parts) + "\n"


def picture(records: Sequence[Record], path: Path) -> None:
    """Four curves over the images seen, a line a run."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5.5), layout="constrained")
    panels = ("quick_frechet", "p", "r_t", "r_v")
    for axes, key in zip(figure.subplots(2, 2).flat, panels, strict=True):
        for colour, arm in zip(("tab:blue", "tab:orange"), ARMS, strict=True):
            for record in (each for each in records if each["job"]["arm"] == arm):
                points = [(look["images_seen"] / 1000, look[key]) for look in record["looks"] if look[key] is not None]
                name = {"label": arm} if record["job"]["seed"] == 0 else {}
                axes.plot(*zip(*points, strict=True), color=colour, linewidth=1, **name)
        axes.set(title=COLUMNS[key][0], xlabel="thousand images seen")
        if key == "quick_frechet":
            axes.axhline(records[0]["floor"][key], color="grey", linewidth=0.8)
            axes.set_yscale("log")
            axes.legend()
        if key == "r_t":
            axes.axhline(0.6, color="grey", linewidth=0.8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)


def show(done: int, total: int, record: Record) -> None:
    """A line a finished run, on standard error."""
    job, last = record["job"], record["looks"][-1]
    sys.stderr.write(f"{done}/{total} {job['arm']} seed {job['seed']}: {last} in {record['cpu_sec']} CPU s\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing, then write the table, the numbers and the picture."""
    parser = argparse.ArgumentParser(prog="python -m saddlepoint.studies.ada_few", description="ADA against none on a few images.")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each arm")
    parser.add_argument("--images", type=int, default=500, help="that are trained on")
    parser.add_argument("--rounds", type=int, default=2000)
    parser.add_argument("--data", default="emoji")
    parser.add_argument("--settings", type=json.loads, default={}, help="changes of the presets, as JSON")
    parser.add_argument("--processes", type=int, default=1, help="runs at once, one thread each")
    parser.add_argument("--work", type=Path, default=Path("runs/ada-few"), help="folder of finished runs")
    parser.add_argument("--out", type=Path, default=Path("docs/tables/ada-few.md"), help="the table; all measurements go beside it as JSON")
    parser.add_argument("--picture", type=Path, default=Path("docs/pictures/ada-few.png"))
    given = parser.parse_args(arguments)
    records = run_missing(few_run, jobs(given), given.work / "runs.jsonl", processes=given.processes, show=show)
    about = {"commit": machine.commit(), "hardware": machine.hardware(), "versions": machine.versions()}
    given.out.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(given.out, page(records, given, about).encode())
    lines = ",\n".join(json.dumps(record) for record in records)
    write_bytes(given.out.with_suffix(".json"), f'{json.dumps(about)[:-1]}, "runs": [\n{lines}\n]}}\n'.encode())
    picture(records, given.picture)


if __name__ == "__main__":
    raise SystemExit(answered(main))
