"""``python -m saddlepoint.studies.class_bias``: what an auxiliary classifier does to classes that overlap, and a projection does not.

Three classes on a line, N(0, 1), N(d, 2^2) and N(2d, 3^2), overlap the more the smaller d is. AC-GAN's generator is also asked to make samples that
are recognised, so it leaves the places where classes overlap, and each class comes out narrower than it is (Shu, Bui & Ermon 2017; the mixture is
that of Gong et al. 2019, arXiv:1907.02690, section 4.1). A projection discriminator compares the joint distributions and has no such wish.

Each arm is its recipe's "toy" preset, each cell the mean over seeds with their least and most. Writes a Markdown table, and a picture with
``--picture``; with ``--keep`` every finished run is kept, and the same command continues where it was stopped.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.records import DataSpec
from saddlepoint.draws import derive_seed
from saddlepoint.evaluation.samples import draw_samples
from saddlepoint.evaluation.sliced import sliced_wasserstein
from saddlepoint.games.game import Samples
from saddlepoint.studies.play import play
from saddlepoint.studies.pool import Job, Record, answered, run_missing, write_text
from saddlepoint.zoo.catalogue import find_recipe

STD = (1.0, 2.0, 3.0)
RECORDS, SAMPLES = 30_000, 3_000  # of all classes; of each class
ARMS: dict[str, tuple[str, dict[str, Any]]] = {
    "AC-GAN": ("acgan", {}),
    "AC-GAN, D classifies reals only": ("acgan", {"classify_fakes": False}),
    "projection": ("projection", {}),
}


def means_of(d: float) -> tuple[float, ...]:
    """Means of the three classes."""
    return tuple(d * k for k in range(len(STD)))


def overlapping(d: float) -> ArrayDataset:
    """Points [n, 1] with their classes, equally many of each."""
    rng = torch.Generator().manual_seed(derive_seed("overlapping classes", str(d)))
    labels = torch.arange(RECORDS) % len(STD)
    mean, std = torch.tensor(means_of(d)), torch.tensor(STD)
    fields: dict[str, Tensor] = {"point": (mean[labels] + std[labels] * torch.randn(RECORDS, generator=rng))[:, None], "label": labels}
    spec = DataSpec(
        name=f"overlapping classes, d = {d:g}", kind="points", shape=(1,), num_records=RECORDS, num_classes=len(STD), fields=tuple(fields)
    )
    return ArrayDataset(fields, spec)


def work(job: Job) -> Record:
    """One run: deviation, mean and distance of each class, and some samples."""
    torch.set_num_threads(1)
    name, changes = ARMS[job["arm"]]
    entry, data = find_recipe(name), overlapping(job["d"])
    toy: Any = entry.preset("toy")
    config = dataclasses.replace(toy, width=job["width"], **changes)
    torch.manual_seed(derive_seed(job["seed"], "initialisation"))
    game = entry.game(config, data)
    play(game, data, rounds=job["rounds"], batch=config.batch, seed=job["seed"], every=job["rounds"])
    assert isinstance(game, Samples)
    truth = overlapping(job["d"]).records(torch.arange(RECORDS))
    record: Record = {"std": [], "mean": [], "distance": [], "samples": []}
    for label in range(len(STD)):
        made = draw_samples(game, SAMPLES, seed=job["seed"], label=label).double()
        real = truth["point"][truth["label"] == label].double()
        record["std"].append(made.std().item())
        record["mean"].append(made.mean().item())
        record["distance"].append(float(sliced_wasserstein(real, made, num_directions=1)) / STD[label])
        record["samples"].append([round(value, 3) for value in made[:600, 0].tolist()])
    return record


def measure(distances: Sequence[float], seeds: int, rounds: int, width: int, keep: Path, processes: int = 1) -> list[Record]:
    """Every arm at every distance with every seed."""
    jobs = [{"arm": arm, "d": d, "seed": seed, "rounds": rounds, "width": width} for d in distances for arm in ARMS for seed in range(seeds)]
    return run_missing(work, jobs, keep, processes=processes)


def as_table(records: Sequence[Record]) -> str:
    """A row an arm and distance: deviation of each class as a share of the true one, and the distance to the truth in deviations, over the seeds."""
    head = ["d", "arm", *(f"class {k + 1}: deviation / true" for k in range(len(STD))), "Wasserstein-1 / true deviation, mean of classes"]
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for d in sorted({record["job"]["d"] for record in records}):
        for arm in ARMS:
            mine = [record for record in records if record["job"]["d"] == d and record["job"]["arm"] == arm]
            if mine:
                shares = [[record["std"][k] / STD[k] for record in mine] for k in range(len(STD))]
                far = [float(np.mean(record["distance"])) for record in mine]
                lines.append("| " + " | ".join([f"{d:g}", arm, *(_spread(cell) for cell in [*shares, far])]) + " |")
    return "\n".join(lines) + "\n"


def _spread(values: Sequence[float]) -> str:
    return f"{np.mean(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def draw(records: Sequence[Record], path: Path) -> None:
    """Densities of the classes, true and made by the first seed; a row a distance, a column an arm."""
    from matplotlib.figure import Figure

    distances, first = sorted({record["job"]["d"] for record in records}), [record for record in records if record["job"]["seed"] == 0]
    figure = Figure(figsize=(4 * len(ARMS), 2.6 * len(distances)), layout="constrained")
    panels = figure.subplots(len(distances), len(ARMS), squeeze=False)
    for record in first:
        d, arm = record["job"]["d"], record["job"]["arm"]
        axes = panels[distances.index(d)][[*ARMS].index(arm)]
        x = np.linspace(-4, 2 * d + 10, 300)
        for k, (mean, std) in enumerate(zip(means_of(d), STD, strict=True)):
            axes.plot(x, np.exp(-((x - mean) ** 2) / (2 * std**2)) / (std * math.sqrt(2 * math.pi)), color=f"C{k}")
            axes.hist(record["samples"][k], bins=40, range=(x[0], x[-1]), density=True, alpha=0.4, color=f"C{k}")
        axes.set(title=f"{arm}, d = {d:g}", ylim=(0, 0.6))
    figure.savefig(path, dpi=90)


def main(arguments: list[str] | None = None) -> int:
    """Read the flags, measure, write."""
    parser = argparse.ArgumentParser(prog="python -m saddlepoint.studies.class_bias", description="AC-GAN and projection on classes that overlap.")
    parser.add_argument("--distances", type=float, nargs="+", default=[2.0, 4.0], help="between the means")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=2000)
    parser.add_argument("--width", type=int, default=64, help="units of a hidden layer")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="file of finished runs; left out: none are kept")
    parser.add_argument("--out", type=Path, help="Markdown file; left out: to the screen")
    parser.add_argument("--picture", type=Path, help="PNG file")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as aside:
        keep = given.keep or Path(aside) / "runs.jsonl"
        records = measure(given.distances, given.seeds, given.rounds, given.width, keep, given.processes)
    text = as_table(records)
    write_text(text, given.out)
    if given.picture is not None:
        draw(records, given.picture)
    return 0


if __name__ == "__main__":
    raise SystemExit(answered(main))
