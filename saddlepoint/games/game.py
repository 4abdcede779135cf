"""The game: players take turns, and each minimises its own loss.

A subclass says who plays (:meth:`Game.add_player`), in which order (:meth:`Game.play`) and what each minimises (methods marked
:func:`turn`). Networks are submodules and all other state is buffers, so ``state_dict()`` is the whole truth.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from saddlepoint.data.records import Batch
from saddlepoint.draws import Draws
from saddlepoint.games.player import Clock, Optimizer, Player


class Loss:
    """What a player minimises in one turn: scalar terms, summed; and values only watched.

    >>> loss = Loss(adversarial=torch.tensor(1.0), r1=torch.tensor(0.5)).watch(real=torch.tensor(2.0))
    >>> loss.total().item(), sorted(loss.values("discriminator"))
    (1.5, ['discriminator/adversarial', 'discriminator/r1', 'discriminator/real'])
    """

    def __init__(self, **terms: Tensor) -> None:
        self.terms = terms
        self.watched: dict[str, Tensor] = {}

    def add(self, name: str, term: Tensor) -> None:
        """Add a scalar term."""
        self.terms[name] = term

    def watch(self, **values: Tensor) -> Loss:
        """Log scalars that are not minimised."""
        self.watched.update(values)
        return self

    def total(self) -> Tensor:
        """Return the sum of the terms, a scalar."""
        return functools.reduce(torch.add, self.terms.values())

    def values(self, player: str) -> dict[str, Tensor]:
        """Terms and watched values under "player/name", detached."""
        return {f"{player}/{name}": value.detach() for name, value in (self.terms | self.watched).items()}


@dataclass(frozen=True)
class Turn:
    """One move to be made: who moves, on which batch, the method that gives the loss, and that method's name."""

    player: str
    batch: Literal["new", "same"]
    loss: Callable[[Batch], Loss]
    name: str = ""

    def __call__(self, batch: Batch) -> Loss:
        """Return the loss of this turn on a batch."""
        return self.loss(batch)


class _TurnMethod:
    """Descriptor: ``game.some_turn`` is a :class:`Turn`; calling it on a batch gives the loss."""

    def __init__(self, method: Callable[[Any, Batch], Loss], player: str, batch: Literal["new", "same"]) -> None:
        functools.update_wrapper(self, method)  # type: ignore[arg-type]
        self.method, self.player, self.batch = method, player, batch

    def __get__(self, game: Any, owner: type) -> Any:
        return self if game is None else Turn(self.player, self.batch, functools.partial(self.method, game), self.method.__name__)


def turn(player: str, *, batch: Literal["new", "same"] = "new") -> Callable[[Callable[[Any, Batch], Loss]], _TurnMethod]:
    """Mark a method as a turn of ``player``.

    Args:
        player: who moves; only its parameters require gradients inside.
        batch: "new" real records, or the "same" as the turn before in this round. Records are read only if the turn looks at them.
    """
    return lambda method: _TurnMethod(method, player, batch)


@dataclass(frozen=True)
class Phase:
    """A stretch of rounds with its own play, resolution or batch: growing, pre-training, Stage I and II.

    Attributes:
        name: as the log and the game call it.
        rounds: published length; a run of another length stretches all phases alike, and the last one goes on to the end.
        batch: records in the whole batch of a turn; None: the run's.
        fresh: players whose optimiser forgets what it gathered when the phase begins.
    """

    name: str
    rounds: int
    batch: int | None = None
    fresh: tuple[str, ...] = ()


@dataclass(frozen=True)
class Place:
    """Where a round lies among the phases: the phase, its index, and its first round and the first round after it."""

    phase: Phase
    index: int
    start: int
    stop: int

    def progress(self, round: int) -> float:
        """Share of the phase that is done before ``round``, in [0, 1]."""
        return min((round - self.start) / max(self.stop - self.start, 1), 1.0)


@dataclass
class Average:
    """An exponential average of a network, made after each move of its player.

    Attributes:
        player: after whose moves it is made.
        source: name of the submodule that is averaged.
        target: name of the submodule that holds the average.
        decay: clock -> share of the old value that is kept.
    """

    player: str
    source: str
    target: str
    decay: Callable[[Clock], float]


def halflife_decay(halflife_kimg: float, rampup: float | None = None) -> Callable[[Clock], float]:
    """Decay whose weights halve every ``halflife_kimg`` thousand images; ``rampup`` bounds the half-life by that share of the images seen.

    >>> round(halflife_decay(10.0)(Clock(batch=32)), 6)
    0.997784
    """

    def decay(clock: Clock) -> float:
        images = halflife_kimg * 1000
        if rampup is not None:
            images = min(images, rampup * clock.images_seen)
        return float(0.5 ** (clock.batch / max(images, 1e-8)))

    return decay


