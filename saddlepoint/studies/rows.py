"""Gulrajani et al. 2017 (arXiv:1704.00028), Figure 2: seven architectures by four value functions, small.

    python -m saddlepoint.studies.rows --updates 200

Fashion-MNIST at 32 pixels, 16 channels where the paper has 64, two blocks a level in the residual pair of row 7; optimisers and turns of the critic
are those of the paper's study, but that WGAN's bursts of critic turns are left out. Interrupted, the same command continues.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from saddlepoint.data.sources import open_data
from saddlepoint.draws import derive_seed
from saddlepoint.errors import NotFiniteError, UsageError
from saddlepoint.evaluation.grid import image_grid
from saddlepoint.evaluation.quick import QuickScorer
from saddlepoint.evaluation.samples import draw_samples
from saddlepoint.games.game import Samples
from saddlepoint.studies.play import play
from saddlepoint.studies.pool import Record, answered, run_missing
from saddlepoint.studies.toys import cell
from saddlepoint.training import machine
from saddlepoint.training.storage import write_bytes
from saddlepoint.zoo.catalogue import find_recipe

DATA, SIDE, SHOWN = "fashion", 32, 16
METHODS: dict[str, tuple[str, str, dict[str, Any]]] = {  # recipe, preset, changes
    "GAN": ("nsgan", "paper", {}),
    "LSGAN": ("lsgan", "study", {}),
    "WGAN": ("wgan", "study", {"burst_d_steps": 5}),
    "WGAN-GP": ("wgan-gp", "paper", {}),
}
ROWS = {
    "row1": "DCGAN",
    "row2": "G without norm, same channels everywhere",
    "row3": "G of four hidden layers",
    "row4": "no norm anywhere",
    "row5": "gated units",
    "row6": "tanh everywhere",
    "row7-shallow": "residual",
}


def configuration(row: str, method: str, *, updates: int, width: int, side: int = SIDE) -> tuple[str, Any]:
    """Recipe and configuration of a cell."""
    name, preset, changes = METHODS[method]
    norm = {"critic_norm": "none"} if row == "row4" else {}
    size = {"architecture": row, "width": width, "resolution": side, "rounds": updates}
    config: Any = find_recipe(name).preset(preset)
    return name, dataclasses.replace(config, **size, **changes, **norm)


def row_run(job: dict[str, Any]) -> dict[str, Any]:
    """One cell of the table.

    Args:
        job: "row", "method", "updates", "width", "seed", and "folder" of the sample grids.
    Returns:
        "quick_frechet" and "pairwise_distance" of the samples, "largest" and "last" size of the critic's loss; "stopped": why it ended early, or
        None; "cpu_sec".
    """
    name, config = configuration(job["row"], job["method"], updates=job["updates"], width=job["width"])
    data = open_data(DATA, resolution=config.resolution)
    torch.manual_seed(derive_seed(job["seed"], "initialisation"))
    game = find_recipe(name).game(config, data)
    assert isinstance(game, Samples)
    losses: list[Tensor] = []

    def record(round: int, values: dict[str, Tensor]) -> None:
        if "discriminator/adversarial" in values:
            losses.append(values["discriminator/adversarial"].abs())

    began, stopped = time.process_time(), None
    try:
        play(game, data, rounds=config.rounds, batch=config.batch, seed=job["seed"], every=config.rounds, record=record)
    except NotFiniteError as error:
        stopped = str(error).partition(". ")[0]
    seconds = round(time.process_time() - began, 1)
    sizes = torch.stack(losses).nan_to_num(posinf=1e30)
    found = {"largest": float(sizes.max()), "last": float(sizes[-1]), "stopped": stopped, "cpu_sec": seconds}
    if stopped:
        return found | {"quick_frechet": None, "pairwise_distance": None}
    scorer = QuickScorer(data, num_real=1000, num_fake=500)
    samples = draw_samples(game, scorer.num_fake, seed=job["seed"])
    path = Path(job["folder"]) / f"{job['row']}-{job['method']}-{job['seed']}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    image_grid(samples[:SHOWN], columns=4).save(path)
    score = scorer.score(samples)
    return found | {key: round(float(score[key]), 4) for key in ("quick_frechet", "pairwise_distance")}


def jobs(given: argparse.Namespace) -> list[dict[str, Any]]:
    """Every cell, all before the next seed."""
    common = {"updates": given.updates, "width": given.width, "folder": str(given.work / "samples")}
    return [common | {"row": row, "method": method, "seed": seed} for seed in range(given.seeds) for row in given.rows for method in given.methods]


def table(records: Sequence[Record], key: str, form: str) -> str:
    """One measure: a line an architecture, a column a method."""
    methods = [method for method in METHODS if any(record["job"]["method"] == method for record in records)]
    lines = ["| architecture | " + " | ".join(methods) + " |", "|" + " --- |" * (len(methods) + 1)]
    for row, what in ROWS.items():
        runs = [[r for r in records if (r["job"]["row"], r["job"]["method"]) == (row, method)] for method in methods]
        if any(runs):
            lines.append(f"| {row.partition('-')[0]}: {what} | " + " | ".join(cell([r[key] for r in each], form) for each in runs) + " |")
    return "\n".join(lines)


def picture(records: Sequence[Record]) -> Figure:
    """Samples of the first seed, arranged as the table."""
    from PIL import Image

    firsts = {(record["job"]["row"], record["job"]["method"]): record["job"] for record in records if record["job"]["seed"] == 0}
    rows, methods = ([name for name in names if any(name in key for key in firsts)] for names in (ROWS, METHODS))
    figure = Figure(figsize=(1.6 * len(methods), 1.6 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(rows), len(methods), squeeze=False)
    for (row, method), job in firsts.items():
        axes = grid[rows.index(row), methods.index(method)]
        axes.set(xticks=[], yticks=[])
        path = Path(job["folder"]) / f"{row}-{method}-0.png"
        if path.exists():
            with Image.open(path) as image:
                axes.imshow(np.asarray(image.convert("RGB")))
        if row == rows[0]:
            axes.set_title(method, fontsize=8)
        if method == methods[0]:
            axes.set_ylabel(ROWS[row].replace(", ", ",\n"), fontsize=5)
    return figure


def main(argv: Sequence[str] | None = None) -> None:
    """Run what is missing, then write the tables and the picture."""
    parser = argparse.ArgumentParser(prog="python -m saddlepoint.studies.rows", description="Seven architectures by four value functions.")
    parser.add_argument("--updates", type=int, default=200, help="moves of the generator in a run; 200000 in the paper")
    parser.add_argument("--width", type=int, default=16, help="64 in the paper")
    parser.add_argument("--seeds", type=int, default=1, help="runs of each cell")
    parser.add_argument("--rows", nargs="+", choices=[*ROWS], default=[*ROWS])
    parser.add_argument("--methods", nargs="+", choices=[*METHODS], default=[*METHODS])
    parser.add_argument("--processes", type=int, default=1, help="runs at once, one thread each")
    parser.add_argument("--work", type=Path, default=Path("runs/rows"), help="folder of what is finished")
    parser.add_argument("--out", type=Path, default=Path("docs/tables/rows.md"), help="the tables")
    parser.add_argument("--picture", type=Path, default=Path("docs/pictures/rows.png"), help="the picture")
    given = parser.parse_args(argv)
    if min(given.updates, given.width, given.seeds) < 1:
        raise UsageError(f"updates, width and seeds must be at least 1; {given.updates}, {given.width} and {given.seeds} came.")

    def show(done: int, total: int, record: Record) -> None:
        job = record["job"]
        sys.stderr.write(f"{done}/{total} {job['row']}, {job['method']}: {record['quick_frechet']} in {record['cpu_sec']} CPU s\n")

    records = run_missing(row_run, jobs(given), given.work / "runs.jsonl", processes=given.processes, show=show)
    for path in (given.out, given.picture):
        path.parent.mkdir(parents=True, exist_ok=True)
    made = f"at commit {machine.commit() or 'unknown'} on {machine.hardware()}, one thread a run, torch {machine.versions()['torch']}"
    command = f"python -m saddlepoint.studies.rows --updates {given.updates} --width {given.width} --seeds {given.seeds}"
    head = (
        f"{DATA} at {SIDE} pixels, {given.updates} moves of G, width {given.width}, {given.seeds} seed(s), median (least to most); - is not finite."
    )
    parts = [
        f"{head} Made by `{command}`, {made}.",
        "Quick Frechet distance of 500 samples to 1,000 images (no FID):",
        table(records, "quick_frechet", "{:.2f}"),
        "Distance between samples over that between images:",
        table(records, "pairwise_distance", "{:.2f}"),
        "Largest size of the critic's loss:",
        table(records, "largest", "{:.3g}"),
    ]
    text = "\n\n".join(parts) + "\n"
    write_bytes(given.out, text.encode())
    picture(records).savefig(given.picture, dpi=110)


if __name__ == "__main__":
    raise SystemExit(answered(main))
