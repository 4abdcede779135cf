"""Random architectures: what is drawn, what is built of it, how outcomes are counted, and a command that goes on where it was stopped."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from saddlepoint.data.sources import open_data
from saddlepoint.errors import UsageError
from saddlepoint.games.critics import TargetedPenalty
from saddlepoint.networks.norms import LayerNorm
from saddlepoint.objectives.minimax import NonSaturating
from saddlepoint.objectives.wasserstein import Wasserstein
from saddlepoint.studies import random_architectures as study


def test_every_value_is_drawn_equally_often() -> None:
    drawn = [study.draw(number) for number in range(600)]
    for player in ("generator", "discriminator"):
        for setting, values in study.DRAWN.items():
            counts = Counter(each[player][setting] for each in drawn)
            assert {*counts} == {*values}
            assert all(abs(count - 600 / len(values)) < 60 for count in counts.values())
    same = sum(each["generator"]["depth"] == each["discriminator"]["depth"] for each in drawn)
    assert abs(same - 150) < 50  # G's and D's are drawn apart
    assert study.draw(3) == study.draw(3) != study.draw(3, seed=1)


@pytest.mark.parametrize("normed", [True, False])
def test_the_games_are_those_of_the_paper(normed: bool) -> None:
    data = open_data(study.DATA, resolution=study.SIDE)
    own = {"activation": "tanh", "depth": 4, "norm": normed, "width": 8}
    games = {method: study.build({"generator": own, "discriminator": own}, method, data) for method in study.METHODS}
    assert isinstance(games["GAN"].objective, NonSaturating) and isinstance(games["WGAN-GP"].objective, Wasserstein)
    assert not len(games["GAN"].terms) and isinstance(games["WGAN-GP"].terms[0], TargetedPenalty)
    for method, kind, rate, betas in (("GAN", nn.BatchNorm2d, 2e-4, (0.5, 0.999)), ("WGAN-GP", LayerNorm, 1e-4, (0.0, 0.9))):
        game = games[method]
        assert any(isinstance(module, kind) for module in game.discriminator.modules()) == normed
        assert any(isinstance(module, nn.BatchNorm2d) for module in game.generator.modules()) == normed
        for player, decay in (("generator", 0.0), ("discriminator", 1e-3 if normed else 0.0)):  # Appendix B
            optimizer: Any = game.players[player].optimizer
            assert optimizer.lr == pytest.approx(study.FASTER * rate) and (optimizer.beta1, optimizer.beta2) == betas
            assert optimizer.weight_decay == decay
    assert [turn.player for turn in games["GAN"].play()] == ["discriminator", "generator"]


def test_outcomes_are_counted_as_in_the_paper() -> None:
    def record(number: int, method: str, score: float | None) -> dict[str, Any]:
        return {"job": {"number": number, "method": method, "drawn": study.draw(number)}, "score": score, "stopped": None if score else "why"}

    found = study.outcomes(
        [record(0, "GAN", 2.0), record(0, "WGAN-GP", 3.0), record(1, "GAN", None), record(1, "WGAN-GP", 1.2), record(2, "GAN", 5.0)]
    )
    assert found == {0: {"GAN": 2.0, "WGAN-GP": 3.0}, 1: {"GAN": 0.0, "WGAN-GP": 1.2}}  # the third has one method only
    scores = [*found.values()]
    assert study.successes(scores, 1.0) == (0, 1, 1, 0)
    assert study.successes(scores, 2.0) == (0, 1, 0, 1)  # a score must be above the threshold
    assert study.successes(scores, 3.0) == (0, 0, 0, 2)


def test_scores_of_real_and_of_equal_images() -> None:
    data = open_data(study.DATA, resolution=study.SIDE)
    real = study.score_of(data.records(torch.arange(300))["image"])
    assert 8.0 < real <= 10.0 and study.score_of(torch.full((100, 1, 8, 8), 90, dtype=torch.uint8)) == pytest.approx(1.0)


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(study, "BATCH", 8)
    monkeypatch.setattr(study, "SAMPLES", 40)
    own = {"activation": "relu", "depth": 4, "norm": False, "width": 8}
    monkeypatch.setattr(study, "draw", lambda number, seed=0: {"generator": own, "discriminator": own})
    flags = ["--updates", "1", "--keep", str(tmp_path / "runs.jsonl"), "--out", str(tmp_path / "table.md")]
    assert study.main(["--count", "1", *flags]) == 0
    first = (tmp_path / "runs.jsonl").read_text()
    assert study.main(["--count", "2", *flags]) == 0  # goes on from the smaller count
    assert (tmp_path / "runs.jsonl").read_text().startswith(first) and first.count("\n") == 2
    table = (tmp_path / "table.md").read_text()
    assert "2 architectures, 1 moves of G" in table and "| min. score | only GAN | only WGAN-GP | both succeeded | both failed |" in table
    assert "| generator: activation relu | 2 |" in table and "tanh" not in table
    assert "4/4 1 WGAN-GP" in capsys.readouterr().err
    with pytest.raises(UsageError, match="count and updates must be at least 1"):
        study.main(["--count", "0", *flags])
