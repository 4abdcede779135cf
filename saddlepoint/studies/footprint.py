"""Peak memory of a recipe's rounds, measured in a process of its own: ``python -m saddlepoint.studies.footprint JSON``."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil

from saddlepoint.errors import SaddlepointError

ROUNDS = 2
STATUS = Path("/proc/self/status")


def measure(case: dict[str, Any], threads: int) -> dict[str, int]:
    """Play two rounds in a new process.

    Args:
        case: the arguments of :func:`saddlepoint.studies.case.open_case`.
        threads: that torch computes with there.
    Returns:
        Bytes: "peak" of the whole process, interpreter and libraries included; "before", what it held just before its first round.
    """
    command = [sys.executable, "-m", "saddlepoint.studies.footprint", json.dumps(case | {"threads": threads})]
    answer = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": str(threads)})
    if answer.returncode:
        reason = (answer.stderr.strip().splitlines() or ["no message"])[-1]
        raise SaddlepointError(f"The process that measures memory ended with {answer.returncode}: {reason}.")
    found: dict[str, int] = json.loads(answer.stdout.splitlines()[-1])
    return found


def peak_bytes() -> int:
    """Most memory this process ever held, in bytes.

    Linux's own count starts anew with the program; what ``getrusage`` says there may be that of the process it was started from.
    """
    if STATUS.exists():
        for line in STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def main(argv: list[str]) -> None:
    """Measure here and write the answer to standard output."""
    import torch

    from saddlepoint.studies.case import open_case, start

    case = json.loads(argv[0])
    torch.set_num_threads(case.pop("threads"))
    trainer = start(open_case(**case))
    before = psutil.Process().memory_info().rss
    try:
        for _ in range(ROUNDS):
            trainer.play_round()
    finally:
        trainer.close()
    sys.stdout.write(json.dumps({"peak": peak_bytes(), "before": before}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
