"""Scores: of a run, a folder or a function against real data, and of several runs beside one another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from saddlepoint import __version__
from saddlepoint.data.images import Resolution, resolution_of
from saddlepoint.data.records import Dataset
from saddlepoint.data.sources import open_data
from saddlepoint.draws import derive_seed
from saddlepoint.errors import DataError, StorageError, UsageError
from saddlepoint.games.game import Samples
from saddlepoint.games.translating import Translates
from saddlepoint.training import machine
from saddlepoint.training.checkpoint import list_checkpoints
from saddlepoint.training.run import Run
from saddlepoint.verbs.choosing import holds_points
from saddlepoint.verbs.gathering import Asking, Found, choose_extractor, gather_extras
from saddlepoint.verbs.scoring_sequences import evaluate_sequences, holds_sequences
from saddlepoint.verbs.translations import of_translator
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
    distance: str | None = None,
    segmenter: str | None = None,
    labels: str | None = None,
    held_out: str | None = None,
    num: int | None = None,
    num_real: int | None = None,
    resolution: int | None = None,
    checkpoint: str = "last",
    truncation: float | None = None,
    back: bool = False,
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
        metrics: names, in a sequence or with commas between; see saddlepoint.evaluation.measures.MEASURES, and SEQUENCE_METRICS in
            scoring_sequences. None: the quick score, or "fd"; of sequences all that can be had.
        extractor: of the features of images: quick, lite0, inception, clip, dinov2, vgg16, a run's own discriminator, or module:attribute.
        weights: file of the extractor's weights, in place of the one in the cache.
        distance: of path lengths and diversity: quick, lite0, vgg16, lpips or module:attribute; None: the extractor's own layers.
        segmenter: of fsd and fcn-score: module:attribute.
        labels: of fcn-score: folder of label maps with the images' names. None: the pictures that a run translates, by the segmenter's colours.
        held_out: of copying: real data that the generator was not trained on, by name or path.
        num: generated samples; None: those there are, at most 10,000 (1,000 of the quick score). Path lengths are of as many paths.
        num_real: real samples to compare with; None: as many as generated, at most half of the data, so that the rest gives the floor.
        resolution: side that all images are brought to; None: that of the samples.
        checkpoint: of a run: "last", "best" or a round.
        truncation: of a run's latents or styles, or the temperature of sequences; None: none.
        back: of a run that translates both ways: from the second domain to the first.
        seed: of the latents, of the choice of real samples, and of generated ones where there are more than asked for.
        device: where samples are drawn and features are computed.
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

    if num is not None and num < 2:
        raise UsageError(f"At least 2 generated samples are needed; num is {num}.")
    sequences = holds_sequences(target, against)
    quick = metrics is None and extractor == "quick" and weights is None and num_real is None and not sequences
    named = None if metrics is None else [name.strip() for name in metrics.split(",")] if isinstance(metrics, str) else [*metrics]
    ask = Asking(target, num or (1000 if quick else 10_000), num, seed, None if data_root is None else Path(data_root), truncation, device)
    if sequences:
        others = {"weights": weights, "distance": distance, "segmenter": segmenter, "labels": labels, "held_out": held_out, "num_real": num_real}
        _refuse(others | {"resolution": resolution, "back": back or None, "extractor": None if extractor == "quick" else extractor})
        return _keep(*evaluate_sequences(ask, against, checkpoint, named), seed)
    names = ["fd"] if named is None else named
    chosen = find_measures(names)
    found = _of_run(ask, against, resolution, checkpoint, back) if is_run(target) else _of_samples(ask, against, resolution)
    if quick:
        result = _quick_score(found.fake, found.real, num, seed)
    else:
        extras = gather_extras(
            chosen, found, extractor=extractor, distance=distance, segmenter=segmenter, labels=labels, held_out=held_out, seed=seed, device=device
        )
        seen_by = choose_extractor(extractor, found, weights, device)
        compared, held = divide(found.real, num_real, found.fake.num, seed)
        result = score(compared, held, found.fake, metrics=names, extractor=seen_by, extras=extras, tell=show)
    result["protocol"] |= found.stamp
    return _keep(found.about | result, found.run, found.real.spec.content_hash, seed)


def _keep(result: dict[str, Any], run: Run | None, content_hash: str, seed: int) -> dict[str, Any]:
    """Say which version made a result, and leave it with its run."""
    result["protocol"] |= {"content_hash": content_hash, "seed": seed, "version": __version__, "commit": machine.commit()}
    if run is not None:
        try:
            run.append("evaluations.jsonl", result)
        except StorageError as error:
            result["notes"] = [*result.get("notes", []), f"Not kept with the run: {error}"]
    return result


def _refuse(settings: Mapping[str, Any]) -> None:
    """Settings that sequences do not have."""
    given = [name for name, value in settings.items() if value is not None]
    if given:
        raise UsageError(f"Sequences are scored without {' and '.join(given)}: that is of images. Leave it out.")


def is_run(target: object) -> bool:
    """Whether a target of ``evaluate`` is a run folder."""
    return not callable(target) and (Path(str(target)) / "run.json").exists()


def _of_run(ask: Asking, against: str | None, resolution: int | None, checkpoint: str, back: bool) -> Found:
    """The samples that a run draws, or its translations; a conditional one is asked for classes in the proportions of its real data."""
    from saddlepoint.evaluation.samples import draw_samples
    from saddlepoint.evaluation.sets import Classes, of_game
    from saddlepoint.evaluation.walks import walk_of

    if resolution is not None:
        raise UsageError("A run's samples have a size of their own. Leave --resolution out, or evaluate a folder of its samples.")
    game, run = load(str(ask.target), checkpoint=checkpoint)
    game.to(ask.device)
    source, spec = run.about["source"], run.about["data"]
    if against is None and source["name"] is None:
        raise DataError(f"The data of {run.folder} did not come with it: the run was imported. Name data with --against.")
    root = ask.root or (Path(source["root"]) if source["root"] is not None and against is None else None)
    if isinstance(game, Translates) and not isinstance(game, Samples):
        data = open_data(against or source["name"], resolution=resolution_of(spec["shape"]), root=root)
        return of_translator(ask, game, run, data, back=back)
    if back:
        raise UsageError(f"Only a run that translates goes back; {ask.target} does not. Leave --back out.")
    shape = tuple(draw_samples(as_sampler(game), 1, seed=ask.seed).shape[1:])
    real = _open_real(against or source["name"], spec["kind"], shape, root)
    asked, names = getattr(game, "num_classes", None), tuple(spec.get("class_names", ()))
    classes = Classes(_counts(real, names, asked), names) if isinstance(asked, int) else None
    fake = of_game(as_sampler(game), ask.num, name=str(ask.target), seed=ask.seed, classes=classes, truncation=ask.truncation, shape=shape)
    about = {
        "run": str(run.folder),
        "recipe": run.about["recipe"],
        "round": game.clock.round,
        "images_seen": game.clock.images_seen,
        "ema": hasattr(game, "generator_ema"),
        "sample_seed": ask.seed,
    }
    stamp = {
        "ema": about["ema"],
        "truncation": "none" if ask.truncation is None else ask.truncation,
        "samples_hash": fake.content_hash,
        "classes": None if classes is None else "in the proportions of the real data",
    }
    return Found(fake=fake, real=real, about=about, stamp=stamp, run=run, game=game, walk=walk_of(game))


def _counts(real: Dataset, names: tuple[str, ...], num_classes: int) -> tuple[int, ...]:
    """How many records the real data have of each of the run's classes; all alike where the data name none of them."""
    found = [0] * num_classes
    if "label" in real.spec.fields and hasattr(real, "column"):
        theirs = real.spec.class_names
        for label, count in enumerate(torch.bincount(real.column("label")).tolist()):
            own = names.index(theirs[label]) if label < len(theirs) and theirs[label] in names else label if not theirs else None
            if own is not None and own < num_classes:
                found[own] = count
    return tuple(found) if any(found) else (1,) * num_classes


