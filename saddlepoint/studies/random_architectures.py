"""Gulrajani et al. 2017 (arXiv:1704.00028), section 5.1: architectures drawn at random, each trained as a GAN and as a WGAN-GP, small.

    python -m saddlepoint.studies.random_architectures --count 24

Drawn are, of G and of D each by itself, the activation, the depth, whether there is normalisation, and the width (Table 1 of the paper; D's norm is
batch norm in the GAN and layer norm in the WGAN-GP). A method succeeds with an architecture where the Inception score of its samples is above a
threshold; a run that leaves the finite numbers does not. Optimisers are the paper's (Appendix B), weight decay of a normalised D among them, with
both learning rates ``FASTER`` times as large (chosen by single tries on shallow architectures); the critic has two turns a round in
place of five; images are digits at 8 pixels in place of ImageNet at 32, widths a quarter, the score that of the quick classifier.

Architecture i is the same whatever the count, so a larger one goes on from a smaller; interrupted, the same command continues.
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

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.sources import open_data
from saddlepoint.draws import derive_seed
from saddlepoint.errors import NotFiniteError, UsageError
from saddlepoint.evaluation.classifier import QuickFeatures
from saddlepoint.evaluation.inception import inception_score
from saddlepoint.evaluation.samples import draw_samples
from saddlepoint.games.adversarial import AdversarialGame
from saddlepoint.games.critics import TargetedPenalty
from saddlepoint.games.player import Adam
from saddlepoint.networks.varied import Variant, VariedDiscriminator, VariedGenerator
from saddlepoint.objectives.minimax import NonSaturating
from saddlepoint.objectives.wasserstein import Wasserstein
from saddlepoint.studies.play import play
from saddlepoint.studies.pool import Record, answered, run_missing, write_text
from saddlepoint.studies.toys import cell
from saddlepoint.training import machine
from saddlepoint.zoo.build import adversarial
from saddlepoint.zoo.networks import NetworksConfig

DATA, SIDE, BATCH, LATENT, SAMPLES = "digits", 8, 32, 128, 1_000
DRAWN: dict[str, tuple[Any, ...]] = {  # Table 1, widths a quarter
    "activation": ("relu", "leaky-relu", "smooth-elu", "tanh"),
    "depth": (4, 8, 12, 20),
    "norm": (True, False),
    "width": (8, 16, 32),
}
METHODS = ("GAN", "WGAN-GP")
OPTIMIZERS = {"GAN": Adam(lr=2e-4, beta1=0.5, beta2=0.999), "WGAN-GP": Adam(lr=1e-4, beta1=0.0, beta2=0.9)}  # Appendix B
D_STEPS = {"GAN": 1, "WGAN-GP": 2}
DECAY, PENALTY, FASTER = 1e-3, 10.0, 20.0
THRESHOLDS = (1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 5.5, 6.0, 6.5)  # Table 5 goes on to 9

Drawn = dict[str, dict[str, Any]]


def draw(number: int, seed: int = 0) -> Drawn:
    """Architecture ``number``: "generator" and "discriminator", each with a value of every setting in ``DRAWN``.

    >>> draw(0) == draw(0), draw(0) == draw(1)
    (True, False)
    """
    rng = torch.Generator().manual_seed(derive_seed("architecture", seed, number))
    return {
        player: {setting: values[int(torch.randint(len(values), (), generator=rng))] for setting, values in DRAWN.items()}
        for player in ("generator", "discriminator")
    }


def build(drawn: Drawn, method: str, data: ArrayDataset) -> AdversarialGame:
    """The game of a method on an architecture."""
    gan = method == "GAN"
    norms = {"generator": "batch", "discriminator": "batch" if gan else "layer"}
    variants = {player: Variant(**(own | {"norm": norms[player] if own["norm"] else "none"})) for player, own in drawn.items()}
    optimizer = dataclasses.replace(OPTIMIZERS[method], lr=FASTER * OPTIMIZERS[method].lr)
    config = NetworksConfig(
        batch=BATCH,
        latent_dim=LATENT,
        d_steps=D_STEPS[method],
        generator_optimizer=optimizer,
        discriminator_optimizer=dataclasses.replace(optimizer, weight_decay=DECAY if drawn["discriminator"]["norm"] else 0.0),
    )
    c, h, w = data.spec.shape
    pair = VariedGenerator((c, h, w), LATENT, variants["generator"]), VariedDiscriminator((c, h, w), variants["discriminator"])
    objective = NonSaturating() if gan else Wasserstein()
    return adversarial(config, data, objective, pair=pair, terms=[] if gan else [TargetedPenalty(PENALTY)])


def run(job: dict[str, Any]) -> Record:
    """One architecture by one method.

    Args:
        job: "number", "drawn", "method", "updates" (moves of G) and "seed".
    Returns:
        "score": Inception score of its samples, or None where it stopped; "stopped": why; "cpu_sec".
    """
    torch.set_num_threads(1)
    began, stopped, score = time.process_time(), None, None
    data = open_data(DATA, resolution=SIDE)
    torch.manual_seed(derive_seed(job["seed"], "initialisation"))
    game = build(job["drawn"], job["method"], data)
    try:
        play(game, data, rounds=job["updates"], batch=BATCH, seed=job["seed"], every=job["updates"])
        score = score_of(draw_samples(game, SAMPLES, seed=job["seed"]))
    except NotFiniteError as error:
        stopped = str(error).partition(". ")[0]
    return {"score": score, "stopped": stopped, "cpu_sec": round(time.process_time() - began, 1)}


def score_of(images: torch.Tensor) -> float:
    """Inception score of images by the quick classifier's head for them, in [1, 10], all of them in one split."""
    return round(inception_score(QuickFeatures().class_probabilities(images, DATA), splits=1).value, 4)


