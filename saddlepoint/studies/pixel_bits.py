"""``python -m saddlepoint.studies.pixel_bits``: bits per dimension of PixelCNNs on held-out digits, beside pixels that know nothing of each other.

Every arm learns nine tenths of the digits at 8 pixels, black and white, and is measured on the tenth that is left: the independent Bernoulli pixel
(its share of white in the training digits, with one black and one white added), the Gated PixelCNN, the same given the class, the PixelCNN
auto-encoder with codes of 2 and 10 numbers, given the code. Also how often what is drawn has the class asked for, or that of the digit whose code it
was drawn from, as told by the nearest training digit. Last and best of ten looks at the held-out digits, for so many seeds.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import sys
import time
from typing import Any

import torch
from torch import Tensor

from saddlepoint.data.records import Batch, to_device
from saddlepoint.data.sources import open_data
from saddlepoint.draws import Draws, derive_seed, use
from saddlepoint.games.pixelcnn import PixelAutoencoderGame, PixelCNNGame
from saddlepoint.studies.play import play
from saddlepoint.studies.pool import answered
from saddlepoint.training.machine import hardware, versions
from saddlepoint.zoo.catalogue import find_recipe

ARMS = {
    "pixelcnn": ("pixelcnn", "small"),
    "given the class": ("pixelcnn", "small-conditional"),
    "given a code of 2": ("pixelcnn-autoencoder", "small-two"),
    "given a code of 10": ("pixelcnn-autoencoder", "small"),
}
LOOKS = 10


def whole(name: str) -> Batch:
    """Every record of a data set as one batch."""
    data = open_data(name)
    return to_device(data.records(torch.arange(len(data))), "cpu")


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
    draws = Draws.seeded(seed, "agreement")
    with use(draws):
        if isinstance(game, PixelAutoencoderGame):
            drawn = game.reconstruct(test.image)
        elif game.num_classes is not None:
            drawn = game.sample(len(test), draws, test["label"])
        else:
            return None
    return float((nearest_class(drawn, train) == test["label"]).double().mean())


def run(arm: str, seed: int, rounds: int) -> dict[str, Any]:
    """One arm with one seed: bits per dimension, last and best of the looks; agreement; seconds of the process."""
    name, preset = ARMS[arm]
    recipe, data = find_recipe(name), open_data("digits:train")
    config: Any = dataclasses.replace(recipe.preset(preset), rounds=rounds)
    torch.manual_seed(derive_seed(seed, "initialisation"))
    game = recipe.game(config, data)
    assert isinstance(game, PixelCNNGame | PixelAutoencoderGame)
    train, test = whole("digits:train"), whole("digits:test")
    looks: list[float] = []

    @torch.no_grad()
    def look(done: int) -> None:
        looks.append(float(game.measure(test, Draws())["bits_per_dim"]))

    began = time.process_time()
    play(game, data, rounds=rounds, batch=config.batch, seed=seed, every=max(1, rounds // LOOKS), watch=look)
    seconds = time.process_time() - began
    found = {"bits": looks[-1], "best": min(looks), "agreement": agreement(game, train, test, seed), "cpu_sec": round(seconds, 1)}
    return {"arm": arm, "seed": seed, "rounds": rounds, "images_seen": rounds * config.batch} | found


def spread(values: list[float]) -> str:
    """Median, least and most."""
    ranked = sorted(values)
    return f"{ranked[len(ranked) // 2]:.3f} ({ranked[0]:.3f} to {ranked[-1]:.3f})"


def table(rows: list[dict[str, Any]], baseline: float, truth: float) -> str:
    """The rows as a Markdown table; ``truth`` is how often the nearest training digit tells the class of a held-out one."""
    lines = [
        "| arm | bits per dimension, last | best | nats an image, last | class agrees |",
        "| --- | --- | --- | --- | --- |",
        f"| independent pixels | {baseline:.3f} | | {baseline * 64 * math.log(2):.1f} | |",
    ]
    for arm in dict.fromkeys(row["arm"] for row in rows):
        own = [row for row in rows if row["arm"] == arm]
        agrees = "" if own[0]["agreement"] is None else spread([row["agreement"] for row in own])
        nats = sorted(row["bits"] * 64 * math.log(2) for row in own)
        lines.append(
            f"| {arm} | {spread([row['bits'] for row in own])} | {spread([row['best'] for row in own])} | {nats[len(nats) // 2]:.1f} | {agrees} |"
        )
    return "\n".join([*lines, f"\nThe nearest training digit tells the class of {truth:.3f} of the held-out ones."])


def main(arguments: list[str] | None = None) -> int:
    """Read the flags, train, measure, write a table or JSON."""
    parser = argparse.ArgumentParser(prog="python -m saddlepoint.studies.pixel_bits", description="Bits per dimension of PixelCNNs on digits.")
    parser.add_argument("--rounds", type=int, default=1_500)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--arms", nargs="+", choices=[*ARMS], default=[*ARMS])
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    train, test = whole("digits:train"), whole("digits:test")
    baseline = bernoulli_bits(train.image, test.image)
    truth = float((nearest_class(test.image, train) == test["label"]).double().mean())
    rows = [run(arm, seed, given.rounds) for seed in range(given.seeds) for arm in given.arms]
    if given.json:
        data = {split: open_data(f"digits:{split}").spec.content_hash for split in ("train", "test")}
        found = {"machine": hardware(), "versions": versions(), "data": data, "independent_bits": baseline, "nearest_agrees": truth, "rows": rows}
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
    else:
        sys.stdout.write(table(rows, baseline, truth) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(answered(main))
