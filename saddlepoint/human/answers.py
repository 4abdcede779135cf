"""Answers in SQLite, each in a transaction of its own that is on the disk before the rater sees the next picture.

Write-ahead log with ``synchronous=FULL``: a killed server, or a power cut, loses no answer that was acknowledged. The first answer to a question
stands; the same sent again, as after a lost connection, changes nothing.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from saddlepoint.errors import DataError, StorageError

FILE = "answers.sqlite"
SCHEMA = """
CREATE TABLE IF NOT EXISTS raters (rater TEXT PRIMARY KEY, consented_at TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS answers (
    rater TEXT NOT NULL, trial INTEGER NOT NULL, role TEXT NOT NULL, block INTEGER NOT NULL, arms TEXT NOT NULL, images TEXT NOT NULL,
    choice TEXT NOT NULL, correct INTEGER, exposure_ms INTEGER, shown_ms REAL, response_ms REAL, answered_at TEXT NOT NULL,
    PRIMARY KEY (rater, trial)) STRICT;
"""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One row.

    Attributes:
        rater: code.
        trial: number of the question in the rater's list.
        role: "practice", "main" or "attention".
        block: of the staircase; 0 without one.
        arms: names of the arms by position, separated by a comma; empty for attention checks.
        images: their files, likewise.
        choice: what was chosen, see :func:`saddlepoint.human.trials.choices`.
        correct: 1 right, 0 wrong, None where there is no right answer.
        exposure_ms: how long the pictures were to be shown; None: until the answer.
        shown_ms: how long they were, by the browser's clock at frames; None without a limit.
        response_ms: from the first sight to the answer, by the browser's clock.
        answered_at: UTC, when the server had it.
    """

    rater: str
    trial: int
    role: str
    block: int
    arms: str
    images: str
    choice: str
    correct: int | None
    exposure_ms: int | None
    shown_ms: float | None
    response_ms: float | None
    answered_at: str


class AnswerStore:
    """The answers of a study; may be used from several threads, and by several processes on one machine."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._lock = threading.Lock()
        with self._refusals():
            self._connection = sqlite3.connect(self.path, check_same_thread=False, timeout=30, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=FULL")
            self._connection.executescript(SCHEMA)

    def consent(self, rater: str) -> None:
        """Remember that a rater agreed; once."""
        with self._lock, self._refusals():
            self._connection.execute("INSERT OR IGNORE INTO raters VALUES (?, ?)", (rater, now()))

    def has_consented(self, rater: str) -> bool:
        """Whether a rater agreed."""
        with self._lock, self._refusals():
            return self._connection.execute("SELECT 1 FROM raters WHERE rater = ?", (rater,)).fetchone() is not None

    def add(self, answer: Answer) -> bool:
        """Store an answer; it is on the disk when this returns. False if the question had one already, which stands."""
        fields = asdict(answer)
        marks = ", ".join(f":{name}" for name in fields)
        with self._lock, self._refusals():
            cursor = self._connection.execute(f"INSERT OR IGNORE INTO answers ({', '.join(fields)}) VALUES ({marks})", fields)
            return cursor.rowcount == 1

    def answers(self, rater: str | None = None) -> list[Answer]:
        """All answers, or one rater's, by rater and number of the question."""
        where, values = ("", ()) if rater is None else (" WHERE rater = ?", (rater,))
        with self._lock, self._refusals():
            cursor = self._connection.execute(f"SELECT * FROM answers{where} ORDER BY rater, trial", values)
            names = [column[0] for column in cursor.description]
            return [Answer(**dict(zip(names, row, strict=True))) for row in cursor.fetchall()]

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    @contextlib.contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise StorageError(
                f"{self.path} cannot be read or written: {error}. Free some space or check its rights; stored answers stay."
            ) from error
        except sqlite3.DatabaseError as error:
            raise DataError(f"{self.path} is damaged or no answer file: {error}. Move it away or restore it from a copy.") from error


def read_answers(folder: Path) -> list[Answer]:
    """The answers of a study so far; none if nobody has answered."""
    if not (folder / FILE).exists():
        return []
    store = AnswerStore(folder)
    try:
        return store.answers()
    finally:
        store.close()


def now() -> str:
    """UTC, ISO 8601, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
