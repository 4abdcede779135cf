"""The health monitor: each sentence fires when it should, stays silent when it should, and a resumed monitor says the same."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from saddlepoint.evaluation.health import Finding, HealthMonitor, Limits

FLOOR = {"quick_frechet": 1.0, "coverage": 0.9, "pairwise_distance": 1.0}


def feed(records: Iterable[dict[str, Any]], monitor: HealthMonitor | None = None) -> list[Finding]:
    monitor = monitor or HealthMonitor()
    return [finding for record in records for finding in monitor.feed(record)]


def opinions(separation: float, start: int = 20, stop: int = 1000) -> list[dict[str, Any]]:
    return [{"round": r, "discriminator/separation": separation} for r in range(start, stop + 1, 20)]


def scores(values: Iterable[float], name: str = "quick_frechet", **constant: Any) -> list[dict[str, Any]]:
    return [{"round": 100 * (i + 1), "quick_frechet": 9.0, "floor": FLOOR, **constant, name: value} for i, value in enumerate(values)]


def kinds(findings: list[Finding]) -> list[str]:
    return [finding.kind for finding in findings]


def test_discriminator_won() -> None:
    findings = feed(opinions(1.0))
    assert kinds(findings) == ["discriminator-won"]  # said once
    assert findings[0].round == 520  # 500 rounds after round 20
    assert findings[0].message.startswith(
        "Round 520: the discriminator has won: it has separated real from fake perfectly for the last 500 rounds (100.0 %"
    )
    assert "R1" in findings[0].message


@pytest.mark.parametrize("separation", [0.998, 0.9, 0.53])
def test_a_good_discriminator_is_no_finding(separation: float) -> None:
    assert feed(opinions(separation)) == []


def test_perfect_for_less_than_the_patience_is_no_finding() -> None:
    broken = opinions(1.0, 20, 480) + opinions(0.95, 500, 500) + opinions(1.0, 520, 1000)
    assert feed(broken) == []


def test_a_critic_may_separate_perfectly() -> None:
    assert feed(opinions(1.0), HealthMonitor(judge_separation=False)) == []


def test_it_is_said_when_it_ends_and_may_be_said_again() -> None:
    records = opinions(1.0, 20, 600) + opinions(0.9, 620, 640) + opinions(1.0, 660, 1200)
    assert kinds(feed(records)) == ["discriminator-won", "recovered", "discriminator-won"]


def test_discriminator_lost() -> None:
    findings = feed(opinions(0.5))
    assert kinds(findings) == ["discriminator-lost"]
    assert "has not told real from fake for the last 500 rounds (50.0 %" in findings[0].message


def test_guessing_near_the_floor_is_the_equilibrium() -> None:
    monitor = HealthMonitor()
    assert feed([{"round": 1, "quick_frechet": 1.9, "floor": FLOOR}], monitor) == []
    assert feed(opinions(0.5), monitor) == []
    assert kinds(feed([{"round": 1001, "quick_frechet": 2.1, "floor": 1.0}, *opinions(0.5, 1020, 2000)], monitor)) == ["discriminator-lost"]


def test_probabilities_serve_where_separation_is_not_logged() -> None:
    def mean_realness(real: float, fake: float) -> list[dict[str, Any]]:
        return [{"round": r, "discriminator/real": real, "discriminator/fake": fake} for r in range(20, 1001, 20)]

    assert kinds(feed(mean_realness(0.995, 0.004))) == ["discriminator-won"]
    assert kinds(feed(mean_realness(0.5, 0.5))) == ["discriminator-lost"]
    assert feed(mean_realness(0.9, 0.2)) == []
    assert feed(mean_realness(13.0, -4.0)) == []  # logits: their size alone says nothing


def test_collapse_by_pairwise_distance() -> None:
    findings = feed(scores([0.9, 0.8, 0.4, 0.3, 0.2], "pairwise_distance"))
    assert kinds(findings) == ["collapse"]
    assert findings[0].message.startswith("Round 400: samples collapse: the mean distance between them is 30 % of that between real images.")


@pytest.mark.parametrize("values", [[0.1] * 9 + [0.6], [0.9, 0.9, 0.4, 0.9, 0.4], [0.51] * 12])
def test_an_untrained_generator_a_single_dip_and_a_near_miss_are_no_collapse(values: list[float]) -> None:
    assert feed(scores(values, "pairwise_distance")) == []


def test_samples_that_never_become_varied_are_a_collapse_too() -> None:
    findings = feed(scores([0.1] * 15, "pairwise_distance"))
    assert [(finding.kind, finding.round) for finding in findings] == [("collapse", 1200)]


def test_collapse_by_coverage() -> None:
    findings = feed(scores([0.2, 0.5, 0.6, 0.29, 0.28], "coverage"))
    assert kinds(findings) == ["collapse"]
    assert "cover 28% of the real neighbourhoods, after 60%" in findings[0].message


@pytest.mark.parametrize("values", [[0.01, 0.02, 0.03, 0.04], [0.17, 0.02, 0.02, 0.02], [0.6, 0.31, 0.31, 0.31]])
def test_coverage_that_never_was_or_holds_is_no_collapse(values: list[float]) -> None:
    assert feed(scores(values, "coverage")) == []


def test_collapse_by_modes() -> None:
    def points(modes: list[int]) -> list[dict[str, Any]]:
        floor = {"sliced_wasserstein": 0.01, "modes": 8}
        return [{"round": 100 * i, "sliced_wasserstein": 0.5, "modes": m, "floor": floor} for i, m in enumerate(modes, 1)]

    assert kinds(feed(points([2, 8, 3, 3]))) == ["collapse"]
    assert "they cover 3 modes, after 8" in feed(points([2, 8, 3, 3]))[0].message
    assert feed(points([2, 8, 4, 4])) == []


def test_falling_names_the_best_round() -> None:
    findings = feed(scores([30, 10, 14, 15, 16, 20]))
    assert kinds(findings) == ["falling"]
    assert findings[0].message.startswith(
        "Round 500: quality has been falling since round 200: the quick Frechet distance was 10 there and is 16 now. "
    )
    assert "checkpoint of round 200 is the best" in findings[0].message


@pytest.mark.parametrize("values", [[30, 10, 12.9, 12.9, 12.9], [30, 10, 14, 14, 9], [1.0, 1.2, 1.24, 1.24], [30, 20, 10, 5, 4, 3]])
def test_wavering_recovering_and_improving_is_not_falling(values: list[float]) -> None:
    assert feed(scores(values)) == []


def test_falling_ends_at_a_new_best() -> None:
    findings = feed(scores([10, 14, 14, 14, 8]))
    assert kinds(findings) == ["falling", "recovered"]
    assert "best 8 at round 500" in findings[1].message


def test_limits_can_be_set() -> None:
    assert kinds(feed(opinions(0.95), HealthMonitor(Limits(won=0.9, patience_rounds=100)))) == ["discriminator-won"]


def test_a_resumed_monitor_says_what_an_unbroken_one_says() -> None:
    story = sorted(opinions(1.0, 20, 1500) + scores([30, 10, 14, 15, 16, 20, 8, 9], pairwise_distance=0.3), key=lambda record: record["round"])
    limits = Limits(first_rounds=300)
    whole = feed(story, HealthMonitor(limits))
    assert set(kinds(whole)) == {"discriminator-won", "collapse", "falling", "recovered"}
    for cut in range(0, len(story), 5):
        first, second = HealthMonitor(limits), HealthMonitor(limits)
        before = feed(story[:cut], first)
        second.load_state_dict(json.loads(json.dumps(first.state_dict())))
        assert before + feed(story[cut:], second) == whole


def test_records_that_say_nothing() -> None:
    assert feed([{"round": 1, "generator/adversarial": 2.0}, {"round": 2}]) == []


def test_augmentation_at_its_cap() -> None:
    def turns(values: Iterable[tuple[float, float]]) -> list[dict[str, Any]]:
        each = [{"discriminator/ada_p": p, "discriminator/ada_capped": capped, "discriminator/sign": 0.71} for p, capped in values]
        return [{"round": 20 * (i + 1)} | record for i, record in enumerate(each)]

    findings = feed(turns([(0.7, 0.0), (0.79, 0.25), (0.8, 1.0), (0.79, 0.5), (0.75, 0.0), (0.6, 0.0), (0.8, 1.0)]))
    assert kinds(findings) == ["augmentation-capped", "recovered", "augmentation-capped"]
    assert [finding.round for finding in findings] == [40, 120, 140]
    assert "p is 0.79" in findings[0].message and "mean sign on real images 0.71" in findings[0].message
    assert "below its cap again" in findings[1].message
    assert feed([{"round": 20, "discriminator/sign": 0.9, "discriminator/ada_p": 0.0}]) == []  # fixed p


def test_a_metric_of_the_game_that_rises_is_told_by_its_name() -> None:
    monitor = HealthMonitor()
    scores = [2.0, 1.0, *(4.0,) * 6]
    told = [finding.message for r, value in enumerate(scores) for finding in monitor.feed({"round": 10 * r, "metric": "nll_test", "nll_test": value})]
    assert len(told) == 1 and "the nll_test was 1 there and is 4 now" in told[0]
    monitor = HealthMonitor()
    assert not [1 for r, value in enumerate(scores) for _ in monitor.feed({"round": 10 * r, "metric": "bound", "bound": value - 9})]
