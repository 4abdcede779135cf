"""StarGAN: its losses by hand, the mask of two data sets, domains set by name."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from saddlepoint import api
from saddlepoint.cli.main import main
from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.records import Batch, DataSpec
from saddlepoint.data.sources import open_data
from saddlepoint.draws import Draws
from saddlepoint.errors import DataError, UsageError
from saddlepoint.games.domains import Domains
from saddlepoint.games.stargan import StarGANConfig, StarGANGame
from saddlepoint.networks.base import Judgement
from saddlepoint.networks.stargan import StarGANDiscriminator, StarGANGenerator
from saddlepoint.training.plan import Plan
from saddlepoint.verbs.translating import translated
from saddlepoint.zoo.catalogue import find_recipe

double = torch.float64


class Shifting(nn.Module):
    """a x + the sum of b_k c_k."""

    multiple = 4

    def __init__(self, k: int) -> None:
        super().__init__()
        self.a, self.b = nn.Parameter(torch.tensor(0.7, dtype=double)), nn.Parameter(torch.linspace(-0.3, 0.4, k, dtype=double))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        return self.a * x + (condition * self.b).sum(1)[:, None, None, None]


class Opinion(nn.Module):
    """A pixel a patch, s x^2; domain logits from the mean."""

    size = (4, 4)

    def __init__(self, k: int) -> None:
        super().__init__()
        self.s, self.t = nn.Parameter(torch.tensor(0.2, dtype=double)), nn.Parameter(torch.linspace(-1, 1, k, dtype=double))

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Judgement:
        return Judgement(self.s * x.square(), None, x.mean((1, 2, 3))[:, None] * self.t)


def game_of(domains: list[Domains], config: StarGANConfig | None = None) -> StarGANGame:
    k = sum(len(each.names) for each in domains)
    config = config or StarGANConfig(mirror=False)
    game = StarGANGame(config, Shifting(k + (2 if len(domains) == 2 else 0)), Opinion(k), domains).double()
    game.draws = Draws.seeded(0, dtype=double)
    return game


@pytest.mark.parametrize("exclusive", [True, False])
def test_losses_by_hand(exclusive: bool) -> None:
    x, n, k = torch.randn(5, 1, 4, 4, dtype=double), 5, 3
    labels, attributes = torch.arange(5) % 3, torch.randint(0, 2, (5, 3)).double()
    known = nn.functional.one_hot(labels, k).double() if exclusive else attributes
    wanted = torch.tensor([[0.0, 1, 0]]).double()  # a table of one row: what is drawn is known
    source = "label" if exclusive else "attributes"
    game = game_of([Domains(("a", "b", "c"), wanted, exclusive=exclusive, source=source)])
    batch = Batch({"image": x, "label": labels, "attributes": attributes})

    def classes(images: Tensor, c: Tensor) -> Tensor:
        logits = images.mean((1, 2, 3))[:, None] * torch.linspace(-1, 1, k, dtype=double)
        if exclusive:
            return -(logits.log_softmax(1) * c).sum(1).mean()
        return -(c * logits.sigmoid().log() + (1 - c) * (-logits).sigmoid().log()).sum() / n

    def translated(images: Tensor, c: Tensor) -> Tensor:
        return 0.7 * images + (c * torch.linspace(-0.3, 0.4, k, dtype=double)).sum(1)[:, None, None, None]

    fake = translated(x, wanted.expand(n, k))
    u = Draws.seeded(0, dtype=double)
    u.integers(n, high=1)
    between = torch.lerp(fake, x, u.uniform(n)[:, None, None, None])
    slope = (0.4 * between).flatten(1).norm(dim=1)  # of the sum over the patches
    loss = game.discriminator_turn(batch).terms
    torch.testing.assert_close(loss["adversarial"], (0.2 * fake**2 - 0.2 * x**2).mean())
    torch.testing.assert_close(loss["gradient_penalty"], 10 * (slope - 1).square().mean())
    torch.testing.assert_close(loss["classes"], classes(x, known))
    loss = game.generator_turn(batch).terms
    torch.testing.assert_close(loss["adversarial"], -(0.2 * fake**2).mean())
    torch.testing.assert_close(loss["classes"], classes(fake, wanted.expand(n, k)))
    torch.testing.assert_close(loss["cycle"], 10 * (x - translated(fake, known)).abs().mean())


def test_two_data_sets_have_a_mask() -> None:
    """Eq. 7: the other set's labels are zeros, and the loss of a set looks at its own logits."""
    one = Domains(("black", "young"), torch.eye(2), exclusive=False, source="attributes")
    two = Domains(("happy", "sad", "angry"), torch.eye(3), exclusive=True, image="other", source="other_label")
    game = game_of([one, two])
    c = torch.tensor([[1.0, 0.0]], dtype=double)
    assert game.condition(c, 0).tolist() == [[1, 0, 0, 0, 0, 1, 0]]
    d = torch.tensor([[0.0, 0, 1]], dtype=double)
    assert game.condition(d, 1).tolist() == [[0, 0, 0, 0, 1, 0, 1]]
    assert game.condition(d, 1, mask=0).tolist() == [[0, 0, 0, 0, 1, 1, 0]]
    x, other = torch.randn(2, 3, 1, 4, 4, dtype=double)
    batch = Batch({"image": x, "other": other, "attributes": torch.tensor([[1.0, 0]] * 3), "other_label": torch.tensor([0, 1, 2])})
    logits = other.mean((1, 2, 3))[:, None] * torch.linspace(-1, 1, 5, dtype=double)[2:]
    found = game.other_discriminator_turn(batch).terms["classes"]
    torch.testing.assert_close(found, nn.functional.cross_entropy(logits, torch.tensor([0, 1, 2])))
    assert [turn.name for turn in game.play()][-4:] == ["discriminator_turn", "generator_turn", "other_discriminator_turn", "other_generator_turn"]


