"""The pictures of a comparison: quick scores over training, precision against recall, and the curves of the one for the other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

Record = Mapping[str, Any]


def draw_curves(curves: Mapping[str, Sequence[Record]]) -> Figure | None:
    """The main quick score of each run over thousands of real images seen, with its best, its last and its floor. None without scores."""
    drawn = {name: records for name, records in curves.items() if records}
    if not drawn:
        return None
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for index, (name, records) in enumerate(drawn.items()):
        metric, colour = str(records[-1]["metric"]), f"C{index}"
        x, y = [record["images_seen"] / 1000 for record in records], [record[metric] for record in records]
        least = min(range(len(y)), key=lambda i: y[i] if math.isfinite(y[i]) else math.inf)
        axes.plot(x, y, color=colour, label=f"{name}: {metric}")
        axes.plot(x[-1], y[-1], "s", x[least], y[least], "o", color=colour, markeredgecolor="white")
        axes.axhline(records[-1].get("floor", {}).get(metric, math.nan), color=colour, linestyle=":", linewidth=1)
    axes.set(xlabel="thousands of real samples seen", ylabel="score, lower is better", title="dot: best, square: last, dotted: real against real")
    axes.title.set_fontsize("medium")
    axes.legend()
    return figure


def draw_precision_recall(rows: Sequence[Record]) -> Figure | None:
    """Precision against recall of evaluations that can be compared, with their floors; None if fewer than two have both."""
    both = [row for row in rows if {"precision", "recall"} <= set(row["scores"]) and not row["differences"]]
    if len(both) < 2:
        return None
    figure, axes = _unit_square("recall", "precision", "cross: real against real")
    for index, row in enumerate(both):
        recall, precision, colour = row["scores"]["recall"], row["scores"]["precision"], f"C{index}"
        errors = {"xerr": recall["error"], "yerr": precision["error"]}
        axes.errorbar(recall["value"], precision["value"], **errors, fmt="o", color=colour, label=row["name"])
        if None not in (recall["floor"], precision["floor"]):
            axes.plot(recall["floor"], precision["floor"], "x", color=colour)
    axes.legend(loc="lower left")
    return figure


def draw_distributions(rows: Sequence[Record]) -> Figure | None:
    """The curves of precision and recall of distributions that can be compared; None if fewer than two have one."""
    curves = [row for row in rows if row.get("prd") and not row["differences"]]
    if len(curves) < 2:
        return None
    figure, axes = _unit_square("recall of the distribution", "precision of the distribution", "up to 1, 1: the distribution of the data")
    for row in curves:
        recall, precision = zip(*row["prd"], strict=True)
        axes.plot(recall, precision, label=row["name"])
    axes.legend(loc="lower left")
    return figure


def _unit_square(across: str, up: str, title: str) -> tuple[Figure, Any]:
    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.subplots()
    axes.set(xlabel=across, ylabel=up, xlim=(0, 1.02), ylim=(0, 1.02), aspect="equal", title=title)
    axes.title.set_fontsize("medium")
    return figure, axes
