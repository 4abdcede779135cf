"""Level sets of critics: the game by hand, the command."""

from __future__ import annotations

import pytest
import torch

from saddlepoint.data.sources import open_data
from saddlepoint.errors import UsageError
from saddlepoint.networks.mlp import MLPDiscriminator
from saddlepoint.studies import levels
from saddlepoint.studies.levels import CLIP, CONSTRAINTS, CriticAlone, grid, jobs, level_run
from saddlepoint.training.trainer import Trainer, TrainerConfig


@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_the_critic_plays_against_the_data_plus_noise(constraint):
    torch.manual_seed(0)
    critic, data = MLPDiscriminator((2,), width=8, hidden=1), open_data("ring8")
    game = CriticAlone(critic, constraint)
    seen = []
    trainer = Trainer(game, data, TrainerConfig(batch=16), record=lambda round, values: seen.append(values))
    inputs = []
    handle = critic.register_forward_pre_hook(lambda module, given: inputs.append(given[0].detach()))
    try:
        before = [p.detach().clone() for p in critic.parameters()]
        trainer.play_round()
    finally:
        handle.remove()
        trainer.close()
    x_real, x_fake = inputs[0].chunk(2)
    assert 0.5 < (x_fake - x_real).std() < 1.6
    old = MLPDiscriminator((2,), width=8, hidden=1)
    for own, value in zip(old.parameters(), before, strict=True):
        own.data.copy_(value)
    torch.testing.assert_close(seen[0]["critic/adversarial"], (old(x_fake).logits - old(x_real).logits).mean().detach())
    assert ("critic/gradient_penalty" in seen[0]) == (constraint == "penalty")
    if constraint == "penalty":  # one place a pair, between its two
        share = (inputs[1] - x_fake) / (x_real - x_fake)
        torch.testing.assert_close(share[:, 0], share[:, 1], rtol=1e-3, atol=1e-3)
        assert share.min() >= -1e-4 and share.max() <= 1 + 1e-4
    else:
        assert max(float(p.detach().abs().max()) for p in critic.parameters()) <= CLIP


def test_the_grid_is_in_the_order_of_a_picture():
    places = grid().view(levels.SIDE, levels.SIDE, 2)
    assert places[0, 0].tolist() == pytest.approx([-levels.REACH] * 2)
    assert places[0, -1].tolist() == pytest.approx([levels.REACH, -levels.REACH])


def test_the_command_leaves_a_table_and_a_picture(tmp_path):
    places = ["--work", str(tmp_path / "w"), "--out", str(tmp_path / "l.md"), "--picture", str(tmp_path / "l.png")]
    levels.main(["--rounds", "3", "--width", "8", *places])
    text = (tmp_path / "l.md").read_text()
    assert text.count("| weight clipping |") == text.count("| gradient penalty |") == 3
    assert (tmp_path / "l.png").stat().st_size > 1000
    assert len(jobs(3, 2)) == 12
    with pytest.raises(UsageError, match="at least 1"):
        levels.main(["--rounds", "0", *places])


def test_a_penalised_critic_has_slopes_near_one():
    found = level_run({"toy": "ring8", "constraint": "penalty", "seed": 0, "rounds": 200, "width": 64})
    assert 0.3 < found["mean_slope"] < 1.5
    assert 0.05 < found["gap"] / found["largest_slope"] < 1.26  # a distance that noise of N(0, 1) can be moved by: E|noise| = 1.2533
