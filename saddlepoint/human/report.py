"""The report of a study: report.html (one page that loads nothing), report.json and answers.csv, written into the study folder."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Sequence
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from saddlepoint.human.analysis import analyse
from saddlepoint.human.answers import Answer, read_answers
from saddlepoint.human.statistics import CONFIDENCE
from saddlepoint.human.study import Study, open_study
from saddlepoint.training.storage import write_bytes, write_json

WIDTH, ROW, LEFT, RIGHT = 760, 34, 190, 24  # of the picture of intervals


class Measure(NamedTuple):
    """One column of the table of arms: a key in an arm's results, its heading, how to print it, and where guessing or equality lies."""

    key: str
    title: str
    unit: str  # "%", "ms" or ""
    neutral: float | None = None


MEASURES = {
    ("real-or-fake", "one"): (
        Measure("called_real", "called real", "%", 0.5),
        Measure("sensitivity", "d′ (0: cannot tell)", "", 0.0),
        Measure("hype_infinity", "HYPE∞: errors, real and generated", "%", 0.5),
        Measure("error_at_limit", "errors at the time limit, real and generated", "%", 0.5),
        Measure("hype_time_ms", "HYPE time: three of four right at", "ms"),
    ),
    ("real-or-fake", "pair"): (
        Measure("fooled", "chosen as the real one", "%", 0.5),
        Measure("over_raters", "the same, interval over raters", "%", 0.5),
    ),
    ("ranking", "pair"): (Measure("preferred", "preferred", "%", 0.5), Measure("strength", "Bradley-Terry strength", "", 0.0)),
    ("ranking", "best"): (Measure("share", "chosen as the best", "%"),),
    ("ranking", "order"): (Measure("average_rank", "average rank (1: best)", ""), Measure("strength", "Bradley-Terry strength", "", 0.0)),
}


def write_study_report(folder: Path, *, confidence: float = CONFIDENCE) -> dict[str, Any]:
    """Analyse a study as it stands and write its report; the answers stay as they are, and may go on coming in.

    Args:
        folder: of the study.
        confidence: of all intervals.
    Returns:
        What :func:`saddlepoint.human.analysis.analyse` finds, with the report's path as "report".
    """
    study = open_study(folder)
    answers = read_answers(folder)
    found = analyse(study, answers, confidence=confidence)
    write_json(folder / "report.json", found)
    write_bytes(folder / "answers.csv", answers_csv(study, answers, {entry["rater"] for entry in found["raters"] if entry["counted"]}).encode())
    write_bytes(folder / "report.html", page(found).encode())
    return found | {"report": str(folder / "report.html")}


