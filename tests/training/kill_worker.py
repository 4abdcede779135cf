"""What a child of the tests does: train, or resume what is there; with ``die_at``, kill itself at that call of a function that changes the disk.

Run by runpy with the globals ``folder``, ``case``, ``plan``, ``die_at`` and ``counted``.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from saddlepoint import api

calls = 0


def die_at_call(number: int | None) -> None:
    """Count the calls of os.fsync, os.replace, os.rename and shutil.rmtree together; at the ``number``-th, kill this process."""

    def deadly(function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **keywords: Any) -> Any:
            global calls
            calls += 1
            if calls == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **keywords)

        return wrapped

    for name in ("fsync", "replace", "rename"):
        setattr(os, name, deadly(getattr(os, name)))
    shutil.rmtree = deadly(shutil.rmtree)  # type: ignore[assignment]


if __name__ == "__main__":
    torch.set_num_threads(1)
    given: dict[str, Any] = globals()
    die_at_call(given["die_at"])
    if (Path(given["folder"]) / "run.json").exists():
        api.resume(given["folder"])
    else:  # killed before the run was described: there is nothing to resume
        api.train(out=given["folder"], plan=given["plan"], **given["case"])
    if given["counted"]:
        Path(given["counted"]).write_text(str(calls))
