"""One sitting of training: the trainer, the run folder, and what happens between rounds.

After each round, in this order: log, preview, score, health, checkpoint. All of it but the clock time depends on the round alone, so that a run
that was killed and resumed leaves the same files as one that was not.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

from saddlepoint.errors import StoppedError
from saddlepoint.training.checkpoint import (
    Checkpoint,
    folder_name,
    optimizer_tensors,
    restore_game,
    restore_optimizers,
    save_checkpoint,
)
from saddlepoint.training.logbook import Logbook
from saddlepoint.training.run import Run
from saddlepoint.training.trainer import Trainer


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How long to train, and how often to log, draw, score and save.

    Attributes:
        steps: rounds at which training ends; None is no limit.
        minutes: of training time, over all sittings; None is no limit.
        kimg: thousands of real images at which training ends; None is no limit.
        log_every: rounds in a log record.
        preview_every: rounds between sample grids (more often at the start); 0 never.
        score_every: rounds between quick scores; 0 never.
        checkpoint_minutes: minutes between checkpoints.
        checkpoint_every: rounds between checkpoints, beside those of the clock; 0 never.
        keep_every: checkpoints at multiples of this are kept for good; 0 none.
        keep_last: newest checkpoints that are kept.
        by_clock: preview_every and score_every are set once, from the speed of the first rounds, so that the whole time holds about twenty
            previews and eight scores.
    """

    steps: int | None = None
    minutes: float | None = None
    kimg: float | None = None
    log_every: int = 20
    preview_every: int = 500
    score_every: int = 1000
    checkpoint_minutes: float = 5.0
    checkpoint_every: int = 0
    keep_every: int = 0
    keep_last: int = 2
    by_clock: bool = False


