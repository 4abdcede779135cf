"""pix2pix and CycleGAN: their losses by hand, the pool, and the verb that translates."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
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
from saddlepoint.games.cycle import CycleConfig, CycleGame
from saddlepoint.games.game import Game, Measures, Shows
from saddlepoint.games.pool import ImagePool
from saddlepoint.games.translating import PairedConfig, PairedTranslation, Translates, jitter
from saddlepoint.networks.base import Judgement
from saddlepoint.training.plan import Plan
from saddlepoint.verbs.translating import translated
from saddlepoint.zoo.catalogue import find_recipe

STILL: dict[str, Any] = {"jitter": 1.0, "mirror": False}
double = torch.float64


class Affine(nn.Module):
    """a x + b as a translator."""

    multiple = 4

    def __init__(self, a: float, b: float) -> None:
        super().__init__()
        self.a, self.b = nn.Parameter(torch.tensor(a, dtype=double)), nn.Parameter(torch.tensor(b, dtype=double))

    def forward(self, x: Tensor) -> Tensor:
        return self.a * x + self.b


class Weighing(nn.Module):
    """Logits a x_0 + b x_last, a pixel a patch."""

    def __init__(self, a: float, b: float) -> None:
        super().__init__()
        self.a, self.b = nn.Parameter(torch.tensor(a, dtype=double)), nn.Parameter(torch.tensor(b, dtype=double))

    def forward(self, x: Tensor) -> Judgement:
        return Judgement(self.a * x[:, :1] + self.b * x[:, -1:])


def ready(game: Any) -> Any:
    game.double().draws = Draws.seeded(0, dtype=double)
    return game


@pytest.mark.parametrize("adversary", ["pair", "image", "none"])
def test_pix2pix_by_hand(adversary: Any) -> None:
    x, y = torch.randn(2, 3, 1, 4, 4, dtype=double)
    judge = None if adversary == "none" else Weighing(0.5, -0.7)
    game = ready(PairedTranslation(PairedConfig(adversary=adversary, **STILL), Affine(0.3, 0.1), judge))  # type: ignore[arg-type]
    batch = Batch({"image": x, "partner": y})
    fake = 0.3 * x + 0.1
    given = x if adversary == "pair" else None
    sigmoid = {name: torch.sigmoid(0.5 * (z if given is None else given) - 0.7 * z) for name, z in (("real", y), ("fake", fake))}
    by_hand = {"l1": 100 * (y - fake).abs().mean()}
    if adversary != "none":
        d_loss = game.discriminator_turn(batch).terms["adversarial"]
        torch.testing.assert_close(d_loss, (-sigmoid["real"].log() - (1 - sigmoid["fake"]).log()).mean() / 2)
        by_hand["adversarial"] = -sigmoid["fake"].log().mean()
    found = game.generator_turn(batch).terms
    assert found.keys() == by_hand.keys()
    for name in found:
        torch.testing.assert_close(found[name], by_hand[name])


def test_cyclegan_by_hand() -> None:
    x, y = torch.randn(2, 3, 1, 4, 4, dtype=double)
    config = CycleConfig(identity_weight=0.5, **STILL)
    judges = Weighing(0.2, 0.3), Weighing(-0.4, 0.1)
    game = ready(CycleGame(config, (Affine(0.3, 0.1), Affine(2.0, -0.5)), judges, ((1, 4, 4), (1, 4, 4))))
    batch = Batch({"image": x, "other": y})
    g, f = (lambda t: 0.3 * t + 0.1), (lambda t: 2.0 * t - 0.5)
    judge_x, judge_y = (lambda t: 0.5 * t), (lambda t: -0.3 * t)
    by_hand = {
        "adversarial_y": (judge_y(g(x)) - 1).square().mean(),
        "adversarial_x": (judge_x(f(y)) - 1).square().mean(),
        "cycle_x": 10 * (f(g(x)) - x).abs().mean(),
        "cycle_y": 10 * (g(f(y)) - y).abs().mean(),
        "identity": 5 * ((g(y) - y).abs().mean() + (f(x) - x).abs().mean()),
    }
    found = game.generator_turn(batch).terms
    assert found.keys() == by_hand.keys()
    for name in found:
        torch.testing.assert_close(found[name], by_hand[name])
    found = game.discriminator_turn(batch).terms  # the pool is empty: it shows what it is given
    torch.testing.assert_close(found["adversarial_x"], ((judge_x(x) - 1).square() + judge_x(f(y)).square()).mean() / 2)
    torch.testing.assert_close(found["adversarial_y"], ((judge_y(y) - 1).square() + judge_y(g(x)).square()).mean() / 2)
    assert game.pool_x.filled == game.pool_y.filled == 3
    torch.testing.assert_close(game.pool_y.images[:3], g(x))


def one_after_the_other(pool: list[Tensor], size: int, x: Tensor, swaps: Tensor, slots: Tensor) -> list[Tensor]:
    """The pool as the papers' codes have it."""
    shown = []
    for image, swap, slot in zip(x, swaps.tolist(), slots.tolist(), strict=True):
        if len(pool) < size:
            pool.append(image)
            shown.append(image)
        elif swap:
            shown.append(pool[slot])
            pool[slot] = image
        else:
            shown.append(image)
    return shown


