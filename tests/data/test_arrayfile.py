"""Arrays in files: images of bytes and points of floats, in either layout, with labels or without."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from saddlepoint.data.sources import open_data
from saddlepoint.errors import DataError, UsageError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (12, 8, 8, 3), np.uint8)  # n h w c


@pytest.mark.parametrize("layout", ["nhwc", "nchw", "fortran"])
def test_images_in_either_layout(tmp_path: Path, layout: str) -> None:
    path = tmp_path / "images.npy"
    np.save(path, {"nhwc": IMAGES, "nchw": IMAGES.transpose(0, 3, 1, 2).copy(), "fortran": np.asfortranarray(IMAGES)}[layout])
    data = open_data(str(path))
    assert data.spec.shape == (3, 8, 8)
    assert torch.equal(data.records(torch.arange(12))["image"], torch.from_numpy(IMAGES.transpose(0, 3, 1, 2).copy()))
    assert data.records(torch.tensor([3]))["image"].is_contiguous()


def test_the_layout_does_not_change_the_hash(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", IMAGES)
    np.savez_compressed(tmp_path / "b.npz", IMAGES.transpose(0, 3, 1, 2))
    assert open_data(str(tmp_path / "a.npy")).spec.content_hash == open_data(str(tmp_path / "b.npz")).spec.content_hash


def test_grey_images_labels_and_settings(tmp_path: Path) -> None:
    path = tmp_path / "grey.npz"
    np.savez(path, images=IMAGES[..., 0], labels=np.arange(12) % 4)
    data = open_data(str(path), resolution=16, channels=3)
    assert data.spec.shape == (3, 16, 16)
    assert data.spec.num_classes == 4
    assert data.spec.class_names == ("0", "1", "2", "3")
    assert data.column("label").tolist() == [i % 4 for i in range(12)]
    assert len(open_data(f"{path}:test")) == 1


def test_a_mapped_file_is_not_written_to(tmp_path: Path) -> None:
    path = tmp_path / "images.npy"
    np.save(path, IMAGES)
    before = path.read_bytes()
    open_data(str(path)).column("image").fill_(0)
    assert path.read_bytes() == before


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_points(tmp_path: Path, dtype: type) -> None:
    points: np.ndarray = RNG.normal(size=(50, 3)).astype(dtype)
    np.savez(tmp_path / "p.npz", points=points, y=np.ones(50, np.int32))
    data = open_data(str(tmp_path / "p.npz"))
    assert (data.spec.kind, data.spec.shape, data.spec.fields, data.spec.num_classes) == ("points", (3,), ("point", "label"), 2)
    assert data.column("point").dtype == torch.float32
    assert np.array_equal(data.column("point").numpy(), points.astype(np.float32))


def refused(path: Path, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        open_data(str(path))
    assert "\n" not in str(caught.value)


def test_what_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    for array, message in (
        (np.zeros((5, 8, 8, 3), np.int16), r"holds int16 of shape \(5, 8, 8, 3\); expected images"),
        (np.zeros((5, 8, 8, 7), np.uint8), r"of shape \[5, 8, 8, 7\] can be read as 8 or as 7 channels"),
        (np.zeros((5, 8, 9, 3), np.uint8), "holds images of 9x8 pixels, not square"),
        (np.zeros((1, 8, 8, 3), np.uint8), "holds 1 records; training needs at least 2"),
        (np.zeros((5, 3), np.int64), "holds int64 of shape"),
        (np.array([[1.0, np.nan], [np.inf, 0.0]]), "holds 2 values that are not finite"),
        (np.array([{"a": 1}, None]), "cannot be read as .npy"),
        (np.array(3.0), "holds the arrays arr_0; expected one"),
    ):
        np.save(path, array, allow_pickle=array.dtype == object)
        refused(path, message)


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "cut.npz", IMAGES)
    (tmp_path / "cut.npz").write_bytes((tmp_path / "cut.npz").read_bytes()[:500])
    (tmp_path / "words.npy").write_text("words")
    (tmp_path / "empty.npy").touch()
    np.save(tmp_path / "short.npy", IMAGES)
    (tmp_path / "short.npy").write_bytes((tmp_path / "short.npy").read_bytes()[:-10])
    for name in ("cut.npz", "words.npy", "empty.npy", "short.npy"):
        refused(tmp_path / name, "cannot be read as .np")


def test_the_content_decides_and_not_the_suffix(tmp_path: Path) -> None:
    with (tmp_path / "really.npz").open("wb") as file:
        np.save(file, IMAGES)
    with (tmp_path / "really.npy").open("wb") as file:
        np.savez(file, IMAGES)
    hashes = {open_data(str(tmp_path / name)).spec.content_hash for name in ("really.npz", "really.npy")}
    assert len(hashes) == 1


def test_unclear_arrays_and_labels_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "two.npz", left=IMAGES, right=IMAGES)
    refused(tmp_path / "two.npz", "holds the arrays left, right; expected one")
    for labels in (np.zeros(11, np.int64), np.zeros(12), -np.ones(12, np.int64)):
        np.savez(tmp_path / "labels.npz", images=IMAGES, labels=labels)
        refused(tmp_path / "labels.npz", "labels must be 12 integers from 0 on, one a record")


def test_points_have_no_resolution(tmp_path: Path) -> None:
    np.save(tmp_path / "p.npy", np.zeros((5, 2)))
    with pytest.raises(UsageError, match="holds points, which have no resolution"):
        open_data(str(tmp_path / "p.npy"), resolution=8)
