"""``saddlepoint demo``: train on the shipped images, measure, and leave a report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from saddlepoint.cli.parsing import parse
from saddlepoint.cli.progress import Progress


@dataclass(frozen=True, kw_only=True)
class DemoFlags:
    """Train a GAN on the shipped images of clothes, and leave a report that opens in a browser.

    Attributes:
        out: run folder to make; must not hold anything.
        minutes: of training.
        seed: of everything random.
    """

    out: Path = Path("demo")
    minutes: float = 3.0
    seed: int = 0


def run(argv: list[str]) -> int:
    """Demonstrate; prints where the report is."""
    given = parse(DemoFlags, argv, prog="saddlepoint demo")

    from saddlepoint import api

    with Progress() as progress:
        page = api.demo(given.out, minutes=given.minutes, seed=given.seed, show=progress.show)
    print(f"Open {page.resolve().as_uri()} in a browser.")
    return 0
