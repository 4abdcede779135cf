"""Public sets, from small files in the originals' formats: read as they are, split as their authors did, and asked for in one line when missing."""

from __future__ import annotations

import gzip
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from saddlepoint.data.idx import read_idx
from saddlepoint.data.sources import open_data
from saddlepoint.errors import DataError

torchvision_datasets = pytest.importorskip("torchvision.datasets")
RNG = np.random.default_rng(0)


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.astype(np.uint8).tobytes()


def write_mnist(folder: Path, *, zipped: bool) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    folder.mkdir(parents=True, exist_ok=True)
    made = {}
    for part, count in (("train", 30), ("t10k", 10)):
        images, labels = RNG.integers(0, 256, (count, 28, 28), np.uint8), np.arange(count) % 10
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            data = idx(array)
            (folder / f"{part}-{kind}-ubyte{'.gz' if zipped else ''}").write_bytes(gzip.compress(data) if zipped else data)
        made[part] = (images, labels)
    return made


@pytest.mark.parametrize(("name", "place"), [("mnist", "MNIST/raw"), ("fashion-mnist", "FashionMNIST/raw"), ("mnist", ".")])
@pytest.mark.parametrize("zipped", [True, False])
def test_mnist_from_torchvisions_folder_or_from_its_files(tmp_path: Path, name: str, place: str, zipped: bool) -> None:
    made = write_mnist(tmp_path / place, zipped=zipped)
    whole, train, test = (open_data(name + part, root=tmp_path) for part in ("", ":train", ":test"))
    assert (len(whole), len(train), len(test)) == (40, 30, 10)
    assert np.array_equal(train.column("image")[:, 0].numpy(), made["train"][0])
    assert np.array_equal(test.column("image")[:, 0].numpy(), made["t10k"][0])
    assert test.column("label").tolist() == made["t10k"][1].tolist()
    assert open_data(name, root=tmp_path, resolution=32).column("image")[..., :2, :].sum() == 0


def test_cifar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind, folder, key, names in (("CIFAR10", "cifar-10-batches-py", "labels", 10), ("CIFAR100", "cifar-100-python", "fine_labels", 100)):
        class_of = getattr(torchvision_datasets, kind)
        monkeypatch.setattr(class_of, "_check_integrity", lambda self: True)
        monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda path, md5: True)
        (tmp_path / folder).mkdir()
        pixels = RNG.integers(0, 256, (4, 3072), np.uint8)
        for file, _ in class_of.train_list + class_of.test_list:
            (tmp_path / folder / file).write_bytes(pickle.dumps({"data": pixels, key: [3, 1, 0, 2]}))
        meta = class_of.meta
        (tmp_path / folder / meta["filename"]).write_bytes(pickle.dumps({meta["key"]: [f"class {k}" for k in range(names)]}))
        name = kind.lower()
        whole, train = open_data(name, root=tmp_path), open_data(f"{name}:train", root=tmp_path)
        assert len(train) == 4 * len(class_of.train_list)
        assert len(whole) == len(train) + 4
        assert np.array_equal(whole.column("image")[0].flatten().numpy(), pixels[0])
        assert whole.column("label")[:4].tolist() == [3, 1, 0, 2]
        assert whole.spec.num_classes == names


def test_svhn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from scipy.io import savemat

    monkeypatch.setattr("torchvision.datasets.svhn.check_integrity", lambda path, md5: True)
    monkeypatch.setattr("torchvision.datasets.SVHN._check_integrity", lambda self: True)
    pixels = RNG.integers(0, 256, (32, 32, 3, 6), np.uint8)
    for split in ("train", "test"):
        savemat(tmp_path / f"{split}_32x32.mat", {"X": pixels, "y": np.array([[10], [1], [2], [3], [9], [5]])})
    data = open_data("svhn:test", root=tmp_path)
    assert data.column("label").tolist() == [0, 1, 2, 3, 9, 5]  # the original writes 10 for zero
    assert np.array_equal(data.column("image")[4].numpy(), pixels[..., 4].transpose(2, 0, 1))


