"""B4, LAPGAN: the pyramid, the networks of the code, the half-and-half batch, the schedule, the balancing rule, and coarse-to-fine sampling."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.records import Batch, DataSpec
from saddlepoint.draws import Draws, use
from saddlepoint.errors import UsageError
from saddlepoint.games.lapgan import PyramidConfig, PyramidGame
from saddlepoint.games.player import SGD, Clock
from saddlepoint.networks.lapgan import BandDiscriminator, BandGenerator, CoarseDiscriminator, CoarseGenerator, image_of, pyramid_of, resize
from saddlepoint.training.trainer import Trainer, TrainerConfig
from saddlepoint.zoo.catalogue import find_recipe
from saddlepoint.zoo.lapgan import LapganConfig, level_sizes, pixel_statistics

RECIPE = find_recipe("lapgan")


def images(size: int = 28, n: int = 40, c: int = 1) -> ArrayDataset:
    rng = torch.Generator().manual_seed(0)
    fields = {"image": torch.randint(0, 256, (n, c, size, size), dtype=torch.uint8, generator=rng), "label": torch.arange(n) % 3}
    return ArrayDataset(fields, DataSpec(name="noise", kind="image", shape=(c, size, size), num_records=n, num_classes=3, fields=tuple(fields)))


def tiny(**changes: Any) -> LapganConfig:
    preset = RECIPE.preset("paper")
    assert isinstance(preset, LapganConfig)
    sizes = {"width": 4, "d_width": 4, "coarse_width": 8, "coarse_d_width": 8, "latent_dim": 6, "batch": 8}
    return dataclasses.replace(preset, **(sizes | changes))


@contextmanager
def playing(config: LapganConfig, *, double: bool = False, **settings: Any) -> Iterator[tuple[PyramidGame, Trainer, list[dict[str, Tensor]]]]:
    torch.manual_seed(1)
    log: list[dict[str, Tensor]] = []
    data = images(config.sizes[-1])
    game = RECIPE.game(config, data)
    assert isinstance(game, PyramidGame)
    game = game.double() if double else game
    options = TrainerConfig(seed=5, batch=config.batch, horizon=20, **settings)
    trainer = Trainer(game, data, options, record=lambda round, values: log.append(values))
    try:
        yield game, trainer, log
    finally:
        trainer.close()


@pytest.mark.parametrize("sizes", [[(8, 8), (14, 14), (28, 28)], [(4, 6), (8, 12), (16, 24)], [(8, 8), (16, 16), (32, 32), (96, 96)], [(5, 5)]])
def test_the_pyramid_is_exact(sizes: list[tuple[int, int]]) -> None:
    x = torch.rand(3, 2, *sizes[-1], generator=torch.Generator().manual_seed(0)) * 2 - 1
    levels = pyramid_of(x, sizes)
    assert [level.shape[2:] for level in levels] == [torch.Size(size) for size in sizes]
    assert (image_of(levels) - x).abs().max() < 1e-6
    smooth = pyramid_of(torch.full_like(x, 0.5), sizes)
    assert all(level.abs().max() < 1e-6 for level in smooth[1:])  # a flat image has no bands
    torch.testing.assert_close(smooth[0], torch.full_like(smooth[0], 0.5))


def test_blur_and_decimate() -> None:
    """Halving: each pixel is 1/8, 3/8, 3/8, 1/8 of four neighbours along an axis, so that a checkerboard becomes grey."""
    x = torch.zeros(1, 1, 1, 16, dtype=torch.float64)
    x[..., 6] = 1.0
    torch.testing.assert_close(resize(x, (1, 8))[0, 0, 0, 2:5], torch.tensor([0.125, 0.375, 0.0], dtype=torch.float64))
    board = (torch.arange(8)[:, None] + torch.arange(8)) % 2 * 2.0 - 1
    assert resize(board[None, None], (4, 4))[..., 1:-1, 1:-1].abs().max() < 1e-6


def test_networks_are_those_of_the_code() -> None:
    """CIFAR-10: 4 planes into G, 3 into D; 28 pixels after the first convolution of D, 12 after the second."""
    generator, discriminator = BandGenerator(3, (32, 32)), BandDiscriminator(3, (32, 32))
    shapes = [tuple(layer.weight.shape) for layer in (generator.first, generator.second, generator.last)]
    assert shapes == [(64, 4, 7, 7), (64, 64, 7, 7), (3, 64, 5, 5)]
    shapes = [tuple(layer.weight.shape) for layer in (discriminator.first, discriminator.second, discriminator.head)]
    assert shapes == [(64, 3, 5, 5), (64, 64, 5, 5), (1, 64 * 12 * 12)]
    told = BandGenerator(3, (32, 32), num_classes=10), BandDiscriminator(3, (32, 32), num_classes=10)
    assert [told[0].first.weight.shape[1], told[1].first.weight.shape[1]] == [5, 4]
    coarse, judge = CoarseGenerator((3, 8, 8)), CoarseDiscriminator((3, 8, 8))
    assert [layer.out_features for layer in (coarse.first, coarse.second, coarse.last)] == [8000, 8000, 192]
    assert [layer.out_features for layer in (judge.first, judge.second, judge.head)] == [1600, 1600, 1]
    for layer, std in ((coarse.first, 0.05), (judge.second, 0.005)):
        assert abs(layer.weight.std().item() / std - 1) < 0.02 and layer.bias.abs().max() == 0


def test_networks_by_hand() -> None:
    torch.manual_seed(0)
    generator, discriminator = BandGenerator(1, (12, 12), width=3).double(), BandDiscriminator(1, (12, 12), width=3, dropout=0.0).double()
    low = torch.randn(2, 1, 12, 12, dtype=torch.float64)
    with use(Draws.seeded(3, dtype=torch.float64)):
        band = generator(low)
    noise = Draws.seeded(3, dtype=torch.float64).uniform(2, 1, 12, 12, low=-1.0, high=1.0)
    x = torch.cat([noise, low], 1)
    for layer, padding in ((generator.first, 3), (generator.second, 3)):
        x = F.conv2d(x, layer.weight, layer.bias, padding=padding).clamp(min=0)
    torch.testing.assert_close(band, F.conv2d(x, generator.last.weight, generator.last.bias, padding=2))
    y = F.conv2d(low + band, discriminator.first.weight, discriminator.first.bias).clamp(min=0)
    y = F.conv2d(y, discriminator.second.weight, discriminator.second.bias, stride=2).clamp(min=0).flatten(1)
    torch.testing.assert_close(discriminator(low + band).logits, (y @ discriminator.head.weight.T + discriminator.head.bias)[:, 0])


def test_data_are_standardised() -> None:
    pixels = torch.randint(0, 256, (600, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    pixels[:, :, 0] = 7  # a constant row
    data = ArrayDataset({"image": pixels}, DataSpec(name="noise", kind="image", shape=(1, 28, 28), num_records=600))
    mean, std = pixel_statistics(data)
    x = pixels.double() / 127.5 - 1
    torch.testing.assert_close(mean, x.mean(0).float(), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(std[:, 1:], x.std(0, correction=0)[:, 1:].float(), atol=1e-6, rtol=1e-5)
    assert (std[:, 0] == 1 / 127.5).all()
    game = RECIPE.game(tiny(), data)
    assert isinstance(game, PyramidGame)
    z = game.generator.standardise(x.float())
    assert z.mean(0).abs().max() < 1e-4 and abs(z[:, :, 1:].std() - 1) < 1e-3


def test_each_level_sees_real_coarse_images() -> None:
    torch.manual_seed(0)
    game = RECIPE.game(tiny(), images())
    assert isinstance(game, PyramidGame)
    x = torch.rand(4, 1, 28, 28) * 2 - 1
    pyramid = pyramid_of(game.generator.standardise(x), game.generator.sizes)
    for index, level in enumerate(pyramid):
        band, low, labels = game.parts(index, Batch({"image": x}))
        torch.testing.assert_close(band, level, atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(low, resize(image_of(pyramid[:index]), game.generator.sizes[index]) if index else torch.zeros_like(level))
        assert labels is None


def test_half_a_batch_is_real_and_half_is_made() -> None:
    """D meets l + h of the even records, and bands made for the odd ones; the loss is the code's mean over both halves."""
    with playing(tiny(dropout=0.0)) as (game, trainer, _):
        batch, seen = trainer.feed.next(), []
        level = game.discriminator[2]
        level.register_forward_hook(lambda module, inputs, output: seen.append((inputs[0], output.logits)))
        loss = game.discriminator_loss(2, batch)
        (x, logits) = seen[0]
        assert x.shape[0] == 8
        torch.testing.assert_close(x[:4], game.generator.standardise(batch.x)[::2], atol=1e-5, rtol=1e-4)
        _, low, _ = game.parts(2, batch)
        assert (x[4:] - low[1::2]).abs().max() > 1e-3 and not torch.allclose(x[4:], game.generator.standardise(batch.x)[1::2])
        targets = torch.tensor([1.0] * 4 + [0.0] * 4)
        torch.testing.assert_close(loss.total(), F.binary_cross_entropy_with_logits(logits, targets))
        assert sum(value is not None for value in (p.grad for p in game.parameters())) == 0


