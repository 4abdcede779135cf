"""``saddlepoint bench RECIPE``: how fast whole rounds of a recipe are here, what they compute, and how near that is to what this machine can do.

A round is every turn that the game plays: drawing latents, forward passes, penalties, backward passes, optimiser steps, averages. It is timed as
training plays it, with its data read from memory and its losses logged every twenty rounds; then again without the one, and without the other.
"""

from __future__ import annotations

import math
import os
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from saddlepoint.config import to_json
from saddlepoint.data.records import Batch
from saddlepoint.errors import UsageError
from saddlepoint.games.game import Game
from saddlepoint.studies.case import CHANNELS, Case, open_case, start
from saddlepoint.studies.ceiling import machine_ceiling, synchronise
from saddlepoint.studies.flops import FlopCounter
from saddlepoint.studies.footprint import measure as measure_memory
from saddlepoint.training import machine
from saddlepoint.training.batches import Feed, LazyBatch
from saddlepoint.training.logbook import Logbook
from saddlepoint.training.storage import append_line
from saddlepoint.training.trainer import Trainer

LOG_EVERY = 20  # rounds in a log record, as when training
REPEAT_SECONDS = 1.0
ACCELERATOR_SCALE = 16
DTYPES = {"32-true": torch.float32, "bf16-mixed": torch.bfloat16, "64-true": torch.float64}


def bench(
    recipe: str,
    *,
    preset: str | None = None,
    resolution: int | None = None,
    batch: int | None = None,
    channels: int = CHANNELS,
    data: str | None = None,
    rounds: int | None = None,
    repeats: int = 5,
    device: str = "auto",
    precision: machine.Precision = "32-true",
) -> dict[str, Any]:
    """Time whole rounds of a recipe.

    Args:
        recipe: name in the catalogue.
        preset: its settings; None: "small", or "toy" for a recipe that plays on points only.
        resolution: of square images; None keeps the preset's.
        batch: real records in a batch; None keeps the preset's.
        channels: of the random images.
        data: a data set by name or path, read into memory; None times on random images (or points) with labels.
        rounds: in a timed repeat; None: as many as take about a second, and whole periods of the lazy terms.
        repeats: timed repeats; median, least and most are given.
        device: "auto", "cpu", "cuda" or "mps".
        precision: of the computation; the machine's ceiling is measured in the same.
    Returns:
        Plain JSON values: seconds_a_round, images_per_second (real images), flop_a_round, flop_per_second, ceiling, fraction, memory,
        data_share, logging_share, and what was timed on what.
    """
    given = {"preset": preset, "resolution": resolution, "batch": batch, "channels": channels, "data": data}
    if repeats < 1 or (rounds is not None and rounds < 1):
        raise UsageError(f"At least one repeat of one round is timed; came {repeats} repeats of {rounds} rounds.")
    where = {"device": device, "precision": precision}
    case = open_case(recipe, **given, **where)  # type: ignore[arg-type]
    trainer = start(case)
    try:
        flop, by_operation = count_flop(trainer)
        images = trainer.game.clock.images_seen / trainer.game.clock.round
        times = time_rounds(trainer, rounds, repeats)
        memory = _memory(trainer, recipe, given | where)
    finally:
        trainer.close()
    on_accelerator = trainer.fabric.device.type != "cpu"
    ceiling = machine_ceiling(trainer.fabric.device, DTYPES[precision], scale=ACCELERATOR_SCALE if on_accelerator else 1)
    seconds = times.seconds["whole"]
    return {
        **_about(case, trainer),
        "rounds_timed": times.rounds,
        "repeats": repeats,
        "images_a_round": images,
        "seconds_a_round": spread(seconds),
        "images_per_second": spread([images / s for s in seconds]),
        "flop_a_round": flop,
        "flop_by_operation": by_operation,
        "flop_per_second": spread([flop / s for s in seconds]),
        "ceiling": ceiling,
        "fraction": flop / statistics.median(seconds) / ceiling["convolution"],
        "memory": memory,
        "data_share": times.share("data"),
        "logging_share": times.share("logging"),
    }


def _about(case: Case, trainer: Trainer) -> dict[str, Any]:
    spec = case.data.spec
    return {
        "recipe": case.recipe,
        "preset": case.preset,
        "config": to_json(case.config),
        "data": {"name": spec.name, "kind": spec.kind, "shape": list(spec.shape)},
        "batch": case.config.batch,
        "parameters": {name: sum(p.numel() for p in player.parameters()) for name, player in trainer.game.players.items()},
        "device": str(trainer.fabric.device),
        "precision": case.precision,
        "threads": torch.get_num_threads(),
        "hardware": machine.hardware(),
        "load_average": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "versions": machine.versions(),
        "commit": machine.commit(),
    }


def spread(values: list[float]) -> dict[str, float]:
    """Median, least and most.

    >>> spread([3.0, 1.0, 2.0])
    {'median': 2.0, 'min': 1.0, 'max': 3.0}
    """
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def period(game: Game) -> int:
    """Rounds after which the lazy terms repeat."""
    return math.lcm(*(int(getattr(module, "every", 1)) for module in game.modules()))


