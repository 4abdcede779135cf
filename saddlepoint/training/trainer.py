"""The trainer: takes turns, and knows no game by name.

For each turn: freeze the others, take the batch (split into micro-batches where asked), autocast, loss, backward, synchronise, clip, step, constrain,
average. Devices, precision and process groups are Lightning Fabric's.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from saddlepoint.data.records import Batch, Dataset
from saddlepoint.draws import Draws, derive_seed, use
from saddlepoint.errors import CheckpointError, NotFiniteError, UsageError
from saddlepoint.games.game import Game, Loss, Turn
from saddlepoint.games.player import Player, move
from saddlepoint.training.batches import Feed, LazyBatch
from saddlepoint.training.checkpoint import Checkpoint, optimizer_tensors, restore_game, restore_optimizers
from saddlepoint.training.sparse import mean_of_rows


@dataclass(frozen=True, kw_only=True)
class TrainerConfig:
    """How a game is trained, whatever the game.

    Attributes:
        seed: of everything random.
        batch: records in the whole batch of all processes.
        micro_batches: pieces that each process cuts its batch into; the gradient is that of the whole batch.
        horizon: rounds that schedules are stretched over.
        augmentations: of the data, see :mod:`saddlepoint.data.augmenting`.
    """

    seed: int = 0
    batch: int = 64
    micro_batches: int = 1
    horizon: int = 1
    augmentations: tuple[str, ...] = ()


def _seed_default(seed: int) -> None:
    """Seed the generators that layers of other libraries draw from; torch.manual_seed does it too, at half a millisecond a turn."""
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.manual_seed(seed)


class Trainer:
    """Plays rounds of a game on data.

    Args:
        game: built on the CPU; moved to Fabric's device here.
        data: real records.
        config: see :class:`TrainerConfig`.
        fabric: launched; None means one process on the CPU.
        record: called with (round, values) after each turn; the first round is 1.
    """

    def __init__(
        self,
        game: Game,
        data: Dataset,
        config: TrainerConfig,
        fabric: Fabric | None = None,
        record: Callable[[int, dict[str, Tensor]], None] | None = None,
    ) -> None:
        self.fabric = fabric or Fabric(accelerator="cpu", devices=1)
        self.config, self.record = config, record or (lambda round, values: None)
        pieces = self.fabric.world_size * config.micro_batches
        for batch in (config.batch, *(phase.batch or config.batch for phase in game.phases)):
            if batch % pieces:
                raise UsageError(
                    f"A batch of {batch} cannot be cut into {self.fabric.world_size} process(es) x {config.micro_batches} micro-batch(es): "
                    f"choose a multiple of {pieces}."
                )
        self.dtype = next((p.dtype for p in game.parameters() if p.is_floating_point()), torch.float32)
        self.game = self._place(game)
        self.feed = Feed(
            data,
            seed=config.seed,
            batch=config.batch,
            rank=self.fabric.global_rank,
            processes=self.fabric.world_size,
            device=self.fabric.device,
            dtype=self.dtype,
            augmentations=config.augmentations,
        )
        for player in game.players.values():
            player.torch_optimizer = player.optimizer.build(player.parameters())
        self.has_batch_statistics = any(isinstance(m, nn.modules.batchnorm._BatchNorm) or getattr(m, "tracks_batch", False) for m in game.modules())
        game.clock.batch, game.clock.horizon = config.batch, config.horizon
        game.draws = Draws(device=self.fabric.device, dtype=self.dtype)
        game.requires_grad_(False)
        game.train()

    def _place(self, game: Game) -> Game:
        game.to(self.fabric.device)
        for module in game.modules():  # channels_last wins wherever convolutions do the work, see docs/performance.md
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                module.to(memory_format=torch.channels_last)
        return game

    def play_round(self) -> None:
        """One round: every turn that ``play()`` yields, then the clock moves on."""
        clock, game = self.game.clock, self.game
        game.round_key = (self.config.seed, clock.round)
        self._enter_phase()
        game.begin_round()
        batch: LazyBatch | None = None
        for index, turn in enumerate(game.play()):
            if batch is None or turn.batch == "new":
                batch = self.feed.next()
            self.take(turn, index, batch)
            clock.images_seen = self.feed.position
        game.kept.clear()
        if self.has_batch_statistics and self.fabric.world_size > 1:
            self._average_buffers()
        clock.round += 1

    def _enter_phase(self) -> None:
        """Batch of the phase that the clock is in; in its first round, new optimisers for the players that begin afresh."""
        place, game = self.game.place, self.game
        if place is None:
            return
        game.clock.batch = place.phase.batch or self.config.batch
        self.feed.resize(game.clock.batch)
        if game.clock.round == place.start > 0:
            for name in place.phase.fresh:
                player = game.players[name]
                player.torch_optimizer = player.optimizer.build(player.parameters())

    def take(self, turn: Turn, index: int, batch: Batch) -> None:
        """One move of one player."""
        player = self.game.players[turn.player]
        optimizer = player.torch_optimizer
        assert optimizer is not None
        if player.before_move:
            player.before_move()
        self.game.before_turn(turn)
        if player.schedule:
            move(optimizer, player.schedule(self.game.clock))
        optimizer.zero_grad(set_to_none=True)
        with self._only(player):
            values = self._gradients(turn, index, batch)
        values = self._synchronise(player, values)
        if player.clip_norm is not None:
            nn.utils.clip_grad_norm_(player.parameters(), player.clip_norm)
        optimizer.step()
        if player.after_move:
            player.after_move()
        self.game.update_averages(turn)
        values |= self.game.after_turn(turn, values)
        self.record(self.game.clock.round + 1, values)

    @contextlib.contextmanager
    def _only(self, player: Player) -> Iterator[None]:
        player.require_grad(True)
        try:
            yield
        finally:
            player.require_grad(False)

    def _gradients(self, turn: Turn, index: int, batch: Batch) -> dict[str, Tensor]:
        """Accumulate the mean gradient over the micro-batches; returns the mean of the logged values."""
        k, rank, size = self.config.micro_batches, self.fabric.global_rank, len(batch) // self.config.micro_batches
        sums: dict[str, Tensor] = {}
        for m in range(k):
            key = (*self.game.round_key, "turn", index)
            _seed_default(derive_seed(*key, rank, m))
            pieces = self.fabric.world_size * k
            self.game.draws = Draws.seeded(*key, device=self.fabric.device, dtype=self.dtype, piece=rank * k + m, pieces=pieces)
            with use(self.game.draws), self.fabric.autocast():
                loss = turn(batch.rows(m * size, (m + 1) * size) if k > 1 else batch)
            self.fabric.backward(loss.total() / k if k > 1 else loss.total())
            for name, value in loss.values(turn.player).items():
                sums[name] = sums[name] + value / k if name in sums else value / k if k > 1 else value
        return sums

    def _synchronise(self, player: Player, values: dict[str, Tensor]) -> dict[str, Tensor]:
        """Average gradients and logged values over the processes, in one transfer."""
        if self.fabric.world_size == 1:
            return values
        for p in player.parameters():
            if p.grad is not None and p.grad.is_sparse:
                p.grad = mean_of_rows(self.fabric, p.grad)
        gradients = [p.grad for p in player.parameters() if p.grad is not None and not p.grad.is_sparse]
        flat = torch.cat([g.reshape(-1) for g in gradients] + [torch.stack(list(values.values())).to(self.dtype)])
        flat = self.fabric.all_reduce(flat, reduce_op="mean")  # type: ignore[assignment]
        parts = torch.split(flat, [g.numel() for g in gradients] + [len(values)])
        for gradient, part in zip(gradients, parts, strict=False):
            gradient.copy_(part.view_as(gradient))
        return dict(zip(values, parts[-1].unbind(), strict=True))

    def _average_buffers(self) -> None:
        """Running batch statistics become the mean over the processes, so that every process and every checkpoint holds the same."""
        buffers = [b for b in self.game.buffers() if b.is_floating_point()]
        flat = self.fabric.all_reduce(torch.cat([b.reshape(-1) for b in buffers]), reduce_op="mean")
        for buffer, part in zip(buffers, flat.split([b.numel() for b in buffers]), strict=True):  # type: ignore[union-attr]
            buffer.copy_(part.view_as(buffer))

    def check_weights(self, last_good: str) -> None:
        """Raise NotFiniteError naming the first player and parameter whose weights are not finite, or else the average or running mean."""
        named: dict[str, Tensor] = {}
        for player in self.game.players.values():
            named |= {f"{player.name}'s weight {name}": value for name, value in player.named_parameters().items()}
        seen = {id(value) for value in named.values()}
        state: list[tuple[str, Tensor]] = [*self.game.named_parameters(), *self.game.named_buffers()]
        named |= {f"game's state {name}": value for name, value in state if value.is_floating_point() and id(value) not in seen}
        for name, size in zip(named, _largest([*named.values()]), strict=True):
            if not math.isfinite(size):
                what = f"Round {self.game.clock.round}: the {name} is not finite."
                raise NotFiniteError(f"{what} Training stopped; nothing broken was saved. {last_good}")

    def checkpoint(self, state: dict[str, Any]) -> Checkpoint:
        """Everything that :meth:`restore` needs, with what the caller adds to its JSON state."""
        tensors, numbers = optimizer_tensors(self.game)
        clock = {"round": self.game.clock.round, "images_seen": self.game.clock.images_seen}
        return Checkpoint(self.game.state_dict(), tensors, state | clock | {"optimizer_numbers": numbers})

    def restore(self, checkpoint: Checkpoint, path: Path) -> None:
        """Go on from where a checkpoint was made, as if there had been no break.

        Args:
            checkpoint: of :meth:`checkpoint`.
            path: where it lies, for error lines.
        Raises:
            CheckpointError: for one of another architecture or another version.
        """
        restore_game(self.game, checkpoint.game, path)
        state, clock = checkpoint.state, self.game.clock
        try:
            restore_optimizers(self.game, checkpoint.optimizers, state["optimizer_numbers"])
            clock.round, clock.images_seen, self.feed.position = state["round"], state["images_seen"], state["images_seen"]
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"{path / 'state.json'} does not fit this version of saddlepoint: {error!r}.") from None

    def gradient_of(self, turn: Turn, index: int = 0) -> Mapping[str, Tensor]:
        """The whole batch's gradient of one turn without a move, by parameter name: for tests and tools."""
        player = self.game.players[turn.player]
        self.game.round_key = (self.config.seed, self.game.clock.round)
        assert player.torch_optimizer is not None
        player.torch_optimizer.zero_grad(set_to_none=True)
        with self._only(player):
            values = self._gradients(turn, index, self.feed.next())
        self._synchronise(player, values)
        return {name: p.grad.detach().to_dense().clone() for name, p in player.named_parameters().items() if p.grad is not None}

    def close(self) -> None:
        """Stop the background reader."""
        self.feed.close()


def _largest(tensors: list[Tensor]) -> list[float]:
    """Largest absolute value of each tensor, NaN where there is one, in one transfer."""
    filled = [tensor.detach() for tensor in tensors if tensor.numel()]
    if not filled:
        return [0.0] * len(tensors)
    sizes = iter(torch.stack([size.double() for size in torch._foreach_norm(filled, math.inf)]).tolist())
    return [next(sizes) if tensor.numel() else 0.0 for tensor in tensors]


__all__ = ["Loss", "Trainer", "TrainerConfig"]
