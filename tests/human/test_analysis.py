"""Simulated raters with a known truth: the analysis finds it, inside its intervals."""

from __future__ import annotations

import json
import math
from statistics import NormalDist

import numpy as np
import pytest

from saddlepoint.human.analysis import analyse
from saddlepoint.human.answers import read_answers
from saddlepoint.human.raters import error_rule, order_rule, run_rater, strength_rule, threshold_rule


@pytest.fixture
def answered(open_session):
    """A function that gives the analysis after so many attentive raters, and some who click at random."""

    def answer(study, rule, raters=12, careless=0):
        session = open_session(study)
        session.store._connection.execute("PRAGMA synchronous=OFF")  # for the test's speed alone
        for index in range(raters):
            run_rater(session, f"rater{index:02}", rule)
        for index in range(careless):
            run_rater(session, f"careless{index:02}", lambda trial, exposure, rng: str(rng.choice(["real", "generated"])), attentive=False, seed=4)
        found = analyse(study, read_answers(study.folder))
        json.dumps(found, allow_nan=False)
        return found

    return answer


def holds(interval, truth):
    return interval["low"] <= truth <= interval["high"]


def test_real_or_fake_recovers_the_errors(make_study, answered):
    study = make_study("real-or-fake", "one", arms=3, num=60, trials=80, practice=2)
    results = answered(study, error_rule({1: 0.4, 2: 0.1}, real_error=0.25), raters=14)["results"]
    good, bad = results["arms"]["arm1"], results["arms"]["arm2"]
    assert results["answers"] == 14 * 80
    assert holds(good["called_real"], 0.4)
    assert holds(bad["called_real"], 0.1)
    assert holds(results["real_called_generated"], 0.25)
    assert holds(results["error_rate"], 0.25)
    quantile = NormalDist().inv_cdf
    for arm, fooled in ((good, 0.4), (bad, 0.1)):
        assert arm["sensitivity"]["low"] <= quantile(1 - fooled) - quantile(0.25) <= arm["sensitivity"]["high"]
        assert holds(arm["hype_infinity"], (fooled + 0.25) / 2)
    assert results["arms_differ"]["p_value"] < 1e-6
    assert bad["called_real_p"] < 1e-6


def test_guessing_is_no_difference(make_study, answered):
    study = make_study("real-or-fake", "one", num=60, trials=60, practice=0)
    results = answered(study, error_rule({1: 0.5}, real_error=0.5))["results"]
    assert holds(results["error_rate"], 0.5)
    assert results["error_rate_p"] > 0.05
    assert abs(results["arms"]["arm1"]["sensitivity"]["d_prime"]) < 0.3


def test_raters_who_fail_the_checks_are_left_out_and_named(make_study, answered):
    study = make_study("real-or-fake", "one", num=60, trials=40, practice=0)
    found = answered(study, error_rule({1: 0.1}, real_error=0.1), raters=6, careless=4)
    out = [entry for entry in found["raters"] if not entry["counted"]]
    assert len(found["raters"]) == 10
    assert len(out) >= 3
    assert all(entry["rater"].startswith("careless") and "attention checks wrong; 1 allowed" in entry["reason"] for entry in out)
    assert found["results"]["raters"] == 10 - len(out)
    assert found["results"]["answers"] == 40 * (10 - len(out))


def test_a_rater_who_stopped_early_counts_as_far_as_they_went(make_study, open_session):
    study = make_study("real-or-fake", "one", trials=20, practice=0)
    session = open_session(study)
    run_rater(session, "anna", error_rule({1: 0.3}, 0.3), num=9)
    found = analyse(study, read_answers(study.folder))
    assert (found["raters"][0]["finished"], found["raters"][0]["counted"]) == (False, True)
    assert 0 < found["results"]["answers"] < 9
    assert run_rater(session, "anna", error_rule({1: 0.3}, 0.3)) == 26 - 9  # goes on where they stopped
    assert analyse(study, read_answers(study.folder))["raters"][0]["finished"]


def test_nobody_has_answered(make_study):
    found = analyse(make_study("real-or-fake", "one", trials=20), [])
    assert found["results"] is None
    assert found["raters"] == []


