"""``python -m saddlepoint.studies.metric_bias``: each estimator on two samples of one distribution, against the number of samples.

Both sides are standard normal: features, or images of 16x16 pixels for what looks at images. So whatever a distance shows is bias (its mean) and
noise (its deviation); of other scores the change with the number of samples is. Writes a Markdown table, and a picture with ``--picture``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import softmax

from saddlepoint.evaluation.arrays import Float64, Rows
from saddlepoint.evaluation.classwise import class_frechet
from saddlepoint.evaluation.diversity import mean_pairwise_distance
from saddlepoint.evaluation.frechet import frechet_distance, frechet_infinity
from saddlepoint.evaluation.inception import inception_score
from saddlepoint.evaluation.kernel import kernel_distance
from saddlepoint.evaluation.laplacian import laplacian_sliced_wasserstein
from saddlepoint.evaluation.msssim import ms_ssim_diversity
from saddlepoint.evaluation.neighbours import density_coverage, precision_recall
from saddlepoint.evaluation.parzen import parzen_log_likelihood
from saddlepoint.evaluation.sliced import sliced_wasserstein
from saddlepoint.evaluation.uncertainty import bias_curve
from saddlepoint.studies.pool import answered, write_text

SIDE = 16  # of images, in pixels


@dataclass(frozen=True)
class Estimator:
    """A metric of two sets of rows, whether the rows are images, and the value without bias, where it is known."""

    metric: Callable[[Float64, Float64], float]
    images: bool = False
    truth: float | None = None


def _by_class(real: Float64, fake: Float64) -> float:
    labels = np.arange(len(real)) % 5
    return class_frechet(real, labels, fake, labels).value


def _pictures(rows: Float64) -> Float64:
    return rows.reshape(-1, 1, SIDE, SIDE)


METRICS = {
    "Frechet distance": Estimator(frechet_distance, truth=0.0),
    "Frechet distance, extrapolated": Estimator(lambda real, fake: frechet_infinity(real, fake).value, truth=0.0),
    "Frechet distance within 5 classes": Estimator(_by_class, truth=0.0),
    "kernel distance": Estimator(lambda real, fake: kernel_distance(real, fake).value, truth=0.0),
    "sliced Wasserstein distance": Estimator(lambda real, fake: sliced_wasserstein(real, fake), truth=0.0),
    "pyramid distance, 16 patches an image": Estimator(
        lambda real, fake: laplacian_sliced_wasserstein(_pictures(real), _pictures(fake), patches_per_image=16).average, images=True, truth=0.0
    ),
    "precision": Estimator(lambda real, fake: precision_recall(real, fake).precision),
    "recall": Estimator(lambda real, fake: precision_recall(real, fake).recall),
    "density": Estimator(lambda real, fake: density_coverage(real, fake).density, truth=1.0),
    "coverage": Estimator(lambda real, fake: density_coverage(real, fake).coverage, truth=1 - 2**-5),
    "Inception score, 10 splits": Estimator(lambda real, fake: inception_score(softmax(3 * fake[:, :10], axis=1)).value),
    "mean pairwise distance, ratio": Estimator(lambda real, fake: mean_pairwise_distance(fake) / mean_pairwise_distance(real), truth=1.0),
    "MS-SSIM of 500 pairs": Estimator(lambda real, fake: ms_ssim_diversity(_pictures(fake), pairs=500, data_range=6.0).value, images=True),
    "Parzen window, width 1, nats": Estimator(lambda real, fake: float(parzen_log_likelihood(fake, real[:50], 1.0).mean())),
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
    write_text(text, given.out)
    if given.picture is not None:
        draw(curves, given.picture)
    return 0


def measure(dimension: int, sizes: tuple[int, ...], repeats: int) -> Curves:
    """Mean and deviation of every metric at every size, over subsets of 4 times the largest size."""
    features, images = (np.random.default_rng(0).standard_normal((2, 4 * max(sizes), d)) for d in (dimension, SIDE * SIDE))
    curves = {}
    for name, estimator in METRICS.items():
        real, fake = images if estimator.images else features
        curves[name] = bias_curve(_of(estimator), real, fake, sizes, repeats=repeats)
    return curves


def _of(estimator: Estimator) -> Callable[[Rows, Rows], float]:
    return lambda real, fake: estimator.metric(np.asarray(real), np.asarray(fake))


def as_table(curves: Curves, dimension: int, repeats: int) -> str:
    """A column a size: mean and deviation."""
    sizes = [size for size, _, _ in next(iter(curves.values()))]
    head = f"| both sides N(0, I) of {dimension} dimensions, {repeats} draws | " + " | ".join(f"{size} a side" for size in sizes) + " |"
    rows = [f"| {name} | " + " | ".join(f"{mean:.3g} ± {std:.2g}" for _, mean, std in curve) + " |" for name, curve in curves.items()]
    return "\n".join([head, "|" + " --- |" * (len(sizes) + 1), *rows]) + "\n"


def draw(curves: Curves, path: Path) -> None:
    """One small plot a metric."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 9), layout="constrained")
    plots = [*figure.subplots(4, 4).flat]
    for axes, (name, curve) in zip(plots, curves.items(), strict=False):
        sizes, means, deviations = zip(*curve, strict=True)
        axes.errorbar(sizes, means, deviations, marker="o", capsize=3)
        axes.set_title(name, fontsize="medium")
        axes.set(xscale="log", xlabel="samples a side")
        axes.set_xticks(sizes, [str(size) for size in sizes])
        axes.minorticks_off()
        truth = METRICS[name].truth
        if truth is not None:
            axes.axhline(truth, color="grey", linewidth=0.8)
    for axes in plots[len(curves) :]:
        axes.set_axis_off()
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    raise SystemExit(answered(main))
