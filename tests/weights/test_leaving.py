"""What leaves: exported files that make the run's samples, model folders of every kind of game; and what starts from them."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from saddlepoint import api
from saddlepoint.config import to_json
from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.records import DataSpec
from saddlepoint.draws import Draws
from saddlepoint.errors import CheckpointError, UsageError
from saddlepoint.evaluation.samples import draw_samples
from saddlepoint.games.game import Game
from saddlepoint.training.run import Run
from saddlepoint.verbs.starting import start_from
from saddlepoint.weights import hub
from saddlepoint.weights.exporting import portable
from saddlepoint.weights.importing import import_checkpoint
from saddlepoint.zoo.catalogue import find_recipe

FILES = Path(__file__).with_name("files")
SIZES = {"width": 8, "encoder_width": 8, "batch": 8, "latent_dim": 6, "code_dim": 4}
STYLE = {"width": 12, "channel_base": 128, "code_dim": 6, "latent_dim": 8, "mapping_layers": 2, "batch": 4}


def images(side: int = 32, n: int = 24) -> ArrayDataset:
    rng = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (n, 1, side, side), dtype=torch.uint8, generator=rng)
    fields = {"image": image, "label": torch.arange(n) % 3, "partner": image, "other": image, "caption": torch.randn(n, 5, generator=rng)}
    shapes = {"partner": image.shape[1:], "other": image.shape[1:], "caption": (5,)}
    about = DataSpec(name="noise|1", kind="image", shape=image.shape[1:], num_records=n, num_classes=3, fields=tuple(fields), shapes=shapes)
    return ArrayDataset(fields, about)


def sequences(n: int = 24) -> ArrayDataset:
    tokens = torch.randint(12, (n, 6), generator=torch.Generator().manual_seed(0))
    words = ("<end>", *(f"word{k}" for k in range(1, 12)))
    return ArrayDataset({"tokens": tokens}, DataSpec(name="x", kind="sequence", shape=(6,), num_records=n, fields=("tokens",), vocabulary=words))


def game_of(name: str, data: ArrayDataset) -> tuple[Any, dict[str, Any]]:
    """A small game, and what a run says of it."""
    entry = find_recipe(name)
    config = entry.preset("small")
    config = dataclasses.replace(config, **{field: size for field, size in SIZES.items() if isinstance(getattr(config, field, None), int)})
    torch.manual_seed(1)
    game = entry.game(config, entry.prepare(config, data) if entry.prepare else data)
    about = {"recipe": name, "title": "", "paper": "", "year": 1, "url": "", "preset": "small", "config": to_json(config), "data": to_json(data.spec)}
    return game.eval(), about | {"seed": 0, "batch": 8, "precision": "32-true", "versions": {}, "commit": None}


@pytest.mark.parametrize("name", ["progan", "stylegan", "wgan-gp-language", "dcgan"])
def test_what_would_be_exported_makes_the_samples_of_the_game(name: str) -> None:
    """While a network grows, its images are of the size that the card tells."""
    image = name != "wgan-gp-language"
    game, about = game_of(name, images() if image else sequences())
    network, x = portable(game, image=image), game.sample(3, Draws.seeded(0, "x"))
    draws = Draws.seeded(0, "x")
    labels = game.draw_labels(3, draws)
    z = game.latents(3, draws)
    with torch.no_grad():
        made = network(z) if labels is None else network(z, labels)
    assert made.shape[1:] == tuple(about["data"]["shape"])
    assert torch.equal(made, x.clamp(-1, 1) if image else x)


@pytest.mark.parametrize(
    ("name", "kind"), [("maligan-pixels", "BernoulliGame"), ("gan-cls", "CaptionGame"), ("vae", "VAEGame"), ("pix2pix", "Paired")]
)
def test_games_that_sample_in_another_way_are_refused(name: str, kind: str) -> None:
    with pytest.raises(UsageError, match=f"{kind}.* samples in another way. `--format hub` keeps a whole game"):
        portable(game_of(name, images())[0])


@pytest.mark.parametrize("name", ["gan-cls", "stargan", "pg-bleu", "vae", "pix2pix"])
def test_every_kind_of_game_comes_back_from_its_folder(name: str, tmp_path: Path) -> None:
    """Of the data its description is enough: captions, sentences and classes too."""
    game, about = game_of(name, sequences() if name == "pg-bleu" else images())
    folder = hub.write_folder(Run(tmp_path / "run", about), game, tmp_path / "model")
    import_checkpoint(folder, tmp_path / "again", "x")
    again = api.load(tmp_path / "again")[0]
    assert all(torch.equal(value, again.state_dict()[key]) for key, value in game.state_dict().items())
    if hasattr(game, "sample"):
        assert torch.equal(draw_samples(game, 4), draw_samples(again, 4))
    assert "| data | " in (folder / "README.md").read_text()
    assert "noise|1" not in (folder / "README.md").read_text()


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return api.import_weights(FILES / "nvidia.pkl", tmp_path_factory.mktemp("runs") / "nvidia").folder


def test_a_folder_that_was_tampered_with_is_refused(imported: Path, tmp_path: Path) -> None:
    folder = api.export(imported, format="hub", out=tmp_path / "model")
    card = (folder / "README.md").read_text()
    assert "| data | not here; shape 3 x 16 x 16 |" in card
    assert "| licence of the data | not known here" in card
    assert "| trained | elsewhere |" in card
    moved = Path(shutil.copytree(folder, tmp_path / "elsewhere"))
    api.import_weights(moved, tmp_path / "again")
    content = bytearray((moved / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (moved / "model.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"elsewhere is damaged: the SHA-256 of model\.safetensors is not the one in config\.json"):
        api.import_weights(moved, tmp_path / "third")
    assert hub.licence("emoji").startswith("Apache-2.0 (images")


def test_files_do_not_share_a_description(imported: Path, tmp_path: Path) -> None:
    api.export(imported, format="safetensors", out=tmp_path / "g.safetensors")
    api.export(imported, format="torch", out=tmp_path / "g.pt2", truncation=0.5)
    about = {name: json.loads((tmp_path / f"{name}.json").read_text()) for name in ("g.safetensors", "g.pt2")}
    assert [about[name]["truncation"] for name in about] == [None, 0.5]


def test_places_that_cannot_be_written(imported: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "g.safetensors").mkdir()
    for out, said in ((tmp_path / "g.safetensors", "is a folder"), (tmp_path / "file" / "g.safetensors", "one of the folders above it is a file")):
        with pytest.raises(UsageError, match=said):
            api.export(imported, format="safetensors", out=out)
    with pytest.raises(UsageError, match="one of the folders above it is a file"):
        api.export(imported, format="hub", out=tmp_path / "file" / "model")


def test_a_hub_that_is_not_reached(imported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the hub's package connects with raises: an error in words, an error without, an error that is none of its own."""
    package = hub.package()
    import httpx

    for error, said in (
        (httpx.ConnectError("no\nroute"), "no."),
        (OSError(), "OSError."),
        (package.errors.HFValidationError("bad name."), "bad name."),
    ):

        def fails(*_: Any, error: Exception = error, **__: Any) -> None:
            raise error

        monkeypatch.setattr(package, "snapshot_download", fails)
        with pytest.raises(UsageError, match=f"The hub did not give me/x: {said}$") as caught:
            api.import_weights("hf:me/x", tmp_path / "x")
        assert "\n" not in str(caught.value)


