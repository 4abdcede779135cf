"""A trained run in use: its game loaded, samples, the page, where it stands."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from saddlepoint.config import from_json
from saddlepoint.data.images import Resolution
from saddlepoint.data.records import Dataset
from saddlepoint.data.sources import open_data
from saddlepoint.draws import derive_seed
from saddlepoint.errors import DataError, UsageError
from saddlepoint.games.game import Game, Samples
from saddlepoint.games.sequences import Writes
from saddlepoint.training.checkpoint import restore_game
from saddlepoint.training.run import Run
from saddlepoint.training.storage import make_folder, write_bytes
from saddlepoint.verbs import classes
from saddlepoint.verbs.choosing import untold
from saddlepoint.weights.absent import AbsentData, BlankData
from saddlepoint.zoo.catalogue import find_recipe

log = logging.getLogger("saddlepoint")
NEIGHBOURS_SHOWN = 24  # samples in a report beside their nearest real images


def load_game(run: Run) -> tuple[Game, Dataset]:
    """Build the game of a run, as it was before round one, and open its data; an imported run has a description of its data alone.

    Raises:
        DataError: if the data is no longer what the run was trained on.
    """
    about, entry = run.about, find_recipe(run.about["recipe"])
    source = about["source"]
    config = from_json(type(entry.preset("paper")), about["config"])
    if source["name"] is None:  # imported
        absent = AbsentData.described(about["data"])
        return entry.game(config, BlankData(absent.spec)), absent
    dataset = _reopen(source, config.resolution)
    found, trained = dataset.spec.content_hash, about["data"]["content_hash"]
    if found != trained:
        name = source["name"]
        raise DataError(f"{name} is no longer the data of this run: its content hash is {found}, it was {trained}. Restore it, or start a new run.")
    torch.manual_seed(derive_seed(about["seed"], "initialisation"))
    prepared = entry.prepare(config, dataset) if entry.prepare else dataset
    return entry.game(config, prepared), prepared


def _reopen(source: Mapping[str, Any], resolution: Resolution | None) -> Dataset:
    """The data of a run again; where a relative path leads nowhere, that it was given from another folder is said."""
    name = source["name"]
    try:
        return open_data(name, resolution=resolution, root=None if source["root"] is None else Path(source["root"]))
    except (DataError, UsageError) as gone:
        plain = str(gone).startswith(("No data is named", "There is no folder or file"))
        if not plain or Path(name.rpartition(":")[2] if ":" in name else name).expanduser().is_absolute():
            raise
        raise DataError(f"There is no {name} in {Path.cwd()}. The run names its data as from the folder that it was begun in: go there.") from gone


def load(run: str | Path, *, checkpoint: str = "last") -> tuple[Game, Run]:
    """The trained game of a run, on the CPU, in the state of a checkpoint; where its data are gone or changed, their description stands for them."""
    opened = Run.open(Path(run))
    saved, path = opened.load(checkpoint)
    game = _restorable(opened)
    if opened.about["precision"] == "64-true":
        game.double()
    restore_game(game, saved.game, path)
    game.clock.round, game.clock.images_seen = saved.state["round"], saved.state["images_seen"]
    return game.eval(), opened


def _restorable(run: Run) -> Game:
    """The game of a run, whose state a checkpoint is about to give back: nothing of the data is needed but what they are.

    Raises:
        DataError: if the data are gone or changed, and this game cannot be built without them.
    """
    try:
        with untold():
            return load_game(run)[0]
    except (DataError, UsageError) as gone:
        entry, spec = find_recipe(run.about["recipe"]), AbsentData.described(run.about["data"]).spec
        try:
            game = entry.game(from_json(type(entry.preset("paper")), run.about["config"]), BlankData(spec))
        except Exception:  # whatever a recipe asks of data that are not there
            raise gone from None
        log.warning(f"{spec.name}, the data of {run.folder}, are gone or have changed; what was learnt is used without them.")
        return game


def sample(
    run: str | Path,
    *,
    num: int = 64,
    out: str | Path | None = None,
    seed: int = 0,
    checkpoint: str = "last",
    label: int | str | None = None,
    truncation: float | None = None,
    caption: str | Sequence[str] = (),
    floats: bool = False,
) -> Tensor:
    """Draw samples from a run; sample i depends on (seed, i) alone, not on how many are drawn.

    Args:
        run: the run folder.
        num: how many.
        out: where to write them: .png (one grid), .npy, .npz, or a folder of PNG files; .gif writes a walk of ``num`` samples through the latents;
            None writes nothing. Volumes: .png (shaded pictures), .npy, .npz, .obj, .stl, .ply, .glb (all in one), or a folder of .obj files.
            Sequences: .txt (a line each), .npy, .npz; of letters .fasta; of music .abc, .mid and .musicxml.
        seed: of the latents.
        checkpoint: "last", "best" or a round.
        label: class of all samples, by name or number, for conditional recipes; "each": ``num`` samples of every class, class after class, written as
            a row a class (.png), a folder a class, or with ``labels`` (.npz); None draws classes too.
        truncation: psi of a generator with styles, otherwise the largest size of the latents' numbers; smaller is less variety; None: all of it.
        caption: what all samples are to show, for recipes that are told captions; two captions: the way from one to the other, with one z in ``num``
            steps.
        floats: images as the generator makes them, float32 in [-1, 1], for data of more than 8 bits; None or an array takes them.
    Returns:
        Images uint8 [num, c, h, w] (float32 where asked), points float32 [num, d], volumes float32 [num, 1, s, s, s], or tokens int64 [num, t].
    """
    from saddlepoint.evaluation.movie import movie_of
    from saddlepoint.evaluation.samples import draw_samples, of_each_class, write_samples
    from saddlepoint.report.sequences import write_sequences
    from saddlepoint.report.volumes import write_volumes

    if num < 1:
        raise UsageError(f"At least 1 sample is needed; num is {num}.")
    if floats and (caption or (out is not None and Path(out).suffix not in (".npy", ".npz"))):
        raise UsageError(f"Floats are drawn without a caption, into a .npy or .npz file; {out} is to be written. Choose another --out.")
    if out is not None:
        make_folder(Path(out).parent if Path(out).suffix else Path(out))
    game, opened = load(run, checkpoint=checkpoint)
    each = classes.told(game, opened) if label == classes.EACH else None
    number = None if label is None or each else classes.number_of(game, opened, label)
    if each and out is not None and (Path(out).suffix == ".gif" or opened.about["data"]["kind"] != "image"):
        raise UsageError(f"Samples of each class are images, in a .png, .npy or .npz file or a folder; {out} came. Choose another --out.")
    told = _told(game, opened, caption) if caption else None
    if told is not None and len(told) == 2:
        samples = _between(game, told, num, seed)
    else:
        labels = of_each_class(each, num) if each else None if told is None else lambda start, stop: told.expand(stop - start, -1)
        count = num * (each or 1)
        samples = draw_samples(as_sampler(game), count, seed=seed, label=number, labels=labels, truncation=truncation, floats=floats)
    if out is not None and Path(out).suffix == ".gif":
        content = movie_of(game, walkers=num, seed=seed, label=number, truncation=truncation)
        write_bytes(Path(out), content)
    elif out is not None and isinstance(game, Writes) and Path(out).suffix not in (".npy", ".npz"):
        write_sequences(game.lines(samples), game.vocabulary, opened.about["data"]["name"], Path(out))
    elif out is not None and opened.about["data"]["kind"] == "volume":
        write_volumes(samples, Path(out))
    elif out is not None:
        if samples.ndim == 4 and samples.shape[1] not in (1, 3) and Path(out).suffix not in (".npy", ".npz"):
            log.warning(f"A picture shows the first of the {samples.shape[1]} channels; a .npy file holds all.")
        classes.write_each(samples, each, opened, Path(out)) if each else write_samples(samples, Path(out))
    return samples


def _told(game: Game, opened: Run, caption: str | Sequence[str]) -> Tensor:
    """One caption or two as the run's own encoder has them."""
    from saddlepoint.data.captions import encoder_of
    from saddlepoint.games.captions import CaptionGame

    sentences = [caption] if isinstance(caption, str) else list(caption)
    if not isinstance(game, CaptionGame):
        raise UsageError(f"{opened.about['recipe']} is told no captions. Leave the caption out, or train gan-cls or stackgan on captions:DATA.")
    if len(sentences) not in (1, 2) or not all(sentence.strip() for sentence in sentences):
        raise UsageError(f"One caption, or two for the way between them, with words in them; came {sentences}.")
    first = next(game.parameters())
    return encoder_of(opened.about["source"]["name"]).embed(sentences).to(first)


