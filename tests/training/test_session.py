"""A sitting of training: where it ends, what it writes when, and what stops it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from saddlepoint import api
from saddlepoint.errors import DataError, MemoryLimitError, NotFiniteError, UsageError
from saddlepoint.evaluation.health import HealthMonitor, Limits
from saddlepoint.games.game import Game
from saddlepoint.games.player import Adam
from saddlepoint.training.observers import Watchers
from saddlepoint.training.plan import Plan
from saddlepoint.training.run import Run
from saddlepoint.verbs import training as verbs

TINY: dict[str, Any] = {"recipe": "nsgan", "data": "ring8", "width": 8, "batch": 8, "latent_dim": 4, "device": "cpu"}
SHORT = Plan(steps=6, log_every=2, preview_every=0, score_every=0)


def lines(run: Path, name: str) -> list[dict[str, Any]]:
    file = run / f"{name}.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def last(run: Path) -> int:
    return Run.open(run).checkpoints()[-1][0]


def weights(run: Path) -> bytes:
    return (Run.open(run).find_checkpoint() / "game.safetensors").read_bytes()


# -- where it ends ---------------------------------------------------------------------------------------------------------------------------


def test_rounds_end_it(tmp_path: Path) -> None:
    run = api.train(**TINY, out=tmp_path / "run", steps=7).folder
    assert last(run) == 7
    assert api.load(run)[0].clock.round == 7
    assert [record["round"] for record in lines(run, "log")] == [1, 2, 3, 4, 5, 6, 7]
    assert lines(run, "log")[-1]["images_seen"] == 56


def test_images_end_it(tmp_path: Path) -> None:
    run = api.train(**TINY, out=tmp_path / "run", kimg=0.05).folder
    assert last(run) == 7  # 7 * 8 = 56 images are the first 50
    assert api.info(run)["horizon"] == 7


def test_minutes_end_it_and_set_the_intervals_once(tmp_path: Path) -> None:
    """About eight scores and twenty previews, from the speed of the first rounds; and a score of what came out at the end."""
    run = api.train(**TINY, out=tmp_path / "run", minutes=0.05).folder
    state = json.loads((Run.open(run).find_checkpoint() / "state.json").read_text())
    assert 3.0 <= state["elapsed_sec"] < 30.0
    cadence = state["cadence"]
    assert 0 < cadence["preview_every"] < cadence["score_every"] < last(run)
    rounds = [record["round"] for record in lines(run, "scores")]
    assert rounds[-1] == last(run)
    assert all(round % cadence["score_every"] == 0 for round in rounds[:-1])
    assert (run / "samples" / f"round-{last(run):08d}.npz").exists()
    before = last(run)
    api.resume(run, minutes=0.07, device="cpu")
    assert last(run) > before
    state = json.loads((Run.open(run).find_checkpoint() / "state.json").read_text())
    assert state["cadence"] == cadence
    assert state["elapsed_sec"] >= 4.2


def test_a_finished_run_stays_as_it_is(tmp_path: Path) -> None:
    run = api.train(**TINY, out=tmp_path / "run", steps=5).folder
    before = {file: file.read_bytes() for file in run.rglob("*") if file.is_file()}
    api.resume(run, device="cpu")
    assert {file: file.read_bytes() for file in run.rglob("*") if file.is_file()} == before


def test_a_longer_plan_continues_as_if_unbroken(tmp_path: Path) -> None:
    alone = api.train(**TINY, out=tmp_path / "alone", plan=Plan(**{**SHORT.__dict__, "steps": 12})).folder
    run = api.train(**TINY, out=tmp_path / "run", plan=SHORT).folder
    api.resume(run, steps=9, device="cpu")
    api.resume(run, steps=12, device="cpu")
    assert weights(run) == weights(alone)
    assert (run / "log.jsonl").read_bytes() == (alone / "log.jsonl").read_bytes()
    assert api.info(run)["budget"]["steps"] == 12


def test_a_new_end_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = api.train(**TINY, out=tmp_path / "run", plan=SHORT).folder
    with monkeypatch.context() as patch:
        patch.setattr("saddlepoint.training.trainer.Trainer.play_round", lambda trainer: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            api.resume(run, steps=9, device="cpu")
    api.resume(run, device="cpu")
    assert last(run) == 9


def test_the_first_speed_after_a_resume_is_of_this_sitting(tmp_path: Path) -> None:
    run = api.train(**TINY, out=tmp_path / "run", plan=SHORT).folder
    state = Run.open(run).find_checkpoint() / "state.json"
    said: list[dict[str, Any]] = []
    api.resume(run, steps=8, device="cpu", show=said.append)
    assert json.loads(state.read_text())["elapsed_sec"] > 0
    assert said[0]["round"] == 8
    timing = lines(run, "timing")
    seconds = timing[-1]["elapsed_sec"] - json.loads(state.read_text())["elapsed_sec"]
    rounding = 0.0006  # the log says milliseconds
    assert 16 / (seconds + rounding) - 0.1 <= timing[-1]["images_per_sec"] <= 16 / max(seconds - rounding, 1e-9) + 0.1


# -- what is refused -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"steps": 3, "minutes": 1.0}, "Give one of steps, minutes and kimg, not several."),
        ({"steps": 0}, "steps must be more than 0; it is 0."),
        ({"minutes": -1.0}, "minutes must be more than 0; it is -1.0."),
        ({"kimg": math.nan}, "kimg must be more than 0; it is nan."),
        ({"micro_batches": 0}, "micro_batches must be at least 1"),
        ({"micro_batches": 3}, r"cannot be cut into 1 process\(es\) x 3 micro-batch\(es\)"),
        ({"latent_dims": 3}, r"nsgan has no setting 'latent_dims'. Nearest: latent_dim, latent"),
        ({"recipe": "nsgam"}, "There is no recipe 'nsgam'. Nearest: nsgan"),
        ({"device": "abacus"}, "The device 'abacus' was asked for; this machine has cpu"),
        ({"preset": "tiny"}, "nsgan has no preset 'tiny'"),
    ],
)
def test_a_setting_that_cannot_be_used_is_refused(given: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=words):
        api.train(**TINY | {"steps": 2} | given if "minutes" not in given and "kimg" not in given else TINY | given, out=tmp_path / "run")
    assert not (tmp_path / "run" / "checkpoints").exists() or given == {"micro_batches": 3}


def test_data_that_changed_under_a_run_is_refused(tmp_path: Path) -> None:
    points = np.random.default_rng(0).normal(size=(400, 2)).astype(np.float32)
    np.save(tmp_path / "mine.npy", points)
    run = api.train(**TINY | {"data": str(tmp_path / "mine.npy")}, out=tmp_path / "run", plan=SHORT).folder
    points[7, 1] += 1
    np.save(tmp_path / "mine.npy", points)
    with pytest.raises(DataError, match=r"mine\.npy is no longer the data of this run: its content hash is \w+, it was \w+"):
        api.resume(run, steps=9)
    (tmp_path / "mine.npy").unlink()
    with pytest.raises((DataError, UsageError), match=r"mine\.npy"):
        api.resume(run, steps=9)


def test_a_batch_that_cannot_fit_is_refused_before_the_first_round(tmp_path: Path) -> None:
    with pytest.raises(MemoryLimitError, match=r"A batch of \d+ needs about [\d.]+ GiB; [\d.]+ GiB are free on cpu\. Use --batch \d+\.$") as error:
        api.train(**TINY | {"batch": 2**33}, out=tmp_path / "run", steps=1, micro_batches=1)
    assert error.value.exit_code == 7
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


class Greedy:
    """A scorer that asks for more memory than there is."""

    metric = "planted"

    def score(self, round: int, images_seen: int) -> dict[str, Any]:
        return {"planted": float(torch.empty(2**58, dtype=torch.uint8).sum())}


def test_memory_that_runs_out_later_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verbs, "make_watchers", lambda run, game, data, show: Watchers(scorer=Greedy()))
    plan = Plan(steps=4, preview_every=0, score_every=3, checkpoint_every=2)
    with pytest.raises(
        MemoryLimitError, match=r"The memory is full: a batch of 8 in 1 piece\(s\) did not fit. Train anew with --micro-batches 2"
    ) as error:
        api.train(**TINY, out=tmp_path / "run", plan=plan)
    assert "\n" not in str(error.value)
    assert last(tmp_path / "run") == 2


# -- what is not finite ----------------------------------------------------------------------------------------------------------------------


def finite(run: Path) -> bool:
    return all(bool(value.isfinite().all()) for value in api.load(run)[0].state_dict().values())


def test_a_learning_rate_far_too_high_stops_the_run(tmp_path: Path) -> None:
    run = api.train(**TINY, out=tmp_path / "run", steps=4).folder
    about = json.loads((run / "run.json").read_text())
    about["config"]["discriminator_optimizer"]["lr"] = 1e30
    (run / "run.json").write_text(json.dumps(about))
    with pytest.raises(NotFiniteError) as error:
        api.resume(run, steps=50, device="cpu")
    message = str(error.value)
    assert error.value.exit_code == 4
    assert message.startswith(("Round 5: the generator's adversarial became nan.", "Round 6: the discriminator's "))
    assert f"nothing broken was saved. The last good checkpoint is {run / 'checkpoints' / 'round-00000004'}." in message
    assert "\n" not in message
    assert last(run) == 4
    assert finite(run)
    assert not [*(run / "samples").glob("round-0000001*")]


class Poison:
    """Breaks a number of the game behind the losses' back, at a score."""

    metric = "planted"

    def __init__(self, game: Game, which: Callable[[Game], torch.Tensor], round: int) -> None:
        self.game, self.which, self.round = game, which, round

    def score(self, round: int, images_seen: int) -> dict[str, Any]:
        if round == self.round:
            self.which(self.game).view(-1)[-1] = math.inf
        return {"planted": 1.0}


