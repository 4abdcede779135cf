"""``saddlepoint info [RUN]``: where a run stands; without one, the versions and devices of this installation."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from saddlepoint.cli.parsing import parse


@dataclass(frozen=True, kw_only=True)
class InfoFlags:
    """Where a run stands: its settings, checkpoints, last losses and scores; without a run, versions and devices.

    Attributes:
        run: the run folder.
        json: print JSON.
    """

    run: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")] = None
    json: bool = False


def run(argv: list[str]) -> int:
    """Inform; as lines or as JSON."""
    given = parse(InfoFlags, argv, prog="saddlepoint info")

    from saddlepoint import api
    from saddlepoint.training import machine

    facts = {"versions": machine.versions(), "hardware": machine.hardware()} if given.run is None else api.info(given.run)
    print(json.dumps(facts, indent=2) if given.json else "\n".join(lines(facts)))
    return 0


def lines(facts: dict[str, Any], indent: str = "") -> list[str]:
    """Facts as indented lines, one a leaf.

    >>> lines({"recipe": "dcgan", "config": {"kind": "C", "batch": 64}, "checkpoints": [10, 20]})
    ['recipe: dcgan', 'config:', '  kind: C', '  batch: 64', 'checkpoints: 10, 20']
    """
    shown = []
    for name, value in facts.items():
        if isinstance(value, dict):
            shown += [f"{indent}{name}:", *lines(value, indent + "  ")]
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            shown += [f"{indent}{name}:"] + [f"{indent}  {', '.join(f'{key} {inner}' for key, inner in entry.items())}" for entry in value]
        else:
            shown.append(f"{indent}{name}: {', '.join(map(str, value)) if isinstance(value, list) else value}")
    return shown
