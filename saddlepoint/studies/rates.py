"""``python -m saddlepoint.studies.rates``: the ring under every pair of learning rates of D and G, one turn each a round.

Heusel et al. 2017 (arXiv:1706.08500) ask for two rates; which of the two is to be the larger, and whether one rate for both does as well, a grid
shows. The recipe is ``ttur`` as its preset "toy" has it; cells are means over seeds with least and most. With ``--keep`` every finished run is kept,
and the same command continues where it was stopped.
"""

from __future__ import annotations

import time

import torch

from saddlepoint.data.sources import open_data
from saddlepoint.data.toys import ToyDataset
from saddlepoint.evaluation.samples import draw_samples
from saddlepoint.games.player import Adam
from saddlepoint.studies.pool import Job, Record, answered
from saddlepoint.studies.questions import Arm, Questions, answer, trained
from saddlepoint.studies.toyruns import SAMPLES, measure

RATES = (1e-4, 3e-4, 1e-3, 3e-3)
SCORES = ("modes, 20 each", "high quality", "sliced W1")


def _name(d_lr: float, g_lr: float) -> str:
    return f"D {d_lr:g}, G {g_lr:g}"


def _arm(d_lr: float, g_lr: float) -> Arm:
    rates = {side: Adam(lr=lr, beta1=0.5, beta2=0.999) for side, lr in (("discriminator_optimizer", d_lr), ("generator_optimizer", g_lr))}
    return "ttur", "toy", rates


ARMS = {_name(d_lr, g_lr): _arm(d_lr, g_lr) for d_lr in RATES for g_lr in RATES}


def work(job: Job) -> Record:
    """One run: its scores by name, and its seconds."""
    torch.set_num_threads(1)
    began, data = time.process_time(), open_data("ring8")
    assert isinstance(data, ToyDataset)
    game = trained(ARMS[job["arm"]], data, job["rounds"], job["seed"])
    found = measure(draw_samples(game, SAMPLES, seed=job["seed"]).numpy(), data)
    scores = dict(zip(SCORES, (found["strict_modes"], found["high_quality"], found["sliced_w1"]), strict=True))
    return {"scores": scores, "cpu_sec": round(time.process_time() - began, 1)}


def main(arguments: list[str] | None = None) -> int:
    """Read the flags, measure, write."""
    about = "Learning rates of D and G on the ring."
    return answer(
        Questions(name="rates", about=about, arms={"ring": ARMS}, rounds={"ring": 1_000}, scores={"ring": SCORES}, work=work),
        arguments,
    )


if __name__ == "__main__":
    raise SystemExit(answered(main))
