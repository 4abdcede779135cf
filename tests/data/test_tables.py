"""Parquet and Arrow tables of images, what `datasets` saves, the hub, HDF5 and IDX files by path."""

from __future__ import annotations

import gzip
import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from saddlepoint.data import hub
from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.sources import open_data
from saddlepoint.errors import DataError, UsageError

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


def png(red: int, side: int = 8) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), (red, 50, 90)).save(buffer, "png")
    return buffer.getvalue()


def reds(data: ArrayDataset) -> list[int]:
    return data.records(torch.arange(len(data)))["image"][:, 0, 0, 0].tolist()


def write(path: Path, images: list[Any], group: int = 2, **columns: list[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"img": images, **columns}), path, row_group_size=group)
    return path


# -- Parquet and Arrow -------------------------------------------------------------------------------------------------------------------


def test_a_parquet_file_of_images(tmp_path: Path) -> None:
    columns = {"label": ["cat", "dog", "cat", "dog", "cat"], "text": list("abcde"), "size": [1.0, 2.0, 3.0, 4.0, 5.0], "maker": ["x"] * 5}
    path = write(tmp_path / "x.parquet", [png(red) for red in range(5)], **columns)
    data = open_data(str(path))
    assert reds(data) == [0, 1, 2, 3, 4]
    assert data.column("label").tolist() == [0, 1, 0, 1, 0]
    assert data.spec.class_names == ("cat", "dog")
    assert data.captions == tuple("abcde")
    assert data.column("attributes").tolist() == [[1.0], [2.0], [3.0], [4.0], [5.0]]
    assert any("maker" in note for note in data.notes)
    assert open_data(str(path)).spec == data.spec


def test_what_the_library_datasets_saves_is_read_as_it_reads_it(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"image": datasets.Image(), "kind": datasets.ClassLabel(names=["zebra", "ape"])})
    pictures = [Image.open(io.BytesIO(png(red))) for red in range(6)]
    saved = datasets.Dataset.from_dict({"image": pictures, "kind": [0, 1, 1, 0, 1, 0]}, features=features)
    saved.save_to_disk(tmp_path / "one", num_shards=2)
    saved.to_parquet(tmp_path / "one.parquet", batch_size=4)
    datasets.DatasetDict({"test": saved.select([1, 4]), "train": saved.shuffle(seed=0)}).save_to_disk(tmp_path / "parts")
    theirs = datasets.load_from_disk(tmp_path / "one")
    for place in ("one", "one.parquet"):
        data = open_data(str(tmp_path / place))
        assert data.spec.class_names == ("zebra", "ape")  # as numbered there, not by the alphabet
        assert data.column("label").tolist() == list(theirs["kind"])
        assert reds(data) == [np.asarray(row["image"])[0, 0, 0] for row in theirs]
    assert reds(open_data(f"{tmp_path}/parts:test")) == [1, 4]
    assert sorted(reds(open_data(f"{tmp_path}/parts:train"))) == [0, 1, 2, 3, 4, 5]
    assert len(open_data(str(tmp_path / "parts"))) == 8


def test_an_arrow_file_in_either_form(tmp_path: Path) -> None:
    table = pa.table({"image": [png(red) for red in range(4)], "class": [0, 1, 0, 1]})
    for name, opened in (("stream.arrow", pa.ipc.new_stream), ("file.arrow", pa.ipc.new_file)):
        with opened(tmp_path / name, table.schema) as writer:
            writer.write_table(table, max_chunksize=3)
        data = open_data(str(tmp_path / name))
        assert (reds(data), data.column("label").tolist()) == ([0, 1, 2, 3], [0, 1, 0, 1])


def test_files_named_train_and_test_are_the_parts(tmp_path: Path) -> None:
    write(tmp_path / "set" / "data" / "test-00000-of-00001.parquet", [png(9), png(8)])
    for k in range(2):
        write(tmp_path / "set" / "data" / f"train-0000{k}-of-00002.parquet", [png(2 * k), png(2 * k + 1)])
    assert reds(open_data(f"{tmp_path}/set:train")) == [0, 1, 2, 3]
    assert reds(open_data(f"{tmp_path}/set:test")) == [9, 8]
    write(tmp_path / "set" / "data" / "train-9.parquet", [png(0), png(1)], other=[1, 2])
    with pytest.raises(DataError, match="has other columns than"):
        open_data(str(tmp_path / "set"))