def test_the_staircase_finds_the_threshold_and_orders_generators(make_study, answered):
    values = {}
    for truth in (250, 600):
        study = make_study("real-or-fake", "one", num=80, trials=150, practice=0, staircase=True, name=f"study{truth}")
        results = answered(study, threshold_rule(truth), raters=8)["results"]
        values[truth] = results["arms"]["arm1"]["hype_time_ms"]
        assert "hype_infinity" not in results["arms"]["arm1"]
    # The modal exposure scatters around the threshold by the staircase's own width, about 60 ms.
    assert values[250]["value"] == pytest.approx(250, abs=75)
    assert values[600]["value"] == pytest.approx(600, abs=75)
    assert values[250]["high"] < values[600]["low"]


def test_forced_choice_recovers_the_fooled_share(make_study, answered):
    study = make_study("real-or-fake", "pair", arms=3, num=80, trials=60, practice=4, display_ms=1000)
    theta = [0.0, -0.5, -2.0]  # how real each arm looks
    results = answered(study, strength_rule(theta), raters=14)["results"]
    for name, look in (("arm1", -0.5), ("arm2", -2.0)):
        assert holds(results["arms"][name]["fooled"], 1 / (1 + math.exp(-look)))
    assert results["arms"]["arm2"]["d_prime"] > results["arms"]["arm1"]["d_prime"] > 0
    assert holds(results["left_chosen"], 0.5)
    assert results["median_shown_ms"] == 1000


def test_ranking_pairs_recover_the_strengths(make_study, answered):
    study = make_study("ranking", "pair", arms=4, num=80, trials=60, practice=0)
    theta = np.array([0.8, 0.2, -0.2, -0.8])
    results = answered(study, strength_rule(theta), raters=10)["results"]
    found = [results["arms"][f"arm{i}"]["strength"] for i in range(4)]
    assert all(holds(interval, truth) for interval, truth in zip(found, theta, strict=True))
    assert sorted(interval["value"] for interval in found)[::-1] == [interval["value"] for interval in found]
    assert results["bradley_terry"]["win_probability"][0][3] == pytest.approx(1 / (1 + math.exp(-1.6)), abs=0.1)


def test_an_arm_that_always_wins_is_said_to_need_more_answers(make_study, answered):
    study = make_study("ranking", "pair", arms=2, num=40, trials=20, practice=0)
    results = answered(study, strength_rule([50.0, 0.0]), raters=2)["results"]
    assert results["bradley_terry"] is None
    assert "Collect more answers" in results["why_not"]
    assert results["arms"]["arm0"]["preferred"] == 1.0


def test_ties_count_half(make_study, answered):
    study = make_study("ranking", "pair", arms=2, num=60, trials=40, practice=0, ties=True)
    results = answered(study, lambda trial, exposure, rng: "tie" if rng.random() < 0.5 else str(trial.arms.index(0)), raters=4)["results"]
    assert results["arms"]["arm0"]["preferred"] == pytest.approx(0.75, abs=0.06)
    assert results["ties"] == pytest.approx(80, abs=20)


def test_first_places_sum_to_one_and_follow_the_strengths(make_study, answered):
    study = make_study("ranking", "best", arms=4, num=60, trials=50, practice=0)
    theta = np.log([0.4, 0.3, 0.2, 0.1])
    results = answered(study, strength_rule(theta), raters=12)["results"]
    shares = [results["arms"][f"arm{i}"]["share"] for i in range(4)]
    assert sum(share["value"] for share in shares) == pytest.approx(1.0)
    assert all(holds(share, truth) for share, truth in zip(shares, (0.4, 0.3, 0.2, 0.1), strict=True))
    assert results["arms_differ"]["p_value"] < 1e-6
    assert results["places_differ"]["p_value"] > 0.01


def test_orders_give_average_ranks_and_strengths(make_study, answered):
    study = make_study("ranking", "order", arms=3, num=60, trials=40, practice=0, matched=True)
    theta = [0.7, 0.0, -0.7]
    results = answered(study, order_rule(theta), raters=12)["results"]
    win = lambda a, b: 1 / (1 + math.exp(theta[b] - theta[a]))  # noqa: E731
    for i in range(3):
        arm = results["arms"][f"arm{i}"]
        truth = 1 + sum(1 - win(i, j) for j in range(3) if j != i)
        assert abs(arm["average_rank"] - truth) < 3 * arm["standard_error"]
        assert abs(arm["strength"]["value"] - theta[i]) < 0.25
