"""SRGAN: its losses by hand, its phases, trained networks that a game looks through, and images made larger."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from saddlepoint import api
from saddlepoint.data.records import Batch
from saddlepoint.draws import Draws
from saddlepoint.errors import DataError, UsageError
from saddlepoint.games.enlarging import EnlargingConfig, EnlargingGame, luma_psnr
from saddlepoint.games.player import Clock
from saddlepoint.games.restoring import crops
from saddlepoint.networks.base import Judgement
from saddlepoint.networks.frozen import Frozen
from saddlepoint.networks.srgan import SRGANDiscriminator, SRResNet
from saddlepoint.networks.vgg import VGG19Features
from saddlepoint.training.checkpoint import Checkpoint, load_checkpoint, optimizer_tensors, restore_game, restore_optimizers, save_checkpoint
from saddlepoint.training.plan import Plan
from saddlepoint.verbs.translating import translated
from saddlepoint.zoo.catalogue import find_recipe
from saddlepoint.zoo.features import feature_maps

double = torch.float64


class Repeating(nn.Module):
    """Each pixel made factor x factor, then a x + b."""

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor, self.a, self.b = factor, nn.Parameter(torch.tensor(1.5, dtype=double)), nn.Parameter(torch.tensor(-0.6, dtype=double))

    def forward(self, x: Tensor) -> Tensor:
        return self.a * x.repeat_interleave(self.factor, 2).repeat_interleave(self.factor, 3) + self.b


class Mean(nn.Module):
    """Logits t mean(x)."""

    def __init__(self) -> None:
        super().__init__()
        self.t = nn.Parameter(torch.tensor(0.8, dtype=double))

    def forward(self, x: Tensor) -> Judgement:
        return Judgement(self.t * x.mean((1, 2, 3)))


class Doubling(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * x


@pytest.mark.parametrize("factor", [2, 4])
def test_losses_by_hand(factor: Any) -> None:
    config = EnlargingConfig(factor=factor, rounds=10)
    game = EnlargingGame(config, Repeating(factor), Mean(), Doubling(), (16, 16)).double()
    game.draws = Draws.seeded(0, dtype=double)
    x = torch.randn(3, 1, 16, 16, dtype=double).clamp(-1, 1)
    batch = Batch({"image": x})
    small = game.shrunk(x)
    assert small.shape == (3, 1, 16 // factor, 16 // factor)
    fake = 1.5 * ((small + 1) / 2).repeat_interleave(factor, 2).repeat_interleave(factor, 3) - 0.6
    real_p, fake_p = (torch.sigmoid(0.8 * image.mean((1, 2, 3))) for image in (x, fake))
    torch.testing.assert_close(game.discriminator_turn(batch).terms["adversarial"], (-real_p.log() - (1 - fake_p).log()).mean())
    found = game.generator_turn(batch).terms
    torch.testing.assert_close(found["content"], (2 * fake - 2 * x).square().mean())
    torch.testing.assert_close(found["adversarial"], -1e-3 * fake_p.log().mean())
    torch.testing.assert_close(game.pixel_turn(batch).terms["pixels"], (fake - x).square().mean())


def test_the_reduction_is_pillows() -> None:
    pixels = np.random.default_rng(0).random((64, 64), dtype=np.float32) * 2 - 1
    wanted = Image.fromarray(pixels).resize((16, 16), Image.Resampling.BICUBIC)
    game = EnlargingGame(EnlargingConfig(), Repeating(4), None, None, (64, 64))
    found = game.shrunk(torch.from_numpy(pixels)[None, None])[0, 0]
    np.testing.assert_allclose(found.numpy(), np.asarray(wanted).clip(-1, 1), atol=1e-5)


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_pixels_first_then_the_game(share: float) -> None:
    config = EnlargingConfig(rounds=1_200, pretrain=1_000, adversarial_rate=share)
    game = EnlargingGame(config, Repeating(4), Mean(), None, (16, 16))
    seen = []
    for round in (0, 999, 1000, 1099, 1100, 1199):
        game.clock = Clock(round=round, horizon=1_200)
        schedule = game.players["generator"].schedule
        assert schedule is not None
        seen.append(([turn.name for turn in game.play()], schedule(game.clock)["lr"]))
    alone, both = ["pixel_turn"], ["discriminator_turn", "generator_turn"]
    assert [names for names, _ in seen] == [alone, alone, both, both, both, both]
    assert [rate for _, rate in seen] == pytest.approx([1e-4, 1e-4, share * 1e-4, share * 1e-4, share * 1e-5, share * 1e-5])
    game.config = dataclasses.replace(config, adversarial_weight=0.0)
    game.clock = Clock(round=1_199, horizon=1_200)
    assert schedule is not None and schedule(game.clock)["lr"] == 1e-4  # without an adversary there is one rate
    with pytest.raises(UsageError, match="pretrain must be 0 or more and less than the 10 rounds; it is 10"):
        EnlargingConfig(rounds=10, pretrain=10)
    with pytest.raises(UsageError, match="adversarial_rate and rate_drop must be more than 0; they are 0.0 and 0.1"):
        EnlargingConfig(adversarial_rate=0.0)


def test_resumed_over_the_phases(make: Any, play: Any, images: Any, tmp_path: Path) -> None:
    """The optimiser begins afresh with the adversary, in a run that was stopped before it as in one that was not."""
    data, settings = images(size=16), {"resolution": 16, "width": 4, "d_width": 4, "batch": 4, "blocks": 1, "rounds": 5, "pretrain": 3}
    whole, parts, resumed = (make("srgan", "small", data, **settings) for _ in range(3))
    with play(*whole) as playing:
        playing.rounds(5)
    with play(*parts) as playing:
        playing.rounds(2)
        tensors, numbers = optimizer_tensors(parts[0])
        path = save_checkpoint(tmp_path, 2, Checkpoint(parts[0].state_dict(), tensors, {"numbers": numbers}))
        position = playing.trainer.feed.position
    saved = load_checkpoint(path)
    with play(*resumed) as playing:
        restore_game(resumed[0], saved.game, path)
        restore_optimizers(resumed[0], saved.optimizers, saved.state["numbers"])
        resumed[0].clock.round, playing.trainer.feed.position = 2, position
        playing.rounds(3)
    assert not any("features" in name for name in saved.game)
    wanted = whole[0].state_dict()
    assert [name for name, value in resumed[0].state_dict().items() if not torch.equal(value, wanted[name])] == []


def test_published_networks() -> None:
    """Figure 4: 6x6x512 before the 1024 units at 96 pixels; about 1.5 million parameters in G."""
    generator, judge = SRResNet(3), SRGANDiscriminator(3, (96, 96))
    assert generator(torch.zeros(1, 3, 6, 5)).shape == (1, 3, 24, 20)
    linear = judge.judge[0]
    assert isinstance(linear, nn.Linear) and (linear.in_features, linear.out_features) == (6 * 6 * 512, 1024)
    assert judge(torch.zeros(2, 3, 96, 96)).logits.shape == (2,)
    assert SRResNet(1, 8, 2, factor=2)(torch.zeros(1, 1, 7, 9)).shape == (1, 1, 14, 18)
    paper: Any = find_recipe("srgan").preset("paper")
    assert (paper.batch, paper.crop, paper.factor, paper.blocks, paper.adversarial_weight, paper.features) == (16, 96, 4, 16, 1e-3, "vgg54")
    assert (paper.pretrain, paper.rounds, paper.optimizer.lr, paper.optimizer.beta1, paper.rate_drop) == (1_000_000, 1_200_000, 1e-4, 0.9, 0.1)


def test_vgg_from_a_file(tmp_path: Path) -> None:
    from torchvision.models import vgg19

    torch.manual_seed(0)
    network = vgg19(weights=None)
    torch.save(network.state_dict(), tmp_path / "vgg.pth")
    x = torch.rand(2, 3, 32, 32) * 2 - 1
    mean, std = torch.tensor([0.485, 0.456, 0.406])[:, None, None], torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    with torch.no_grad():
        for name, layers in (("vgg22", 9), ("vgg54", 36)):
            wanted = network.features[:layers](((x + 1) / 2 - mean) / std) / 12.75
            torch.testing.assert_close(feature_maps(name, str(tmp_path / "vgg.pth"))(x), wanted)
    (tmp_path / "other.pth").write_bytes(b"nothing")
    for arguments, words in (
        (("vgg54", ""), "The features vgg54 need the weights of VGG-19: --weights vgg19-dcbb9e9d.pth"),
        (("vgg54", str(tmp_path / "none.pth")), "There is no file"),
        (("vgg54", str(tmp_path / "other.pth")), "does not hold the weights of VGG-19"),
        (("quick", "a.pth"), "bring their own weights"),
    ):
        with pytest.raises(UsageError, match=words):
            feature_maps(*arguments)


@pytest.mark.parametrize("name", ["quick", "quick2", "lite0"])
def test_trained_networks_are_looked_through(name: str) -> None:
    maps = feature_maps(name)
    assert not maps.state_dict() and not [*maps.parameters()]
    assert not any(module.training for module in maps.train().modules())
    x = torch.rand(1, 1, 32, 32, requires_grad=True)
    maps(x).square().sum().backward()
    assert x.grad is not None and x.grad.abs().max() > 0
    assert maps.double()(x.double()).dtype == double


def test_frozen_keeps_what_it_computes() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    x = torch.randn(2, 1, 5, 5)
    network(x)
    wanted = network.eval()(x)
    torch.testing.assert_close(Frozen(network).train()(x), wanted)
    assert VGG19Features("vgg22")(x).shape == (2, 128, 2, 2)


def test_crops_and_brightness() -> None:
    x = torch.randn(2, 3, 8, 9, dtype=double)
    places = torch.tensor([[0.0, 0.0, 0.9], [0.999, 0.999, 0.1]], dtype=double)
    found = crops(x, places, (4, 5), mirror=True)
    assert torch.equal(found[0], x[0, :, :4, :5])
    assert torch.equal(found[1], x[1, :, 4:, 4:].flip(2))
    white, black = torch.ones(1, 3, 12, 12, dtype=double), -torch.ones(1, 3, 12, 12, dtype=double)
    torch.testing.assert_close(luma_psnr(white, black), -20 * torch.log10(torch.tensor([219 / 255], dtype=double)))
    white[:, :, :4] = 0  # the border does not count
    torch.testing.assert_close(luma_psnr(white, black), -20 * torch.log10(torch.tensor([219 / 255], dtype=double)))


class Larger:
    """Twice as large, brighter."""

    multiple, scale = 1, 2

    def translate(self, x: Tensor, **targets: Any) -> Tensor:
        assert max(x.shape[2:]) <= 136
        return x.repeat_interleave(2, 2).repeat_interleave(2, 3) + 0.5


@pytest.mark.parametrize("size", [(8, 8), (3, 41), (137, 300)])
def test_any_size_is_enlarged(size: tuple[int, int]) -> None:
    x = torch.rand(1, 1, *size, dtype=double) - 1
    torch.testing.assert_close(translated(Larger(), x, {}, tile=136), x.repeat_interleave(2, 2).repeat_interleave(2, 3) + 0.5)


def test_from_the_verbs(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"resolution": 16, "width": 4, "d_width": 4, "batch": 4, "blocks": 1, "pretrain": 0, "factor": 2}
    plan = Plan(steps=1, preview_every=1, score_every=1)
    run = api.train("srgan", data="digits", device="cpu", out=tmp_path / "run", plan=plan, **settings).folder
    score = api.info(run)["last_score"]
    assert score["metric"] == "content" and score["psnr"] > 0
    Image.new("L", (9, 7), 90).save(tmp_path / "x.png")
    (one,) = api.translate(run, tmp_path / "x.png", tmp_path / "y.png")
    (two,) = api.translate(run, tmp_path / "x.png", tmp_path / "z.png", sheet=True)
    with Image.open(one) as small, Image.open(two) as sheet:
        assert (small.size, sheet.size) == ((18, 14), (2 * 18 + 2, 14))
    for changes, error, words in (
        ({"resolution": 30, "factor": 4}, DataError, "sides of 16 pixels or more that 4 divides; 30x30 came"),
        ({"crop": 32}, UsageError, "Crops of 32 pixels need images at least as large; digits has 16x16"),
        ({"features": "vgg54"}, UsageError, "need the weights of VGG-19"),
    ):
        with pytest.raises(error, match=words):
            api.train("srgan", data="digits", device="cpu", out=tmp_path / "other", plan=plan, **(settings | changes))
    assert dataclasses.replace(EnlargingConfig(), weights="a").weights == "a"
