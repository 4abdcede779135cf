"""``saddlepoint encode RUN DATA --out PATH``."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from saddlepoint.cli.parsing import parse


@dataclass(frozen=True, kw_only=True)
class EncodeFlags:
    """Codes of images, with their labels where there are any.

    Attributes:
        run: the run folder.
        data: images by name or path; brought to the size that the run was trained at.
        out: .npz file to write.
        num: the first so many images; None: all.
        checkpoint: "last", "best" or a round.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    data: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="DATA")]
    out: Path
    num: int | None = None
    checkpoint: str = "last"


def run(argv: list[str]) -> int:
    """Prints what was written."""
    return look_at(argv, EncodeFlags, "encode")


def look_at(argv: list[str], flags: type[EncodeFlags], verb: str) -> int:
    """Read the flags of a verb that looks at images through a run, call its function, and print what it wrote."""
    given = parse(flags, argv, prog=f"saddlepoint {verb}")

    from saddlepoint import api

    settings = {field.name: getattr(given, field.name) for field in dataclasses.fields(given) if field.name not in ("run", "data")}
    getattr(api, verb)(given.run, given.data, **settings)
    print(given.out)
    return 0
