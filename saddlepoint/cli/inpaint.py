"""``saddlepoint inpaint RUN IN OUT``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from saddlepoint.cli.parsing import parse


@dataclass(frozen=True, kw_only=True)
class InpaintFlags:
    """Holes in images of any size, filled; what is known stays as it is.

    Attributes:
        run: the run folder.
        source: an image file, a folder of them, or - for one image on the standard input.
        out: the file to write, or the folder to write a file of the same name into for each; - for the standard output.
        mask: image of the same size, white where the image is to be filled; left out: the middle, as in training.
        sheet: write the image with its hole, and filled, side by side.
        checkpoint: "last", "best" or a round.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    source: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="IN")]
    out: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="OUT")]
    mask: Path | None = None
    sheet: bool = False
    checkpoint: str = "last"


def run(argv: list[str]) -> int:
    """Prints what was written."""
    given = parse(InpaintFlags, argv, prog="saddlepoint inpaint")

    from saddlepoint import api

    written = api.inpaint(given.run, given.source, given.out, mask=given.mask, sheet=given.sheet, checkpoint=given.checkpoint)
    if given.out != "-":
        print(*written, sep="\n")
    return 0
