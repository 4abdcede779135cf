"""``saddlepoint sample RUN --num N --out PATH``: draw samples from a run."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from saddlepoint.cli.parsing import parse


@dataclass(frozen=True, kw_only=True)
class SampleFlags:
    """Draw samples from a run; sample i depends on the seed and on i alone.

    Attributes:
        run: the run folder.
        out: what to write: a .png file (one grid), a .npy or .npz file, a folder for one PNG file a sample, or a .gif file (a walk through the
            latents, ``num`` samples side by side). Volumes: a .png file of pictures, .npy, .npz, .obj, .stl, .ply, .glb, or a folder of .obj files.
            Sequences: .txt, .npy or .npz; tunes also .abc, .mid or .musicxml; letters of DNA also .fasta.
        num: how many samples.
        seed: of the latents.
        checkpoint: "last", "best" or a round.
        label: class of all samples, by name or number, for conditional recipes; "each": ``num`` samples of every class, a row each (.png), a folder
            each, or with labels (.npz); None draws classes too.
        truncation: psi of a generator with styles (0.7, say), otherwise the largest size of the latents' numbers; smaller is less variety.
        caption: what all samples are to show ("a red heart"); two captions give the way from one to the other in ``num`` steps.
        floats: an array of floats in [-1, 1] as the generator makes them, in place of bytes; for data of more than 8 bits.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    out: Path
    num: int = 64
    seed: int = 0
    checkpoint: str = "last"
    label: str | None = None
    truncation: float | None = None
    caption: tuple[str, ...] = ()
    floats: bool = False


def run(argv: list[str]) -> int:
    """Sample; prints where the samples are."""
    given = parse(SampleFlags, argv, prog="saddlepoint sample")

    from saddlepoint import api

    settings = {field.name: getattr(given, field.name) for field in dataclasses.fields(given) if field.name != "run"}
    api.sample(given.run, **settings)
    print(given.out)
    return 0
