"""StyleGAN2-ADA: the release's presets, and p in a game: it rises where D is sure of the real images, in pieces as in one, and R1 sees through it."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.records import DataSpec
from saddlepoint.errors import UsageError
from saddlepoint.games.adversarial import AdversarialGame
from saddlepoint.training.trainer import Trainer, TrainerConfig
from saddlepoint.views.ada import ADA, AdaptiveAugment
from saddlepoint.zoo.catalogue import find_recipe
from saddlepoint.zoo.stylegan2_ada import StyleGAN2ADAConfig, guessed, stylegan2_ada


def data(size: int = 16) -> ArrayDataset:
    image = torch.randint(0, 256, (24, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    fields = {"image": image, "label": torch.arange(24) % 3}
    return ArrayDataset(fields, DataSpec(name="noise", kind="image", shape=(3, size, size), num_records=24, num_classes=3, fields=tuple(fields)))


def config(preset: str = "small", **changes: Any) -> StyleGAN2ADAConfig:
    base = find_recipe("stylegan2-ada").preset(preset)
    assert isinstance(base, StyleGAN2ADAConfig)
    tiny = {"resolution": None, "batch": 8, "width": 8, "latent_dim": 8, "code_dim": 8, "r1_every": 2, "path_every": 2}
    return dataclasses.replace(base, **(tiny | changes))


def game_of(settings: StyleGAN2ADAConfig) -> tuple[AdversarialGame, AdaptiveAugment]:
    torch.manual_seed(0)
    game = stylegan2_ada(settings, data())
    assert isinstance(game, AdversarialGame) and isinstance(game.view, AdaptiveAugment)
    return game, game.view


def play(settings: StyleGAN2ADAConfig, rounds: int, micro_batches: int = 1) -> tuple[AdversarialGame, list[dict[str, float]]]:
    game, _ = game_of(settings)
    logged: list[dict[str, float]] = []

    def record(round: int, values: dict[str, Tensor]) -> None:
        logged.append({name: float(value) for name, value in values.items()})

    trainer = Trainer(game, data(), TrainerConfig(batch=settings.batch, micro_batches=micro_batches, horizon=rounds), record=record)
    for _ in range(rounds):
        trainer.play_round()
    trainer.close()
    return game, logged


def test_presets_are_the_release() -> None:
    """The table of configurations of the authors' release, and its augmentation."""
    paper, cifar, auto = (find_recipe("stylegan2-ada").preset(name) for name in ("paper256", "cifar", "auto"))
    for preset in (paper, cifar, auto):
        assert isinstance(preset, StyleGAN2ADAConfig)
        assert preset.augmentation == ADA(policy="bgc", target=0.6, interval=4, speed_kimg=500.0, p=0.0, cap=1.0)
        assert (preset.r1_every, preset.path_every, preset.latent_dim, preset.code_dim, preset.width) == (16, 4, 512, 512, 512)
        for optimizer in (preset.generator_optimizer, preset.discriminator_optimizer):
            assert dataclasses.asdict(optimizer) == {"lr": 0.0025, "beta1": 0.0, "beta2": 0.99, "eps": 1e-8, "weight_decay": 0.0}
    names = ("batch", "stddev_group", "channel_base", "r1_gamma", "ema_halflife_kimg", "ema_rampup", "mapping_layers", "path_weight", "style_mixing")
    assert [getattr(paper, name) for name in names] == [64, 8, 16384, 1.0, 20.0, None, 8, 2.0, 0.9]
    assert [getattr(cifar, name) for name in names] == [64, 32, 32768, 0.01, 500.0, 0.05, 2, None, 0.0]
    assert [getattr(auto, name) for name in names] == [16, 4, 16384, None, 5.0, 0.05, 2, 2.0, 0.9]
    assert isinstance(paper, StyleGAN2ADAConfig) and isinstance(cifar, StyleGAN2ADAConfig)
    assert (paper.d_architecture, cifar.d_architecture) == ("resnet", "orig")
    assert [preset.batch * preset.rounds for preset in (paper, cifar, auto)] == [25_000_000, 100_000_000, 25_000_000]
    eight = guessed(1024, gpus=8)
    assert (eight.batch, eight.channel_base, eight.stddev_group, eight.generator_optimizer.lr) == (32, 32768, 4, 0.002)


def test_p_rises_where_d_is_sure_of_the_real_images_and_is_logged() -> None:
    augmentation = ADA(speed_kimg=0.4, interval=2)
    object.__setattr__(augmentation, "target", -1.5)  # which every turn is above, and no setting may be
    settings = config(augmentation=augmentation)
    game, logged = play(settings, 5)
    turns = [values for values in logged if "discriminator/ada_p" in values]
    assert len(turns) == 5  # not in the moves of R1 alone
    step = 8 * 2 / 400
    assert [values["discriminator/ada_p"] for values in turns] == pytest.approx([0, step, step, 2 * step, 2 * step])
    assert all(-1 <= values["discriminator/sign"] <= 1 for values in turns)
    assert "view.p" in game.state_dict()


def test_without_augmentation_r_t_is_logged_all_the_same() -> None:
    game, logged = play(config("small-none"), 2)
    turns = [values for values in logged if "discriminator/sign" in values]
    assert [values["discriminator/ada_p"] for values in turns] == [0, 0]
    assert isinstance(game.view, AdaptiveAugment) and float(game.view.p) == 0


@pytest.mark.parametrize("preset", ["small", "small-conditional"])
def test_pieces_give_the_gradient_of_the_whole_batch_through_the_augmentation(preset: str) -> None:
    """Two pieces without the minibatch's deviation; R1's move differentiates the augmentation twice."""
    settings = config(preset, augmentation=ADA(p=0.7), stddev_group=None, path_weight=None)
    gradients = []
    for pieces in (1, 2):
        game, _ = game_of(settings)
        game.double()
        trainer = Trainer(game, data(), TrainerConfig(batch=8, micro_batches=pieces))
        gradients.append([trainer.gradient_of(turn) for turn in (game.discriminator_turn, game.discriminator_regularisation, game.generator_turn)])
        trainer.close()
    for whole, parts in zip(*gradients, strict=True):
        assert whole.keys() == parts.keys()
        for name, gradient in whole.items():
            torch.testing.assert_close(parts[name], gradient, rtol=1e-6, atol=1e-9)
            assert gradient.isfinite().all()


def test_what_does_not_go_together_is_refused() -> None:
    with pytest.raises(UsageError, match="does not grow"):
        config(first_level=1, g_architecture="orig", d_architecture="orig")
    with pytest.raises(UsageError, match=r"came 'shear'"):
        config(augmentation=ADA(policy="blit,shear"))
