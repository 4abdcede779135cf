"""FCN scores by name: label maps from files and from the pictures a run translates, and translations as samples."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import saddlepoint
from saddlepoint.cli.main import main
from saddlepoint.errors import DataError, UsageError
from saddlepoint.evaluation.segmentation import fcn_score

LEVELS = np.array([0, 128, 255], np.uint8)
COLOURS = np.array([[128, 64, 128], [70, 70, 70], [107, 142, 35]], np.uint8)
MODULE = """
import torch

class Levels(torch.nn.Module):
    classes = ("dark", "grey", "light")

    def forward(self, images):
        levels = torch.tensor([-1.0, 0.0, 1.0]).view(3, 1, 1)
        return -(images.mean(1, keepdim=True) - levels).abs()

class Painted(Levels):
    colours = [[128, 64, 128], [70, 70, 70], [107, 142, 35]]

class Halved(Levels):
    def forward(self, images):
        return super().forward(images)[:, :, ::2, ::2]

class Wrong(Levels):
    colours = [[128, 64, 300]]
"""


@pytest.fixture(autouse=True)
def scenes(tmp_path, monkeypatch) -> Path:
    """Twelve label maps of 16x16 in blocks of four, the photographs of them, and photographs that leave the light class out."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SADDLEPOINT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "label_scenes.py").write_text(MODULE)
    maps = np.random.default_rng(0).integers(0, 3, (40, 4, 4)).repeat(4, 1).repeat(4, 2).astype(np.uint8)
    maps[:, 0, 0] = 255
    for name in ("maps", "shots", "fakes", "painted"):
        (tmp_path / name).mkdir()
    for index, labels in enumerate(maps):
        seen = np.where(labels == 255, 0, labels)
        for folder, picture in (
            ("maps", labels),
            ("shots", LEVELS[seen]),
            ("fakes", LEVELS[np.where(seen == 2, 0, seen)]),
            ("painted", COLOURS[seen]),
        ):
            Image.fromarray(picture).save(tmp_path / folder / f"{index:03d}.png")
    np.save(tmp_path / "maps.npy", maps)
    return tmp_path


def score(target: object = "fakes", **changes: object) -> dict:
    given = {"against": "shots", "metrics": "fcn-score", "segmenter": "label_scenes:Levels", "labels": "maps"} | changes
    return saddlepoint.evaluate(target, **given)


def test_a_lost_class_is_named_and_the_floor_is_the_photographs_own(scenes) -> None:
    result = score()
    maps = np.load("maps.npy").astype(np.int64)
    wanted = fcn_score(np.where((maps == 2) | (maps == 255), 0, maps), maps, 3, ignore=255)
    scores = result["scores"]
    assert [scores[name]["value"] for name in ("fcn_pixel", "fcn_class", "fcn_iou")] == pytest.approx(wanted[:3])
    assert all(each["floor"] == 1.0 and each["better"] == "higher" and 0 < each["error"] < 0.1 for each in scores.values())
    assert result["details"]["fcn-score"]["light"] == {"accuracy": 0.0, "iou": 0.0}
    assert any("worst first: light 0.00, dark" in note for note in result["notes"])
    assert result["protocol"]["label_maps"] == "maps" and len(result["protocol"]["label_maps_hash"]) == 64


def test_maps_of_another_size_bring_the_images_to_it(scenes) -> None:
    for path in Path("maps").iterdir():
        with Image.open(path) as image:
            image.resize((32, 32), Image.Resampling.NEAREST).save(path)
    assert score("shots", segmenter="label_scenes:Halved")["scores"]["fcn_pixel"]["value"] > 0.8
    small = score("shots")["scores"]["fcn_pixel"]["value"]
    assert 0.7 < small < 1  # borders are blurred by the resizing


def test_palettes_arrays_and_colours_are_maps_too(scenes) -> None:
    whole = score()["scores"]
    for path in [*Path("maps").iterdir()]:
        with Image.open(path) as image:
            labels = np.asarray(image)
        if int(path.stem) % 2:
            paletted = Image.fromarray(labels, "P")
            paletted.putpalette([*range(256)] * 3)
            paletted.save(path)
        else:
            np.save(path.with_suffix(".npy"), labels.astype(np.int32))
            path.unlink()
    assert score()["scores"] == whole
    painted = score(segmenter="label_scenes:Painted", labels="painted")["scores"]
    assert painted["fcn_pixel"]["floor"] == 1.0 and painted["fcn_pixel"]["value"] == pytest.approx(whole["fcn_pixel"]["value"], abs=0.02)


