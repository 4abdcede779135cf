"""``python -m saddlepoint.studies.metric_speed``: our metrics against the reference implementations, on the same features, side by side.

Every pair alternates, in one process with one number of threads: ours, theirs, ours, theirs; the least time of each counts, for a busy machine only
adds. The values are compared too. References that are not installed are left out by name. The result is JSON; the peak of memory in it is the
process's, so it is one side's where ``--by`` names one.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.metadata
import io
import json
import os
import platform
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from saddlepoint.evaluation.arrays import Float64
from saddlepoint.evaluation.frechet import frechet_from_statistics
from saddlepoint.evaluation.kernel import kernel_distance
from saddlepoint.evaluation.neighbours import density_coverage, precision_recall
from saddlepoint.studies.footprint import peak_bytes
from saddlepoint.studies.pool import answered

BLOCK = 4096  # made rows at a time
BATCHED = "torch-fidelity, saving memory"
Statistics = tuple[Float64, Float64]
Task = Callable[[], Any]


def main(arguments: list[str] | None = None) -> int:
    """Read the flags, measure, write the JSON."""
    parser = argparse.ArgumentParser(prog="python -m saddlepoint.studies.metric_speed", description="Time the metrics against the references.")
    parser.add_argument("--dimension", type=int, default=2048, help="of the features")
    parser.add_argument("--samples", type=int, default=5000, help="a side, for the neighbours; the kernel takes its own subsets of them")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--subsets", type=int, default=100, help="of 1000 samples, for the kernel distance")
    parser.add_argument("--decades", type=float, default=2, help="that the deviations of the Frechet distance's statistics fall over")
    parser.add_argument("--only", choices=["frechet", "kernel", "neighbours"], help="one metric")
    parser.add_argument("--by", nargs="+", metavar="NAME", help="only sides whose names begin so: saddlepoint, torch-fidelity, ...")
    parser.add_argument(
        "--one-batch", action="store_true", help="of torch-fidelity's memory-saving form one batch of 10,000 rows a loop, times their number"
    )
    given = parser.parse_args(arguments)
    jobs = {"frechet": _frechet, "kernel": _kernel, "neighbours": _neighbours}
    result: dict[str, Any] = {"machine": _machine(), "settings": vars(given)}
    for name, job in jobs.items():
        if given.only in (None, name):
            result[name] = job(given)
    result["peak MiB of the process"] = peak_bytes() >> 20
    sys.stdout.write(json.dumps(result, indent=2) + "\n")
    return 0


def made_features(samples: int, dimension: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Real and generated float32 features like a network's: correlated, not negative, their spectrum falling over four decades."""
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((dimension, dimension)) * np.logspace(0, -2, dimension)[:, None] / np.sqrt(dimension)
    sides = []
    for spread in (1.0, 1.1):
        turn, rows = (mixing * spread * 4).astype(np.float32), np.empty((samples, dimension), np.float32)
        for start in range(0, samples, BLOCK):
            block = rows[start : start + BLOCK]
            np.maximum(rng.standard_normal(block.shape, np.float32) @ turn + np.float32(0.3), 0, out=block)
        sides.append(rows)
    return sides[0], sides[1]


def made_statistics(dimension: int, seed: int, decades: float = 2) -> tuple[Statistics, Statistics]:
    """Two means and covariances of full rank, whose deviations fall over so many decades."""
    rng, found = np.random.default_rng(seed), []
    turn = np.linalg.qr(rng.standard_normal((dimension, dimension)))[0]
    for shift in (0.0, 0.1):
        rows = (rng.standard_normal((2 * dimension, dimension)) * np.logspace(0, -decades, dimension) * (1 + shift)) @ turn
        found.append((rows.mean(0) + shift, np.cov(rows, rowvar=False)))
    return found[0], found[1]


def _frechet(given: argparse.Namespace) -> dict[str, Any]:
    one, two = made_statistics(given.dimension, seed=0, decades=given.decades)
    tasks: dict[str, Task] = {"saddlepoint": lambda: frechet_from_statistics(*one, *two), "symmetric NumPy": lambda: _symmetric(*one, *two)}
    pytorch_fid, clean, fidelity = _module("pytorch_fid.fid_score"), _module("cleanfid.fid"), _module("torch_fidelity.metric_fid")
    if pytorch_fid is not None:
        tasks["pytorch-fid"] = lambda: pytorch_fid.calculate_frechet_distance(*one, *two)
    if clean is not None:
        tasks["clean-fid"] = lambda: clean.frechet_distance(*one, *two)
    if fidelity is not None:
        sides = [{"mu": mean, "sigma": cov} for mean, cov in (one, two)]
        tasks["torch-fidelity"] = lambda: fidelity.fid_statistics_to_metric(*sides, False)["frechet_inception_distance"]
    return _compare(tasks, given)


