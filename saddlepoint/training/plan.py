"""How long to train, and how often to log, draw, score and save."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Length and intervals of a training.

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

    def done(self, *, round: int, images_seen: int, elapsed_sec: float) -> float:
        """Share of the plan that is done, by whichever limit is nearest; at least 1 where training ends, 0 without a limit.

        >>> Plan(steps=200).done(round=50, images_seen=3200, elapsed_sec=9.0)
        0.25
        """
        shares = [0.0]
        if self.steps is not None:
            shares.append(round / self.steps)
        if self.kimg is not None:
            shares.append(images_seen / (1000 * self.kimg))
        if self.minutes is not None:
            shares.append(elapsed_sec / (60 * self.minutes))
        return max(shares)

    def draws_at(self, round: int) -> bool:
        """Whether a preview falls on this round: 1, 2, 5, 10, 20, 50, ... below ``preview_every``, then its multiples.

        >>> [r for r in range(1, 120) if Plan(preview_every=50).draws_at(r)]
        [1, 2, 5, 10, 20, 50, 100]
        """
        if not self.preview_every:
            return False
        if round >= self.preview_every:
            return round % self.preview_every == 0
        return str(round).rstrip("0") in ("1", "2", "5")

    def scores_at(self, round: int) -> bool:
        """Whether a score falls on this round."""
        return bool(self.score_every) and round % self.score_every == 0

    def saves_at(self, round: int) -> bool:
        """Whether a checkpoint falls on this round, whatever the clock says."""
        return bool(self.checkpoint_every) and round % self.checkpoint_every == 0
