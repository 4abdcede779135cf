"""``saddlepoint import FILE --out RUN``: a run folder from a checkpoint of another code."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from saddlepoint.cli.parsing import parse


@dataclass(frozen=True, kw_only=True)
class ImportFlags:
    """Make a run folder from a checkpoint of another code; nothing that lies in the file is run.

    Attributes:
        file: a checkpoint of NVIDIA's StyleGAN2 (.pkl of the ADA and StyleGAN3 releases), rosinality's StyleGAN2, BigGAN-PyTorch, pytorch_GAN_zoo's
            ProGAN or R3GAN; or a generator or model folder that `saddlepoint export` wrote, or hf:USER/NAME of the Hugging Face hub.
        out: run folder to make; must not hold anything.
    """

    file: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")]
    out: Path


def run(argv: list[str]) -> int:
    """Import; prints the run folder."""
    given = parse(ImportFlags, argv, prog="saddlepoint import")

    from saddlepoint import api

    print(api.import_weights(given.file, given.out, show=lambda line: print(line, file=sys.stderr)).folder)
    return 0
