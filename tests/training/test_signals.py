"""SIGINT and SIGTERM finish the round, save, and leave with the documented exit code; one process trains in a folder at a time."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from saddlepoint import api
from saddlepoint.errors import StoppedError, UsageError
from saddlepoint.training.plan import Plan

TINY: dict[str, Any] = {"recipe": "wgan-gp", "data": "ring8", "width": 8, "batch": 8, "latent_dim": 4, "device": "cpu"}
COMMAND = [sys.executable, "-m", "saddlepoint", "train", "wgan-gp", "--data", "ring8", "--width", "8", "--batch", "8", "--latent-dim", "4"]
STEPS = 100_000  # more than there is time for
FORK = multiprocessing.get_context("forkserver")
FORK.set_forkserver_preload(["saddlepoint.api", "saddlepoint.zoo.papers"])


def rounds_logged(run: Path) -> int:
    return (run / "log.jsonl").read_bytes().count(b"\n") if (run / "log.jsonl").exists() else 0


def wait_for_rounds(process: subprocess.Popen[str], run: Path) -> None:
    until = time.monotonic() + 100
    while rounds_logged(run) < 2:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_finishes_the_round_saves_and_leaves(number: signal.Signals, code: int, tmp_path: Path) -> None:
    run = tmp_path / "run"
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [*COMMAND, "--steps", str(STEPS), "--out", str(run), "--device", "cpu"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    wait_for_rounds(process, run)
    with pytest.raises(UsageError, match="Another process is training in"):
        api.resume(run)
    process.send_signal(number)
    printed, said = process.communicate(timeout=100)
    assert process.returncode == code
    saved = api.Run.open(run).checkpoints()[-1][0]
    assert said.splitlines()[-1] == f"saddlepoint: Stopped by {number.name} after round {saved}; saved. `saddlepoint resume {run}` continues."
    assert "Traceback" not in said
    assert printed == ""
    assert api.load(run)[0].clock.round == saved
    end = saved + 3
    resumed, alone = api.resume(run, steps=end, device="cpu"), api.train(**TINY, out=tmp_path / "alone", plan=plan_of(run, end))
    name = f"checkpoints/round-{end:08d}/game.safetensors"
    assert (resumed.folder / name).read_bytes() == (alone.folder / name).read_bytes()


def plan_of(run: Path, steps: int) -> Plan:
    given = api.Run.open(run).about["plan"]
    return Plan(**{name: value for name, value in given.items() if name != "kind"} | {"steps": steps})


class Wish:
    """Sends signals to this process when a round is logged."""

    def __init__(self, round: int, *numbers: signal.Signals) -> None:
        self.round, self.numbers = round, numbers

    def __call__(self, record: dict[str, Any]) -> None:
        if record["round"] == self.round:
            for number in self.numbers:
                os.kill(os.getpid(), number)


PLAN = Plan(steps=10, log_every=1, preview_every=4, score_every=0)


def files(run: Path) -> dict[str, bytes]:
    found = [*run.glob("samples/*"), run / "log.jsonl", *run.glob("checkpoints/round-00000010/*.safetensors")]
    return {str(file.relative_to(run)): file.read_bytes() for file in found}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return api.train(**TINY, out=tmp_path_factory.mktemp("signals") / "run", plan=PLAN).folder


@pytest.mark.parametrize("numbers", [(signal.SIGTERM,), (signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGTERM)])
@pytest.mark.parametrize("round", [1, 6, 10])
def test_stopped_and_resumed_is_unbroken(numbers: tuple[signal.Signals, ...], round: int, alone: Path, tmp_path: Path) -> None:
    """Also where the request comes twice, as from timeout(1), and where it comes in the last round."""
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(StoppedError, match=f"Stopped by {numbers[0].name} after round {round}; saved") as stopped:
        api.train(**TINY, out=tmp_path / "run", plan=PLAN, show=Wish(round, *numbers))
    assert stopped.value.exit_code == 128 + numbers[0]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers
    api.resume(tmp_path / "run", device="cpu")
    assert files(tmp_path / "run") == files(alone)


INSIST = """
import os, time
from saddlepoint.training.signals import StopWish

with StopWish() as wish:
    os.kill(os.getpid(), 15)
    os.kill(os.getpid(), 15)
    time.sleep(1.1)
    assert wish.number == 15
    os.kill(os.getpid(), 15)
    time.sleep(60)
"""


def test_a_second_wish_ends_the_process_at_once() -> None:
    process = FORK.Process(target=exec, args=(INSIST, {}))
    process.start()
    process.join(30)
    assert process.exitcode == -signal.SIGTERM


def test_training_in_a_thread_leaves_signals_alone(alone: Path, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=lambda: api.train(**TINY, out=tmp_path / "run", plan=PLAN))
    thread.start()
    thread.join(60)
    assert signal.getsignal(signal.SIGTERM) is before
    assert files(tmp_path / "run") == files(alone)


def test_a_folder_is_let_go(alone: Path, tmp_path: Path) -> None:
    """After an end of any kind the folder can be used again in the same process."""
    with pytest.raises(StoppedError):
        api.train(**TINY, out=tmp_path / "run", plan=PLAN, show=Wish(2, signal.SIGINT))
    run = api.Run.open(tmp_path / "run")
    run.lock()
    with pytest.raises(UsageError, match="Another process is training in"):
        api.resume(tmp_path / "run")
    run.unlock()
    api.resume(tmp_path / "run", device="cpu")
    assert files(tmp_path / "run") == files(alone)
