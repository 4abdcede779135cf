"""A run before its first round: recipe, data, networks, length, memory and starting weights, settled and described."""

from __future__ import annotations

import dataclasses
import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from lightning_fabric import Fabric

from saddlepoint.config import to_json
from saddlepoint.data.augmenting import check_augmentations
from saddlepoint.data.records import Dataset
from saddlepoint.data.sources import open_data
from saddlepoint.draws import derive_seed
from saddlepoint.errors import UsageError
from saddlepoint.games.game import Game
from saddlepoint.games.settings import GameConfig
from saddlepoint.training import machine
from saddlepoint.training.memory import Need, check_memory, choose_pieces, free_bytes, measure_need
from saddlepoint.training.plan import Plan
from saddlepoint.training.rehearsal import rehearse
from saddlepoint.training.trainer import TrainerConfig
from saddlepoint.verbs.choosing import Length, at_packed_size, choose_recipe, configure, default_preset, holds_points, make_plan
from saddlepoint.verbs.fitting import empty_classes_note, fitting_notes
from saddlepoint.verbs.starting import Report, start_from
from saddlepoint.zoo.catalogue import Recipe, find_recipe

Pieces = int | Literal["auto"]
OF_TENSORS = "Memory is that of a turn's tensors: on a processor the process grew by .8 to 2.3 times as much, beside what it holds at the start."
REHEARSED, MOST_SEC = 0.05, 60.0  # of the minutes asked for, and at most so many seconds, to find out how long a round takes
PLAYED = 0.9  # of the minutes; the rest is for scores, previews and checkpoints


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a user asked for; the fields are the arguments of :func:`saddlepoint.train`."""

    recipe: str | None
    data: str
    preset: str | None = None
    config: GameConfig | None = None
    length: Length = field(default_factory=Length)
    seed: int = 0
    micro_batches: Pieces = "auto"
    precision: machine.Precision = "32-true"
    data_root: str | Path | None = None
    augment_data: tuple[str, ...] = ()
    keep_every: int = 0
    init_from: str | Path | None = None
    plan: Plan | None = None
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A run ready to begin.

    Attributes:
        game: with its starting weights, on the CPU.
        data: as the recipe reads it.
        plan: how long, and how often to look.
        about: the run's description.
        need: memory of its turns.
        started: what came of the weights it starts from; None where it starts from chance.
        notes: what was settled for the user, in plain words.
    """

    game: Game
    data: Dataset
    plan: Plan
    about: dict[str, Any]
    need: Need
    started: Report | None
    notes: tuple[str, ...]


def prepare(wish: Wish, fabric: Fabric) -> Prepared:
    """Settle everything, and refuse what cannot be.

    Raises:
        SaddlepointError: one of saddlepoint.errors, for everything that a user can mend.
    """
    notes: list[str] = []
    if wish.recipe is None:
        choice = choose_recipe(wish.data, fabric.device.type, wish.settings.get("resolution"))
        as_chosen = wish.preset in (None, choice.preset)
        settings = wish.settings if wish.config or not as_chosen else {**choice.settings, **wish.settings}
        instead = f"No recipe was named: {choice.recipe} is chosen by the data, with the preset {wish.preset} as asked, in place of {choice.preset}."
        wish = dataclasses.replace(wish, recipe=choice.recipe, preset=wish.preset or choice.preset, settings=settings)
        notes += choice.reasons if as_chosen else [instead]
    entry = find_recipe(wish.recipe or "")
    if wish.keep_every < 0 or (wish.micro_batches != "auto" and wish.micro_batches < 1):
        raise UsageError(f"micro_batches must be at least 1 and keep_every at least 0; they are {wish.micro_batches} and {wish.keep_every}.")
    preset = wish.preset or default_preset(entry, wish.data)
    config = _settle(entry, preset, wish)
    root = None if wish.data_root is None else Path(wish.data_root)
    dataset = open_data(wish.data, resolution=config.resolution, root=root)
    entry.check_kind(dataset.spec)  # before the recipe prepares them
    check_augmentations(wish.augment_data, dataset.spec)
    torch.manual_seed(derive_seed(wish.seed, "initialisation"))
    prepared = entry.prepare(config, dataset) if entry.prepare else dataset
    game = entry.game(config, prepared)
    notes += [*fitting_notes(dataset.sizes, dataset.spec.shape)] if _is_plain(dataset) else []
    notes += empty_classes_note(game, dataset)
    notes += game.notes
    started = None if wish.init_from is None else start_from(game, wish.init_from)
    if started:
        notes.append(started.sentence())
    need = measure_need(game, prepared, config.batch)
    pieces = _pieces(wish, need, fabric, notes)
    length = wish.length if wish.length.limits() else Length(steps=config.rounds)
    held = None if length.minutes is None else _held(length.minutes, entry, config, prepared, wish, pieces, fabric)
    horizon = held or length.horizon(config)
    plan = wish.plan or make_plan(length, horizon, wish.keep_every)
    if held:
        plan = dataclasses.replace(plan, steps=held)
        notes.append(f"{length.minutes:g} minutes hold about {held:,} of its rounds, by a few that were played: its schedule is spread over them.")
    about = _describe(entry, preset, config, dataset, wish.seed) | {
        "source": {"name": wish.data, "resolution": config.resolution, "root": None if root is None else str(root)},
        "init_from": None if started is None else started.about(),
        "micro_batches": pieces,
        "precision": wish.precision,
        "augment_data": [*wish.augment_data],
        "horizon": horizon,
        "plan": to_json(plan),
        "budget": length.limits(),
    }
    return Prepared(game=game, data=prepared, plan=plan, about=about, need=need, started=started, notes=tuple(notes))


