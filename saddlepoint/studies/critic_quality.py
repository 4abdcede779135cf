"""``python -m saddlepoint.studies.critic_quality``: does the loss of the critic say how good the samples are? Arjovsky et al. 2017 say so of theirs.

    estimate  -L_D against the quick Frechet distance at many looks of one training: of WGAN, whose -L_D estimates the earth mover's distance up to a
              factor (Figure 3), and of the non-saturating GAN, whose -L_D is twice the Jensen-Shannon divergence less log 4 (Figure 4); both with the
              three pairs of networks that the figures have, small, on clothes of 16 pixels

Cells are means over the seeds with the least and the most. A rank correlation of 1 means that the loss orders the looks of a run exactly as the
distance of the samples does, 0 that it says nothing, -1 that it rises while the samples get better. With ``--keep`` every finished run is kept, and
the same command continues where it was stopped; ``--pictures`` draws both curves of every run.

-L_D at a look is the median over the rounds just before it of the last turn of D in each: the authors pass their curves through a median filter too.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor

from saddlepoint.data.sources import open_data
from saddlepoint.errors import NotFiniteError
from saddlepoint.evaluation.quick import QuickScorer
from saddlepoint.evaluation.samples import draw_samples
from saddlepoint.studies.pool import Job, Record, answered
from saddlepoint.studies.questions import Arm, Questions, answer, trained

LOOKS, WINDOW = 25, 10  # looks of a run; rounds before a look that -L_D is the median of
REAL, FAKE = 1_000, 500  # images that a look compares
NETWORKS: dict[str, dict[str, Any]] = {  # as in Figures 3 and 4: G and D; 128 units where the paper has 512, 16 channels where it has 64
    "MLP, MLP": {"architecture": "mlp", "width": 128},
    "MLP, DCGAN": {"architecture": "mlp-generator", "width": 16},
    "DCGAN, DCGAN": {"architecture": "dcgan", "width": 16},
}
COMMON = {"resolution": 16, "ema_halflife_kimg": None}  # the samples are those of the generator that D judges
GAMES = {"WGAN": "wgan", "GAN": "nsgan"}
ARMS: dict[str, dict[str, Arm]] = {
    "estimate": {f"{game}: {name}": (GAMES[game], "small", COMMON | networks) for game in GAMES for name, networks in NETWORKS.items()}
}
ROUNDS = {"estimate": 300}
SCORES = {
    "estimate": ("rank correlation", "-L_D, first look", "-L_D, last look", "quick Frechet distance, first look", "quick Frechet distance, last look")
}


def work(job: Job) -> Record:
    """One run: the rounds of its looks, -L_D and the distance at each, and its scores by name."""
    torch.set_num_threads(1)
    began = time.process_time()
    data = open_data("fashion", resolution=16)
    scorer, looks = QuickScorer(data, num_real=REAL, num_fake=FAKE), []
    every = max(1, job["rounds"] // LOOKS)
    losses: dict[int, Tensor] = {}  # of the last turn of D in each round

    def listen(round: int, values: dict[str, Tensor]) -> None:
        if "discriminator/adversarial" in values:
            losses[round] = values["discriminator/adversarial"].detach()

    def look(game: Any, done: int) -> None:
        if done:
            recent = torch.stack([losses[round] for round in range(max(1, done - WINDOW + 1), done + 1)])
            samples = draw_samples(game, FAKE, seed=job["seed"])
            looks.append({"round": done, "estimate": -float(recent.median()), "frechet": float(scorer.score(samples)["quick_frechet"])})

    with contextlib.suppress(NotFiniteError):  # the looks before it are what there is
        trained(ARMS[job["question"]][job["arm"]], data, job["rounds"], job["seed"], watch=look, every=every, record=listen)
    ends = [each[key] for key in ("estimate", "frechet") for each in (looks[0], looks[-1])] if looks else [None] * 4
    seconds = round(time.process_time() - began, 1)
    return {"scores": dict(zip(SCORES[job["question"]], (correlation(looks), *ends), strict=True)), "looks": looks, "cpu_sec": seconds}


def correlation(looks: Sequence[Record]) -> float | None:
    """Spearman's rank correlation of "estimate" and "frechet" over looks, in [-1, 1]; None of fewer than three looks, or where either never moves.

    >>> correlation([{"estimate": e, "frechet": f} for e, f in ((1.0, 9.0), (2.0, 10.0), (3.0, 50.0))])
    1.0
    """
    columns = np.array([[look["estimate"], look["frechet"]] for look in looks]).reshape(-1, 2)
    if len(looks) < 3 or (np.ptp(columns, axis=0) == 0).any():
        return None
    return round(float(spearmanr(columns[:, 0], columns[:, 1]).statistic), 4)


def over_all(records: Sequence[Record]) -> str:
    """A row an arm: the correlation over the looks of all its seeds together, which also asks whether runs may be compared by their loss."""
    lines = ["| looks of all seeds together | looks | rank correlation |", "| --- | --- | --- |"]
    for arm in dict.fromkeys(record["job"]["arm"] for record in records):
        looks = [look for record in records if record["job"]["arm"] == arm for look in record["looks"]]
        found = correlation(looks)
        lines.append(f"| {arm} | {len(looks)} | {'' if found is None else f'{found:.3g}'} |")
    return "\n".join(lines)


def draw(records: Sequence[Record], path: Path) -> None:
    """A column a pair of networks; above WGAN, below GAN: -L_D (left axis) and the distance of the samples (right axis) by round, a line a seed."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.6 * len(NETWORKS), 2.6 * len(GAMES)), layout="constrained")
    for row, game in enumerate(GAMES):
        for column, name in enumerate(NETWORKS):
            axes = figure.add_subplot(len(GAMES), len(NETWORKS), row * len(NETWORKS) + column + 1)
            beside: Any = axes.twinx()
            for record in (each for each in records if each["job"]["arm"] == f"{game}: {name}"):
                rounds = [look["round"] for look in record["looks"]]
                axes.plot(rounds, [look["estimate"] for look in record["looks"]], color="tab:blue", linewidth=1)
                beside.plot(rounds, [look["frechet"] for look in record["looks"]], color="tab:orange", linewidth=1)
            axes.set_title(f"{game}; G and D: {name}", fontsize=9)
            axes.set_xlabel("round")
            axes.set_ylabel("-L_D", color="tab:blue")
            beside.set_ylabel("quick Frechet distance", color="tab:orange")
    figure.savefig(path, dpi=100)


def main(arguments: list[str] | None = None) -> int:
    """Read the flags, measure, write."""
    study = Questions(
        name="critic_quality",
        about="The critic's loss against the quality of the samples.",
        arms=ARMS,
        rounds=ROUNDS,
        scores=SCORES,
        work=work,
        pictures={"estimate": draw},
        notes={"estimate": over_all},
    )
    return answer(study, arguments)


if __name__ == "__main__":
    raise SystemExit(answered(main))
