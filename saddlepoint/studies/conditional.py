"""``python -m saddlepoint.studies.conditional``: how D should be told the class, by what becomes of the classes.

    heads    Miyato & Koyama 2018, section 5.1 and Table 1, on clothes of 16 pixels: the label as an inner product with D's features (projection),
             joined to a map of D (concat), or asked of D (AC-GAN's classifier); the same residual networks, hinge loss and schedule in all arms

The class that a sample was asked to be is compared with the one that the shipped classifier names. The Frechet distance within a class is the mean
over the classes, on the classifier's features; the spread within a class is the mean distance of pairs of one class there, as a share of that of real
images. *Real images* are held-out ones. Every cell is the mean over the seeds with the least and the most. With ``--keep`` every finished run is
kept, and the same command continues where it was stopped.
"""

from __future__ import annotations

import time

import numpy as np
import torch
from torch import Tensor

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.sources import open_data
from saddlepoint.evaluation.arrays import Rows, as_rows
from saddlepoint.evaluation.classifier import QuickFeatures
from saddlepoint.evaluation.classwise import class_frechet
from saddlepoint.evaluation.diversity import mean_pairwise_distance
from saddlepoint.evaluation.frechet import frechet_distance
from saddlepoint.evaluation.samples import draw_samples
from saddlepoint.studies.pool import Job, Record, answered
from saddlepoint.studies.questions import Arm, Questions, answer, trained

CLASSES, EACH = 10, 100  # of clothes; samples of a class
ARMS: dict[str, dict[str, Arm | None]] = {
    "heads": {
        "real images": None,
        **{
            name: ("projection", preset, {"resolution": 16})
            for name, preset in (("projection", "small-residual"), ("concat", "small-concat"), ("classifier", "small-auxiliary"))
        },
    }
}
ROUNDS = {"heads": 400}
SCORES = {"heads": ("class as asked", "Frechet distance within a class", "spread within a class / real", "quick Frechet distance")}


def work(job: Job) -> Record:
    """One run: its scores by name, and its seconds."""
    torch.set_num_threads(1)
    began, arm = time.process_time(), ARMS[job["question"]][job["arm"]]
    train, test = (open_data(f"fashion:{part}", resolution=16) for part in ("train", "test"))
    asked = torch.arange(CLASSES * EACH) % CLASSES
    if arm is None:
        made, asked = of_each_class(test)
    else:
        game = trained(arm, train, job["rounds"], job["seed"])
        made = draw_samples(game, CLASSES * EACH, seed=job["seed"], labels=lambda start, stop: torch.arange(start, stop) % CLASSES)
    real, truth = of_each_class(train)
    look = QuickFeatures()
    named = torch.from_numpy(look.class_probabilities(made, "fashion")).argmax(1)
    fakes, reals = as_rows(look(made), "made"), as_rows(look(real), "real")
    values = (
        float((named == asked).double().mean()),
        class_frechet(reals, truth, fakes, asked).value,
        within(fakes, asked) / within(reals, truth),
        frechet_distance(reals, fakes),
    )
    return {"scores": dict(zip(SCORES[job["question"]], values, strict=True)), "cpu_sec": round(time.process_time() - began, 1)}


def of_each_class(data: ArrayDataset) -> tuple[Tensor, Tensor]:
    """The first ``EACH`` images of every class, uint8 [n, c, h, w], and their classes [n]."""
    labels = data.records(torch.arange(len(data)))["label"]
    rows = torch.cat([torch.nonzero(labels == k)[:EACH, 0] for k in range(CLASSES)])
    return data.records(rows)["image"], labels[rows]


def within(rows: Rows, labels: Tensor) -> float:
    """Mean over the classes of the mean distance of pairs of one class."""
    return float(np.mean([mean_pairwise_distance(rows[(labels == k).numpy()]) for k in range(CLASSES)]))


def main(arguments: list[str] | None = None) -> int:
    """Read the flags, measure, write."""
    about = "How D should be told the class, by what becomes of the classes."
    return answer(Questions(name="conditional", about=about, arms=ARMS, rounds=ROUNDS, scores=SCORES, work=work), arguments)


if __name__ == "__main__":
    raise SystemExit(answered(main))
