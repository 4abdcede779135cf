"""Every value function on the ring and the grid, as one table made by one command.

    python -m saddlepoint.studies.toys --seeds 5 --out docs/tables/toys.md

Interrupted, the same command continues. It leaves the table, the numbers of every run beside it (toys.json), and a picture of the run of median
distance of each arm.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from saddlepoint.data.sources import open_data
from saddlepoint.data.toys import ToyDataset
from saddlepoint.errors import UsageError, nearest
from saddlepoint.studies.pool import Record, answered, run_missing
from saddlepoint.studies.toyruns import DATA, SAMPLES, STRICT, Protocol, arms, jobs, measure, real_points, samples_name, train_arm
from saddlepoint.training import machine
from saddlepoint.training.storage import write_bytes

COLUMNS = {  # key of a measurement: its heading and format
    "modes": ("modes", "{:.0f}"),
    "strict_modes": (f"modes, {STRICT} each", "{:.0f}"),
    "high_quality": ("high quality", "{:.2f}"),
    "sliced_w1": ("sliced W1", "{:.3f}"),
}
PANELS = 10  # a row of the picture


def best_look(record: Record) -> dict[str, Any]:
    """The measurement of smallest distance on the way."""
    looks: list[dict[str, Any]] = record["looks"] or [nothing()]
    return min(looks, key=lambda look: float("inf") if look["sliced_w1"] is None else look["sliced_w1"])


def last_look(record: Record) -> dict[str, Any]:
    """The measurement at the end; a run that left the numbers has captured nothing."""
    return nothing() if record["stopped"] or not record["looks"] else record["looks"][-1]


def nothing() -> dict[str, Any]:
    """What a run is worth whose weights are not finite."""
    return {"modes": 0, "strict_modes": 0, "high_quality": 0.0, "sliced_w1": None}


def cell(values: Sequence[float | None], form: str) -> str:
    """Median, and the least and most in brackets; None, a run that left the numbers, is the worst and written as -.

    >>> cell([8, 7, 8], "{:.0f}"), cell([0.5, 0.5, 0.5], "{:.1f}")
    ('8 (7 to 8)', '0.5')
    """
    numbers = [float("inf") if value is None else float(value) for value in values]
    middle, least, most = ("-" if value == float("inf") else form.format(value) for value in (statistics.median(numbers), min(numbers), max(numbers)))
    return middle if least == most else f"{middle} ({least} to {most})"


def rank(records: Sequence[Record]) -> tuple[float, ...]:
    """Order of the table: most strict modes at the end, then most high quality, by their medians."""
    last = [last_look(record) for record in records]
    return tuple(-statistics.median(look[key] for look in last) for key in ("strict_modes", "high_quality"))


def table(records: Sequence[Record], data: str) -> str:
    """One Markdown table: a line an arm, best first; above all, real points against other real points."""
    by_arm: dict[str, list[Record]] = {}
    for record in records:
        if record["job"]["data"] == data:
            by_arm.setdefault(record["job"]["arm"], []).append(record)
    headings = [heading for heading, _ in COLUMNS.values()]
    lines = [
        "| arm | " + " | ".join([*headings, *(f"best: {heading}" for heading in headings[1:])]) + " | rounds | CPU s |",
        "|" + " --- |" * (len(headings) * 2 + 2),
    ]
    floor = [measure(real_points(toy(data), part), toy(data)) for part in range(1, 6)]
    cells = [cell([look[key] for look in floor], form) for key, (_, form) in COLUMNS.items()]
    lines.append("| *real points* | " + " | ".join([*cells, *cells[1:]]) + " | | |")
    for arm, runs in sorted(by_arm.items(), key=lambda item: rank(item[1])):
        last, best = [last_look(run) for run in runs], [best_look(run) for run in runs]
        cells = [cell([look[key] for look in last], form) for key, (_, form) in COLUMNS.items()]
        cells += [cell([look[key] for look in best], form) for key, (_, form) in [*COLUMNS.items()][1:]]
        cells += [cell([run["rounds"] for run in runs], "{:.0f}"), cell([run["cpu_sec"] for run in runs], "{:.0f}")]
        lines.append(f"| `{arm}` | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def toy(data: str) -> ToyDataset:
    """The points of a column of the study."""
    points = open_data(DATA[data])
    assert isinstance(points, ToyDataset)
    return points


def page(records: Sequence[Record], protocol: Protocol, seeds: int, data: Sequence[str], about: dict[str, Any]) -> str:
    """The tables with the protocol that they were made under."""
    stopped = [f"`{record['job']['arm']}` on {record['job']['data']}" for record in records if record["stopped"]]
    parts = [
        f"Seeds a line: {seeds}; median (least to most). {protocol.updates} updates of the generator, batch {protocol.batch}, z of "
        f"{protocol.latent_dim} numbers, three hidden ReLU layers of {protocol.width} units in G and D, Adam at {protocol.lr:g} where the "
        f"recipe's preset has one rate for both players. {SAMPLES} samples; a mode is captured by one sample within three deviations, in the "
        f"stricter count by {STRICT}. *Best* is the one of ten looks on the way with the smallest sliced Wasserstein-1 distance to {SAMPLES} real "
        f"points; everything else is of the last round. *real points*: five other sets of {SAMPLES} real points, the ceiling and the floor.",
        f"Made by `python -m saddlepoint.studies.toys --seeds {seeds} --updates {protocol.updates}{flags_of(records, data)}` at commit "
        f"{about['commit'] or 'unknown'} on {about['hardware']}, "
        f"one thread a run, torch {about['versions']['torch']}.",
    ]
    if stopped:
        parts.append(f"Weights that were no longer finite ended {len(stopped)} runs: {', '.join(sorted(set(stopped)))}.")
    parts += [f"### {name} (data hash {toy(name).spec.content_hash})\n\n{table(records, name)}" for name in data]
    return "\n\n".join(parts) + "\n"


def flags_of(records: Sequence[Record], data: Sequence[str]) -> str:
    """What of the command is not as by default: fewer mixtures, fewer arms."""
    names = [arm.name for arm in arms()]
    seen = [name for name in names if any(record["job"]["arm"] == name for record in records)]
    fewer = "" if seen == names else " --arms " + " ".join(f'"{name}"' if " " in name else name for name in seen)
    return ("" if [*data] == [*DATA] else f" --data {' '.join(data)}") + fewer


def numbers(records: Sequence[Record]) -> list[dict[str, Any]]:
    """Every run's last and best look."""
    kept = ("arm", "data", "seed")
    return [
        {name: record["job"][name] for name in kept}
        | {"last": last_look(record), "best": best_look(record)}
        | {name: record[name] for name in ("rounds", "cpu_sec", "stopped")}
        for record in records
    ]