class Game(nn.Module):
    """Base of all games. Call ``super().__init__()``, build the networks, then :meth:`add_player`.

    Attributes:
        players: by name, in the order they were added.
        clock: where training is.
        draws: the random numbers of the turn under way.
        round_key: seed parts of the round under way, for draws that several turns share.
        kept: what one turn leaves for a later one of the same round, by (name, piece); emptied by the trainer after each round.
        phases: stretches of rounds, in order; empty where training is one stretch.
        notes: what was settled for the user by a rule, in plain words.
        class_counts: records of each class in the data; empty where they are not known.
    """

    def __init__(self) -> None:
        super().__init__()
        self.players: dict[str, Player] = {}
        self.averages: list[Average] = []
        self.clock = Clock()
        self.draws = Draws()
        self.round_key: tuple[int | str, ...] = ("round",)
        self.kept: dict[tuple[str, int], Any] = {}
        self.phases: tuple[Phase, ...] = ()
        self.notes: tuple[str, ...] = ()
        self.class_counts: tuple[int, ...] = ()

    def add_player(self, name: str, modules: list[nn.Module], optimizer: Optimizer, **settings: Any) -> Player:
        """Enter a player; ``settings`` are the other fields of :class:`Player`."""
        self.players[name] = Player(name, modules, optimizer, **settings)
        return self.players[name]

    def add_average(self, player: str, source: str, decay: Callable[[Clock], float]) -> None:
        """Keep an exponential average of the submodule ``source`` under the name ``source_ema``."""
        average = copy.deepcopy(self.get_submodule(source)).requires_grad_(False)
        self.add_module(f"{source}_ema", average)
        self.averages.append(Average(player, source, f"{source}_ema", decay))

    @property
    def saturates(self) -> bool:
        """Whether a discriminator that tells real from fake perfectly leaves the generator nothing to learn from."""
        return False

    @property
    def place(self) -> Place | None:
        """The phase that the clock is in; None where there are no phases."""
        total = sum(phase.rounds for phase in self.phases)
        done, start = 0, 0
        for index, phase in enumerate(self.phases):
            done += phase.rounds
            stop = round(done * self.clock.horizon / total)
            if self.clock.round < stop or index == len(self.phases) - 1:
                return Place(phase, index, start, stop)
            start = stop
        return None

    def begin_round(self) -> None:
        """Called before the turns of each round, when the clock is set: a growing game sets the level of its networks here."""

    def play(self) -> Iterator[Turn]:
        """Yield the turns of one round, in the paper's order."""
        raise NotImplementedError(f"{type(self).__name__} must say in play() who moves in which order.")

    def before_turn(self, turn: Turn) -> None:
        """Called once before each turn, whatever the number of micro-batches."""

    def after_turn(self, turn: Turn, values: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Called once after each move with the logged values, averaged over micro-batches and processes; returns more values to log."""
        return {}

    @torch.no_grad()
    def update_averages(self, turn: Turn) -> None:
        """Move the averages that follow the player of ``turn``; integer buffers are copied, running statistics too."""
        for average in self.averages:
            if average.player != turn.player:
                continue
            source, target = self.get_submodule(average.source), self.get_submodule(average.target)
            theirs: list[Tensor] = [*source.parameters()]
            ours: list[Tensor] = [*target.parameters()]
            torch._foreach_lerp_(ours, theirs, 1.0 - average.decay(self.clock))
            for own, new in zip(target.buffers(), source.buffers(), strict=True):
                own.copy_(new)

    def draw_classes(self, n: int, count: int, draws: Draws) -> Tensor:
        """n of ``count`` classes, int64 [n], each as often as the data have it; evenly where that is not known."""
        counts = self.class_counts
        if len(counts) != count or min(counts) == max(counts):
            return draws.integers(n, high=count)
        edges = torch.tensor(counts, dtype=torch.float64).cumsum(0)
        return torch.searchsorted((edges[:-1] / edges[-1]).to(draws.device), draws.uniform(n).double(), right=True)

    def shared_draws(self, tag: str) -> Draws:
        """Draws that are the same in every turn of this round that asks for the same tag."""
        d = self.draws
        return Draws.seeded(*self.round_key, tag, device=d.device, dtype=d.dtype, piece=d.piece, pieces=d.pieces)


@runtime_checkable
class Samples(Protocol):
    """A game that can draw samples from nothing but chance (and labels)."""

    def sample(self, n: int, draws: Draws, labels: Tensor | None = None, truncation: float | None = None) -> Tensor:
        """Draw n samples: images float [n, c, h, w] in [-1, 1] or points [n, d]; ``truncation`` trades their variety for quality."""
        ...


def classes_told(game: Game) -> int | None:
    """How many classes the game is told, so that samples of one can be asked for; None where it is told none."""
    count = getattr(game, "num_classes", None)
    return count if isinstance(count, int) and count > 1 else None


@runtime_checkable
class Shows(Protocol):
    """A game that can show what it does with real records: input, output and target side by side, a reconstruction under its original."""

    def show(self, batch: Batch, draws: Draws) -> Tensor | list[str]:
        """Pictures, float [n, m, c, h, w] in [-1, 1]: m that belong together for each of the n records; or n lines of text."""
        ...


@runtime_checkable
class Measures(Protocol):
    """A game that measures itself on real records: a likelihood, a reconstruction error, the distance of a translation from its target.

    Attributes:
        metric: name of the measure that the best checkpoint is chosen by; lower is better.
    """

    metric: str

    def measure(self, batch: Batch, draws: Draws) -> dict[str, Tensor]:
        """Scalars by name, means over the records of the batch."""
        ...


@runtime_checkable
class Classifies(Protocol):
    """A game that has learnt to name the class of a sample."""

    def classify(self, x: Tensor) -> Tensor:
        """Class probabilities [n, k] of samples as in a batch: images float [n, c, h, w] in [-1, 1] or points [n, d]."""
        ...
