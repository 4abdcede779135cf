"""Many runs in parallel processes, one JSON line a finished run: interrupted, the same command continues where it was."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import torch

from saddlepoint.errors import SaddlepointError
from saddlepoint.training.storage import append_line, drop_cut_line, read_lines, write_bytes

Job = dict[str, Any]
Record = dict[str, Any]


def run_missing(
    work: Callable[[Job], Record], jobs: Sequence[Job], path: Path, *, processes: int = 1, show: Callable[[int, int, Record], None] | None = None
) -> list[Record]:
    """Do every job that is not on file yet.

    Args:
        work: a function of a module, so that another process can find it; job -> what is to be kept, plain JSON.
        jobs: plain JSON values, everything that the outcome depends on.
        path: of the file; a line {"job": ..., ...} for each finished job. A line that a crash cut off is dropped. Several commands may share it.
        processes: at once, each computing in one thread; 1: in this process.
        show: called with (done, all, record) after each.
    Returns:
        The records of ``jobs``, in their order, whenever they were made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    drop_cut_line(path)
    known = {_key(record["job"]): record for record in read_lines(path)}
    missing = [job for job in jobs if _key(job) not in known]
    for job, result in _results(work, missing, processes):
        record = {"job": job} | result
        append_line(path, record)
        known[_key(job)] = record
        if show is not None:
            show(sum(_key(each) in known for each in jobs), len(jobs), record)
    return [known[_key(job)] for job in jobs]


def write_text(text: str, out: Path | None) -> None:
    """Write a study's table to a file, or to the screen where none is named."""
    if out is None:
        sys.stdout.write(text)
    else:
        write_bytes(out, text.encode())


def answered(main: Callable[[], int | None]) -> int:
    """The exit status of a study's command; what a user did wrong is said in one line."""
    try:
        return main() or 0
    except SaddlepointError as error:
        sys.stderr.write(f"saddlepoint: error: {error}\n")
        return error.exit_code


def at_least_one(text: str) -> int:
    """A flag's whole number from 1 on."""
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"a whole number from 1 on is needed; {text} came")
    return int(text)


def _results(work: Callable[[Job], Record], jobs: Sequence[Job], processes: int) -> Iterator[tuple[Job, Record]]:
    if processes == 1 or len(jobs) < 2:
        for job in jobs:
            yield job, work(job)
        return
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        waiting = {pool.submit(work, job): job for job in jobs}
        try:
            for future in as_completed(waiting):
                yield waiting[future], future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _key(job: Job) -> str:
    return json.dumps(job, sort_keys=True)
