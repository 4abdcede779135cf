"""Runs killed with SIGKILL, at random times and at every step of saving, end like the run that was left alone: the same bytes."""

from __future__ import annotations

import json
import multiprocessing
import random
import runpy
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from saddlepoint.training.plan import Plan

FORK = multiprocessing.get_context("forkserver")
FORK.set_forkserver_preload(["saddlepoint.api", "saddlepoint.zoo.papers"])
WORKER = Path(__file__).with_name("kill_worker.py")

KILLS = 6  # of each case at random times
LONG = Plan(steps=100, log_every=5, preview_every=32, score_every=40, checkpoint_every=4, keep_every=20)
SHORT = Plan(steps=4, log_every=1, preview_every=3, score_every=4, checkpoint_every=1, keep_last=1)  # every kind of write, few of each
TINY = {"width": 4, "batch": 8, "latent_dim": 4, "device": "cpu"}
CASES: dict[str, dict[str, Any]] = {
    "wgan-gp on points": {"recipe": "wgan-gp", "data": "ring8", **TINY},
    "dcgan, average, shared fakes": {"recipe": "dcgan", "data": "digits", "resolution": 16, **TINY},
    "lecam, running means, average": {"recipe": "lecam", "data": "ring8", "ema_halflife_kimg": 0.05, **TINY},
    "ssgan, few labels": {"recipe": "ssgan", "data": "ring8", **TINY},
}
POINTS, LECAM = CASES["wgan-gp on points"], CASES["lecam, running means, average"]


def start(folder: Path, case: dict[str, Any], plan: Plan, die_at: int | None = None, counted: Path | None = None) -> Any:
    given = {"folder": str(folder), "case": case, "plan": plan, "die_at": die_at, "counted": counted and str(counted)}
    process = FORK.Process(target=runpy.run_path, args=(str(WORKER), given, "__main__"))
    process.start()
    return process


def finish(folder: Path, case: dict[str, Any], plan: Plan, counted: Path | None = None) -> None:
    process = start(folder, case, plan, counted=counted)
    process.join(120)
    assert process.exitcode == 0


def outcome(folder: Path) -> dict[str, bytes]:
    """Every byte of a run that must not depend on when it was killed: all but run.json's versions, the clock, and the manifests, which hash it."""
    files = [*folder.glob("*.jsonl"), *folder.glob("samples/*"), *folder.glob("checkpoints/*/*.safetensors")]
    found = {str(file.relative_to(folder)): file.read_bytes() for file in files if file.name != "timing.jsonl"}
    for file in folder.glob("checkpoints/*/state.json"):
        state = json.loads(file.read_bytes())
        state.pop("elapsed_sec")
        found[str(file.relative_to(folder))] = json.dumps(state).encode()
    return found


def assert_same(alone: dict[str, bytes], killed: dict[str, bytes]) -> None:
    assert sorted(killed) == sorted(alone)
    for name in alone:
        assert killed[name] == alone[name], name


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Callable[[dict[str, Any], Plan], dict[str, bytes]]:
    """Outcome of the run that nobody kills, made once a case."""
    made: dict[str, dict[str, bytes]] = {}

    def get(case: dict[str, Any], plan: Plan) -> dict[str, bytes]:
        key = repr((case, plan))
        if key not in made:
            folder = tmp_path_factory.mktemp("alone") / "run"
            finish(folder, case, plan)
            made[key] = outcome(folder)
            rounds = {name.split("/")[1] for name in made[key] if name.startswith("checkpoints")}
            assert f"round-{plan.steps:08d}" in rounds
            assert "log.jsonl" in made[key] and "scores.jsonl" in made[key]
        return made[key]

    return get


def changed(file: Path) -> int:
    return file.stat().st_mtime_ns if file.exists() else 0


