"""Simulated raters, whose truth is known: for trying a study and its analysis before anybody is asked.

They answer through the same door as the page, one stored row an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import NormalDist

import numpy as np

from saddlepoint.draws import derive_seed
from saddlepoint.human.session import Session
from saddlepoint.human.trials import GENERATED, REAL, Trial, choices, make_trials

Rule = Callable[[Trial, int | None, np.random.Generator], str]  # question, its exposure in ms, chance -> choice


def run_rater(session: Session, rater: str, rule: Rule, *, attentive: bool = True, seed: int = 0, num: int | None = None) -> int:
    """Let one rater answer by a rule, from where they stopped.

    Args:
        session: of the study.
        rater: code.
        rule: how questions are answered.
        attentive: attention checks are answered rightly; otherwise at random.
        seed: of the rater's chance, with the code and the number of the question.
        num: questions at most; None means to the end.
    Returns:
        How many were answered.
    """
    view, trials, done = session.consent(rater), make_trials(session.study, rater), 0
    while view["state"] == "question" and (num is None or done < num):
        trial = trials[view["trial"]]
        rng = np.random.default_rng(derive_seed("rater", seed, rater, trial.index))
        if trial.role == "attention":
            choice = trial.answer if attentive and trial.answer is not None else str(rng.choice(choices(session.study)))
        else:
            choice = rule(trial, view["exposure_ms"], rng)
        view = session.answer(rater, trial.index, choice, response_ms=float(rng.gamma(4.0, 250.0)), shown_ms=view["exposure_ms"])
        done += 1
    return done


def error_rule(fooled: Mapping[int, float], real_error: float) -> Rule:
    """Answers to single pictures with given chances of error.

    Args:
        fooled: chance that a picture of a generated arm (its number) is called real.
        real_error: chance that a real picture is called generated.
    """

    def rule(trial: Trial, exposure: int | None, rng: np.random.Generator) -> str:
        arm = trial.arms[0]
        wrong = rng.random() < (fooled[arm] if arm else real_error)
        return GENERATED if (arm == 0) == wrong else REAL

    return rule


def threshold_rule(threshold_ms: float, spread_ms: float = 60.0) -> Rule:
    """Answers to single pictures of a rater who is right three times in four at ``threshold_ms``, and half the time if shown for nothing.

    P(right) = 1/2 + 1/2 Phi((exposure - threshold) / spread).
    """

    def rule(trial: Trial, exposure: int | None, rng: np.random.Generator) -> str:
        seen = 1.0 if exposure is None else NormalDist().cdf((exposure - threshold_ms) / spread_ms)
        right = rng.random() < 0.5 + 0.5 * seen
        return GENERATED if (trial.arms[0] == 0) != right else REAL

    return rule


def strength_rule(theta: Sequence[float]) -> Rule:
    """The best of the pictures shown, by Bradley-Terry log-strengths and their extension to several (Luce).

    Args:
        theta: of each arm. In real-or-fake pairs, how real each arm looks.
    """
    whole = order_rule(theta)
    return lambda trial, exposure, rng: whole(trial, exposure, rng).partition(",")[0]


def order_rule(theta: Sequence[float]) -> Rule:
    """Whole orders from best to worst by Plackett-Luce log-strengths.

    Args:
        theta: of each arm.
    """

    def rule(trial: Trial, exposure: int | None, rng: np.random.Generator) -> str:
        noisy = [theta[arm] + float(rng.gumbel()) for arm in trial.arms]
        return ",".join(str(place) for place in sorted(range(len(noisy)), key=lambda place: -noisy[place]))

    return rule