def _kernel(given: argparse.Namespace) -> dict[str, Any]:
    real, fake = made_features(max(given.samples, 1001), given.dimension, seed=1)
    tasks: dict[str, Task] = {"saddlepoint": lambda: kernel_distance(real, fake, subsets=given.subsets).value}
    fidelity, clean = _module("torch_fidelity.metric_kid"), _module("cleanfid.fid")
    if fidelity is not None:
        first, second = torch.from_numpy(real), torch.from_numpy(fake)
        options = {"kid_subsets": given.subsets, "kid_subset_size": 1000, "verbose": False}
        tasks["torch-fidelity"] = lambda: fidelity.kid_features_to_metric(first, second, **options)["kernel_inception_distance_mean"]
    if clean is not None:
        tasks["clean-fid"] = lambda: clean.kernel_distance(real, fake, num_subsets=given.subsets)
    return _compare(tasks, given)


def _neighbours(given: argparse.Namespace) -> dict[str, Any]:
    real, fake = made_features(given.samples, given.dimension, seed=2)
    pairs: dict[str, Task] = {"saddlepoint": lambda: list(precision_recall(real, fake))}
    fidelity, prdc = _module("torch_fidelity.metric_prc"), _module("prdc")
    if fidelity is not None:
        first, second = torch.from_numpy(fake), torch.from_numpy(real)  # that library takes the generated side first
        pairs["torch-fidelity"] = lambda: list(fidelity.calculate_precision_recall_full(first, second))
        whole = lambda: list(fidelity.calculate_precision_recall_part(first, second))  # noqa: E731
        pairs[BATCHED] = (lambda: _one_batch(fidelity, first, second)) if given.one_batch else whole
    result = {"precision and recall, k=3": _compare(pairs, given)}
    if prdc is not None and "prdc".startswith(tuple(given.by or ["prdc"])):
        densities: dict[str, Task] = {
            "saddlepoint": lambda: [*precision_recall(real, fake, 5), *density_coverage(real, fake, 5)],
            "prdc": lambda: [float(prdc.compute_prdc(real, fake, 5)[name]) for name in ("precision", "recall", "density", "coverage")],
        }
        result["precision, recall, density, coverage, k=5"] = _compare(densities, given)
    return result


def _one_batch(fidelity: Any, fake: torch.Tensor, real: torch.Tensor) -> float:
    """The first turn of each loop of torch-fidelity's memory-saving form, which are all alike; how many turns a loop has."""
    rows = 10_000
    for one, other in ((fake, real), (real, fake)):
        radii = fidelity.calc_cdist_part(one[:rows], one, rows).kthvalue(4).values
        (fidelity.calc_cdist_part(other[:rows], one, rows) <= radii.mean().expand(len(one))).any(dim=1).float()
    return max(1.0, len(real) / rows)


def _compare(tasks: dict[str, Task], given: argparse.Namespace) -> dict[str, Any]:
    """Least seconds by the clock and of the processor (all threads; less moved by other work on the machine), value and ratios; all take turns."""
    tasks = {name: task for name, task in tasks.items() if not given.by or name.startswith(tuple(given.by))}
    seconds: dict[str, float] = dict.fromkeys(tasks, float("inf"))
    cpu: dict[str, float] = dict.fromkeys(tasks, float("inf"))
    values: dict[str, Any] = {}
    for _ in range(given.repeats):
        for name, task in tasks.items():
            with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
                warnings.simplefilter("ignore")  # what a reference says of its own use of SciPy is not measured
                start, work = time.perf_counter(), time.process_time()
                values[name] = task()
                turns = values[name] if given.one_batch and name == BATCHED else 1
                seconds[name] = min(seconds[name], (time.perf_counter() - start) * turns)
                cpu[name] = min(cpu[name], (time.process_time() - work) * turns)
    return {
        name: {
            "seconds": round(seconds[name], 4),
            "times ours": round(seconds[name] / seconds["saddlepoint"], 2) if "saddlepoint" in tasks else None,
            "processor seconds": round(cpu[name], 4),
            "processor times ours": round(cpu[name] / cpu["saddlepoint"], 2) if "saddlepoint" in tasks else None,
            "value": None if given.one_batch and name == BATCHED else _plain(values[name]),
        }
        for name in tasks
    }


def _symmetric(mean1: Float64, cov1: Float64, mean2: Float64, cov2: Float64) -> float:
    """The textbook's symmetric form: the root of one covariance by its eigenvectors, the eigenvalues of the product."""
    values, vectors = np.linalg.eigh(cov1)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    overlap = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ cov2 @ root), 0)).sum()
    return float(np.square(mean1 - mean2).sum() + np.trace(cov1) + np.trace(cov2) - 2 * overlap)


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def _plain(value: Any) -> Any:
    return [float(item) for item in value] if isinstance(value, list) else float(value)


def _machine() -> dict[str, Any]:
    versions = {}
    for package in ("numpy", "scipy", "torch", "pytorch-fid", "clean-fid", "torch-fidelity", "prdc"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    load = round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
    return {"processor": _processor(), "threads": torch.get_num_threads(), "load": load, "python": platform.python_version(), "versions": versions}


def _processor() -> str:
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as lines:
        return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
    return platform.machine()


if __name__ == "__main__":
    raise SystemExit(answered(main))
