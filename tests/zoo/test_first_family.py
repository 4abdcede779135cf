"""A1 to A5: the first GAN, least squares, Wasserstein; what toy versions of them leave out."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from saddlepoint.data.records import Batch
from saddlepoint.draws import Draws, use
from saddlepoint.errors import UsageError
from saddlepoint.games.player import SGD, Clock
from saddlepoint.networks.base import mixes_samples
from saddlepoint.networks.mlp import GoodfellowGenerator
from saddlepoint.objectives.wasserstein import Wasserstein
from saddlepoint.views.noise import Dequantise
from saddlepoint.zoo import gan, wgan
from saddlepoint.zoo.catalogue import find_recipe


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


def test_gan_starts_at_the_mean_image(make: Any, images: Any) -> None:
    data = images(size=12)
    game, _, _ = make("gan", "small", data, width=24, resolution=12)
    assert isinstance(game.generator, GoodfellowGenerator)
    mean = data.records(torch.arange(len(data)))["image"].double().mean(0) / 255  # 1 h w
    assert torch.allclose(torch.sigmoid(game.generator.last.bias).double(), mean.flatten(), atol=1e-5)


def test_gan_halves_the_discriminators_loss_and_keeps_dropout_for_the_generator(make: Any, images: Any) -> None:
    game, _, _ = make("gan", "small", images(size=12), width=24)
    assert game.objective.discriminator(torch.zeros(1), torch.zeros(1)).item() == pytest.approx(math.log(2))
    x = torch.zeros(4, 1, 12, 12)
    with use(Draws.seeded("a")):
        first = game.judge(x).logits
    with use(Draws.seeded("b")):
        assert not torch.equal(first, game.judge(x).logits)


def test_gan_tfd_column_norm_is_restored_after_each_move(make: Any, images: Any, play: Any) -> None:
    game, config, data = make("gan", "tfd", images(size=12), width=80, batch=8, max_column_norm=0.5)
    with play(game, config, data) as playing:
        playing.rounds(1)
    for layer in game.modules():
        if isinstance(layer, nn.Linear):
            assert layer.weight.flatten(1).norm(dim=1).max() <= 0.5 + 1e-5


@pytest.mark.parametrize(("loss", "expected"), [("minimax", -math.log(2)), ("non-saturating", math.log(2)), ("blended", math.log(2) / 4)])
def test_gan_generator_losses(loss: str, expected: float, make: Any, points: Any) -> None:
    game, _, _ = make("gan", "toy", points(), generator_loss=loss)
    assert game.objective.generator(torch.zeros(1)).item() == pytest.approx(expected)


def test_lsgan_codings(make: Any, points: Any) -> None:
    for coding, (a, b, c) in {"binary": (0, 1, 1), "pearson": (-1, 1, 0)}.items():
        game, _, _ = make("lsgan", "toy", points(), coding=coding)
        objective = game.objective
        assert objective.discriminator(torch.tensor([float(b)]), torch.tensor([float(a)])).item() == 0
        assert objective.generator(torch.tensor([float(c)])).item() == 0


def test_lsgan_without_norm_in_the_generator(make: Any, images: Any) -> None:
    game, _, _ = make("lsgan", "no-norm", images(3, 16), width=8)
    assert not mixes_samples(game.generator)
    assert mixes_samples(game.discriminator)
    with pytest.raises(UsageError, match=r"generator of the architecture lsgan-112 has batch norm; none was asked for.*dcgan"):
        make("lsgan", "paper", images(3, 16), generator_norm="none")


def test_wgan_critic_turns_follow_the_schedule(make: Any, points: Any) -> None:
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


def test_wgan_clips_before_the_critics_turn_its_gains_too(make: Any, images: Any, play: Any) -> None:
    game, config, data = make("wgan", "small", images(), width=8, batch=8, burst_d_steps=1)
    gains = [m.weight for m in game.discriminator.modules() if isinstance(m, nn.BatchNorm2d)]
    assert gains
    assert min(gain.min() for gain in gains) > 0.5
    with play(game, config, data) as playing:
        inside: list[bool] = []
        game.before_turn = lambda turn: inside.append(all(p.abs().max() <= config.clip for p in game.discriminator.parameters()))
        playing.rounds(1)
    assert inside[0]
    assert max(gain.abs().max().item() for gain in gains) > config.clip - 1e-9  # clipped, then moved: no clip after the move
    moved = max(p.abs().max().item() for p in game.discriminator.parameters())
    assert moved > config.clip


def test_wgan_logs_the_estimate_of_the_distance(make: Any, points: Any, play: Any) -> None:
    game, config, data = make("wgan", "toy", points(), batch=8, burst_d_steps=1)
    with play(game, config, data) as playing:
        playing.rounds(1)
    values = playing.log[0]
    assert values["discriminator/wasserstein"].item() == pytest.approx(-values["discriminator/adversarial"].item(), abs=1e-6)
    assert isinstance(game.objective, Wasserstein)


@pytest.mark.parametrize("row", [1, 2, 3, 4, 5, 6])
def test_wgan_gp_rows(row: int, make: Any, images: Any, play: Any) -> None:
    norm = "none" if row == 4 else "layer"
    game, config, data = make("wgan-gp", "paper", images(3), architecture=f"row{row}", critic_norm=norm, width=4, batch=4, resolution=16)
    with play(game, config, data) as playing:
        playing.rounds(1)
    assert all(torch.isfinite(value) for values in playing.log for value in values.values())


def test_wgan_gp_row_7_has_101_layers(make: Any, images: Any) -> None:
    game, _, _ = make("wgan-gp", "paper", images(3, 64, n=2), architecture="row7", width=4)
    for player in (game.generator, game.discriminator):
        convolutions = sum(type(m).__name__ == "Scaling" for name, m in player.named_modules() if "shortcut" not in name)
        assert convolutions + sum(isinstance(m, nn.Linear) for m in player.modules()) == 101


def test_wgan_gp_refuses_batch_norm_in_the_critic(make: Any, images: Any) -> None:
    for recipe, preset, changes in (("wgan-gp", "paper", {}), ("ttur", "wgan-gp", {})):
        with pytest.raises(UsageError, match="judges each sample alone.*--critic-norm layer or none"):
            make(recipe, preset, images(3, 16), critic_norm="batch", width=4, **changes)


def test_wgan_gp_dequantises_real_images_only(make: Any, images: Any, play: Any) -> None:
    game, config, data = make("wgan-gp", "cifar", images(3, 32), width=4, batch=4)
    assert isinstance(game.real_view, Dequantise)
    assert config.g_batch_factor == 2
    seen: list[Tensor] = []
    game.discriminator.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach().clone()))
    with play(game, config, data) as playing:
        playing.rounds(1)
    levels = (data.records(torch.arange(len(data)))["image"] / 128 - 1).unique()
    real = seen[0][:4]  # real and fake pass together; the reals come first
    gaps = real.flatten()[:, None] - levels[None]
    gap = gaps.where(gaps >= -1e-6, torch.inf).amin(1)
    assert gap.max() < 1 / 128 + 1e-5
    assert gap.std() > 1e-3


def test_wgan_gp_conditional_classifies_reals_in_d_and_fakes_in_g(make: Any, images: Any, play: Any) -> None:
    game, config, data = make("wgan-gp", "cifar-conditional", images(3, 32), width=4, batch=4)
    with play(game, config, data) as playing:
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


def test_gan_cifar_plays_on_contrast_normalised_images(make: Any, images: Any, points: Any) -> None:
    game, _, data = make("gan", "cifar", images(3, 32, n=20), width=40, batch=4)
    x = data.records(torch.arange(20))["image"].float() / 127.5 - 1
    seen: list[Tensor] = []
    game.discriminator.discriminator.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    real = game.reals(Batch({"image": x}))
    game.judge(real)
    assert torch.allclose(seen[0].flatten(1).norm(dim=1), torch.full((20,), 55.0), rtol=1e-4)
    assert torch.allclose(seen[0].flatten(1).mean(1), torch.zeros(20), atol=1e-4)
    assert (real - x).abs().mean() < 0.02  # what is shown is in the images' own unit; noise has the same contrast everywhere
    with pytest.raises(UsageError, match="Contrast normalisation is for images"):
        make("gan", "toy", points(), contrast_norm=55.0)


def test_lsgan_characters_are_told_labels(make: Any, images: Any, play: Any) -> None:
    game, config, data = make("lsgan", "characters", images(1, 28), width=4, latent_dim=8, batch=4)
    with play(game, config, data) as playing:
        playing.rounds(1)
    assert game.num_classes == 4
    with pytest.raises(UsageError, match="made for labels. Choose --conditional"):
        make("lsgan", "characters", images(1, 28), conditional=False)


def test_gan_tfd_is_trained_twice(make: Any, images: Any, play: Any) -> None:
    changes = {"width": 80, "batch": 8, "rounds": 4, "pretrain_share": 0.5}
    game, config, data = make("gan", "tfd", images(size=12), **changes)
    z = torch.randn(3, config.latent_dim)
    rate = game.players["generator"].schedule
    with play(game, config, data) as playing:
        playing.rounds(1)
        assert rate(game.clock)["lr"] < 0.05
        playing.rounds(1)
        game.eval()
        before, trained, judged = game.generate(z, None), game.generator.generator.last.weight.clone(), game.discriminator.head.weight.clone()
        assert torch.equal(before, game.generator.generator(z))
        assert rate(game.clock)["lr"] == 0.05  # begins again
        game.train()
        playing.rounds(1)
        assert game.place.phase.name == "train"
        assert torch.equal(game.generate(z, None), game.generator.generator(game.generator.front(z)))
        moved = (game.generator.generator.last.weight - trained).abs().max()
        assert 0 < moved < 0.1  # G went on from where it was
        assert not torch.allclose(game.discriminator.head.weight, judged, atol=1e-4)  # D did not
    again, _, _ = make("gan", "tfd", images(size=12), **changes)
    again.load_state_dict(game.state_dict())
    assert again.generator.stage.level == 1
    with pytest.raises(UsageError, match="pretrain_share must lie between 0 and 1; it is 2"):
        make("gan", "tfd", images(size=12), pretrain_share=2)


def test_dcgans_mnist_model_is_told_labels_everywhere_and_slows_in_its_second_half(make: Any, images: Any) -> None:
    game, config, _ = make("dcgan", "mnist", images(1, 28), width=4)
    schedule = game.players["generator"].schedule
    assert [schedule(Clock(round=r, horizon=100))["lr"] for r in (0, 50, 75, 100)] == pytest.approx([2e-4, 2e-4, 1e-4, 0])
    assert config.discriminator_optimizer.weight_decay == 2.5e-5
    assert game.generator.dense[0].weight.shape == (64, 104)  # 100 latents and four labels
    assert game.discriminator.dense[0].weight.shape == (64, 8 * 7 * 7 + 4)
    x = game.sample(3, game.draws, torch.tensor([0, 1, 2]))
    assert x.shape == (3, 1, 28, 28)
    with pytest.raises(UsageError, match="decay_from"):
        dataclasses.replace(config, lr_decay="linear")


def test_dcgans_statistics_are_fixed_over_a_large_sample_for_its_samples(make: Any, play: Any, images: Any) -> None:
    assert (find_recipe("dcgan").preset("paper").standing_passes, find_recipe("dcgan").preset("torch").standing_passes) == (100, 0)
    game, config, data = make("dcgan", "small", images(), width=4, batch=8, latent_dim=4, resolution=16, standing_passes=40)
    with play(game, config, data) as playing:
        playing.trainer.play_round()
    running = [*game.generator_ema.buffers()]
    before = [buffer.clone() for buffer in running]
    fixed = game.sample(4, Draws.seeded(0))
    game.standing_passes = 0
    assert not torch.allclose(game.sample(4, Draws.seeded(0)), fixed)  # of one round the running averages know little
    norm = next(layer for layer in game.generator_ema.modules() if isinstance(layer, torch.nn.BatchNorm2d))
    game.standing_passes = 40
    mean, variance = next(iter(game.statistics(game.generator_ema, None).values()))
    seen: list[Tensor] = []
    handle = norm.register_forward_hook(lambda layer, x, y: seen.append(x[0]))
    game.generator_ema.eval()(torch.randn(4000, 4, generator=torch.Generator().manual_seed(1)))
    handle.remove()
    assert torch.allclose(mean, seen[0].mean((0, 2, 3)), atol=0.1 * variance.sqrt().max().item())
    assert all(torch.equal(a, b) for a, b in zip(before, running, strict=True))
