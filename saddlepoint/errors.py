"""The errors a user can cause or must hear of, each with its exit code; the command line prints them as one line.

Exit codes: 0 done; 1 a defect of saddlepoint itself (please report it); 2 wrong usage; 3 unusable data; 4 a loss or weight that is not finite;
5 the disk refused a write; 6 a damaged or foreign checkpoint; 7 not enough memory; 130 stopped by SIGINT and saved; 143 stopped by SIGTERM and saved.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SaddlepointError(Exception):
    """Base of all errors answered with one clear line: what was needed, what came, what to do."""

    exit_code = 1
    shared = False  #: whether the other processes of the run end with it too, so that the first alone has to say it


class UsageError(SaddlepointError, ValueError):
    """An argument or setting that cannot be used."""

    exit_code = 2


class DataError(SaddlepointError, ValueError):
    """Data that is missing, unreadable or of the wrong kind."""

    exit_code = 3


class NotFiniteError(SaddlepointError, ArithmeticError):
    """A loss or weight became infinite or NaN."""

    exit_code = 4


class StorageError(SaddlepointError, OSError):
    """The disk refused a write; what was saved before is intact."""

    exit_code = 5


class CheckpointError(SaddlepointError, ValueError):
    """A checkpoint that is truncated, altered or not one of ours."""

    exit_code = 6


class MemoryLimitError(SaddlepointError, MemoryError):
    """The batch does not fit the memory of the device."""

    exit_code = 7


class StoppedError(SaddlepointError):
    """Training was asked to stop by a signal; the round was finished and saved."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def nearest(word: str, known: Iterable[str], count: int = 3) -> str:
    """Name the known words most like ``word``, for an error line.

    >>> nearest("dcgn", ["dcgan", "wgan", "began"])
    'Nearest: dcgan, wgan, began.'
    """
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=count, cutoff=0.4)
    return f"Nearest: {', '.join(close)}." if close else f"Known: {', '.join(names)}."
