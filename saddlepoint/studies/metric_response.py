"""``python -m saddlepoint.studies.metric_response``: what the metrics say of graded damage.

Heusel et al. 2017 (arXiv:1706.08500), Section A1.1 of the supplement: noise, blur, black rectangles, swirl, salt and pepper, and a share of images of
another set, each at four strengths, the first of them none. Real images are damaged and compared with other real images, on the quick extractor's
features. Writes a Markdown table, and a picture with ``--picture``.

Axes: n images, h w image.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from saddlepoint.data.sources import open_data
from saddlepoint.evaluation.extractors import Extractor, open_extractor
from saddlepoint.evaluation.frechet import frechet_distance
from saddlepoint.evaluation.inception import inception_score
from saddlepoint.evaluation.kernel import kernel_distance
from saddlepoint.evaluation.neighbours import precision_recall
from saddlepoint.studies.pool import answered

Images = NDArray[np.floating]  # n h w in [0, 1]
Damage = Callable[[Images, float, np.random.Generator], Images]
METRICS = ("Frechet distance", "kernel distance", "Inception score", "precision", "recall")
STRONGEST_SWIRL = 10.0  # radius in pixels within which a swirl of strength 1 turns by one radian or more


def noise(images: Images, strength: float, rng: np.random.Generator) -> Images:
    """A weighted mean with Gaussian noise."""
    return ((1 - strength) * images + strength * rng.normal(0.5, 0.5, images.shape)).astype(np.float32)


def blur(images: Images, strength: float, rng: np.random.Generator) -> Images:
    """A Gaussian of so many pixels."""
    return np.asarray(gaussian_filter(images, (0, strength, strength)), dtype=np.float32)


def rectangles(images: Images, strength: float, rng: np.random.Generator) -> Images:
    """Five black rectangles an image, whose areas add up to this share of it before they overlap."""
    damaged, (h, w) = images.copy(), images.shape[1:]
    sides = np.round(np.sqrt(strength / 5) * np.array([h, w])).astype(int)
    for image in damaged:
        for _ in range(5 if strength else 0):
            y, x = rng.integers(h - sides[0] + 1), rng.integers(w - sides[1] + 1)
            image[y : y + sides[0], x : x + sides[1]] = 0
    return damaged


def swirl(images: Images, strength: float, rng: np.random.Generator) -> Images:
    """Turned around the centre by an angle that falls off with the distance."""
    line = torch.linspace(-1, 1, images.shape[1])
    y, x = torch.meshgrid(line, line, indexing="ij")
    radius = (x.square() + y.square()).sqrt()
    angle = strength * torch.exp(-radius * images.shape[1] / (2 * STRONGEST_SWIRL))
    grid = torch.stack([x * angle.cos() - y * angle.sin(), x * angle.sin() + y * angle.cos()], dim=-1)  # h w 2
    found = F.grid_sample(torch.from_numpy(images)[:, None].float(), grid.expand(len(images), -1, -1, -1), align_corners=True)
    return np.asarray(found[:, 0].numpy())


def salt_and_pepper(images: Images, strength: float, rng: np.random.Generator) -> Images:
    """This share of the pixels black or white."""
    hit = rng.random(images.shape) < strength
    return np.where(hit, rng.integers(0, 2, images.shape), images).astype(np.float32)


def foreign(images: Images, strength: float, rng: np.random.Generator) -> Images:
    """This share of the images replaced by handwritten digits."""
    damaged, count = images.copy(), round(strength * len(images))
    digits = open_data("digits", resolution=images.shape[1])
    chosen = torch.from_numpy(rng.permutation(len(digits))[:count])
    damaged[:count] = digits.records(chosen)["image"][:, 0].numpy() / 255
    return damaged


DAMAGES: Mapping[str, tuple[Damage, tuple[float, ...]]] = {
    "noise": (noise, (0, 0.25, 0.5, 0.75)),
    "blur": (blur, (0, 1, 2, 4)),
    "black rectangles": (rectangles, (0, 0.25, 0.5, 0.75)),
    "swirl": (swirl, (0, 1, 2, 4)),
    "salt and pepper": (salt_and_pepper, (0, 0.1, 0.2, 0.3)),
    "digits among clothes": (foreign, (0, 0.25, 0.5, 0.75)),
}

Table = dict[str, list[tuple[float, dict[str, float]]]]


def measure(num: int, seed: int = 0) -> Table:
    """Scores of every damage at every strength, of ``num`` images a side."""
    extractor, data = open_extractor("quick:fashion"), open_data("fashion")
    rows = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))
    real, fake = (data.records(rows[start : start + num])["image"] for start in (0, num))
    seen = extractor(real)["features"]
    clean: Images = (fake[:, 0].numpy() / 255).astype(np.float32)
    table: Table = {}
    for name, (damage, strengths) in DAMAGES.items():
        table[name] = []
        for strength in strengths:
            damaged = damage(clean, strength, np.random.default_rng(seed))
            table[name].append((strength, score(extractor, seen, damaged)))
    return table


def score(extractor: Extractor, real: Any, images: Images) -> dict[str, float]:
    """The five scores of images [n, h, w] in [0, 1] against features of real ones."""
    pixels = torch.from_numpy((images.clip(0, 1) * 255).round().astype(np.uint8))[:, None]
    found = extractor(pixels)
    both = precision_recall(real, found["features"])
    values = (
        frechet_distance(real, found["features"]),
        kernel_distance(real, found["features"]).value,
        inception_score(found["probabilities"]).value,
        both.precision,
        both.recall,
    )
    return dict(zip(METRICS, values, strict=True))


def as_table(table: Table, num: int) -> str:
    """A line a damage and strength."""
    head = [f"| damage ({num} images a side) | strength | " + " | ".join(METRICS) + " |", "|" + " --- |" * (len(METRICS) + 2)]
    lines = [
        f"| {name} | {strength:g} | " + " | ".join(f"{values[metric]:.3g}" for metric in METRICS) + " |"
        for name, rows in table.items()
        for strength, values in rows
    ]
    return "\n".join(head + lines) + "\n"


def draw(table: Table, path: Path) -> None:
    """A small plot a damage: each metric over the strength, as a share of its range over all damages."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 5.5), layout="constrained")
    every = {metric: [values[metric] for rows in table.values() for _, values in rows] for metric in METRICS}
    plots = figure.subplots(2, 3, sharey=True).flat
    for axes, (name, rows) in zip(plots, table.items(), strict=True):
        for metric in METRICS:
            low, high = min(every[metric]), max(every[metric])
            axes.plot([strength for strength, _ in rows], [(values[metric] - low) / (high - low) for _, values in rows], marker="o", label=metric)
        axes.set(title=name, xlabel="strength")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=len(METRICS), fontsize="small")
    figure.supylabel("share of the metric's range over all damages")
    figure.savefig(path, dpi=100)


def main(arguments: list[str] | None = None) -> int:
    """Read the flags, measure, write."""
    parser = argparse.ArgumentParser(prog="python -m saddlepoint.studies.metric_response", description="What the metrics say of graded damage.")
    parser.add_argument("--num", type=int, default=1000, help="images a side")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="Markdown file; None: to the screen")
    parser.add_argument("--picture", type=Path, help="PNG file")
    given = parser.parse_args(arguments)
    table = measure(given.num, given.seed)
    if given.out is None:
        sys.stdout.write(as_table(table, given.num))
    else:
        given.out.write_text(as_table(table, given.num), encoding="utf-8")
    if given.picture is not None:
        draw(table, given.picture)
    return 0


if __name__ == "__main__":
    raise SystemExit(answered(main))
