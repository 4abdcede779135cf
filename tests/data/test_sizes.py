"""Images of any height and width, of one to eight channels, of 8 bits, 16 bits or floats."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from saddlepoint import api
from saddlepoint.cli.main import main
from saddlepoint.data.records import to_device
from saddlepoint.data.sources import open_data
from saddlepoint.errors import DataError, UsageError


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SADDLEPOINT_CACHE", str(tmp_path / "cache"))


def save(path: Path, values: np.ndarray) -> str:
    np.save(path, values)
    return str(path)


def images(c: int, dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (12, c, 16, 24), dtype=dtype, endpoint=True)


def test_height_and_width_are_kept_or_cropped(tmp_path: Path) -> None:
    path = save(tmp_path / "wide.npy", images(3))
    assert open_data(path, resolution=(16, 24)).spec.shape == (3, 16, 24)
    assert open_data(path, resolution=(8, 12)).spec.shape == (3, 8, 12)
    cropped = open_data(path, resolution=16).records(torch.arange(12))["image"]
    assert torch.equal(cropped, torch.from_numpy(images(3)[..., 4:20]))
    with pytest.raises(DataError, match=r"24x16 pixels, not square\. Say what they are to be: --resolution 16 24 \(height and width\) keeps them"):
        open_data(path)
    with pytest.raises(UsageError, match="a height and a width, each at least 1"):
        open_data(path, resolution=(16, 0))


def test_a_folder_of_wide_images(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    ramp = np.tile(np.arange(60, dtype=np.uint8), (40, 1))  # every column its own grey
    for name in "ab":
        Image.fromarray(ramp).save(folder / f"{name}.png")
    same = open_data(str(folder), resolution=(40, 60)).records(torch.arange(2))["image"]
    assert torch.equal(same[0, 0], torch.from_numpy(ramp))
    tall = open_data(str(folder), resolution=(40, 20)).records(torch.arange(2))["image"]
    assert torch.equal(tall[0, 0], torch.from_numpy(ramp[:, 20:40]))  # the centre
    assert open_data(str(folder), resolution=(20, 30)).spec.shape == (1, 20, 30)


@pytest.mark.parametrize("channels", [1, 2, 4, 5, 8])
@pytest.mark.parametrize("last", [False, True])
def test_one_to_eight_channels(channels: int, last: bool, tmp_path: Path) -> None:
    given = images(channels)
    path = save(tmp_path / "x.npy", np.moveaxis(given, 1, 3) if last else given)
    found = open_data(path, resolution=(16, 24)).records(torch.arange(12))["image"]
    assert torch.equal(found, torch.from_numpy(given))


def test_sixteen_bits_and_floats_keep_their_depth(tmp_path: Path) -> None:
    deep = images(1, np.uint16)
    found = open_data(save(tmp_path / "deep.npy", deep), resolution=(16, 24)).records(torch.arange(12))["image"]
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, torch.from_numpy(deep / 32767.5 - 1).float(), rtol=0, atol=1e-6)
    unit = deep / 65535
    for values, expected in ((unit, 2 * unit - 1), (2 * unit - 1, 2 * unit - 1)):
        found = open_data(save(tmp_path / "float.npy", values.astype(np.float32)), resolution=(16, 24)).records(torch.arange(12))["image"]
        torch.testing.assert_close(found, torch.from_numpy(expected).float(), rtol=0, atol=1e-6)
    batch = to_device({"image": found}, "cpu", torch.float64)
    assert batch.x.dtype == torch.float64
    assert batch.x.abs().max() <= 1
    small = open_data(str(tmp_path / "deep.npy"), resolution=8).records(torch.arange(2))["image"]
    assert small.shape == (2, 1, 8, 8)
    assert small.abs().max() <= 1


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.full((4, 8, 8), 3.0), "with values from 3 to 3; expected [0, 1] or [-1, 1]. Scale them."),
        (np.full((4, 8, 8), np.nan), "holds 256 values that are not finite"),
        (np.zeros((4, 2, 8, 8), np.uint8), "can be read as 2 or as 8 channels"),
        (np.zeros((4, 9, 16, 16), np.uint8), "with 1 to 8 channels"),
        (np.zeros((4, 8, 8), np.int32), "expected images"),
    ],
)
def test_arrays_that_are_no_images(values: np.ndarray, words: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as found:
        open_data(save(tmp_path / "x.npy", values), resolution=8)
    assert words in str(found.value)
    assert "\n" not in str(found.value)


def test_channels_of_other_images_are_theirs(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="these have 5 of"):
        open_data(save(tmp_path / "five.npy", images(5)), resolution=8, channels=3)


def test_training_on_wide_images_of_five_channels(tmp_path: Path) -> None:
    path = save(tmp_path / "x.npy", np.random.default_rng(0).integers(0, 255, (60, 5, 16, 32), dtype=np.uint8))
    command = f"train dcgan --data {path} --resolution 16 32 --width 4 --batch 8 --steps 2 --device cpu --out {tmp_path / 'run'}"
    assert main(command.split()) == 0
    assert api.sample(tmp_path / "run", num=3).shape == (3, 5, 16, 32)
    api.resume(tmp_path / "run", steps=3, device="cpu")
    assert api.info(tmp_path / "run")["config"]["resolution"] == [16, 32]
    assert api.info(tmp_path / "run")["last_score"]["protocol"]["channels"] == "mean of 5"
