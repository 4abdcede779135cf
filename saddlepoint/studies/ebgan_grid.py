"""Zhao et al. 2017 (arXiv:1609.03126), section 4.1: EBGANs and GANs over a grid of settings, judged by a classifier.

    python -m saddlepoint.studies.ebgan_grid --arms 16 --rounds 300

The grid is the paper's: 512 EBGANs (layers and units of G and D, dropout in D; Adam at 1e-3) and 6,144 GANs (the optimisers of both and the rate
besides), of which so many are drawn. What is small: the units are divided by ``--scale``, and the data are scikit-learn's digits. The score is the
paper's, I' = E_x KL(p(y) || p(y|x)), by the project's own classifier. Interrupted, the same command continues; more arms add to what is there.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import math
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import nn

from saddlepoint.data.records import Dataset
from saddlepoint.data.sources import open_data
from saddlepoint.draws import derive_seed
from saddlepoint.errors import NotFiniteError, UsageError
from saddlepoint.evaluation.extractors import open_extractor
from saddlepoint.evaluation.samples import draw_samples
from saddlepoint.games.adversarial import AdversarialConfig, AdversarialGame
from saddlepoint.games.player import SGD, Adam
from saddlepoint.networks.layers import Dropout
from saddlepoint.networks.mlp import MLPDiscriminator, MLPGenerator
from saddlepoint.objectives.minimax import NonSaturating
from saddlepoint.studies.play import play
from saddlepoint.studies.pool import Record, answered, run_missing
from saddlepoint.studies.toys import cell
from saddlepoint.training import machine
from saddlepoint.training.storage import write_bytes
from saddlepoint.zoo.catalogue import find_recipe
from saddlepoint.zoo.ebgan import EBGANConfig

SHARED: dict[str, tuple[Any, ...]] = {
    "g_layers": (2, 3, 4, 5),
    "d_layers": (2, 3, 4, 5),
    "g_units": (400, 800, 1600, 3200),
    "d_units": (128, 256, 512, 1024),
    "dropout": (True, False),
}
GRIDS: dict[str, dict[str, tuple[Any, ...]]] = {
    "ebgan": SHARED,
    "gan": SHARED | {"d_optimizer": ("adam", "sgd"), "g_optimizer": ("adam", "sgd"), "lr": (0.01, 0.001, 0.0001)},
}
DATA, BATCH, LATENT, SAMPLES = "digits", 64, 100, 1_000
MARGIN = 10 / 784  # the paper's best on MNIST, a value of the sample
DROPPED = 0.5


def grid(family: str) -> list[dict[str, Any]]:
    """Every arm of a family."""
    axes = GRIDS[family]
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def chosen(family: str, count: int) -> list[dict[str, Any]]:
    """The first ``count`` arms of a fixed order."""
    arms = grid(family)
    order = torch.randperm(len(arms), generator=torch.Generator().manual_seed(derive_seed("ebgan grid", family)))
    return [arms[index] for index in order[:count].tolist()]


def sureness(probabilities: NDArray[Any]) -> float:
    """I' = E_x KL(p(y) || p(y|x)), in nats, higher is better; each probability is at least 1e-12.

    >>> sureness(np.array([[0.9, 0.1], [0.1, 0.9]])).__round__(4), sureness(np.full((3, 2), 0.5))
    (0.5108, 0.0)
    """
    p = np.maximum(probabilities.astype(np.float64), 1e-12)
    p /= p.sum(1, keepdims=True)
    marginal = p.mean(0)
    return float((marginal * (np.log(marginal) - np.log(p))).sum(1).mean())


def build(job: dict[str, Any], data: Dataset) -> AdversarialGame:
    """The game of an arm."""
    arm, scale, shape = job["settings"], job["scale"], data.spec.shape
    g_units, d_units = (max(4, arm[name] // scale) for name in ("g_units", "d_units"))
    if job["family"] == "ebgan":
        preset = find_recipe("ebgan").preset("mnist")
        assert isinstance(preset, EBGANConfig)
        sizes = {"width": g_units, "generator_hidden": arm["g_layers"] - 1, "encoder_width": d_units, "encoder_hidden": arm["d_layers"] - 1}
        code = {"code_dim": max(4, d_units // 8), "dropout": DROPPED if arm["dropout"] else 0.0, "margin": MARGIN * math.prod(shape)}
        config = dataclasses.replace(preset, **sizes, **code, batch=BATCH, latent_dim=LATENT, resolution=None)
        game = find_recipe("ebgan").game(config, data)
        assert isinstance(game, AdversarialGame)
        return game
    makers: dict[str, Any] = {"adam": Adam(lr=arm["lr"], beta1=0.5), "sgd": SGD(lr=arm["lr"])}
    optimizers = {f"{player}_optimizer": makers[arm[f"{player[0]}_optimizer"]] for player in ("discriminator", "generator")}
    plain = AdversarialConfig(batch=BATCH, latent_dim=LATENT, **optimizers)
    discriminator = MLPDiscriminator(shape, width=d_units, hidden=arm["d_layers"] - 1)
    if arm["dropout"]:
        layers = [[layer, Dropout(DROPPED)] if isinstance(layer, nn.ReLU) else [layer] for layer in discriminator.hidden]
        discriminator.hidden = nn.Sequential(*itertools.chain.from_iterable(layers))
    generator = MLPGenerator(LATENT, shape, width=g_units, hidden=arm["g_layers"] - 1, output="tanh")
    return AdversarialGame(plain, generator, discriminator, NonSaturating())


def grid_run(job: dict[str, Any]) -> dict[str, Any]:
    """One arm.

    Args:
        job: "family", "settings" (an entry of :func:`grid`), "scale", "rounds", "seed".
    Returns:
        "score": I'; None where the weights left the numbers; "cpu_sec".
    """
    data = open_data(DATA)
    torch.manual_seed(derive_seed(job["seed"], "initialisation"))
    game = build(job, data)
    began = time.process_time()
    try:
        play(game, data, rounds=job["rounds"], batch=BATCH, seed=job["seed"], every=job["rounds"])
    except NotFiniteError:
        return {"score": None, "cpu_sec": round(time.process_time() - began, 1)}
    seconds = time.process_time() - began
    seen = open_extractor(f"quick:{DATA}")(draw_samples(game, SAMPLES, seed=job["seed"]))["probabilities"]
    return {"score": round(sureness(seen.numpy()), 4), "cpu_sec": round(seconds, 1)}


def jobs(arms: int, rounds: int, scale: int, seeds: int) -> list[dict[str, Any]]:
    """Every arm of both families, all before the next seed."""
    pairs = zip(*(chosen(family, arms) for family in GRIDS), strict=False)
    wanted = [(family, settings) for pair in pairs for family, settings in zip(GRIDS, pair, strict=True)]
    common = {"scale": scale, "rounds": rounds}
    return [{"family": family, "settings": settings, "seed": seed} | common for seed in range(seeds) for family, settings in wanted]


def real_score() -> float:
    """I' of the data themselves."""
    images = open_data(DATA).records(torch.arange(SAMPLES))["image"]
    return sureness(open_extractor(f"quick:{DATA}")(images)["probabilities"].numpy())