def test_a_parquet_table_beside_images(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(png(3))
    pq.write_table(pa.table({"file_name": ["b.png", "a.png"], "label": [1, 0], "weight": [0.5, 2.0]}), tmp_path / "metadata.parquet")
    data = open_data(str(tmp_path))
    assert (data.column("label").tolist(), data.column("attributes").tolist()) == ([0, 1], [[2.0], [0.5]])
    (tmp_path / "metadata.parquet").write_bytes(b"PAR1 no table")
    with pytest.raises(DataError, match=r"metadata\.parquet cannot be read"):
        open_data(str(tmp_path))


def test_a_parquet_file_among_images_is_left_alone(tmp_path: Path) -> None:
    for kind in ("a", "b"):
        (tmp_path / kind).mkdir()
        for k in range(2):
            (tmp_path / kind / f"{k}.png").write_bytes(png(k))
    write(tmp_path / "a" / "index.parquet", [1, 2])
    assert open_data(str(tmp_path)).spec.class_names == ("a", "b")


def test_tables_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "torn.parquet").write_bytes(write(tmp_path / "x.parquet", [png(0), png(1)]).read_bytes()[:-9])
    (tmp_path / "torn.arrow").write_bytes(b"")
    write(tmp_path / "none.parquet", [1, 2])
    write(tmp_path / "two.parquet", [png(0), png(1)], also=[b"a", b"b"])
    write(tmp_path / "empty.parquet", [None, b"", png(1), png(2)])
    write(tmp_path / "paths.parquet", [{"bytes": None, "path": "/etc/hostname"}] * 2 + [{"bytes": png(0), "path": None}])
    write(tmp_path / "range.parquet", [png(0), png(1)], label=[0, -1])
    meta = {b"huggingface": b'{"info": {"features": {"label": {"_type": "ClassLabel", "names": ["a", "b"]}}}}'}
    pq.write_table(pa.table({"img": [png(0), png(1)], "label": [0, 2]}).replace_schema_metadata(meta), tmp_path / "outside.parquet")
    for name, words in (
        ("torn.parquet", "cannot be read as a table"),
        ("torn.arrow", "cannot be read as a table"),
        ("none.parquet", "has 0 columns of bytes among img (int64)"),
        ("two.parquet", "has 2 columns of bytes"),
        ("empty.parquet", "2 of the 4 image files"),
        ("paths.parquet", "the row has no bytes of an image, only its path"),
        ("range.parquet", "1 labels in"),
        ("outside.parquet", "are outside its 2 classes, such as 2"),
    ):
        with pytest.raises(DataError) as found:
            open_data(str(tmp_path / name))
        assert words in str(found.value), name
        assert "\n" not in str(found.value)


# -- the hub -----------------------------------------------------------------------------------------------------------------------------


def test_a_set_of_the_hub_is_its_parquet_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def fetch(repository: str, revision: str | None) -> Path:
        asked.append((repository, revision))
        return tmp_path / (revision or "main").replace("/", "-")

    monkeypatch.setattr(hub, "_fetch", fetch)
    (tmp_path / "main").mkdir()
    for config in ("big", "little"):
        for part in ("train", "test"):
            write(tmp_path / "refs-convert-parquet" / config / part / "0000.parquet", [png(len(config)), png(len(part))])
    assert reds(open_data("hf:some/set/big:train")) == [3, 5]
    assert asked == [("some/set", None), ("some/set", "refs/convert/parquet")]
    with pytest.raises(UsageError, match="has the configurations big, little. Name one: hf:some/set/big"):
        open_data("hf:some/set")
    assert len(open_data("hf:some/set/little@refs/convert/parquet")) == 4
    with pytest.raises(DataError, match="has no Parquet files, and the hub has made none"):
        open_data("hf:some/set@main")


def test_the_hub_out_of_reach_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("huggingface_hub")
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(DataError, match=r"hf:nobody/nothing was never fetched, and the hub cannot be reached\. Go online"):
        open_data("hf:nobody/nothing")
    with pytest.raises(UsageError, match="are written hf:OWNER/NAME"):
        open_data("hf:nothing")


