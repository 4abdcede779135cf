"""Gulrajani et al. 2017 (arXiv:1704.00028), Figure 1a: level sets of critics whose generator stands still at the data plus noise.

    python -m saddlepoint.studies.levels --rounds 1500 --out docs/tables/levels.md

As the option of the authors' script for two-dimensional toys: fakes are the real points of the turn plus N(0, 1), the critic has three hidden layers
of 512 ReLU units, batches hold 256 points; with clipping at 0.01 it moves by RMSProp at 5e-5, with the penalty of weight 0.1 by Adam at 1e-4 (0.5,
0.9). Interrupted, the same command continues.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor, nn

from saddlepoint.data.order import Order
from saddlepoint.data.records import Batch
from saddlepoint.data.sources import open_data
from saddlepoint.draws import derive_seed
from saddlepoint.errors import UsageError
from saddlepoint.games.game import Game, Loss, Turn, turn
from saddlepoint.games.player import Adam, RMSprop
from saddlepoint.networks.mlp import MLPDiscriminator
from saddlepoint.objectives import penalties, wasserstein
from saddlepoint.studies.play import play
from saddlepoint.studies.pool import Record, answered, run_missing
from saddlepoint.studies.toys import cell
from saddlepoint.training import machine
from saddlepoint.training.storage import write_bytes

TOYS = {"ring8": "8 Gaussians", "grid25": "25 Gaussians", "swissroll": "Swiss roll"}
CONSTRAINTS = {"clipping": "weight clipping", "penalty": "gradient penalty"}
CLIP, WEIGHT, BATCH, WIDTH, ROUNDS = 0.01, 0.1, 256, 512, 1_500
SIDE, REACH, POINTS = 48, 2.2, 4_000  # the grid of the picture, its half width; points that measure the critic


class CriticAlone(Game):
    """One player: a critic against real points plus noise.

    Args:
        critic: points [n, d] -> judgement.
        constraint: key of ``CONSTRAINTS``.
    """

    def __init__(self, critic: nn.Module, constraint: str) -> None:
        super().__init__()
        self.critic, self.constraint = critic, constraint
        optimizer = Adam(lr=1e-4, beta1=0.5, beta2=0.9) if constraint == "penalty" else RMSprop(lr=5e-5)
        self.add_player("critic", [critic], optimizer, after_move=self._clip if constraint == "clipping" else None)

    @torch.no_grad()
    def _clip(self) -> None:
        for parameter in self.critic.parameters():
            parameter.clamp_(-CLIP, CLIP)

    def play(self) -> Iterator[Turn]:
        """The critic's turn."""
        yield self.critic_turn

    @turn("critic")
    def critic_turn(self, batch: Batch) -> Loss:
        """E C(x + noise) - E C(x), and the penalty on the lines between the two of a pair."""
        x_real = batch.x
        x_fake = x_real + self.draws.normal(*x_real.shape)
        real, fake = self.critic(torch.cat([x_real, x_fake])).logits.chunk(2)
        loss = Loss(adversarial=wasserstein.discriminator(real, fake).mean())
        if self.constraint == "penalty":
            between = penalties.interpolates(x_real, x_fake, self.draws.uniform(len(batch)))
            loss.add("gradient_penalty", WEIGHT * penalties.gradient_penalty(self.critic(between).logits, between).mean())
        return loss


def grid() -> Tensor:
    """Places of the picture, [SIDE * SIDE, 2]."""
    axis = torch.linspace(-REACH, REACH, SIDE)
    return torch.cartesian_prod(axis, axis).flip(1)  # rows are y, columns x


def level_run(job: dict[str, Any]) -> dict[str, Any]:
    """One critic.

    Args:
        job: "toy", "constraint", "seed", "rounds", "width".
    Returns:
        "values": C on the grid, centred, in units of its deviation there; "gap": E C(x) - E C(x + noise); "largest_slope" and "mean_slope" over
        points between the two; "cpu_sec".
    """
    data = open_data(job["toy"])
    torch.manual_seed(derive_seed(job["seed"], "initialisation"))
    critic = MLPDiscriminator((2,), width=job["width"], hidden=3)
    began = time.process_time()
    play(CriticAlone(critic, job["constraint"]), data, rounds=job["rounds"], batch=BATCH, seed=job["seed"], every=job["rounds"])
    x_real = data.records(Order(len(data), 1).indices(0, POINTS))["point"]
    rng = torch.Generator().manual_seed(derive_seed(job["seed"], "levels"))
    x_fake = x_real + torch.randn(x_real.shape, generator=rng)
    between = penalties.interpolates(x_real, x_fake, torch.rand(POINTS, generator=rng))
    (slopes,) = torch.autograd.grad(critic(between).logits.sum(), between)
    lengths = slopes.norm(dim=1)
    with torch.no_grad():
        values = critic(grid()).logits
        gap = float(critic(x_real).logits.mean() - critic(x_fake).logits.mean())
    shown = ((values - values.mean()) / values.std()).tolist()
    found = {"gap": gap, "largest_slope": float(lengths.max()), "mean_slope": float(lengths.mean())}
    return found | {"values": [round(value, 3) for value in shown], "cpu_sec": round(time.process_time() - began, 1)}


