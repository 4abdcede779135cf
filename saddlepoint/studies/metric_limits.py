"""``python -m saddlepoint.studies.metric_limits``: sets that fool a metric, and what the others say of them.

- Images optimised against the classifier (Barratt and Sharma 2018, arXiv:1801.01973, Section 4): gradient ascent on the pixels of noise, a tenth of
  the images for each class, raises the Inception score to its maximum, the number of classes.
- One image a class, repeated; and the real set itself, replayed: perfect by one metric each.
- A model that is noise 99 times in 100 (Theis et al. 2016, arXiv:1511.01844, Section 3.1) loses at most log 100 = 4.6 nats of log-likelihood.
- k-means centroids of the training set against the true distribution, by Parzen windows (the same, Section 3.2).

Writes Markdown.

Axes: n images or points, c channels, h w image, d dimension.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.special import logsumexp
from sklearn.cluster import KMeans
from torch import Tensor

from saddlepoint.data.sources import open_data
from saddlepoint.evaluation.classifier import QuickFeatures
from saddlepoint.evaluation.copying import copy_verdict
from saddlepoint.evaluation.extractors import open_extractor
from saddlepoint.evaluation.frechet import frechet_distance
from saddlepoint.evaluation.inception import inception_score
from saddlepoint.evaluation.neighbours import precision_recall
from saddlepoint.evaluation.parzen import parzen_window
from saddlepoint.studies.pool import answered, write_text

HEAD = "fashion"
STEPS, RATE = 60, 0.05  # of gradient ascent, Adam


def attack(num: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Noise, and the same after gradient ascent on the log-probability of a class, image i of class i mod k: uint8 [n, 3, 32, 32] each."""
    quick = QuickFeatures()
    classes = len(quick.card["heads"][HEAD]["classes"])
    wanted = torch.arange(num) % classes
    start = torch.randn(num, 3, 32, 32, generator=torch.Generator().manual_seed(seed)).mul(0.3).clamp(-1, 1)
    images = start.clone().requires_grad_()
    optimizer = torch.optim.Adam([images], lr=RATE)
    for _ in range(STEPS):
        loss = torch.nn.functional.cross_entropy(quick.net.logits(quick.net(images), HEAD), wanted, reduction="sum")
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        with torch.no_grad():
            images.clamp_(-1, 1)
    before, after = (x.detach().mul(127.5).add(127.5).round().to(torch.uint8) for x in (start, images))
    return before, after


def image_sets(num: int, seed: int = 0) -> dict[str, dict[str, Any]]:
    """What every metric says of honest and of dishonest sets, against the same real images; copying against them and held-out ones."""
    data, extractor = open_data("fashion", resolution=32, channels=3), open_extractor(f"quick:{HEAD}")
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))
    real, unseen, other = (data.records(order[i * num : (i + 1) * num]) for i in range(3))
    one = torch.stack([other["image"][other["label"] == k][0] for k in range(10)])
    noise, fooling = attack(num, seed)
    sets = {
        "other real images": other["image"],
        "noise": noise,
        "the noise, optimised against the classifier": fooling,
        "one real image a class, repeated": one.repeat(num // 10, 1, 1, 1),
        "the training images, replayed": real["image"],
    }
    seen, held = extractor(real["image"])["features"], extractor(unseen["image"])["features"]
    table = {}
    for name, images in sets.items():
        found = extractor(images)
        both = precision_recall(seen, found["features"])
        table[name] = {
            "Inception score": inception_score(found["probabilities"]).value,
            "Frechet distance": frechet_distance(seen, found["features"]),
            "precision": both.precision,
            "recall": both.recall,
            "copying": copy_verdict(seen, held, found["features"]).verdict,
        }
    return table


def likelihoods(num: int, dimension: int, seed: int = 0) -> dict[str, dict[str, float]]:
    """Data N(0, I) in d dimensions; models: the truth, and 1 % truth with 99 % noise of deviation 10."""
    rng = np.random.default_rng(seed)
    data = rng.standard_normal((num, dimension))
    wide = 10.0
    noisy = np.where(rng.random((num, 1)) < 0.01, 1.0, wide) * rng.standard_normal((num, dimension))
    true = -0.5 * (np.square(data).sum(1) + dimension * math.log(2 * math.pi))
    spread = -0.5 * (np.square(data).sum(1) / wide**2 + dimension * math.log(2 * math.pi * wide**2))
    mixed = logsumexp([true + math.log(0.01), spread + math.log(0.99)], axis=0)
    table = {}
    for name, logs, samples in (("the truth", true, rng.standard_normal((num, dimension))), ("1 % truth, 99 % noise", mixed, noisy)):
        table[name] = {"log-likelihood, nats": float(logs.mean()), "precision": precision_recall(data, samples).precision}
    return table


def windows(num: int, seed: int = 0) -> dict[str, dict[str, float]]:
    """Parzen windows of three sets of handwritten digits (8x8, in [0, 1]) on the same test images."""
    digits = open_data("digits")
    rows = digits.records(torch.randperm(len(digits), generator=torch.Generator().manual_seed(seed)))["image"].flatten(1).double().numpy() / 255
    train, fresh, checks, tests = rows[:num], rows[num : 2 * num], rows[2 * num : 2 * num + 200], rows[2 * num + 200 :]
    centroids = KMeans(num // 2, n_init=1, random_state=seed).fit(np.concatenate([train, fresh])).cluster_centers_
    sets = {"real images": fresh[: num // 2], "k-means centroids of real images": centroids}
    return {name: {"Parzen, nats": parzen_window(samples, checks, tests).value} for name, samples in sets.items()}


def as_table(title: str, table: dict[str, dict[str, Any]]) -> str:
    """A line a set, a column a metric."""
    columns = [*next(iter(table.values()))]
    lines = [f"| {title} | {' | '.join(columns)} |", "|" + " --- |" * (len(columns) + 1)]
    for name, values in table.items():
        lines.append(f"| {name} | " + " | ".join(v if isinstance(v, str) else f"{v:.4g}" for v in values.values()) + " |")
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Read the flags, measure, write."""
    parser = argparse.ArgumentParser(prog="python -m saddlepoint.studies.metric_limits", description="Sets that fool a metric.")
    parser.add_argument("--num", type=int, default=1000, help="images a side")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="Markdown file; None: to the screen")
    given = parser.parse_args(arguments)
    parts = [
        as_table(f"clothes, {given.num} images a side", image_sets(given.num, given.seed)),
        as_table("N(0, I) in 64 dimensions, 1,000 points", likelihoods(1000, 64, given.seed)),
        as_table("handwritten digits, 350 samples", windows(700, given.seed)),
    ]
    text = "\n".join(parts)
    write_text(text, given.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(answered(main))