class Observer(Protocol):
    """Something that draws or scores between rounds; its state is plain JSON."""

    def state_dict(self) -> dict[str, Any]:
        """State to be saved."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        ...


class Scorer(Protocol):
    """Gives the quick score of the game as it is."""

    @property
    def metric(self) -> str:
        """Name of the score that the best checkpoint is chosen by."""
        ...

    def score(self, round: int, images_seen: int) -> dict[str, Any]:
        """Values, floor and protocol; lower ``metric`` is better."""
        ...


class Monitor(Observer, Protocol):
    """Reads log records and scores, and says what is wrong in plain words."""

    def feed(self, record: dict[str, Any]) -> list[Any]:
        """Take a record; returns findings with ``kind`` and ``message``."""
        ...


@dataclass
class Watchers:
    """What looks on while training: each may be None."""

    preview: Callable[[int], None] | None = None
    scorer: Scorer | None = None
    monitor: Monitor | None = None
    show: Callable[[dict[str, Any]], None] | None = None


class Session:
    """Train until the plan ends, a signal comes, or something breaks."""

    def __init__(self, trainer: Trainer, run: Run, plan: Plan, watchers: Watchers | None = None) -> None:
        self.trainer, self.run, self.plan = trainer, run, plan
        self.watchers = watchers or Watchers()
        self.logbook = Logbook(plan.log_every)
        trainer.record = self.logbook.add
        self.clock = trainer.game.clock
        self.leader = trainer.fabric.is_global_zero
        self.elapsed = 0.0
        self.last_saved: int | None = None
        self.best: tuple[float, int] | None = None
        self.shown: tuple[float, int] = (0.0, 0)
        self.scored: int | None = None
        self.signal: int | None = None

    # -- state ---------------------------------------------------------------------------------------------------------------------------

    def resume(self, which: str = "last") -> None:
        """Continue from a checkpoint of the run."""
        checkpoint, path = self.run.load(which)
        restore_game(self.trainer.game, checkpoint.game, path)
        state = checkpoint.state
        restore_optimizers(self.trainer.game, checkpoint.optimizers, state["optimizer_numbers"])
        self.clock.round, self.clock.images_seen, self.trainer.feed.reads = state["round"], state["images_seen"], state["reads"]
        self.logbook.load_state_dict(state["logbook"])
        self.elapsed, self.last_saved, self.scored = state["elapsed_sec"], state["round"], state["scored"]
        self.best = None if state["best"] is None else tuple(state["best"])
        if self.watchers.monitor:
            self.watchers.monitor.load_state_dict(state["monitor"])
        self.plan = replace(self.plan, **state["cadence"]) if self.plan.by_clock else self.plan
        if self.leader:
            for round, path in self.run.checkpoints():
                if round > self.clock.round:
                    _remove(path)
            self.run.rewind(self.clock.round)
        self.trainer.fabric.barrier()

    def save(self) -> None:
        """Write a checkpoint of the round just finished, and drop those no longer kept."""
        self.logbook.drain(self.last_good)
        self.trainer.check_weights(self.last_good)
        if self.leader:
            tensors, numbers = optimizer_tensors(self.trainer.game)
            state = {
                "round": self.clock.round,
                "images_seen": self.clock.images_seen,
                "reads": self.trainer.feed.reads,
                "elapsed_sec": self.elapsed,
                "logbook": self.logbook.state_dict(),
                "best": self.best,
                "scored": self.scored,
                "cadence": {"preview_every": self.plan.preview_every, "score_every": self.plan.score_every},
                "monitor": self.watchers.monitor.state_dict() if self.watchers.monitor else {},
                "optimizer_numbers": numbers,
            }
            self.run.sync()
            save_checkpoint(self.run.folder / "checkpoints", self.clock.round, Checkpoint(self.trainer.game.state_dict(), tensors, state))
            self.last_saved = self.clock.round
            self._prune()
        self.last_saved = self.clock.round
        self.trainer.fabric.barrier()

    def _prune(self) -> None:
        found = self.run.checkpoints()
        keep = {round for round, _ in found[-self.plan.keep_last :]}
        keep |= {self.best[1]} if self.best else set()
        keep |= {round for round, _ in found if self.plan.keep_every and round % self.plan.keep_every == 0}
        for round, path in found:
            if round not in keep:
                _remove(path)

    @property
    def last_good(self) -> str:
        """Sentence naming the last good checkpoint, for an error line."""
        if self.last_saved is None:
            return "No checkpoint was saved yet."
        return f"The last good checkpoint is {self.run.folder / 'checkpoints' / folder_name(self.last_saved)}."

    # -- the loop ------------------------------------------------------------------------------------------------------------------------

    def train(self) -> None:
        """Play rounds until the plan ends.

        Raises:
            StoppedError: after SIGINT or SIGTERM, when the round was finished and saved.
            NotFiniteError: when a loss or weight is not finite; nothing broken was saved.
            StorageError: when the disk refuses.
        """
        with _signals(self):
            if self.clock.round == 0:
                self._preview()
            saved_at = started = time.monotonic() - self.elapsed
            saved_at = time.monotonic()
            while not self._done():
                self.trainer.play_round()
                self.elapsed = time.monotonic() - started
                self._after_round()
                due = self.plan.checkpoint_every and self.clock.round % self.plan.checkpoint_every == 0
                if self._agree(time.monotonic() - saved_at > 60 * self.plan.checkpoint_minutes) or due:
                    self.save()
                    saved_at = time.monotonic()
                if self._agree(self.signal is not None):
                    break
            if self.signal is None:
                self._finish()
            if self.last_saved != self.clock.round:
                self.save()
        if self.signal is not None:
            name = signal.Signals(self.signal).name
            raise StoppedError(
                f"Stopped by {name} after round {self.clock.round}; saved. `saddlepoint resume {self.run.folder}` continues.", 128 + self.signal
            )

    def _done(self) -> bool:
        plan, clock = self.plan, self.clock
        return (
            (plan.steps is not None and clock.round >= plan.steps)
            or (plan.kimg is not None and clock.images_seen >= plan.kimg * 1000)
            or (plan.minutes is not None and self._agree(self.elapsed >= plan.minutes * 60))
        )

    def _agree(self, mine: bool) -> bool:
        """The first process's answer, so that all processes do the same."""
        return mine if self.trainer.fabric.world_size == 1 else bool(self.trainer.fabric.broadcast(mine))

    def _set_cadence(self) -> None:
        """Once two percent of the time is used, or ten rounds are played, whichever is later, guess the rounds of the whole and divide them."""
        plan, share = self.plan, self.elapsed / (60 * (self.plan.minutes or 1))
        if plan.by_clock and plan.score_every == 0 and self._agree(share >= 0.02 and self.clock.round >= 10):
            total = int(self.trainer.fabric.broadcast(self.clock.round / share))
            self.plan = replace(plan, preview_every=max(1, total // 20), score_every=max(1, total // 8))

    def _after_round(self) -> None:
        self._set_cadence()
        round, plan = self.clock.round, self.plan
        if round % plan.log_every == 0:
            self._log()
        if plan.preview_every and is_due(round, plan.preview_every):
            self._preview()
        if plan.score_every and round % plan.score_every == 0:
            self._score()

    def _finish(self) -> None:
        """Draw and score what came out, whatever the intervals, so that the last score is that of the last checkpoint."""
        round, plan = self.clock.round, self.plan
        if plan.preview_every and not is_due(round, plan.preview_every):
            self._preview()
        if plan.score_every and self.scored != round:
            self._score()

    def _log(self) -> None:
        self.logbook.drain(self.last_good)
        record = {"round": self.clock.round, "images_seen": self.clock.images_seen} | self.logbook.record()
        seconds, images = self.elapsed - self.shown[0], self.clock.images_seen - self.shown[1]
        self.shown = (self.elapsed, self.clock.images_seen)
        timing = {"round": self.clock.round, "elapsed_sec": round(self.elapsed, 3), "images_per_sec": round(images / max(seconds, 1e-9), 1)}
        if self.leader:
            self.run.append("log.jsonl", record)
            self.run.append("timing.jsonl", timing)
            self._monitor(record)
            if self.watchers.show:
                self.watchers.show(record | timing | {"left_sec": self._seconds_left()})

    def _seconds_left(self) -> float:
        """Guess from the mean speed so far."""
        plan, clock = self.plan, self.clock
        if plan.minutes is not None:
            return max(60 * plan.minutes - self.elapsed, 0.0)
        done = clock.round / plan.steps if plan.steps else clock.images_seen / (1000 * plan.kimg) if plan.kimg else 1.0
        return self.elapsed * (1 - done) / done

    def _preview(self) -> None:
        if self.leader and self.watchers.preview:
            self.watchers.preview(self.clock.round)

    def _score(self) -> None:
        if not self.watchers.scorer:
            return
        metric, self.scored = self.watchers.scorer.metric, self.clock.round
        if self.leader:
            self.trainer.check_weights(self.last_good)
            values = self.watchers.scorer.score(self.clock.round, self.clock.images_seen)
            record = {"round": self.clock.round, "images_seen": self.clock.images_seen, "metric": metric} | values
            self.run.append("scores.jsonl", record)
            self._monitor(record)
            if self.watchers.show:
                self.watchers.show(record)
            improved = self.best is None or values[metric] < self.best[0]
            self.best = (values[metric], self.clock.round) if improved else self.best
        else:
            improved = False
        if self._agree(improved):
            self.save()

    def _monitor(self, record: dict[str, Any]) -> None:
        if not self.watchers.monitor:
            return
        for finding in self.watchers.monitor.feed(record):
            entry = {"round": self.clock.round, "kind": finding.kind, "message": finding.message}
            self.run.append("health.jsonl", entry)
            if self.watchers.show:
                self.watchers.show(entry)


def is_due(round: int, every: int) -> bool:
    """Whether a preview falls on this round: 1, 2, 5, 10, 20, 50, ... below ``every``, then its multiples.

    >>> [r for r in range(1, 120) if is_due(r, 50)]
    [1, 2, 5, 10, 20, 50, 100]
    """
    if round >= every:
        return round % every == 0
    leading = round
    while leading % 10 == 0 and leading > 0:
        leading //= 10
    return leading in (1, 2, 5)


def _remove(path: Path) -> None:
    """Remove a checkpoint so that what is left is never taken for a whole one."""
    import shutil

    aside = path.with_name(path.name + ".old.tmp")
    path.rename(aside)
    shutil.rmtree(aside)


class _signals:
    """While inside, SIGINT and SIGTERM ask the session to stop after the round; a second one stops at once."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.before: dict[int, Any] = {}

    def __enter__(self) -> None:
        try:
            self.before = {number: signal.signal(number, self._ask) for number in (signal.SIGINT, signal.SIGTERM)}
        except ValueError:  # not in the main thread: the caller handles signals
            self.before = {}

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.session.signal is not None:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self.session.signal = number

    def __exit__(self, *error: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)
