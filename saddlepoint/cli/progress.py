"""What training says while it goes on: losses, speed, scores and health, on standard error."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any, Self


class Progress:
    """Shows the records of a run: on a terminal the losses rewrite their line, elsewhere each is a line of its own.

    Of several processes the first speaks.
    """

    def __init__(self) -> None:
        self.speaks = os.environ.get("RANK", "0") == "0"
        self.terminal = sys.stderr.isatty()
        self.open_line = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self.open_line:
            self._write("\n")

    def show(self, record: dict[str, Any]) -> None:
        """Show a log record, a score or a finding of the health monitor."""
        if not self.speaks:
            return
        lasting = "metric" in record or "message" in record
        if self.terminal:
            self._write("\r\x1b[2K" + line(record) + ("\n" if lasting else ""))
            self.open_line = not lasting
        else:
            self._write(line(record) + "\n")

    def _write(self, text: str) -> None:
        with contextlib.suppress(BrokenPipeError):  # nobody reads any more: train on
            sys.stderr.write(text)
            sys.stderr.flush()


def line(record: dict[str, Any]) -> str:
    """A record as a line.

    >>> line({"round": 20, "images_seen": 1280, "discriminator/adversarial": 1.25, "elapsed_sec": 61.2, "images_per_sec": 640.0})
    'round 20 | 1.3 kimg | discriminator/adversarial 1.25 | 640 images/s | 0:01:01'
    >>> line({"round": 20, "images_seen": 1280, "metric": "quick_frechet", "quick_frechet": 12.345, "floor": 0.5})
    'round 20 | 1.3 kimg | quick_frechet 12.35 | floor 0.5'
    >>> line({"round": 20, "kind": "collapse", "message": "All samples look alike."})
    'round 20 | collapse: All samples look alike.'
    """
    parts = [f"round {record['round']}"]
    if "message" in record:
        return f"{parts[0]} | {record['kind']}: {record['message']}"
    if "images_seen" in record:
        parts.append(f"{record['images_seen'] / 1000:.1f} kimg")
    known = ("round", "images_seen", "images_per_sec", "elapsed_sec")
    parts += [f"{name} {value:.4g}" for name, value in record.items() if name not in known and isinstance(value, float)]
    if "images_per_sec" in record:
        parts.append(f"{record['images_per_sec']:.0f} images/s")
    if "elapsed_sec" in record:
        minutes, seconds = divmod(int(record["elapsed_sec"]), 60)
        parts.append(f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}")
    return " | ".join(parts)