def test_attributes_set_by_name() -> None:
    domains = Domains(("hat", "beard"), torch.eye(2), exclusive=False, source="attributes")
    game = game_of([domains])
    x = torch.tensor([-1.0, 1.0], dtype=double)[:, None, None, None].expand(2, 1, 4, 4)  # D sees: hat, no beard; no hat, beard
    with torch.no_grad():
        found = game.translate(x, set={"beard": True})[:, 0, 0, 0]
    torch.testing.assert_close(found, torch.tensor([-0.7 - 0.3 + 0.4, 0.7 + 0.4], dtype=double))
    with pytest.raises(UsageError, match=r"This run knows no 'bear'. Nearest: beard"):
        game.translate(x, set={"bear": True})
    with pytest.raises(UsageError, match="it knows no back"):
        game.translate(x, back=True)
    classes = game_of([Domains(("happy", "sad"), torch.eye(2), exclusive=True)])
    with pytest.raises(UsageError, match="exactly one can be set on, 2 came"):
        classes.translate(x, set={"happy": True, "sad": True})
    assert classes.domains[0].changed(torch.tensor([[1.0, 0.0]]), {"sad": True}).tolist() == [[0, 1]]  # type: ignore[operator]


def test_pieces_of_an_image_are_told_the_same() -> None:
    game = game_of([Domains(("hat", "beard"), torch.eye(2), exclusive=False, source="attributes")])
    x = torch.full((1, 1, 40, 300), -0.2, dtype=double)
    x[..., 200:] = 0.3  # D sees a hat on the left and a beard on the right; in the whole, a hat
    told: list[Tensor] = []
    game.generator.register_forward_hook(lambda module, given, made: told.append(given[1]))
    translated(game, x, {"set": {"beard": False}}, tile=136)
    assert len(told) == 4
    assert all(condition.tolist() == [[1, 0]] for condition in told)


def test_published_networks() -> None:
    """53.2 million parameters, as in Table 2 of the paper (8 domains of 128 pixels); D sees 2x2 patches."""
    generator, discriminator = StarGANGenerator(3, 8), StarGANDiscriminator(3, 8, (128, 128))
    count = sum(p.numel() for network in (generator, discriminator) for p in network.parameters())
    assert round(count / 1e6, 1) == 53.2
    judged = discriminator(torch.zeros(1, 3, 128, 128))
    assert judged.logits.shape == (1, 1, 2, 2)
    assert judged.class_logits is not None and judged.class_logits.shape == (1, 8)
    paper: Any = find_recipe("stargan").preset("paper")
    assert (paper.batch, paper.d_steps, paper.rounds * paper.d_steps, paper.blocks) == (16, 5, 200_000, 6)
    assert (paper.cls_weight, paper.cycle_weight, paper.gp_weight, paper.optimizer.lr, paper.decay_from) == (1, 10, 10, 1e-4, 0.5)


def records(n: int = 12) -> ArrayDataset:
    rng = torch.Generator().manual_seed(0)
    image, other = torch.randint(0, 256, (2, n, 3, 16, 16), dtype=torch.uint8, generator=rng)
    attributes = torch.randint(0, 2, (n, 3), generator=rng).float()
    fields = {"image": image, "other": other, "attributes": attributes, "other_label": torch.arange(n) % 4}
    shapes = {"other": (3, 16, 16), "attributes": (3,), "other_label": ()}
    spec = DataSpec(name="two", kind="image", shape=(3, 16, 16), num_records=n, fields=tuple(fields), shapes=shapes)
    return ArrayDataset(fields, spec, attribute_names=("hat", "beard", "smile"), other_names=("north", "east", "south", "west"))


