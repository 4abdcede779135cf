"""A look at image files before they are used, and data sets in other forms."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from saddlepoint import api
from saddlepoint.cli.main import main
from saddlepoint.data import converting, packed
from saddlepoint.data.check import check, lines_of
from saddlepoint.data.near import near_pairs
from saddlepoint.data.packed import open_packed, write_packed
from saddlepoint.data.sources import open_data
from saddlepoint.errors import DataError, StorageError, UsageError
from saddlepoint.training.plan import Plan


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SADDLEPOINT_CACHE", str(tmp_path / "cache"))


def noise(seed: int, size: tuple[int, int] = (40, 40)) -> Image.Image:
    small = np.random.default_rng(seed).integers(0, 255, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes, with one of everything that may be wrong."""
    root = tmp_path / "photos"
    (root / "cat").mkdir(parents=True)
    (root / "dog").mkdir()
    for k in range(8):
        noise(k).save(root / "cat" / f"{k}.png")
    noise(20, (80, 40)).save(root / "dog" / "wide.png")
    noise(21).convert("RGBA").save(root / "dog" / "clear.png")
    Image.fromarray(np.arange(1600, dtype=np.uint16).reshape(40, 40) * 40).save(root / "dog" / "deep.png")
    (root / "dog" / "copy.png").write_bytes((root / "cat" / "3.png").read_bytes())
    noise(5).save(root / "dog" / "like.jpg", quality=60)
    (root / "dog" / "torn.jpg").write_bytes((root / "dog" / "like.jpg").read_bytes()[:300])
    (root / "dog" / "empty.png").write_bytes(b"")
    return root


def test_a_check_tells_all(photos: Path) -> None:
    report = check(photos)
    assert (report.files, report.readable) == (15, 13)
    assert report.corrupt.keys() == {"dog/torn.jpg", "dog/empty.png"}
    assert report.corrupt["dog/empty.png"] == "empty file"
    assert report.sizes == {"40x40": 12, "80x40": 1}
    assert report.labels == {"cat": 8, "dog": 7}
    assert report.treatment["transparent: put on white"] == 1
    assert report.treatment["16 bits: brought to 8"] == 1
    assert report.treatment["cropped to the centred square"] == 1
    assert report.duplicates == [["cat/3.png", "dog/copy.png"]]
    assert ["cat/5.png", "dog/like.jpg"] in report.near_duplicates
    assert not any("cat/3.png" in pair and "cat/4.png" in pair for pair in report.near_duplicates)
    assert report.resolution == 32
    said = "\n".join(lines_of(report))
    assert "13 of 15 image files can be read" in said
    assert "1 files are copies of others" in said


def test_near_pairs_are_all_pairs_within_the_distance() -> None:
    rng = np.random.default_rng(0)
    bits = {str(k): int(rng.integers(0, 2**63)) for k in range(60)}
    for k in range(60, 120):  # flips of 0 to 7 bits of one before
        places = rng.choice(64, k % 8, replace=False)
        bits[str(k)] = bits[str(k - 60)] ^ sum(1 << int(place) for place in places)
    slow = [[a, b] for i, a in enumerate(bits) for b in [*bits][i + 1 :] if (bits[a] ^ bits[b]).bit_count() <= 4]
    assert sorted(near_pairs(bits)) == sorted(slow)
    assert len(slow) >= 30