@pytest.mark.parametrize(
    ("which", "words"),
    [
        (lambda game: game.generator_ema.last.bias, r"Round 4: the game's state generator_ema\.last\.bias is not finite"),
        (lambda game: game.players["generator"].modules[0].last.bias, r"Round 4: the generator's weight last\.bias is not finite"),
    ],
)
def test_a_broken_weight_behind_finite_losses_is_not_saved(
    which: Callable[[Game], torch.Tensor], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verbs, "make_watchers", lambda run, game, data, show: Watchers(scorer=Poison(game, which, 4)))
    plan = Plan(steps=8, log_every=4, preview_every=0, score_every=1, checkpoint_every=1)
    with pytest.raises(NotFiniteError, match=words):
        api.train(**TINY, ema_halflife_kimg=0.1, out=tmp_path / "run", plan=plan)
    assert last(tmp_path / "run") == 3
    assert finite(tmp_path / "run")


# -- health ----------------------------------------------------------------------------------------------------------------------------------


def test_what_the_health_monitor_says_is_written_shown_and_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A generator that stands still is told from the data; the sentence comes once, in a broken run as in a whole one."""
    monkeypatch.setattr(verbs, "make_watchers", lambda run, game, data, show: Watchers(monitor=HealthMonitor(Limits(patience_rounds=20)), show=show))
    still = TINY | {"generator_optimizer": Adam(lr=1e-12), "discriminator_optimizer": Adam(lr=2e-2), "batch": 16}
    plan, said = Plan(steps=160, log_every=2, preview_every=0, score_every=0), []
    run = api.train(**still, out=tmp_path / "run", plan=plan, show=said.append).folder
    found = lines(run, "health")
    assert [finding["kind"] for finding in found][:1] == ["discriminator-won"]
    assert [record for record in said if "message" in record] == found
    begun = found[0]["round"]
    half = api.train(**still, out=tmp_path / "half", plan=Plan(**{**plan.__dict__, "steps": begun - 6})).folder
    api.resume(half, steps=160, device="cpu")
    assert (half / "health.jsonl").read_bytes() == (run / "health.jsonl").read_bytes()
