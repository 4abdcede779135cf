"""Freeze what the reference implementations say of small fixed inputs: tests/evaluation/metric_references.npz.

They are not dependencies of the tests: pytorch-fid and clean-fid stop working with some releases of SciPy, and the values do not change. To repeat:

    pip install --no-deps pytorch-fid clean-fid torch-fidelity prdc pytorch-msssim
    python tools/freeze_metric_references.py
"""

from __future__ import annotations

import importlib.metadata
import json
import warnings
from pathlib import Path

import numpy as np
import prdc
import torch
from cleanfid import fid as clean
from pytorch_fid.fid_score import calculate_frechet_distance
from pytorch_msssim import ms_ssim
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kernel_mmd, kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

TARGET = Path(__file__).parents[1] / "tests" / "evaluation" / "metric_references.npz"
PACKAGES = ("pytorch-fid", "clean-fid", "torch-fidelity", "prdc", "pytorch-msssim", "numpy", "scipy", "torch")


def features() -> tuple[np.ndarray, np.ndarray]:
    """Real and generated features [400, 12] and [300, 12], the second with less spread, float64."""
    rng = np.random.RandomState(1)
    mixing = rng.standard_normal((12, 12))
    return rng.standard_normal((400, 12)) @ mixing, rng.standard_normal((300, 12)) @ mixing * np.linspace(0.4, 1.1, 12) + 0.2


def images() -> tuple[np.ndarray, np.ndarray]:
    """Three pairs of smooth grey images of 176 pixels, the second of a pair a noisy copy."""
    rng, places = np.random.RandomState(2), np.linspace(0, 1, 176)
    waves = [np.sin(2 * np.pi * (k * places[:, None] + (k + 1) * places)) for k in (1, 3, 6)]
    first = np.stack([127.5 + 100 * wave for wave in waves])[:, None]
    noise = np.repeat(np.repeat(rng.standard_normal((3, 1, 44, 44)), 4, axis=2), 4, axis=3) * np.array([5, 20, 60])[:, None, None, None]
    return first.round().astype(np.uint8), (first + noise).clip(0, 255).round().astype(np.uint8)


def main() -> None:
    """Compute and write."""
    real, fake = features()
    logits = np.random.RandomState(3).standard_normal((500, 7)) * 2
    x, y = images()
    sides = [fid_features_to_statistics(torch.from_numpy(rows)) for rows in (real, fake)]
    flat = [value for side in sides for value in (side["mu"], side["sigma"])]
    isc = isc_features_to_metric(torch.from_numpy(logits), splits=10, shuffle=False)
    prc = prc_features_to_metric(torch.from_numpy(fake), torch.from_numpy(real), verbose=False)  # the generated side first
    four = prdc.compute_prdc(real, fake, 5)
    kid = kid_features_to_metric(torch.from_numpy(real), torch.from_numpy(fake), kid_subsets=400, kid_subset_size=100, verbose=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        frechet = (
            calculate_frechet_distance(*flat),
            clean.frechet_distance(*flat),
            fid_statistics_to_metric(*sides, False)["frechet_inception_distance"],
        )
    np.savez_compressed(
        TARGET,
        real=real,
        fake=fake,
        logits=logits,
        x=x,
        y=y,
        frechet=np.array(frechet),
        kernel_300=kernel_mmd(real[:300], fake, kid_kernel="poly", kid_kernel_poly_degree=3, kid_kernel_poly_gamma=None, kid_kernel_poly_coef0=1.0),
        kernel_subsets=np.array([kid["kernel_inception_distance_mean"], kid["kernel_inception_distance_std"]]),
        kernel_clean=clean.kernel_distance(real[:300], fake, num_subsets=1, max_subset_size=300),
        inception=np.array([isc["inception_score_mean"], isc["inception_score_std"]]),
        precision_recall=np.array([prc["precision"], prc["recall"]]),
        prdc=np.array([four[name] for name in ("precision", "recall", "density", "coverage")]),
        ms_ssim=ms_ssim(torch.from_numpy(x).double(), torch.from_numpy(y).double(), data_range=255, size_average=False).numpy(),
        versions=json.dumps({name: importlib.metadata.version(name) for name in PACKAGES}),
    )


if __name__ == "__main__":
    main()