def answers_csv(study: Study, answers: Sequence[Answer], counted: set[str]) -> str:
    """Every answer as a line, arms by name, with whether it counts."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*(field.name for field in dataclasses.fields(Answer)), "counted"])
    for answer in answers:
        names = " ".join(study.arms[int(arm)].name for arm in answer.arms.split(",") if arm)
        row = dataclasses.replace(answer, arms=names, images=answer.images.replace(",", " "))
        writer.writerow([*dataclasses.astuple(row), int(answer.rater in counted and answer.role == "main")])
    return buffer.getvalue()


def sentences(found: dict[str, Any]) -> list[str]:
    """The result in plain words, one arm a sentence, the strongest warning first."""
    results, raters = found["results"], found["raters"]
    out = [entry for entry in raters if not entry["counted"]]
    lines = [f"{len(out)} of {len(raters)} raters failed the attention checks and are left out."] if out else []
    if results is None:
        return [*lines, "No answer counts yet."]
    lines.append(f"{results['answers']} answers of {results['raters']} rater{'s' if results['raters'] > 1 else ''}.")
    if results["raters"] < 2:
        lines.append("One rater: the intervals say how sure this rater's answers are, not what other people would say.")
    level = f"{100 * found['protocol']['confidence']:g} %"
    for name, arm in results["arms"].items():
        told = [f"{measure.title} {_value(arm[measure.key], measure, arm)}" for measure in _measures(found) if arm.get(measure.key) is not None]
        lines.append(f"{name}: {'; '.join(told)} ({level} intervals, {arm['shown']} answers).")
    if results.get("real_called_generated"):
        lines.append(f"Real pictures were called generated in {_value(results['real_called_generated'], Measure('', '', '%'))}.")
    test = results.get("arms_differ")
    if test:
        lines.append(f"The arms {'differ' if test['p_value'] < 0.05 else 'do not differ clearly'} (chi-square p {_p(test)}).")
    if results.get("why_not"):
        lines.append(results["why_not"])
    left = results.get("left_chosen")
    if left and not left["low"] <= 0.5 <= left["high"]:
        lines.append(f"The left picture was chosen in {_value(left, Measure('', '', '%'))}: the raters lean to a side.")
    return lines


def page(found: dict[str, Any]) -> str:
    """The whole report as HTML."""
    title, style = escape(found["title"]), (resources.files("saddlepoint.report") / "page.css").read_text()
    settings = found["protocol"]["settings"]
    sections = [("What it says", "".join(f"<p>{escape(line)}</p>" for line in sentences(found)))]
    if found["results"] is not None:
        sections += [("Arms", _arms_table(found) + "".join(_forest(found, measure) for measure in _measures(found)))]
        sections += [("Each against each", _against(found))] if found["results"].get("wins") else []
    sections += [("Raters", _raters(found)), ("How the numbers were made", _protocol(found))]
    body = "".join(f"<section><h2>{name}</h2>{content}</section>" for name, content in sections)
    kind = f"{settings['kind']}, {settings['layout']}: “{settings['question']}”"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}: report</title><style>{style}</style></head>"
        f'<body><main><h1>{title}</h1><p class="subject">{escape(kind)}</p>{body}</main></body></html>\n'
    )


def _measures(found: dict[str, Any]) -> list[Measure]:
    """The columns that any arm has."""
    settings, arms = found["protocol"]["settings"], found["results"]["arms"].values()
    return [measure for measure in MEASURES[settings["kind"], settings["layout"]] if any(arm.get(measure.key) is not None for arm in arms)]


def _ends(value: Any) -> tuple[float, float | None, float | None]:
    """An arm's number with the ends of its interval, whatever shape it has in the results."""
    if not isinstance(value, dict):
        return float(value), None, None
    return float(value["d_prime"] if "d_prime" in value else value["value"]), value["low"], value["high"]


def _number(value: float, unit: str) -> str:
    return f"{100 * value:.1f}" if unit == "%" else f"{value:.0f}" if unit == "ms" else f"{value:.2f}"


def _value(value: Any, measure: Measure, arm: dict[str, Any] | None = None) -> str:
    """A number with its interval; a rank with its standard error."""
    (middle, low, high), unit = _ends(value), f" {measure.unit}" if measure.unit else ""
    if measure.key == "average_rank" and arm is not None and arm["standard_error"] is not None:
        return f"{_number(middle, '')} ± {_number(arm['standard_error'], '')}"
    between = "" if low is None or high is None else f" [{_number(low, measure.unit)}, {_number(high, measure.unit)}]"
    return f"{_number(middle, measure.unit)}{unit}{between}"


def _arms_table(found: dict[str, Any]) -> str:
    measures, arms = _measures(found), found["results"]["arms"]
    head = "<th>arm</th><th>answers</th>" + "".join(f"<th>{escape(measure.title)}</th>" for measure in measures)
    rows = ""
    for name, arm in arms.items():
        cells = "".join(f"<td>{_value(arm[m.key], m, arm) if arm.get(m.key) is not None else '–'}</td>" for m in measures)
        rows += f"<tr><td>{escape(name)}</td><td>{arm['shown']}</td>{cells}</tr>"
    return f'<div class="wide"><table class="numbers"><tr>{head}</tr>{rows}</table></div>'


