"""R3GAN's recipe: the release's constants and schedules, its loss by hand, labels in pairs, and the augmentation's probability."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.records import DataSpec, to_device
from saddlepoint.draws import Draws, use
from saddlepoint.errors import UsageError
from saddlepoint.games.paired import PairedGame, cosine, growing_halflife
from saddlepoint.games.player import Clock
from saddlepoint.training.trainer import Trainer, TrainerConfig
from saddlepoint.views.ada import Augment
from saddlepoint.zoo.catalogue import find_recipe
from saddlepoint.zoo.r3gan import CIFAR, SMALL, START, R3GANConfig, r3gan


def data(n: int = 24) -> ArrayDataset:
    rng = torch.Generator().manual_seed(0)
    fields = {"image": torch.randint(0, 256, (n, 3, 16, 16), dtype=torch.uint8, generator=rng), "label": torch.arange(n) % 3}
    return ArrayDataset(fields, DataSpec(name="noise", kind="image", shape=(3, 16, 16), num_records=n, num_classes=3, fields=tuple(fields)))


def tiny(**changes: Any) -> PairedGame:
    torch.manual_seed(0)
    settings = {"width": 16, "latent_dim": 5, "batch": 4, "resolution": 16, **changes}
    game = r3gan(dataclasses.replace(SMALL, **settings), data())
    assert isinstance(game, PairedGame)
    for name, parameter in game.named_parameters():
        if "reduce" in name or "bias" in name:
            torch.nn.init.normal_(parameter, 0, 0.2)
    return game


def test_constants_of_the_release() -> None:
    recipe = find_recipe("r3gan")
    rows = {  # batch, images of the schedule in millions, gamma, p, half-life in kimg, width, groups at that width, conditional
        "paper": (512, 20, (0.05, 0.005), 0.55, 5_000, 768, 96, True),
        "cifar-unconditional": (512, 20, (0.05, 0.005), 0.55, 5_000, 768, 96, False),
        "ffhq64": (256, 20, (2.0, 0.2), 0.3, 500, 768, 96, False),
        "ffhq256": (256, 20, (150.0, 15.0), 0.3, 500, 768, 96, False),
        "imagenet32": (4096, 200, (0.5, 0.05), 0.5, 50_000, 1536, 96, True),
        "imagenet64": (4096, 200, (1.0, 0.1), 0.4, 50_000, 1536, 96, True),
    }
    for name, (batch, millions, gammas, p, halflife, width, groups, conditional) in rows.items():
        config = recipe.preset(name)
        assert isinstance(config, R3GANConfig)
        assert config.batch == batch and config.rounds == pytest.approx(millions * 1e6 / batch, abs=0.51)
        assert ((config.gamma, config.final_gamma), config.final_p, config.ema_halflife_kimg) == (gammas, p, halflife)
        assert (config.width, 2 * config.width // config.group_width, config.conditional, config.mirror) == (width, groups, conditional, True)
        assert (config.final_lr, config.final_beta2, config.latent_dim, config.blocks) == (5e-5, 0.99, 64, 2)
        assert config.generator_optimizer == config.discriminator_optimizer == START
        assert (START.lr, START.beta1, START.beta2, START.eps) == (2e-4, 0.0, 0.9, 1e-8)


def test_schedules() -> None:
    clocks = [Clock(round=r, horizon=100, batch=512) for r in (0, 50, 100, 150)]
    assert [cosine(2e-4, 5e-5)(clock) for clock in clocks] == pytest.approx([2e-4, 1.25e-4, 5e-5, 5e-5])
    decays = [growing_halflife(5_000)(clock) for clock in clocks]
    assert decays == pytest.approx([0.0, 0.5 ** (512 / 2_500_000), 0.5 ** (512 / 5_000_000), 0.5 ** (512 / 5_000_000)])


def test_players_follow_the_schedules() -> None:
    game = tiny(final_p=0.5)
    trainer = Trainer(game, data(), TrainerConfig(batch=4, horizon=2))
    try:
        trainer.play_round()
        assert isinstance(game.view, Augment) and game.view.p == 0
        for average, weight in zip(game.get_submodule("generator_ema").parameters(), game.generator.parameters(), strict=True):
            assert torch.equal(average, weight), "a half-life of 0 keeps nothing"
        trainer.play_round()
        assert game.view.p == pytest.approx(0.25)
        for player in game.players.values():
            assert player.torch_optimizer is not None
            group = player.torch_optimizer.param_groups[0]
            assert group["lr"] == pytest.approx((2e-3 + 5e-4) / 2) and group["betas"] == pytest.approx((0.0, 0.945))
    finally:
        trainer.close()


def losses_by_hand(game: PairedGame, x_real: Tensor, x_fake: Tensor, labels: Tensor | None, gamma: float) -> tuple[Tensor, Tensor, Tensor]:
    x_real, x_fake = x_real.detach().requires_grad_(), x_fake.detach().requires_grad_()
    real, fake = game.judge(x_real, labels).logits, game.judge(x_fake, labels).logits
    slopes = [torch.autograd.grad(logits.sum(), x, create_graph=True)[0] for logits, x in ((real, x_real), (fake, x_fake))]
    r1, r2 = (gamma / 2 * slope.square().sum((1, 2, 3)).mean() for slope in slopes)
    return F.softplus(fake - real).mean(), r1, r2


@pytest.mark.parametrize("conditional", [False, True])
def test_the_discriminators_turn_is_equation_4(conditional: bool) -> None:
    game = tiny(conditional=conditional, gamma=3.0).double()
    batch = to_device(data().records(torch.arange(4)), "cpu", torch.float64)
    game.draws = Draws.seeded("turn", dtype=torch.float64)
    loss = game.discriminator_turn(batch)
    labels = batch["label"] if conditional else None
    z = Draws.seeded("turn", dtype=torch.float64).normal(4, 5)
    expected = losses_by_hand(game, batch.x, game.generate(z, labels), labels, gamma=3.0)
    assert [*loss.terms] == ["adversarial", "r1", "r2"]
    for name, value in zip(loss.terms, expected, strict=True):
        torch.testing.assert_close(loss.terms[name], value, rtol=1e-9, atol=1e-12)
    weights = [*game.discriminator.parameters()]
    for mine, plain in zip(torch.autograd.grad(loss.total(), weights), torch.autograd.grad(sum(expected, torch.zeros(())), weights), strict=True):
        torch.testing.assert_close(mine / plain.abs().max(), plain / plain.abs().max(), rtol=1e-8, atol=1e-8)


def test_behind_the_augmentation_the_slope_is_that_at_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    game = tiny(final_p=0.5).double()
    view = game.view
    assert isinstance(view, Augment)
    view.p.fill_(0.7)
    batch = to_device(data().records(torch.arange(4)), "cpu", torch.float64)
    seen: list[Tensor] = []
    augment = view.forward

    def noted(x: Tensor) -> Tensor:
        seen.append(x)
        return augment(x)

    monkeypatch.setattr(view, "forward", noted)
    game.draws = Draws.seeded("turn", dtype=torch.float64)
    with use(game.draws):
        loss = game.discriminator_turn(batch)
    draws = Draws.seeded("turn", dtype=torch.float64)
    draws.normal(4, 5)  # z
    x = seen[0].detach().requires_grad_()
    with use(draws), draws.together(2):
        logits = game.discriminator(augment(x)).logits
    (slopes,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
    penalty = SMALL.gamma / 2 * slopes.square().flatten(1).sum(1).view(2, 4).mean(1).sum()
    weights = [parameter for name, parameter in game.discriminator.named_parameters() if "bias" not in name]  # no slope depends on those
    ours = torch.autograd.grad(loss.terms["r1"] + loss.terms["r2"], weights)
    for mine, plain in zip(ours, torch.autograd.grad(penalty, weights), strict=True):
        torch.testing.assert_close(mine, plain, rtol=1e-8, atol=1e-10)


def test_fakes_carry_the_labels_of_their_pairs() -> None:
    game = tiny(conditional=True)
    asked: list[Tensor] = []
    game.generator.register_forward_pre_hook(lambda module, arguments: asked.append(arguments[1]))
    batch = to_device(data().records(torch.tensor([1, 5, 6, 2])), "cpu")
    for turn in (game.discriminator_turn, game.generator_turn):
        game.draws = Draws.seeded("turn")
        turn(batch)
    assert [labels.tolist() for labels in asked] == [[1, 2, 0, 2]] * 2


def test_both_turns_read_real_samples_of_their_own() -> None:
    turns = [*tiny().play()]
    assert [(turn.player, turn.batch) for turn in turns] == [("discriminator", "new"), ("generator", "new")]


def test_a_length_in_images_plays_the_schedules_to_their_end() -> None:
    """The horizon of so many images is as many rounds as read them: all that both turns read counts."""
    game, records = tiny(), data()
    horizon = game.config.rounds_in(0.096)
    trainer = Trainer(game, records, TrainerConfig(batch=game.config.batch, horizon=horizon))
    while game.clock.images_seen < 96:
        trainer.play_round()
    trainer.close()
    assert game.clock.round == horizon and game.clock.progress == 1.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"g_batch_factor": 2}, "compares each fake with one real sample"),
        ({"augment": "color"}, "augments by its own policy up to final_p 0.55"),
        ({"lr_decay": "linear"}, "falls to final_lr by itself"),
    ],
)
def test_refuses_settings_that_do_not_fit(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        dataclasses.replace(CIFAR, **changes)


def test_a_conditional_model_needs_labels() -> None:
    fields = {"image": torch.zeros(4, 3, 16, 16, dtype=torch.uint8)}
    bare = ArrayDataset(fields, DataSpec(name="bare", kind="image", shape=(3, 16, 16), num_records=4, fields=("image",)))
    with pytest.raises(UsageError, match="needs labels; bare has none.*--no-conditional"):
        r3gan(dataclasses.replace(SMALL, conditional=True), bare)