def wait(process: Any, log: Path, chance: random.Random) -> None:
    """Wait for a random time: from the start of the process, or, mostly, from the first sign of its training."""
    before = changed(log)
    if chance.random() < 0.25:
        process.join(chance.uniform(0.0, 0.8))
        return
    while process.is_alive() and changed(log) == before:
        time.sleep(0.002)
    process.join(chance.uniform(0.0, 0.3))


@pytest.mark.parametrize("name", CASES)
def test_killed_at_random_times(name: str, alone: Callable[[dict[str, Any], Plan], dict[str, bytes]], tmp_path: Path) -> None:
    case, folder, chance = CASES[name], tmp_path / "run", random.Random(name)
    expected, kills, whole = alone(case, LONG), 0, False
    while kills < KILLS:
        if whole:  # it was done before we could kill it often enough: again from the start
            shutil.rmtree(folder)
        process = start(folder, case, LONG)
        wait(process, folder / "log.jsonl", chance)
        whole = process.exitcode is not None
        if whole:
            assert process.exitcode == 0
        else:
            process.kill()
            process.join()
            kills += 1
    finish(folder, case, LONG)
    assert_same(expected, outcome(folder))
    assert not [*folder.rglob("*.tmp")]


def test_killed_at_each_step_of_saving(alone: Callable[[dict[str, Any], Plan], dict[str, bytes]], tmp_path: Path) -> None:
    finish(tmp_path / "counted", POINTS, SHORT, counted=tmp_path / "calls")
    calls = int((tmp_path / "calls").read_text())
    assert calls > 30
    for call in range(1, calls + 1, 1 if calls < 40 else 2):
        folder = tmp_path / f"run-{call}"
        process = start(folder, POINTS, SHORT, die_at=call)
        process.join(120)
        assert process.exitcode == -signal.SIGKILL, call
        finish(folder, POINTS, SHORT)
        assert_same(alone(POINTS, SHORT), outcome(folder))
        assert not [*folder.rglob("*.tmp")], call


def test_killed_while_it_resumes_what_was_killed(alone: Callable[[dict[str, Any], Plan], dict[str, bytes]], tmp_path: Path) -> None:
    """The folder holds all that kills leave: a checkpoint half written, one half removed, half a line, lines and samples of rounds to be replayed."""
    whole, wounded = tmp_path / "whole", tmp_path / "wounded"
    finish(whole, LECAM, SHORT)
    last = whole / "checkpoints" / "round-00000004"
    kept = whole / "checkpoints" / "round-00000002"
    finish(wounded, LECAM, Plan(steps=2, log_every=1, preview_every=0, score_every=0, checkpoint_every=1, keep_last=1))
    assert (wounded / "checkpoints" / kept.name).exists()
    for file in ("log.jsonl", "scores.jsonl"):
        shutil.copy(whole / file, wounded / file)
    with open(wounded / "log.jsonl", "a") as log:
        log.write('{"round": 5, "images_se')
    shutil.copytree(last, wounded / "checkpoints" / "round-00000003.tmp")
    (wounded / "checkpoints" / "round-00000003.tmp" / "manifest.json").unlink()
    shutil.copytree(last, wounded / "checkpoints" / "round-00000001.old.tmp")
    (wounded / "samples" / "real.npz.tmp").write_bytes(b"half")
    for name in ("real.npz", "round-00000000.npz", "round-00000001.npz", "round-00000002.npz"):
        shutil.copy(whole / "samples" / name, wounded / "samples" / name)
    (wounded / "samples" / "round-00000009.npz").write_bytes(b"of a round that will not be played")
    shutil.copy(whole / "run.json", wounded / "run.json")
    for call in range(1, 10):
        folder = tmp_path / f"again-{call}"
        shutil.copytree(wounded, folder)
        process = start(folder, LECAM, SHORT, die_at=call)
        process.join(120)
        assert process.exitcode == -signal.SIGKILL, call
        finish(folder, LECAM, SHORT)
        assert_same(alone(LECAM, SHORT), outcome(folder))
        assert not [*folder.rglob("*.tmp")], call
