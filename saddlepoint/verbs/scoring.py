"""Scores: of a run, a folder or a function against real data, and of several runs beside one another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from saddlepoint import __version__
from saddlepoint.data.records import Dataset
from saddlepoint.data.sources import open_data
from saddlepoint.draws import derive_seed
from saddlepoint.errors import StorageError, UsageError
from saddlepoint.training import machine
from saddlepoint.training.run import Run
from saddlepoint.verbs.choosing import holds_points
from saddlepoint.verbs.using import as_sampler, load

if TYPE_CHECKING:
    from saddlepoint.evaluation.sets import SampleSet


def evaluate(
    target: str | Path | Callable[[int, torch.Generator], Tensor],
    *,
    against: str | None = None,
    metrics: str | Sequence[str] | None = None,
    extractor: str = "quick",
    weights: str | Path | None = None,
    num: int | None = None,
    num_real: int | None = None,
    resolution: int | None = None,
    checkpoint: str = "last",
    seed: int = 0,
    device: str = "cpu",
    data_root: str | Path | None = None,
    show: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Score a run, a folder or array of samples, or a generator, against real data.

    Without ``metrics``, and with the quick extractor, the quick score that training makes too: a few seconds, and its keys at the top.

    Args:
        target: a run folder; or a folder of images, a .npy or .npz file, or the name of a data set; or a function of (n, torch.Generator) that makes
            n images float [n, c, h, w] in [-1, 1], or points [n, d].
        against: real data by name or path; None means what the run was trained on.
        metrics: names, in a sequence or with commas between; see saddlepoint.evaluation.measures.MEASURES. None: the quick score, or "fd".
        extractor: of the features of images: quick, lite0, inception, clip, dinov2, vgg16 or module:attribute.
        weights: file of the extractor's weights, in place of the one in the cache.
        num: generated samples; None: those there are, at most 10,000 (1,000 of the quick score).
        num_real: real samples to compare with; None: as many as generated, at most half of the data, so that the rest gives the floor.
        resolution: side that all images are brought to; None: that of the samples.
        checkpoint: of a run: "last", "best" or a round.
        seed: of the latents, of the choice of real samples, and of generated ones where there are more than asked for.
        device: where features are computed.
        data_root: where downloaded data sets are.
        show: told what is being done, and what it costs before it starts.
    Returns:
        Where metrics are named, scores by name with error and floor, notes and protocol; otherwise the quick score, its floor and protocol.
        A run keeps it as a line of RUN/evaluations.jsonl.
    Raises:
        SaddlepointError: one of saddlepoint.errors, for everything that a user can mend.
    """
    from saddlepoint.evaluation.engine import divide, find_measures
    from saddlepoint.evaluation.engine import evaluate as score
    from saddlepoint.evaluation.extractors import open_extractor

    if num is not None and num < 2:
        raise UsageError(f"At least 2 generated samples are needed; num is {num}.")
    quick = metrics is None and extractor == "quick" and weights is None and num_real is None
    names = ["fd"] if metrics is None else [name.strip() for name in metrics.split(",")] if isinstance(metrics, str) else [*metrics]
    find_measures(names)
    fake, real_name, about = _generated(target, against, num, 1000 if quick else 10_000, resolution, checkpoint, seed, data_root)
    side = None if fake.kind == "points" else resolution or fake.shape[-1]
    real = open_data(real_name, resolution=None if holds_points(real_name) else side, root=about.pop("root"))
    if quick:
        result = _quick_score(fake, real, num, seed)
    else:
        seen_by = open_extractor(extractor, weights=None if weights is None else Path(weights), device=device) if fake.kind == "image" else None
        chosen, held = divide(real, num_real, fake.num, seed)
        result = score(chosen, held, fake, metrics=names, extractor=seen_by, tell=show)
    stamp = {"content_hash": real.spec.content_hash, "seed": seed, "version": __version__, "commit": machine.commit()}
    result["protocol"] |= stamp | {"ema": about.get("ema"), "truncation": about.pop("truncation")}
    result = about | result
    if "run" in about:
        try:
            Run.open(Path(about["run"])).append("evaluations.jsonl", result)
        except StorageError as error:
            result["notes"] = [*result.get("notes", []), f"Not kept with the run: {error}"]
    return result


def _generated(
    target: str | Path | Callable[[int, torch.Generator], Tensor],
    against: str | None,
    num: int | None,
    usual: int,
    resolution: int | None,
    checkpoint: str,
    seed: int,
    data_root: str | Path | None,
) -> tuple[SampleSet, str, dict[str, Any]]:
    """The samples of a target, the name of the real data, and what is to be said of them."""
    from saddlepoint.evaluation.sets import of_data, of_function, of_game

    root = None if data_root is None else Path(data_root)
    if not callable(target) and (Path(target) / "run.json").exists():
        game, run = load(target, checkpoint=checkpoint)
        source = run.about["source"]
        named = source["root"]
        about = {
            "run": str(run.folder),
            "recipe": run.about["recipe"],
            "round": game.clock.round,
            "images_seen": game.clock.images_seen,
            "ema": hasattr(game, "generator_ema"),
            "sample_seed": seed,
            "truncation": 1.0,
            "root": root or (Path(named) if named is not None and against is None else None),
        }
        if resolution is not None:
            raise UsageError("A run's samples have a size of their own. Leave --resolution out, or evaluate a folder of its samples.")
        return of_game(as_sampler(game), num or usual, name=str(target), seed=seed), against or source["name"], about
    if against is None:
        raise UsageError(f"{target} is not a run folder, so say what to compare it with: --against DATA.")
    if callable(target):
        name = getattr(target, "__name__", type(target).__name__)
        return of_function(target, num or usual, name=name, seed=seed), against, {"samples": name, "truncation": None, "root": root}
    given = open_data(str(target), resolution=resolution, root=root)
    count = num or min(usual, len(given))
    if len(given) < count:
        raise UsageError(f"{target} holds {len(given)} samples; {count} were asked for. Use --num {len(given)} or fewer.")
    rng = torch.Generator().manual_seed(derive_seed("generated", seed))  # files are in order, so the first ones would be of one class
    rows = torch.randperm(len(given), generator=rng)[:count].sort().values
    return of_data(given, rows), against, {"samples": str(target), "truncation": None, "root": root}


def _quick_score(fake: SampleSet, real: Dataset, num: int | None, seed: int) -> dict[str, Any]:
    """The score that training makes too."""
    from saddlepoint.evaluation.quick import QuickScorer

    scorer = QuickScorer(real, num_fake=num or fake.num, seed=seed)
    return scorer.score(fake.read(0, fake.num))


def compare(*targets: str | Path, out: str | Path | None = None) -> dict[str, Any]:
    """Put evaluated runs, or results of ``evaluate`` in files, beside one another.

    Args:
        *targets: run folders, or files that ``saddlepoint evaluate --json`` printed.
        out: folder for table.md, compare.json and the plots; None writes nothing.
    Returns:
        rows: the scores of each target, best and last; differences: what keeps a target's scores from being compared with the first's.
    """
    from saddlepoint.evaluation.compare import compare as beside

    return beside([Path(target) for target in targets], out=None if out is None else Path(out))
