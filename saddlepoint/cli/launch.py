"""``--processes N``: the same command in N processes on this machine, under torch's elastic launcher."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import uuid
from collections.abc import Sequence

from saddlepoint.errors import UsageError

SHUTDOWN_SECONDS = 600  # a round may take long, and is finished and saved before a process leaves


def is_worker() -> bool:
    """Whether this process was itself started by a launcher."""
    return "LOCAL_RANK" in os.environ


def launch(argv: Sequence[str], processes: int) -> int:
    """Run ``saddlepoint ARGV`` in several processes, and wait for them.

    SIGINT and SIGTERM are passed on once; each process finishes its round, the first saves.

    Args:
        argv: arguments of the command line, without ``--processes``.
        processes: how many, at least 1.
    Returns:
        The exit code of the process that ended first with one that is not 0, or 0.
    Raises:
        UsageError: if there cannot be so many.
    """
    if processes < 1:
        raise UsageError(f"--processes must be at least 1; it is {processes}.")
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    for module in ("agent.server.api", "multiprocessing.api"):  # the processes speak for themselves
        logging.getLogger(f"torch.distributed.elastic.{module}").setLevel(logging.CRITICAL)
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // processes)))
    with tempfile.TemporaryDirectory(prefix="saddlepoint-") as logs:
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=processes,
            run_id=uuid.uuid4().hex,
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            max_restarts=0,
            monitor_interval=0.1,
            logs_specs=DefaultLogsSpecs(log_dir=logs),
            shutdown_timeout=SHUTDOWN_SECONDS,
        )
        try:
            elastic_launch(config, sys.executable)("-m", "saddlepoint", *argv)
        except ChildFailedError as failed:
            code = failed.get_first_failure()[1].exitcode
            return code if code > 0 else 128 - code
        except SignalException as stopped:
            return 128 + int(stopped.sigval)
    return 0