def jobs(rounds: int, seeds: int, width: int = WIDTH) -> list[dict[str, Any]]:
    """Every critic, all before the next seed."""
    return [
        {"toy": toy, "constraint": constraint, "seed": seed, "rounds": rounds, "width": width}
        for seed in range(seeds)
        for constraint in CONSTRAINTS
        for toy in TOYS
    ]


def table(records: Sequence[Record]) -> str:
    """A line a toy and constraint."""
    lines = ["| data | constraint | gap | largest slope | mean slope | gap over largest slope | CPU s |", "|" + " --- |" * 7]
    for toy, title in TOYS.items():
        for constraint, name in CONSTRAINTS.items():
            runs = [record for record in records if (record["job"]["toy"], record["job"]["constraint"]) == (toy, constraint)]
            columns = [[run[key] for run in runs] for key in ("gap", "largest_slope", "mean_slope")]
            columns.append([run["gap"] / run["largest_slope"] for run in runs])
            cells = [cell(values, "{:.3g}") for values in columns] + [cell([run["cpu_sec"] for run in runs], "{:.0f}")]
            lines.append(f"| {title} | {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def picture(records: Sequence[Record]) -> Figure:
    """Level sets of the first seed, a line a constraint; real points on top."""
    figure = Figure(figsize=(2.4 * len(TOYS), 2.4 * len(CONSTRAINTS)), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(CONSTRAINTS), len(TOYS), squeeze=False)
    axis = np.linspace(-REACH, REACH, SIDE)
    for record in records:
        job = record["job"]
        if job["seed"]:
            continue
        axes = panels[[*CONSTRAINTS].index(job["constraint"]), [*TOYS].index(job["toy"])]
        axes.contour(axis, axis, np.array(record["values"]).reshape(SIDE, SIDE), levels=20, linewidths=0.7, cmap="viridis")
        points = open_data(job["toy"]).records(torch.arange(0, 1_000))["point"]
        axes.plot(*points.T.tolist(), ".", markersize=1, color="tab:orange")
        axes.set(xticks=[], yticks=[], aspect="equal", xlim=(-REACH, REACH), ylim=(-REACH, REACH))
        if job["constraint"] == next(iter(CONSTRAINTS)):
            axes.set_title(TOYS[job["toy"]], fontsize=8)
        if job["toy"] == next(iter(TOYS)):
            axes.set_ylabel(CONSTRAINTS[job["constraint"]], fontsize=8)
    return figure


def main(argv: Sequence[str] | None = None) -> None:
    """Train what is missing, then write the table and the picture."""
    parser = argparse.ArgumentParser(
        prog="python -m saddlepoint.studies.levels", description="Level sets of critics of a generator that stands still."
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="moves of each critic")
    parser.add_argument("--seeds", type=int, default=1, help="critics of each kind")
    parser.add_argument("--width", type=int, default=WIDTH, help="units of a hidden layer")
    parser.add_argument("--processes", type=int, default=1, help="critics at once, one thread each")
    parser.add_argument("--work", type=Path, default=Path("runs/levels"), help="folder of what is finished")
    parser.add_argument("--out", type=Path, default=Path("docs/tables/levels.md"), help="the table")
    parser.add_argument("--picture", type=Path, default=Path("docs/pictures/levels.png"), help="the picture")
    given = parser.parse_args(argv)
    if min(given.rounds, given.seeds, given.width) < 1:
        raise UsageError(f"rounds, seeds and width must be at least 1; {given.rounds}, {given.seeds} and {given.width} came.")

    def show(done: int, total: int, record: Record) -> None:
        sys.stderr.write(f"{done}/{total} {record['job']['toy']}, {record['job']['constraint']}: {record['cpu_sec']} s\n")

    wanted = jobs(given.rounds, given.seeds, given.width)
    records = run_missing(level_run, wanted, given.work / "runs.jsonl", processes=given.processes, show=show)
    for path in (given.out, given.picture):
        path.parent.mkdir(parents=True, exist_ok=True)
    made = f"at commit {machine.commit() or 'unknown'} on {machine.hardware()}, one thread, torch {machine.versions()['torch']}"
    command = f"python -m saddlepoint.studies.levels --rounds {given.rounds} --seeds {given.seeds} --width {given.width}"
    text = (
        f"{given.rounds} moves of the critic, {given.seeds} seed(s), median (least to most). Gap: E C(x) - E C(x + noise). Slopes at {POINTS} points "
        f"on the lines between pairs. Made by `{command}`, {made}.\n\n{table(records)}\n"
    )
    write_bytes(given.out, text.encode())
    picture(records).savefig(given.picture, dpi=110)


if __name__ == "__main__":
    raise SystemExit(answered(main))
