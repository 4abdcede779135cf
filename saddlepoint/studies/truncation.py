"""``python -m saddlepoint.studies.truncation RUN``: what truncation buys and costs, for any run: quality and variety at each threshold or psi.

Brock et al. 2019 (arXiv:1809.11096), section 3.1 and Fig. 2 and 17: latents nearer to zero give samples that are better and less varied; so precision
and the Inception score rise, recall falls, and the Frechet distance has its least somewhere between. Writes a Markdown table, and a picture with
``--picture``. Each score is also kept in the run's evaluations.jsonl.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import saddlepoint
from saddlepoint.studies.pool import answered, write_text

USUAL = (0.1, 0.25, 0.5, 0.75, 1.0)  #: largest size of z's numbers, or psi; as thresholds of z also 1.5 and 2 are worth asking for
METRICS = ("fd", "precision-recall")  #: and "is" with an extractor that knows classes, such as quick:fashion or inception
WORDS = {"fd": "Frechet distance", "is": "Inception score"}

Point = dict[str, Any]


def main(arguments: list[str] | None = None) -> int:
    """Read the flags, measure, write."""
    parser = argparse.ArgumentParser(prog="python -m saddlepoint.studies.truncation", description="The truncation curve of a run.")
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument("--against", help="real data by name or path; left out: what the run was trained on")
    parser.add_argument("--at", type=float, nargs="+", default=USUAL, help="thresholds of z, or psi of styles")
    parser.add_argument("--metrics", nargs="+", default=METRICS)
    parser.add_argument("--extractor", default="quick")
    parser.add_argument("--num", type=int, default=2000, help="samples at each")
    parser.add_argument("--checkpoint", default="last")
    parser.add_argument("--out", type=Path, help="Markdown file; left out: to the screen")
    parser.add_argument("--picture", type=Path, help="PNG file")
    given = parser.parse_args(arguments)
    settings = {"against": given.against, "metrics": given.metrics, "extractor": given.extractor, "num": given.num, "checkpoint": given.checkpoint}
    points = truncation_curve(given.run, given.at, **settings)
    text = as_table(points)
    write_text(text, given.out)
    if given.picture is not None:
        draw(points, given.picture)
    return 0


def truncation_curve(run: str | Path, at: Sequence[float] = USUAL, **settings: Any) -> list[Point]:
    """Scores of a run at each truncation, and without.

    Args:
        run: run folder.
        at: thresholds of z, or psi of a generator with styles.
        settings: the other arguments of ``saddlepoint.evaluate``.
    Returns:
        For each truncation in rising order, and last without (None), the answer of ``saddlepoint.evaluate`` with the key "truncation".
    Raises:
        UsageError: for a run whose samples cannot be truncated.
    """
    wanted = [*sorted(set(at)), None]
    return [{"truncation": one} | saddlepoint.evaluate(run, truncation=one, **settings) for one in wanted]


def as_table(points: Sequence[Point]) -> str:
    """A row a truncation, a column a score with its standard error; the last row is real data against real data."""
    names = [*points[0]["scores"]]
    protocol = points[0]["protocol"]
    about = f"{protocol['num_fake']:,} samples against {protocol['num_real']:,} of {protocol['data']}, {protocol.get('extractor', 'points')}"
    rows = [[_words(point["truncation"]), *(_score(point["scores"][name]) for name in names)] for point in points]
    floors = [points[-1]["scores"][name]["floor"] for name in names]
    if any(floor is not None for floor in floors):
        rows.append(["real data", *("" if floor is None else f"{floor:.3g}" for floor in floors)])
    head = f"| truncation ({about}) | " + " | ".join(WORDS.get(name, name.replace("_", " ")) for name in names) + " |"
    return "\n".join([head, "|" + " --- |" * (len(names) + 1), *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"


def _words(truncation: float | None) -> str:
    return "none" if truncation is None else f"{truncation:g}"


def _score(entry: Point) -> str:
    return f"{entry['value']:.3g}" + ("" if entry["error"] is None else f" ± {entry['error']:.1g}")


def draw(points: Sequence[Point], path: Path) -> None:
    """Quality against variety: the Frechet distance over the Inception score, and recall over precision, where they were measured."""
    from matplotlib.figure import Figure

    pairs = [(x, y) for x, y in (("is", "fd"), ("precision", "recall")) if {x, y} <= set(points[0]["scores"])]
    single = [name for name in points[0]["scores"] if not any(name in pair for pair in pairs)]
    figure = Figure(figsize=(4.5 * (len(pairs) + len(single)), 4), layout="constrained")
    panels = iter(figure.subplots(1, len(pairs) + len(single), squeeze=False).flat)
    for x, y in pairs:
        axes = next(panels)
        across, up = ([point["scores"][name]["value"] for point in points] for name in (x, y))
        axes.plot(across, up, marker="o")
        names: dict[tuple[float, float], list[str]] = {}
        for point, a, b in zip(points, across, up, strict=True):  # psi 1 is none
            names.setdefault((a, b), []).append(_words(point["truncation"]))
        for place, words in names.items():
            axes.annotate(", ".join(words), place, textcoords="offset points", xytext=(5, 4))
        axes.margins(0.12)
        axes.set(xlabel=WORDS.get(x, x), ylabel=WORDS.get(y, y))
    for name in single:
        axes = next(panels)
        axes.plot([_words(point["truncation"]) for point in points], [point["scores"][name]["value"] for point in points], marker="o")
        axes.set(xlabel="truncation", ylabel=WORDS.get(name, name.replace("_", " ")))
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    raise SystemExit(answered(main))