def count_flop(trainer: Trainer) -> tuple[float, dict[str, float]]:
    """Floating-point operations a round, over one period of the lazy terms: their sum, and by operation; see :class:`FlopCounter`."""
    rounds = period(trainer.game)
    with FlopCounter() as counter:
        for _ in range(rounds):
            trainer.play_round()
    return counter.total / rounds, {name: count / rounds for name, count in counter.by_operation.items()}


@dataclass(frozen=True)
class Times:
    """Seconds a round, one entry a repeat.

    Attributes:
        rounds: in a repeat.
        seconds: by arm: "whole", "data" (the batch is on the device already), "logging" (nothing is logged).
        waits: of the whole arm, what its own thread spends on "data" and on "logging".
    """

    rounds: int
    seconds: dict[str, list[float]]
    waits: dict[str, list[float]]

    def share(self, part: str) -> dict[str, float]:
        """Share of a round: as timed where it happens (median, least, most), and by leaving it out (fastest repeats of either arm compared).

        The second also knows of a reader in the background that takes time from the others; noise can make it negative.
        """
        timed = [wait / whole for wait, whole in zip(self.waits[part], self.seconds["whole"], strict=True)]
        return spread(timed) | {"by_leaving_out": 1 - min(self.seconds[part]) / min(self.seconds["whole"])}


class _Timed(Feed):
    """A feed that adds up the seconds that its batches take to get."""

    def __init__(self, feed: Feed) -> None:
        self.__dict__.update(feed.__dict__)
        self.seconds = 0.0

    def _take(self) -> Batch:
        began = time.perf_counter()
        batch = super()._take()
        self.seconds += time.perf_counter() - began
        return batch


class _Held(Feed):
    """A feed that has its one batch on the device already."""

    def __init__(self, feed: Feed) -> None:
        self.__dict__.update(feed.__dict__)
        self.held = feed.next().fields

    def next(self) -> LazyBatch:
        return LazyBatch(self.own, lambda: self.held)


class _Log:
    """The log of a run and the seconds it takes; without a folder nothing is logged."""

    def __init__(self, folder: Path | None) -> None:
        self.folder, self.book, self.seconds = folder, Logbook(LOG_EVERY), 0.0

    def add(self, round: int, values: dict[str, Tensor]) -> None:
        if self.folder:
            began = time.perf_counter()
            self.book.add(round, values)
            self.seconds += time.perf_counter() - began

    def write(self, device: torch.device) -> None:
        if self.folder:
            synchronise(device)  # or the work under way is taken for logging
            began = time.perf_counter()
            self.book.drain("")
            append_line(self.folder / "log.jsonl", self.book.record())
            self.seconds += time.perf_counter() - began


def time_rounds(trainer: Trainer, rounds: int | None, repeats: int) -> Times:
    """Time the three arms in turn, each repeat beginning with another, after rounds that are not timed."""
    step = period(trainer.game)
    names = ("whole", "data", "logging")
    seconds: dict[str, list[float]] = {name: [] for name in names}
    waits: dict[str, list[float]] = {"data": [], "logging": []}
    feed = trainer.feed
    with tempfile.TemporaryDirectory(prefix="saddlepoint-bench-") as folder:
        arms = {"whole": (_Timed(feed), Path(folder)), "data": (_Held(feed), Path(folder)), "logging": (_Timed(feed), None)}
        warm = [_play(trainer, step, *arms[name])[0] for name in names]
        rounds = rounds or step * max(1, round(REPEAT_SECONDS / min(warm)))
        for repeat in range(repeats):
            for shift in range(len(names)):
                name = names[(repeat + shift) % len(names)]
                whole, data, logging = _play(trainer, rounds, *arms[name])
                seconds[name].append(whole / rounds)
                if name == "whole":
                    waits["data"].append(data / rounds)
                    waits["logging"].append(logging / rounds)
    trainer.feed = feed
    return Times(rounds, seconds, waits)


def _play(trainer: Trainer, rounds: int, feed: Feed, folder: Path | None) -> tuple[float, float, float]:
    """Seconds of some rounds: all of it, and what went into data and into logging."""
    device, log = trainer.fabric.device, _Log(folder)
    trainer.feed, trainer.record = feed, log.add
    before = getattr(feed, "seconds", 0.0)
    synchronise(device)
    began = time.perf_counter()
    for number in range(1, rounds + 1):
        trainer.play_round()
        if number % LOG_EVERY == 0 or number == rounds:
            log.write(device)
    synchronise(device)
    return time.perf_counter() - began, getattr(feed, "seconds", 0.0) - before, log.seconds


def _memory(trainer: Trainer, recipe: str, case: dict[str, Any]) -> dict[str, int]:
    """Peak bytes: of the accelerator's allocator here, or of a process of its own."""
    device = trainer.fabric.device
    if device.type != "cuda":
        return measure_memory({"recipe": recipe} | case, torch.get_num_threads())
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    trainer.play_round()
    return {"peak": torch.cuda.max_memory_allocated(device), "before": before}