def picture(records: Sequence[Record], samples: Path, data: Sequence[str], out: Path) -> None:
    """Scatter of the run of median distance of every arm, one panel each, all data sets below one another."""
    names = [arm.name for arm in arms() if any(record["job"]["arm"] == arm.name for record in records)]
    rows = -(-len(names) // PANELS)
    figure = Figure(figsize=(1.35 * PANELS, 1.5 * rows * len(data)), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(rows * len(data), PANELS, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for block, each in enumerate(data):
        points = toy(each)
        assert points.centers is not None
        reach = 1.35 * float(points.centers.abs().max())
        for index, name in enumerate(names):
            runs = [record for record in records if (record["job"]["arm"], record["job"]["data"]) == (name, each)]
            if not runs:
                continue
            axes = grid[block * rows + index // PANELS, index % PANELS]
            axes.scatter(*points.centers.numpy().T, s=12, color="0.8", marker="o", linewidths=0)
            path = samples / samples_name(median_run(runs)["job"])
            if path.exists():
                axes.scatter(*np.load(path).astype(np.float32).T, s=0.4, color="tab:blue", linewidths=0)
            axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
            axes.set_title(name.replace(" --", "\n--", 1), fontsize=5)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=110)


def median_run(runs: Sequence[Record]) -> Record:
    """The run of median distance at the end."""
    return sorted(runs, key=lambda run: (last_look(run)["sliced_w1"] is None, last_look(run)["sliced_w1"]))[(len(runs) - 1) // 2]


def show(done: int, total: int, record: Record) -> None:
    """A line a finished run, on standard error."""
    job, last = record["job"], last_look(record)
    sys.stderr.write(f"{done}/{total} {job['data']} {job['arm']} seed {job['seed']}: {last} in {record['cpu_sec']} CPU s\n")


def main(argv: Sequence[str] | None = None) -> None:
    """Run what is missing, then write the table, the numbers and the picture."""
    parser = argparse.ArgumentParser(prog="python -m saddlepoint.studies.toys", description="Every value function on the ring and the grid.")
    parser.add_argument("--seeds", type=int, default=5, help="runs of each arm")
    parser.add_argument("--updates", type=int, default=Protocol().updates, help="moves of the generator in a run")
    parser.add_argument("--data", nargs="+", choices=[*DATA], default=[*DATA], help="which mixtures")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="runs at once, one thread each")
    parser.add_argument("--work", type=Path, default=Path("runs/toys"), help="folder of finished runs and their samples")
    parser.add_argument("--out", type=Path, default=Path("docs/tables/toys.md"), help="the table; the numbers of every run go beside it as JSON")
    parser.add_argument("--picture", type=Path, default=Path("docs/pictures/toys.png"), help="the picture")
    parser.add_argument("--arms", nargs="+", default=None, metavar="ARM", help="lines of the table, as it writes them, in quotes; none named: all")
    given = parser.parse_args(argv)
    protocol = Protocol(updates=given.updates)
    wanted = [job for job in jobs(protocol, given.seeds, given.data) if given.arms is None or job["arm"] in given.arms]
    for name in given.arms or ():
        if name not in (known := [arm.name for arm in arms()]):
            raise UsageError(f"There is no arm {name!r}. {nearest(name, known)}")
    work = partial(train_arm, samples=given.work / "samples")
    records = run_missing(work, wanted, given.work / "runs.jsonl", processes=given.processes, show=show)
    about = {"commit": machine.commit(), "hardware": machine.hardware(), "versions": machine.versions()}
    given.out.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(given.out, page(records, protocol, given.seeds, given.data, about).encode())
    lines = ",\n".join(json.dumps(run) for run in numbers(records))  # one a run, so that a change shows
    head = json.dumps({"protocol": dataclasses.asdict(protocol)} | about)
    write_bytes(given.out.with_suffix(".json"), f'{head[:-1]}, "runs": [\n{lines}\n]}}\n'.encode())
    picture(records, given.work / "samples", given.data, given.picture)


if __name__ == "__main__":
    raise SystemExit(answered(main))