def write_celeba(root: Path, count: int = 8) -> None:
    folder = root / "celeba"
    (folder / "img_align_celeba").mkdir(parents=True)
    names = [f"{i + 1:06d}.jpg" for i in range(count)]
    for i, name in enumerate(names):
        Image.new("RGB", (178, 218), (30 * i, 0, 0)).save(folder / "img_align_celeba" / name)
    lines = {
        "list_eval_partition.txt": [f"{name} {i % 3}" for i, name in enumerate(names)],
        "identity_CelebA.txt": [f"{name} 1" for name in names],
        "list_bbox_celeba.txt": [str(count), "image_id x_1 y_1 width height", *(f"{name} 1 2 3 4" for name in names)],
        "list_landmarks_align_celeba.txt": [str(count), "a b", *(f"{name} 1 2" for name in names)],
        "list_attr_celeba.txt": [str(count), "Smiling Young ", *(f"{name} {1 if i % 2 else -1}  1" for i, name in enumerate(names))],
    }
    for name, content in lines.items():
        (folder / name).write_text("\n".join(content) + "\n")


def test_celeba(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchvision.datasets.celeba.check_integrity", lambda path, md5: True)
    write_celeba(tmp_path)
    data = open_data("celeba", root=tmp_path, resolution=16)
    assert data.spec.shape == (3, 16, 16)
    assert data.spec.fields == ("image", "attributes")
    assert data.attribute_names == ("Smiling", "Young")
    assert data.column("attributes").tolist() == [[i % 2, 1] for i in range(8)]
    assert open_data("celeba:train", root=tmp_path, resolution=16).names == ("000001.jpg", "000004.jpg", "000007.jpg")
    assert open_data("celeba:test", root=tmp_path, resolution=16).names == ("000003.jpg", "000006.jpg")
    (tmp_path / "celeba" / "img_align_celeba" / "000003.jpg").write_bytes(b"broken")
    thinned = open_data("celeba", root=tmp_path, resolution=16)
    assert thinned.column("attributes")[:, 0].tolist() == [0, 1, 1, 0, 1, 0, 1]
    assert open_data("celeba:test", root=tmp_path, resolution=16).names == ("000006.jpg",)
    with pytest.raises(DataError, match="are 178x218 pixels, not square"):
        open_data("celeba", root=tmp_path)


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "cifar10", "cifar100", "svhn", "celeba"])
def test_a_missing_set_is_asked_for_in_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=rf"{name} is not in .* Fetch it once with: saddlepoint data get {name} --root .*none\. If you") as caught:
        open_data(name, root=tmp_path / "none")
    assert "\n" not in str(caught.value)


def test_the_usual_place_is_the_cache(cache: Path) -> None:
    write_mnist(cache / "torchvision" / "MNIST" / "raw", zipped=False)
    assert len(open_data("mnist")) == 40


def test_damaged_idx_files_are_refused(tmp_path: Path) -> None:
    write_mnist(tmp_path, zipped=True)
    file = tmp_path / "train-images-idx3-ubyte.gz"
    whole = file.read_bytes()
    file.write_bytes(whole[:-100])
    with pytest.raises(DataError, match="is a damaged gzip file"):
        open_data("mnist", root=tmp_path)
    file.write_bytes(gzip.compress(gzip.decompress(whole)[:-1]))
    with pytest.raises(DataError, match=r"should hold 23520 values \(30x28x28\), it holds 23519"):
        open_data("mnist", root=tmp_path)
    for raw in (b"", b"\0\0\x0d\1\0\0\0\0", b"not idx at all"):
        with pytest.raises(DataError, match="no IDX file of unsigned bytes"):
            read_idx(raw)


def test_idx_of_any_rank() -> None:
    for shape in ((7,), (2, 3), (2, 3, 4), (0, 5)):
        array = RNG.integers(0, 256, shape, np.uint8)
        assert torch.equal(read_idx(idx(array)), torch.from_numpy(array))
