"""``python -m saddlepoint.studies.losses``: what objectives and constraints claim of themselves, one table a question.

    margin       Zhao et al. 2017, on digits of 28 pixels: the energies of real and generated samples, summed as the margin is, for three margins,
                 each without and with the pulling-away term
    balance      Berthelot et al. 2017, on clothes of 16 pixels: whether the errors of generated and real samples come to the ratio gamma, what
                 becomes of the measure of convergence, and whether a larger gamma gives more varied samples
    spectra      Miyato et al. 2018, Figure 3, on clothes of 32 pixels: singular values of D's convolutions under spectral norm, rows of length one
                 and clipping
    projections  Neyshabur et al. 2017, on emoji of 32 pixels: discriminators behind 1, 6, 12 and 24 fixed projections against one that sees the
                 whole image: their mean loss (2 log 2 = 1.39 where they cannot tell) and the length of G's gradient
    stability    Mao et al. 2017, section 4.2, on clothes of 16 pixels: least squares against the non-saturating loss on DCGAN without batch norm in
                 G, and in neither network, moved by Adam and by RMSProp

Distances are quick Frechet distances; spreads are mean distances of pairs in the same features, as a share of that of real samples. Every cell is
the mean over the seeds with the least and the most. With ``--keep`` every finished run is kept, and the same command continues where it was stopped.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saddlepoint.data.records import Dataset
from saddlepoint.data.sources import open_data
from saddlepoint.draws import Draws, use
from saddlepoint.evaluation.quick import QuickScorer
from saddlepoint.evaluation.samples import draw_samples
from saddlepoint.games.player import Adam, RMSprop
from saddlepoint.networks.spectral import effective_rank, singular_values
from saddlepoint.studies.pool import Job, Record, answered
from saddlepoint.studies.questions import Arm, Questions, answer, trained
from saddlepoint.zoo.build import some_samples

LOOKS, LOOKED, SAMPLES = 20, 500, 1_000  # looks at a run; samples of a look; samples that are scored
CONVOLUTIONS = 7  # of D in the standard pair
FAST = Adam(lr=1e-3, beta1=0.5, beta2=0.9)  # setting D of Miyato et al. 2018, with five steps of D
STANDARD: dict[str, Any] = {"width": 16, "batch": 16, "g_batch_factor": 1, "d_steps": 5, "lr_decay": "constant"}
STANDARD |= {"generator_optimizer": FAST, "discriminator_optimizer": FAST}
ARRAY = {"width": 128, "d_width": 16}
MOVED: dict[str, dict[str, Any]] = {
    name: {"generator_optimizer": optimizer, "discriminator_optimizer": optimizer}
    for name, optimizer in (("Adam", Adam(lr=2e-4, beta1=0.5)), ("RMSProp", RMSprop(lr=2e-4)))
}
UNNORMED = {"none in G": {"generator_norm": "none"}, "none": {"generator_norm": "none", "critic_norm": "none"}}
ARMS: dict[str, dict[str, Arm]] = {
    "margin": {
        f"margin {margin:g}{', pulling away' if weight else ''}": ("ebgan", "mnist", {"margin": margin, "pulling_away_weight": weight})
        for margin in (10.0, 100.0, 1000.0)
        for weight in (0.0, 0.1)
    },
    "balance": {f"gamma {gamma:g}": ("began", "small", {"resolution": 16, "gamma": gamma}) for gamma in (0.3, 0.5, 0.7)},
    "spectra": {
        "as it begins": ("sngan", "cnn", STANDARD | {"rounds": 1, "d_steps": 1}),
        "spectral norm": ("sngan", "cnn", STANDARD),
        "weight norm": ("sngan", "cnn", STANDARD | {"critic_norm": "weight"}),
        "clipping": ("sngan", "cnn", STANDARD | {"critic_norm": "none", "clip": 0.01}),
    },
    "projections": {
        "whole image": ("rpgan", "small", ARRAY | {"num_discriminators": 1}),
        "1 projection": ("rpgan", "small", ARRAY | {"num_discriminators": 1, "single": "projection"}),
        **{f"{k} projections": ("rpgan", "small", ARRAY | {"num_discriminators": k}) for k in (6, 12, 24)},
    },
    "stability": {
        f"{recipe}, batch norm: {where}, {by}": (recipe, "small", {"resolution": 16, **norms, **optimizers})
        for where, norms in UNNORMED.items()
        for by, optimizers in MOVED.items()
        for recipe in ("nsgan", "lsgan")
    },
}
ROUNDS = {"margin": 800, "balance": 1_000, "spectra": 200, "projections": 200, "stability": 300}
SCORED = ("spread / real", "quick Frechet distance")
RANKS = tuple(f"effective rank of the squares / rank, layer {k + 1}" for k in range(CONVOLUTIONS))
SCORES = {
    "margin": ("reals, first fifth", "fakes, first fifth", "reals, last fifth", "fakes, last fifth", "looks with reals below fakes", *SCORED),
    "balance": ("L(G) / L(x), last fifth", "k, last fifth", "M, first twentieth", "M, last twentieth", *SCORED),
    "spectra": (*RANKS, "largest square / their sum, mean of layers", *SCORED),
    "projections": ("loss, first fifth", "loss, last fifth", "G's slope, first fifth", "G's slope, last fifth", "its deviation / mean", *SCORED),
    "stability": SCORED,
}


def work(job: Job) -> Record:
    """One run: its scores by name, what its picture needs, and its seconds."""
    torch.set_num_threads(1)
    began, question = time.process_time(), job["question"]
    measure = {"margin": _margin, "balance": _balance, "spectra": _spectra, "projections": _projections, "stability": _stability}[question]
    values, more = measure(ARMS[question][job["arm"]], job["rounds"], job["seed"])
    return {"scores": dict(zip(SCORES[question], values, strict=True)), **more, "cpu_sec": round(time.process_time() - began, 1)}


def _margin(arm: Arm, rounds: int, seed: int) -> tuple[list[float], Record]:
    data = open_data("digits", resolution=28)
    real, unit, found = some_samples(data, LOOKED), math.prod(data.spec.shape), list[list[float]]()

    @torch.no_grad()
    def look(game: Any, done: int) -> None:
        with use(draws := Draws.seeded(seed, "look", done)):
            fake = game.generate(game.latents(LOOKED, draws), None)
        found.append([-unit * game.discriminator(x).logits.mean().item() for x in (real, fake)])

    game = trained(arm, data, rounds, seed, watch=look, every=max(1, rounds // LOOKS))
    reals, fakes = zip(*found[1:], strict=True)
    share = float(np.mean([one < other for one, other in found[1:]]))
    return [first(reals), first(fakes), last(reals), last(fakes), share, *_scored(game, data, seed)], {"energies": found}


def _balance(arm: Arm, rounds: int, seed: int) -> tuple[list[float], Record]:
    data, listened = open_data("fashion", resolution=16), Log("discriminator/real", "generator/adversarial", "began/k", "began/convergence")
    game = trained(arm, data, rounds, seed, record=listened)
    real, fake, k, measure = listened.values()
    return [-last(fake) / last(real), last(k), first(measure, 20), last(measure, 20), *_scored(game, data, seed)], {}


def _spectra(arm: Arm, rounds: int, seed: int) -> tuple[list[float], Record]:
    data = open_data("fashion", resolution=32)
    game = trained(arm, data, rounds, seed)
    spectra = [values for name, values in singular_values(game.discriminator).items() if name.startswith("layers.")]
    ranks = [effective_rank(values.square()) / len(values) for values in spectra]
    top = float(np.mean([(values[0] ** 2 / values.square().sum()).item() for values in spectra]))
    return [*ranks, top, *_scored(game, data, seed)], {"spectra": [[round(value, 6) for value in values.tolist()] for values in spectra]}


def _projections(arm: Arm, rounds: int, seed: int) -> tuple[list[float], Record]:
    data, slopes, losses = open_data("emoji", resolution=32), list[float](), list[float]()

    def listen(done: int, values: dict[str, Tensor]) -> None:
        each = [value.item() for name, value in values.items() if name.startswith("discriminator/loss_")]
        losses.extend([float(np.mean(each))] if each else [])

    def look(game: Any, done: int) -> None:
        if done:  # the gradient of the turn that has just been played
            slopes.append(math.sqrt(sum(p.grad.square().sum().item() for p in game.generator.parameters())))

    game = trained(arm, data, rounds, seed, watch=look, every=max(1, rounds // (5 * LOOKS)), record=listen)
    half = slopes[len(slopes) // 2 :]
    values = [first(losses), last(losses), first(slopes), last(slopes), float(np.std(half) / np.mean(half)), *_scored(game, data, seed)]
    return values, {"losses": [round(value, 4) for value in losses]}


def _stability(arm: Arm, rounds: int, seed: int) -> tuple[list[float], Record]:
    data = open_data("fashion", resolution=16)
    return _scored(trained(arm, data, rounds, seed), data, seed), {}


class Log:
    """Keeps named values of every turn that has them."""

    def __init__(self, *names: str) -> None:
        self.names, self.kept = names, defaultdict[str, list[float]](list)

    def __call__(self, done: int, values: dict[str, Tensor]) -> None:
        """Take a turn's values in."""
        for name in self.names:
            if name in values:
                self.kept[name].append(values[name].item())

    def values(self) -> list[list[float]]:
        """In the order of the names."""
        return [self.kept[name] for name in self.names]