def test_the_command_checks(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", str(photos), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["readable"] == 13
    assert main(["data", "check", str(photos)]) == 0
    assert "Up to --resolution 32" in capsys.readouterr().out


def test_archives_are_checked_too(photos: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for file in sorted(photos.rglob("*.png")):
            archive.write(file, str(file.relative_to(photos)))
    report = check(tmp_path / "x.zip")
    assert (report.files, report.readable) == (13, 12)
    assert report.labels == {"cat": 8, "dog": 5}
    for path, words in ((tmp_path / "none", "There is no folder or file"), (photos / "cat" / "1.png", "it is one image: point at the folder")):
        with pytest.raises(DataError, match=words):
            check(path)


def test_arrays_tables_and_named_sets_are_checked_too(tmp_path: Path) -> None:
    images = open_data("digits").column("image")[:40, 0].numpy().copy()
    images[7] = images[3]
    np.savez(tmp_path / "x.npz", images=images, labels=np.arange(40) % 4)
    report = check(tmp_path / "x.npz")
    assert (report.files, report.readable, report.sizes, report.modes) == (40, 40, {"8x8": 40}, {"L": 40})
    assert report.labels == {"0": 10, "1": 10, "2": 10, "3": 10}
    assert ["3", "7"] in report.duplicates
    np.save(tmp_path / "deep.npy", np.random.default_rng(0).random((5, 6, 16, 16), np.float32))
    assert check(tmp_path / "deep.npy").modes == {"6 channels of float32": 5}
    write_packed(open_data("digits"), tmp_path / "packed", "digits")
    assert check(tmp_path / "packed").files == 1797
    assert check("emoji:test").files == 191
    pq = pytest.importorskip("pyarrow.parquet")
    pa = pytest.importorskip("pyarrow")
    buffers = [io.BytesIO() for _ in range(4)]
    for k, buffer in enumerate(buffers):
        noise(k % 3).save(buffer, "png")
    pq.write_table(pa.table({"image": [b.getvalue() for b in buffers], "label": ["a", "b", "c", "a"]}), tmp_path / "x.parquet")
    report = check(tmp_path / "x.parquet")
    assert (report.labels, report.duplicates) == ({"a": 2, "b": 1, "c": 1}, [["x/00000000", "x/00000003"]])
    with pytest.raises(DataError, match=r"ring8 holds 100000 records of points data, shape \[2\]; expected images"):
        check("ring8")


def test_a_check_says_what_to_begin_with(photos: Path) -> None:
    report = api.check_data(photos)
    assert report["recipe"] == "diffaugment"
    assert report["command"] == f"saddlepoint train diffaugment --data {photos} --resolution 32 --out runs/first"
    assert report["lines"][-1].startswith("Begin with diffaugment")


# -- conversion --------------------------------------------------------------------------------------------------------------------------


def equal(a: Any, b: Any) -> bool:
    rows = torch.arange(len(a))
    one, other = a.records(rows), b.records(rows)
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("name", ["emoji", "ring8:test", "emoji-grey"])
def test_packed_data_are_the_same(name: str, tmp_path: Path) -> None:
    data = open_data(name, resolution=None if name.startswith("ring") else 16)
    out = write_packed(data, tmp_path / "out", name)
    again = open_data(str(out))
    assert equal(data, again)
    assert again.spec.content_hash == data.spec.content_hash
    assert (again.names, again.keywords, again.spec.shapes) == (data.names, data.keywords, data.spec.shapes)
    before = {file: file.stat().st_mtime_ns for file in out.iterdir()}
    write_packed(data, tmp_path / "out", name)
    assert {file: file.stat().st_mtime_ns for file in out.iterdir()} == before


def test_an_interrupted_conversion_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "PIECE", 20)
    data = open_data("digits", resolution=8)
    told: list[int] = []

    def show(done: int, total: int) -> None:
        told.append(done)
        if done == 700:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_packed(data, tmp_path / "out", "digits", show)
    assert not (tmp_path / "out").exists()
    told.clear()
    write_packed(data, tmp_path / "out", "digits", lambda done, total: told.append(done))
    assert told[0] == 660  # 640 were on the disk
    assert equal(data, open_packed(tmp_path / "out", "digits"))
    other = open_data("digits", resolution=16)
    with pytest.raises(UsageError, match="exists and holds something else"):
        write_packed(other, tmp_path / "out", "digits")


def test_packed_data_that_are_damaged(tmp_path: Path) -> None:
    out = write_packed(open_data("digits"), tmp_path / "out", "digits")
    with pytest.raises(DataError, match=r"is packed at 8x8 pixels"):
        open_data(str(out), resolution=16)
    (out / "image.bin").write_bytes(b"short")
    with pytest.raises(DataError, match=r"image\.bin is missing or of another size"):
        open_data(str(out))
    (out / "data.json").write_text('{"format": "saddlepoint data 1"}')
    with pytest.raises(DataError, match="is damaged"):
        open_data(str(out))


def test_zip_and_folder_hold_the_same_images(photos: Path, tmp_path: Path) -> None:
    for file in ("torn.jpg", "empty.png"):
        (photos / "dog" / file).unlink()
    data = open_data(str(photos), resolution=16)
    for out in ("x.zip", "images"):
        command = ["data", "convert", str(photos), str(tmp_path / out), "--resolution", "16"] + ([] if "." in out else ["--form", "folder"])
        assert main(command) == 0
        before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.png")}
        assert main(command) == 0
        assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.png")} == before
        again = open_data(str(tmp_path / out))
        assert sorted(again.column("label").tolist()) == sorted(data.column("label").tolist())
        pixels = [sorted(each.records(torch.arange(len(each)))["image"].flatten(1).double().mean(1).tolist()) for each in (data, again)]
        assert pixels[0] == pixels[1]
    with pytest.raises(UsageError, match="exists and holds something else"):
        api_convert(open_data("digits"), tmp_path / "x.zip")
    with pytest.raises(DataError, match="Write it packed"):
        api_convert(open_data("ring8:test"), tmp_path / "y.zip")


def api_convert(data: Any, out: Path) -> Path:
    from saddlepoint.data.converting import convert

    return convert(data, out, source="test")


def test_training_on_packed_data(tmp_path: Path) -> None:
    assert main(["data", "convert", "digits", str(tmp_path / "packed"), "--resolution", "16"]) == 0
    flags: dict[str, Any] = {"resolution": 16, "width": 4, "batch": 8, "device": "cpu", "plan": Plan(steps=1, preview_every=0, score_every=0)}
    run = api.train("dcgan", data=str(tmp_path / "packed"), **flags, out=tmp_path / "run").folder
    same = api.train("dcgan", data="digits", **flags, out=tmp_path / "same").folder
    one, other = (api.load(folder)[0].state_dict() for folder in (run, same))
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_words_after_data(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data"]) == 2
    assert main(["data", "chek"]) == 2
    assert "check" in capsys.readouterr().err
    assert main(["data", "list", "--json"]) == 0
    assert "fashion" in capsys.readouterr().out


# -- zip and shards, interrupted ---------------------------------------------------------------------------------------------------------


class Stopped(Exception):
    pass


def stop_at(number: int) -> Any:
    def show(done: int, total: int) -> None:
        if done >= number:
            raise Stopped

    return show


def test_a_zip_that_was_interrupted_goes_on_and_is_the_same_byte_for_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(converting, "SAFE", 100)
    data = open_data("digits")
    with pytest.raises(Stopped):
        converting.convert(data, tmp_path / "x.zip", source="digits", show=stop_at(768))
    assert not (tmp_path / "x.zip").exists()
    with (tmp_path / "x.zip.part").open("ab") as file:
        file.write(b"half of something")
    encoded: list[int] = []
    png = converting._png

    def counted(image: Any) -> bytes:
        encoded.append(1)
        return png(image)

    monkeypatch.setattr(converting, "_png", counted)
    converting.convert(data, tmp_path / "x.zip", source="digits")
    assert len(encoded) == len(data) - 700
    converting.convert(data, tmp_path / "whole.zip", source="digits")
    assert (tmp_path / "x.zip").read_bytes() == (tmp_path / "whole.zip").read_bytes()
    assert sorted(path.name for path in tmp_path.glob("*.zip*")) == ["whole.zip", "x.zip"]
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        assert archive.testzip() is None
    assert torch.equal(open_data(str(tmp_path / "x.zip")).column("image"), data.column("image"))
    # what another conversion left behind is not gone on with
    (tmp_path / "x.zip").rename(tmp_path / "y.zip.part")
    (tmp_path / "y.zip.part.json").write_text(json.dumps({"stamp": "another", "done": 700, "end": 9}))
    converting.convert(data, tmp_path / "y.zip", source="digits")
    assert (tmp_path / "y.zip").read_bytes() == (tmp_path / "whole.zip").read_bytes()


@pytest.mark.parametrize("form", ["shards", "folder"])
def test_shards_and_folders_that_were_interrupted_go_on(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(converting, "SHARD", 300)
    data = open_data("digits")
    with pytest.raises(Stopped):
        converting.convert(data, tmp_path / "out", source="digits", form=form, show=stop_at(768))
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.*") if path.suffix in (".tar", ".png")}
    converting.convert(data, tmp_path / "out", source="digits", form=form)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert len(before) in (2, 768)
    assert not [*(tmp_path / "out").rglob("*.part")]
    again = open_data(str(tmp_path / "out"))
    order = torch.tensor([int(Path(name).stem) for name in again.names])
    assert torch.equal(again.column("image"), data.column("image")[order])
    assert torch.equal(again.column("label"), data.column("label")[order])
    with pytest.raises(UsageError, match="holds other data"):
        converting.convert(open_data("digits", resolution=16), tmp_path / "out", source="digits", form=form)


def test_shards_keep_what_stands_beside_the_images(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for k in range(4):
        noise(k).save(folder / f"{k}.png")
    rows = [f"{k}.png,{'zebra' if k % 2 else 'ape'},no. {k},{k / 2}" for k in range(4)]
    (folder / "metadata.csv").write_text("\n".join(["file,label,caption,size", *rows]))
    data = open_data(str(folder))
    assert main(["data", "convert", str(folder), str(tmp_path / "out"), "--form", "shards"]) == 0
    shards = open_data(str(tmp_path / "out"))
    order = torch.tensor([int(Path(name).stem) for name in shards.names])
    assert equal(shards, data.part(order, "shuffled"))
    for again in (shards, open_data(f"stream:{tmp_path}/out")):
        assert equal(again, shards)
        assert (again.spec.class_names, again.attribute_names) == (data.spec.class_names, data.attribute_names)
        assert again.captions == tuple(data.captions[row] for row in order)


def test_shards_are_shuffled_in_the_same_way_each_time(tmp_path: Path) -> None:
    data = open_data("fashion:test")
    names = [open_data(str(converting.convert(data, tmp_path / out, source="x", form="shards"))).names for out in ("a", "b")]
    assert names[0] == names[1]
    assert sorted(names[0]) != [*names[0]]


def test_a_disk_that_fills_while_converting_is_told_and_nothing_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = open_data("digits")
    real = os.fsync

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    for form, name in (("packed", "packed"), ("zip", "x.zip"), ("shards", "shards")):
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match=f"Cannot write .*{name}.*: No space left on device. Make room; the same command goes on"):
            converting.convert(data, tmp_path / name, source="digits", form=form)
        monkeypatch.setattr(os, "fsync", real)
        again = open_data(str(converting.convert(data, tmp_path / name, source="digits", form=form)))
        order = torch.tensor([int(Path(each).stem) for each in again.names]) if form == "shards" else torch.arange(len(data))
        assert torch.equal(again.column("image"), data.column("image")[order])
    monkeypatch.setattr(Path, "write_bytes", lambda self, content: full(0))
    with pytest.raises(StorageError, match="No space left on device"):
        converting.convert(data, tmp_path / "folder", source="digits", form="folder")
