"""How much memory a turn needs, measured on two samples before the first round, so that a batch that cannot fit is refused in one line."""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psutil
import torch
from torch import Tensor

from saddlepoint.data.records import Dataset, to_device
from saddlepoint.draws import Draws, use
from saddlepoint.errors import MemoryLimitError, SaddlepointError
from saddlepoint.games.game import Game

PROBE = 2  # samples; batch statistics need more than one
MOST_PIECES = 64  # micro-batches that are chosen without being asked for
SHARE = {"cpu": 0.5}  # of the free memory that the counted tensors may fill: a process grows by more than them, see docs/commands.md


@dataclass(frozen=True)
class Need:
    """Memory that the turns of a game need.

    Attributes:
        fixed: bytes, whatever the batch.
        phases: for each phase the batch of a turn, and the bytes of a record of the piece that is computed.
        whole: bytes of every record of the batch, however it is cut: the records themselves, and the largest draw, which is made for all of them.
    """

    fixed: int
    phases: tuple[tuple[int, int], ...]
    whole: int = 0

    def bytes(self, pieces: int) -> int:
        """Of the largest turn, where each batch is computed in ``pieces``."""
        return self.fixed + max(-(-batch // pieces) * each + batch * self.whole for batch, each in self.phases)


@dataclass
class CountedDraws(Draws):
    """Draws that remember how many bytes the largest of them took."""

    largest: int = 0

    def _own(self, whole: Tensor) -> Tensor:
        self.largest = max(self.largest, whole.numel() * whole.element_size())
        return super()._own(whole)


def measure_need(game: Game, data: Dataset, batch: int) -> Need:
    """Weights, gradients, optimiser state, averages, and what backward keeps of each sample.

    Measured by running every kind of turn of every phase once on a copy of the game with two samples, counting the tensors that autograd saves.

    Args:
        game: as built.
        data: real records.
        batch: the whole batch of a turn, where a phase has none of its own.
    """
    twin = copy.deepcopy(game)
    rows = torch.arange(PROBE) % len(data)
    records = to_device({**data.records(rows), "index": rows}, "cpu")
    overhead = sum(tensor.numel() * tensor.element_size() for tensor in records.values()) // PROBE
    twin.draws = draws = CountedDraws.seeded("memory")
    twin.requires_grad_(False).train()
    twin.clock.horizon = max(sum(phase.rounds for phase in twin.phases), 1)
    phases, done = [], 0
    for phase in twin.phases or (None,):
        done += phase.rounds if phase else 0
        twin.clock.round = max(done - 1, 0)  # growing networks are at their largest when a phase ends
        phases.append(((phase and phase.batch) or batch, _largest_turn(twin, records) // PROBE + 2 * overhead))
    fixed = 4 * sum(p.numel() * p.element_size() for p in twin.parameters())
    return Need(fixed, tuple(phases), whole=2 * overhead + draws.largest // PROBE)  # a batch in use, bytes of it and of the next, a draw


def _largest_turn(game: Game, records: Any) -> int:
    """Bytes that backward keeps in the largest turn of the round that the clock is at; a lazy turn is looked at in round 0."""
    largest, seen = 0, set()
    game.begin_round()
    for turn in game.play():
        if turn.name in seen:
            continue
        seen.add(turn.name)
        player = game.players[turn.player]
        player.require_grad(True)
        largest = max(largest, _saved_bytes(game, turn, records))
        player.require_grad(False)
    return largest


def _saved_bytes(game: Game, turn: Any, records: Any) -> int:
    """Bytes autograd keeps for the backward pass of one turn, each storage once, weights aside."""
    weights = {p.untyped_storage().data_ptr() for p in game.parameters()}
    saved: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    with use(game.draws), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = turn(records)
    total = sum(saved.values())
    del loss
    return total


def free_bytes(device: torch.device) -> int:
    """Memory that is free on the device now."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


@contextlib.contextmanager
def overflows(batch: int, micro_batches: int) -> Iterator[None]:
    """While inside, an allocation that fails is answered in one line; what was saved before is intact.

    Raises:
        MemoryLimitError: in its place.
    """
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError, RuntimeError) as error:
        full = not isinstance(error, RuntimeError) or isinstance(error, torch.OutOfMemoryError) or "allocate memory" in str(error)
        if not full or isinstance(error, SaddlepointError):
            raise
        pieces = _pieces(batch, micro_batches + 1)
        advice = f"Train anew with --micro-batches {pieces}: the same result in less memory" if pieces else "Choose a smaller network or resolution"
        raise MemoryLimitError(f"The memory is full: a batch of {batch} in {micro_batches} piece(s) did not fit. {advice}.") from error


def _pieces(batch: int, least: int) -> int | None:
    """The smallest number of equal pieces, at least ``least``, that a batch can be cut into."""
    return next((k for k in range(least, batch + 1) if batch % k == 0), None)


def check_memory(need: Need, *, pieces: int, device: torch.device) -> int:
    """Refuse a batch that does not fit; returns the bytes that it needs.

    Args:
        need: as measured.
        pieces: processes times micro-batches; a piece is what is in memory at once.
        device: where it will be.
    Raises:
        MemoryLimitError: naming what is needed, what is free, and the number of micro-batches that fits.
    """
    needed, free = need.bytes(pieces), free_bytes(device)
    if needed > free:
        batch, each = max(need.phases, key=lambda phase: phase[0] * (phase[1] + need.whole))
        fits = max(int((0.8 * free - need.fixed) // (each + need.whole)), 0)
        room = 0.8 * free - need.fixed - batch * need.whole  # for the pieces, where the batch itself fits
        cut = _pieces(batch, max(pieces + 1, math.ceil(batch * each / room))) if room > 0 else None
        advice = f"Use --batch {fits}" if fits else "Choose a smaller network or resolution"
        advice += f", or --micro-batches {cut} for the same result" if cut else ""
        raise MemoryLimitError(f"A batch of {batch} needs about {needed / 2**30:.1f} GiB; {free / 2**30:.1f} GiB are free on {device}. {advice}.")
    return needed


def choose_pieces(need: Need, *, processes: int, device: torch.device) -> int:
    """The smallest number of micro-batches, at most 64, whose pieces fit into the share of the free memory that is safe; 1 where none does.

    That is half of it on a processor, where a process grew by .8 to 2.3 times what was counted in seven small games (the allocator leaves gaps, and
    convolutions take workspace), and four fifths on an accelerator.
    """
    free = SHARE.get(device.type, 0.8) * free_bytes(device)
    for pieces in range(1, MOST_PIECES + 1):
        whole = all(batch % (pieces * processes) == 0 for batch, _ in need.phases)
        if whole and need.bytes(pieces * processes) <= free:
            return pieces
    return 1
