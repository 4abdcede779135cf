"""``python -m saddlepoint.studies.encoders``: what encoders and decoders can do with an adversary and without one, one table a question.

    blur      samples of a variational autoencoder, of GLO (no adversary either), of VAE/GAN and of a GAN, all on clothes of 16 pixels: gradients and
              power at the upper half of the frequencies against those of real images, and the Frechet distance of the quick features
    features  BiGAN's encoder against latent regressors, which see samples alone: a linear classifier and the nearest neighbour on the layer before
              the code, of held-out clothes of 16 pixels; what is left of real images that went through the code; and an encoder as it begins
    regress   the brute-force encoder on digits: errors of z, of samples and of real images that went through the code, where the GAN was trained on
              all classes and where on five of ten; and the adversarial autoencoder, which sees the real images

Every cell is the mean over the seeds with the least and the most. With ``--keep`` every finished run is kept, and the same command continues where it
was stopped.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.records import to_device
from saddlepoint.data.sources import open_data
from saddlepoint.draws import Draws, derive_seed
from saddlepoint.evaluation.classifier import QuickFeatures
from saddlepoint.evaluation.frechet import frechet_distance
from saddlepoint.evaluation.probes import linear_probe, nearest_neighbour_accuracy
from saddlepoint.evaluation.samples import draw_samples
from saddlepoint.evaluation.spectra import fine_gap, sharpness
from saddlepoint.games.bigan import distance_of_images
from saddlepoint.studies.play import play
from saddlepoint.studies.pool import Job, Record, run_missing
from saddlepoint.zoo.catalogue import find_recipe

SAMPLES, LABELLED, CLASSES_SEEN = 1_000, 2_000, 5
PENALTY = (1e-2,)  # of the linear classifier: one, so that no arm is tuned more than another
LATENT = 16
Arm = tuple[str, str, dict[str, Any]]
ARMS: dict[str, dict[str, Arm]] = {
    "blur": {
        "VAE": ("vae", "small-conv", {"latent_dim": LATENT}),
        "GLO, L2": ("glo", "small-l2", {"latent_dim": LATENT}),
        "GLO": ("glo", "small", {"latent_dim": LATENT}),
        "VAE/GAN": ("vae-gan", "small", {"latent_dim": LATENT, "width": 16}),
        "GAN": ("dcgan", "small", {"latent_dim": LATENT}),
    },
    "features": {
        "untrained": ("bigan", "small", {"rounds": 1}),
        "latent regressor": ("bigan", "small-regressor", {}),
        "joint regressor": ("bigan", "small-joint", {}),
        "BiGAN": ("bigan", "small", {}),
    },
    "regress": {
        "brute force, all classes": ("brute-force", "small", {"resolution": 8, "encoder_width": 8, "latent_dim": 8}),
        "brute force, five classes": ("brute-force", "small", {"resolution": 8, "encoder_width": 8, "latent_dim": 8}),
        "adversarial autoencoder, five classes": ("aae", "small", {"resolution": 8, "latent_dim": 8}),
    },
}
ROUNDS = {"blur": 250, "features": 800, "regress": 600}
SCORES = {
    "blur": ("sharpness / real", "upper frequencies, dB", "quick Frechet distance"),
    "features": ("linear classifier", "nearest neighbour", "error of real images / of random ones"),
    "regress": ("error of z / its variance", "samples", "real, seen classes", "real, unseen classes"),
}


def work(job: Job) -> Record:
    """One run: its scores by name, and its seconds."""
    torch.set_num_threads(1)
    began, question = time.process_time(), job["question"]
    values: tuple[float | None, ...] = {"blur": _blur, "features": _features, "regress": _regress}[question](job["arm"], job["rounds"], job["seed"])
    return {"scores": dict(zip(SCORES[question], values, strict=True)), "cpu_sec": round(time.process_time() - began, 1)}


def _trained(arm: Arm, data: ArrayDataset, rounds: int, seed: int, **changes: Any) -> Any:
    name, preset, own = arm
    entry = find_recipe(name)
    config: Any = dataclasses.replace(entry.preset(preset), **({"rounds": rounds} | own | changes))
    torch.manual_seed(derive_seed(seed, "initialisation"))
    game = entry.game(config, data)
    with torch.enable_grad():
        play(game, data, rounds=rounds, batch=config.batch, seed=seed, every=rounds)
    return game.eval()


def _blur(arm: str, rounds: int, seed: int) -> tuple[float, ...]:
    data = open_data("fashion", resolution=16)
    game = _trained(ARMS["blur"][arm], data, rounds, seed, resolution=16)
    made = draw_samples(game, SAMPLES, seed=seed)
    rows = torch.randperm(len(data), generator=torch.Generator().manual_seed(derive_seed("blur")))
    real, look = data.records(rows[:SAMPLES])["image"], QuickFeatures()
    return float(sharpness(made).mean() / sharpness(real).mean()), fine_gap(real, made), frechet_distance(look(real), look(made))


@torch.no_grad()
def _features(arm: str, rounds: int, seed: int) -> tuple[float, ...]:
    train, test = (open_data(f"fashion:{split}", resolution=16) for split in ("train", "test"))
    rounds = ARMS["features"][arm][2].get("rounds", rounds)
    game = _trained(ARMS["features"][arm], train, rounds, seed, resolution=16)
    sides = [to_device(side.records(torch.arange(count)), "cpu") for side, count in ((train, LABELLED), (test, SAMPLES))]
    found: list[Any] = [values for side in sides for values in (game.features(side.image).numpy(), side["label"].numpy())]
    again, real = game.reconstruct(sides[1].image), sides[1].image
    share = float(distance_of_images(real, again) / distance_of_images(real.roll(1, 0), again))
    return linear_probe(*found, penalties=PENALTY).accuracy, nearest_neighbour_accuracy(*found), share


@torch.no_grad()
def _regress(arm: str, rounds: int, seed: int) -> tuple[float | None, ...]:
    train, test = (open_data(f"digits:{split}") for split in ("train", "test"))
    if "five" in arm:
        train = train.part((train.column("label") < CLASSES_SEEN).nonzero().flatten(), "five classes")
    forced = arm.startswith("brute")
    game = _trained(ARMS["regress"][arm], train, rounds, seed, **({"pretrain": rounds // 2} if forced else {}))
    batch = to_device(test.records(torch.arange(len(test))), "cpu")
    seen = batch["label"] < CLASSES_SEEN

    def error(x: Tensor) -> float:
        return float(distance_of_images(x, game.reconstruct(x)))

    fake = draw_samples(game, SAMPLES, seed=seed).float() / 127.5 - 1
    share = float(game.measure(batch, Draws.seeded(seed, "measure"))["latent_share"]) if forced else None
    return share, error(fake), error(batch.image[seen]), error(batch.image[~seen])


def as_table(records: Sequence[Record], question: str) -> str:
    """A row an arm: its scores, mean over the seeds with least and most."""
    lines = ["| " + " | ".join(["arm", *SCORES[question]]) + " |", "|" + " --- |" * (1 + len(SCORES[question]))]
    for arm in ARMS[question]:
        own = [record["scores"] for record in records if record["job"]["question"] == question and record["job"]["arm"] == arm]
        if own:
            lines.append("| " + " | ".join([arm, *(spread([each[name] for each in own]) for name in SCORES[question])]) + " |")
    return "\n".join(lines) + "\n"


def spread(values: Sequence[float | None]) -> str:
    """Mean, least and most; empty where the arm has no such score.

    >>> spread([1.0, 2.0]), spread([None])
    ('1.5 (1 to 2)', '')
    """
    known = [value for value in values if value is not None]
    return f"{np.mean(known):.3g} ({min(known):.3g} to {max(known):.3g})" if known else ""


def main(arguments: list[str] | None = None) -> int:
    """Read the flags, measure, write."""
    parser = argparse.ArgumentParser(
        prog="python -m saddlepoint.studies.encoders", description="Encoders and decoders with and without an adversary."
    )
    parser.add_argument("--questions", nargs="+", choices=[*ARMS], default=[*ARMS])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rounds", type=int, help="of every run; left out: a number of the question's own")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="file of finished runs; left out: none are kept")
    parser.add_argument("--out", type=Path, help="Markdown file; left out: to the screen")
    given = parser.parse_args(arguments)
    jobs = [
        {"question": question, "arm": arm, "seed": seed, "rounds": given.rounds or ROUNDS[question]}
        for question in given.questions
        for seed in range(given.seeds)
        for arm in ARMS[question]
    ]
    with tempfile.TemporaryDirectory() as aside:
        records = run_missing(work, jobs, given.keep or Path(aside) / "runs.jsonl", processes=given.processes)
    text = "\n".join(f"{question}, {given.rounds or ROUNDS[question]} rounds\n\n{as_table(records, question)}" for question in given.questions)
    if given.out is None:
        sys.stdout.write(text)
    else:
        given.out.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
