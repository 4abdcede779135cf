"""A disk that refuses stops the run with one line and exit code 5, and loses nothing that was saved."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from saddlepoint import api
from saddlepoint.training.plan import Plan

FORK = multiprocessing.get_context("forkserver")
FORK.set_forkserver_preload(["saddlepoint.api", "saddlepoint.zoo.papers"])
TINY: dict[str, Any] = {"recipe": "wgan-gp", "data": "ring8", "width": 8, "batch": 8, "latent_dim": 4, "device": "cpu"}
PLAN = Plan(steps=8, log_every=1, preview_every=0, score_every=0, checkpoint_every=2)

CHILD = """
import os, resource, signal, sys
import torch
from saddlepoint import api
from saddlepoint.cli import main

torch.set_num_threads(1)
os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
if limit is not None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
if user is not None:
    os.setuid(user)
main.dispatch = lambda argv: 0 * len([api.resume(out) if job is None else api.train(out=out, plan=plan, **job)])
sys.exit(main.main([]))
"""


def run_child(
    out: Path, tmp_path: Path, *, job: dict[str, Any] | None = None, plan: Plan = PLAN, limit: int | None = None, user: int | None = None
) -> tuple[int, str]:
    """Train (or, without a job, resume) in a process of its own, as the command line does; returns the exit code and what was said."""
    said = tmp_path / "said"
    given = {"out": str(out), "job": job, "plan": plan, "limit": limit, "user": user, "said": str(said)}
    process = FORK.Process(target=exec, args=(CHILD, given))
    process.start()
    process.join(120)
    return process.exitcode, said.read_text() if said.exists() else ""


def weights(run: Path) -> bytes:
    return (run / "checkpoints" / f"round-{PLAN.steps:08d}" / "game.safetensors").read_bytes()


def assert_refused(code: int, said: str, reason: str) -> None:
    assert code == 5, said
    assert said.count("\n") == 1, said
    assert said.startswith("saddlepoint: error: The disk refused to write ")
    assert reason in said
    assert "everything saved before is intact." in said


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return api.train(**TINY, out=tmp_path_factory.mktemp("disk") / "run", plan=PLAN).folder


@pytest.fixture
def half(whole: Path, tmp_path: Path) -> Path:
    """The run as it was at round 4."""
    run = Path(shutil.copytree(whole, tmp_path / "half"))
    shutil.rmtree(run / "checkpoints")
    api.train(**TINY, out=tmp_path / "begun", plan=Plan(**{**PLAN.__dict__, "steps": 4}))
    shutil.move(tmp_path / "begun" / "checkpoints", run / "checkpoints")
    return run


def test_a_checkpoint_that_does_not_fit(half: Path, whole: Path, tmp_path: Path) -> None:
    size = (half / "checkpoints" / "round-00000004" / "game.safetensors").stat().st_size
    code, said = run_child(half, tmp_path, limit=size - 1)
    assert_refused(code, said, "round-00000006: File too large. Free some space")
    assert sorted(path.name for path in (half / "checkpoints").iterdir()) == ["round-00000002", "round-00000004"]
    assert api.load(half)[0].clock.round == 4
    assert run_child(half, tmp_path) == (0, "")  # once there is space
    assert weights(half) == weights(whole)
    assert (half / "log.jsonl").read_bytes() == (whole / "log.jsonl").read_bytes()


def test_a_log_that_does_not_fit(half: Path, whole: Path, tmp_path: Path) -> None:
    lines = (whole / "log.jsonl").read_bytes().splitlines(keepends=True)
    (half / "run.json").write_text((half / "run.json").read_text().replace('"checkpoint_every": 2', '"checkpoint_every": 0'))
    code, said = run_child(half, tmp_path, limit=len(b"".join(lines[:5])) + 20)
    assert_refused(code, said, "log.jsonl: File too large")
    assert (half / "log.jsonl").stat().st_size == len(b"".join(lines[:5])) + 20  # a line cut off
    assert run_child(half, tmp_path) == (0, "")
    assert (half / "log.jsonl").read_bytes() == b"".join(lines)
    assert weights(half) == weights(whole)


def test_no_space_to_begin(whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    code, said = run_child(out, tmp_path, job=TINY, limit=1000)
    assert_refused(code, said, "run.json: File too large")
    code, said = run_child(out, tmp_path, job=TINY)  # the same command again, once there is space
    assert (code, said) == (0, "")
    assert weights(out) == weights(whole)


@pytest.fixture
def small_disk() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp())
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, text=True)
    if done.returncode:
        folder.rmdir()
        pytest.skip(f"a small file system cannot be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)
    folder.rmdir()


def test_a_full_disk(small_disk: Path, whole: Path, tmp_path: Path) -> None:
    run = small_disk / "run"
    ballast = small_disk / "ballast"
    pages = sum(-(-file.stat().st_size // 4096) for file in (whole / "checkpoints" / "round-00000008").iterdir())
    space = os.statvfs(small_disk)
    ballast.write_bytes(bytes(4096 * (space.f_bfree - 3 * pages)))  # two checkpoints, the logs, and part of a third
    code, said = run_child(run, tmp_path, job=TINY)
    assert_refused(code, said, "No space left on device. Free some space")
    saved = [round for round, _ in api.Run.open(run).checkpoints()]
    assert saved
    for round in saved:
        assert api.load(run, checkpoint=str(round))[0].clock.round == round
    ballast.unlink()
    assert run_child(run, tmp_path) == (0, "")
    assert weights(run) == weights(whole)


@pytest.fixture
def readable() -> Iterator[Path]:
    """A folder that another user may read but not write."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_a_folder_that_may_only_be_read(readable: Path, whole: Path, tmp_path: Path) -> None:
    user = 65534 if os.getuid() == 0 else None  # root may write everywhere
    readable.chmod(0o555 if user is None else 0o755)
    code, said = run_child(readable / "run", tmp_path, job=TINY, user=user)
    assert_refused(code, said, "Permission denied. Choose a place that can be written")
    assert not [*readable.iterdir()]
    readable.chmod(0o755)
    run = Path(shutil.copytree(whole, readable / "run"))
    for path in (run, *run.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    code, said = run_child(run, tmp_path, user=user)
    assert_refused(code, said, "Permission denied")
    assert weights(run) == weights(whole)
    for path in (run, *run.rglob("*")):
        path.chmod(0o755)