# -- what starts from them ---------------------------------------------------------------------------------------------------------------------------


def style_game(side: int = 16, **changes: Any) -> Game:
    entry, rng = find_recipe("stylegan2"), np.random.default_rng(0)
    values = torch.from_numpy(rng.integers(0, 256, (12, 3, side, side), dtype=np.uint8))
    spec = DataSpec(name="x", kind="image", shape=(3, side, side), num_records=12, num_classes=3, fields=("image", "label"))
    data = ArrayDataset({"image": values, "label": torch.arange(12) % 3}, spec)
    return entry.game(dataclasses.replace(entry.preset("small"), **STYLE | {"conditional": True} | changes), data)


@pytest.mark.parametrize("source", ["file", "run", "folder"])
def test_a_file_of_another_code_is_started_from(source: str, imported: Path, tmp_path: Path) -> None:
    place = {"file": FILES / "nvidia.pkl", "run": imported}.get(source) or api.export(imported, format="hub", out=tmp_path / "model")
    game = style_game()
    report = start_from(game, place)
    weights = api.load(imported)[0].state_dict()
    assert all(torch.equal(weights[name], value) for name, value in game.named_parameters())
    assert not report.reshaped
    assert all(name.startswith(("terms.", "objective.")) for name in report.missing)
    again = start_from(style_game(), place, expected=report.sha256)
    assert again.loaded == report.loaded
    if source == "folder":
        with pytest.raises(CheckpointError, match="no longer what this run started from"):
            start_from(style_game(), place, expected="0" * 64)


def test_networks_that_a_file_does_not_hold_are_not_said_to_come_from_it() -> None:
    entry = find_recipe("biggan")
    config = dataclasses.replace(entry.preset("small"), width=2, latent_dim=8, shared_dim=5, attention=(16,), batch=4, standing_passes=0)
    spec = DataSpec(name="x", kind="image", shape=(3, 32, 32), num_records=6, num_classes=3, fields=("image", "label"))
    data = ArrayDataset({"image": torch.zeros(6, 3, 32, 32, dtype=torch.uint8), "label": torch.arange(6) % 3}, spec)
    report = start_from(entry.game(config, data), FILES / "biggan.pth")
    assert all(name.startswith("generator") for name in report.loaded)
    assert all(name.startswith("discriminator.") for name in report.missing)


def test_a_larger_game_keeps_its_size(imported: Path) -> None:
    """The lower levels come from a network of half the size; how far that had grown does not."""
    game: Any = style_game(32)
    report = start_from(game, imported)
    assert game.sample(2, Draws.seeded(0, "x")).shape == (2, 3, 32, 32)
    assert "generator.levels.1.convs.0.weight" in report.loaded
    assert not any(name.endswith(".level") for name in report.loaded + report.missing + report.unused)


def test_other_sizes_are_told_as_flags(imported: Path) -> None:
    report = start_from(style_game(code_dim=5, conditional=False), imported)
    assert report.sentence().endswith("Its own sizes: --code-dim 6 --conditional.")
    assert "advice" not in report.about()
