"""What somebody meets who brings a folder of pictures: notes said once, samples without the data, names that are taken, rules that are told."""

from __future__ import annotations

import logging
import shutil

import numpy as np
import pytest
from PIL import Image

from saddlepoint.cli.main import _said_once, main
from saddlepoint.data.sources import open_data


def pictures(folder, count, seed=0):
    folder.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 16, 16, 4), dtype=np.uint8)
    for number, image in enumerate(pixels):
        Image.fromarray(image).save(folder / f"{number}.png")
    return folder


@pytest.mark.parametrize("recipe", ["dcgan", "lapgan", "gan", "improved-gan"])
def test_a_run_samples_without_its_data(recipe, tmp_path, capsys, caplog):
    folder, run = pictures(tmp_path / "mine", 8), tmp_path / "run"
    size = ["--width", "4", "--batch", "4", "--latent-dim", "4", "--resolution", "16", "--steps", "1"]
    assert main(["train", recipe, "--data", str(folder), "--out", str(run), *size]) == 0
    said = capsys.readouterr().err
    assert f"{folder} has 8 records, too few for a quick score: what is drawn is shown and not judged." in said
    assert main(["sample", str(run), "--num", "3", "--out", str(tmp_path / "a.npy")]) == 0
    pictures(folder, 9, seed=1)
    assert main(["sample", str(run), "--num", "3", "--out", str(tmp_path / "b.npy")]) == 0
    shutil.rmtree(folder)
    assert main(["sample", str(run), "--num", "3", "--out", str(tmp_path / "c.npy")]) == 0
    assert "are gone or have changed; what was learnt is used without them." in caplog.text
    first, second, third = (np.load(tmp_path / f"{name}.npy") for name in "abc")
    assert (first == second).all()
    assert (first == third).all()
    assert main(["resume", str(run), "--steps", "2"]) == 3


def test_a_note_is_said_once(caplog):
    notes = [f"said {number}" for number in (1, 1, 2)]
    with _said_once():
        for note in notes:
            logging.getLogger("saddlepoint").warning(note)
    logging.getLogger("saddlepoint").warning("said 1")
    assert caplog.messages == ["said 1", "said 2", "said 1"]