def table(records: Sequence[Record]) -> str:
    """A line a family: its scores in quarters, how many reach half the data's, and its best arm."""
    real = real_score()
    lines = ["| family | arms | of | I' | quarters | half of the data's | best arm | CPU s |", "|" + " --- |" * 8]
    lines.append(f"| *real digits* | | | {real:.2f} | | | | |")
    for family in GRIDS:
        runs = [record for record in records if record["job"]["family"] == family]
        scores = [0.0 if run["score"] is None else run["score"] for run in runs]
        quarters = statistics.quantiles(scores, n=4) if len(scores) > 1 else scores
        best = max(runs, key=lambda run: run["score"] or 0.0)["job"]["settings"]
        reached = sum(score >= real / 2 for score in scores)
        cells = [family, str(len(runs)), str(len(grid(family))), cell(scores, "{:.2f}"), ", ".join(f"{value:.2f}" for value in quarters)]
        cells += [f"{reached} of {len(runs)}", ", ".join(f"{name} {value}" for name, value in best.items())]
        lines.append("| " + " | ".join([*cells, cell([run["cpu_sec"] for run in runs], "{:.0f}")]) + " |")
    return "\n".join(lines)


def picture(records: Sequence[Record]) -> Figure:
    """Histogram of the scores by family, as the paper's figures 3 and 4."""
    figure = Figure(figsize=(4.5, 3.0), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    found = {family: [record["score"] or 0.0 for record in records if record["job"]["family"] == family] for family in GRIDS}
    bins = np.linspace(0, max(1e-3, *(score for scores in found.values() for score in scores)), 13).tolist()
    for family, scores in found.items():
        axes.hist(scores, bins=bins, alpha=0.6, label=family)
    axes.set(xlabel="I'", ylabel="arms")
    axes.legend(fontsize=8)
    return figure


def main(argv: Sequence[str] | None = None) -> None:
    """Run what is missing, then write the table and the picture."""
    parser = argparse.ArgumentParser(prog="python -m saddlepoint.studies.ebgan_grid", description="EBGANs and GANs over a grid of settings.")
    parser.add_argument("--arms", type=int, default=16, help="of each family, drawn from its grid")
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--scale", type=int, default=8, help="the paper's units are divided by it; 1 is the paper")
    parser.add_argument("--seeds", type=int, default=1, help="runs of each arm")
    parser.add_argument("--processes", type=int, default=1, help="runs at once, one thread each")
    parser.add_argument("--work", type=Path, default=Path("runs/ebgan-grid"), help="folder of what is finished")
    parser.add_argument("--out", type=Path, default=Path("docs/tables/ebgan-grid.md"), help="the table")
    parser.add_argument("--picture", type=Path, default=Path("docs/pictures/ebgan-grid.png"), help="the picture")
    given = parser.parse_args(argv)
    if min(given.arms, given.rounds, given.scale, given.seeds) < 1:
        raise UsageError(f"arms, rounds, scale and seeds must be at least 1; {given.arms}, {given.rounds}, {given.scale}, {given.seeds} came.")

    def show(done: int, total: int, record: Record) -> None:
        sys.stderr.write(f"{done}/{total} {record['job']['family']} {record['job']['settings']}: {record['score']}\n")

    wanted = jobs(given.arms, given.rounds, given.scale, given.seeds)
    records = run_missing(grid_run, wanted, given.work / "runs.jsonl", processes=given.processes, show=show)
    for path in (given.out, given.picture):
        path.parent.mkdir(parents=True, exist_ok=True)
    made = f"at commit {machine.commit() or 'unknown'} on {machine.hardware()}, one thread a run, torch {machine.versions()['torch']}"
    command = f"python -m saddlepoint.studies.ebgan_grid --arms {given.arms} --rounds {given.rounds} --scale {given.scale} --seeds {given.seeds}"
    text = (
        f"{DATA}, {given.rounds} rounds of batch {BATCH}, units divided by {given.scale}, {given.seeds} seed(s) an arm; {SAMPLES} samples. I': "
        f"median (least to most); higher is better. Runs that left the numbers count 0. Made by `{command}`, {made}.\n\n{table(records)}\n"
    )
    write_bytes(given.out, text.encode())
    picture(records).savefig(given.picture, dpi=110)


if __name__ == "__main__":
    raise SystemExit(answered(main))
