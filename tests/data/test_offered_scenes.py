"""Photographs, furniture and a street that are fetched, from small packages made here."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from saddlepoint.data.offered_scenes import CATALOGUES, CROP, FRAMES, WINDOW, build_street, crops, walkers
from saddlepoint.data.offers import OFFERS, get
from saddlepoint.data.sources import open_data
from saddlepoint.errors import DataError

FACES = ("1 4 3 2", "5 6 7 8", "1 2 6 5", "2 3 7 6", "3 4 8 7", "4 1 5 8")


def block(high: float) -> str:
    """A box on a floor of 1 by 1, as OBJ."""
    corners = [(x, y, z) for z in (0, 1) for x, y in ((0, 0), (1, 0), (1, high), (0, high))]
    return "".join(f"v {x} {y} {z}\n" for x, y, z in corners) + "".join(f"f {face}\n" for face in FACES)


def fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, contents: dict[str, bytes]) -> Path:
    """The set of an offer, made of a package with these contents."""
    path = tmp_path / f"{name}.tgz"
    with tarfile.open(path, "w:gz") as archive:
        for member, data in contents.items():
            info = tarfile.TarInfo(member)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    package = dataclasses.replace(OFFERS[name].package, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    monkeypatch.setitem(OFFERS, name, dataclasses.replace(OFFERS[name], package=package))
    return get(name, source=path)


def photograph(seed: int, width: int, height: int) -> bytes:
    """Noise on the left, nothing on the right."""
    pixels = np.full((height, width, 3), 128, np.uint8)
    pixels[:, : width // 2] = np.random.default_rng(seed).integers(0, 256, (height, width // 2, 3))
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "jpeg", quality=95)
    return buffer.getvalue()


def test_crops_are_of_what_is_sharp() -> None:
    with Image.open(io.BytesIO(photograph(0, 1024, 320))) as image:
        found = crops(image)
    assert [(top, left) for top, left, _ in found] == [(0, left) for left in (0, 64, 128, 192)]
    assert found[0][2].shape == (3, CROP, CROP)


def test_photographs_are_not_in_both_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("Dragonfly_by_Bolly", "Picture_1A_by_freespace")
    fetched(tmp_path, monkeypatch, "photos", {f"./usr/share/backgrounds/{name}.jpg": photograph(i, 512, 256) for i, name in enumerate(names)})
    data, train, test = open_data("photos"), open_data("photos:train"), open_data("photos:test")
    assert data.spec.class_names == names
    assert (set(train.column("label").tolist()), set(test.column("label").tolist())) == ({0}, {1})
    assert len(train) + len(test) == len(data) > 1
    assert open_data("photos", resolution=32).records(torch.arange(2))["image"].shape == (2, 3, 32, 32)


def catalogue(name: str) -> bytes:
    """Two cubes, one of them flat, each with a picture."""
    buffer, lines = io.BytesIO(), []
    with zipfile.ZipFile(buffer, "w") as archive:
        for number, high in ((1, 1.0), (2, 0.25)):
            lines += [
                f"name#{number}={name} {number}",
                f"category#{number}=Kind {number}",
                f"model#{number}=/m/{number}.obj",
                f"icon#{number}=/i/{number}.png",
            ]
            archive.writestr(f"m/{number}.obj", block(high))
            picture = io.BytesIO()
            Image.new("RGB", (128, 128), (10 * number, 0, 0)).save(picture, "png")
            archive.writestr(f"i/{number}.png", picture.getvalue())
        archive.writestr("PluginFurnitureCatalog.properties", "\n".join(lines))
    return buffer.getvalue()


def test_furniture_is_voxels_with_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = {f"./usr/share/sweethome3d/furniture/{name}.sh3f": catalogue(name) for name in CATALOGUES}
    place = fetched(tmp_path, monkeypatch, "furniture", contents)
    assert {path.stem for path in place.glob("*.sh3f")} == set(CATALOGUES)
    data = open_data("furniture", resolution=8)
    rows = data.records(torch.arange(10))
    assert data.spec.class_names == ("Kind 1", "Kind 2")
    assert rows["label"].tolist() == [0, 1] * 5
    assert (rows["volume"].shape, rows["image"].shape) == ((10, 1, 8, 8, 8), (10, 3, 128, 128))
    assert rows["volume"].dtype == torch.float32
    assert rows["volume"][0].sum() > 2 * rows["volume"][1].sum() > 0
    assert open_data("furniture").spec.shape == (1, 32, 32, 32)


def test_a_walker_is_found_and_the_empty_street_is_not() -> None:
    empty = torch.full((192, 256), 100.0)
    frames = empty.repeat(FRAMES, 1, 1)
    assert walkers(frames, empty) == []
    for t in range(FRAMES):
        frames[t, 64:128, 76 + 3 * t : 96 + 3 * t] = 200.0
    ((top, left),) = walkers(frames, empty)
    assert (top, left) == (64, 80)


def test_clips_of_a_street(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    av = pytest.importorskip("av")
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="avi") as video:
        stream = video.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 256, 192, "yuv420p"
        for t in range(120):
            pixels = np.full((192, 256, 3), 100, np.uint8)
            left = (5 * t) % 250
            pixels[64:128, left : left + 20] = 220
            video.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        video.mux(stream.encode())
    fetched(tmp_path, monkeypatch, "street", {"./usr/share/doc/opencv-doc/examples/data/vtest.avi": buffer.getvalue()})
    data = open_data("street")
    rows = data.records(torch.arange(len(data)))
    assert rows["frames"].shape[1:] == (FRAMES, 3, WINDOW, WINDOW)
    assert torch.equal(rows["image"], rows["frames"][:, 0])
    first = [{int(name.split()[0]) for name in open_data(f"street:{part}").names} for part in ("train", "test")]
    assert max(first[0]) + FRAMES <= min(first[1])
    small = open_data("street", resolution=32, channels=1)
    assert small.records(torch.arange(2))["frames"].shape == (2, FRAMES, 1, 32, 32)
    assert small.spec.shapes == {"frames": (FRAMES, 1, 32, 32)}


def test_a_video_without_its_reader_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(DataError, match=r"PyAV, which is not installed: pip install 'saddlepoint\[video\]'"):
        build_street(tmp_path / "any", tmp_path, None)
