"""Metz et al. 2017 (arXiv:1611.02163): the ring of eight Gaussians for 0, 1, 5 and 10 unrolled steps, and as many extra steps of D instead.

    python -m saddlepoint.studies.unrolled --cpu-minutes 12 --out docs/tables/unrolled.md

The constants are those of the authors' demonstration: batch 512, 25,000 rounds. The control arms tell a generator that sees D's future from one that
plays a D trained more. All runs go on in step, one look at their samples after another, and each is saved at each look: stopped by its budget or by
force, the same command continues, and the tables and the picture are of the last look that all runs have reached.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from saddlepoint.data.sources import open_data
from saddlepoint.data.toys import ToyDataset
from saddlepoint.draws import derive_seed
from saddlepoint.errors import NotFiniteError, UsageError
from saddlepoint.evaluation.samples import draw_samples
from saddlepoint.studies.play import Kept
from saddlepoint.studies.pool import answered
from saddlepoint.studies.toyruns import SAMPLES, measure
from saddlepoint.studies.toys import cell
from saddlepoint.training import machine
from saddlepoint.training.storage import write_bytes
from saddlepoint.training.trainer import Trainer, TrainerConfig
from saddlepoint.zoo.catalogue import find_recipe

DATA = "ring8-unrolled"
ARMS = {  # name: unrolled steps, turns of D a round
    **{f"unrolled {steps}": (steps, 1) for steps in (0, 1, 5, 10)},
    **{f"not unrolled, {extra} extra steps of D": (0, 1 + extra) for extra in (5, 10)},
}
KEYS = {"modes": ("modes", "{:.0f}"), "strict_modes": ("modes, 20 each", "{:.0f}"), "high_quality": ("high quality", "{:.2f}")}
KEYS |= {"sliced_w1": ("sliced W1", "{:.3f}")}
PANELS = 8  # looks in the picture


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is asked for.

    Attributes:
        arms: keys of ``ARMS``.
        seeds: runs of each.
        rounds: of a whole run.
        every: rounds between two looks.
        settings: changes of the recipe's preset "paper".
    """

    arms: tuple[str, ...] = tuple(ARMS)
    seeds: int = 1
    rounds: int = 25_000
    every: int = 500
    settings: dict[str, Any] = field(default_factory=dict)

    def looks(self) -> list[int]:
        """Rounds after which the samples are looked at."""
        return [*range(self.every, self.rounds, self.every), self.rounds]


@dataclass
class Walk:
    """One run, at its last look.

    Attributes:
        arm: key of ``ARMS``.
        seed: of everything random in it.
        plan: it belongs to.
        folder: of its checkpoint and samples.
    """

    arm: str
    seed: int
    plan: Plan
    folder: Path

    def state(self) -> dict[str, Any]:
        """Round, looks, processor seconds, and why it ended early, as saved last."""
        saved = Kept(self.folder).state
        return {name: saved.get(name, first) for name, first in (("round", 0), ("looks", []), ("cpu_sec", 0.0), ("stopped", None))}

    def advance(self, stop: int) -> dict[str, Any]:
        """Play on to round ``stop``, look, and save; returns the state."""
        began, state, kept = time.process_time(), self.state(), Kept(self.folder)
        trainer, data = self._open()
        kept.open(trainer)
        try:
            while trainer.game.clock.round < stop:
                trainer.play_round()
            trainer.check_weights("")
        except NotFiniteError as error:
            state |= {"stopped": str(error).partition(". ")[0]}
        finally:
            trainer.close()
        points = draw_samples(trainer.game, SAMPLES, seed=self.seed).numpy()  # type: ignore[arg-type]
        state["looks"].append({"round": stop} | measure(points, data))
        state |= {"cpu_sec": round(state["cpu_sec"] + time.process_time() - began, 2)}
        kept.save(**state)
        np.save(self.samples(stop), points.astype(np.float16))
        return state | {"round": stop}

    def _open(self) -> tuple[Trainer, ToyDataset]:
        recipe, data = find_recipe("unrolled"), open_data(DATA)
        assert isinstance(data, ToyDataset)
        steps, d_steps = ARMS[self.arm]
        changes = {"unroll_steps": steps, "d_steps": d_steps, "rounds": self.plan.rounds} | self.plan.settings
        config = dataclasses.replace(recipe.preset("paper"), **changes)
        torch.manual_seed(derive_seed(self.seed, "initialisation"))
        game = recipe.game(config, data)
        return Trainer(game, data, TrainerConfig(seed=self.seed, batch=config.batch, horizon=config.rounds)), data

    def samples(self, round: int) -> Path:
        """File of the samples after a round."""
        return self.folder / f"samples-{round:06d}.npy"


