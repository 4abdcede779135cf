"""What each paper of section A asks for beyond its value function, and what toy versions of it leave out."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.records import DataSpec
from saddlepoint.draws import Draws, use
from saddlepoint.errors import UsageError
from saddlepoint.games.game import Classifies, Game
from saddlepoint.games.player import SGD, Adam, Clock, RMSprop
from saddlepoint.networks.base import Judgement, mixes_samples
from saddlepoint.networks.mlp import GoodfellowGenerator
from saddlepoint.networks.spectral import normalised_layers, refresh_spectral_norms
from saddlepoint.objectives.boundary import BoundaryEquilibrium
from saddlepoint.objectives.minimax import ZeroSum
from saddlepoint.objectives.relativistic import Relativistic
from saddlepoint.objectives.wasserstein import Wasserstein
from saddlepoint.training.trainer import Trainer, TrainerConfig
from saddlepoint.views.noise import Dequantise
from saddlepoint.zoo import am_gan, began, ebgan, gan, gan_r1, wgan
from saddlepoint.zoo.catalogue import find_recipe


def images(c: int = 1, size: int = 16, n: int = 40) -> ArrayDataset:
    pixels = torch.randint(0, 256, (n, c, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    fields = {"image": pixels, "label": torch.arange(n) % 4}
    return ArrayDataset(fields, DataSpec(name="noise", kind="image", shape=(c, size, size), num_records=n, num_classes=4, fields=tuple(fields)))


def points(n: int = 40) -> ArrayDataset:
    fields = {"point": torch.randn(n, 2, generator=torch.Generator().manual_seed(0)), "label": torch.arange(n) % 4}
    return ArrayDataset(fields, DataSpec(name="cloud", kind="points", shape=(2,), num_records=n, num_classes=4, fields=tuple(fields)))


def make(name: str, preset: str, data: ArrayDataset, **changes: Any) -> tuple[Any, Any, Any]:
    """Game, configuration and data as the recipe prepares it."""
    recipe = find_recipe(name)
    config = dataclasses.replace(recipe.preset(preset), **changes)
    torch.manual_seed(0)
    prepared = recipe.prepare(config, data) if recipe.prepare else data
    return recipe.game(config, prepared), config, prepared


class Playing:
    """A trainer that keeps what is logged."""

    def __init__(self, game: Game, config: Any, data: Any) -> None:
        self.log: list[dict[str, Tensor]] = []
        settings = TrainerConfig(seed=1, batch=config.batch, horizon=config.rounds)
        self.trainer = Trainer(game, data, settings, record=lambda round, values: self.log.append(values))

    def __enter__(self) -> Playing:
        return self

    def rounds(self, count: int) -> None:
        for _ in range(count):
            self.trainer.play_round()

    def __exit__(self, *error: object) -> None:
        self.trainer.close()


# -- A1: the first GAN -------------------------------------------------------------------------------------------------------------------------------


def test_gan_learning_rate_and_momentum() -> None:
    config = find_recipe("gan").preset("paper")
    assert isinstance(config, gan.GANConfig)
    at = gan.schedule(config, SGD(lr=0.1, momentum=0.5), num_records=50_000)  # 500 rounds an epoch
    start, middle, end = at(Clock()), at(Clock(round=500 * 125)), at(Clock(round=500 * 249))
    assert start == {"lr": 0.1, "momentum": 0.5}
    assert middle["lr"] == pytest.approx(0.1 / 1.000004**62_500)
    assert middle["momentum"] == pytest.approx(0.5 + 0.2 * 125 / 249)
    assert end["momentum"] == pytest.approx(0.7)
    far = at(Clock(round=5_000_000))
    assert far == {"lr": 1e-6, "momentum": pytest.approx(0.7)}


def test_gan_k_steps_advance_the_schedule() -> None:
    config = dataclasses.replace(find_recipe("gan").preset("paper"), d_steps=3)
    assert isinstance(config, gan.GANConfig)
    assert gan.schedule(config, SGD(lr=0.1, momentum=0.5), 50_000)(Clock(round=10))["lr"] == pytest.approx(0.1 / 1.000004**30)


def test_gan_starts_at_the_mean_image() -> None:
    data = images(size=12)
    game, _, _ = make("gan", "small", data, width=24, resolution=12)
    assert isinstance(game.generator, GoodfellowGenerator)
    mean = data.records(torch.arange(len(data)))["image"].double().mean(0) / 255  # 1 h w
    assert torch.allclose(torch.sigmoid(game.generator.last.bias).double(), mean.flatten(), atol=1e-5)


def test_gan_halves_the_discriminators_loss_and_keeps_dropout_for_the_generator() -> None:
    game, _, _ = make("gan", "small", images(size=12), width=24)
    assert game.objective.discriminator(torch.zeros(1), torch.zeros(1)).item() == pytest.approx(math.log(2))
    x = torch.zeros(4, 1, 12, 12)
    with use(Draws.seeded("a")):
        first = game.judge(x).logits
    with use(Draws.seeded("b")):
        assert not torch.equal(first, game.judge(x).logits)


def test_gan_tfd_column_norm_is_restored_after_each_move() -> None:
    game, config, data = make("gan", "tfd", images(size=12), width=80, batch=8, max_column_norm=0.5)
    with Playing(game, config, data) as playing:
        playing.rounds(1)
    for layer in game.modules():
        if isinstance(layer, nn.Linear):
            assert layer.weight.flatten(1).norm(dim=1).max() <= 0.5 + 1e-5


@pytest.mark.parametrize(("loss", "expected"), [("minimax", -math.log(2)), ("non-saturating", math.log(2)), ("blended", math.log(2) / 4)])
def test_gan_generator_losses(loss: str, expected: float) -> None:
    game, _, _ = make("gan", "toy", points(), generator_loss=loss)
    assert game.objective.generator(torch.zeros(1)).item() == pytest.approx(expected)


# -- A3 to A5: least squares, Wasserstein ------------------------------------------------------------------------------------------------------------


def test_lsgan_codings() -> None:
    for coding, (a, b, c) in {"binary": (0, 1, 1), "pearson": (-1, 1, 0)}.items():
        game, _, _ = make("lsgan", "toy", points(), coding=coding)
        objective = game.objective
        assert objective.discriminator(torch.tensor([float(b)]), torch.tensor([float(a)])).item() == 0
        assert objective.generator(torch.tensor([float(c)])).item() == 0


def test_lsgan_without_norm_in_the_generator() -> None:
    game, _, _ = make("lsgan", "no-norm", images(3, 16), width=8)
    assert not mixes_samples(game.generator)
    assert mixes_samples(game.discriminator)
    with pytest.raises(UsageError, match=r"generator of the architecture lsgan-112 has batch norm; none was asked for.*dcgan"):
        make("lsgan", "paper", images(3, 16), generator_norm="none")


def test_wgan_critic_turns_follow_the_schedule() -> None:
    config = find_recipe("wgan").preset("paper")
    assert isinstance(config, wgan.WGANConfig)
    turns = [wgan.critic_steps(config, Clock(round=r)) for r in range(1001)]
    assert turns[:25] == [100] * 25
    assert set(turns[25:500]) == {5}
    assert turns[500] == turns[1000] == 100
    assert set(turns[501:1000]) == {5}
    game, _, _ = make("wgan", "toy", points())
    assert [turn.player for turn in game.play()] == ["discriminator"] * 20 + ["generator"]
    game.clock.round = 25
    assert [turn.player for turn in game.play()] == ["discriminator"] * 5 + ["generator"]


def test_wgan_clips_before_the_critics_turn_its_gains_too() -> None:
    game, config, data = make("wgan", "small", images(), width=8, batch=8, burst_d_steps=1)
    gains = [m.weight for m in game.discriminator.modules() if isinstance(m, nn.BatchNorm2d)]
    assert gains
    assert min(gain.min() for gain in gains) > 0.5
    with Playing(game, config, data) as playing:
        inside: list[bool] = []
        game.before_turn = lambda turn: inside.append(all(p.abs().max() <= config.clip for p in game.discriminator.parameters()))
        playing.rounds(1)
    assert inside[0]
    assert max(gain.abs().max().item() for gain in gains) > config.clip - 1e-9  # clipped, then moved: no clip after the move
    moved = max(p.abs().max().item() for p in game.discriminator.parameters())
    assert moved > config.clip


def test_wgan_logs_the_estimate_of_the_distance() -> None:
    game, config, data = make("wgan", "toy", points(), batch=8, burst_d_steps=1)
    with Playing(game, config, data) as playing:
        playing.rounds(1)
    values = playing.log[0]
    assert values["discriminator/wasserstein"].item() == pytest.approx(-values["discriminator/adversarial"].item(), abs=1e-6)
    assert isinstance(game.objective, Wasserstein)


@pytest.mark.parametrize("row", [1, 2, 3, 4, 5, 6])
def test_wgan_gp_rows(row: int) -> None:
    norm = "none" if row == 4 else "layer"
    game, config, data = make("wgan-gp", "paper", images(3), architecture=f"row{row}", critic_norm=norm, width=4, batch=4, resolution=16)
    with Playing(game, config, data) as playing:
        playing.rounds(1)
    assert all(torch.isfinite(value) for values in playing.log for value in values.values())


def test_wgan_gp_row_7_has_101_layers() -> None:
    game, _, _ = make("wgan-gp", "paper", images(3, 64, n=2), architecture="row7", width=4)
    for player in (game.generator, game.discriminator):
        convolutions = sum(type(m).__name__ == "Scaling" for name, m in player.named_modules() if "shortcut" not in name)
        assert convolutions + sum(isinstance(m, nn.Linear) for m in player.modules()) == 101


def test_wgan_gp_refuses_batch_norm_in_the_critic() -> None:
    for recipe, preset, changes in (("wgan-gp", "paper", {}), ("ttur", "wgan-gp", {})):
        with pytest.raises(UsageError, match="judges each sample alone.*--critic-norm layer or none"):
            make(recipe, preset, images(3, 16), critic_norm="batch", width=4, **changes)


def test_wgan_gp_dequantises_real_images_only() -> None:
    game, config, data = make("wgan-gp", "cifar", images(3, 32), width=4, batch=4)
    assert isinstance(game.real_view, Dequantise)
    assert config.g_batch_factor == 2
    seen: list[Tensor] = []
    game.discriminator.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach().clone()))
    with Playing(game, config, data) as playing:
        playing.rounds(1)
    levels = (data.records(torch.arange(len(data)))["image"] / 128 - 1).unique()
    real = seen[0][:4]  # real and fake pass together; the reals come first
    gaps = real.flatten()[:, None] - levels[None]
    gap = gaps.where(gaps >= -1e-6, torch.inf).amin(1)
    assert gap.max() < 1 / 128 + 1e-5
    assert gap.std() > 1e-3


def test_wgan_gp_conditional_classifies_reals_in_d_and_fakes_in_g() -> None:
    game, config, data = make("wgan-gp", "cifar-conditional", images(3, 32), width=4, batch=4)
    with Playing(game, config, data) as playing:
        playing.rounds(1)
    assert {(term.player, term.weight, term.on_fakes) for term in game.terms if hasattr(term, "on_fakes")} == {
        ("discriminator", 1.0, False),
        ("generator", 0.1, False),
    }
    assert "discriminator/classes" in playing.log[0]
    assert "generator/classes" in playing.log[-1]
    labels = torch.tensor([0, 1])
    z = torch.zeros(2, config.latent_dim)
    game.eval()
    assert game.generate(z, labels).shape == (2, 3, 32, 32)


# -- A6 and A7: auto-encoders ------------------------------------------------------------------------------------------------------------------------


def test_ebgan_margin_is_in_the_papers_unit() -> None:
    game, _, _ = make("ebgan", "paper", images(3, 64, n=4), width=4, encoder_width=4)
    assert game.objective.margin == pytest.approx(80 / (3 * 64 * 64))
    summed = 80.0
    energy = torch.tensor([60.0])  # summed over a sample's values, under the margin by 20
    loss = game.objective.discriminator(torch.zeros(1), -energy / 12288)
    assert loss.item() * 12288 == pytest.approx(summed - 60, rel=1e-4)


def test_ebgan_pulling_away_and_kinds_of_autoencoder() -> None:
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


def test_began_learning_rates_are_halved() -> None:
    game, config, _ = make("began", "paper", images(3, 32, n=4), width=4)
    assert isinstance(config, began.BEGANConfig)
    schedule = game.players["generator"].schedule
    rates = [schedule(Clock(round=r))["lr"] for r in (0, 99_999, 100_000, 200_000, 400_000)]
    assert rates == pytest.approx([8e-5, 8e-5, 4e-5, 2e-5, 2e-5])
    assert "objective.k" in game.state_dict()


def test_began_residuals_vanish_for_both_players() -> None:
    game, config, data = make("began", "skips", images(1, 16), width=4, batch=4, vanishing_rounds=4)
    with Playing(game, config, data) as playing:
        playing.rounds(3)
    carries = {name: value.item() for name, value in game.state_dict().items() if name.endswith("carry")}
    assert len(carries) == 3  # G, D's encoder and decoder
    assert set(carries.values()) == {0.5}  # the third round is played at 1 - 2/4


# -- A8: unrolling -----------------------------------------------------------------------------------------------------------------------------------


def test_unrolled_is_the_demonstration() -> None:
    game, config, _ = make("unrolled", "toy", points())
    assert (config.batch, config.latent_dim, config.width, config.rounds, config.unroll_steps) == (512, 256, 128, 25_000, 5)
    assert config.generator_optimizer == Adam(lr=1e-3, beta1=0.5)
    assert config.discriminator_optimizer == Adam(lr=1e-4, beta1=0.5)
    assert isinstance(game.objective, ZeroSum)
    assert game.opponent.steps == 5
    assert find_recipe("unrolled").preset("unrolled-10") == dataclasses.replace(config, unroll_steps=10)


def test_zero_steps_of_unrolling_are_the_plain_zero_sum_game() -> None:
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


# -- A9 and A10: spectral norm, two rates ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("preset", "size"), [("paper", 32), ("cnn", 32), ("small", 28)])
def test_sngan_every_layer_of_d_has_norm_one(preset: str, size: int) -> None:
    game, config, data = make("sngan", preset, images(3, size), width=16, batch=4)
    with Playing(game, config, data) as playing:
        playing.rounds(2)
    layers = list(normalised_layers(game.discriminator))
    weighted = [m for m in game.discriminator.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    assert len(layers) == len(weighted)
    refresh_spectral_norms(game.discriminator, 100)  # one a turn tracks the weights; this settles them
    for _, spectral, weight in layers:
        sigma = torch.linalg.svdvals(spectral(weight).flatten(1))[0]
        assert sigma.item() == pytest.approx(1, abs=1e-2)


def test_sngan_rates_fall_to_zero() -> None:
    game, config, _ = make("sngan", "paper", images(3, 32), width=8)
    assert config.d_steps == 5
    assert config.g_batch_factor == 2
    for player in game.players.values():
        assert player.schedule(Clock(round=50_000, horizon=50_000))["lr"] == 0
        assert player.schedule(Clock(round=25_000, horizon=50_000))["lr"] == pytest.approx(1e-4)


def test_ttur_rates() -> None:
    rates = {
        name: (config.discriminator_optimizer.lr, config.generator_optimizer.lr, config.d_steps)
        for name, config in find_recipe("ttur").presets.items()
    }
    assert rates["paper"] == (1e-5, 5e-4, 1)
    assert rates["cifar"] == (1e-4, 5e-4, 1)
    assert rates["svhn"] == rates["lsun"] == (1e-5, 1e-4, 1)
    assert rates["wgan-gp"] == (3e-4, 1e-4, 1)
    assert rates["wgan-gp-one-rate"] == (5e-4, 5e-4, 5)


# -- A11: improved techniques ------------------------------------------------------------------------------------------------------------------------


def test_improved_gan_techniques_are_settings() -> None:
    game, config, data = make("improved-gan", "paper", images(3, 16), width=4, batch=4, reference=3, historical_averaging=0.1, minibatch_kernels=5)
    assert game.objective.real_target == 0.9
    assert len(game.discriminator.reference) == 3
    assert torch.equal(game.discriminator.reference, data.records(torch.tensor([0, 13, 26]))["image"] / 127.5 - 1)
    with Playing(game, config, data) as playing:
        playing.rounds(3)
    pulls = [values["discriminator/historical_averaging"].item() for values in playing.log if "discriminator/historical_averaging" in values]
    assert pulls[0] == pulls[1] == 0  # the mean of one move is that move
    assert pulls[2] > 0
    with pytest.raises(UsageError, match="Virtual batch norm stands in for batch norm in dcgan"):
        make("improved-gan", "toy", points(), virtual_batch_norm=True)


def test_ssgan_averaged_classifier() -> None:
    game, config, data = make("ssgan", "small", images(), width=16, batch=4, labels_per_class=2, average_rate=0.25)
    assert isinstance(game, Classifies)
    averaged = dict(game.discriminator_ema.named_parameters())
    assert all(not parameter.any() for parameter in averaged.values())
    uniform = game.classify(torch.zeros(3, 1, 16, 16))
    assert torch.allclose(uniform, torch.full((3, 4), 0.25))
    expected = {name: torch.zeros_like(p) for name, p in averaged.items()}
    with Playing(game, config, data) as playing:
        for _ in range(2):
            playing.rounds(1)
            expected = {name: value + 0.25 * (dict(game.discriminator.named_parameters())[name] - value) for name, value in expected.items()}
    assert all(torch.allclose(averaged[name], value, atol=1e-7) for name, value in expected.items())
    probabilities = game.classify(torch.rand(5, 1, 16, 16))
    assert torch.allclose(probabilities.sum(1), torch.ones(5))
    assert not isinstance(make("nsgan", "toy", points())[0], Classifies)


def test_ssgan_feature_matching_takes_the_place_of_the_adversarial_term() -> None:
    game, config, data = make("ssgan", "small", images(), width=16, batch=4, labels_per_class=2)
    with Playing(game, config, data) as playing:
        playing.rounds(1)
    assert set(playing.log[-1]) == {"generator/feature_matching"}
    assert 0 <= playing.log[0]["discriminator/accuracy"] <= 1
    assert data.spec.fields[-2:] == ("labelled_image", "labelled_label")


def test_ssgan_minibatch_run_moves_the_generator_three_times() -> None:
    changes = {"width": 16, "batch": 4, "labels_per_class": 2, "minibatch_kernels": 3}
    game, config, data = make("ssgan", "cifar-minibatch", images(3, 16), **changes)
    assert [turn.player for turn in game.play()] == ["discriminator", "generator", "generator", "generator"]
    assert mixes_samples(game.discriminator)
    with Playing(game, config, data) as playing:
        playing.rounds(1)
    assert set(playing.log[-1]) == {"generator/adversarial"}
    assert playing.log[-1]["generator/adversarial"] < 0  # saturating: -softplus


def test_ssgan_rates_and_latents() -> None:
    game, config, _ = make("ssgan", "cifar", images(3, 16), width=16, labels_per_class=2)
    schedule = game.players["discriminator"].schedule
    horizon = config.rounds
    assert [schedule(Clock(round=share * horizon // 12, horizon=horizon))["lr"] for share in (0, 8, 10, 12)] == pytest.approx([3e-4, 3e-4, 1.5e-4, 0])
    z = game.latents(1000, Draws.seeded(0))
    assert 0 <= z.min() < 0.01 < 0.99 < z.max() < 1


# -- A12 to A17 --------------------------------------------------------------------------------------------------------------------------------------


def test_rpgan_discriminators_see_fixed_projections_and_are_logged_one_by_one() -> None:
    game, config, data = make("rpgan", "small", images(3, 32), num_discriminators=3, width=8, d_width=4, batch=4)
    before = {name: value.clone() for name, value in game.state_dict().items() if "filters" in name}
    assert len(before) == 3
    with Playing(game, config, data) as playing:
        playing.rounds(1)
    assert all(torch.equal(game.state_dict()[name], value) for name, value in before.items())
    losses = [playing.log[0][f"discriminator/loss_0{k}"].item() for k in range(3)]
    assert sum(losses) == pytest.approx(playing.log[0]["discriminator/adversarial"].item(), rel=1e-5)
    single, _, _ = make("rpgan", "single", images(3, 32), width=8, d_width=4)
    assert isinstance(single.discriminator.projections[0], nn.Identity)
    assert single.judge(torch.zeros(2, 3, 32, 32)).logits.shape == (2, 1)


@pytest.mark.parametrize(
    ("method", "labelling", "told"), [("am-gan", "dynamic", None), ("am-gan", "static", 4), ("label-gan", "dynamic", None), ("ac-gan", "dynamic", 4)]
)
def test_am_gan_methods(method: str, labelling: str, told: int | None) -> None:
    game, config, data = make("am-gan", "paper", images(1, 16), width=4, batch=4, method=method, labelling=labelling)
    assert game.num_classes == told
    judgement: Judgement = game.judge(torch.zeros(2, 1, 16, 16))
    assert judgement.logits.shape == ((2,) if method == "ac-gan" else (2, 5))
    with Playing(game, config, data) as playing:
        playing.rounds(1)
    assert all(torch.isfinite(value) for values in playing.log for value in values.values())


def test_am_gan_refuses_what_it_would_ignore() -> None:
    for changes in ({"conditional": True}, {"method": "label-gan", "labelling": "static"}):
        with pytest.raises(UsageError):
            am_gan.AMGANConfig(**changes)


def test_gan_r1_constants() -> None:
    config = find_recipe("gan-r1").preset("paper")
    assert isinstance(config, gan_r1.GANR1Config)
    assert config.r1_gamma == 20  # the official 10 without the half
    assert config.generator_optimizer == RMSprop(lr=1e-4)
    game, _, _ = make("gan-r1", "paper", images(3, 16), width=4, resolution=16)
    (average,) = game.averages
    assert average.decay(Clock(batch=64)) == pytest.approx(0.999)
    assert [type(term).__name__ for term in game.terms] == ["R1"]
    both, _, _ = make("gan-r1", "toy", points(), r2_gamma=1.0)
    assert [type(term).__name__ for term in both.terms] == ["R1", "R2"]


@pytest.mark.parametrize("form", ["paired", "logistic", "least-squares", "hinge"])
def test_relativistic_forms(form: str) -> None:
    game, config, data = make("relativistic", "toy", points(), form=form, batch=8)
    assert isinstance(game.objective, Relativistic)
    assert [type(term).__name__ for term in game.terms] == ["R1", "R2"]
    with Playing(game, config, data) as playing:
        playing.rounds(1)
    assert torch.isfinite(playing.log[-1]["generator/adversarial"])


def test_lecam_starts_late() -> None:
    game, config, data = make("lecam", "toy", points(), batch=8, lecam_start=2)
    with Playing(game, config, data) as playing:
        playing.rounds(4)
    lecam = [values["discriminator/lecam"].item() for values in playing.log if "discriminator/lecam" in values]
    assert lecam[:2] == [0, 0]
    assert lecam[3] > 0
    assert "terms.0.mean_real" in game.state_dict()


@pytest.mark.parametrize(
    ("arm", "in_d", "in_g"), [("full", (True, True), True), ("reals-only", (True, False), False), ("discriminator-only", (True, True), False)]
)
def test_diffaugment_arms(arm: str, in_d: tuple[bool, bool], in_g: bool) -> None:
    """Cutout leaves exact zeros: images without them were not augmented."""
    game, config, data = make("diffaugment", "small", images(1, 16), width=4, batch=4, augment="cutout", arm=arm)
    seen: list[Tensor] = []
    game.discriminator.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach().clone()))
    with Playing(game, config, data) as playing:
        playing.rounds(1)
    whole = torch.cat(seen)
    cut = [(part == 0).flatten(1).float().mean(1).gt(0.05).any().item() for part in whole.split(4)]
    assert cut == [*in_d, in_g]
