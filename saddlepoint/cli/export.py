"""``saddlepoint export RUN --format onnx|torch|safetensors``: a run's generator for other programs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from saddlepoint.cli.parsing import parse


@dataclass(frozen=True, kw_only=True)
class ExportFlags:
    """Write a run's generator for other programs; beside the file, a .json file says what goes in and comes out.

    Attributes:
        run: the run folder.
        format: onnx, for onnxruntime and others; torch, a program that PyTorch runs without this package; safetensors, the weights by name.
        out: file to write; None: RUN/exports/generator with the format's ending.
        checkpoint: "last", "best" or a round.
        truncation: psi of a generator with styles (0.7, say), fixed in the file.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    format: Literal["onnx", "torch", "safetensors"] = "onnx"
    out: Path | None = None
    checkpoint: str = "last"
    truncation: float | None = None


def run(argv: list[str]) -> int:
    """Export; prints the file."""
    given = parse(ExportFlags, argv, prog="saddlepoint export")

    from saddlepoint import api

    print(api.export(given.run, format=given.format, out=given.out, checkpoint=given.checkpoint, truncation=given.truncation))
    return 0
