"""What a rater sees next and what becomes of an answer: the door between the page and the study, without any web in it.

A view is plain JSON. It never says which arm a picture is of, nor the right answer of a question that is still open.
"""

from __future__ import annotations

import base64
import functools
import math
import re
import threading
from typing import Any

from saddlepoint.errors import UsageError
from saddlepoint.human.answers import Answer, AnswerStore, now
from saddlepoint.human.staircase import next_exposure
from saddlepoint.human.study import MASK_MS, Study
from saddlepoint.human.trials import Trial, choices, make_trials, num_shown

CODE = re.compile(r"[A-Za-z0-9_-]{1,64}")
MAX_MS = 3_600_000.0  # longer times are cut off here


class Session:
    """One study being answered by any number of raters at once."""

    def __init__(self, study: Study, store: AnswerStore) -> None:
        self.study, self.store = study, store
        self._trials = functools.lru_cache(maxsize=256)(lambda rater: make_trials(study, rater))
        self._lock = threading.Lock()

    def view(self, rater: str) -> dict[str, Any]:
        """What a rater sees: the consent, the next question, or the thanks.

        Args:
            rater: code of 1 to 64 letters, digits, "-" and "_".
        Returns:
            "state" ("consent", "question" or "done"), and with a question "trial" (its number), "of", "role", "question", "prompt", "choices",
            "layout", "images" (data URIs), "masks", "mask_ms", "exposure_ms" (None: until the answer), "check" (what an attention check asks for).
        """
        _check_code(rater)
        if self.store.has_consented(rater):
            return self._next(rater, self.store.answers(rater))
        return self._about(rater) | {"state": "consent", "consent": self.study.settings.consent, "practice": self.study.settings.practice}

    def consent(self, rater: str) -> dict[str, Any]:
        """The rater agrees; returns the first view."""
        _check_code(rater)
        self.store.consent(rater)
        return self.view(rater)

    def answer(self, rater: str, trial: int, choice: str, *, response_ms: float | None = None, shown_ms: float | None = None) -> dict[str, Any]:
        """Store an answer and return the next view, with "feedback" where the study gives any.

        An answer to a question that has one changes nothing; so a page may send it again when it does not know whether it arrived.

        Args:
            rater: code.
            trial: number of the question.
            choice: one of its choices.
            response_ms: from the first sight to the answer.
            shown_ms: how long the pictures were seen, where that was limited.
        Raises:
            UsageError: for a question that is not the rater's next, or a choice it does not have.
        """
        _check_code(rater)
        with self._lock:
            trials, given = self._trials(rater), self.store.answers(rater)
            if not self.store.has_consented(rater) or not isinstance(trial, int) or not 0 <= trial <= min(len(given), len(trials) - 1):
                raise UsageError(f"Question {trial} is not the next of rater {rater}, which is {len(given)}. Load the page again.")
            question = trials[trial]
            if choice not in choices(self.study):
                raise UsageError(f"{choice!r} is no answer to this question; answers: {', '.join(choices(self.study))}.")
            if trial == len(given):
                row = self._row(rater, question, choice, self._exposure(question, given), response_ms, shown_ms)
                given = [*given, row] if self.store.add(row) else self.store.answers(rater)
        return self._next(rater, given) | self._feedback(question, choice)

    def _about(self, rater: str) -> dict[str, Any]:
        return {"title": self.study.settings.title, "layout": self.study.settings.layout, "of": len(self._trials(rater))}

    def _next(self, rater: str, given: list[Answer]) -> dict[str, Any]:
        """The view of a rater who has given these answers."""
        settings, trials, about = self.study.settings, self._trials(rater), self._about(rater)
        if len(given) == len(trials):
            return about | {"state": "done"}
        trial = trials[len(given)]
        exposure = self._exposure(trial, given)
        return about | {
            "state": "question",
            "trial": trial.index,
            "role": trial.role,
            "question": settings.question,
            "prompt": settings.prompts[trial.item] if settings.prompts and trial.item is not None else None,
            "choices": choices(self.study) if settings.layout != "order" else [],
            "num_shown": num_shown(self.study),
            "images": [self._picture(f"images/{name}") for name in trial.images],
            "masks": [self._picture(f"masks/{name}") for name in self.study.masks] if exposure is not None else [],
            "mask_ms": MASK_MS,
            "exposure_ms": exposure,
            "check": trial.answer if trial.role == "attention" else None,
        }

    def _row(self, rater: str, question: Trial, choice: str, exposure: int | None, response_ms: float | None, shown_ms: float | None) -> Answer:
        return Answer(
            rater=rater,
            trial=question.index,
            role=question.role,
            block=question.block,
            arms=",".join(str(arm) for arm in question.arms),
            images=",".join(question.images),
            choice=choice,
            correct=None if question.answer is None else int(choice == question.answer),
            exposure_ms=exposure,
            shown_ms=_milliseconds(shown_ms),
            response_ms=_milliseconds(response_ms),
            answered_at=now(),
        )

    def _exposure(self, trial: Trial, given: list[Answer]) -> int | None:
        """How long the pictures of a question are shown; attention checks have no limit, practice of a staircase its start."""
        if trial.role == "attention":
            return None
        if not self.study.settings.staircase:
            return self.study.settings.display_ms
        before = [row for row in given if row.role == "main" and row.block == trial.block and trial.role == "main"]
        return next_exposure([bool(row.correct) for row in before])

    def _feedback(self, question: Trial, choice: str) -> dict[str, Any]:
        settings = self.study.settings
        told = question.role == "practice" or (settings.feedback and question.role == "main")
        if settings.kind != "real-or-fake" or not told:
            return {}
        return {"feedback": {"right": choice == question.answer, "answer": question.answer}}

    @functools.lru_cache(maxsize=512)  # noqa: B019  (a session lives as long as its server)
    def _picture(self, name: str) -> str:
        return "data:image/png;base64," + base64.b64encode((self.study.folder / name).read_bytes()).decode()


def _check_code(rater: str) -> None:
    if not isinstance(rater, str) or not CODE.fullmatch(rater):
        raise UsageError("A rater's code has 1 to 64 letters, digits, hyphens or underscores. Open the page without a code to get one.")


def _milliseconds(value: float | None) -> float | None:
    """A time from a browser: anything that is no number from 0 to an hour is not believed."""
    if not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        return None
    return min(float(value), MAX_MS)
