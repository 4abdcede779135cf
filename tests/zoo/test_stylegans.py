"""StyleGAN and StyleGAN2: path lengths against finite differences, lazy terms, optimisers, schedules of the growing configurations."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from typing import Any

import pytest
import torch

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.records import DataSpec, to_device
from saddlepoint.draws import Draws
from saddlepoint.errors import UsageError
from saddlepoint.games.growing import GrowingConfig, GrowingGame, stretches
from saddlepoint.games.path_length import PathLength, path_lengths
from saddlepoint.games.player import Clock
from saddlepoint.games.terms import R1
from saddlepoint.networks.stylegan2 import Channels, StyleGAN2Generator
from saddlepoint.zoo import stylegan, stylegan2


def data(size: int = 16) -> ArrayDataset:
    images = torch.randint(0, 256, (16, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return ArrayDataset({"image": images}, DataSpec(name="noise", kind="image", shape=(3, size, size), num_records=16, fields=("image",)))


def tiny(config: Any, **changes: Any) -> Any:
    return dataclasses.replace(config, **({"batch": 8, "width": 8, "latent_dim": 6, "code_dim": 5, "resolution": 16} | changes))


def test_path_lengths_against_finite_differences() -> None:
    torch.manual_seed(0)
    generator = StyleGAN2Generator((3, 8, 8), latent_dim=6, code_dim=5, mapping_layers=2, channels=Channels(base=64, most=8)).double()
    generator.noise_mode = "none"
    ws = torch.randn(2, generator.num_layers, 5, dtype=torch.float64, requires_grad=True)
    y = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    lengths = path_lengths(generator.synthesis(ws), ws, y)
    slopes, step = torch.zeros_like(ws), 1e-6
    with torch.no_grad():
        for index in range(ws[0].numel()):
            moved = torch.zeros_like(ws)
            moved.flatten(1)[:, index] = step
            difference = generator.synthesis(ws + moved) - generator.synthesis(ws - moved)
            slopes.flatten(1)[:, index] = (difference * y).sum((1, 2, 3)) / (2 * step) / math.sqrt(64)
    torch.testing.assert_close(lengths, slopes.square().sum(2).mean(1).sqrt(), rtol=1e-5, atol=1e-8)
    assert torch.autograd.gradcheck(lambda ws: path_lengths(generator.synthesis(ws), ws, y), (ws,), atol=1e-4)


def played(config: Any, rounds: int) -> tuple[Counter[str], dict[str, float]]:
    """Turns by name and the sum of each term of their losses over rounds in which nobody moves."""
    torch.manual_seed(0)
    game = stylegan2.stylegan2(config, data())
    batch = to_device(data().records(torch.arange(config.batch)), "cpu")
    turns: Counter[str] = Counter()
    sums: dict[str, float] = {}
    for number in range(rounds):
        game.clock.round = number
        for turn in game.play():
            game.draws = Draws.seeded("same")
            turns[turn.name] += 1
            for term, value in turn(batch).terms.items():
                sums[term] = sums.get(term, 0.0) + value.item()
    return turns, sums


def test_lazy_regularisation_weighs_as_much_as_that_of_every_round() -> None:
    config = tiny(stylegan2.SMALL, style_mixing=0.0, noise=False, r1_every=4, path_every=2)
    lazy_turns, lazy = played(config, 4)
    turns, each = played(dataclasses.replace(config, r1_every=1, path_every=1), 4)
    assert lazy_turns == {"discriminator_turn": 4, "discriminator_regularisation": 1, "generator_turn": 4, "generator_regularisation": 2}
    assert turns == {"discriminator_turn": 4, "generator_turn": 4, "generator_regularisation": 4}
    for term in ("r1", "path_length"):
        assert lazy[term] == pytest.approx(each[term], rel=1e-5)
        assert each[term] > 0


def test_optimisers_of_lazy_players_are_adapted() -> None:
    """Appendix B: lr and betas of c = k / (k + 1): 4/5 for path lengths every 4, 16/17 for R1 every 16."""
    game = stylegan2.stylegan2(tiny(stylegan2.F, mapping_layers=1), data())
    for name, share in (("generator", 4 / 5), ("discriminator", 16 / 17)):
        optimizer: Any = game.players[name].optimizer
        assert optimizer.lr == pytest.approx(0.002 * share)
        assert (optimizer.beta1, optimizer.beta2) == (0.0, pytest.approx(0.99**share))


def test_the_mean_path_length_follows_with_decay_one_hundredth() -> None:
    term = PathLength()
    for value in (2.0, 4.0):
        term.after_turn("generator", {"generator/path": torch.tensor(value)})
    assert term.mean.item() == pytest.approx(0.99 * 0.02 + 0.01 * 4)
    assert (term.weight, term.every, term.shrink, term.alone) == (2.0, 4, 2, True)


def test_gamma_by_rule_and_as_published() -> None:
    config = tiny(stylegan2.SMALL, r1_gamma=None, batch=4)
    (r1, path) = stylegan2.regularisers(config, data())
    assert isinstance(r1, R1) and r1.gamma == pytest.approx(0.0002 * 16 * 16 / 4)
    assert isinstance(path, PathLength)
    gammas = {name: preset.r1_gamma for name, preset in (("e", stylegan2.E), ("f", stylegan2.F), ("cifar", stylegan2.CIFAR))}
    assert gammas == {"e": 100.0, "f": 10.0, "cifar": 0.01}


def test_growing_configurations_follow_the_release() -> None:
    """Batch and learning rate by level; a lazy player takes its share of the rate."""
    game = stylegan2.stylegan2(tiny(stylegan2.D, resolution=32, mapping_layers=1, lr_at=((16, 0.005),), batch_at=((8, 4),)), data(32))
    assert isinstance(game, GrowingGame)
    assert [(phase.name, phase.batch) for phase in game.phases] == [("8", 4), ("fade to 16", None), ("16", None), ("fade to 32", None), ("32", None)]
    for level, rate in ((1, 0.001), (2, 0.005)):
        game._grow(level)
        for name, share in (("generator", 4 / 5), ("discriminator", 16 / 17)):
            schedule = game.players[name].schedule
            assert schedule is not None and schedule(Clock()) == {"lr": pytest.approx(share * rate)}


def test_rounds_of_25_million_images() -> None:
    assert stylegan2.F.rounds * stylegan2.F.batch == 25_000_000
    configs: tuple[GrowingConfig, ...] = (stylegan2.D, stylegan.F)
    for config in configs:
        phases = [stretch.phase for stretch in stretches(config, 8)]
        assert sum((phase.batch or config.batch) * phase.rounds for phase in phases) == pytest.approx(25_000_000, rel=1e-3)
        assert config.rounds == sum(phase.rounds for phase in phases)


def test_errors_say_what_to_do() -> None:
    with pytest.raises(UsageError, match="Growing needs the architecture orig in both networks; they are skip and resnet.*--g-architecture orig"):
        dataclasses.replace(stylegan2.F, first_level=1)
    with pytest.raises(UsageError, match="StyleGAN's networks grow.*--preset a"):
        dataclasses.replace(stylegan2.F, stylegan=True)
    with pytest.raises(UsageError, match="r1_every and path_every must be at least 1; they are 0 and 4"):
        dataclasses.replace(stylegan2.F, r1_every=0)
    with pytest.raises(UsageError, match="Style mixing needs a generator with styles.*--style-mixing 0"):
        dataclasses.replace(stylegan.F, styles=False)
    for recipe, config in ((stylegan.stylegan, stylegan.SMALL), (stylegan2.stylegan2, stylegan2.SMALL)):
        with pytest.raises(UsageError, match="A conditional model needs labels; noise has none"):
            recipe(tiny(config, conditional=True), data())
