"""What theory says of small games, measured on the library's own engine, as tables and pictures made by one command.

    python -m saddlepoint.studies.theory --seeds 3 --out docs/tables/theory.md

The parts: the Dirac-GAN, the saddle of two time scales, WGAN's critic against exact distances, D against p / (p + q), and the slope that reaches G
where D is sure.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from saddlepoint.studies.convergence import dirac_study, saddle_study
from saddlepoint.studies.line import CONSTRAINTS, critic_study, gradient_study, optimal_study
from saddlepoint.studies.pool import answered
from saddlepoint.studies.toys import cell
from saddlepoint.training import machine
from saddlepoint.training.storage import write_bytes

Found = dict[str, Any]


def lines(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (headings, ["---"] * len(headings), *rows))


def dirac_page(found: Found) -> str:
    """Where each method ends."""
    rows = []
    for name, each in found.items():
        values = "" if each["eigenvalues"] is None else ", ".join(f"{real:.2f}{imaginary:+.2f}i" for real, imaginary in each["eigenvalues"])
        gap = "" if each["gap"] is None else f"{each['gap']:.0e}"
        rows.append([name.replace("|", "\\|"), values, cell(each["late"], "{:.3f}"), gap, "yes" if each["converges"] else "no"])
    return lines(["method", "eigenvalues at the equilibrium", "distance, last fifth", "from theory", "converges in theory"], rows)


def saddle_page(found: Found) -> str:
    """How near each pair of rates stays."""
    rows = [
        [name, f"{each['x_lr']:g}", f"{each['y_lr']:g}", cell(each["rms"], "{:.3f}"), cell(each["largest"], "{:.2f}")] for name, each in found.items()
    ]
    return lines(["", "rate of x", "rate of y", "distance (root mean square), last fifth", "largest"], rows)


def critic_page(found: Found) -> str:
    """Estimates beside the exact distance."""
    rows = []
    for pair, each in found.items():
        cells = [cell(each[constraint][key], "{:.3f}") for constraint in CONSTRAINTS for key in ("estimate", "over_largest_slope")]
        rows.append([pair, f"{each['exact']:.3f}", *cells])
    headings = [f"{constraint}: {what}" for constraint in CONSTRAINTS for what in ("estimate", "over its largest slope")]
    return lines(["data from generator", "exact W1", *headings], rows)


def optimal_page(found: Found) -> str:
    """How near D came."""
    error, value = cell(found["error"], "{:.4f}"), cell(found["value"], "{:.4f}")
    return lines(["mean error of D", "value reached", "-log 4 + 2 JSD"], [[error, value, f"{found['best_value']:.4f}"]])


def gradient_page(found: Found) -> str:
    """What reaches G."""
    columns = zip(found["slope"], found["fake_probability"], found["minimax"], found["non-saturating"], strict=True)
    rows = [[f"{slope:g}", f"{probability:.1e}", f"{one:.1e}", f"{other:.2f}"] for slope, probability, one, other in columns]
    return lines(["slope of D", "D at the fakes' mean", "minimax", "non-saturating"], rows)


def figure_of(panels: int, columns: int, size: tuple[float, float] = (2.6, 2.5)) -> tuple[Figure, Any]:
    """A figure of small panels, and the panels in a row."""
    rows = -(-panels // columns)
    figure = Figure(figsize=(size[0] * columns, size[1] * rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for unused in axes[panels:]:
        unused.set_axis_off()
    return figure, axes


def dirac_picture(found: Found) -> Figure:
    """Paths of (theta, psi), those of theory beneath."""
    figure, panels = figure_of(len(found), 4)
    for axes, (name, each) in zip(panels, found.items(), strict=False):
        path = np.array(each["path"])
        if each["theory"] is not None:
            axes.plot(*np.array(each["theory"]).T, color="tab:orange", linewidth=2.5, alpha=0.5)
        axes.plot(*path.T, color="tab:blue", linewidth=0.7)
        axes.plot(*path[0], "o", color="tab:blue", markersize=3)
        axes.plot(0, 0, "+", color="black")
        axes.set_title(name, fontsize=7)
        axes.set(xlabel="theta", ylabel="psi", xlim=(-2.2, 2.2), ylim=(-2.2, 2.2))
    return figure


def saddle_picture(found: Found) -> Figure:
    """Distance from the saddle over the rounds."""
    figure, panels = figure_of(len(found), 4)
    for axes, (name, each) in zip(panels, found.items(), strict=False):
        axes.plot(np.maximum(np.nan_to_num(each["norms"], posinf=1e6), 1e-4), linewidth=0.4)
        axes.set_title(f"{name}: {each['x_lr']:g}, {each['y_lr']:g}", fontsize=7)
        axes.set(yscale="log", xlabel="round", ylabel="distance")
    return figure


def optimal_picture(found: Found) -> Figure:
    """D after training, p / (p + q), and both densities."""
    figure, panels = figure_of(1, 1, (5.0, 3.0))
    axes = panels[0]
    axes.fill_between(found["x"], found["p"], color="tab:green", alpha=0.25, linewidth=0, label="p, data")
    axes.fill_between(found["x"], found["q"], color="tab:red", alpha=0.25, linewidth=0, label="q, generator")
    axes.plot(found["x"], found["best"], color="black", linewidth=2.0, alpha=0.5, label="p / (p + q)")
    for index, curve in enumerate(found["learnt"]):
        axes.plot(found["x"], curve, color="tab:blue", linewidth=0.8, label=None if index else "D, one line a seed")
    axes.set(xlabel="x", ylim=(-0.02, 1.05))
    axes.legend(fontsize=7)
    return figure


def gradient_picture(found: Found) -> Figure:
    """Length of G's gradient against D's slope."""
    figure, panels = figure_of(1, 1, (4.0, 3.0))
    for name in ("minimax", "non-saturating"):
        panels[0].plot(found["slope"], found[name], "o-", markersize=3, label=name)
    panels[0].set(yscale="log", xlabel="slope of D", ylabel="gradient of G over slope of D")
    panels[0].legend(fontsize=7)
    return figure


PAGES: dict[str, tuple[str, Callable[[Found], str]]] = {
    "dirac": ("Dirac-GAN", dirac_page),
    "saddle": ("Two time scales", saddle_page),
    "critic": ("The critic's estimate of a known distance", critic_page),
    "optimal": ("The discriminator against p / (p + q)", optimal_page),
    "gradients": ("What reaches the generator of a sure discriminator", gradient_page),
}
PICTURES: dict[str, Callable[[Found], Figure]] = {
    "dirac": dirac_picture,
    "saddle": saddle_picture,
    "optimal": optimal_picture,
    "gradients": gradient_picture,
}


def main(argv: Sequence[str] | None = None) -> None:
    """Play every part, then write the tables, the numbers and the pictures."""
    parser = argparse.ArgumentParser(prog="python -m saddlepoint.studies.theory", description="Small games with known answers.")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each arm where chance enters")
    parser.add_argument("--only", nargs="+", choices=[*PAGES], default=[*PAGES], help="which parts to play; what others left in --work is kept")
    parser.add_argument("--rounds", type=int, default=None, help="rounds of every part; by default each has its own")
    parser.add_argument("--work", type=Path, default=Path("runs/theory"), help="folder of what is finished")
    parser.add_argument("--out", type=Path, default=Path("docs/tables/theory.md"), help="the tables")
    parser.add_argument("--pictures", type=Path, default=Path("docs/pictures"), help="folder of the pictures")
    given = parser.parse_args(argv)
    rounds: dict[str, Any] = {} if given.rounds is None else {"rounds": given.rounds}
    parts: dict[str, Callable[[], Found]] = {
        "dirac": lambda: dirac_study(seeds=given.seeds, **rounds),
        "saddle": lambda: saddle_study(seeds=given.seeds, **rounds),
        "critic": lambda: critic_study(seeds=given.seeds, **rounds),
        "optimal": lambda: optimal_study(seeds=given.seeds, **rounds),
        "gradients": gradient_study,
    }
    for folder in (given.work, given.pictures, given.out.parent):
        folder.mkdir(parents=True, exist_ok=True)
    for name in given.only:
        write_bytes(given.work / f"{name}.json", json.dumps(parts[name]()).encode())
    write(given.work, given.out, given.pictures, given.seeds)


def write(work: Path, out: Path, pictures: Path, seeds: int) -> None:
    """The page and the pictures of every part that is there."""
    made = f"torch {machine.versions()['torch']} at commit {machine.commit() or 'unknown'} on {machine.hardware()}"
    sections = [f"{seeds} seeds where chance enters, median (least to most). Made by `python -m saddlepoint.studies.theory`, {made}."]
    for name, (title, text) in PAGES.items():
        if not (work / f"{name}.json").exists():
            continue
        found = json.loads((work / f"{name}.json").read_text())
        sections.append(f"### {title}\n\n{text(found)}")
        if name in PICTURES:
            PICTURES[name](found).savefig(pictures / f"{name}.png", dpi=110)
    write_bytes(out, ("\n\n".join(sections) + "\n").encode())


if __name__ == "__main__":
    raise SystemExit(answered(main))
