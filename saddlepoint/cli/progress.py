"""What training says while it goes on: losses, speed, scores and health, on standard error."""

from __future__ import annotations

import contextlib
import logging
import os
from typing import Any, Self

import rich.console
import rich.progress


class Progress:
    """Shows the records of a run: on a terminal as a bar under the scores, elsewhere each as a line of its own.

    Of several processes the first speaks.
    """

    def __init__(self) -> None:
        self.speaks = os.environ.get("RANK", "0") == "0"
        self.bar = rich.progress.Progress(
            rich.progress.BarColumn(20),
            rich.progress.TaskProgressColumn(),
            rich.progress.TextColumn("{task.description}"),
            console=rich.console.Console(stderr=True, highlight=False),
        )
        self.terminal = self.bar.console.is_terminal
        self.task: rich.progress.TaskID | None = None

    def __enter__(self) -> Self:
        logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # its banners are not about the run
        return self

    def __exit__(self, *error: object) -> None:
        if self.task is not None:
            self.bar.stop()

    def show(self, record: dict[str, Any]) -> None:
        """Show a log record, a score or a finding of the health monitor."""
        if not self.speaks:
            return
        if not self.terminal or "metric" in record or "message" in record:
            with contextlib.suppress(BrokenPipeError):  # nobody reads any more: train on
                self.bar.console.print(line(record), markup=False, soft_wrap=True)
            return
        if self.task is None:
            self.bar.start()
            self.task = self.bar.add_task("", total=1.0)
        elapsed, left = record.get("elapsed_sec", 0.0), record.get("left_sec", 0.0)
        self.bar.update(self.task, completed=elapsed / max(elapsed + left, 1e-9), description=line(record), refresh=True)


def line(record: dict[str, Any]) -> str:
    """A record as a line.

    >>> line({"round": 20, "images_seen": 1280, "discriminator/adversarial": 1.25, "elapsed_sec": 61.2, "left_sec": 5.0})
    'round 20 | 1.3 kimg | D adversarial 1.25 | 0:01:01 | 0:00:05 left'
    >>> line({"round": 20, "images_seen": 1280, "metric": "quick_frechet", "quick_frechet": 12.345, "floor": {"quick_frechet": 0.5}})
    'round 20 | 1.3 kimg | quick_frechet 12.35 (real against real 0.5)'
    >>> line({"round": 20, "kind": "collapse", "message": "All samples look alike."})
    'round 20 | collapse: All samples look alike.'
    """
    parts = [f"round {record['round']}"]
    if record.get("kind") == "note":
        return str(record["message"])
    if "message" in record:
        return f"{parts[0]} | {record['kind']}: {record['message']}"
    if "images_seen" in record:
        parts.append(f"{record['images_seen'] / 1000:.1f} kimg")
    known = ("round", "images_seen", "images_per_sec", "elapsed_sec", "left_sec")
    floor = record.get("floor") or {}
    for name, value in record.items():
        if name not in known and isinstance(value, float) and not name.startswith("spectrum/"):  # a value a layer: for the report
            beside = f" (real against real {floor[name]:.4g})" if name in floor else ""
            parts.append(f"{name.replace('discriminator/', 'D ').replace('generator/', 'G ')} {value:.4g}{beside}")
    if "images_per_sec" in record:
        parts.append(f"{record['images_per_sec']:.0f} images/s")
    parts += [clock(record[name]) + said for name, said in (("elapsed_sec", ""), ("left_sec", " left")) if record.get(name) is not None]
    return " | ".join(parts)


def clock(seconds: float) -> str:
    """Seconds as hours:minutes:seconds.

    >>> clock(3661.7)
    '1:01:01'
    """
    return f"{int(seconds) // 3600}:{int(seconds) // 60 % 60:02d}:{int(seconds) % 60:02d}"