def _between(game: Game, ends: Tensor, num: int, seed: int) -> Tensor:
    from saddlepoint.draws import Draws
    from saddlepoint.games.captions import CaptionGame

    assert isinstance(game, CaptionGame)
    x = game.between(ends, num, Draws.seeded(seed, "between", device=ends.device, dtype=ends.dtype))
    return (x.float().clamp(-1, 1) * 127.5 + 127.5).round().to(torch.uint8).cpu()


def as_sampler(game: Game) -> Samples:
    """The game as something that draws samples.

    Raises:
        UsageError: if it cannot.
    """
    if not isinstance(game, Samples):
        raise UsageError(f"{type(game).__name__} cannot draw samples from nothing. `saddlepoint info RUN` says what it can do.")
    return game


def report(run: str | Path) -> Path:
    """Write the run's report.html, one file that opens in any browser, and return its path.

    The nearest real images are searched for where the run's data is still at hand; without it that section says so.
    """
    from saddlepoint.evaluation.memorisation import write_nearest
    from saddlepoint.evaluation.samples import draw_samples
    from saddlepoint.report.html import write_report

    opened = Run.open(Path(run))
    if opened.checkpoints() and opened.about["data"]["kind"] == "image":
        with contextlib.suppress(DataError):
            game, data = load_game(opened)
            if isinstance(game, Samples):
                saved, path = opened.load()
                restore_game(game, saved.game, path)
                write_nearest(opened.folder, draw_samples(game, NEIGHBOURS_SHOWN, seed=opened.about["seed"]), data)
    return write_report(opened.folder)


def info(run: str | Path) -> dict[str, Any]:
    """What a run is and where it stands: its description, checkpoints, last losses and scores."""
    from saddlepoint.training.storage import read_lines

    opened = Run.open(Path(run))
    log, scores = read_lines(opened.folder / "log.jsonl"), read_lines(opened.folder / "scores.jsonl")
    return {
        **opened.about,
        "checkpoints": [round for round, _ in opened.checkpoints()],
        "best": opened.best_round(),
        "last_log": log[-1] if log else None,
        "last_score": scores[-1] if scores else None,
        "health": read_lines(opened.folder / "health.jsonl"),
    }
