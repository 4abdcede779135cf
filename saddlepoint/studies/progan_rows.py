"""Progressive GAN's Table 1 at small scale: what each of its parts does, as one table made by one command.

    python -m saddlepoint.studies.progan_rows --data fashion --kimg 28 --seeds 3

The rows of the catalogue at 32 pixels on narrow networks: every row sees the same number of real images, as in the paper, where D stops after ten
million. Scores are the sliced Wasserstein distance on the Laplacian pyramid's levels and MS-SSIM between random pairs; for the first, less is better,
for the second, near the real images' own. Interrupted, the same command continues.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from saddlepoint.config import to_json
from saddlepoint.data.records import Dataset
from saddlepoint.data.sources import open_data
from saddlepoint.draws import derive_seed
from saddlepoint.errors import NotFiniteError, UsageError
from saddlepoint.evaluation.laplacian import PyramidDescriptors, pyramid_distance
from saddlepoint.evaluation.msssim import ms_ssim_diversity
from saddlepoint.evaluation.samples import draw_samples
from saddlepoint.games.game import Samples
from saddlepoint.games.growing import with_rounds
from saddlepoint.studies.play import play
from saddlepoint.studies.pool import Record, answered, run_missing
from saddlepoint.studies.toys import cell
from saddlepoint.training import machine
from saddlepoint.training.storage import write_bytes
from saddlepoint.zoo.progan import SMALL, ProGANConfig, progan, rows

SIDE, TOP = 32, 3
REAL = "real"  # the job of the real images' own scores
TITLES = {
    "row-a": "(a) Gulrajani et al. 2017",
    "row-b": "(b) + progressive growing",
    "row-c": "(c) + small minibatch",
    "row-d": "(d) + revised training parameters",
    "row-e-star": "(e*) + minibatch discrimination",
    "row-e": "(e) minibatch deviation",
    "row-f": "(f) + equalised learning rate",
    "row-g": "(g) + pixelwise normalisation",
    "row-h": "(h) twice the channels, half as many images again",
}


def configuration(row: str, kimg: float) -> ProGANConfig:
    """A row at small scale; the stretches of growing are equal shares of ``kimg``.

    >>> [configuration(row, 28.0).rounds for row in ("row-b", "row-c", "row-g")]
    [84, 350, 1750]
    """
    share = kimg / (2 * TOP + 1)
    base = replace(SMALL, batch=16, stddev_group=16, fused=False, ema_decay=0.999, stable_kimg=share, fade_kimg=share, total_kimg=kimg)
    if row == "row-h":
        return with_rounds(replace(base, channel_base=2 * base.channel_base, width=2 * base.width, total_kimg=1.5 * kimg), TOP)
    return rows(base, TOP)[row]


def jobs(given: argparse.Namespace) -> list[dict[str, Any]]:
    """The real images' own scores, then every row before the next seed; a run on file counts only while its whole configuration is the same."""
    each = {row: to_json(configuration(row, given.kimg)) for row in given.rows}
    common = {"data": given.data, "judged": given.judged, "pairs": given.pairs}
    runs = [{"row": row, "kimg": given.kimg, "seed": seed, "config": config} for seed in range(given.seeds) for row, config in each.items()]
    return [common | {"row": REAL}, *(common | run for run in runs)]


