"""SIGINT and SIGTERM as a wish to stop after the round."""

from __future__ import annotations

import signal
import time
from types import FrameType
from typing import Any, Self

REPEAT_SEC = 1.0  # the same request may come twice, as from timeout(1), which signals a process and then its whole group


class StopWish:
    """While inside, SIGINT and SIGTERM only set :attr:`number`; another one a second later or more ends the process at once.

    Attributes:
        number: of the first signal that came; 0 before.
    """

    def __init__(self) -> None:
        self.number = 0
        self._since = 0.0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        try:
            self._before = {number: signal.signal(number, self._wish) for number in (signal.SIGINT, signal.SIGTERM)}
        except ValueError:  # not in the main thread: the caller handles signals
            self._before = {}
        return self

    def _wish(self, number: int, frame: FrameType | None) -> None:
        if not self.number:
            self.number, self._since = number, time.monotonic()
        elif time.monotonic() - self._since >= REPEAT_SEC:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
