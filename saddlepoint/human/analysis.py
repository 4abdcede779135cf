"""What the answers say: plain JSON from a study and its answers, raters who failed the attention checks left out and named."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from saddlepoint import __version__
from saddlepoint.errors import UsageError
from saddlepoint.human.answers import Answer
from saddlepoint.human.ranking import Float64, average_rank, bradley_terry, first_places, pairs_of_orders, win_matrix
from saddlepoint.human.staircase import threshold
from saddlepoint.human.statistics import (
    CONFIDENCE,
    Interval,
    binomial_p,
    chi_square,
    d_prime,
    forced_choice_sensitivity,
    mean_over_raters,
    wilson_interval,
)
from saddlepoint.human.study import Study
from saddlepoint.human.trials import BLOCK, GENERATED, REAL, make_trials

ENOUGH_RATERS = 10  # for an interval of strengths over raters; with fewer, over answers


def analyse(study: Study, answers: Sequence[Answer], *, confidence: float = CONFIDENCE) -> dict[str, Any]:
    """The result of a study so far.

    Args:
        study: opened.
        answers: all of them.
        confidence: of every interval.
    Returns:
        "raters" (for each the answers, right attention checks, whether counted and why not), "results" (None while nobody counts), "protocol".
    """
    raters = rate_raters(study, answers)
    counted = {entry["rater"] for entry in raters if entry["counted"]}
    main = [row for row in answers if row.role == "main" and row.rater in counted]
    results: dict[str, Any] | None = None
    if main:
        results = {"answers": len(main), "raters": len({row.rater for row in main}), **_times(main)}
        key = (study.settings.kind, study.settings.layout)
        results |= {
            ("real-or-fake", "one"): _real_or_fake,
            ("real-or-fake", "pair"): _forced_choice,
            ("ranking", "pair"): _pairs,
            ("ranking", "best"): _best,
            ("ranking", "order"): _orders,
        }[key](study, main, confidence)
    return {"title": study.settings.title, "raters": raters, "results": results, "protocol": protocol(study, confidence)}


def rate_raters(study: Study, answers: Sequence[Answer]) -> list[dict[str, Any]]:
    """Each rater's progress, and whether their answers count: they do unless too many attention checks are wrong already.

    A rater who stopped early counts if no more checks were missed than the study allows.
    """
    settings, entries = study.settings, []
    allowed = settings.attention - settings.attention_needed
    for rater in sorted({row.rater for row in answers}):
        own = [row for row in answers if row.rater == rater]
        checks = [row for row in own if row.role == "attention"]
        right = sum(row.correct or 0 for row in checks)
        counted = len(checks) - right <= allowed
        entries.append(
            {
                "rater": rater,
                "answers": sum(row.role == "main" for row in own),
                "finished": len(own) == len(make_trials(study, rater)),
                "checks_right": right,
                "checks": len(checks),
                "counted": counted,
                "reason": None if counted else f"{len(checks) - right} of {len(checks)} attention checks wrong; {allowed} allowed",
            }
        )
    return entries


def protocol(study: Study, confidence: float) -> dict[str, Any]:
    """What a reader must know to compare two studies; plain JSON."""
    settings = dataclasses.asdict(study.settings)
    prompts = settings.pop("prompts")
    content = json.dumps([dataclasses.asdict(arm) for arm in study.arms] + [settings, list(prompts)], sort_keys=True)
    return {
        "study": hashlib.blake2b(content.encode(), digest_size=8).hexdigest(),
        "settings": settings | {"num_prompts": len(prompts)},
        "arms": [{"name": arm.name, "generated": arm.generated, "num": len(arm.images), "source": arm.source} for arm in study.arms],
        "confidence": confidence,
        "intervals": "Wilson for shares; percentile bootstrap over raters for means over raters; sandwich over raters or answers for Bradley-Terry",
        "made_with": study.version,
        "version": __version__,
    }


# -- real or fake --------------------------------------------------------------------------------------------------------------------------


def _real_or_fake(study: Study, main: Sequence[Answer], confidence: float) -> dict[str, Any]:
    """One picture at a time: errors, sensitivity and HYPE of each generated arm."""
    reals = [row for row in main if row.arms == "0"]
    false_alarms = sum(row.choice == GENERATED for row in reals)
    wrong = sum(not row.correct for row in main)
    arms: dict[str, Any] = {}
    for index, arm in enumerate(study.arms[1:], start=1):
        fakes = [row for row in main if row.arms == str(index)]
        if not fakes or not reals:
            continue
        fooled = sum(row.choice == REAL for row in fakes)
        arms[arm.name] = {
            "shown": len(fakes),
            "called_real": _interval(wilson_interval(fooled, len(fakes), confidence)),
            "called_real_p": binomial_p(fooled, len(fakes)),
            "sensitivity": d_prime(len(fakes) - fooled, len(fakes), false_alarms, len(reals), confidence)._asdict(),
            **_hype(study, reals, fakes, confidence),
        }
    found: dict[str, Any] = {
        "error_rate": _interval(wilson_interval(wrong, len(main), confidence)),
        "error_rate_p": binomial_p(wrong, len(main)),
        "real_called_generated": _interval(wilson_interval(false_alarms, len(reals), confidence)) if reals else None,
        "arms": arms,
    }
    if len(arms) > 1:
        counts = [(round(a["called_real"]["value"] * a["shown"]), a["shown"]) for a in arms.values()]
        found["arms_differ"] = _chi([[fooled, shown - fooled] for fooled, shown in counts])
    return found


def _hype(study: Study, reals: Sequence[Answer], fakes: Sequence[Answer], confidence: float) -> dict[str, Any]:
    """HYPE-time of a staircase; otherwise HYPE-infinity if there is no limit of time. A rater's error weighs real and generated alike."""
    settings = study.settings
    if settings.staircase:
        blocks: dict[str, dict[int, list[int]]] = {}
        for row in sorted([*reals, *fakes], key=lambda row: (row.rater, row.trial)):
            blocks.setdefault(row.rater, {}).setdefault(row.block, []).append(row.exposure_ms or 0)
        num_blocks = max(1, round(settings.trials / BLOCK))
        whole = {rater: own for rater, own in blocks.items() if len(own) == num_blocks}
        thresholds = {rater: threshold(list(own.values())) for rater, own in whole.items()}
        if not thresholds:
            return {"hype_time_ms": None}
        return {"hype_time_ms": _interval(mean_over_raters(list(thresholds.values()), confidence)) | {"raters": len(thresholds)}}
    rates = []
    for rater in sorted({row.rater for row in fakes} & {row.rater for row in reals}):
        own = [[not row.correct for row in rows if row.rater == rater] for rows in (reals, fakes)]
        rates.append(float(np.mean([np.mean(part) for part in own])))
    if not rates:
        return {}
    name = "hype_infinity" if settings.display_ms is None else "error_at_limit"
    return {name: _interval(mean_over_raters(rates, confidence)) | {"raters": len(rates)}}