@pytest.mark.parametrize("pieces", [1, 2])
def test_the_pool_works_row_after_row(pieces: int) -> None:
    size, n = 5, 8
    pool, by_hand = ImagePool(size, (1, 1, 1)), list[Tensor]()
    for step in range(30):
        x = torch.arange(n).float().view(n, 1, 1, 1) + 100 * step
        draws = Draws.seeded(step)
        swaps, slots = draws.uniform(n) < 0.5, draws.integers(n, high=size)
        wanted = one_after_the_other(by_hand, size, x, swaps, slots)
        rows = n // pieces
        shown = [pool(x[rows * p : rows * (p + 1)], Draws.seeded(step, piece=p, pieces=pieces)) for p in range(pieces)]
        assert torch.equal(torch.cat(shown), torch.stack(wanted))
        assert torch.equal(pool.images, torch.stack(by_hand))
    assert torch.equal(ImagePool(0, (1, 1, 1))(x, Draws()), x)
    assert {"images", "filled"} == pool.state_dict().keys()


def test_jitter_crops_and_mirrors() -> None:
    x = torch.randn(6, 2, 8, 8, dtype=double).clamp(-1, 1)
    places = torch.tensor([[0.0, 0.0, 0.9], [0.0, 0.0, 0.1], [0.99, 0.99, 0.9], [0.5, 0.0, 0.9], [0.0, 0.5, 0.9], [0.0, 0.0, 0.9]], dtype=double)
    big = torch.nn.functional.interpolate(x, (12, 12), mode="bicubic").clamp(-1, 1)
    found = jitter(x, places, 1.5, mirror=True)
    assert torch.equal(found[0], big[0, :, :8, :8])
    assert torch.equal(found[1], big[1, :, :8, :8].flip(2))
    assert torch.equal(found[2], big[2, :, 4:, 4:])
    assert torch.equal(found[3], big[3, :, 2:10, :8])
    assert torch.equal(found[4], big[4, :, :8, 2:10])
    assert torch.equal(jitter(x, places, 1.0, mirror=False), x)


def test_the_fakes_of_a_round_are_made_once(make: Any, play: Any, images: Any) -> None:
    pixels = images(c=1, size=16, n=8)
    fields = {"image": pixels.column("image"), "partner": pixels.column("image"), "other": pixels.column("image")}
    shapes = {"partner": (1, 16, 16), "other": (1, 16, 16)}
    data = type(pixels)(fields, type(pixels.spec)(name="p", kind="image", shape=(1, 16, 16), num_records=8, fields=tuple(fields), shapes=shapes))
    for name, network, calls in (("pix2pix", "generator", 1), ("cyclegan", "to_y", 2)):  # CycleGAN: a translation, and the way back of a cycle
        game, config, data = make(name, "small", data, width=4, d_width=4, batch=2, resolution=16, patch=16)
        count = 0

        def counted(*arguments: Any) -> None:
            nonlocal count
            count += 1

        getattr(game, network).register_forward_hook(counted)
        with play(game, config, data) as playing:
            playing.rounds(1)
        assert count == calls
        assert isinstance(game, Translates) and isinstance(game, Shows) and isinstance(game, Measures)


def test_the_papers_constants() -> None:
    one, two = find_recipe("pix2pix").preset("paper"), find_recipe("cyclegan").preset("paper")
    assert isinstance(one, PairedConfig) and isinstance(two, CycleConfig)
    assert (one.l1_weight, one.batch, one.patch, one.norm, one.resolution, one.jitter) == (100, 1, 70, "batch", 256, 286 / 256)
    assert (two.cycle_weight, two.blocks, two.pool, two.batch, two.patch, two.norm) == (10, 9, 50, 1, 70, "instance")
    for config in (one, two):
        assert (config.optimizer.lr, config.decay_from, config.width, config.d_width) == (2e-4, 0.5, 64, 64)
    assert find_recipe("cyclegan").preset("paper-128").blocks == 6  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match="nothing to learn"):
        PairedConfig(adversary="none", l1_weight=0.0)
    with pytest.raises(UsageError, match="nothing to learn"):
        CycleConfig(adversarial=False, cycle="none")


