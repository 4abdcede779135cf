"""What users bring that cannot be used: each is one line that names it, and the rest goes on where that is safe."""

from __future__ import annotations

import io
import json
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saddlepoint.cli.main import main
from saddlepoint.data.check import check
from saddlepoint.data.sources import open_data
from saddlepoint.errors import DataError

Make = Callable[..., list[Path]]


def png(red: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (red, 50, 90)).save(buffer, "png")
    return buffer.getvalue()


def bomb() -> bytes:
    """A PNG file of 40,000 x 40,000 pixels, in a few hundred bytes."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def tar(path: Path, files: dict[str, bytes], links: dict[str, str] | None = None) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
    return path


def refusal(place: Path | str) -> str:
    with pytest.raises(DataError) as found:
        open_data(str(place))
    assert "\n" not in str(found.value)
    return str(found.value)


# -- folders -----------------------------------------------------------------------------------------------------------------------------


def test_a_folder_or_file_that_may_not_be_read(
    tmp_path: Path, make_images: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_images(tmp_path / "set" / "a", 3)
    make_images(tmp_path / "set" / "b", 3)
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "set")  # the superuser may read everything
    assert "set cannot be read: it is there, but not for you" in refusal(tmp_path / "set")
    assert main(["data", "convert", str(tmp_path / "set"), str(tmp_path / "out")]) == 3
    assert "cannot be read" in capsys.readouterr().err
    monkeypatch.undo()
    scandir = os.scandir

    def closed(path: str) -> object:
        if Path(path).name == "b":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    told = refusal(tmp_path / "set")  # a class that is silently left out would change the labels
    assert "1 folders in" in told
    assert "b (Permission denied)" in told


def test_an_image_that_may_not_be_read_is_skipped_and_told(tmp_path: Path, make_images: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    make_images(tmp_path / "set", 5)
    opened = Image.open

    def closed(path: object, *more: object) -> object:
        if Path(str(path)).name == "0002.png":
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(Image, "open", closed)
    data = open_data(str(tmp_path / "set"))
    assert len(data) == 4
    assert "0002.png" in data.notes[0]
    assert "Permission denied" in data.notes[0]


def test_links_that_lead_outside_a_folder_are_told(tmp_path: Path, make_images: Make) -> None:
    make_images(tmp_path / "set", 3)
    make_images(tmp_path / "elsewhere" / "more", 2, seed=1)
    assert open_data(str(tmp_path / "set")).notes == ()
    (tmp_path / "set" / "one.png").symlink_to(tmp_path / "elsewhere" / "more" / "0000.png")
    (tmp_path / "set" / "own.png").symlink_to(tmp_path / "set" / "0000.png")
    data = open_data(str(tmp_path / "set"))
    assert len(data) == 5
    assert data.notes == (f"1 of the 5 images in {tmp_path / 'set'} are links to places outside of it: one.png.",)
    for name in ("0000.png", "0001.png", "0002.png", "one.png", "own.png"):
        (tmp_path / "set" / name).unlink()
    (tmp_path / "set" / "more").symlink_to(tmp_path / "elsewhere" / "more")
    assert "2 of the 2 images" in open_data(str(tmp_path / "set")).notes[0]


# -- files of nothing --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["x.npy", "x.npz", "x.zip", "x.tar", "x.parquet", "x.arrow", "x.h5", "x-images-idx3-ubyte", "x-images-idx3-ubyte.gz"]
)
def test_an_empty_file_of_every_kind_is_one_line(name: str, tmp_path: Path) -> None:
    if name.endswith((".parquet", ".arrow")):
        pytest.importorskip("pyarrow")
    if name.endswith(".h5"):
        pytest.importorskip("h5py")
    (tmp_path / name).write_bytes(b"")
    assert name in refusal(tmp_path / name)


def test_an_empty_image_is_skipped_and_told(tmp_path: Path, make_images: Make) -> None:
    make_images(tmp_path / "set", 4)
    (tmp_path / "set" / "0001.png").write_bytes(b"")
    data = open_data(str(tmp_path / "set"))
    assert len(data) == 3
    assert "0001.png" in data.notes[0]


def test_an_empty_table_beside_images(tmp_path: Path, make_images: Make) -> None:
    make_images(tmp_path / "set", 3)
    for name in ("metadata.csv", "metadata.json", "metadata.jsonl", "dataset.json"):
        (tmp_path / "set" / name).write_bytes(b"")
        assert name in refusal(tmp_path / "set")
        (tmp_path / "set" / name).unlink()


# -- bombs -------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["folder", "zip", "tar", "stream", "parquet"])
def test_a_bomb_is_refused_before_it_is_decoded_wherever_it_lies(kind: str, tmp_path: Path) -> None:
    files = {f"{k}.png": png(k) for k in range(4)} | {"8.png": bomb(), "9.png": bomb()}
    place = tmp_path / f"x.{kind}" if kind not in ("folder", "stream") else tmp_path / "x.tar"
    if kind == "folder":
        place = tmp_path / "x"
        place.mkdir()
        for name, content in files.items():
            (place / name).write_bytes(content)
    elif kind == "zip":
        with zipfile.ZipFile(place, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
    elif kind == "parquet":
        pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        pq.write_table(pa.table({"image": [*files.values()]}), place)
    else:
        tar(place, files)
    told = refusal(f"stream:{place}" if kind == "stream" else place)
    assert "2 of the 6 image files" in told
    assert "exceeds limit" in told
    report = check(place)
    assert (report.readable, len(report.corrupt)) == (4, 2)
    assert all("exceeds limit" in reason for reason in report.corrupt.values())


# -- archives ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["../a.png", "/etc/a.png", "x/../../a.png"])
def test_archives_that_name_files_outside_are_refused(name: str, tmp_path: Path) -> None:
    tar(tmp_path / "x.tar", {"0.png": png(0), "1.png": png(1), name: png(2)})
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for each in ("0.png", "1.png", name):
            archive.writestr(each, png(3))
    for place in (tmp_path / "x.tar", tmp_path / "x.zip", f"stream:{tmp_path}/x.tar"):
        assert f"names files outside of itself, such as {name}" in refusal(place)


def test_links_in_archives_are_never_followed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "secret.png").write_bytes(png(200))
    tar(tmp_path / "x.tar", {"0.png": png(0), "1.png": png(1)}, {"2.png": str(tmp_path / "secret.png")})
    assert len(open_data(str(tmp_path / "x.tar"))) == 2
    assert "1 links in" in caplog.text
    link = zipfile.ZipInfo("2.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for k in range(2):
            archive.writestr(f"{k}.png", png(k))
        archive.writestr(link, str(tmp_path / "secret.png"))
    data = open_data(str(tmp_path / "x.zip"))
    assert len(data) == 2
    assert "2.png" in data.notes[0]


# -- tables and labels -------------------------------------------------------------------------------------------------------------------


def test_a_table_that_names_missing_files_says_how_many_and_goes_on(tmp_path: Path, make_images: Make) -> None:
    make_images(tmp_path / "set", 3)
    rows = [f"{k:04d}.png,{k % 2}" for k in range(7)]
    (tmp_path / "set" / "metadata.csv").write_text("\n".join(["file,label", *rows]))
    data = open_data(str(tmp_path / "set"))
    assert len(data) == 3
    assert "names 4 files that are not there: 0003.png, 0004.png, 0005.png, ..." in data.notes[-1]


def test_a_table_with_the_same_file_twice(tmp_path: Path, make_images: Make) -> None:
    make_images(tmp_path / "set", 2)
    rows = ["file,label", "0000.png,0", "0001.png,1", "0000.png,0"]
    (tmp_path / "set" / "metadata.csv").write_text("\n".join(rows))
    assert open_data(str(tmp_path / "set")).column("label").tolist() == [0, 1]  # twice the same is no harm
    (tmp_path / "set" / "metadata.csv").write_text("\n".join([*rows, "0000.png,1"]))
    assert "gives 0000.png two different rows. Keep one." in refusal(tmp_path / "set")


@pytest.mark.parametrize(
    ("labels", "words"), [([0, -1, 1], "1 labels in"), ([0, 1, 2.5], "are not whole numbers from 0 on, such as 2.5"), (["a", "", "b"], "are empty")]
)
def test_labels_outside_the_range_in_a_table(labels: list[object], words: str, tmp_path: Path, make_images: Make) -> None:
    make_images(tmp_path / "set", 3)
    (tmp_path / "set" / "dataset.json").write_text(json.dumps({"labels": [[f"{k:04d}.png", label] for k, label in enumerate(labels)]}))
    assert words in refusal(tmp_path / "set")


def test_labels_outside_the_range_in_arrays(tmp_path: Path) -> None:
    images = np.zeros((3, 8, 8), np.uint8)
    for labels in (np.array([0, -1, 1]), np.array([0.0, 1.0, 2.0]), np.array([0, 1])):
        np.savez(tmp_path / "x.npz", images=images, labels=labels)
        assert "labels must be 3 integers from 0 on, one a record" in refusal(tmp_path / "x.npz")


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl", "metadata.json", "0000.txt"])
def test_text_that_is_not_utf8_is_named_with_the_place(name: str, tmp_path: Path, make_images: Make) -> None:
    make_images(tmp_path / "set", 2)
    (tmp_path / "set" / name).write_bytes("file,caption\n0000.png,caf\u00e9\n".encode("latin-1"))
    told = refusal(tmp_path / "set")
    assert "is not UTF-8 text (byte 25). Save it as UTF-8" in told
