"""Evaluated runs beside one another: a table, the curves of their quick scores with best and last, precision against recall.

Scores of unlike protocols are shown and marked, with what differs; only like ones are ranked.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from saddlepoint.errors import DataError, StorageError, UsageError
from saddlepoint.evaluation.compare_plots import draw_curves, draw_distributions, draw_precision_recall
from saddlepoint.evaluation.protocol import differences

Record = dict[str, Any]
_NOT_SCORES = ("round", "images_seen")


def compare(targets: Sequence[Path], *, out: Path | None = None, last: Mapping[Path, int] | None = None) -> Record:
    """Compare runs, or results that ``saddlepoint evaluate --json`` printed.

    Args:
        targets: run folders (their last evaluation, and the best and last of their quick scores) or files of one result.
        out: folder for table.md, compare.json, curves.svg, precision-recall.svg and prd.svg, each where there are scores for it; None writes nothing.
        last: round of the last checkpoint by run; evaluations of later rounds are of weights that are not there (any more), and are left out.
    Returns:
        rows: {"name", "kind" ("evaluation", "best", "last"), "round", "scores": {name: {"value", "error", "floor"}}, "protocol", "differences"};
        differences is against the first row of its group (evaluations, or quick scores) that has one of the same scores; best: the target of the
        best value for each score that has like protocols in two rows or more of a group, evaluations first. The table's lines are in "table".
    Raises:
        UsageError: for fewer than two targets, a target named twice.
        DataError: for a target without scores, or that is neither a run nor a result.
    """
    if len(targets) < 2:
        raise UsageError(f"A comparison needs two targets or more; {len(targets)} came. Name runs, or results of evaluate --json.")
    if len({target.resolve() for target in targets}) < len(targets):
        raise UsageError("Each target is named once; one came twice. Leave the second out.")
    names = _short(targets)
    rows = [row for name, target in zip(names, targets, strict=True) for row in read_rows(name, target, (last or {}).get(target))]
    for index, row in enumerate(rows):
        first = next((other for other in rows[:index] if _group(other) == _group(row) and set(other["scores"]) & set(row["scores"])), None)
        row["differences"] = [] if first is None else differences(first["protocol"], row["protocol"])
    best = _best(rows)
    result: Record = {"rows": rows, "best": {score: name for score, (_, name) in best.items()}, "table": table(rows, best)}
    if out is not None:
        curves = {name: _lines(target / "scores.jsonl") for name, target in zip(names, targets, strict=True) if target.is_dir()}
        _write(out, result, curves)
    return result


def read_rows(name: str, target: Path, last: int | None = None) -> list[Record]:
    """What is known of one target: its last evaluation of a round up to ``last``, and the best and last quick score of a run.

    Raises:
        DataError: if there is nothing.
    """
    if target.is_dir() and not (target / "run.json").exists():
        raise DataError(f"{target} is no run folder: it has no run.json. Name runs, or results of `saddlepoint evaluate --json`.")
    if not target.is_dir():
        return [_row(name, "evaluation", _result(target))]
    evaluations, quick = _lines(target / "evaluations.jsonl"), _lines(target / "scores.jsonl")
    evaluations = [record for record in evaluations if last is None or record.get("round", 0) <= last]
    rows = [_row(name, "evaluation", evaluations[-1])] if evaluations else []
    scored = [record for record in quick if math.isfinite(record.get(record.get("metric", ""), math.nan))]
    if scored:
        best = min(scored, key=lambda record: float(record[record["metric"]]))
        rows += [_row(name, "best", best), _row(name, "last", quick[-1])]
    if not rows:
        raise DataError(f"{target} has no scores yet. `saddlepoint evaluate {target}` makes some.")
    return rows


def _result(path: Path) -> Record:
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"There is no run folder or file {path}.") from None
    except (OSError, ValueError):
        result = None
    if not isinstance(result, dict) or not isinstance(result.get("protocol"), dict):
        raise DataError(f"{path} is no result of `saddlepoint evaluate --json`: it has no protocol.")
    return result


def _row(name: str, kind: str, record: Mapping[str, Any]) -> Record:
    """A line of any of the files in one form; quick scores have no error, and their direction is known for the main one only."""
    if "scores" in record:
        scores = record["scores"]
    else:
        floor, main = record.get("floor", {}), record.get("metric") or record["protocol"].get("metric")
        scores = {
            key: {"value": value, "error": None, "floor": floor[key], "better": "lower" if key == main else "none"}
            for key, value in record.items()
            if key in floor and key not in _NOT_SCORES
        }
    found = {"name": name, "kind": kind, "round": record.get("round"), "scores": scores, "protocol": dict(record.get("protocol", {}))}
    curve = record.get("details", {}).get("prd", {}).get("curve")
    return found if curve is None else found | {"prd": curve}


def _group(row: Record) -> str:
    """Evaluations and quick scores are made differently, and are not compared with one another."""
    return "evaluation" if row["kind"] == "evaluation" else "quick"


def _best(rows: Sequence[Record]) -> dict[str, tuple[str, str]]:
    """For each score, the group and the target of the best value among rows of like protocols."""
    best: dict[str, tuple[str, str]] = {}
    for name in {name: None for row in rows for name in row["scores"]}:
        for group in ("evaluation", "quick"):
            like = [row for row in rows if _group(row) == group and row["kind"] != "best" and name in row["scores"] and not row["differences"]]
            better = like[0]["scores"][name]["better"] if like else "none"
            if name not in best and len({row["name"] for row in like}) > 1 and better != "none":
                choose = min if better == "lower" else max
                best[name] = group, choose(like, key=lambda row: float(row["scores"][name]["value"]))["name"]
    return best


def table(rows: Sequence[Record], best: Mapping[str, tuple[str, str]]) -> list[str]:
    """The comparison as lines of Markdown: a score as value +- standard error (floor); the best in bold; unlike protocols marked."""
    columns = [*{name: None for row in rows for name in row["scores"]}]
    lines = [f"| target | which | round | {' | '.join(columns)} |", "| --- " * (len(columns) + 3) + "|"]
    marks: list[str] = []
    for row in rows:
        mark = ""
        if row["differences"]:
            marks.append(f"[{len(marks) + 1}] {row['name']} ({row['kind']}) is not to be compared with the first: {'; '.join(row['differences'])}.")
            mark = f" [{len(marks)}]"
        own = _group(row), row["name"]
        cells = [_cell(row["scores"].get(name), best.get(name) == own and row["kind"] != "best" and not mark) for name in columns]
        shown = "" if row["round"] is None else row["round"]
        lines.append(f"| {row['name']}{mark} | {row['kind']} | {shown} | {' | '.join(cells)} |")
    return [*lines, "", *marks] if marks else lines


def _cell(score: Mapping[str, Any] | None, best: bool) -> str:
    if score is None:
        return ""
    value = f"{score['value']:.4g}" + ("" if score["error"] is None else f" +- {score['error']:.2g}")
    return (f"**{value}**" if best else value) + ("" if score["floor"] is None else f" ({score['floor']:.4g})")


def _short(targets: Sequence[Path]) -> list[str]:
    """Last parts of the paths where they differ, whole paths where they do not."""
    names = [target.name or str(target) for target in targets]
    return names if len(set(names)) == len(names) else [str(target) for target in targets]


def _lines(path: Path) -> list[Record]:
    """JSON lines; what a killed process left unfinished is passed over."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def _write(out: Path, result: Record, curves: Mapping[str, Sequence[Record]]) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "table.md").write_text("\n".join(result["table"]) + "\n", encoding="utf-8")
        (out / "compare.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        rows = result["rows"]
        plots = {"curves": draw_curves(curves), "precision-recall": draw_precision_recall(rows), "prd": draw_distributions(rows)}
        for name, figure in plots.items():
            if figure is not None:
                figure.savefig(out / f"{name}.svg", metadata={"Date": None})
    except OSError as error:
        raise StorageError(f"Cannot write the comparison to {out}: {error.strerror or error}. Choose another --out.") from error
