"""Several processes are one: the same weights and log as one process with the whole batch; where one fails, all end with its error."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import multiprocessing
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from safetensors.torch import load_file

from saddlepoint.errors import UsageError
from saddlepoint.training.machine import started_by
from saddlepoint.training.together import Group

WORKER = Path(__file__).with_name("process_worker.py")
FORK = multiprocessing.get_context("forkserver")
FORK.set_forkserver_preload(["saddlepoint.api", "saddlepoint.zoo.papers"])
TOLERANCE = 1e-10  # of numbers of order one after six rounds in float64; the promise is 1e-6


@pytest.fixture(scope="module")
def worker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("process_worker", WORKER)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["process_worker"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def group() -> Group:
    return Group(Fabric(accelerator="cpu", devices=1, precision="64-true"))


@pytest.fixture(scope="module")
def one(worker: ModuleType, group: Group, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every case played by this process alone."""
    folder = tmp_path_factory.mktemp("one")
    for case in worker.CASES:
        worker.play(group, folder / case, case)
    return folder


@pytest.fixture(scope="module")
def two(worker: ModuleType, group: Group, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every case played by two processes under torchrun; and one that goes on with what one process began."""
    folder = tmp_path_factory.mktemp("two")
    worker.play(group, folder / "of one", "slopes", dataclasses.replace(worker.PLAN, steps=3))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*torchrun, str(WORKER), "all cases", str(folder)],
        capture_output=True,
        text=True,
        timeout=200,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr, done.stderr
    return folder


def last(run: Path, name: str = "game") -> dict[str, torch.Tensor]:
    return load_file(run / "checkpoints" / "round-00000006" / f"{name}.safetensors")


def largest_difference(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> float:
    assert a.keys() == b.keys()
    assert any(value.dtype == torch.float64 for value in a.values())
    return max((a[name].double() - b[name].double()).abs().max().item() for name in a)


def log(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("case", ["slopes", "penalty", "memories", "codes"])
def test_two_processes_are_one_with_the_whole_batch(case: str, one: Path, two: Path) -> None:
    assert largest_difference(last(one / case), last(two / case)) < TOLERANCE
    if case != "codes":  # plain gradient descent remembers nothing
        assert largest_difference(last(one / case, "optimizers"), last(two / case, "optimizers")) < TOLERANCE
    ours, theirs = log(one / case), log(two / case)
    assert len(ours) == len(theirs) == 6
    for mine, other in zip(ours, theirs, strict=True):
        assert mine == pytest.approx(other, abs=1e-9, rel=1e-9)


@pytest.mark.parametrize("case", ["slopes", "penalty", "memories", "batch norm", "codes"])
def test_every_process_holds_the_same_state(case: str, two: Path) -> None:
    assert (two / case / "process-0.digest").read_text() == (two / case / "process-1.digest").read_text()


def test_batch_statistics_are_of_each_share_and_averaged(one: Path, two: Path) -> None:
    """As documented: batch norm sees its process's share, so results differ; running statistics are the mean over the processes."""
    ours, theirs = last(one / "batch norm"), last(two / "batch norm")
    assert 1e-6 < largest_difference(ours, theirs) < 1.0
    first = json.loads((one / "batch norm" / "log.jsonl").read_text().splitlines()[0])
    other = json.loads((two / "batch norm" / "log.jsonl").read_text().splitlines()[0])
    assert first["discriminator/adversarial"] == pytest.approx(other["discriminator/adversarial"], abs=0.3)


def test_one_process_goes_on_with_what_two_began(worker: ModuleType, group: Group, one: Path, two: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(two / "of two", tmp_path / "run"))
    worker.play(group, run, "slopes")
    assert largest_difference(last(one / "slopes"), last(run)) < TOLERANCE


def test_two_processes_go_on_with_what_one_began(one: Path, two: Path) -> None:
    assert largest_difference(last(one / "slopes"), last(two / "of one")) < TOLERANCE
    assert len(log(two / "of one")) == 6


# -- errors ----------------------------------------------------------------------------------------------------------------------------------

CHILD = """
import os, runpy, sys
os.environ.update(environment)
os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
worker = runpy.run_path(path, run_name="process_worker")
sys.exit(worker["run"](mode, worker["Path"](folder)))
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def torchrun(rank: int) -> dict[str, str]:
    """What torchrun tells each process."""
    return {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "GROUP_RANK": "0",
        "TORCHELASTIC_RUN_ID": "test",
    }


def srun(rank: int) -> dict[str, str]:
    """What SLURM tells each process."""
    counts = {"SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2", "SLURM_NNODES": "1"}
    return counts | {"SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank), "SLURM_NODEID": "0", "SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "gan"}


def end_of(mode: str, folder: Path, started_by: Callable[[int], dict[str, str]] = torchrun) -> tuple[list[int], list[str], float]:
    """Two processes with no launcher that would end one for the other; returns exit codes, what they said, and the seconds between their ends."""
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    processes: list[Any] = []
    said = [folder / f"said-{rank}" for rank in range(2)]
    for rank in range(2):
        environment = common | started_by(rank)
        given = {"environment": environment, "path": str(WORKER), "mode": mode, "folder": str(folder), "said": str(said[rank])}
        processes.append(FORK.Process(target=exec, args=(CHILD, given)))
        processes[-1].start()
    until, ends = time.monotonic() + 90, [0.0, 0.0]
    while time.monotonic() < until and not all(ends):
        ends = [end or (0.0 if process.is_alive() else time.monotonic()) for end, process in zip(ends, processes, strict=True)]
        time.sleep(0.02)
    for process in processes:
        process.kill()
        process.join()
    assert all(ends), f"a process hung: {[file.read_text() for file in said]}"
    return [process.exitcode for process in processes], [file.read_text() for file in said], abs(ends[0] - ends[1])


def test_slurm_starts_them_too(one: Path, tmp_path: Path) -> None:
    codes, said, _ = end_of("slopes", tmp_path, srun)
    assert codes == [0, 0], said
    assert largest_difference(last(one / "slopes"), last(tmp_path / "run")) < TOLERANCE


def test_slurm_must_say_how_many_a_machine() -> None:
    with pytest.raises(UsageError, match="SLURM started 4 tasks with --ntasks.*Use --ntasks-per-node"):
        started_by({"SLURM_PROCID": "0", "SLURM_NTASKS": "4", "SLURM_NNODES": "2"})


@pytest.mark.parametrize(
    ("mode", "code", "words"),
    [
        ("not finite", 4, "adversarial became nan. Training stopped; nothing broken was saved."),
        ("score fails", 3, "The score cannot be made of this."),
        ("data of the first fails", 3, "A file of this process is broken."),
        ("data of the second fails", 3, "A file of this process is broken."),
        ("occupied", 2, "exists and is not an empty folder"),
    ],
)
def test_the_error_of_one_ends_all(mode: str, code: int, words: str, tmp_path: Path) -> None:
    codes, said, apart = end_of(mode, tmp_path)
    assert codes == [code, code], said
    assert words in said[0]
    assert said[0].count("\n") == 1
    assert said[1] == "", "of processes with one error the first alone speaks"
    assert apart < 20


@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_process_ends_all(victim: int, tmp_path: Path) -> None:
    codes, said, apart = end_of(f"the {('first', 'second')[victim]} is killed", tmp_path)
    assert codes[victim] == -9
    assert codes[1 - victim] == 1
    assert apart < 20
    if victim:
        assert "Another process of this run ended without a word" in said[0]
        assert said[0].count("\n") == 1
