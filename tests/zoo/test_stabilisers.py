"""A9 to A17: spectral norm, two rates, improved techniques, projections, regularisers, augmentation."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from saddlepoint.data.records import Batch
from saddlepoint.draws import Draws
from saddlepoint.errors import UsageError
from saddlepoint.games.game import Classifies
from saddlepoint.games.player import Clock, RMSprop
from saddlepoint.games.terms import Scene
from saddlepoint.networks.base import Judgement, mixes_samples
from saddlepoint.networks.spectral import normalised_layers, refresh_spectral_norms, singular_values
from saddlepoint.objectives.relativistic import Relativistic
from saddlepoint.views.mirror import Mirror
from saddlepoint.zoo import am_gan, gan_r1
from saddlepoint.zoo.build import some_samples
from saddlepoint.zoo.catalogue import find_recipe


@pytest.mark.parametrize(("preset", "size"), [("paper", 32), ("cnn", 32), ("small", 28)])
def test_sngan_every_layer_of_d_has_norm_one(preset: str, size: int, make: Any, images: Any, play: Any) -> None:
    game, config, data = make("sngan", preset, images(3, size), width=16, batch=4)
    with play(game, config, data) as playing:
        playing.rounds(2)
    layers = list(normalised_layers(game.discriminator))
    weighted = [m for m in game.discriminator.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    assert len(layers) == len(weighted)
    refresh_spectral_norms(game.discriminator, 100)  # one a turn tracks the weights; this settles them
    for _, spectral, weight in layers:
        sigma = torch.linalg.svdvals(spectral(weight).flatten(1))[0]
        assert sigma.item() == pytest.approx(1, abs=1e-2)


def test_sngan_comparisons(make: Any, images: Any, play: Any) -> None:
    """Section 4.1: weights of the convolutions clipped, or rows of length one."""
    plain = {"architecture": "sn-cnn", "width": 8, "batch": 4}
    game, config, data = make("sngan", "small", images(1, 8), critic_norm="none", clip=0.01, **plain)
    start = game.discriminator.to_logit.weight.detach().clone()
    assert max(layer.weight.abs().max().item() for layer in game.discriminator.layers) > 0.1
    with play(game, config, data) as playing:
        playing.rounds(2)
    most = 0.01 + config.discriminator_optimizer.lr * 1.01  # clipped before a move, so one move beyond
    for layer in game.discriminator.layers:
        assert 0.009 < layer.weight.abs().max().item() < most
    assert (game.discriminator.to_logit.weight - start).abs().max().item() < 1e-2 < start.abs().max().item()
    game, config, data = make("sngan", "small", images(1, 8), critic_norm="weight", **plain)
    with play(game, config, data) as playing:
        playing.rounds(2)
    for name, values in singular_values(game.discriminator).items():
        assert values.square().sum().item() == pytest.approx(game.discriminator.get_submodule(name).weight.shape[0], rel=1e-4)
    for wrong in ({"clip": 0.01}, {"clip": 0.0, "critic_norm": "none"}):
        with pytest.raises(UsageError, match="choose --critic-norm none, or leave --clip out"):
            make("sngan", "small", images(1, 8), **plain, **wrong)


def test_sngan_rates_fall_to_zero(make: Any, images: Any) -> None:
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


def test_improved_gan_techniques_are_settings(make: Any, images: Any, points: Any, play: Any) -> None:
    game, config, data = make("improved-gan", "paper", images(3, 16), width=4, batch=4, reference=3, historical_averaging=0.1, minibatch_kernels=5)
    assert game.objective.real_target == 0.9
    assert len(game.discriminator.reference) == 3
    assert torch.equal(game.discriminator.reference, data.records(torch.tensor([0, 13, 26]))["image"] / 127.5 - 1)
    with play(game, config, data) as playing:
        playing.rounds(3)
    pulls = [values["discriminator/historical_averaging"].item() for values in playing.log if "discriminator/historical_averaging" in values]
    assert pulls[0] == pulls[1] == 0  # the mean of one move is that move
    assert pulls[2] > 0
    with pytest.raises(UsageError, match="Virtual batch norm stands in for batch norm in dcgan"):
        make("improved-gan", "toy", points(), virtual_batch_norm=True)


def test_ssgan_averaged_classifier(make: Any, images: Any, points: Any, play: Any) -> None:
    game, config, data = make("ssgan", "small", images(), width=16, batch=4, labels_per_class=2, average_rate=0.25)
    assert isinstance(game, Classifies)
    averaged = dict(game.discriminator_ema.named_parameters())
    assert all(not parameter.any() for parameter in averaged.values())
    uniform = game.classify(torch.zeros(3, 1, 16, 16))
    assert torch.allclose(uniform, torch.full((3, 4), 0.25))
    expected = {name: torch.zeros_like(p) for name, p in averaged.items()}
    with play(game, config, data) as playing:
        for _ in range(2):
            playing.rounds(1)
            expected = {name: value + 0.25 * (dict(game.discriminator.named_parameters())[name] - value) for name, value in expected.items()}
    assert all(torch.allclose(averaged[name], value, atol=1e-7) for name, value in expected.items())
    probabilities = game.classify(torch.rand(5, 1, 16, 16))
    assert torch.allclose(probabilities.sum(1), torch.ones(5))
    assert not isinstance(make("nsgan", "toy", points())[0], Classifies)


def test_ssgan_feature_matching_takes_the_place_of_the_adversarial_term(make: Any, images: Any, play: Any) -> None:
    game, config, data = make("ssgan", "small", images(), width=16, batch=4, labels_per_class=2)
    with play(game, config, data) as playing:
        playing.rounds(1)
    assert set(playing.log[-1]) == {"generator/feature_matching"}
    assert 0 <= playing.log[0]["discriminator/accuracy"] <= 1
    assert data.spec.fields[-2:] == ("labelled_image", "labelled_label")


def test_ssgan_minibatch_run_moves_the_generator_three_times(make: Any, images: Any, play: Any) -> None:
    changes = {"width": 16, "batch": 4, "labels_per_class": 2, "minibatch_kernels": 3}
    game, config, data = make("ssgan", "cifar-minibatch", images(3, 16), **changes)
    assert [turn.player for turn in game.play()] == ["discriminator", "generator", "generator", "generator"]
    assert mixes_samples(game.discriminator)
    with play(game, config, data) as playing:
        playing.rounds(1)
    assert set(playing.log[-1]) == {"generator/adversarial"}
    assert playing.log[-1]["generator/adversarial"] < 0  # saturating: -softplus


def test_ssgan_rates_and_latents(make: Any, images: Any) -> None:
    game, config, _ = make("ssgan", "cifar", images(3, 16), width=16, labels_per_class=2)
    schedule = game.players["discriminator"].schedule
    horizon = config.rounds
    assert [schedule(Clock(round=share * horizon // 12, horizon=horizon))["lr"] for share in (0, 8, 10, 12)] == pytest.approx([3e-4, 3e-4, 1.5e-4, 0])
    z = game.latents(1000, Draws.seeded(0))
    assert 0 <= z.min() < 0.01 < 0.99 < z.max() < 1


def test_rpgan_discriminators_see_fixed_projections_and_are_logged_one_by_one(make: Any, images: Any, play: Any) -> None:
    game, config, data = make("rpgan", "small", images(3, 32), num_discriminators=3, width=8, d_width=4, batch=4)
    before = {name: value.clone() for name, value in game.state_dict().items() if "filters" in name}
    assert len(before) == 3
    with play(game, config, data) as playing:
        playing.rounds(1)
    assert all(torch.equal(game.state_dict()[name], value) for name, value in before.items())
    losses = [playing.log[0][f"discriminator/loss_0{k}"].item() for k in range(3)]
    assert sum(losses) == pytest.approx(playing.log[0]["discriminator/adversarial"].item(), rel=1e-5)
    single, _, _ = make("rpgan", "single", images(3, 32), width=8, d_width=4)
    assert isinstance(single.discriminator.projections[0], nn.Identity)
    assert single.judge(torch.zeros(2, 3, 32, 32)).logits.shape == (2, 1)
    one, _, _ = make("rpgan", "single", images(3, 32), width=8, d_width=4, single="projection")
    assert one.discriminator.projections[0].filters.shape == (1, 3, 8, 8) and one.judge(torch.zeros(2, 3, 32, 32)).logits.shape == (2, 1)
    with pytest.raises(UsageError, match="what one discriminator sees; there are 6"):
        make("rpgan", "small", images(3, 32), single="projection")


@pytest.mark.parametrize(
    ("method", "labelling", "told"), [("am-gan", "dynamic", None), ("am-gan", "static", 4), ("label-gan", "dynamic", None), ("ac-gan", "dynamic", 4)]
)
def test_am_gan_methods(method: str, labelling: str, told: int | None, make: Any, images: Any, play: Any) -> None:
    game, config, data = make("am-gan", "paper", images(1, 16), width=4, batch=4, method=method, labelling=labelling)
    assert game.num_classes == told
    judgement: Judgement = game.judge(torch.zeros(2, 1, 16, 16))
    assert judgement.logits.shape == ((2,) if method == "ac-gan" else (2, 5))
    with play(game, config, data) as playing:
        playing.rounds(1)
    assert all(torch.isfinite(value) for values in playing.log for value in values.values())


def test_am_gan_refuses_what_it_would_ignore() -> None:
    for changes in ({"conditional": True}, {"method": "label-gan", "labelling": "static"}):
        with pytest.raises(UsageError):
            am_gan.AMGANConfig(**changes)


def test_gan_r1_constants(make: Any, images: Any, points: Any) -> None:
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


def test_dragan_by_hand(make: Any, images: Any, play: Any) -> None:
    game, config, data = make("dragan", "small", images(1, 16), resolution=16, width=4, batch=4)
    paper = find_recipe("dragan").preset("paper")
    assert (paper.gp_weight, paper.gp_slope, paper.reach) == (10, 0.5, 0.5)  # type: ignore[attr-defined]
    (term,) = game.terms
    reach = 0.5 * some_samples(data, len(data)).std(correction=0)
    x = 3 * torch.rand(4, 1, 16, 16) - 1

    def judge(at: Tensor, labels: Tensor | None = None) -> Judgement:
        steps = (at.detach() - x) / reach  # a sample's own a, times U[0, 1) for each value
        assert steps.min() >= 0
        most = steps.flatten(1).amax(1)
        assert (most < 1).all()
        assert most.unique().numel() == 4
        assert steps.flatten(1).mean(1) == pytest.approx(most / 2, rel=0.15)
        return Judgement(2 * at.sum((1, 2, 3)))  # slope 2 at 256 values: 2 * sqrt(256)

    scene = Scene(Batch({"image": x}), judge, Draws.seeded("dragan"), Clock(), game.generator, lambda n: (torch.zeros(n, 1), None), x_real=x)
    assert term(scene).item() == pytest.approx(10 * (32 / 0.5 - 1) ** 2)
    with play(game, config, data) as playing:
        playing.rounds(2)
    assert torch.isfinite(playing.log[-2]["discriminator/gradient_penalty"])
    for wrong, said in (({"reach": -1.0}, "at least 0"), ({"gp_slope": 0.0}, "must be above 0; it is 0.0")):
        with pytest.raises(UsageError, match=said):
            make("dragan", "small", images(1, 16), resolution=16, width=4, **wrong)


@pytest.mark.parametrize("form", ["paired", "logistic", "least-squares", "hinge"])
def test_relativistic_forms(form: str, make: Any, points: Any, play: Any) -> None:
    game, config, data = make("relativistic", "toy", points(), form=form, batch=8)
    assert isinstance(game.objective, Relativistic)
    assert [type(term).__name__ for term in game.terms] == ["R1", "R2"]
    with play(game, config, data) as playing:
        playing.rounds(1)
    assert torch.isfinite(playing.log[-1]["generator/adversarial"])


def test_lecam_starts_late(make: Any, points: Any, play: Any) -> None:
    game, config, data = make("lecam", "toy", points(), batch=8, lecam_start=2)
    with play(game, config, data) as playing:
        playing.rounds(4)
    lecam = [values["discriminator/lecam"].item() for values in playing.log if "discriminator/lecam" in values]
    assert lecam[:2] == [0, 0]
    assert lecam[3] > 0
    assert "terms.0.mean_real" in game.state_dict()


def test_lecam_remembers_from_its_start_on(make: Any, points: Any, play: Any) -> None:
    game, config, data = make("lecam", "toy", points(), batch=8, lecam_start=3)
    (term,) = game.terms
    means = []
    with play(game, config, data) as playing:
        for _ in range(4):
            playing.rounds(1)
            means.append(term.mean_real.item())
    real = [values["discriminator/real"].item() for values in playing.log if "discriminator/real" in values]
    third = 0.9 * real[1] + 0.1 * real[2]
    assert means == pytest.approx([real[0], real[1], third, 0.9 * third + 0.1 * real[3]], abs=1e-6)


@pytest.mark.parametrize(
    ("arm", "in_d", "in_g"), [("full", (True, True), True), ("reals-only", (True, False), False), ("discriminator-only", (True, True), False)]
)
def test_diffaugment_arms(arm: str, in_d: tuple[bool, bool], in_g: bool, make: Any, images: Any, play: Any) -> None:
    """Cutout leaves exact zeros: images without them were not augmented."""
    game, config, data = make("diffaugment", "small", images(1, 16), width=4, batch=4, augment="cutout", arm=arm)
    seen: list[Tensor] = []
    game.discriminator.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach().clone()))
    with play(game, config, data) as playing:
        playing.rounds(1)
    whole = torch.cat(seen)
    cut = [(part == 0).flatten(1).float().mean(1).gt(0.05).any().item() for part in whole.split(4)]
    assert cut == [*in_d, in_g]


@pytest.mark.parametrize("name", ["lecam", "diffaugment"])
def test_the_released_cifar_runs_play_on_biggan(name: str, make: Any, images: Any) -> None:
    config = find_recipe(name).preset("paper")
    assert (config.batch, config.d_steps, config.rounds, config.conditional, config.mirror) == (50, 4, 250_000, True, True)
    game, _, _ = make(name, "paper", images(3, 32), width=4)
    (average,) = game.averages
    assert average.decay(Clock(batch=50)) == pytest.approx(0.9999, abs=1e-7)
    assert isinstance(game.real_view, Mirror)
    assert game.generate(torch.zeros(2, config.latent_dim), torch.tensor([0, 3])).shape == (2, 3, 32, 32)
