"""``saddlepoint export RUN --format onnx|torch|safetensors|hub``: a run's generator for other programs."""

from __future__ import annotations

import dataclasses
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
        format: onnx, for onnxruntime and others; torch, a program that PyTorch runs without this package; safetensors, the weights by name; hub, a
            folder with all weights, description, samples and a card that carries the scores and their protocols.
        out: file or folder to write; None: in RUN/exports.
        checkpoint: "last", "best" or a round.
        truncation: psi of a generator with styles (0.7, say), fixed in the file.
        push: USER/NAME on the Hugging Face hub, where the folder of the format hub is uploaded too.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    format: Literal["onnx", "torch", "safetensors", "hub"] = "onnx"
    out: Path | None = None
    checkpoint: str = "last"
    truncation: float | None = None
    push: str | None = None


def run(argv: list[str]) -> int:
    """Export; prints the file."""
    given = parse(ExportFlags, argv, prog="saddlepoint export")

    from saddlepoint import api

    settings = {field.name: getattr(given, field.name) for field in dataclasses.fields(given) if field.name != "run"}
    print(api.export(given.run, **settings))
    return 0