def test_two_data_sets_are_played(make: Any, play: Any) -> None:
    game, config, data = make("stargan", "small", records(), width=4, d_width=4, batch=4, resolution=16, attributes=("smile", "hat"))
    assert game.settable == ("smile", "hat", "north", "east", "south", "west")
    assert torch.equal(game.domains[0].table, data.column("attributes")[:, [2, 0]])
    calls = 0

    def counted(*arguments: Any) -> None:
        nonlocal calls
        calls += 1

    game.generator.register_forward_hook(counted)
    with play(game, config, data) as playing:
        playing.rounds(1)
        assert calls == 2 * (config.d_steps + 1)  # the last fakes of D are G's; one way back
        assert len(playing.log) == 2 * (config.d_steps + 1)
    game.eval()
    x = torch.zeros(2, 3, 20, 24)
    assert game.translate(x, set={"west": True}).shape == x.shape  # another size than that of training
    with pytest.raises(UsageError, match="of two data sets"):
        game.translate(x, set={"west": True, "hat": True})
    assert game.show(Batch(data.records(torch.arange(2)) | {"image": x[:, :, :16, :16], "other": x[:, :, :16, :16]}), Draws()).shape[1] == 2 + 2 + 4
    with pytest.raises(UsageError, match=r"two has no attribute 'hut'.*hat"):
        make("stargan", "small", data, attributes=("hut",))


def test_labelled_domains_are_opened(tmp_path: Path) -> None:
    for side, names in (("A", ("cat", "dog")), ("B", ("red", "green", "blue"))):
        for k, name in enumerate(names):
            (tmp_path / side / name).mkdir(parents=True)
            for i in range(2):
                Image.new("RGB", (16, 16), (80 * k, 40 * i, 0)).save(tmp_path / side / name / f"{i}.png")
    data = open_data(f"domains:{tmp_path}")
    assert data.spec.fields == ("image", "other", "label", "other_label")
    assert (data.spec.class_names, data.other_names, data.spec.num_records) == (("cat", "dog"), ("blue", "green", "red"), 6)
    row = data.records(torch.arange(6))
    wanted = torch.tensor([0, 80, 160])[torch.tensor([2, 1, 0])]  # folders in the order of their names: blue, green, red
    assert torch.equal(row["other"][:, 0, 0, 0].long(), wanted[row["other_label"]])


def test_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings: dict[str, Any] = {"resolution": 16, "width": 4, "d_width": 4, "batch": 4, "plan": Plan(steps=1, preview_every=1, score_every=1)}
    run = api.train("stargan", data="digits", device="cpu", out=tmp_path / "run", **settings).folder
    assert api.info(run)["last_score"]["metric"] == "missed"
    Image.new("L", (23, 18), 90).save(tmp_path / "x.png")
    given = ["translate", str(run), str(tmp_path / "x.png"), str(tmp_path / "y.png")]
    assert main([*given, "--set", "3=on"]) == 0
    with Image.open(tmp_path / "y.png") as picture:
        assert picture.size == (23, 18)
    capsys.readouterr()
    for words, message in (
        ([], "say which are wanted: --set 0=on"),
        (["--set", "3"], "--set takes NAME=on or NAME=off; '3' came"),
        (["--set", "glasses=on"], "This run knows no 'glasses'"),
    ):
        assert main([*given, *words]) == 2
        assert message in capsys.readouterr().err
    with pytest.raises(DataError, match="stargan needs labels as domains"):
        api.train("stargan", data="emoji-grey", device="cpu", out=tmp_path / "other", **settings)


@pytest.mark.parametrize("sides", [1, 2])
def test_a_run_on_attributes_translates_without_its_data(sides: int, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "two")[:sides]]
    for folder, attributes in zip(folders, ("glasses,hat", "beard,long-hair"), strict=False):
        folder.mkdir()
        lines = [f"{number}.png,{number % 2},{number // 2 % 2}" for number in range(6)]
        (folder / "metadata.csv").write_text("\n".join([f"file_name,{attributes}", *lines]) + "\n")
        for number in range(6):
            Image.new("RGB", (16, 16), (40 * number, 9, 90)).save(folder / f"{number}.png")
    face, run = tmp_path / "face.png", str(tmp_path / "run")
    Image.new("RGB", (16, 16), (200, 90, 90)).save(face)
    data = str(folders[0]) if sides == 1 else f"domains:{folders[0]}+{folders[1]}"
    small = ["--preset", "small", "--resolution", "16", "--width", "4", "--blocks", "1", "--d-width", "4", "--batch", "2", "--steps", "1"]
    assert main(["train", "stargan", "--data", data, "--out", run, *small]) == 0
    wanted = ["--set", "hat=on" if sides == 1 else "beard=on"]
    assert main(["translate", run, str(face), str(tmp_path / "a.png"), *wanted]) == 0
    for folder in folders:
        shutil.rmtree(folder)
    assert main(["translate", run, str(face), str(tmp_path / "b.png"), *wanted]) == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
