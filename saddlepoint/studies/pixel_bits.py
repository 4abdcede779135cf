"""``python -m saddlepoint.studies.pixel_bits``: bits per dimension of PixelCNNs on held-out digits, beside pixels that know nothing of each other.

Every arm learns nine tenths of the digits at 8 pixels, or the part "train" of ``--data``, black and white, and is measured on the rest, or the first
``--held-out`` of it: the independent Bernoulli pixel
(its share of white in the training digits, with one black and one white added), the Gated PixelCNN, the same given the class, the PixelCNN
auto-encoder with codes of 2 and 10 numbers, given the code. Also how often what is drawn has the class asked for, or that of the digit whose code it
was drawn from, as told by the nearest of the first 10,000 training digits. Last and best of ``--looks`` at the held-out digits, for so many seeds.
With ``--keep`` every finished run is kept, and the same command continues where it was stopped.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from saddlepoint.data.records import Batch, to_device
from saddlepoint.data.sources import open_data
from saddlepoint.draws import Draws, derive_seed, use
from saddlepoint.games.pixelcnn import PixelAutoencoderGame, PixelCNNGame
from saddlepoint.studies.play import play
from saddlepoint.studies.pool import Job, Record, answered, at_least_one, run_missing, write_text
from saddlepoint.training.machine import hardware, versions
from saddlepoint.zoo.catalogue import find_recipe

ARMS = {
    "pixelcnn": ("pixelcnn", "small"),
    "given the class": ("pixelcnn", "small-conditional"),
    "given a code of 2": ("pixelcnn-autoencoder", "small-two"),
    "given a code of 10": ("pixelcnn-autoencoder", "small"),
}
LOOKS, KNOWN, AT_ONCE = 10, 10_000, 500


def first(name: str, most: int | None = None) -> Batch:
    """Every record of a data set as one batch, or the first so many."""
    data = open_data(name)
    return to_device(data.records(torch.arange(min(len(data), most or len(data)))), "cpu")


def pieces(batch: Batch) -> list[Batch]:
    """A batch in pieces."""
    return [Batch({name: values[k : k + AT_ONCE] for name, values in batch.fields.items()}) for k in range(0, len(batch), AT_ONCE)]


def bernoulli_bits(train: Tensor, test: Tensor) -> float:
    """Bits per dimension of images in [-1, 1], each pixel white with the share that it has in other images, independently of all others.

    >>> round(bernoulli_bits(torch.tensor([[1.0], [-1.0]]), torch.tensor([[1.0]])), 6)
    1.0
    """
    white = ((train > 0).double().sum(0) + 1) / (len(train) + 2)
    return float(-torch.where(test > 0, white, 1 - white).log2().mean())


def nearest_class(x: Tensor, train: Batch) -> Tensor:
    """Classes int64 [n] of the training images nearest to x, both black and white."""
    known = (train.image > 0).double().flatten(1)
    return train["label"][torch.cdist((x > 0).double().flatten(1), known).argmin(1)]


@torch.no_grad()
def agreement(game: PixelCNNGame | PixelAutoencoderGame, train: Batch, test: Batch, seed: int) -> float | None:
    """Share of drawn images whose class is the one asked for; None where none is."""
    if isinstance(game, PixelCNNGame) and game.num_classes is None:
        return None
    draws, drawn = Draws.seeded(seed, "agreement"), []
    with use(draws):
        for part in pieces(test):
            drawn.append(game.reconstruct(part.image) if isinstance(game, PixelAutoencoderGame) else game.sample(len(part), draws, part["label"]))
    return float((nearest_class(torch.cat(drawn), train) == test["label"]).double().mean())


@torch.no_grad()
def bits_of(game: PixelCNNGame | PixelAutoencoderGame, test: Batch) -> float:
    """Bits per dimension, the mean over the images."""
    return sum(len(part) * float(game.measure(part, Draws())["bits_per_dim"]) for part in pieces(test)) / len(test)


def work(job: Job) -> Record:
    """One arm with one seed: bits per dimension, last and best of the looks; agreement; seconds of the process."""
    name, preset = ARMS[job["arm"]]
    recipe, data, rounds, seed = find_recipe(name), open_data(f"{job['data']}:train"), job["rounds"], job["seed"]
    config: Any = dataclasses.replace(recipe.preset(preset), rounds=rounds)
    config = config if job["width"] is None else dataclasses.replace(config, width=job["width"])
    torch.manual_seed(derive_seed(seed, "initialisation"))
    game = recipe.game(config, data)
    assert isinstance(game, PixelCNNGame | PixelAutoencoderGame)
    train, test = first(f"{job['data']}:train", KNOWN), first(f"{job['data']}:test", job["held_out"])
    looks: list[float] = []
    began = time.process_time()
    every = max(1, rounds // job["looks"])
    play(game, data, rounds=rounds, batch=config.batch, seed=seed, every=every, watch=lambda done: looks.append(bits_of(game, test)))
    seconds = time.process_time() - began
    found = {"bits": looks[-1], "best": min(looks), "agreement": agreement(game, train, test, seed), "cpu_sec": round(seconds, 1)}
    return {"images_seen": rounds * config.batch} | found


def spread(values: list[float]) -> str:
    """Median, least and most."""
    ranked = sorted(values)
    return f"{ranked[len(ranked) // 2]:.3f} ({ranked[0]:.3f} to {ranked[-1]:.3f})"


def table(rows: list[Record], baseline: float, truth: float, pixels: int = 64) -> str:
    """The rows as a Markdown table; ``truth`` is how often the nearest training digit tells the class of a held-out one."""
    nats = pixels * math.log(2)
    lines = [
        "| arm | bits per dimension, last | best | nats an image, last | class agrees | CPU seconds |",
        "| --- | --- | --- | --- | --- | --- |",
        f"| independent pixels | {baseline:.3f} | | {baseline * nats:.1f} | | |",
    ]
    for arm in dict.fromkeys(row["job"]["arm"] for row in rows):
        own = [row for row in rows if row["job"]["arm"] == arm]
        agrees = "" if own[0]["agreement"] is None else spread([row["agreement"] for row in own])
        bits = [row["bits"] for row in own]
        best, seconds = spread([row["best"] for row in own]), sorted(row["cpu_sec"] for row in own)[len(own) // 2]
        lines.append(f"| {arm} | {spread(bits)} | {best} | {sorted(bits)[len(bits) // 2] * nats:.1f} | {agrees} | {seconds:.0f} |")
    return "\n".join([*lines, f"\nThe nearest training digit tells the class of {truth:.3f} of the held-out ones.\n"])


def main(arguments: list[str] | None = None) -> int:
    """Read the flags, train, measure, write a table or JSON."""
    parser = argparse.ArgumentParser(prog="python -m saddlepoint.studies.pixel_bits", description="Bits per dimension of PixelCNNs on digits.")
    parser.add_argument("--data", default="digits", help="images with labels and the parts train and test, for example mnist")
    parser.add_argument("--rounds", type=at_least_one, default=1_500)
    parser.add_argument("--seeds", type=at_least_one, default=3)
    parser.add_argument("--arms", nargs="+", choices=[*ARMS], default=[*ARMS])
    parser.add_argument("--width", type=at_least_one, help="maps of a stack; left out: the presets'")
    parser.add_argument("--held-out", type=at_least_one, help="most images of the part test that are looked at; left out: all")
    parser.add_argument("--looks", type=at_least_one, default=LOOKS)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--keep", type=Path, help="file of finished runs; left out: none are kept")
    parser.add_argument("--out", type=Path, help="file to write; left out: to the screen")
    given = parser.parse_args(arguments)
    train, test = first(f"{given.data}:train"), first(f"{given.data}:test", given.held_out)
    baseline = bernoulli_bits(train.image, test.image)
    truth = float((nearest_class(test.image, first(f"{given.data}:train", KNOWN)) == test["label"]).double().mean())
    common = {name: getattr(given, name) for name in ("data", "rounds", "width", "held_out", "looks")}
    jobs = [common | {"arm": arm, "seed": seed} for seed in range(given.seeds) for arm in given.arms]
    with tempfile.TemporaryDirectory() as aside:
        rows = run_missing(work, jobs, given.keep or Path(aside) / "runs.jsonl")
    if given.json:
        data = {split: open_data(f"{given.data}:{split}").spec.content_hash for split in ("train", "test")}
        found = {"machine": hardware(), "versions": versions(), "data": data, "independent_bits": baseline, "nearest_agrees": truth, "rows": rows}
        write_text(json.dumps(found, indent=2) + "\n", given.out)
    else:
        write_text(table(rows, baseline, truth, test.image[0].numel()), given.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(answered(main))
