"""``saddlepoint evaluate RUN``: scores of a run, or of samples, with their floor and protocol."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from saddlepoint.cli.info import lines
from saddlepoint.cli.parsing import parse


@dataclass(frozen=True, kw_only=True)
class EvaluateFlags:
    """Score a run, or a folder or array of samples, against real data; the floor is the score of real data against real data.

    Attributes:
        target: a run folder; or a folder of images, a .npy or .npz file, or the name of a data set.
        against: real data by name or path; None means what the run was trained on.
        num: generated samples that the score takes; None means as many as its protocol takes.
        checkpoint: of a run: "last", "best" or a round.
        seed: of the latents and of the choice of real samples.
        data_root: folder of downloaded data sets.
        json: print JSON.
    """

    target: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="TARGET")]
    against: str | None = None
    num: int | None = None
    checkpoint: str = "last"
    seed: int = 0
    data_root: Path | None = None
    json: bool = False


def run(argv: list[str]) -> int:
    """Evaluate; as lines or as JSON."""
    given = parse(EvaluateFlags, argv, prog="saddlepoint evaluate")

    from saddlepoint import api

    scores = api.evaluate(given.target, against=given.against, num=given.num, checkpoint=given.checkpoint, seed=given.seed, data_root=given.data_root)
    print(json.dumps(scores, indent=2) if given.json else "\n".join(lines(scores)))
    return 0