def _forced_choice(study: Study, main: Sequence[Answer], confidence: float) -> dict[str, Any]:
    """A real and a generated picture side by side: how often the generated one is taken for real (pix2pix's table)."""
    arms: dict[str, Any] = {}
    for index, arm in enumerate(study.arms[1:], start=1):
        rows = [row for row in main if str(index) in row.arms.split(",")]
        if not rows:
            continue
        fooled = sum(not row.correct for row in rows)
        arms[arm.name] = {
            "shown": len(rows),
            "fooled": _interval(wilson_interval(fooled, len(rows), confidence)),
            "fooled_p": binomial_p(fooled, len(rows)),
            "d_prime": forced_choice_sensitivity(len(rows) - fooled, len(rows)),
            "over_raters": _interval(mean_over_raters(_rates(rows), confidence)),
        }
    found: dict[str, Any] = {"arms": arms, "left_chosen": _left(main, confidence)}
    if len(arms) > 1:
        counts = [(round(a["fooled"]["value"] * a["shown"]), a["shown"]) for a in arms.values()]
        found["arms_differ"] = _chi([[fooled, shown - fooled] for fooled, shown in counts])
    return found


# -- ranking -------------------------------------------------------------------------------------------------------------------------------


def _pairs(study: Study, main: Sequence[Answer], confidence: float) -> dict[str, Any]:
    """Two arms side by side: shares won, and Bradley-Terry strengths."""
    pairs = []
    for row in main:
        left, right = map(int, row.arms.split(","))
        pairs.append((left, right, {"0": 1.0, "1": 0.0}.get(row.choice, 0.5)))
    wins = win_matrix(pairs, len(study.arms))
    shown = wins.sum(1) + wins.sum(0)
    arms: dict[str, Any] = {}
    for index, arm in enumerate(study.arms):
        if shown[index]:
            arms[arm.name] = {"shown": int(shown[index]), "preferred": float(wins[index].sum() / shown[index])}
    found = {"arms": arms, "wins": wins.tolist(), "ties": sum(row.choice == "tie" for row in main), "left_chosen": _left(main, confidence)}
    groups = _groups(study, main, [win_matrix([pair], len(study.arms)) for pair in pairs])
    return found | _strengths(study, wins, groups, arms, confidence)