def test_levels_learn_independently() -> None:
    """One level's weights after a round do not depend on another level's."""
    states = []
    for spoil in (False, True):
        with playing(tiny()) as (game, trainer, _):
            if spoil:
                nn.init.constant_(game.generator.levels[0].last.weight, 0.1)  # type: ignore[arg-type, union-attr]
            trainer.play_round()
            states.append({name: value.clone() for name, value in game.state_dict().items()})
    for name in states[0]:
        coarsest = "levels.0" in name or "discriminator.0" in name
        assert torch.equal(states[0][name], states[1][name]) or coarsest, name
    assert not torch.equal(states[0]["discriminator.0.first.weight"], states[1]["discriminator.0.first.weight"])


def test_micro_batches_give_the_whole_batch() -> None:
    states = []
    for pieces in (1, 2):
        with playing(tiny(conditional=True), double=True, micro_batches=pieces) as (game, trainer, _):
            for _ in range(2):
                trainer.play_round()
            states.append(game.state_dict())
    for name, value in states[0].items():
        assert (value.double() - states[1][name].double()).abs().max() < 1e-9, name
    with playing(tiny(batch=6), micro_batches=2) as (_, trainer, _), pytest.raises(UsageError, match="piece of 3"):
        trainer.play_round()


def test_schedule_by_epoch() -> None:
    for name, divisor, limit in (("paper", 1.00004, 0.8), ("cifar", 1.000004, 0.7)):
        preset = RECIPE.preset(name)
        assert isinstance(preset, LapganConfig) and (preset.lr_divisor, preset.momentum_limit) == (divisor, limit)
        assert preset.generator_optimizer == SGD(lr=0.02, momentum=0.5, dampened=True) and preset.batch == 128
        game = RECIPE.game(tiny(lr_divisor=divisor, momentum_limit=limit), images())
        schedule = game.players["generator_28"].schedule
        assert schedule is not None
        assert schedule(Clock(images_seen=79)) == {"lr": 0.02, "momentum": 0.5, "dampening": 0.5}  # 40 records, half of what is read is real
        at_100 = schedule(Clock(images_seen=80 * 100))
        assert at_100 == {"lr": pytest.approx(0.02 / divisor**100), "momentum": pytest.approx(0.58), "dampening": pytest.approx(0.58)}
        assert schedule(Clock(images_seen=80 * 10_000))["momentum"] == limit


