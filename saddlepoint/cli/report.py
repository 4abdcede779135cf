"""``saddlepoint report RUN``: one page for a browser from a run folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from saddlepoint.cli.parsing import parse


@dataclass(frozen=True, kw_only=True)
class ReportFlags:
    """Make report.html in a run folder: samples over time, losses, scores, health, nearest real images; it needs no network.

    Attributes:
        run: the run folder.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]


def run(argv: list[str]) -> int:
    """Report; prints where the page is."""
    given = parse(ReportFlags, argv, prog="saddlepoint report")

    from saddlepoint import api

    print(api.report(given.run))
    return 0
