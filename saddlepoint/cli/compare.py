"""``saddlepoint compare A B ...``: evaluated runs beside one another, as a table and as plots."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from saddlepoint.cli.parsing import parse


@dataclass(frozen=True, kw_only=True)
class CompareFlags:
    """Put runs beside one another: their last evaluation, the best and the last of their quick scores; unlike protocols are marked, not ranked.

    Attributes:
        targets: run folders, or files that `saddlepoint evaluate --json` printed.
        out: folder for table.md, compare.json, curves.svg and precision-recall.svg; None only prints the table.
        json: print JSON.
    """

    targets: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="TARGET")]
    out: Path | None = None
    json: bool = False


def run(argv: list[str]) -> int:
    """Compare; as a table or as JSON."""
    given = parse(CompareFlags, argv, prog="saddlepoint compare")

    from saddlepoint import api

    result = api.compare(*given.targets, out=given.out)
    print(json.dumps(result, indent=2) if given.json else "\n".join(result["table"]))
    return 0