def test_momentum_is_dampened_as_in_the_codes_optimiser() -> None:
    """v <- m v + (1 - m) g, v = g at first; w <- w - lr v: where slopes agree a move is lr times the slope, whatever the momentum."""
    with playing(tiny(dropout=0.0), double=True) as (game, trainer, _):
        slopes: list[Tensor] = []
        weights: list[Tensor] = []
        head: Any = game.discriminator[0].head
        optimizer = game.players["discriminator_8"].torch_optimizer
        assert optimizer is not None

        def note(*_: Any) -> None:
            weights.append(head.weight.detach().clone())
            slopes.append(head.weight.grad.clone())

        optimizer.register_step_pre_hook(note)
        for _ in range(3):
            trainer.play_round()
        velocity = torch.zeros_like(slopes[0])
        for number, slope in enumerate(slopes):
            velocity = slope if number == 0 else 0.5 * velocity + 0.5 * slope
            after = weights[number + 1] if number < 2 else head.weight
            torch.testing.assert_close(after, weights[number] - 0.02 * velocity)


@pytest.mark.parametrize(
    ("real", "fake", "moves"),
    [(0.2, 0.6, (True, False)), (0.4, 0.6, (False, True)), (0.8, 0.3, (True, True)), (0.8, 1.2, (True, False)), (0.7, 1.0, (False, True))],
)
def test_balancing_rule(real: float, fake: float, moves: tuple[bool, bool]) -> None:
    torch.manual_seed(0)
    game = RECIPE.game(tiny(balance=True), images())
    assert isinstance(game, PyramidGame)
    turns = list(game.play())
    assert len(turns) == 6  # all move at first
    name = turns[2].player
    assert name == "discriminator_14"
    game.after_turn(turns[2], {f"{name}/error_real": torch.tensor(real), f"{name}/error_fake": torch.tensor(fake)})
    assert tuple(map(bool, game.moves[1].tolist())) == moves and game.moves[0].all() and game.moves[2].all()
    players = [turn.player for turn in game.play()]
    assert ("discriminator_14" in players, "generator_14" in players) == moves


