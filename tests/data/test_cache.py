"""The pack of a decoded folder: the second start is instant, and a damaged or half-written one does no harm."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from saddlepoint.data import folder as folder_module
from saddlepoint.data import images as images_module
from saddlepoint.data.sources import open_data
from saddlepoint.errors import StorageError

MakeImages = Callable[..., list[Path]]  # of the fixture make_images


def packs(cache: Path) -> list[Path]:
    return sorted((cache / "images").iterdir())


def count_decodes(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    decoded: list[Path] = []
    decode = images_module.decode

    def counted(path: Path, resolution: int | None, channels: int) -> np.ndarray:
        decoded.append(path)
        return decode(path, resolution, channels)

    monkeypatch.setattr(folder_module, "decode", counted)
    return decoded


def test_the_second_start_decodes_nothing(tmp_path: Path, cache: Path, make_images: MakeImages, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = count_decodes(monkeypatch)
    make_images(tmp_path / "a", 3)
    make_images(tmp_path / "b", 3, seed=1)
    first = open_data(str(tmp_path), resolution=8)
    assert len(decoded) == 6
    again = open_data(str(tmp_path), resolution=8)
    assert len(decoded) == 6
    assert again.spec == first.spec
    assert again.names == first.names
    for field in ("image", "label"):
        assert torch.equal(again.column(field), first.column(field))
    assert len(packs(cache)) == 1
    assert sorted(file.name for file in packs(cache)[0].iterdir()) == ["images.bin", "pack.json"]


def test_what_changes_is_decoded_again(tmp_path: Path, cache: Path, make_images: MakeImages) -> None:
    paths = make_images(tmp_path, 3)
    first = open_data(str(tmp_path))
    smaller = open_data(str(tmp_path), resolution=8)
    grey = open_data(str(tmp_path), channels=1)
    os.utime(paths[0], (1, 1))  # touched, the same content
    touched = open_data(str(tmp_path))
    Image.new("RGB", (16, 16), "red").save(paths[0])
    changed = open_data(str(tmp_path))
    paths[1].rename(tmp_path / "zebra.png")
    renamed = open_data(str(tmp_path))
    hashes = [data.spec.content_hash for data in (first, smaller, grey, touched, changed)]
    assert hashes[3] == hashes[0]
    assert len(set(hashes)) == 4
    assert changed.records(torch.tensor([0]))["image"][0, :, 0, 0].tolist() == [255, 0, 0]
    assert "zebra.png" in renamed.names
    assert len(packs(cache)) == 6


def test_the_hash_is_of_labels_too(tmp_path: Path, make_images: MakeImages) -> None:
    make_images(tmp_path / "x" / "a", 2)
    make_images(tmp_path / "x" / "b", 2)
    make_images(tmp_path / "y" / "a", 3)
    Image.open(tmp_path / "x" / "b" / "0000.png").save(tmp_path / "y" / "a" / "0002.png")
    make_images(tmp_path / "y" / "b", 2)
    (tmp_path / "y" / "b" / "0000.png").unlink()
    x, y = open_data(str(tmp_path / "x")), open_data(str(tmp_path / "y"))
    assert torch.equal(x.column("image"), y.column("image"))
    assert x.spec.content_hash != y.spec.content_hash


@pytest.mark.parametrize("damage", ["truncated", "no index", "foreign index", "other format"])
def test_a_damaged_pack_is_made_again(tmp_path: Path, cache: Path, make_images: MakeImages, damage: str) -> None:
    make_images(tmp_path, 3)
    first = open_data(str(tmp_path)).column("image").clone()
    pack = packs(cache)[0]
    if damage == "truncated":
        (pack / "images.bin").write_bytes((pack / "images.bin").read_bytes()[:-1])
    elif damage == "no index":
        (pack / "pack.json").unlink()
    elif damage == "foreign index":
        (pack / "pack.json").write_text('{"shape": 3}')
    else:
        index = json.loads((pack / "pack.json").read_text())
        (pack / "pack.json").write_text(json.dumps(index | {"format": 99}))
    assert torch.equal(open_data(str(tmp_path)).column("image"), first)
    assert len(packs(cache)) == 1


def test_an_interrupted_start_leaves_nothing(tmp_path: Path, cache: Path, make_images: MakeImages, monkeypatch: pytest.MonkeyPatch) -> None:
    make_images(tmp_path, 3)

    def interrupt(path: Path, resolution: int | None, channels: int) -> np.ndarray:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(folder_module, "decode", interrupt)
        with pytest.raises(MemoryError):
            open_data(str(tmp_path))
    assert packs(cache) == []
    assert len(open_data(str(tmp_path))) == 3


def test_a_cache_that_cannot_be_written_is_a_storage_error(tmp_path: Path, make_images: MakeImages, monkeypatch: pytest.MonkeyPatch) -> None:
    make_images(tmp_path / "images", 2)
    (tmp_path / "file").touch()
    monkeypatch.setenv("SADDLEPOINT_CACHE", str(tmp_path / "file"))
    with pytest.raises(StorageError, match="Cannot write the decoded images to .* set SADDLEPOINT_CACHE") as caught:
        open_data(str(tmp_path / "images"))
    assert caught.value.exit_code == 5


def test_a_pack_finished_by_another_process_is_used(tmp_path: Path, cache: Path, make_images: MakeImages, monkeypatch: pytest.MonkeyPatch) -> None:
    make_images(tmp_path, 2)
    decode = images_module.decode
    raced: list[bool] = []

    def race(path: Path, resolution: int | None, channels: int) -> np.ndarray:
        if not raced:
            raced.append(True)
            open_data(str(tmp_path))
        return decode(path, resolution, channels)

    monkeypatch.setattr(folder_module, "decode", race)
    assert len(open_data(str(tmp_path))) == 2
    assert len(packs(cache)) == 1


def test_the_images_stay_in_the_file(tmp_path: Path, make_images: MakeImages, cache: Path) -> None:
    make_images(tmp_path, 2)
    data = open_data(str(tmp_path))
    before = (packs(cache)[0] / "images.bin").read_bytes()
    data.column("image").fill_(0)  # even a write to the mapped tensor
    assert (packs(cache)[0] / "images.bin").read_bytes() == before


def test_the_split_of_a_folder_moves_with_it(tmp_path: Path, make_images: MakeImages) -> None:
    make_images(tmp_path / "here" / "photos", 20)
    (tmp_path / "there").mkdir()
    test = open_data(f"{tmp_path}/here/photos:test")
    (tmp_path / "here" / "photos").rename(tmp_path / "there" / "photos")
    moved = open_data(f"{tmp_path}/there/photos/:test")
    assert len(test) == 2
    assert test.names == moved.names
    assert test.spec.content_hash == moved.spec.content_hash


def test_a_folder_that_ends_like_a_part(tmp_path: Path, make_images: MakeImages) -> None:
    make_images(tmp_path / "odd:test", 3)
    assert len(open_data(f"{tmp_path}/odd:test")) == 3


def test_a_thousand_files_open_again_at_once(tmp_path: Path, make_images: MakeImages) -> None:
    make_images(tmp_path, 1000, size=(8, 8))
    open_data(str(tmp_path))
    start = time.process_time()
    open_data(str(tmp_path))
    assert time.process_time() - start < 0.5
