"""How much memory a turn needs, measured on two samples before the first round, so that a batch that cannot fit is refused in one line."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from typing import Any

import psutil
import torch
from torch import Tensor

from saddlepoint.data.records import Dataset, to_device
from saddlepoint.draws import Draws, use
from saddlepoint.errors import MemoryLimitError, SaddlepointError
from saddlepoint.games.game import Game

PROBE = 2  # samples; batch statistics need more than one


def estimate_bytes(game: Game, data: Dataset, batch: int, *, device: torch.device) -> int:
    """Bytes that the largest turn of a round needs: weights, gradients, optimiser state, averages, and what backward keeps of each sample.

    Measured by running every kind of turn once on a copy of the game with two samples, counting the tensors that autograd saves.
    """
    twin = copy.deepcopy(game)
    weights = sum(p.numel() * p.element_size() for p in twin.parameters())
    records = to_device(data.records(torch.arange(PROBE) % len(data)), "cpu")
    largest, seen = 0, set()
    twin.draws = Draws.seeded("memory")
    twin.requires_grad_(False).train()
    for turn in twin.play():
        if (turn.player, turn.batch) in seen:
            continue
        seen.add((turn.player, turn.batch))
        player = twin.players[turn.player]
        player.require_grad(True)
        largest = max(largest, _saved_bytes(twin, turn, records))
        player.require_grad(False)
    overhead = sum(tensor.numel() * tensor.element_size() for tensor in records.values()) // PROBE
    return 4 * weights + (largest // PROBE + 4 * overhead) * batch


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


def check_memory(game: Game, data: Dataset, *, batch: int, pieces: int, device: torch.device) -> int:
    """Refuse a batch that does not fit; returns the estimate in bytes.

    Args:
        game: as built.
        data: real records.
        batch: the whole batch.
        pieces: processes times micro-batches; a piece is what is in memory at once.
        device: where it will be.
    Raises:
        MemoryLimitError: naming what is needed, what is free, and the number of micro-batches that fits.
    """
    needed, free = estimate_bytes(game, data, max(batch // pieces, 1), device=device), free_bytes(device)
    if needed > free:
        fixed = estimate_bytes(game, data, 0, device=device)
        per_sample = max((needed - fixed) // max(batch // pieces, 1), 1)
        fits = max(int((0.8 * free - fixed) // per_sample), 0)
        advice = (
            f"Use --batch {fits}, or --micro-batches {_pieces(batch, -(-batch // fits))} for the same result"
            if fits
            else "Choose a smaller network or resolution"
        )
        raise MemoryLimitError(f"A batch of {batch} needs about {needed / 2**30:.1f} GiB; {free / 2**30:.1f} GiB are free on {device}. {advice}.")
    return needed