def test_balanced_game_plays_and_keeps_its_state() -> None:
    with playing(tiny(balance=True)) as (game, trainer, log):
        for _ in range(4):
            trainer.play_round()
        assert all(math.isfinite(float(value)) for values in log for value in values.values())
        assert "moves" in game.state_dict()
        assert {name.partition("/")[0] for values in log for name in values} <= set(game.players)


def test_sampling_goes_from_coarse_to_fine() -> None:
    torch.manual_seed(0)
    game = RECIPE.game(tiny(conditional=True, ema_halflife_kimg=1.0), images())
    assert isinstance(game, PyramidGame)
    labels = torch.tensor([0, 1, 2])
    with use(Draws.seeded(1)):
        x = game.generator_ema.levels[0](Draws.seeded(1).uniform(3, 6, low=-1.0), labels)
    assert game.sample(3, Draws.seeded(1), labels).shape == (3, 1, 28, 28) and x.shape == (3, 1, 8, 8)
    for level in game.generator_ema.levels[1:]:
        for parameter in level.parameters():
            nn.init.zeros_(parameter)  # no bands: the coarsest image, enlarged twice
    enlarged = resize(resize(x, (14, 14)), (28, 28)) * game.generator.std + game.generator.mean
    torch.testing.assert_close(game.sample(3, Draws.seeded(1), labels), enlarged)
    with pytest.raises(UsageError, match="cannot truncate"):
        game.sample(1, Draws(), truncation=0.5)


def test_the_average_follows_each_level() -> None:
    with playing(tiny(ema_halflife_kimg=0.008)) as (game, trainer, _):  # a half-life of one round
        before = [p.clone() for p in game.generator.parameters()]
        trainer.play_round()
        for old, new, average in zip(before, game.generator.parameters(), game.generator_ema.parameters(), strict=True):
            torch.testing.assert_close(average, (old + new) / 2)


def test_settings() -> None:
    assert level_sizes(tiny(sizes=()), 64, 64) == [(8, 8), (16, 16), (32, 32), (64, 64)]
    assert level_sizes(tiny(sizes=()), 13, 13) == [(13, 13)]
    with pytest.raises(UsageError, match="a side of 15x15 is odd. Choose --resolution 16 16"):
        level_sizes(tiny(sizes=()), 15, 15)
    with pytest.raises(UsageError, match="levels grow to the images' height, 32; .*28"):
        level_sizes(tiny(), 32, 32)
    with pytest.raises(UsageError, match="must be even; it is 7"):
        PyramidConfig(batch=7)
