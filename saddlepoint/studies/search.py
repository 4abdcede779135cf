"""Every value function with the same search: Lucic et al. 2018 (arXiv:1711.10337), on the ring.

    python -m saddlepoint.studies.search --tries 20 --updates 500

A try draws both learning rates (log-uniform, 1e-5 to 1e-2, each its own, as two time scales want it), Adam's beta1 (0, 0.5 or 0.9) and the turns of D
a round (1 or 5); the same tries for every method, each with a seed of its own. What is reported is the distribution over tries: a method that is good
for one setting in twenty is not a good method. Interrupted, the same command continues; more tries add to what is there.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from saddlepoint.draws import derive_seed
from saddlepoint.errors import UsageError, nearest
from saddlepoint.evaluation.uncertainty import best_of_budget
from saddlepoint.studies.pool import Record, answered, run_missing
from saddlepoint.studies.toyruns import DATA, Protocol, arms, train_arm
from saddlepoint.studies.toys import last_look
from saddlepoint.training import machine
from saddlepoint.training.storage import write_bytes

METHODS = ("gan --generator-loss minimax", "nsgan", "lsgan", "wgan", "wgan-gp", "dragan", "began", "sngan", "gan-r1")
LOST = 10.0  # the distance that a run counts which left the numbers: farther than any that did not


def drawn(count: int) -> list[dict[str, Any]]:
    """The first ``count`` tries of a fixed list.

    >>> [len(drawn(3)), drawn(3) == drawn(5)[:3]]
    [3, True]
    """
    tries = []
    for number in range(count):
        rng = torch.Generator().manual_seed(derive_seed("search", number))
        g, d, which, turns = torch.rand(4, generator=rng).tolist()
        rates = {"g_lr": float(f"{10 ** (3 * g - 5):.3g}"), "d_lr": float(f"{10 ** (3 * d - 5):.3g}")}
        tries.append(rates | {"beta1": (0.0, 0.5, 0.9)[int(which * 3)], "d_steps": (1, 5)[int(turns * 2)]})
    return tries


def jobs(methods: Sequence[str], tries: int, protocol: Protocol, data: str) -> list[dict[str, Any]]:
    """Every run, all methods before the next try."""
    known = {arm.name: arm for arm in arms()}
    common = {"protocol": dataclasses.asdict(protocol), "data": data}
    return [
        common | {"arm": name, "recipe": known[name].recipe, "settings": known[name].settings, "seed": number, "search": found}
        for number, found in enumerate(drawn(tries))
        for name in methods
    ]


def distance(record: Record) -> float:
    """Sliced Wasserstein-1 distance at the end."""
    value = last_look(record)["sliced_w1"]
    return LOST if value is None else float(value)


def by_method(records: Sequence[Record]) -> dict[str, list[Record]]:
    """The runs of each method, best median first."""
    names = dict.fromkeys(record["job"]["arm"] for record in records)
    found = {name: [record for record in records if record["job"]["arm"] == name] for name in names}
    return dict(sorted(found.items(), key=lambda item: statistics.median(distance(run) for run in item[1])))


def table(records: Sequence[Record]) -> str:
    """A line a method, in order of the median over tries."""
    runs = next(iter(by_method(records).values()))
    few = max(1, len(runs) // 4)
    headings = ["best", "quarter", "median", "three quarters", f"expected best of {few}", "modes of the best", "settings of the best"]
    lines = ["| method | " + " | ".join(headings) + " |", "|" + " --- |" * (len(headings) + 1)]
    for name, each in by_method(records).items():
        values = [distance(run) for run in each]
        quarters = statistics.quantiles(values, n=4) if len(values) > 1 else values * 3
        best = min(each, key=distance)
        numbers = [min(values), *quarters, best_of_budget(np.array(values), few).value]
        cells = ["-" if value >= LOST else f"{value:.3f}" for value in numbers] + [str(last_look(best)["strict_modes"])]
        lines.append(f"| `{name}` | " + " | ".join([*cells, ", ".join(f"{key} {value:g}" for key, value in best["job"]["search"].items())]) + " |")
    return "\n".join(lines)


def picture(records: Sequence[Record]) -> Figure:
    """The expected best against the number of tries, a line a method."""
    figure = Figure(figsize=(5.0, 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for name, runs in by_method(records).items():
        values = [min(distance(run), 2.0) for run in runs]
        axes.plot(range(1, len(values) + 1), [best_of_budget(np.array(values), k).value for k in range(1, len(values) + 1)], label=name, linewidth=1)
    axes.set(xlabel="tries", ylabel="expected best sliced W1", yscale="log")
    axes.legend(fontsize=6)
    return figure


def main(argv: Sequence[str] | None = None) -> None:
    """Run what is missing, then write the table and the picture."""
    known = [arm.name for arm in arms()]
    parser = argparse.ArgumentParser(prog="python -m saddlepoint.studies.search", description="Every value function with the same search.")
    parser.add_argument("--methods", nargs="+", default=[*METHODS], metavar="ARM", help="arms of the toy study")
    parser.add_argument("--tries", type=int, default=20, help="settings that each method is given")
    parser.add_argument("--updates", type=int, default=Protocol().updates, help="moves of the generator in a run")
    parser.add_argument("--data", choices=[*DATA], default="ring8")
    parser.add_argument("--processes", type=int, default=1, help="runs at once, one thread each")
    parser.add_argument("--work", type=Path, default=Path("runs/search"), help="folder of what is finished")
    parser.add_argument("--out", type=Path, default=Path("docs/tables/search.md"), help="the table")
    parser.add_argument("--picture", type=Path, default=Path("docs/pictures/search.png"), help="the picture")
    given = parser.parse_args(argv)
    if min(given.tries, given.updates) < 1:
        raise UsageError(f"tries and updates must be at least 1; {given.tries} and {given.updates} came.")
    for name in given.methods:
        if name not in known:
            raise UsageError(f"There is no arm {name!r}. {nearest(name, known)}")

    def show(done: int, total: int, record: Record) -> None:
        sys.stderr.write(f"{done}/{total} {record['job']['arm']}, try {record['job']['seed']}: {distance(record)} in {record['cpu_sec']} CPU s\n")

    protocol = Protocol(updates=given.updates)
    wanted = jobs(given.methods, given.tries, protocol, given.data)
    records = run_missing(train_arm, wanted, given.work / "runs.jsonl", processes=given.processes, show=show)
    for path in (given.out, given.picture):
        path.parent.mkdir(parents=True, exist_ok=True)
    made = f"at commit {machine.commit() or 'unknown'} on {machine.hardware()}, one thread a run, torch {machine.versions()['torch']}"
    command = f"python -m saddlepoint.studies.search --tries {given.tries} --updates {given.updates} --data {given.data}"
    text = (
        f"Sliced Wasserstein-1 distance to {given.data} after {given.updates} moves of G, over {given.tries} tries; - left the numbers. The order is "
        f"that of the medians. Made by `{command}`, {made}.\n\n{table(records)}\n"
    )
    write_bytes(given.out, text.encode())
    picture(records).savefig(given.picture, dpi=110)


if __name__ == "__main__":
    raise SystemExit(answered(main))