def walks(plan: Plan, work: Path) -> list[Walk]:
    """Every run of the plan, all arms before the next seed."""
    settings = "".join(f"-{name}-{value}" for name, value in plan.settings.items())
    folders = {arm: work / f"{arm.replace(',', '').replace(' ', '-')}{settings}" for arm in plan.arms}
    return [Walk(arm, seed, plan, folders[arm] / str(seed)) for seed in range(plan.seeds) for arm in plan.arms]


def play(plan: Plan, work: Path, *, cpu_minutes: float | None = None) -> list[tuple[Walk, dict[str, Any]]]:
    """Take all runs on in step, until the end or until this process has spent its minutes.

    Args:
        plan: what is asked for.
        work: folder of what is finished.
        cpu_minutes: of the processor, counted from the start of the process; the look under way is finished.
    Returns:
        Each run and its state.
    """
    states = [(walk, walk.state()) for walk in walks(plan, work)]
    for stop in plan.looks():
        for index, (walk, state) in enumerate(states):
            if state["stopped"] or state["round"] >= stop:
                continue
            if cpu_minutes is not None and time.process_time() >= 60 * cpu_minutes:
                return states
            states[index] = walk, walk.advance(stop)
            sys.stderr.write(f"{walk.arm}, seed {walk.seed}: {states[index][1]['looks'][-1]}\n")
    return states


def reached(states: Sequence[tuple[Walk, dict[str, Any]]]) -> int:
    """The last round that every run has been looked at after; those that left the numbers do not count."""
    return min((state["round"] for _, state in states if not state["stopped"]), default=0)


def look_at(state: dict[str, Any], round: int) -> dict[str, Any]:
    """The look after a round; a run that ended before has captured nothing."""
    gone = {"modes": 0, "strict_modes": 0, "high_quality": 0.0, "sliced_w1": None}
    ended = state["stopped"] and round >= state["round"]
    return gone if ended else next(look for look in state["looks"] if look["round"] == round)


