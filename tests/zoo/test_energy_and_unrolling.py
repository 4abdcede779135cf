"""A6 to A8: auto-encoders as discriminators, unrolling."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from saddlepoint.errors import UsageError
from saddlepoint.games.player import Adam, Clock
from saddlepoint.objectives.boundary import BoundaryEquilibrium
from saddlepoint.objectives.minimax import ZeroSum
from saddlepoint.training.trainer import Trainer, TrainerConfig
from saddlepoint.zoo import began, ebgan
from saddlepoint.zoo.catalogue import find_recipe


def test_ebgan_margin_is_in_the_papers_unit(make: Any, images: Any) -> None:
    game, _, _ = make("ebgan", "paper", images(3, 64, n=4), width=4, encoder_width=4)
    assert game.objective.margin == pytest.approx(80 / (3 * 64 * 64))
    summed = 80.0
    energy = torch.tensor([60.0])  # summed over a sample's values, under the margin by 20
    loss = game.objective.discriminator(torch.zeros(1), -energy / 12288)
    assert loss.item() * 12288 == pytest.approx(summed - 60, rel=1e-4)


def test_ebgan_pulling_away_and_kinds_of_autoencoder(make: Any, images: Any) -> None:
    game, _, _ = make("ebgan", "pulling-away", images(3, 32), width=4, encoder_width=4)
    assert [term.weight for term in game.terms] == [0.1]
    config = find_recipe("ebgan").preset("mnist")
    assert isinstance(config, ebgan.EBGANConfig)
    assert (config.margin, config.encoder_width, config.code_dim) == (10.0, 256, 32)


def test_began_controller_by_hand() -> None:
    objective = BoundaryEquilibrium(gamma=0.5, lambda_k=0.1)
    objective.after_turn("discriminator", {"discriminator/real": torch.tensor(-4.0)})
    logged = objective.after_turn("generator", {"generator/adversarial": torch.tensor(1.0)})
    assert logged["began/k"].item() == pytest.approx(0.1 * (0.5 * 4 - 1))
    assert logged["began/convergence"].item() == pytest.approx(4 + abs(0.5 * 4 - 1))
    loss = objective.discriminator(torch.tensor([-4.0]), torch.tensor([-1.0]))
    assert loss.item() == pytest.approx(4 - 0.1 * 1)
    for _ in range(3):
        logged = objective.after_turn("generator", {"generator/adversarial": torch.tensor(9.0)})
    assert logged["began/k"].item() == 0


def test_began_learning_rates_are_halved(make: Any, images: Any) -> None:
    game, config, _ = make("began", "paper", images(3, 32, n=4), width=4)
    assert isinstance(config, began.BEGANConfig)
    schedule = game.players["generator"].schedule
    rates = [schedule(Clock(round=r))["lr"] for r in (0, 99_999, 100_000, 200_000, 400_000)]
    assert rates == pytest.approx([8e-5, 8e-5, 4e-5, 2e-5, 2e-5])
    assert "objective.k" in game.state_dict()


def test_began_residuals_vanish_for_both_players(make: Any, images: Any, play: Any) -> None:
    game, config, data = make("began", "skips", images(1, 16), width=4, batch=4, vanishing_rounds=4)
    with play(game, config, data) as playing:
        playing.rounds(3)
    carries = {name: value.item() for name, value in game.state_dict().items() if name.endswith("carry")}
    assert len(carries) == 3  # G, D's encoder and decoder
    assert set(carries.values()) == {0.5}  # the third round is played at 1 - 2/4


def test_unrolled_is_the_demonstration(make: Any, points: Any) -> None:
    game, config, _ = make("unrolled", "toy", points())
    assert (config.batch, config.latent_dim, config.width, config.rounds, config.unroll_steps) == (512, 256, 128, 25_000, 5)
    assert config.generator_optimizer == Adam(lr=1e-3, beta1=0.5)
    assert config.discriminator_optimizer == Adam(lr=1e-4, beta1=0.5)
    assert isinstance(game.objective, ZeroSum)
    assert game.opponent.steps == 5
    assert find_recipe("unrolled").preset("unrolled-10") == dataclasses.replace(config, unroll_steps=10)


def test_zero_steps_of_unrolling_are_the_plain_zero_sum_game(make: Any, points: Any) -> None:
    plain, _, data = make("unrolled", "not-unrolled", points(), batch=8)
    ahead, _, _ = make("unrolled", "toy", points(), batch=8)
    gradients = []
    for game in (plain, ahead):
        trainer = Trainer(game, data, TrainerConfig(batch=8))
        gradients.append(trainer.gradient_of(game.generator_turn))
        trainer.close()
    assert plain.opponent is None
    largest = max((gradients[0][name] - gradients[1][name]).abs().max() for name in gradients[0])
    assert largest > 1e-6  # looking ahead changes the slope
    zero, one = torch.zeros(3), torch.ones(3)
    assert torch.equal(plain.objective.generator(zero, one), -plain.objective.discriminator(one, zero))
    with pytest.raises(UsageError, match="needs real logits"):
        plain.objective.generator(zero)


def test_ebgan_layers_belong_to_the_fully_connected_networks(make: Any, images: Any) -> None:
    game, _, _ = make(
        "ebgan", "mnist", images(), resolution=None, generator_hidden=1, encoder_hidden=2, dropout=0.5, width=8, encoder_width=6, code_dim=3
    )
    assert [tuple(p.shape) for name, p in game.discriminator.named_parameters() if "weight" in name][:3] == [(6, 256), (6, 6), (3, 6)]
    assert len([name for name, _ in game.generator.named_parameters() if "weight" in name]) == 2
    with pytest.raises(UsageError, match="fully connected"):
        make("ebgan", "small", images(), resolution=None, dropout=0.5)


def test_began_counts_the_windows_in_which_convergence_did_not_fall() -> None:
    objective = BoundaryEquilibrium(gamma=0.5, lambda_k=0.0, window=2)
    seen = []
    for error in (4.0, 2.0, 1.0, 1.0, 3.0, 1.0, 1.0, 0.5):  # M = 1.5 errors where L(G(z)) is 0; means of windows 4.5, 1.5, 3, 1.125
        objective.after_turn("discriminator", {"discriminator/real": torch.tensor(-error)})
        objective.after_turn("generator", {"generator/adversarial": torch.tensor(0.0)})
        seen.append(objective.stalls.item())
    assert seen == [0, 0, 0, 0, 0, 1, 1, 1]
    assert "stalls" not in BoundaryEquilibrium().state_dict()


def test_began_halves_its_rates_where_convergence_stalls(make: Any, images: Any, play: Any) -> None:
    game, config, data = make("began", "stalls", images(1, 16), width=4, batch=4, lr_stall_rounds=2)
    assert config.generator_optimizer.lr == 1e-4
    schedule = game.players["discriminator"].schedule
    assert schedule(Clock(round=0))["lr"] == 1e-4
    game.objective.stalls.fill_(2)
    assert [schedule(Clock(round=r))["lr"] for r in (1, 2)] == pytest.approx([1e-4, 2.5e-5])
    game.objective.stalls.fill_(9)
    assert schedule(Clock(round=4))["lr"] == pytest.approx(2e-5)  # the floor
    game.objective.stalls.fill_(0)
    with play(game, config, data) as playing:
        playing.rounds(3)
    assert game.objective.window_rounds.item() == 1
    with pytest.raises(UsageError, match="g_steps must be 1"):
        dataclasses.replace(config, g_steps=2)