def outcomes(records: Sequence[Record]) -> dict[int, dict[str, float]]:
    """Scores by architecture and method, of architectures that both methods have been at; 0 where a run stopped: it passes no threshold."""
    found: dict[int, dict[str, float]] = {}
    for record in records:
        found.setdefault(record["job"]["number"], {})[record["job"]["method"]] = record["score"] or 0.0
    return {number: scores for number, scores in found.items() if len(scores) == len(METHODS)}


def successes(scores: Sequence[dict[str, float]], threshold: float) -> tuple[int, int, int, int]:
    """How many architectures only GAN, only WGAN-GP, both and neither bring above the threshold.

    >>> successes([{"GAN": 1.2, "WGAN-GP": 3.0}, {"GAN": 0.0, "WGAN-GP": 1.0}], 2.0)
    (0, 1, 0, 1)
    """
    pairs = [(each["GAN"] > threshold, each["WGAN-GP"] > threshold) for each in scores]
    return pairs.count((True, False)), pairs.count((False, True)), pairs.count((True, True)), pairs.count((False, False))


def tables(records: Sequence[Record]) -> str:
    """Successes by threshold, as Table 5 of the paper; and the scores by each setting that was drawn."""
    scores = [*outcomes(records).values()]
    lines = ["| min. score | only GAN | only WGAN-GP | both succeeded | both failed |", "|" + " --- |" * 5]
    lines += [f"| {threshold} | " + " | ".join(map(str, successes(scores, threshold))) + " |" for threshold in THRESHOLDS]
    lines += ["", "| drawn | architectures | GAN | WGAN-GP |", "|" + " --- |" * 4]
    for player in ("generator", "discriminator"):
        for setting, values in DRAWN.items():
            for value in values:
                own = [record for record in records if record["job"]["drawn"][player][setting] == value]
                if not own:
                    continue
                by = {method: [record["score"] or 0.0 for record in own if record["job"]["method"] == method] for method in METHODS}
                shown = {True: "yes", False: "no"}.get(value, value) if setting == "norm" else value
                columns = " | ".join(cell(each, "{:.2f}") for each in by.values())
                lines.append(f"| {player}: {setting} {shown} | {len(by['GAN'])} | {columns} |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Run what is missing, then write the tables."""
    parser = argparse.ArgumentParser(prog="python -m saddlepoint.studies.random_architectures", description="Architectures drawn at random.")
    parser.add_argument("--count", type=int, default=24, help="architectures; 200 in the paper")
    parser.add_argument("--updates", type=int, default=200, help="moves of the generator in a run; 100000 in the paper")
    parser.add_argument("--seed", type=int, default=0, help="of the architectures and of the runs")
    parser.add_argument("--processes", type=int, default=1, help="runs at once, one thread each")
    parser.add_argument("--keep", type=Path, default=Path("runs/random-architectures.jsonl"), help="file of finished runs")
    parser.add_argument("--out", type=Path, help="Markdown file; left out: to the screen")
    given = parser.parse_args(argv)
    if min(given.count, given.updates) < 1:
        raise UsageError(f"count and updates must be at least 1; {given.count} and {given.updates} came.")
    jobs = [
        {"number": number, "drawn": draw(number, given.seed), "method": method, "updates": given.updates, "seed": given.seed}
        for number in range(given.count)
        for method in METHODS
    ]

    def show(done: int, total: int, record: Record) -> None:
        job = record["job"]
        sys.stderr.write(f"{done}/{total} {job['number']} {job['method']}: {record['score']} in {record['cpu_sec']} CPU s\n")

    records = run_missing(run, jobs, given.keep, processes=given.processes, show=show)
    data = open_data(DATA, resolution=SIDE)
    rows = torch.randperm(len(data), generator=torch.Generator().manual_seed(derive_seed("random architectures")))[:SAMPLES]
    real, seconds = score_of(data.records(rows)["image"]), np.array([record["cpu_sec"] for record in records])
    stopped = {method: sum(record["stopped"] is not None for record in records if record["job"]["method"] == method) for method in METHODS}
    head = (
        f"{DATA} at {SIDE} pixels, {given.count} architectures, {given.updates} moves of G, one run each; Inception score of {SAMPLES:,} samples by "
        f"the quick classifier (real images: {real:.2f}). Not finite: {', '.join(f'{method} {count}' for method, count in stopped.items())}. "
        f"{seconds.sum() / 60:.0f} CPU minutes at commit {machine.commit() or 'unknown'} on {machine.hardware()}, one thread a run. "
        "Below: median score (least to most) by what was drawn, 0 where it stopped."
    )
    write_text(f"{head}\n\n{tables(records)}\n", given.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(answered(main))