def test_a_folder_named_as_a_data_set_is_told_from_it(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    pictures(tmp_path / "digits", 3)
    assert open_data("digits").spec.num_records == 1797
    assert "digits is the data set of that name; your folder of the same name is ./digits." in caplog.text
    assert open_data("./digits").spec.num_records == 3


def test_gamma_by_rule_is_said(tmp_path, capsys):
    assert main(["train", "stylegan2", "--data", "digits", "--resolution", "16", "--batch", "8", "--dry-run"]) == 0
    assert "note          R1's gamma is 0.0064 by the rule .0002 * pixels / batch; --r1-gamma sets another." in capsys.readouterr().out


def five_channels(path):
    rng = np.random.default_rng(0)
    np.savez(path, images=rng.integers(0, 65536, (60, 5, 16, 24)).astype(np.uint16), labels=rng.integers(0, 3, (60, 1)))
    return path


def test_sixteen_bit_images_of_five_channels_from_end_to_end(tmp_path, capsys, caplog, monkeypatch):
    monkeypatch.chdir(tmp_path)
    five_channels(tmp_path / "five.npz")
    small = ["--width", "4", "--batch", "4", "--latent-dim", "4", "--resolution", "16", "24", "--steps", "1", "--conditional"]
    assert main(["train", "dcgan", "--data", "five.npz", "--out", "run", *small]) == 0
    assert main(["sample", "run", "--num", "3", "--label", "2", "--out", "new/a.png"]) == 0
    assert "A picture shows the first of the 5 channels; a .npy file holds all." in caplog.text
    for flag, kind in (([], np.uint8), (["--floats"], np.float32)):
        assert main(["sample", "run", "--num", "3", "--out", f"{len(flag)}.npy", *flag]) == 0
        assert np.load(f"{len(flag)}.npy").dtype == kind
    assert (np.rint(np.load("1.npy") * 127.5 + 127.5) == np.load("0.npy")).all()
    assert main(["sample", "run", "--num", "3", "--out", "b.png", "--floats"]) == 2
    assert main(["evaluate", "run", "--num", "20"]) == 0
    assert main(["report", "run"]) == 0
    nearest = np.load("run/samples/nearest.npz")
    assert nearest["nearest_pixel"].dtype == np.uint8
    assert nearest["distance_pixel"].mean() < 2 * nearest["usual_pixel"].mean()
    capsys.readouterr()
    for label in ("3", "-1"):
        assert main(["sample", "run", "--label", label, "--out", "b.png"]) == 2
        assert f"The classes of run are 0 to 2 (0 0, 1 1, 2 2); --label {label} came." in capsys.readouterr().err
    assert main(["sample", "run", "--num", "2", "--label", "each", "--out", "each.npz"]) == 0
    with np.load("each.npz") as each:
        assert each["samples"].shape == (6, 5, 16, 24)
        assert each["labels"].tolist() == [0, 0, 1, 1, 2, 2]
    assert main(["sample", "run", "--label", "each", "--out", "each.gif"]) == 2
    assert "Samples of each class are images, in a .png, .npy or .npz file or a folder; each.gif came." in capsys.readouterr().err
    assert main(["resume", "run"]) == 0
    assert "run is at the end of its plan, round 1: --steps, --minutes or --kimg sets a later one." in capsys.readouterr().err
    (tmp_path / "else").mkdir()
    monkeypatch.chdir(tmp_path / "else")
    assert main(["resume", "../run", "--steps", "2"]) == 3
    assert "The run names its data as from the folder that it was begun in: go there." in capsys.readouterr().err


def test_classes_by_name_and_each_of_them(tmp_path, capsys):
    data, run = tmp_path / "mine", tmp_path / "run"
    for number, name in enumerate(("7", "cat", "dog")):
        pictures(data / name, 3 + number)
    size = ["--width", "4", "--batch", "4", "--latent-dim", "4", "--resolution", "16", "--steps", "1", "--conditional"]
    assert main(["train", "dcgan", "--data", str(data), "--out", str(run), *size]) == 0
    drawn = {}
    for label in ("0", "7", "1", "cat"):  # the first class is called 7
        assert main(["sample", str(run), "--num", "3", "--label", label, "--out", str(tmp_path / f"{label}.npy")]) == 0
        drawn[label] = np.load(tmp_path / f"{label}.npy")
    assert (drawn["0"] == drawn["7"]).all()
    assert (drawn["1"] == drawn["cat"]).all()
    assert (drawn["0"] != drawn["1"]).any()
    assert main(["sample", str(run), "--num", "3", "--label", "each", "--out", str(tmp_path / "each")]) == 0
    assert {path.name: len([*path.iterdir()]) for path in (tmp_path / "each").iterdir()} == {"7": 3, "cat": 3, "dog": 3}
    assert main(["sample", str(run), "--num", "4", "--label", "each", "--out", str(tmp_path / "each.png")]) == 0
    with Image.open(tmp_path / "each.png") as grid, Image.open(run / "samples" / "real.png") as reals:
        assert grid.size == (4 * 18 - 2, 3 * 18 - 2)
        assert reals.size == (21 * 18 - 2, 3 * 18 - 2)
    capsys.readouterr()
    assert main(["sample", str(run), "--label", "cow", "--out", "x.png"]) == 2
    assert "are 0 to 2 (0 7, 1 cat, 2 dog); --label cow came. Choose one of them, or each." in capsys.readouterr().err


def test_a_class_of_a_run_without_classes(tmp_path, capsys):
    data, run = pictures(tmp_path / "mine", 4), tmp_path / "run"
    size = ["--width", "4", "--batch", "4", "--latent-dim", "4", "--resolution", "16", "--steps", "1"]
    assert main(["train", "dcgan", "--data", str(data), "--out", str(run), *size]) == 0
    assert main(["sample", str(run), "--label", "1", "--out", str(tmp_path / "a.png")]) == 2
    assert "was trained without classes, so that none can be asked for. Leave --label out." in capsys.readouterr().err
    assert main(["sample", str(run), "--out", str(data / "0.png" / "a.png")]) == 2
    assert "cannot be made: one of the folders above it is a file" in capsys.readouterr().err


def test_pictures_that_are_left_out_and_films_are_told(tmp_path, caplog):
    folder = pictures(tmp_path / "mine", 3)
    (folder / "a.heic").write_bytes(b"ftypheic")
    frames = [Image.new("RGB", (16, 16), (shade, 0, 0)) for shade in (0, 90, 180)]
    frames[0].save(folder / "moves.gif", save_all=True, append_images=frames[1:])
    open_data(str(folder), resolution=16)
    assert f"Left out of {folder}: 1 .heic, which cannot be read. Convert them to .jpg or .png." in caplog.text
    assert f"1 of the 4 images in {folder} have several frames; the first of each was taken." in caplog.text
    caplog.clear()
    (folder / "a.heic").unlink()
    open_data(str(folder), resolution=16)
    assert "several frames" in caplog.text
    assert "heic" not in caplog.text


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.full((4, 16, 16, 3), np.nan, np.float32), "holds 3072 values that are not finite; images need finite numbers."),
        (np.zeros((4, 16, 16, 16), np.float32), "Volumes are read behind a prefix: voxels:PATH"),
    ],
)
def test_arrays_that_are_no_images_are_told_what_to_do(array, words, tmp_path, capsys):
    np.save(tmp_path / "a.npy", array)
    assert main(["train", "--data", str(tmp_path / "a.npy"), "--dry-run"]) == 3
    assert words in capsys.readouterr().err


def test_levels_of_fewer_bits_are_told(tmp_path, caplog):
    np.save(tmp_path / "a.npy", np.full((4, 16, 16), 4095, np.uint16))
    open_data(str(tmp_path / "a.npy"))
    assert "holds levels up to 4095, and white is 65535: it is read as dark." in caplog.text


def test_what_a_check_begins_with_fits_the_machine(tmp_path, capsys):
    (tmp_path / "large").mkdir()
    for number in range(3):
        Image.new("RGB", (600, 500), (number * 80, 10, 10)).save(tmp_path / "large" / f"{number}.png")
    assert main(["data", "check", str(tmp_path / "large")]) == 0
    assert f"saddlepoint train diffaugment --data {tmp_path / 'large'} --resolution 32 --out runs/first" in capsys.readouterr().out


def test_a_size_may_be_written_as_it_is_said(tmp_path, capsys):
    np.save(tmp_path / "a.npy", np.random.default_rng(0).integers(0, 256, (8, 40, 48, 3), dtype=np.uint8))
    data, packed = str(tmp_path / "a.npy"), str(tmp_path / "packed")
    assert main(["train", "--data", data, "--resolution", "24x32", "--dry-run"]) == 0
    said = capsys.readouterr()
    assert "at 24x32 pixels" in said.err
    assert "shape [3, 24, 32]" in said.out
    assert main(["data", "convert", data, packed, "--resolution", "40x48"]) == 0
    assert main(["train", "dcgan", "--data", packed, "--dry-run"]) == 0
    assert "shape [3, 40, 48]" in capsys.readouterr().out
    assert main(["train", "dcgan", "--data", packed, "--resolution", "32", "--dry-run"]) == 3