def estimate(prepared: Prepared, fabric: Fabric) -> dict[str, Any]:
    """What the run would need, for a look before the start.

    Returns:
        recipe, preset, data (name, records, shape), parameters by player, batch, micro_batches, processes, precision, memory_bytes, free_bytes,
        device, rounds, budget and notes.
    """
    about, players = prepared.about, prepared.game.players
    return {
        "recipe": about["recipe"],
        "preset": about["preset"],
        "data": {"name": about["data"]["name"], "records": about["data"]["num_records"], "shape": about["data"]["shape"]},
        "parameters": {name: sum(p.numel() for p in player.parameters()) for name, player in players.items()},
        "batch": about["batch"],
        "micro_batches": about["micro_batches"],
        "processes": fabric.world_size,
        "precision": about["precision"],
        "memory_bytes": prepared.need.bytes(about["micro_batches"] * fabric.world_size),
        "free_bytes": free_bytes(fabric.device),
        "device": str(fabric.device),
        "rounds": about["horizon"],
        "budget": about["budget"],
        "notes": [*([OF_TENSORS] if fabric.device.type == "cpu" else []), *prepared.notes],
    }


def _settle(entry: Recipe, preset: str, wish: Wish) -> GameConfig:
    """The whole configuration: a preset with changes, or the one given; points have no resolution."""
    config = wish.config
    if config is None:
        config = configure(entry, preset, wish.settings)
        config = config if "resolution" in wish.settings else at_packed_size(config, wish.data)
    elif wish.settings:
        raise UsageError("Give a whole config or single settings, not both.")
    return dataclasses.replace(config, resolution=None) if holds_points(wish.data) and "resolution" not in wish.settings else config


def _is_plain(dataset: Dataset) -> bool:
    """Whether records are single images."""
    return dataset.spec.kind == "image" and not {"partner", "other"} & set(dataset.spec.fields)


def _held(minutes: float, entry: Recipe, config: GameConfig, data: Dataset, wish: Wish, pieces: int, fabric: Fabric) -> int | None:
    """Rounds that fit into so many minutes, scores and previews aside; None for a game that is the same however long it is trained."""
    game = entry.game(config, data)
    if wish.precision == "64-true":
        game.double()
    horizon = Length().horizon(config)
    trained = TrainerConfig(seed=wish.seed, batch=config.batch, micro_batches=pieces, horizon=horizon, augmentations=wish.augment_data)
    seconds = rehearse(game, data, trained, fabric, most_sec=min(60 * minutes * REHEARSED, MOST_SEC))
    return None if seconds is None else max(round(60 * minutes * PLAYED / seconds), 1)


def _pieces(wish: Wish, need: Need, fabric: Fabric, notes: list[str]) -> int:
    """Micro-batches: as asked, or the fewest that fit; refuses what cannot fit."""
    processes, device = fabric.world_size, fabric.device
    pieces = choose_pieces(need, processes=processes, device=device) if wish.micro_batches == "auto" else wish.micro_batches
    check_memory(need, pieces=pieces * processes, device=device)
    if wish.micro_batches == "auto" and pieces > 1:
        whole, free = need.bytes(processes) / 2**30, free_bytes(device) / 2**30
        notes.append(
            f"A whole batch needs about {whole:.1f} GiB and {free:.1f} GiB are free: it is computed in {pieces} pieces, with the same gradient "
            "(statistics that a layer takes over a batch are those of a piece)."
        )
    return pieces


def _describe(entry: Recipe, preset: str, config: GameConfig, data: Dataset, seed: int) -> dict[str, Any]:
    """What a run's description says of the recipe, the data, the command and the machine."""
    by_command = bool(sys.argv) and Path(sys.argv[0]).name in ("saddlepoint", "__main__.py")
    return {
        "recipe": entry.name,
        "title": entry.title,
        "paper": entry.paper,
        "year": entry.year,
        "url": entry.url,
        "preset": preset,
        "config": to_json(config),
        "data": to_json(data.spec),
        "command": shlex.join(["saddlepoint", *sys.argv[1:]]) if by_command else "saddlepoint.train(...)",
        "seed": seed,
        "batch": config.batch,
        "versions": machine.versions(),
        "commit": machine.commit(),
        "hardware": machine.hardware(),
    }
