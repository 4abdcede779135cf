"""One sitting of training: the trainer, the run folder, and what happens between rounds.

After each round, in this order: log, preview, score, health, checkpoint. All of it but the clock time depends on the round alone, so that a run
that was killed and resumed leaves the same files as one that was not. A round is saved at most once, after all else that belongs to it.
"""

from __future__ import annotations

import math
import signal
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from saddlepoint.errors import CheckpointError, StoppedError
from saddlepoint.training.checkpoint import folder_name, save_checkpoint
from saddlepoint.training.logbook import Logbook
from saddlepoint.training.observers import Watchers
from saddlepoint.training.plan import Plan
from saddlepoint.training.run import Run
from saddlepoint.training.signals import StopWish
from saddlepoint.training.together import Group
from saddlepoint.training.trainer import Trainer


class Session:
    """Train until the plan ends, a signal comes, or something breaks.

    Attributes:
        elapsed: seconds of training, over all sittings.
        last_saved: round of the newest checkpoint; None before the first.
        best: (score, round) of the best score so far.
    """

    def __init__(self, trainer: Trainer, run: Run, plan: Plan, watchers: Watchers | None = None) -> None:
        self.trainer, self.run, self.plan = trainer, run, plan
        self.watchers = watchers or Watchers()
        self.group = Group(trainer.fabric)
        self.logbook = Logbook(plan.log_every)
        trainer.record = self.logbook.add
        self.clock = trainer.game.clock
        self.elapsed = 0.0
        self.last_saved: int | None = None
        self.best: tuple[float, int] | None = None
        self._shown: tuple[float, int] = (0.0, 0)
        self._saved_at = time.monotonic()

    # -- state ---------------------------------------------------------------------------------------------------------------------------

    def resume(self, which: str = "last") -> None:
        """Continue from a checkpoint of the run; what came after it is dropped.

        Raises:
            CheckpointError: if there is none such, or it is damaged or of another architecture.
        """
        path = Path(self.group.lead(lambda: str(self.run.find_checkpoint(which))))
        checkpoint = self.run.load(str(int(path.name[6:])))[0]
        self.trainer.restore(checkpoint, path)
        try:
            self._restore(checkpoint.state)
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"{path / 'state.json'} does not fit this version of saddlepoint: {error!r}.") from None
        self.trainer.fabric.barrier()
        self.group.lead(self._drop_later)

    def _restore(self, state: dict[str, Any]) -> None:
        self.logbook.load_state_dict(state["logbook"])
        self.elapsed, self.last_saved = state["elapsed_sec"], state["round"]
        self._shown = (self.elapsed, self.clock.images_seen)
        self.best = None if state["best"] is None else (state["best"][0], state["best"][1])
        if self.watchers.monitor:
            self.watchers.monitor.load_state_dict(state["monitor"])
        self.plan = replace(self.plan, **state["cadence"]) if self.plan.by_clock else self.plan

    def _drop_later(self) -> None:
        self.run.drop_checkpoints(lambda round: round > self.clock.round)
        self.run.rewind(self.clock.round)
        self._prune()

    def save(self) -> None:
        """Write a checkpoint of the round just finished, and drop those no longer kept."""
        self._check()
        self.group.lead(self._write)
        self.last_saved, self._saved_at = self.clock.round, time.monotonic()

    def _check(self) -> None:
        """Make sure that nothing broken is shown or saved."""
        self.logbook.drain(self.last_good)
        self.trainer.check_weights(self.last_good)

    def _write(self) -> None:
        state = {
            "elapsed_sec": self.elapsed,
            "logbook": self.logbook.state_dict(),
            "best": self.best,
            "cadence": {"preview_every": self.plan.preview_every, "score_every": self.plan.score_every},
            "monitor": self.watchers.monitor.state_dict() if self.watchers.monitor else {},
        }
        self.run.sync()
        save_checkpoint(self.run.folder / "checkpoints", self.clock.round, self.trainer.checkpoint(state))
        self._prune()

    def _prune(self) -> None:
        newest = {round for round, _ in self.run.checkpoints()[-self.plan.keep_last :]}
        best = self.best[1] if self.best else None
        every = self.plan.keep_every
        self.run.drop_checkpoints(lambda round: round not in newest and round != best and not (every and round % every == 0))

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
        with StopWish() as wish:
            if self.clock.round == 0 and (self.plan.preview_every or self.plan.by_clock):
                self._preview()
            started, over, stop = time.monotonic() - self.elapsed, self._ask()[0], 0
            self._saved_at = time.monotonic()
            while not (over or stop):
                self.trainer.play_round()
                self.elapsed = time.monotonic() - started
                over, late = self._ask()
                self._after_round(bool(over), save=bool(late))
                stop = self.group.most(wish.number)[0]
                if stop and self.last_saved != self.clock.round:
                    self.save()
        if stop:
            name = signal.Signals(stop).name
            raise StoppedError(
                f"Stopped by {name} after round {self.clock.round}; saved. `saddlepoint resume {self.run.folder}` continues.", 128 + stop
            )

    def _ask(self) -> list[int]:
        """Whether the plan is at its end, and whether the clock asks for a checkpoint: the same on every process."""
        late = time.monotonic() - self._saved_at > 60 * self.plan.checkpoint_minutes
        return self.group.most(int(self._share_done() >= 1), int(late))

    @property
    def over(self) -> bool:
        """Whether the plan is at its end."""
        return self._share_done() >= 1

    def _share_done(self) -> float:
        return self.plan.done(round=self.clock.round, images_seen=self.clock.images_seen, elapsed_sec=self.elapsed)

    def _after_round(self, over: bool, *, save: bool) -> None:
        """What belongs to the round; at the end of the plan what came out is drawn and scored whatever the intervals."""
        round, plan = self.clock.round, self._set_cadence()
        draws, scores = plan.draws_at(round), plan.scores_at(round)
        if round % plan.log_every == 0:
            self._log()
        if draws or (over and (plan.preview_every or plan.by_clock)):
            self._preview()
        if scores or (over and (plan.score_every or plan.by_clock)):
            save |= self._score()
        if save or over or plan.saves_at(round):
            self.save()

    def _set_cadence(self) -> Plan:
        """Once two percent of the plan are done, or ten rounds are played, whichever is later, guess the rounds of the whole and divide them."""
        if self.plan.by_clock and self.plan.score_every == 0 and self.clock.round >= 10:
            share = self.group.lead(self._share_done)
            if share >= 0.02:
                total = int(self.clock.round / share)
                self.plan = replace(self.plan, preview_every=max(1, total // 20), score_every=max(1, total // 8))
        return self.plan

    def _log(self) -> None:
        self.logbook.drain(self.last_good)
        self.group.lead(partial(self._write_log, self.logbook.record()))

    def _write_log(self, means: dict[str, float]) -> None:
        record = {"round": self.clock.round, "images_seen": self.clock.images_seen} | means
        seconds, images = self.elapsed - self._shown[0], self.clock.images_seen - self._shown[1]
        self._shown = (self.elapsed, self.clock.images_seen)
        timing = {"round": self.clock.round, "elapsed_sec": round(self.elapsed, 3), "images_per_sec": round(images / max(seconds, 1e-9), 1)}
        self.run.append("log.jsonl", record)
        self.run.append("timing.jsonl", timing)
        self._monitor(record)
        done = self._share_done()
        self._show(record | timing | {"left_sec": max(self.elapsed * (1 - done) / done, 0.0) if done else None})

    def _preview(self) -> None:
        if self.watchers.preview:
            self._check()
            self.group.lead(partial(self.watchers.preview, self.clock.round))

    def _score(self) -> bool:
        """Score, and say whether it is the best so far."""
        if not self.watchers.scorer:
            return False
        self._check()
        return self.group.lead(self._write_score)

    def _write_score(self) -> bool:
        assert self.watchers.scorer is not None
        metric, values = self.watchers.scorer.metric, self.watchers.scorer.score(self.clock.round, self.clock.images_seen)
        record = {"round": self.clock.round, "images_seen": self.clock.images_seen, "metric": metric} | values
        self.run.append("scores.jsonl", record)
        self._monitor(record)
        self._show(record)
        improved = math.isfinite(values[metric]) and (self.best is None or values[metric] < self.best[0])
        self.best = (values[metric], self.clock.round) if improved else self.best
        return improved

    def _monitor(self, record: dict[str, Any]) -> None:
        for finding in self.watchers.monitor.feed(record) if self.watchers.monitor else ():
            entry = {"round": self.clock.round, "kind": finding.kind, "message": finding.message}
            self.run.append("health.jsonl", entry)
            self._show(entry)

    def _show(self, record: dict[str, Any]) -> None:
        if self.watchers.show:
            self.watchers.show(record)
