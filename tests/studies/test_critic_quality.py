"""The study of the critic's loss: it runs, goes on where it was stopped, makes its tables and its picture; and what it correlates."""

from __future__ import annotations

from pathlib import Path

import pytest

from saddlepoint.studies import critic_quality
from saddlepoint.studies.critic_quality import correlation, over_all


def test_the_study_makes_both_tables_and_the_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arms = ("WGAN: MLP, MLP", "GAN: DCGAN, DCGAN")
    monkeypatch.setattr(critic_quality, "ARMS", {"estimate": {arm: critic_quality.ARMS["estimate"][arm] for arm in arms}})
    monkeypatch.setattr(critic_quality, "REAL", 80)
    monkeypatch.setattr(critic_quality, "FAKE", 70)
    flags = ["--seeds", "1", "--rounds", "4", "--keep", str(tmp_path / "runs.jsonl"), "--out", str(tmp_path / "table.md")]
    assert critic_quality.main([*flags, "--pictures", str(tmp_path)]) == 0
    table = (tmp_path / "table.md").read_text()
    assert table.startswith("estimate, 4 rounds\n") and all(table.count(f"| {arm} |") == 2 for arm in arms)
    assert table.count("| 4 |") == 2  # four looks, all from one seed
    assert (tmp_path / "critic_quality-estimate.png").stat().st_size > 10_000
    monkeypatch.setattr(critic_quality, "work", None)  # what is on file is not done again
    assert critic_quality.main(flags) == 0 and (tmp_path / "table.md").read_text() == table


def test_correlation_over_looks() -> None:
    def looks(estimates: list[float], distances: list[float]) -> list[dict[str, float]]:
        return [{"estimate": e, "frechet": f} for e, f in zip(estimates, distances, strict=True)]

    assert correlation(looks([3.0, 2.0, 1.0], [30.0, 5.0, 4.9])) == 1.0  # ranks alone count
    assert correlation(looks([1.0, 2.0, 3.0], [30.0, 5.0, 4.9])) == -1.0
    assert correlation(looks([1.0, 2.0, 3.0, 4.0], [2.0, 1.0, 4.0, 3.0])) == pytest.approx(0.6)  # 1 - 6 * 4 / (4 * 15)
    assert (
        correlation(looks([1.0, 1.0, 1.0], [1.0, 2.0, 3.0])) is None
        and correlation(looks([1.0, 2.0], [1.0, 2.0])) is None
        and correlation([]) is None
    )
    runs = [{"job": {"arm": "a"}, "looks": looks([1.0, 2.0], [1.0, 2.0])}, {"job": {"arm": "a"}, "looks": looks([3.0], [0.5])}]
    assert "| a | 3 | -0.5 |" in over_all(runs)


def test_the_arms_are_the_pairs_of_the_figures() -> None:
    assert [*critic_quality.ARMS["estimate"]] == [
        f"{game}: {pair}" for game in ("WGAN", "GAN") for pair in ("MLP, MLP", "MLP, DCGAN", "DCGAN, DCGAN")
    ]
    assert all(changes["ema_halflife_kimg"] is None for _, _, changes in critic_quality.ARMS["estimate"].values())
