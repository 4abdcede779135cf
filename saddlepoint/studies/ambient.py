"""``python -m saddlepoint.studies.ambient``: AmbientGAN against its baselines, each behind the same measurement.

Images of clothes of which each pixel is dropped with probability p, or other measurements. "ambient" learns through the measurement, "ignore" takes
the measurements for images, the others restore them first, by the name of how; and the same game is played on whole images. All play the recipe's
preset "small" on the same data with the same measurements. Scored are samples against whole images: the classifier score (the Inception score with
the shipped classifier in place of Inception, 1 to 10, higher is better) and the quick Frechet distance (lower is better).

Cells are means over seeds with their least and most. Writes a Markdown table, and a picture with ``--picture``; with ``--keep`` every finished run is
kept, and the same command continues where it was stopped.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saddlepoint.data.sources import open_data
from saddlepoint.draws import derive_seed
from saddlepoint.evaluation.classifier import QuickFeatures
from saddlepoint.evaluation.grid import image_grid
from saddlepoint.evaluation.inception import inception_score
from saddlepoint.evaluation.quick import QuickScorer
from saddlepoint.evaluation.samples import draw_samples
from saddlepoint.games.ambient import AmbientGame
from saddlepoint.studies.play import play
from saddlepoint.studies.pool import Job, Record, answered, run_missing, write_text
from saddlepoint.training import machine
from saddlepoint.zoo.catalogue import find_recipe

WHOLE = "block-pixels:p=0"
HEAD, SHOWN = "fashion", 16  # of the classifier; samples in the picture
REAL, FAKE = 2000, 1000  # images that are compared


@functools.cache
def judges() -> tuple[QuickScorer, QuickFeatures]:
    """Of the quick Frechet distance and of the classes."""
    return QuickScorer(open_data(HEAD, resolution=28), num_real=REAL, num_fake=FAKE), QuickFeatures()


def classifier_score(samples: Tensor) -> float:
    """The Inception score of images uint8 [n, 1, h, w], in one split, with the shipped classifier in place of Inception: 1 to 10."""
    return inception_score(judges()[1].class_probabilities(samples, HEAD), splits=1).value


def work(job: Job) -> Record:
    """One run: its scores, the seconds of the processor, and its first samples as bytes."""
    torch.set_num_threads(1)
    entry, data = find_recipe("ambientgan"), open_data(HEAD, resolution=28)
    small: Any = entry.preset("small")
    restored = {} if job["method"] in ("ambient", "ignore") else {"method": "unmeasure", "unmeasure": job["method"]}
    settings = {"measurement": job["measurement"], "method": job["method"], "width": job["width"], "rounds": job["rounds"]} | restored
    config = dataclasses.replace(small, **settings)
    torch.manual_seed(derive_seed(job["seed"], "initialisation"))
    game = entry.game(config, data)
    assert isinstance(game, AmbientGame)
    began = time.process_time()
    play(game, data, rounds=config.rounds, batch=config.batch, seed=job["seed"], every=config.rounds)
    seconds = time.process_time() - began
    scorer = judges()[0]
    samples = draw_samples(game, scorer.num_fake, seed=job["seed"])
    found = scorer.score(samples)
    return {
        "score": classifier_score(samples),
        "frechet": found["quick_frechet"],
        "coverage": found["coverage"],
        "floor": found["floor"]["quick_frechet"],
        "cpu_sec": round(seconds, 1),
        "samples": samples[:SHOWN, 0].flatten(1).tolist(),
    }


def jobs(given: argparse.Namespace) -> list[Job]:
    """Whole images, then every method behind every measurement, with every seed."""
    common = {"rounds": given.rounds, "width": given.width}
    measurements = given.measurements or [f"block-pixels:p={p:g}" for p in given.drop]
    arms = [("ambient", WHOLE), *((method, text) for text in measurements for method in ("ambient", "ignore", *given.unmeasure))]
    return [common | {"method": method, "measurement": text, "seed": seed} for method, text in arms for seed in range(given.seeds)]


def as_table(records: Sequence[Record]) -> str:
    """A row an arm; real images on top."""
    real = open_data(HEAD, resolution=28).records(torch.arange(FAKE))["image"]
    best = classifier_score(real)
    head = ["measurement", "method", "classifier score", "quick Frechet distance", "coverage", "CPU seconds"]
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head), f"| | real images | {best:.2f} | {records[0]['floor']:.2f} | | |"]
    for text, method in dict.fromkeys((record["job"]["measurement"], record["job"]["method"]) for record in records):
        mine = [record for record in records if (record["job"]["measurement"], record["job"]["method"]) == (text, method)]
        forms = {"score": "{:.2f}", "frechet": "{:.1f}", "coverage": "{:.2f}", "cpu_sec": "{:.0f}"}
        cells = [_spread([record[name] for record in mine], form) for name, form in forms.items()]
        lines.append("| " + " | ".join([*(["none", "whole images"] if text == WHOLE else [text, method]), *cells]) + " |")
    return "\n".join(lines) + "\n"


def _spread(values: Sequence[float], form: str) -> str:
    mean, least, most = (form.format(value) for value in (float(np.mean(values)), min(values), max(values)))
    return f"{mean} ({least} to {most})"


def draw(records: Sequence[Record], path: Path) -> None:
    """The first seed's samples, a row an arm, in the order of the table."""
    firsts = [record for record in records if record["job"]["seed"] == 0]
    pixels = torch.tensor([sample for record in firsts for sample in record["samples"]], dtype=torch.uint8)
    image_grid(pixels.view(-1, 1, 28, 28), columns=SHOWN, zoom=2).save(path)


def main(arguments: list[str] | None = None) -> int:
    """Read the flags, measure, write."""
    parser = argparse.ArgumentParser(
        prog="python -m saddlepoint.studies.ambient", description="AmbientGAN and its baselines behind the same measurements."
    )
    parser.add_argument("--drop", type=float, nargs="+", default=[0.5, 0.8], help="probabilities that a pixel is dropped")
    parser.add_argument("--measurements", nargs="+", default=[], help="others in place of dropped pixels, for example block-patch:size=14")
    parser.add_argument("--unmeasure", nargs="+", default=["blur"], help="how baselines restore images: blur, median, inpaint, telea or wiener")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="file of finished runs; left out: none are kept")
    parser.add_argument("--out", type=Path, help="Markdown file; left out: to the screen")
    parser.add_argument("--picture", type=Path, help="PNG file")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as aside:
        records = run_missing(work, jobs(given), given.keep or Path(aside) / "runs.jsonl", processes=given.processes)
    about = f"{HEAD} at 28 pixels, {given.rounds} rounds of 64 images, width {given.width}, {given.seeds} seeds; mean (least to most)."
    made = f"On {machine.hardware()}, torch {machine.versions()['torch']}, commit {machine.commit() or 'unknown'}, one thread a run."
    text = f"{about} {made}\n\n{as_table(records)}"
    write_text(text, given.out)
    if given.picture is not None:
        draw(records, given.picture)
    return 0


if __name__ == "__main__":
    raise SystemExit(answered(main))
