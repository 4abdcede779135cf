"""What stands beside images, and images inside archives."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from pathlib import Path

import pytest
import torch
from PIL import Image

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.sources import open_data
from saddlepoint.errors import DataError

NAMES = ["a.png", "b.png", "c.png"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SADDLEPOINT_CACHE", str(tmp_path / "cache"))


def png(red: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (red, 50, 90)).save(buffer, "png")
    return buffer.getvalue()


def folder(root: Path, **texts: str) -> str:
    root.mkdir()
    for red, name in enumerate(NAMES):
        (root / name).write_bytes(png(red))
    for name, text in texts.items():
        (root / name.replace("_", ".")).write_text(text, encoding="utf-8")
    return str(root)


def reds(data: ArrayDataset) -> list[int]:
    return data.records(torch.arange(len(data)))["image"][:, 0, 0, 0].tolist()


# -- beside a folder ---------------------------------------------------------------------------------------------------------------------


def test_a_table_gives_classes_attributes_and_captions(tmp_path: Path) -> None:
    text = "file_name,label,caption,size,weight,maker\nb.png,cat,a b,1,0.5,me\na.png,dog,an a,2,-1,you\nc.png,cat,a c,3,0,me\n"
    data = open_data(folder(tmp_path / "set", metadata_csv=text))
    assert data.spec.class_names == ("cat", "dog")
    rows = data.records(torch.arange(3))
    assert rows["label"].tolist() == [1, 0, 0]
    assert rows["attributes"].tolist() == [[2.0, -1.0], [1.0, 0.5], [3.0, 0.0]]
    assert data.spec.shapes == {"attributes": (2,)}
    assert (data.attribute_names, data.captions) == (("size", "weight"), ("an a", "a b", "a c"))
    assert any("maker" in note for note in data.notes)
    part = data.part(torch.tensor([2, 0]), "some")
    assert part.captions == ("a c", "an a")
    again = open_data(str(tmp_path / "set"))  # from the pack
    assert again.spec == data.spec
    (tmp_path / "set" / "metadata.csv").write_text(text.replace("cat", "cow"), encoding="utf-8")
    assert open_data(str(tmp_path / "set")).spec.class_names == ("cow", "dog")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("metadata_jsonl", "\n".join(json.dumps({"file": name, "class": k}) for k, name in enumerate(NAMES))),
        ("metadata_json", json.dumps([{"path": name, "label": str(k)} for k, name in enumerate(NAMES)])),
        ("metadata_json", json.dumps({name: k for k, name in enumerate(NAMES)})),
        ("dataset_json", json.dumps({"labels": [[name, k] for k, name in enumerate(NAMES)]})),
    ],
)
def test_other_tables(name: str, text: str, tmp_path: Path) -> None:
    data = open_data(folder(tmp_path / "set", **{name: text}))
    assert data.column("label").tolist() == [0, 1, 2]
    assert data.spec.class_names == ("0", "1", "2")


def test_stylegan_vectors_are_attributes_and_its_null_is_nothing(tmp_path: Path) -> None:
    vectors = json.dumps({"labels": {name: [k, 0.5] for k, name in enumerate(NAMES)}})
    assert open_data(folder(tmp_path / "vectors", dataset_json=vectors)).column("attributes").tolist() == [[0, 0.5], [1, 0.5], [2, 0.5]]
    assert open_data(folder(tmp_path / "null", dataset_json='{"labels": null}')).spec.fields == ("image",)


def test_a_text_beside_each_image_is_its_caption(tmp_path: Path) -> None:
    data = open_data(folder(tmp_path / "set", a_txt="the first\n", b_txt="the second", c_txt="the third"))
    assert data.captions == ("the first", "the second", "the third")
    assert data.spec.num_classes is None


def test_files_that_a_table_names_in_vain_are_noted(tmp_path: Path) -> None:
    rows = [*NAMES, "gone.png", "lost.png"]
    data = open_data(folder(tmp_path / "set", metadata_csv="file,label\n" + "".join(f"{name},0\n" for name in rows)))
    assert "names 2 files that are not there: gone.png, lost.png." in data.notes[-1]
    assert len(data) == 3


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("metadata_csv", "file,label\na.png,0\n", "2 of 3 images have no row in"),
        ("metadata_csv", "file,label\na.png,0\na.png,1\nb.png,0\nc.png,0\n", "gives a.png two different rows"),
        ("metadata_csv", "picture,label\na.png,0\n", "has the columns picture, label; one must name the file"),
        ("metadata_csv", "file,label\na.png,-1\nb.png,0\nc.png,1.5\n", "2 labels in"),
        ("metadata_csv", "file,label\na.png,cat\nb.png,\nc.png,dog\n", "1 of 3 labels in"),
        ("metadata_csv", "file,label\n", "has no rows"),
        ("metadata_json", "{", "cannot be read"),
        ("metadata_json", "7", "must be a list of rows"),
        ("dataset_json", '{"names": []}', "is not as StyleGAN writes it"),
        ("dataset_json", '{"labels": [["a.png", [1]], ["b.png", [1, 2]]]}', "labels of 2 different lengths"),
    ],
)
def test_tables_that_cannot_be_used(name: str, text: str, words: str, tmp_path: Path) -> None:
    place = folder(tmp_path / "set", **{name: text})
    with pytest.raises(DataError) as found:
        open_data(place)
    assert words in str(found.value)
    assert "\n" not in str(found.value)


def test_text_that_is_not_utf8(tmp_path: Path) -> None:
    place = folder(tmp_path / "set")
    (tmp_path / "set" / "metadata.csv").write_bytes("file,label\na.png,Stra\xdfe\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"metadata\.csv is not UTF-8 text"):
        open_data(place)


# -- in archives -------------------------------------------------------------------------------------------------------------------------


def zipped(path: Path, files: dict[str, bytes]) -> str:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return str(path)


def test_stylegan_zip(tmp_path: Path) -> None:
    files = {f"00000/img{k:08d}.png": png(k) for k in range(4)}
    labels = {"labels": [[name, k % 2] for k, name in enumerate(files)]}
    place = zipped(tmp_path / "set.zip", files | {"dataset.json": json.dumps(labels).encode()})
    for _ in range(2):  # the second time from the pack
        data = open_data(place)
        assert reds(data) == [0, 1, 2, 3]
        assert data.column("label").tolist() == [0, 1, 0, 1]
    assert open_data(place, resolution=4).spec.shape == (3, 4, 4)
    nothing = zipped(tmp_path / "null.zip", {f"0000{k}/x{k}.png": png(k) for k in range(2)} | {"dataset.json": b'{"labels": null}'})
    assert open_data(nothing).spec.num_classes is None  # its folders are no classes


def test_folders_in_a_zip_are_classes(tmp_path: Path) -> None:
    data = open_data(zipped(tmp_path / "set.zip", {"dog/x.png": png(0), "cat/y.png": png(1), "__MACOSX/z.png": b"", "cat/.h.png": b""}))
    assert data.spec.class_names == ("cat", "dog")
    assert reds(data) == [1, 0]


def test_a_changed_zip_is_read_again(tmp_path: Path) -> None:
    place = zipped(tmp_path / "set.zip", {"x.png": png(0), "y.png": png(1)})
    assert reds(open_data(place)) == [0, 1]
    zipped(tmp_path / "set.zip", {"x.png": png(7), "y.png": png(1)})
    assert reds(open_data(place)) == [7, 1]


def shard(path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def test_webdataset_shards(tmp_path: Path) -> None:
    root = tmp_path / "shards"
    root.mkdir()
    for s in range(2):
        beside = [{f"{k:03d}.png": png(10 * s + k), f"{k:03d}.cls": str(k).encode(), f"{k:03d}.txt": f"no. {k}".encode()} for k in range(3)]
        shard(root / f"train-{s:03d}.tar", {name: content for files in beside for name, content in files.items()})
    data = open_data(str(root))
    assert reds(data) == [0, 1, 2, 10, 11, 12]
    assert data.column("label").tolist() == [0, 1, 2, 0, 1, 2]
    assert data.captions[4] == "no. 1"
    one = open_data(str(root / "train-001.tar"))
    assert reds(one) == [10, 11, 12]
    assert reds(open_data(str(root))) == reds(data)  # from the pack


def test_numbers_in_a_shards_json_are_attributes(tmp_path: Path) -> None:
    files = {}
    for k in range(2):
        files |= {f"{k}.jpg.png": png(k), f"{k}.json": json.dumps({"label": k, "caption": f"no. {k}", "width": k + 1, "height": 2}).encode()}
    shard(tmp_path / "x.tar", {name.replace(".jpg.png", ".png"): content for name, content in files.items()})
    data = open_data(str(tmp_path / "x.tar"))
    assert data.attribute_names == ("height", "width")
    assert data.column("attributes").tolist() == [[2, 1], [2, 2]]
    assert data.captions == ("no. 0", "no. 1")


def test_archives_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "torn.zip").write_bytes(b"PK torn")
    (tmp_path / "torn.tar").write_bytes(b"torn" * 200)
    zipped(tmp_path / "slip.zip", {"../outside.png": png(0), "x.png": png(1)})
    zipped(tmp_path / "empty.zip", {"read.me": b"nothing"})
    zipped(tmp_path / "broken.zip", {"x.png": png(0), "y.png": b"no image", "z.png": b"", "w.png": png(3)})
    shard(tmp_path / "empty.tar", {"x.txt": b"nothing"})
    shard(tmp_path / "mixed.tar", {"0.png": png(0), "0.cls": b"1", "1.png": png(1)})
    for name, words in (
        ("torn.zip", "cannot be read as a zip file"),
        ("torn.tar", "cannot be read as an uncompressed tar file"),
        ("slip.zip", "names files outside of itself, such as ../outside.png"),
        ("empty.zip", "holds no images"),
        ("broken.zip", "2 of the 4 image files in"),
        ("empty.tar", "holds no images: its 1 tar file(s) have none"),
        ("mixed.tar", "1 of 2 images in"),
    ):
        with pytest.raises(DataError) as found:
            open_data(str(tmp_path / name))
        assert words in str(found.value), name
        assert "\n" not in str(found.value)


def test_an_image_bomb_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    import struct
    import zlib

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    place = folder(tmp_path / "set")
    for name in ("d.png", "e.png"):
        (tmp_path / "set" / name).write_bytes(bomb)
    with pytest.raises(DataError) as found:
        open_data(place)
    assert "2 of the 5 image files" in str(found.value)
    assert "exceeds limit" in str(found.value)
