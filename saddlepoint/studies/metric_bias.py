"""``python -m saddlepoint.studies.metric_bias``: each estimator on two samples of one distribution, against the number of samples.

Both sides are standard normal features, so whatever a distance shows is bias (its mean) and noise (its deviation). Writes a Markdown table, and a
picture with ``--picture``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from saddlepoint.evaluation.arrays import Rows
from saddlepoint.evaluation.frechet import frechet_distance
from saddlepoint.evaluation.kernel import kernel_distance
from saddlepoint.evaluation.neighbours import density_coverage, precision_recall
from saddlepoint.evaluation.uncertainty import bias_curve

METRICS: dict[str, Callable[[Rows, Rows], float]] = {
    "Frechet distance": frechet_distance,
    "kernel distance": lambda real, fake: kernel_distance(real, fake).value,
    "precision": lambda real, fake: precision_recall(real, fake).precision,
    "recall": lambda real, fake: precision_recall(real, fake).recall,
    "density": lambda real, fake: density_coverage(real, fake).density,
    "coverage": lambda real, fake: density_coverage(real, fake).coverage,
}

Curves = dict[str, list[tuple[int, float, float]]]


def main(arguments: list[str] | None = None) -> int:
    """Read the flags, measure, write."""
    parser = argparse.ArgumentParser(prog="python -m saddlepoint.studies.metric_bias", description="Bias of the metrics against sample counts.")
    parser.add_argument("--dimension", type=int, default=32, help="of the features")
    parser.add_argument("--sizes", type=int, nargs="+", default=[50, 100, 200, 400, 800], help="samples a side")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--out", type=Path, help="Markdown file; None: to the screen")
    parser.add_argument("--picture", type=Path, help="PNG file")
    given = parser.parse_args(arguments)
    curves = measure(given.dimension, tuple(given.sizes), given.repeats)
    text = as_table(curves, given.dimension, given.repeats)
    if given.out is None:
        sys.stdout.write(text)
    else:
        given.out.write_text(text, encoding="utf-8")
    if given.picture is not None:
        draw(curves, given.picture)
    return 0


def measure(dimension: int, sizes: tuple[int, ...], repeats: int) -> Curves:
    """Mean and deviation of every metric at every size, over subsets of 4 times the largest size."""
    rng = np.random.default_rng(0)
    real, fake = rng.standard_normal((2, 4 * max(sizes), dimension))
    return {name: bias_curve(metric, real, fake, sizes, repeats=repeats) for name, metric in METRICS.items()}


def as_table(curves: Curves, dimension: int, repeats: int) -> str:
    """A column a size: mean and deviation."""
    sizes = [size for size, _, _ in next(iter(curves.values()))]
    head = f"| both sides N(0, I) of {dimension} dimensions, {repeats} draws | " + " | ".join(f"{size} a side" for size in sizes) + " |"
    rows = [f"| {name} | " + " | ".join(f"{mean:.3g} ± {std:.2g}" for _, mean, std in curve) + " |" for name, curve in curves.items()]
    return "\n".join([head, "|" + " --- |" * (len(sizes) + 1), *rows]) + "\n"


def draw(curves: Curves, path: Path) -> None:
    """One small plot a metric."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5), layout="constrained")
    for axes, (name, curve) in zip(figure.subplots(2, 3).flat, curves.items(), strict=True):
        sizes, means, deviations = zip(*curve, strict=True)
        axes.errorbar(sizes, means, deviations, marker="o", capsize=3)
        axes.set(title=name, xscale="log", xlabel="samples a side")
        axes.axhline(0 if "distance" in name else 1, color="grey", linewidth=0.8)
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    raise SystemExit(main())