def row_run(job: dict[str, Any]) -> dict[str, Any]:
    """One run.

    Args:
        job: one of :func:`jobs`.
    Returns:
        The "scores" of the last state, "images_seen", "cpu_sec" of the rounds, and "stopped": why it ended early, or None.
    """
    data = open_data(job["data"], resolution=SIDE)
    count = min(job["judged"], len(data) // 2)
    if job["row"] == REAL:
        return {"scores": score(images(data, 0, count), images(data, 1, count), job["pairs"])}
    config = configuration(job["row"], job["kimg"])
    torch.manual_seed(derive_seed(job["seed"], "initialisation"))
    game = progan(config, data)
    assert isinstance(game, Samples)
    start, stopped = time.process_time(), None
    try:
        play(game, data, rounds=config.rounds, batch=config.batch, seed=job["seed"], every=max(1, config.rounds // 10))
    except NotFiniteError as error:
        stopped = str(error).partition(". ")[0]
    spent = round(time.process_time() - start, 1)
    scores = None if stopped else score(images(data, 0, count), draw_samples(game, count, seed=job["seed"]), job["pairs"])
    return {"scores": scores, "images_seen": game.clock.images_seen, "cpu_sec": spent, "stopped": stopped}


def images(data: Dataset, part: int, count: int) -> Tensor:
    """The ``part``-th ``count`` images of a fixed order."""
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(derive_seed("progan rows")))
    return data.records(order[part * count : (part + 1) * count])["image"]


def score(real: Tensor, fake: Tensor, pairs: int) -> dict[str, float]:
    """Sliced Wasserstein distance by level and on average, times 1,000, and MS-SSIM among ``fake``."""
    distance = pyramid_distance(PyramidDescriptors(seed=0).update(real), PyramidDescriptors(seed=1).update(fake))
    levels = {f"swd_{side}": round(value, 3) for side, value in distance.levels.items()}
    return levels | {"swd": round(distance.average, 3), "ms_ssim": round(ms_ssim_diversity(fake, pairs=pairs).value, 4)}


def table(records: Sequence[Record]) -> str:
    """A line a row, in the paper's order; real images on top."""
    floor = records[0]["scores"]
    levels = [name for name in floor if name.startswith("swd_")]
    keys = [*levels, "swd", "ms_ssim"]
    headings = [*(f"SWD {name[4:]}" for name in levels), "SWD", "MS-SSIM"]
    lines = ["| row | " + " | ".join([*headings, "kimg", "CPU s"]) + " |", "|" + " --- |" * (len(headings) + 3)]
    forms = ["{:.1f}"] * (len(levels) + 1) + ["{:.3f}"]
    cells = [form.format(floor[key]) for key, form in zip(keys, forms, strict=True)]
    lines.append(f"| *real images* | {' | '.join(cells)} | | |")
    for row, title in TITLES.items():
        runs = [record for record in records if record["job"]["row"] == row]
        if runs:
            cells = [
                cell([None if run["scores"] is None else run["scores"][key] for run in runs], form) for key, form in zip(keys, forms, strict=True)
            ]
            cells += [cell([run["images_seen"] / 1000 for run in runs], "{:.0f}"), cell([run["cpu_sec"] for run in runs], "{:.0f}")]
            lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def page(records: Sequence[Record], given: argparse.Namespace, about: dict[str, Any]) -> str:
    """The table with the protocol that it was made under."""
    count = min(given.judged, len(open_data(given.data, resolution=SIDE)) // 2)
    stopped = [f"{TITLES[record['job']['row']]}, seed {record['job']['seed']}: {record['stopped']}" for record in records[1:] if record["stopped"]]
    rows = "" if [*given.rows] == [*TITLES] else f" --rows {' '.join(given.rows)}"
    parts = [
        f"{given.data} at {SIDE} pixels, {given.kimg:g} thousand real images a run (row h half as many again), growing in equal shares; channels "
        f"{SMALL.channel_base} / 2^(level + 1), at most {SMALL.width}; z of {SMALL.latent_dim} numbers. Seeds 0 to {given.seeds - 1}; median (least "
        f"to most). {count} samples against {count} real images: sliced Wasserstein distance on the Laplacian pyramid times 1,000, and MS-SSIM of "
        f"{given.pairs} random pairs on two scales, not comparable with the paper's five. *real images* is as many others. Samples are the averaged "
        "generator's.",
        f"Made by `python -m saddlepoint.studies.progan_rows --data {given.data} --kimg {given.kimg:g} --seeds {given.seeds}{rows}` at commit "
        f"{about['commit'] or 'unknown'} on {about['hardware']}, one thread a run, torch {about['versions']['torch']}.",
        *(["Ended early: " + "; ".join(stopped) + "."] if stopped else []),
        table(records),
    ]
    return "\n\n".join(parts) + "\n"


def show(done: int, total: int, record: Record) -> None:
    """A line a finished run, on standard error."""
    job = record["job"]
    sys.stderr.write(f"{done}/{total} {job['row']} seed {job.get('seed', '-')}: {record['scores']} in {record.get('cpu_sec', 0)} CPU s\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing, then write the table and the numbers."""
    parser = argparse.ArgumentParser(prog="python -m saddlepoint.studies.progan_rows", description="Progressive GAN's Table 1 at small scale.")
    parser.add_argument("--data", default="fashion")
    parser.add_argument("--kimg", type=float, default=28.0, help="thousands of real images a run")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each row")
    parser.add_argument("--rows", nargs="+", choices=[*TITLES], default=[*TITLES], help="which rows")
    parser.add_argument("--judged", type=int, default=4096, help="samples that are scored, and real images; at most half the data")
    parser.add_argument("--pairs", type=int, default=10_000, help="of images, for MS-SSIM")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="runs at once, one thread each")
    parser.add_argument("--work", type=Path, default=Path("runs/progan-rows"), help="folder of finished runs")
    parser.add_argument("--out", type=Path, default=Path("docs/tables/progan-rows.md"), help="the table; every run's numbers go beside it as JSON")
    given = parser.parse_args(arguments)
    if given.seeds < 1 or given.kimg <= 0 or min(given.judged, given.pairs) < 2:
        raise UsageError(
            f"At least 1 seed, 2 judged, 2 pairs and more than 0 kimg are needed; {given.seeds}, {given.judged}, {given.pairs}, {given.kimg} came."
        )
    records = run_missing(row_run, jobs(given), given.work / "runs.jsonl", processes=given.processes, show=show)
    about = {"commit": machine.commit(), "hardware": machine.hardware(), "versions": machine.versions()}
    given.out.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(given.out, page(records, given, about).encode())
    lines = ",\n".join(json.dumps(record) for record in records)
    write_bytes(given.out.with_suffix(".json"), f'{json.dumps(about)[:-1]}, "runs": [\n{lines}\n]}}\n'.encode())


if __name__ == "__main__":
    raise SystemExit(answered(main))