def _forest(found: dict[str, Any], measure: Measure) -> str:
    """Every arm's number and interval on one line; dashed where guessing, or equality, lies."""
    drawn = {name: _ends(arm[measure.key]) for name, arm in found["results"]["arms"].items() if arm.get(measure.key) is not None}
    ends = {name: (value, low if low is not None else value, high if high is not None else value) for name, (value, low, high) in drawn.items()}
    numbers = [number for triple in ends.values() for number in triple] + ([measure.neutral] if measure.neutral is not None else [])
    low, high = (0.0, 1.0) if measure.unit == "%" else (min(numbers), max(numbers))
    air = 0.08 * (high - low) or 1.0
    low, high = (low, high) if measure.unit == "%" else (low - air, high + air)
    height = ROW * len(ends) + 34

    def x(number: float) -> float:
        return LEFT + (number - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    parts = []
    if measure.neutral is not None:
        parts.append(f'<line class="level" x1="{x(measure.neutral):.1f}" x2="{x(measure.neutral):.1f}" y1="4" y2="{height - 24}"/>')
    for index, (name, (value, start, stop)) in enumerate(ends.items()):
        y, colour = ROW * index + 22, f"c{index % 6}"
        parts.append(f'<text x="{LEFT - 12}" y="{y + 4}" text-anchor="end">{escape(name[:26])}</text>')
        parts.append(f'<line class="{colour}" stroke-width="2.5" x1="{x(start):.1f}" x2="{x(stop):.1f}" y1="{y}" y2="{y}"/>')
        parts.append(f'<circle class="{colour}" cx="{x(value):.1f}" cy="{y}" r="5"/>')
    for number in (low, (low + high) / 2, high):
        parts.append(f'<text x="{x(number):.1f}" y="{height - 6}" text-anchor="middle">{_value(number, measure)}</text>')
    svg = f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(measure.title, quote=True)}">{"".join(parts)}</svg>'
    return f'<figure class="chart"><figcaption>{escape(measure.title)}</figcaption>{svg}</figure>'


def _against(found: dict[str, Any]) -> str:
    """How often the arm of the row was preferred to that of the column, and what Bradley-Terry expects."""
    names, results = [arm["name"] for arm in found["protocol"]["arms"]], found["results"]
    fitted = results.get("bradley_terry")
    rows = ""
    for i, name in enumerate(names):
        cells = ""
        for j in range(len(names)):
            expected = f" ({100 * fitted['win_probability'][i][j]:.0f} %)" if fitted else ""
            cells += "<td>–</td>" if i == j else f"<td>{results['wins'][i][j]:g} of {results['wins'][i][j] + results['wins'][j][i]:g}{expected}</td>"
        rows += f"<tr><td>{escape(name)}</td>{cells}</tr>"
    head = "<th>preferred to</th>" + "".join(f"<th>{escape(name)}</th>" for name in names)
    notes = [f"In brackets: what the strengths expect; their intervals take {fitted['independent']} as independent."] if fitted else []
    notes += ["A tie counts half for both."] if results.get("ties") else []
    return f'<div class="wide"><table class="numbers"><tr>{head}</tr>{rows}</table></div><p class="note">{" ".join(notes)}</p>'


def _raters(found: dict[str, Any]) -> str:
    rows = ""
    for entry in found["raters"]:
        state = "counted" if entry["counted"] else f"left out: {entry['reason']}"
        rows += (
            f"<tr><td>{escape(entry['rater'])}</td><td>{entry['answers']}{'' if entry['finished'] else ' (not finished)'}</td>"
            f"<td>{entry['checks_right']} of {entry['checks']}</td><td>{escape(state)}</td></tr>"
        )
    if not rows:
        return "<p>Nobody has answered yet.</p>"
    head = "<th>rater</th><th>answers</th><th>attention checks right</th><th></th>"
    return f'<div class="wide"><table class="numbers"><tr>{head}</tr>{rows}</table></div>'


def _protocol(found: dict[str, Any]) -> str:
    text = json.dumps(found["protocol"], indent=1, ensure_ascii=False)
    return f"<details><summary>Everything a reader must know to compare two studies</summary><pre>{escape(text)}</pre></details>"


def _p(test: dict[str, float]) -> str:
    return "< 0.001" if test["p_value"] < 0.001 else f"= {test['p_value']:.3f}"