def _of_samples(ask: Asking, against: str | None, resolution: int | None) -> Found:
    """The samples of a function, a folder, an array or a data set."""
    from saddlepoint.evaluation.sets import of_data, of_function

    target, num = ask.target, ask.num
    if against is None:
        raise UsageError(f"{target} is not a run folder, so say what to compare it with: --against DATA.")
    if ask.truncation is not None:
        raise UsageError(f"Truncation is of a run's latents; {target} is not a run folder. Leave it out.")
    name, stamp = getattr(target, "__name__", type(target).__name__) if callable(target) else str(target), {"ema": None, "truncation": None}
    if callable(target):
        fake = of_function(target, num, name=name, seed=ask.seed)
    else:
        given = open_data(name, resolution=resolution, root=ask.root)
        count = ask.wanted or min(num, len(given))
        if len(given) < count:
            raise UsageError(f"{name} holds {len(given)} samples; {count} were asked for. Use --num {len(given)} or fewer.")
        rng = torch.Generator().manual_seed(derive_seed("generated", ask.seed))  # files are in order, so the first ones would be of one class
        fake = of_data(given, torch.randperm(len(given), generator=rng)[:count].sort().values)
    real = _open_real(against, fake.kind, fake.shape, ask.root, resolution)
    return Found(fake=fake, real=real, about={"samples": name}, stamp=stamp)


def _open_real(name: str, kind: str, shape: Sequence[int], root: Path | None, resolution: Resolution | None = None) -> Dataset:
    points = kind == "points" or holds_points(name)
    return open_data(name, resolution=None if points else resolution or resolution_of(shape), root=root)


def _quick_score(fake: SampleSet, real: Dataset, num: int | None, seed: int) -> dict[str, Any]:
    """The score that training makes too."""
    from saddlepoint.evaluation.quick import NEIGHBOURS, NUM_REAL, QuickScorer

    count, num_real = num or fake.num, NUM_REAL
    if count * len(real) // (count + NUM_REAL) <= NEIGHBOURS < min(count, len(real) - count):  # few of few: not divided in proportion
        num_real = len(real) - count
    scorer = QuickScorer(real, num_real=num_real, num_fake=count, seed=seed)
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

    paths = [Path(target) for target in targets]
    last = {path: rounds[-1][0] for path in paths if (rounds := list_checkpoints(path / "checkpoints"))}
    return beside(paths, out=None if out is None else Path(out), last=last)