# -- HDF5 --------------------------------------------------------------------------------------------------------------------------------


def test_hdf5_arrays_are_named_or_alone(tmp_path: Path, cache: Path) -> None:
    h5py = pytest.importorskip("h5py")
    images = np.random.default_rng(0).integers(0, 256, (7, 8, 8, 3), np.uint8)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["images"], file["labels"] = images, np.arange(7) % 2
        file.create_dataset("other/faces", data=images[::-1], chunks=(2, 8, 8, 3), compression="gzip")
        file["other/note"] = "words"
    with h5py.File(tmp_path / "one.hdf5", "w") as file:
        file["points"] = np.zeros((5, 2), np.float64)
    data = open_data(str(tmp_path / "x.h5"))
    wanted = torch.from_numpy(images).permute(0, 3, 1, 2)
    assert torch.equal(data.column("image"), wanted)
    assert data.column("label").tolist() == [0, 1, 0, 1, 0, 1, 0]
    assert not (cache / "arrays").exists()  # mapped where it lies
    faces = open_data(f"{tmp_path}/x.h5:other/faces")
    assert torch.equal(faces.column("image"), wanted.flip(0))
    assert faces.spec.num_classes is None  # the labels lie in another group
    assert len([*(cache / "arrays").iterdir()]) == 1
    assert len(open_data(f"{tmp_path}/x.h5:other/faces:train")) == 6
    assert open_data(str(tmp_path / "one.hdf5")).spec.shape == (2,)


def test_hdf5_files_that_cannot_be_used(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "two.h5", "w") as file:
        file["a"], file["b"] = np.zeros((3, 8, 8), np.uint8), np.zeros((3, 8, 8), np.uint8)
    with h5py.File(tmp_path / "none.h5", "w") as file:
        file["a"] = 1.0
    (tmp_path / "torn.h5").write_bytes((tmp_path / "two.h5").read_bytes()[:100])
    for name, words in (
        ("two.h5", r"holds the arrays a, b; .*Name one behind the path: two\.h5:a\."),
        ("none.h5", "holds the arrays none"),
        ("torn.h5", "cannot be read as an HDF5 file"),
    ):
        with pytest.raises(DataError, match=words):
            open_data(str(tmp_path / name))
    with pytest.raises(UsageError, match="holds no array 'aa'"):
        open_data(f"{tmp_path}/two.h5:aa")
    with pytest.raises(DataError, match="There is no folder or file"):
        open_data(f"{tmp_path}/gone.h5:a")


# -- IDX ---------------------------------------------------------------------------------------------------------------------------------


def idx(values: np.ndarray) -> bytes:
    return bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()


def test_idx_files_by_path(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (6, 8, 8), np.uint8)
    labels = np.array([1, 0, 2, 1, 0, 2], np.uint8)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(labels))
    data = open_data(str(tmp_path / "train-images-idx3-ubyte.gz"))
    assert torch.equal(data.column("image")[:, 0], torch.from_numpy(images))
    assert data.column("label").tolist() == labels.tolist()
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx(images[:2]))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(labels[:2]))
    assert len(open_data(str(tmp_path))) == 8
    assert torch.equal(open_data(f"{tmp_path}:test").column("image")[:, 0], torch.from_numpy(images[:2]))
    (tmp_path / "alone.idx3").write_bytes(idx(images))
    assert open_data(str(tmp_path / "alone.idx3")).spec.num_classes is None


def test_idx_files_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "x-images-idx3-ubyte").write_bytes(idx(np.zeros((4, 8, 8), np.uint8)))
    (tmp_path / "x-labels-idx1-ubyte").write_bytes(idx(np.zeros(3, np.uint8)))
    (tmp_path / "y.idx3").write_bytes(b"no header")
    with pytest.raises(DataError, match="holds 4 images and .* 3 labels"):
        open_data(str(tmp_path / "x-images-idx3-ubyte"))
    with pytest.raises(DataError, match="is no IDX file of unsigned bytes"):
        open_data(str(tmp_path / "y.idx3"))