def first(values: Sequence[float], parts: int = 5) -> float:
    """Mean of the first of so many equal parts, and of one value at least.

    >>> first([1.0, 3.0, 5.0, 7.0], 2), last([1.0, 3.0, 5.0, 7.0], 2), last([2.0])
    (2.0, 6.0, 2.0)
    """
    return float(np.mean(values[: max(1, len(values) // parts)]))


def last(values: Sequence[float], parts: int = 5) -> float:
    """Mean of the last of so many equal parts, and of one value at least."""
    return float(np.mean(values[-max(1, len(values) // parts) :]))


def _scored(game: Any, data: Dataset, seed: int) -> list[float]:
    scorer = QuickScorer(data, num_fake=SAMPLES)
    found = scorer.score(draw_samples(game, scorer.num_fake, seed=seed))
    return [found["pairwise_distance"], found["quick_frechet"]]


def draw_spectra(records: Sequence[Record], path: Path) -> None:
    """Squared singular values of each convolution over the largest, an arm a line, of the first seed: Figure 3 of Miyato et al. 2018."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 5), layout="constrained")
    panels = figure.subplots(2, 4).ravel()
    for record in records:
        if record["job"]["seed"] == 0:
            for axes, values in zip(panels, record["spectra"], strict=False):
                axes.plot(np.arange(1, len(values) + 1), np.square(values) / values[0] ** 2, label=record["job"]["arm"])
    for k, axes in enumerate(panels[:CONVOLUTIONS]):
        axes.set(title=f"layer {k + 1}", xlabel="singular value", ylim=(0, 1.05))
    panels[0].set_ylabel("square / largest square")
    panels[-1].set_axis_off()
    panels[-1].legend(*panels[0].get_legend_handles_labels(), loc="center")
    figure.savefig(path, dpi=90)


def main(arguments: list[str] | None = None) -> int:
    """Read the flags, measure, write."""
    about = "What objectives and constraints claim of themselves."
    pictures = {"spectra": draw_spectra}
    return answer(Questions(name="losses", about=about, arms=ARMS, rounds=ROUNDS, scores=SCORES, work=work, pictures=pictures), arguments)


if __name__ == "__main__":
    raise SystemExit(answered(main))
