"""Context Encoders: their losses by hand, the regions, and the verb that fills holes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from saddlepoint import api
from saddlepoint.cli.main import main
from saddlepoint.data.records import Batch
from saddlepoint.draws import Draws
from saddlepoint.errors import DataError, UsageError
from saddlepoint.games.completing import Completes, CompletingConfig, CompletingGame, patterns
from saddlepoint.networks.base import Judgement
from saddlepoint.networks.contextencoder import AlexContextEncoder, ChannelwiseLinear, ContextDiscriminator, ContextEncoder
from saddlepoint.training.plan import Plan
from saddlepoint.verbs.completing import completed
from saddlepoint.zoo.catalogue import find_recipe

double = torch.float64


class Guess(nn.Module):
    """a times the mean of what is seen, everywhere in a region."""

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.size, self.a = size, nn.Parameter(torch.tensor(0.5, dtype=double))

    def forward(self, x: Tensor) -> Tensor:
        return (self.a * x.mean((2, 3), keepdim=True)).expand(-1, -1, *self.size)


class Mean(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.t = nn.Parameter(torch.tensor(0.8, dtype=double))

    def forward(self, x: Tensor) -> Judgement:
        return Judgement(self.t * x.mean((1, 2, 3)))


def test_the_middle_by_hand() -> None:
    """16 pixels: rows 4 to 11 are predicted, 6 to 9 are hidden with an overlap of 2; the ring between them weighs 10."""
    config = CompletingConfig(overlap=2, mirror=False)
    game = CompletingGame(config, Guess((8, 8)), Mean(), (16, 16)).double()
    game.draws = Draws.seeded(0, dtype=double)
    x = torch.randn(3, 3, 16, 16, dtype=double).clamp(-1, 1)
    seen = x.clone()
    for channel, value in enumerate((117, 104, 123)):
        seen[:, channel, 6:10, 6:10] = 2 * value / 255 - 1
    fake, real = (0.5 * seen.mean((2, 3), keepdim=True)).expand(-1, -1, 8, 8), x[:, :, 4:12, 4:12]
    weight = torch.full((8, 8), 10.0, dtype=double)
    weight[2:6, 2:6] = 1
    batch = Batch({"image": x})
    real_p, fake_p = (torch.sigmoid(0.8 * region.mean((1, 2, 3))) for region in (real, fake))
    torch.testing.assert_close(game.discriminator_turn(batch).terms["adversarial"], (-real_p.log() - (1 - fake_p).log()).mean())
    found = game.generator_turn(batch).terms
    torch.testing.assert_close(found["reconstruction"], 0.999 * (weight * (fake - real).square()).mean())
    torch.testing.assert_close(found["adversarial"], 0.001 * -fake_p.log().mean())
    adam = game.players["generator"].optimizer.lr / game.players["discriminator"].optimizer.lr
    assert adam == pytest.approx(10)
    whole = game.complete(x, game.masks(x))
    assert torch.equal(whole[:, :, :6], x[:, :, :6])
    torch.testing.assert_close(whole[:, :, 6:10, 6:10], fake[:, :, 2:6, 2:6])
    measured = game.measure(batch, Draws())
    torch.testing.assert_close(measured["l2"], ((fake - real)[:, :, 2:6, 2:6] / 2).square().mean())


@pytest.mark.parametrize("overlap", [0, 1])
def test_random_regions_by_hand(overlap: int) -> None:
    config = CompletingConfig(region="random", overlap=overlap, rec_weight=1.0, mirror=False)
    game = CompletingGame(config, Guess((16, 16)), None, (16, 16)).double()
    game.draws = Draws.seeded(0, dtype=double)
    x = torch.randn(4, 1, 16, 16, dtype=double).clamp(-1, 1)
    masks = game.masks(x)
    seen = torch.where(masks > 0, torch.tensor(2 * (117 + 104 + 123) / 3 / 255 - 1, dtype=double), x)
    squared = (0.5 * seen.mean((2, 3), keepdim=True) - x).square()
    found = game.generator_turn(Batch({"image": x})).terms
    torch.testing.assert_close(found["reconstruction"], (torch.where(masks > 0, 1.0, 10.0 if overlap else 1.0) * squared).mean())
    assert found.keys() == {"reconstruction"} and [turn.player for turn in game.play()] == ["generator"]


def test_patterns_are_smooth_and_the_same_in_pieces() -> None:
    whole = patterns(6, (32, 40), Draws.seeded(1))
    pieces = [patterns(3, (32, 40), Draws.seeded(1, piece=p, pieces=2)) for p in range(2)]
    assert torch.equal(whole, torch.cat(pieces))
    assert whole.unique().tolist() == [0, 1]
    edges = (whole.diff(dim=2) != 0).float().mean() + (whole.diff(dim=3) != 0).float().mean()
    assert edges < 0.25  # white noise that covers a quarter would have .75
    assert not torch.equal(whole[0], whole[1])


def test_published_networks() -> None:
    encoder = ContextEncoder(3, (128, 128), (64, 64))
    assert [m.out_channels for m in encoder.encoder if isinstance(m, nn.Conv2d)] == [64, 64, 128, 256, 512]
    ups = [m for m in encoder.decoder if isinstance(m, nn.ConvTranspose2d)]
    assert [m.in_channels for m in ups] == [512, 256, 128, 64]
    x = torch.zeros(2, 3, 128, 128)
    assert encoder(x).shape == (2, 3, 64, 64) and encoder.encode(x).shape == (2, 4000)
    whole = ContextEncoder(3, (128, 128), (128, 128), bottleneck=10)
    assert [m.in_channels for m in whole.decoder if isinstance(m, nn.ConvTranspose2d)] == [512, 256, 128, 64, 64]
    judge = ContextDiscriminator(3, (64, 64))
    assert [m.out_channels for m in judge.modules() if isinstance(m, nn.Conv2d)] == [64, 128, 256, 512, 1]
    paper: Any = find_recipe("context-encoder").preset("paper")
    assert (paper.rec_weight, paper.overlap, paper.overlap_weight, paper.bottleneck, paper.batch, paper.crop) == (0.999, 4, 10, 4000, 64, 128)
    assert (paper.optimizer.lr, paper.optimizer.beta1, paper.g_factor, paper.resolution) == (2e-4, 0.5, 10, 350)


def test_the_channelwise_layer_joins_no_channels() -> None:
    layer = ChannelwiseLinear(3, (4, 5), (2, 2)).double()
    x = torch.randn(2, 3, 4, 5, dtype=double)
    found = layer(x)
    wanted = torch.stack([x[:, c].flatten(1) @ layer.weight[c].T + layer.bias[c] for c in range(3)], 1)
    torch.testing.assert_close(found.flatten(2), wanted)
    assert sum(p.numel() for p in ChannelwiseLinear(512, (4, 4), (4, 4)).parameters()) == 512 * (16 * 16 + 16)
    assert ContextEncoder(1, (28, 28), (14, 14), 4, between="channelwise")(torch.zeros(2, 1, 28, 28)).shape == (2, 1, 14, 14)
    assert ContextEncoder(1, (36, 36), (18, 18), 4, between="channelwise")(torch.zeros(2, 1, 36, 36)).shape == (2, 1, 18, 18)


def test_alexnet() -> None:
    """6x6x256 of 227 pixels; the channel-wise layer has 36 x 36 weights a map; the decoder goes 6, 11, 21, 41, 81, 161."""
    network, sides = AlexContextEncoder(3, (227, 227)), list[int]()
    for module in network.decoder:
        if isinstance(module, nn.ConvTranspose2d):
            module.register_forward_hook(lambda module, given, made: sides.append(made.shape[2]))
    x = torch.zeros(1, 3, 227, 227)
    assert network(x).shape == x.shape and network.encode(x).shape == (1, 9216)
    assert sides == [11, 21, 41, 81, 161]
    assert network.code.weight.shape == (256, 36, 36)
    assert AlexContextEncoder.map_size((67, 67)) == (1, 1) and AlexContextEncoder.map_size((66, 66)) == (0, 0)
    assert sum(p.numel() for p in network.encoder.parameters()) == 2_334_080  # AlexNet's with two groups


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder, found = tmp_path_factory.mktemp("runs"), {}
    plan = Plan(steps=1, preview_every=1, score_every=1)
    for region, overlap in (("center", 1), ("random", 0)):
        settings: dict[str, Any] = {"resolution": 16, "width": 4, "d_width": 4, "batch": 4, "bottleneck": 8, "region": region, "overlap": overlap}
        found[region] = api.train("context-encoder", data="digits", device="cpu", out=folder / region, plan=plan, **settings).folder
    return found


def test_scores_and_codes(runs: dict[str, Path]) -> None:
    for run in runs.values():
        score = api.info(run)["last_score"]
        assert score["metric"] == "l2" and {"l1", "l2", "psnr"} <= score.keys()
        assert api.encode(run, "digits", num=3).shape == (3, 8)
        assert api.report(run).exists()  # of a game that draws no samples


def test_inpaint(runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    pixels, mask = rng.integers(0, 256, (24, 40), dtype=np.uint8), np.zeros((24, 40), np.uint8)
    mask[2:9, 30:39] = 255
    Image.fromarray(pixels).save(tmp_path / "x.png")
    Image.fromarray(mask).save(tmp_path / "mask.png")
    assert main(["inpaint", str(runs["random"]), str(tmp_path / "x.png"), str(tmp_path / "y.png"), "--mask", str(tmp_path / "mask.png")]) == 0
    with Image.open(tmp_path / "y.png") as picture:
        filled = np.asarray(picture)
    assert np.array_equal(filled[mask == 0], pixels[mask == 0])
    assert not np.array_equal(filled[mask > 0], pixels[mask > 0])
    (target,) = api.inpaint(runs["center"], tmp_path / "x.png", tmp_path / "z.png", sheet=True)
    with Image.open(target) as picture:
        assert picture.size == (2 * 40 + 2, 24)
    capsys.readouterr()
    Image.fromarray(mask[:20]).save(tmp_path / "small.png")
    Image.fromarray(0 * mask).save(tmp_path / "black.png")
    (tmp_path / "text.png").write_text("no image")
    for region, words, code, message in (
        ("random", ["--mask", "small.png"], 3, "small.png has 40x20 pixels"),
        ("random", ["--mask", "black.png"], 3, "has no white pixel"),
        ("random", ["--mask", "text.png"], 3, "cannot be read as an image"),
        ("random", ["--mask", "none.png"], 3, "There is no mask"),
        ("random", [], 2, "it must be told where: --mask FILE"),
        (
            "center",
            ["--mask", "mask.png"],
            2,
            "This run fills rows 8 to 15 and columns 12 to 27 of an image of 40x24 pixels; the mask reaches beyond",
        ),
    ):
        paths = [word if word.startswith("-") else str(tmp_path / word) for word in words]
        assert main(["inpaint", str(runs[region]), str(tmp_path / "x.png"), str(tmp_path / "y.png"), *paths]) == code
        assert message in capsys.readouterr().err


def test_what_is_refused(runs: dict[str, Path], tmp_path: Path) -> None:
    game, _ = api.load(runs["center"])
    assert isinstance(game, Completes)
    x = torch.zeros(1, 1, 16, 16)
    with pytest.raises(UsageError, match="fills rows 5 to 10 and columns 5 to 10 of its 16x16 pixels"):
        completed(game, x, torch.ones_like(x))
    settings: dict[str, Any] = {"device": "cpu", "out": tmp_path / "run", "plan": Plan(steps=1)}
    with pytest.raises(DataError, match="needs images of 16 pixels or more; 8x8 came"):
        api.train("context-encoder", data="digits", resolution=8, overlap=0, **settings)
    with pytest.raises(UsageError, match="no larger than an overlap of 4 on both sides"):
        api.train("context-encoder", data="digits", resolution=16, overlap=4, **settings)
    with pytest.raises(DataError, match="AlexNet predicts whole images of 67 pixels or more; 16x16 came"):
        api.train("context-encoder", data="digits", resolution=16, overlap=0, region="random", network="alexnet", **settings)
    with pytest.raises(UsageError, match="rec_weight must be a share"):
        CompletingConfig(rec_weight=1.2)
    plain = api.train("dcgan", data="digits", resolution=16, width=4, batch=4, **settings).folder
    with pytest.raises(UsageError, match="fills no holes"):
        api.inpaint(plain, tmp_path / "x.png", tmp_path / "y.png")
