"""The unrolled ring: every arm, stopped and continued, table and picture."""

from __future__ import annotations

import numpy as np
import pytest

from saddlepoint.errors import UsageError
from saddlepoint.studies import unrolled
from saddlepoint.studies.unrolled import ARMS, Plan, Walk, look_at, page, play, reached, table
from saddlepoint.training.checkpoint import list_checkpoints, load_checkpoint

TINY = {"width": 8, "batch": 16, "latent_dim": 4}


def test_a_run_in_pieces_is_the_run_in_one(tmp_path):
    plan = Plan(rounds=4, every=2, settings=TINY)
    for arm in ("unrolled 2", "not unrolled, 1 extra step of D"):
        ARMS[arm] = (2, 1) if arm.startswith("unrolled") else (0, 2)
        try:
            pieces, whole = Walk(arm, 0, plan, tmp_path / arm / "pieces"), Walk(arm, 0, plan, tmp_path / arm / "whole")
            first = pieces.advance(2)
            last = pieces.advance(4)
            once = whole.advance(4)
        finally:
            del ARMS[arm]
        assert [look["round"] for look in last["looks"]] == [2, 4]
        assert last["looks"][-1] == once["looks"][-1] != first["looks"][-1] | {"round": 4}
        games = [load_checkpoint(list_checkpoints(walk.folder)[-1][1]).game for walk in (pieces, whole)]
        assert all(bool((games[0][name] == value).all()) for name, value in games[1].items())
        assert np.array_equal(np.load(pieces.samples(4)), np.load(whole.samples(4)))
        assert len(list_checkpoints(pieces.folder)) == 1


def test_a_budget_stops_and_the_same_call_continues(tmp_path, monkeypatch):
    plan, clock = Plan(arms=("unrolled 0", "unrolled 1"), rounds=4, every=2, settings=TINY), iter([0.0, 0.0, 1e9])
    with monkeypatch.context() as patch:
        patch.setattr(unrolled.time, "process_time", lambda: next(clock))
        patch.setattr(Walk, "advance", lambda walk, stop: {"round": stop, "looks": [{"round": stop}], "cpu_sec": 1.0, "stopped": None})
        states = play(plan, tmp_path, cpu_minutes=1)
    assert reached(states) == 2
    states = play(plan, tmp_path)
    assert [state["round"] for _, state in states] == [4, 4]
    again = play(plan, tmp_path)
    assert [state for _, state in again] == [state for _, state in states]


def test_the_command_has_every_arm(tmp_path):
    places = ["--work", str(tmp_path / "work"), "--out", str(tmp_path / "u.md"), "--picture", str(tmp_path / "u.png")]
    unrolled.main(["--rounds", "2", "--every", "1", "--batch", "16", *places])
    text = (tmp_path / "u.md").read_text()
    assert all(f"| {arm} | 1 |" in text for arm in ARMS)
    assert {name.split(",")[0] for name in ARMS} == {"unrolled 0", "unrolled 1", "unrolled 5", "unrolled 10", "not unrolled"}
    assert "2 rounds of 2, batch 16" in text and "`python -m saddlepoint.studies.unrolled --seeds 1 --batch 16 --rounds 2`" in text
    assert (tmp_path / "u.png").stat().st_size > 1000
    with pytest.raises(UsageError, match="at least 1"):
        unrolled.main(["--seeds", "0", *places])


def test_a_run_that_left_the_numbers_is_worth_nothing(tmp_path):
    plan = Plan(arms=("unrolled 0", "unrolled 5"), rounds=2, every=1)
    look = {"modes": 8, "strict_modes": 7, "high_quality": 0.5, "sliced_w1": 0.1}
    looks = [look | {"round": round} for round in (1, 2)]
    fine = {"round": 2, "looks": looks, "cpu_sec": 2.0, "stopped": None}
    gone = {"round": 1, "looks": looks[:1], "cpu_sec": 1.0, "stopped": "Round 1: ..."}
    states = [(Walk(arm, 0, plan, tmp_path), state) for arm, state in (("unrolled 0", fine), ("unrolled 5", gone))]
    assert reached(states) == 2
    assert look_at(gone, 2)["modes"] == 0
    assert "| unrolled 5 | 1 | 0 | 0 | 0.00 | - |" in table(states)
    assert "2 rounds of 2, batch 512" in page(states, "command")
