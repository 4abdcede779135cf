"""Checkpoints of other codes become runs that make the same images; the files were written by those codes (tools/foreign_weights.py)."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from saddlepoint import api
from saddlepoint.cli.main import main
from saddlepoint.errors import CheckpointError, DataError, UsageError
from saddlepoint.weights.files import read_file
from saddlepoint.weights.importing import understand
from saddlepoint.weights.names import Thing
from saddlepoint.weights.stylegan2 import read_nvidia
from saddlepoint.weights.transfer import power_of_two_channels

FILES = Path(__file__).with_name("files")
FAMILIES = {
    "nvidia": ("nvidia.pkl", "NVIDIA StyleGAN2", "stylegan2"),
    "rosinality": ("rosinality.pt", "rosinality StyleGAN2", "stylegan2"),
    "biggan": ("biggan.pth", "BigGAN-PyTorch", "biggan"),
    "biggan-deep": ("biggan-deep.pth", "BigGAN-PyTorch", "biggan-deep"),
    "progan": ("progan.pt", "pytorch_GAN_zoo ProGAN", "progan"),
    "r3gan": ("r3gan.pkl", "R3GAN", "r3gan"),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory):
    """A function that imports a family's file, once."""
    made = {}

    def imported(family: str) -> Path:
        if family not in made:
            out = tmp_path_factory.mktemp("imported") / family
            made[family] = api.import_weights(FILES / FAMILIES[family][0], out).folder
        return made[family]

    return imported


def numbers(family: str) -> dict[str, torch.Tensor]:
    with np.load(FILES / f"{family}.npz") as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_images_and_logits_are_those_of_the_original_networks(family, runs):
    given = numbers(family)
    game, run = api.load(runs(family))
    assert run.about["recipe"] == FAMILIES[family][2]
    assert run.about["imported"]["family"] == FAMILIES[family][1]
    labels = [given["labels"]] if "labels" in given else []
    for network in (game.generator, game.generator_ema):
        network.noise_mode = "fixed"
    with torch.no_grad():
        images = game.generator_ema(given["z"], *labels)
        assert (images - given["images"]).abs().max() < 1e-4
        if "generator" in given:
            assert (game.generator(given["z"], *labels) - given["generator"]).abs().max() < 1e-4
            assert (given["generator"] - given["images"]).abs().max() > 0.01  # the two are told apart
        if "truncated" in given:
            truncated = game.generator_ema(given["z"], *labels, truncation=0.5)
            assert (truncated - given["truncated"]).abs().max() < 1e-4
        if "logits" in given:
            assert (game.discriminator(given["x"], *labels).logits - given["logits"]).abs().max() < 1e-4


@pytest.mark.parametrize("family", FAMILIES)
def test_an_imported_run_samples(family, runs, tmp_path):
    samples = api.sample(runs(family), num=5, out=tmp_path / "grid.png", seed=1)
    assert samples.shape[0] == 5
    assert samples.float().std() > 1
    assert api.info(runs(family))["checkpoints"] == [0]


def test_an_imported_run_has_no_data(runs):
    with pytest.raises(DataError, match="did not come with it: the run was imported. Name data with --against"):
        api.evaluate(runs("biggan"), num=4)
    with pytest.raises(UsageError, match="was imported without data to go on with. Train on data of yours: .*--init-from"):
        api.resume(runs("biggan"), steps=2, device="cpu")


def test_an_imported_run_is_evaluated_and_started_from(runs, tmp_path):
    np.save(tmp_path / "real.npy", np.random.default_rng(0).integers(0, 256, (300, 32, 32, 3), dtype=np.uint8))
    found = api.evaluate(runs("biggan"), against=str(tmp_path / "real.npy"), num=100)
    assert found["quick_frechet"] > 0
    shape = {"width": 2, "latent_dim": 8, "shared_dim": 5, "attention": (16,), "batch": 4, "standing_passes": 0}
    data = tmp_path / "real.npz"
    np.savez(data, images=np.load(tmp_path / "real.npy"), labels=np.arange(300) % 3)
    told = []
    api.train("biggan", data=str(data), out=tmp_path / "run", steps=1, init_from=runs("biggan"), show=told.append, **shape)
    assert any("tensors came from" in str(line) for line in told)


