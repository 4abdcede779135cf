"""What may look on while a run is trained, as the session sees it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol


class Scorer(Protocol):
    """Gives the quick score of the game as it is."""

    @property
    def metric(self) -> str:
        """Name of the score that the best checkpoint is chosen by."""
        ...

    def score(self, round: int, images_seen: int) -> dict[str, Any]:
        """Values, floor and protocol; lower ``metric`` is better."""
        ...


class Monitor(Protocol):
    """Reads log records and scores, and says what is wrong in plain words."""

    def feed(self, record: dict[str, Any]) -> list[Any]:
        """Take a record; returns findings with ``kind`` and ``message``."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """State to be saved, plain JSON."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        ...


@dataclass
class Watchers:
    """What looks on while training: each may be None."""

    preview: Callable[[int], None] | None = None
    scorer: Scorer | None = None
    monitor: Monitor | None = None
    show: Callable[[dict[str, Any]], None] | None = None
