"""``saddlepoint resume RUN``: go on with a run as if it had never stopped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from saddlepoint.cli.launch import is_worker, launch
from saddlepoint.cli.parsing import parse, take
from saddlepoint.cli.progress import Progress


@dataclass(frozen=True, kw_only=True)
class ResumeFlags:
    """Go on with a run as if it had never stopped.

    Attributes:
        run: the run folder.
        checkpoint: "last", "best" or a round; what came after it is dropped.
        steps: a new end in rounds; at most one of steps, minutes and kimg, none of them keeps the old end.
        minutes: a new end in minutes of all sittings together.
        kimg: a new end in thousands of real images of all sittings together.
        device: where to compute.
        processes: on this machine, each with its share of every batch.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    checkpoint: str = "last"
    steps: int | None = None
    minutes: float | None = None
    kimg: float | None = None
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    processes: int = 1


def run(argv: list[str]) -> int:
    """Resume; prints the run folder."""
    given = parse(ResumeFlags, argv, prog="saddlepoint resume")
    if given.processes != 1 and not is_worker():
        from saddlepoint.training.run import Run

        Run.open(given.run)  # what is no run is refused once, not by each process
        return launch(["resume", *take(argv, "--processes")[1]], given.processes)

    from saddlepoint import api

    with Progress() as progress:
        done = api.resume(
            given.run, checkpoint=given.checkpoint, steps=given.steps, minutes=given.minutes, kimg=given.kimg, device=given.device, show=progress.show
        )
    if progress.speaks:
        print(done.folder)
    return 0