def test_the_command(tmp_path, capsys):
    out = tmp_path / "run"
    assert main(["import", str(FILES / "biggan.pth"), "--out", str(out)]) == 0
    said = capsys.readouterr()
    assert said.out == f"{out}\n"
    assert said.err.splitlines()[0] == "BigGAN-PyTorch, as recipe biggan."
    assert "the discriminator starts anew" in said.err
    assert json.loads((out / "run.json").read_text())["imported"]["sha256"]
    assert main(["import", str(FILES / "biggan.pth"), "--out", str(out)]) == 2
    assert "already holds a run" in capsys.readouterr().err
    assert main(["import", str(tmp_path / "none.pkl"), "--out", str(tmp_path / "b")]) == 2
    hostile = tmp_path / "hostile.pkl"
    hostile.write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    assert main(["import", str(hostile), "--out", str(tmp_path / "c")]) == 6
    assert "refused: it asks for os.system" in capsys.readouterr().err
    assert not (tmp_path / "c").exists()


def changed(family: str, **changes) -> dict:
    return {**read_file(FILES / FAMILIES[family][0]), **changes}


def refused(content, tmp_path: Path) -> str:
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(CheckpointError) as caught:
        api.import_weights(tmp_path / "x.pt", tmp_path / "run")
    assert not (tmp_path / "run").exists()
    return str(caught.value)


def test_what_does_not_fit_is_named(tmp_path):
    state = changed("biggan")
    assert "lacks blocks.1.0.bn1.gain.u0" in refused({name: v for name, v in state.items() if name != "blocks.1.0.bn1.gain.u0"}, tmp_path)
    assert "extra.weight would not be used" in refused(state | {"extra.weight": torch.ones(2)}, tmp_path)
    bent = state | {"output_layer.2.bias": torch.ones(7)}
    assert "its shape is [7], not [3]" in refused(bent, tmp_path)
    deep = changed("biggan-deep")
    assert "BigGAN-deep generator without z in its norms" in refused(deep | {"linear.weight": deep["linear.weight"][:, :5]}, tmp_path)
    assert "is not whole or not understood: KeyError 'blocks.0.0.bn1.gain.weight'" in refused(
        {name: v for name, v in state.items() if name != "blocks.0.0.bn1.gain.weight"}, tmp_path
    )
    pieces = changed("progan")
    pieces["config"] = {}
    pieces["netG"] = {name: v for name, v in pieces["netG"].items() if "scaleLayers.1.0" not in name}
    assert "lacks scaleLayers.1.0.module.weight" in refused(pieces, tmp_path)
    other = refused({"weight": torch.ones(2), "bias": torch.ones(2)}, tmp_path)
    assert "holds no network that is known here (weight, bias, ...)" in other
    assert "R3GAN" in other


def test_settings_of_other_networks_are_refused():
    with pytest.raises(CheckpointError, match=r"has \[8, 4, 4\] channels by level; only those that halve"):
        power_of_two_channels([8, 4, 4], 4, "x")
    layer = Thing("persistent.FullyConnectedLayer", state={"_parameters": {"weight": torch.ones(2, 2)}})
    mapping = Thing("persistent.MappingNetwork", state={"_modules": {"fc0": layer}})
    stylegan3 = {"G_ema": Thing("persistent.Generator", state={"_modules": {"mapping": mapping}})}
    with pytest.raises(CheckpointError, match="StyleGAN3"):
        read_nvidia(stylegan3, "x")


@pytest.mark.parametrize("family", FAMILIES)
def test_every_bit_of_a_file_counts_or_is_refused(family, tmp_path):
    """Damaged copies end in one of our errors, whatever byte is struck."""
    whole = bytearray((FILES / FAMILIES[family][0]).read_bytes())
    rng = np.random.default_rng(0)
    file = tmp_path / FAMILIES[family][0]
    for _ in range(12):
        struck = bytearray(whole)
        place = int(rng.integers(len(whole) // 8))  # where the instructions are
        struck[place] ^= 1 << int(rng.integers(8))
        file.write_bytes(struck)
        with contextlib.suppress(CheckpointError, UsageError):
            understand(file)


def test_safetensors_of_a_foreign_state(tmp_path):
    save_file({name: value.clone() for name, value in changed("biggan").items()}, tmp_path / "biggan.safetensors")
    assert api.import_weights(tmp_path / "biggan.safetensors", tmp_path / "run").about["recipe"] == "biggan"


def test_the_source_in_a_pickle_is_never_run():
    assert b"raise SystemExit" in (FILES / "nvidia.pkl").read_bytes()
    assert understand(FILES / "nvidia.pkl").recipe == "stylegan2"