def _best(study: Study, main: Sequence[Answer], confidence: float) -> dict[str, Any]:
    """All arms side by side, one chosen: shares that sum to one (StarGAN's table)."""
    counts = Counter(int(row.arms.split(",")[int(row.choice)]) for row in main)
    chosen = [counts.get(index, 0) for index in range(len(study.arms))]
    shares, test = first_places(chosen, confidence)
    arms: dict[str, Any] = {
        arm.name: {"shown": len(main), "chosen": count, "share": _interval(share)}
        for arm, count, share in zip(study.arms, chosen, shares, strict=True)
    }
    places = Counter(int(row.choice) for row in main)
    return {
        "arms": arms,
        "arms_differ": test._asdict(),
        "places_differ": _chi([places.get(place, 0) for place in range(len(study.arms))]),
    }


def _orders(study: Study, main: Sequence[Answer], confidence: float) -> dict[str, Any]:
    """All arms in order: average rank with its standard error (StackGAN's table), and Bradley-Terry from the comparisons implied."""
    orders = []
    for row in main:
        shown = row.arms.split(",")
        orders.append([int(shown[int(place)]) for place in row.choice.split(",")])
    ranks = average_rank(orders, len(study.arms))
    arms: dict[str, Any] = {
        arm.name: {"shown": len(main), "average_rank": float(ranks.mean[index]), "standard_error": _finite(ranks.standard_error[index])}
        for index, arm in enumerate(study.arms)
    }
    tables = [win_matrix(pairs_of_orders([order]), len(study.arms)) for order in orders]
    wins = np.sum(tables, axis=0)
    return {"arms": arms, "wins": wins.tolist()} | _strengths(study, wins, _groups(study, main, tables), arms, confidence)


def _groups(study: Study, main: Sequence[Answer], tables: list[Float64]) -> tuple[str, list[Float64]]:
    """What is independent: raters, where there are enough for an interval over them; otherwise answers. Each one's table of wins."""
    raters = sorted({row.rater for row in main})
    if len(raters) < ENOUGH_RATERS:
        return "answers", tables
    return "raters", [np.sum([table for row, table in zip(main, tables, strict=True) if row.rater == rater], axis=0) for rater in raters]


def _strengths(study: Study, wins: Float64, groups: tuple[str, list[Float64]], arms: dict[str, Any], confidence: float) -> dict[str, Any]:
    """Bradley-Terry strengths into the arms, and the chance of each arm against each; or why there are none."""
    try:
        found = bradley_terry(wins, confidence, groups=np.stack(groups[1]))
    except UsageError as refusal:
        named = ", ".join(arm.name for arm in study.arms)
        return {"bradley_terry": None, "why_not": f"{refusal} Arms in order from 0: {named}."}
    for index, arm in enumerate(study.arms):
        strength = Interval(float(found.theta[index]), float(found.low[index]), float(found.high[index]))
        arms[arm.name]["strength"] = _interval(strength)
    size = range(len(study.arms))
    return {"bradley_terry": {"independent": groups[0], "win_probability": [[found.win_probability(i, j) for j in size] for i in size]}}


# -- small things --------------------------------------------------------------------------------------------------------------------------


def _rates(rows: Sequence[Answer]) -> list[float]:
    """Share of wrong answers of each rater."""
    return [float(np.mean([not row.correct for row in rows if row.rater == rater])) for rater in sorted({row.rater for row in rows})]


def _left(rows: Sequence[Answer], confidence: float) -> dict[str, Any] | None:
    """How often the left picture was chosen: far from a half, the raters lean to a side."""
    decided = [row.choice for row in rows if row.choice in ("0", "1")]
    return _interval(wilson_interval(decided.count("0"), len(decided), confidence)) if decided else None


def _times(rows: Sequence[Answer]) -> dict[str, float | None]:
    """Medians of the times to answer, and of what the pictures' limited time really was."""
    found: dict[str, float | None] = {}
    for name, values in (("response_ms", [row.response_ms for row in rows]), ("shown_ms", [row.shown_ms for row in rows])):
        known = [value for value in values if value is not None]
        found[f"median_{name}"] = float(np.median(known)) if known else None
    return found


def _chi(counts: Sequence[Sequence[int]] | Sequence[int]) -> dict[str, float] | None:
    """A chi-square test where the counts allow one."""
    try:
        return chi_square(counts)._asdict()
    except UsageError:
        return None


def _interval(interval: Interval) -> dict[str, Any]:
    return {name: _finite(value) for name, value in interval._asdict().items()}


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
