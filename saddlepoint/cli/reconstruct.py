"""``saddlepoint reconstruct RUN DATA --out PATH``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from saddlepoint.cli.encode import EncodeFlags, look_at


@dataclass(frozen=True, kw_only=True)
class ReconstructFlags(EncodeFlags):
    """Images made again from what a run understands of them.

    Attributes:
        out: .png file (each image beside its reconstruction) or .npz file to write.
    """

    out: Path


def run(argv: list[str]) -> int:
    """Prints what was written."""
    return look_at(argv, ReconstructFlags, "reconstruct")