def test_without_maps_of_the_real_images_there_is_no_floor(scenes) -> None:
    for path in Path("shots").iterdir():
        path.rename(path.with_name("real" + path.name))
    result = score()
    assert result["scores"]["fcn_iou"]["floor"] is None
    assert any("no floor" in note for note in result["notes"])


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"segmenter": None}, UsageError, "Name yours with --segmenter"),
        ({"labels": None}, UsageError, "Name their folder with --labels"),
        ({"labels": None, "segmenter": "label_scenes:Painted"}, UsageError, "Name their folder with --labels"),
        ({"labels": "nowhere"}, DataError, "There is no label map in nowhere"),
        ({"labels": "painted"}, UsageError, "it is a picture in colours"),
        ({"segmenter": "label_scenes:Wrong"}, UsageError, "3 triples of whole numbers"),
        ({"metrics": "fcn"}, UsageError, "it is fcn-score with --segmenter"),
    ],
)
def test_what_is_missing_is_said_in_one_line(scenes, changes, error, message) -> None:
    with pytest.raises(error, match=message):
        score(**changes)


def test_maps_without_their_image_and_unknown_classes_are_named(scenes) -> None:
    Image.fromarray(np.full((16, 16), 33, np.uint8)).save("maps/003.png")
    with pytest.raises(UsageError, match=r"003\.png has the class 33; the segmenter knows 0 to 2"):
        score()
    Path("maps/003.png").unlink()
    with pytest.raises(UsageError, match=r"maps has none for 003\.png"):
        score()
    Path("maps/003.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match="cannot be read"):
        score()


def test_a_run_that_translates_is_scored_against_the_other_side(scenes, capsys) -> None:
    options = ["--resolution", "16", "--width", "8", "--d-width", "8", "--batch", "4"]
    assert main(["train", "pix2pix", "--data", "pairs:painted+shots", "--out", "run", "--preset", "small-32", "--steps", "4", *options]) == 0
    capsys.readouterr()
    command = ["evaluate", "run", "--metrics", "fcn-score,fd", "--segmenter", "label_scenes:Painted", "--num", "20", "--json"]
    assert main(command) == 0
    result = json.loads(capsys.readouterr().out)
    scores = result["scores"]
    assert scores["fcn_pixel"]["floor"] == 1.0 and scores["fcn_pixel"]["value"] < 1
    assert scores["fd"]["value"] > scores["fd"]["floor"] > 0
    assert result["translates"] == "pairs:painted+shots: image to partner" and result["protocol"]["num_fake"] == 20
    assert len(Path("run/evaluations.jsonl").read_text().splitlines()) == 1
    translated = {name: scores[name]["value"] for name in ("fcn_pixel", "fcn_iou")}
    assert main([*command, "--labels", "maps"]) == 0
    others = json.loads(capsys.readouterr().out)["scores"]
    assert {name: others[name]["value"] for name in translated} == pytest.approx(translated, abs=0.02)  # pixels that are not judged apart
    for changes, message in (({"back": True}, "one way only"), ({"truncation": 0.5}, "Truncation is of latents"), ({"num": 41}, "holds 40 records")):
        with pytest.raises(UsageError, match=message):
            saddlepoint.evaluate("run", **changes)
    with pytest.raises(UsageError, match="Name pairs: or domains:"):
        saddlepoint.evaluate("run", against="shots")


def test_translations_do_not_depend_on_how_many_are_looked_at(scenes) -> None:
    options = ["--resolution", "16", "--width", "8", "--d-width", "8", "--batch", "4", "--steps", "1"]
    assert main(["train", "cyclegan", "--data", "domains:painted+shots", "--out", "both", *options]) == 0
    there, back = (saddlepoint.evaluate("both", metrics="fd", back=back) for back in (False, True))
    assert there["translates"].endswith("image to other") and back["translates"].endswith("other to image")
    assert there["scores"]["fd"]["value"] != back["scores"]["fd"]["value"]
    torch.testing.assert_close(saddlepoint.evaluate("both", metrics="fd")["scores"]["fd"]["value"], there["scores"]["fd"]["value"])
    plain = ["--resolution", "16", "--steps", "1", "--batch", "4", "--width", "8"]
    assert main(["train", "dcgan", "--data", "shots", "--out", "plain", *plain]) == 0
    with pytest.raises(UsageError, match="Only a run that translates goes back"):
        saddlepoint.evaluate("plain", back=True)
