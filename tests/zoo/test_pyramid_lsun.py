"""B4, LAPGAN for LSUN: the grouped networks of the authors' code, its schedule and its statistics of the data."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.records import DataSpec
from saddlepoint.draws import Draws, use
from saddlepoint.errors import UsageError
from saddlepoint.games.lapgan import PyramidConfig, PyramidGame
from saddlepoint.games.player import Clock
from saddlepoint.networks.lapgan import resize
from saddlepoint.networks.lapgan_lsun import ChannelDropout, GroupedBandDiscriminator, GroupedBandGenerator, PairNorm
from saddlepoint.training.trainer import Trainer, TrainerConfig
from saddlepoint.zoo.catalogue import find_recipe
from saddlepoint.zoo.lapgan import LapganConfig

RECIPE = find_recipe("lapgan")


def images(c: int = 1) -> ArrayDataset:
    pixels = torch.randint(0, 256, (40, c, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return ArrayDataset({"image": pixels}, DataSpec(name="noise", kind="image", shape=(c, 16, 16), num_records=40))


def lsun(**changes: Any) -> LapganConfig:
    preset = RECIPE.preset("lsun")
    assert isinstance(preset, LapganConfig)
    sizes: dict[str, Any] = {"width": 4, "d_width": 4, "coarse_width": 8, "coarse_d_width": 8, "batch": 8, "resolution": 16, "sizes": (4, 8, 16)}
    return dataclasses.replace(preset, **(sizes | changes))


def test_lsun_networks_are_those_of_the_code() -> None:
    """At 32 pixels: 20 x 20 maps of 416 in front of D's head, 166,400 numbers; groups 1, 4, 4, 2, 1 in G and 1, 4, 16 in D."""
    generator, discriminator = GroupedBandGenerator(3, (32, 32)), GroupedBandDiscriminator(3, (32, 32))
    layers = [layer for layer in generator.modules() if isinstance(layer, nn.Conv2d)]
    assert [(c.in_channels, c.out_channels, c.kernel_size[0], c.groups) for c in layers] == [
        (4, 64, 7, 1), (64, 368, 7, 4), (368, 128, 7, 4), (64, 224, 5, 2), (224, 3, 7, 1)
    ]  # fmt: skip
    kinds = [type(layer).__name__ for layer in generator.hidden]
    block = ["Conv2d", "ReLU", "BatchNorm2d"]
    assert kinds == [*block, *block, "ChannelDropout", *block, "PairNorm", *block, "ChannelDropout"]
    norms = [layer for layer in generator.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert [norm.affine for norm in norms] == [False, False, False, False, True]
    layers = [layer for layer in discriminator.modules() if isinstance(layer, nn.Conv2d)]
    assert [(c.in_channels, c.out_channels, c.kernel_size[0], c.groups, c.padding[0]) for c in layers] == [
        (3, 48, 3, 1, 0), (48, 448, 5, 4, 0), (448, 416, 7, 16, 0)
    ]  # fmt: skip
    assert discriminator.head.in_features == 166_400
    for layer in layers:  # all inputs count for the first weights, also those of other groups
        bound = 1 / (layer.kernel_size[0] * layer.in_channels**0.5)
        assert 0.95 * bound < layer.weight.abs().max() <= bound and layer.bias is not None and layer.bias.abs().max() <= bound
    assert GroupedBandDiscriminator(3, (8, 8), width=4)(torch.randn(2, 3, 8, 8)).logits.shape == (2,)  # padded: 8 pixels do not outlast the kernels


def test_lsun_networks_by_hand() -> None:
    torch.manual_seed(0)
    generator, discriminator = GroupedBandGenerator(1, (16, 16), width=4).double().eval(), GroupedBandDiscriminator(1, (16, 16), width=4).double()
    low = torch.randn(2, 1, 16, 16, dtype=torch.float64)
    for norm in (layer for layer in generator.modules() if isinstance(layer, nn.BatchNorm2d)):
        assert norm.running_mean is not None and norm.running_var is not None
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2.0)
    with use(Draws.seeded(3, dtype=torch.float64)):
        band = generator(low)
    x = torch.cat([Draws.seeded(3, dtype=torch.float64).uniform(2, 1, 16, 16, low=-1.0, high=1.0), low], 1)
    hidden: Any = generator.hidden
    last: Any = generator.last
    for number, place in enumerate((0, 3, 7, 11)):
        conv, norm = hidden[place], hidden[place + 2]
        x = F.conv2d(x, conv.weight, conv.bias, padding=(conv.kernel_size[0] - 1) // 2, groups=conv.groups).clamp(min=0)
        x = (x - norm.running_mean.view(1, -1, 1, 1)) / (norm.running_var.view(1, -1, 1, 1) + 1e-5).sqrt()
        x = (x[:, ::2].square() + x[:, 1::2].square()).sqrt() if number == 2 else x
    torch.testing.assert_close(band, last[1](F.conv2d(x, last[0].weight, last[0].bias, padding=3)))
    y = low + band
    for place in (0, 2, 4):
        conv = discriminator.hidden[place]
        assert isinstance(conv, nn.Conv2d)
        y = F.conv2d(y, conv.weight, conv.bias, groups=conv.groups).clamp(min=0)
    assert y.shape[2:] == (4, 4)
    torch.testing.assert_close(discriminator(low + band).logits, (y.flatten(1) @ discriminator.head.weight.T + discriminator.head.bias)[:, 0])


def test_pairs_of_maps_and_dropped_maps() -> None:
    x = torch.tensor([3.0, 4.0, 0.0, 0.0]).view(1, 4, 1, 1).requires_grad_()
    pooled = PairNorm()(x)
    (slope,) = torch.autograd.grad(pooled.sum(), x)
    assert pooled.flatten().tolist() == [5.0, 0.0] and slope.flatten().tolist() == pytest.approx([0.6, 0.8, 0.0, 0.0])
    with use(Draws.seeded(0)):
        y = ChannelDropout(0.5)(torch.ones(20, 30, 2, 2))
    assert set(y.unique().tolist()) == {0.0, 2.0} and (y == y[:, :, :1, :1]).all()
    assert abs(y.mean().item() - 1) < 0.15 and torch.equal(ChannelDropout(0.5).eval()(y), y)


def test_lsun_schedule_and_statistics() -> None:
    """The LSUN code: an epoch is 5,000 batches; one mean and one deviation a channel, the mean over images of each image's own."""
    preset = RECIPE.preset("lsun")
    assert isinstance(preset, LapganConfig)
    assert (preset.rounds, preset.batch, preset.balance, preset.latent_dim) == (24 * 5_000, 128, True, 4 * 4)
    data = images(2)
    game = RECIPE.game(lsun(), data)
    assert isinstance(game, PyramidGame)
    for player in ("generator_16", "discriminator_4"):
        schedule = game.players[player].schedule
        assert schedule is not None and schedule(Clock(round=4_999, images_seen=640_000)) == {"lr": 0.01, "momentum": 0.0, "dampening": 0.0}
        later = {"lr": pytest.approx(0.01 / 1.000004**2), "momentum": pytest.approx(0.0016), "dampening": pytest.approx(0.0016)}
        assert schedule(Clock(round=10_000)) == later
        assert schedule(Clock(round=5_000_000))["momentum"] == 0.7
    x = data.column("image").double() / 127.5 - 1
    torch.testing.assert_close(game.generator.mean, x.mean((0, 2, 3)).view(2, 1, 1).expand(2, 16, 16).float(), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(game.generator.std, x.flatten(2).std(2).mean(0).view(2, 1, 1).expand(2, 16, 16).float(), atol=1e-6, rtol=1e-5)
    coarse: Any = game.generator.levels[0]
    z = torch.rand(3, 16)
    by_hand = coarse.last(coarse.second(coarse.first(z).relu()).relu()).view(3, 2, 4, 4)
    torch.testing.assert_close(coarse(z), by_hand)
    judge: Any = game.discriminator[0]
    assert coarse.second.weight.abs().max() <= 8**-0.5 and judge.second.weight.abs().max() > 0.2  # uniform, not N(0, .005^2)


def test_lsun_plays_and_samples_without_batch_statistics() -> None:
    torch.manual_seed(1)
    log: list[dict[str, Any]] = []
    config = lsun()
    game = RECIPE.game(config, images())
    assert isinstance(game, PyramidGame)
    trainer = Trainer(game, images(), TrainerConfig(seed=5, batch=config.batch, horizon=20), record=lambda round, values: log.append(values))
    for _ in range(3):
        trainer.play_round()
    trainer.close()
    assert all(math.isfinite(float(value)) for values in log for value in values.values())
    assert game.sample(4, Draws.seeded(2)).shape == (4, 1, 16, 16) and game.generator.training
    level: Any = game.generator.levels[1]
    x = torch.cat([torch.zeros(4, 1, 8, 8), resize(torch.randn(4, 1, 4, 4), (8, 8))], 1)
    with use(Draws.seeded(1)), torch.no_grad():
        assert not torch.allclose(level.hidden(x)[:2], level.hidden(x[:2]))
        level.eval()
        torch.testing.assert_close(level.hidden(x)[:2], level.hidden(x[:2]))


def test_lsun_settings() -> None:
    with pytest.raises(UsageError, match="widths that 4 divides; width is 6"):
        lsun(width=6)
    with pytest.raises(UsageError, match="LSUN networks are told no labels"):
        lsun(conditional=True)
    with pytest.raises(UsageError, match="epoch_rounds must be at least 1; it is 0"):
        PyramidConfig(epoch_rounds=0)
