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
    folder.mkdir(exist_ok=True)
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
