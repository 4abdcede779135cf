"""Exported generators are run by the programs they are for; model folders come back as they went."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors import safe_open

from saddlepoint import api
from saddlepoint.cli.main import main
from saddlepoint.errors import CheckpointError, UsageError
from saddlepoint.weights import hub
from saddlepoint.weights.exporting import ENDINGS, portable

FILES = Path(__file__).with_name("files")
FOREIGN = {"nvidia": "nvidia.pkl", "rosinality": "rosinality.pt", "biggan": "biggan.pth", "progan": "progan.pt", "r3gan": "r3gan.pkl"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory):
    """A function that makes a run, once: imported, or trained for two rounds."""
    made = {}

    def run(name: str) -> Path:
        if name not in made:
            out = tmp_path_factory.mktemp("runs") / name
            if name in FOREIGN:
                api.import_weights(FILES / FOREIGN[name], out)
            elif name == "toy":
                api.train("wgan", data="ring8", out=out, steps=2, width=8, batch=8)
            else:
                api.train(name, data="digits", out=out, steps=2, width=8, batch=8)
            made[name] = out
        return made[name]

    return run


def inputs(game, n: int) -> list[torch.Tensor]:
    z = torch.randn(n, game.config.latent_dim, generator=torch.Generator().manual_seed(n))
    return [z] if game.num_classes is None else [z, torch.arange(n) % game.num_classes]


def by_onnx(file: Path, given: list[torch.Tensor]) -> torch.Tensor:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    assert [entry.name for entry in session.get_inputs()] == ["z", "labels"][: len(given)]
    feeds = {entry.name: value.numpy() for entry, value in zip(session.get_inputs(), given, strict=True)}
    return torch.from_numpy(session.run(None, feeds)[0])


def check(run: Path, format: str, tmp_path: Path, truncation: float | None = None) -> None:
    file = api.export(run, format=format, out=tmp_path / f"g{ENDINGS[format]}", truncation=truncation)
    game, opened = api.load(run)
    network = portable(game, truncation, image=opened.about["data"]["kind"] == "image")
    for n in (1, 5):
        given = inputs(game, n)
        with torch.no_grad():
            expected = network(*given)
        found = torch.export.load(file).module()(*given) if format == "torch" else by_onnx(file, given)
        assert found.shape == expected.shape
        assert (found - expected).abs().max() < 1e-4
    about = json.loads(file.with_name(f"{file.name}.json").read_text())
    assert about["inputs"]["z"]["shape"] == ["n", game.config.latent_dim]
    assert about["output"]["shape"][1:] == list(expected.shape[1:])


@pytest.mark.parametrize(("name", "format"), [("toy", "onnx"), ("toy", "torch")])
def test_exported_files_make_the_same_samples(name, format, runs, tmp_path):
    check(runs(name), format, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("format", ["onnx", "torch"])
@pytest.mark.parametrize("name", [*FOREIGN, "dcgan", "sngan", "wgan-gp"])
def test_every_family_exports(name, format, runs, tmp_path):
    check(runs(name), format, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("format", ["onnx", "torch"])
def test_truncation_is_fixed_in_the_file(format, runs, tmp_path):
    check(runs("nvidia"), format, tmp_path, truncation=0.5)


@pytest.mark.slow
def test_a_torch_file_runs_without_this_package(runs, tmp_path):
    file = api.export(runs("dcgan"), format="torch", out=tmp_path / "g.pt2")
    code = (
        f"import sys, torch; x = torch.export.load({str(file)!r}).module()(torch.zeros(3, 100)); print(tuple(x.shape), 'saddlepoint' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout == "(3, 1, 32, 32) False\n", done.stderr


def test_weights_by_name_come_back(runs, tmp_path):
    file = api.export(runs("dcgan"), format="safetensors")
    assert file == runs("dcgan") / "exports" / "generator.safetensors"
    with safe_open(file, "pt") as content:
        assert json.loads(content.metadata()["saddlepoint"])["recipe"] == "dcgan"
    again = api.import_weights(file, tmp_path / "again").folder
    assert torch.equal(api.sample(again, num=4), api.sample(runs("dcgan"), num=4))
    file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(CheckpointError, match="is damaged"):
        api.import_weights(file, tmp_path / "third")


def test_what_cannot_be_exported_is_refused(runs, tmp_path, monkeypatch):
    run = runs("dcgan")
    for given, said in (
        ({"format": "onnx", "out": tmp_path / "g.pt2"}, r"written to a file that ends with \.onnx"),
        ({"format": "torch", "truncation": 0.5}, "is truncated by its latents"),
        ({"format": "safetensors", "push": "a/b"}, "Only --format hub is pushed"),
        ({"format": "hub", "truncation": 0.5}, "weights, which have no truncation"),
    ):
        with pytest.raises(UsageError, match=said):
            api.export(run, **given)
    with pytest.raises(UsageError, match="Weights alone have no truncation"):
        api.export(runs("nvidia"), format="safetensors", truncation=0.5)
    with pytest.raises(UsageError, match="Only one generator of latents and classes can be exported"):
        portable(SimpleNamespace())
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(UsageError, match=r"needs the extra onnx: pip install 'saddlepoint\[onnx\]'"):
        api.export(run, format="onnx")


# -- model folders -----------------------------------------------------------------------------------------------------------------------------------


def test_a_model_folder_comes_back_with_its_scores_on_the_card(runs, tmp_path, capsys):
    run, folder = runs("dcgan"), tmp_path / "model"
    np.save(tmp_path / "real.npy", np.random.default_rng(0).integers(0, 256, (300, 32, 32), dtype=np.uint8))
    value = api.evaluate(run, metrics="fd", num=60)["scores"]["fd"]["value"]
    assert main(["export", str(run), "--format", "hub", "--out", str(folder)]) == 0
    assert capsys.readouterr().out == f"{folder}\n"
    assert {path.name for path in folder.iterdir()} == {"README.md", "config.json", "model.safetensors", "samples.png"}
    card = (folder / "README.md").read_text()
    assert card.startswith('---\nlibrary_name: "saddlepoint"\n')
    front = {line.partition(": ")[0]: json.loads(line.partition(": ")[2]) for line in card.split("---")[1].strip().splitlines()}
    assert {"type": "fd", "value": value, "name": "fd"} in front["model-index"][0]["results"][0]["metrics"]
    assert f"| fd | {value:.6g} |" in card
    assert "num_fake 60" in card
    assert "not FID" in card  # the quick score's own protocol
    assert str(tmp_path) not in card + (folder / "config.json").read_text()
    again = api.import_weights(folder, tmp_path / "again")
    assert torch.equal(api.sample(again.folder, num=4), api.sample(run, num=4))
    ours, theirs = (api.load(path)[0].state_dict() for path in (run, again.folder))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    with pytest.raises(UsageError, match="exists and is not an empty folder"):
        api.export(run, format="hub", out=folder)


def test_a_recipe_that_looks_at_its_data_comes_back_too(tmp_path):
    run = api.train("ssgan", data="digits", out=tmp_path / "run", steps=1, preset="small", width=16, batch=8, labels_per_class=2).folder
    again = api.import_weights(api.export(run, format="hub"), tmp_path / "again").folder
    assert torch.equal(api.sample(again, num=4), api.sample(run, num=4))


def test_folders_that_are_no_models_are_refused(runs, tmp_path):
    with pytest.raises(UsageError, match=r"is not a model of saddlepoint: it lacks config\.json and model\.safetensors"):
        api.import_weights(tmp_path, tmp_path / "x")
    folder = api.export(runs("toy"), format="hub", out=tmp_path / "model")
    assert not (folder / "samples.png").exists()  # points
    about = json.loads((folder / "config.json").read_text())
    for content, said in (("{", "is damaged"), (json.dumps({"recipe": "wgan"}), "does not fit this version"), ("[]", "does not fit this version")):
        (folder / "config.json").write_text(content)
        with pytest.raises(CheckpointError, match=said):
            api.import_weights(folder, tmp_path / "x")
    about["config"]["width"] = 9
    (folder / "config.json").write_text(json.dumps(about))
    with pytest.raises(CheckpointError, match="does not fit this version of its recipe"):
        api.import_weights(folder, tmp_path / "x")


def test_the_hub_is_given_the_folder_and_gives_it_back(runs, tmp_path, monkeypatch):
    """With a hub that is a folder: this test speaks to no network."""
    kept = {}

    class Api:
        def create_repo(self, name, exist_ok):
            if "/" not in name:
                raise package.errors.HFValidationError("Repo id must be USER/NAME")
            return f"https://hub/{name}"

        def upload_folder(self, repo_id, folder_path):
            kept[repo_id] = Path(folder_path)

    package = hub.package()
    monkeypatch.setattr(package, "HfApi", Api)
    monkeypatch.setattr(package, "snapshot_download", lambda name, allow_patterns: str(kept[name]))
    api.export(runs("toy"), format="hub", out=tmp_path / "model", push="me/toy")
    again = api.import_weights("hf:me/toy", tmp_path / "again")
    assert again.about["imported"]["file"] == "hf:me/toy"
    assert torch.equal(api.sample(again.folder, num=4), api.sample(runs("toy"), num=4))
    with pytest.raises(UsageError, match="The hub did not take toy: Repo id must be USER/NAME"):
        hub.push(tmp_path / "model", "toy")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UsageError, match=r"needs the extra hub"):
        hub.fetch("me/toy")
