"""The translations of a run as samples to be scored, against the images it should make."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.records import to_device
from saddlepoint.draws import derive_seed
from saddlepoint.errors import UsageError
from saddlepoint.games.game import Game
from saddlepoint.training.run import Run
from saddlepoint.verbs.gathering import Asking, Found
from saddlepoint.verbs.translating import translated

if TYPE_CHECKING:
    from saddlepoint.evaluation.sets import SampleSet, Translation

BATCH = 16  # images translated at a time


def of_translator(ask: Asking, game: Game, run: Run, data: ArrayDataset, *, back: bool) -> Found:
    """Translations of the records of ``data``, and the images of the other side as real data.

    Args:
        ask: of how many, and the seed of the choice and of the noise.
        game: one that translates.
        run: its run.
        data: with "partner" or "other" images.
        back: from the second side to the first.
    Raises:
        UsageError: for data of one side, or truncation.
    """
    second = next((name for name in ("partner", "other") if name in data.spec.fields), None)
    if second is None:
        raise UsageError(f"A translation is scored against the other side of its data; {data.spec.name} has one side. Name pairs: or domains:.")
    if ask.truncation is not None:
        raise UsageError(f"Truncation is of latents; {ask.target} translates images. Leave it out.")
    here, there = (second, "image") if back else ("image", second)
    count = ask.wanted or min(ask.num, len(data))
    if len(data) < count:
        raise UsageError(f"{data.spec.name} holds {len(data)} records; {count} were asked for. Use --num {len(data)} or fewer.")
    rng = torch.Generator().manual_seed(derive_seed("generated", ask.seed))
    rows = torch.randperm(len(data), generator=rng)[:count].sort().values
    fake = _translations(ask, game, data.part(rows, "translated"), here, back=back)
    about = {
        "run": str(run.folder),
        "recipe": run.about["recipe"],
        "round": game.clock.round,
        "images_seen": game.clock.images_seen,
        "translates": f"{data.spec.name}: {here} to {there}",
        "noise_seed": ask.seed,
    }
    fake = dataclasses.replace(fake, translation=_known(ask, game, data, rows, fake, here, there, back=back))
    return Found(fake=fake, real=_side(data, there, here), about=about, stamp={"ema": None, "samples_hash": fake.content_hash}, run=run, game=game)


def _side(data: ArrayDataset, there: str, here: str) -> ArrayDataset:
    """The images of one side as data of their own; those of a pair know what they belong to."""
    fields = {"image": data.column(there)} | ({"given": data.column(here)} if "partner" in (there, here) else {})
    shape = data.spec.shape if there == "image" else tuple(data.spec.shapes[there])
    spec = dataclasses.replace(
        data.spec,
        shape=shape,
        num_classes=None,
        class_names=(),
        content_hash=f"{data.spec.content_hash}:{there}",
        fields=tuple(fields),
        shapes={name: tuple(values.shape[1:]) for name, values in fields.items() if name != "image"},
    )
    return ArrayDataset(fields, spec, names=data.names)


def _known(ask: Asking, game: Any, data: ArrayDataset, rows: Tensor, fake: SampleSet, here: str, there: str, *, back: bool) -> Translation:
    """Targets of pairs; of domains the way back, and names or classes that both sides have."""
    from saddlepoint.evaluation.sets import Translation, as_samples, of_data

    paired = "partner" in (here, there)

    def both(name: str) -> tuple[Tensor, Tensor] | None:
        sides = {"image": name, "other": f"other_{name}"}
        if paired or not {*sides.values()} <= {*data.spec.fields}:
            return None
        return data.column(sides[here])[rows], data.column(sides[there])

    def wanted(start: int, stop: int) -> Tensor:
        return data.records(rows[start:stop])[there]

    def returned(start: int, stop: int) -> Tensor:
        parts = []
        for begin in range(start, stop, BATCH):
            x = to_device({there: fake.read(begin, min(begin + BATCH, stop))}, ask.device)[there]
            parts.append(as_samples(translated(game, x, {} if back else {"back": True}, seed=derive_seed(ask.seed, "return", begin))))
        return torch.cat(parts)

    return Translation(
        wanted=wanted if paired else None,
        returned=None if paired else returned,
        domain=of_data(_side(data, there, here), torch.arange(len(data))),
        meanings=both("meaning") or both("label"),
        classes=both("label"),
        num_classes=data.spec.num_classes or 0,
    )


def _translations(ask: Asking, game: Any, data: ArrayDataset, here: str, *, back: bool) -> SampleSet:
    from saddlepoint.evaluation.extractors import hash_weights
    from saddlepoint.evaluation.sets import SampleSet, as_samples

    targets = {"back": True} if back else {}

    def given(start: int, stop: int) -> Tensor:
        return data.records(torch.arange(start, stop))[here]

    def read(start: int, stop: int) -> Tensor:
        parts = []
        for begin in range(start, stop, BATCH):
            x = to_device({here: given(begin, min(begin + BATCH, stop))}, ask.device)[here]
            parts.append(as_samples(translated(game, x, targets, seed=derive_seed(ask.seed, "translation", begin))))
        return torch.cat(parts)

    told = f"{hash_weights(game.state_dict())} {data.spec.content_hash} {here} {ask.seed} {ask.device}"
    return SampleSet(
        name=str(ask.target),
        kind="image",
        shape=tuple(read(0, 1).shape[1:]),
        num=len(data),
        content_hash=hashlib.sha256(told.encode()).hexdigest(),
        read=read,
        name_of=(lambda index: data.names[index]) if data.names else None,
        given=given,
    )
