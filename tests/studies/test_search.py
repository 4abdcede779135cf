"""The search: what is drawn, what it changes, its command."""

from __future__ import annotations

import pytest

from saddlepoint.errors import UsageError
from saddlepoint.studies import search
from saddlepoint.studies.search import METHODS, distance, drawn, jobs, table
from saddlepoint.studies.toyruns import Arm, Protocol, arms, configuration, searched


def test_tries_cover_the_ranges_and_are_the_same_for_all():
    tries = drawn(200)
    assert all(1e-5 <= found[name] <= 1e-2 for found in tries for name in ("g_lr", "d_lr"))
    assert {found["beta1"] for found in tries} == {0.0, 0.5, 0.9} and {found["d_steps"] for found in tries} == {1, 5}
    assert 0.35 < sum(found["g_lr"] < 10**-3.5 for found in tries) / 200 < 0.65
    assert {*METHODS} <= {arm.name for arm in arms()}
    wanted = jobs(["nsgan", "wgan"], 2, Protocol(), "ring8")
    assert [(job["arm"], job["seed"]) for job in wanted] == [("nsgan", 0), ("wgan", 0), ("nsgan", 1), ("wgan", 1)]
    assert wanted[0]["search"] == wanted[1]["search"] != wanted[2]["search"]


def test_a_try_changes_rates_momentum_and_turns():
    found = {"g_lr": 1e-4, "d_lr": 1e-2, "beta1": 0.9, "d_steps": 5}
    config = searched(configuration(Arm(recipe="nsgan"), Protocol()), found)
    assert (config.generator_optimizer.lr, config.discriminator_optimizer.lr, config.d_steps) == (1e-4, 1e-2, 5)
    assert config.generator_optimizer.beta1 == config.discriminator_optimizer.beta1 == 0.9
    clipped = searched(configuration(Arm(recipe="wgan"), Protocol()), found)
    assert clipped.discriminator_optimizer.lr == 1e-2 and not hasattr(clipped.discriminator_optimizer, "beta1")
    assert searched(config, {}) is config


def test_the_command_leaves_a_table_and_a_picture(tmp_path):
    places = ["--work", str(tmp_path / "w"), "--out", str(tmp_path / "s.md"), "--picture", str(tmp_path / "s.png")]
    search.main(["--methods", "nsgan", "lsgan", "--tries", "2", "--updates", "2", *places])
    text = (tmp_path / "s.md").read_text()
    assert "| `nsgan` |" in text and "| `lsgan` |" in text and "over 2 tries" in text
    assert (tmp_path / "s.png").stat().st_size > 1000
    with pytest.raises(UsageError, match="no arm 'nsgam'"):
        search.main(["--methods", "nsgam", *places])
    with pytest.raises(UsageError, match="at least 1"):
        search.main(["--tries", "0", *places])


def test_a_run_that_left_the_numbers_is_the_worst():
    found = {"g_lr": 1e-4, "d_lr": 1e-2, "beta1": 0.9, "d_steps": 5}
    look = {"round": 1, "modes": 8, "strict_modes": 7, "high_quality": 0.5, "sliced_w1": 0.1}
    fine = {"job": {"arm": "a", "search": found}, "looks": [look], "stopped": None}
    gone = {"job": {"arm": "b", "search": found}, "looks": [look], "stopped": "Round 1"}
    assert (distance(fine), distance(gone)) == (0.1, search.LOST)
    lines = table([gone, fine]).splitlines()
    assert lines[2].startswith("| `a` | 0.100 |") and lines[3].startswith("| `b` | - |")