def test_data_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"device": "cpu", "out": tmp_path / "run", "plan": Plan(steps=1)}
    with pytest.raises(DataError, match=r"pix2pix needs two images a record; digits has image, label.*pairs:"):
        api.train("pix2pix", data="digits", **settings)
    with pytest.raises(DataError, match=r"cyclegan needs two images a record; digits has image, label.*domains:"):
        api.train("cyclegan", data="digits", **settings)


class Shifted:
    """Brighter by a half; takes multiples of 8 only."""

    multiple = 8

    def translate(self, x: Tensor, **targets: Any) -> Tensor:
        assert not any(side % 8 for side in x.shape[2:])
        assert max(x.shape[2:]) <= 136
        return x.expand(-1, 3, -1, -1) + 0.5


@pytest.mark.parametrize("size", [(8, 8), (3, 5), (2, 41), (136, 130), (137, 300), (400, 20)])
def test_any_size_is_translated(size: tuple[int, int]) -> None:
    x = torch.rand(1, 1, *size, dtype=double) - 1
    torch.testing.assert_close(translated(Shifted(), x, {}, tile=136), (x + 0.5).expand(-1, 3, -1, -1))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    found = {}
    for recipe, data in (("pix2pix", "emoji-grey"), ("cyclegan", "digits-tinted")):
        plan = Plan(steps=2, preview_every=2, score_every=2)
        settings: dict[str, Any] = {"resolution": 16, "width": 4, "d_width": 4, "batch": 2, "patch": 16, "plan": plan}
        found[recipe] = api.train(recipe, data=data, device="cpu", out=folder / recipe, **settings).folder
    return found


def test_previews_and_scores(runs: dict[str, Path]) -> None:
    for recipe, metric in (("pix2pix", "error"), ("cyclegan", "cycle_error")):
        score = api.info(runs[recipe])["last_score"]
        assert score["metric"] == metric
        assert score[metric] > 0
        assert (runs[recipe] / "samples" / "round-00000002.png").exists()


def test_translate_files_folders_and_the_standard_input(
    runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "in"
    (source / "deep").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name, size in (("a.png", (21, 34)), ("deep/b.png", (5, 7)), ("deep/b.jpg", (40, 16))):
        Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(source / name)
    assert main(["translate", str(runs["pix2pix"]), str(source), str(tmp_path / "out")]) == 0
    assert len(capsys.readouterr().out.split()) == 3
    for name, size in (("a.png", (34, 21)), ("deep/b.png.png", (7, 5)), ("deep/b.jpg.png", (16, 40))):
        with Image.open(tmp_path / "out" / name) as picture:
            assert (picture.size, picture.mode) == (size, "RGB")
    (target,) = api.translate(runs["cyclegan"], source / "a.png", tmp_path / "sheet.webp", targets={"back": True}, sheet=True)
    with Image.open(target) as picture:
        assert picture.size == (2 * 34 + 2, 21)
    monkeypatch.setattr("sys.stdin", type("Stdin", (), {"buffer": io.BytesIO((source / "a.png").read_bytes())}))
    assert main(["translate", str(runs["cyclegan"]), "-", str(tmp_path / "one.png")]) == 0
    first, again = ((tmp_path / "one.png").read_bytes(), api.translate(runs["cyclegan"], source / "a.png", tmp_path / "two.png")[0].read_bytes())
    assert first == again


def test_errors_say_what_to_do(runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = tmp_path / "bad.png"
    bad.write_text("no image")
    good = tmp_path / "good.png"
    Image.new("RGB", (20, 20)).save(good)
    for arguments, error, words in (
        ((bad, tmp_path / "out"), DataError, r"bad\.png cannot be read as an image"),
        ((tmp_path / "nothing", tmp_path / "out"), DataError, "There is no file or folder"),
        ((tmp_path, tmp_path / "out.png"), UsageError, "is a folder, so its translations go into a folder"),
        ((good, tmp_path / "out.txt"), UsageError, r"written as \.png"),
    ):
        with pytest.raises(error, match=words):
            api.translate(runs["cyclegan"], *arguments)
    with pytest.raises(UsageError, match="pix2pix translates one way only; it knows no back"):
        api.translate(runs["pix2pix"], good, tmp_path / "out", targets={"back": True})
    with pytest.raises(UsageError, match="Pieces need 128 pixels or more; tile is 64"):
        api.translate(runs["cyclegan"], good, tmp_path / "out", tile=64)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no images"):
        api.translate(runs["cyclegan"], tmp_path / "empty", tmp_path / "out")
    monkeypatch.setattr("saddlepoint.verbs.translating.load", lambda run, checkpoint: (Game(), SimpleNamespace(about={"recipe": "dcgan"})))
    with pytest.raises(UsageError, match="A run of dcgan makes no image of another"):
        api.translate(runs["pix2pix"], good, tmp_path / "out")
