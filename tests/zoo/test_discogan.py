"""DiscoGAN: its losses by hand in every arm, its order, its curriculum, its networks."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from saddlepoint.data.records import Batch
from saddlepoint.draws import Draws
from saddlepoint.errors import UsageError
from saddlepoint.games.disco import DiscoConfig, DiscoGame
from saddlepoint.networks.disco import DiscoDiscriminator, DiscoTranslator
from saddlepoint.zoo.catalogue import find_recipe

double = torch.float64


class Scaled(nn.Module):
    """a x as a translator."""

    def __init__(self, a: float) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor(a, dtype=double))

    def forward(self, x: Tensor) -> Tensor:
        return self.a * x


class Weighing(nn.Module):
    """Logit: mean of a x; its one map: x squared."""

    def __init__(self, a: float) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor(a, dtype=double))

    def maps(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        return self.a * x.flatten(1).mean(1), [x**2, 2 * x]


def game_of(arm: Any, **changes: Any) -> DiscoGame:
    config = DiscoConfig(arm=arm, **changes)
    game = DiscoGame(config, Scaled(0.5), Weighing(0.3), None if arm == "gan" else Scaled(1.5), Weighing(-0.7) if arm == "discogan" else None)
    game.draws = Draws.seeded(0, dtype=double)
    return game


@pytest.mark.parametrize("round", [0, 4000])
@pytest.mark.parametrize("arm", ["discogan", "recongan", "gan"])
def test_losses_by_hand(arm: str, round: int) -> None:
    """image_translation.py of the released code, its values in [0, 1] ours in [-1, 1]."""
    x, y = torch.randn(2, 5, 1, 2, 2, dtype=double)
    game = game_of(arm)
    game.clock.round = round
    batch = Batch({"image": x, "other": y})
    r = 0.0 if arm == "gan" else 0.01 if round < 3333 else 0.5

    def persuasion(source: Tensor, real: Tensor, scale: float, weight: float) -> tuple[Tensor, Tensor, Tensor]:
        fake = scale * source
        d = {name: torch.sigmoid(weight * images.flatten(1).mean(1)) for name, images in (("real", real), ("fake", fake))}
        features = sum(((f(real).mean(0) - f(fake).mean(0)) ** 2).mean() for f in (lambda z: z**2, lambda z: 2 * z))
        return -d["fake"].log().mean(), features, (-d["real"].log().mean() - (1 - d["fake"]).log().mean()) / 2  # type: ignore[return-value]

    gan, features, d_loss = persuasion(x, y, 0.5, 0.3)
    expected = {"adversarial_y": (1 - r) * 0.1 * gan, "features_y": (1 - r) * 0.9 * features}
    of_d = {"adversarial_y": d_loss}
    if arm != "gan":
        expected["cycle_x"] = r * ((0.75 * x - x) ** 2).mean() / 4
    if arm == "discogan":
        gan, features, d_loss = persuasion(y, x, 1.5, -0.7)
        expected |= {"adversarial_x": (1 - r) * 0.1 * gan, "features_x": (1 - r) * 0.9 * features, "cycle_y": r * ((0.75 * y - y) ** 2).mean() / 4}
        of_d["adversarial_x"] = d_loss
    for found, by_hand in ((game.generator_turn(batch).terms, expected), (game.discriminator_turn(batch).terms, of_d)):
        assert found.keys() == by_hand.keys()
        for name in found:
            torch.testing.assert_close(found[name], by_hand[name])


def test_one_move_of_d_then_two_of_g_each_on_new_records() -> None:
    game = game_of("discogan")
    assert [(turn.player, turn.batch) for turn in game.play()] == [("discriminator", "new"), ("generator", "new"), ("generator", "new")]
    assert game.config.reads_a_round == 3 and game.config.rounds_in(64 * 3 / 1000 * 10) == 10


def test_points_are_translated_too() -> None:
    game = game_of("discogan")
    x, y = torch.randn(2, 6, 2, dtype=double)
    terms = game.generator_turn(Batch({"point": x, "other": y})).terms
    torch.testing.assert_close(terms["cycle_x"], 0.01 * ((0.75 * x - x) ** 2).mean())


def test_what_each_arm_can_do() -> None:
    x = torch.zeros(2, 1, 2, 2, dtype=double)
    batch = Batch({"image": x, "other": x})
    assert game_of("discogan").translate(x + 1, back=True).unique().tolist() == [1.5]
    assert set(game_of("discogan").measure(batch, Draws())) == {"cycle_error", "cycle_error_x", "cycle_error_y", "change"}
    assert set(game_of("recongan").measure(batch, Draws())) == {"cycle_error", "cycle_error_x", "change"}
    assert set(game_of("gan").measure(batch, Draws())) == {"change"} and game_of("gan").metric == "change"
    assert game_of("gan").show(batch, Draws()).shape == (2, 3, 1, 2, 2) and game_of("recongan").show(batch, Draws()).shape == (2, 6, 1, 2, 2)
    for arm in ("gan", "recongan"):
        with pytest.raises(UsageError, match=f"The arm {arm} translates one way only"):
            game_of(arm).translate(x, back=True)
    with pytest.raises(UsageError, match="knows no glasses"):
        game_of("gan").translate(x, glasses=1)
    with pytest.raises(UsageError, match="rate is a share"):
        DiscoConfig(rate=2.0)


def test_networks_are_the_authors() -> None:
    shapes = [tuple(p.shape) for p in DiscoDiscriminator(3, (64, 64)).parameters() if p.ndim > 1]
    assert shapes == [(64, 3, 4, 4), (128, 64, 4, 4), (256, 128, 4, 4), (512, 256, 4, 4), (1, 512, 4, 4)]
    up = [(512, 256, 4, 4), (256, 128, 4, 4), (128, 64, 4, 4), (64, 3, 4, 4)]
    assert [tuple(p.shape) for p in DiscoTranslator(3, 3, (64, 64)).parameters() if p.ndim > 1] == shapes[:4] + up
    deep = [tuple(p.shape) for p in DiscoTranslator(3, 3, (64, 64), bottleneck=100).parameters() if p.ndim > 1]
    assert deep == [*shapes[:4], (100, 512, 4, 4), (100, 512, 4, 4), *up]
    logits, maps = (
        DiscoDiscriminator(1, (32, 48), 4)(torch.zeros(2, 1, 32, 48)).logits,
        DiscoDiscriminator(1, (32, 48), 4).maps(torch.zeros(2, 1, 32, 48))[1],
    )
    assert logits.shape == (2,) and [m.shape[1:] for m in maps] == [(8, 8, 12), (16, 4, 6), (32, 2, 3)]
    with pytest.raises(UsageError, match="30x30 cannot be"):
        DiscoTranslator(1, 1, (30, 30))
    paper: Any = find_recipe("discogan").preset("paper")
    assert (paper.batch, paper.optimizer.lr, paper.optimizer.weight_decay, paper.first_rate, paper.rate) == (64, 2e-4, 1e-5, 0.01, 0.5)
