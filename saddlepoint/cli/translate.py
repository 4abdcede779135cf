"""``saddlepoint translate RUN IN OUT``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from saddlepoint.cli.parsing import parse
from saddlepoint.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class TranslateFlags:
    """Images of any size, made of others; each comes out at the size it had.

    Attributes:
        run: the run folder.
        source: an image file, a folder of them, a video, or - for one image on the standard input.
        out: the file to write, or the folder to write a file of the same name into for each; - for the standard output.
        back: from the second domain to the first (CycleGAN).
        set: domains of the result, NAME=on or NAME=off: attributes, which stay as they are where they are not named, or one class (StarGAN).
        sheet: write input and output side by side.
        tile: images with a longer side are translated in pieces of so many pixels, which fade into one another.
        seed: of the noise, where the network has any.
        checkpoint: "last", "best" or a round.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    source: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="IN")]
    out: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="OUT")]
    back: bool = False
    set: list[str] = field(default_factory=list)
    sheet: bool = False
    tile: int = 512
    seed: int = 0
    checkpoint: str = "last"


def wishes(words: list[str]) -> dict[str, bool]:
    """NAME=on and NAME=off as a mapping.

    >>> wishes(["glasses=on", "smile=off"])
    {'glasses': True, 'smile': False}
    """
    found = {}
    for word in words:
        name, _, value = word.rpartition("=")
        if not name or value.lower() not in ("on", "off"):
            raise UsageError(f"--set takes NAME=on or NAME=off; {word!r} came.")
        found[name] = value.lower() == "on"
    return found


def run(argv: list[str]) -> int:
    """Prints what was written."""
    given = parse(TranslateFlags, argv, prog="saddlepoint translate")

    from saddlepoint import api

    written = api.translate(
        given.run,
        given.source,
        given.out,
        targets=({"back": True} if given.back else {}) | ({"set": wishes(given.set)} if given.set else {}),
        sheet=given.sheet,
        tile=given.tile,
        seed=given.seed,
        checkpoint=given.checkpoint,
    )
    if given.out != "-":
        print(*written, sep="\n")
    return 0