def table(states: Sequence[tuple[Walk, dict[str, Any]]]) -> str:
    """Modes, quality and distance at the last common look, the modes on the way there, and what a round costs."""
    last = reached(states)
    plan = states[0][0].plan
    way = [round for round in plan.looks() if round <= last]
    way = [way[min(len(way) - 1, (index + 1) * len(way) // 4)] for index in range(3)] if len(way) > 4 else way[:-1]
    headings = [heading for heading, _ in KEYS.values()] + [f"modes, 20 each, after {round:,}" for round in way]
    lines = ["| arm | seeds | " + " | ".join([*headings, "ms a round"]) + " |", "|" + " --- |" * (len(headings) + 3)]
    for arm in plan.arms:
        runs = [state for walk, state in states if walk.arm == arm]
        cells = [cell([look_at(run, last)[key] for run in runs], form) for key, (_, form) in KEYS.items()]
        cells += [cell([look_at(run, round)["strict_modes"] for run in runs], "{:.0f}") for round in way]
        cost = cell([1000 * run["cpu_sec"] / run["round"] for run in runs], "{:.0f}")
        lines.append(f"| {arm} | {len(runs)} | " + " | ".join([*cells, cost]) + " |")
    return "\n".join(lines)


def page(states: Sequence[tuple[Walk, dict[str, Any]]], command: str) -> str:
    """The table with the protocol that it was made under."""
    plan, last = states[0][0].plan, reached(states)
    batch = plan.settings.get("batch", find_recipe("unrolled").preset("paper").batch)
    made = f"at commit {machine.commit() or 'unknown'} on {machine.hardware()}, one thread, torch {machine.versions()['torch']}"
    return (
        f"{last:,} rounds of {plan.rounds:,}, batch {batch}; the demonstration has 25,000 of 512. {SAMPLES} samples; a mode is captured by one "
        "sample within three deviations, in the stricter count by 20; median (least to most) where there are seeds. The seconds are the processor's "
        "own.\n\n"
        f"Made by `{command}`, {made}.\n\n{table(states)}\n"
    )


def picture(states: Sequence[tuple[Walk, dict[str, Any]]]) -> Figure:
    """Samples of the first seed, an arm a line, over the rounds."""
    last, plan = reached(states), states[0][0].plan
    looks = [round for round in plan.looks() if round <= last]
    shown = [looks[index * (len(looks) - 1) // max(1, PANELS - 1)] for index in range(PANELS)] if len(looks) > PANELS else looks
    firsts = [walk for walk, _ in states if walk.seed == 0]
    data = open_data(DATA)
    assert isinstance(data, ToyDataset) and data.centers is not None
    figure = Figure(figsize=(1.3 * len(shown) + 1, 1.3 * len(firsts)), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(firsts), len(shown), squeeze=False)
    for row, walk in enumerate(firsts):
        for column, round in enumerate(shown):
            axes = grid[row, column]
            axes.set(xlim=(-3.2, 3.2), ylim=(-3.2, 3.2), xticks=[], yticks=[], aspect="equal")
            axes.plot(*data.centers.T.tolist(), "+", color="0.6", markersize=5)
            if walk.samples(round).exists():
                axes.plot(*np.load(walk.samples(round)).astype(np.float32).T, ".", markersize=1, color="tab:blue", alpha=0.25)
            if row == 0:
                axes.set_title(f"{round:,}", fontsize=7)
        grid[row, 0].set_ylabel(walk.arm.replace(", ", ",\n"), fontsize=6)
    return figure


def main(argv: Sequence[str] | None = None) -> None:
    """Take the runs on, then write the table and the picture."""
    whole = Plan()
    parser = argparse.ArgumentParser(prog="python -m saddlepoint.studies.unrolled", description="Unrolled steps on the ring.")
    parser.add_argument("--arms", nargs="+", choices=[*ARMS], default=[*ARMS], metavar="ARM", help="; ".join(ARMS))
    parser.add_argument("--seeds", type=int, default=whole.seeds, help="runs of each arm")
    parser.add_argument("--rounds", type=int, default=whole.rounds, help="of a whole run")
    parser.add_argument("--every", type=int, default=whole.every, help="rounds between two looks; each run is saved at each")
    parser.add_argument("--batch", type=int, default=None, help="512 in the demonstration")
    parser.add_argument("--cpu-minutes", type=float, default=None, help="of the processor in this sitting; none: to the end")
    parser.add_argument("--work", type=Path, default=Path("runs/unrolled"), help="folder of what is finished")
    parser.add_argument("--out", type=Path, default=Path("docs/tables/unrolled.md"), help="the table")
    parser.add_argument("--picture", type=Path, default=Path("docs/pictures/unrolled.png"), help="the picture")
    given = parser.parse_args(argv)
    if min(given.seeds, given.rounds, given.every) < 1:
        raise UsageError(f"seeds, rounds and every must be at least 1; {given.seeds}, {given.rounds} and {given.every} came.")
    settings = {} if given.batch is None else {"batch": given.batch}
    plan = Plan(arms=tuple(given.arms), seeds=given.seeds, rounds=given.rounds, every=min(given.every, given.rounds), settings=settings)
    states = play(plan, given.work, cpu_minutes=given.cpu_minutes)
    if not reached(states):
        raise UsageError(f"No look was reached by all runs in {given.cpu_minutes} minutes. The same command continues; give it more.")
    for path in (given.out, given.picture):
        path.parent.mkdir(parents=True, exist_ok=True)
    asked = [f"--seeds {plan.seeds}", *(f"--{name} {value}" for name, value in settings.items())]
    asked += ["--arms " + " ".join(f'"{arm}"' for arm in plan.arms)] * (plan.arms != whole.arms)
    asked += [f"--rounds {plan.rounds}"] * (plan.rounds != whole.rounds)
    write_bytes(given.out, page(states, " ".join(["python -m saddlepoint.studies.unrolled", *asked])).encode())
    picture(states).savefig(given.picture, dpi=110)


if __name__ == "__main__":
    raise SystemExit(answered(main))
