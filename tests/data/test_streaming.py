"""Shards that are read while training: by URL, in lanes, a few at a time."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
import torch
from PIL import Image

from saddlepoint import api
from saddlepoint.data import hub, remote, streaming
from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.order import order_of
from saddlepoint.data.sources import open_data
from saddlepoint.errors import DataError, UsageError
from saddlepoint.training.batches import Feed
from saddlepoint.training.plan import Plan

SHARDS, EACH = 9, 12


def png(number: int, side: int = 16) -> bytes:
    buffer = io.BytesIO()
    small = np.random.default_rng(number).integers(0, 256, (4, 4, 3), np.uint8)
    image = np.asarray(Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC)).copy()
    image[0, 0] = number % 256, number // 256, 7
    Image.fromarray(image).save(buffer, "png")
    return buffer.getvalue()


def shard(first: int, count: int = EACH, **replaced: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for number in range(first, first + count):
            files = {"png": png(number), "cls": str(number % 3).encode(), "json": json.dumps({"size": number / 2}).encode()}
            for ending, content in files.items():
                info = tarfile.TarInfo(f"{number:06d}.{ending}")
                content = replaced.get(info.name.replace(".", "_"), content)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def memory() -> Iterator[Any]:
    """Nine shards in the file system that fsspec keeps in memory: nowhere on the disk."""
    fs = fsspec.filesystem("memory")
    for k in range(SHARDS):
        fs.pipe(f"/set/{k:03d}.tar", shard(EACH * k))
    yield fs
    fs.store.clear()


URL = "memory://set/{000..008}.tar"


def numbers(data: ArrayDataset, rows: torch.Tensor | None = None) -> list[int]:
    images = data.records(torch.arange(len(data)) if rows is None else rows)["image"]
    return (images[:, 0, 0, 0].long() + 256 * images[:, 1, 0, 0].long()).tolist()


def test_a_stream_holds_what_the_shards_hold(memory: Any, tmp_path: Path) -> None:
    for k in range(SHARDS):
        (tmp_path / f"{k:03d}.tar").write_bytes(shard(EACH * k))
    packed = open_data(str(tmp_path))
    for place in (URL, "memory://set/*.tar", "memory://set", "stream:memory://set/", f"stream:{tmp_path}", f"file://{tmp_path}"):
        data = open_data(place)
        assert numbers(data) == list(range(SHARDS * EACH))
        assert data.spec.class_names == packed.spec.class_names
        for field in ("label", "attributes"):
            assert torch.equal(data.column(field), packed.column(field))
        assert torch.equal(data.records(torch.arange(9))["image"], packed.records(torch.arange(9))["image"])
        assert "stream of 9 shards in 8 lanes" in data.notes[-1]
    assert open_data(URL).spec.content_hash == open_data(f"stream:{tmp_path}").spec.content_hash
    assert open_data(URL, resolution=8, channels=1).spec.shape == (1, 8, 8)
    assert open_data(URL, resolution=8).records(torch.tensor([3]))["image"].shape == (1, 3, 8, 8)


def test_the_second_start_looks_at_nothing_and_opens_what_it_needs(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    open_data(URL)
    fetched: list[str] = []
    copied = remote._copied
    monkeypatch.setattr(remote, "_copied", lambda place: (fetched.append(place.name), copied(place))[1])
    data = open_data(URL)
    assert fetched == []
    order = order_of(data, 3)
    at_once = order.indices(5 * EACH, 16)  # somewhere in the middle
    assert len(numbers(data, at_once)) == 16
    assert len(fetched) <= 9
    own = data.blocks[at_once]
    assert {f"{int(k):03d}.tar" for k in own.unique()} == set(fetched)
    memory.pipe("/set/004.tar", shard(500))
    assert numbers(open_data(URL))[4 * EACH] == 500  # a changed shard is looked at again


def test_shards_are_let_go(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "LANES", 1)
    data = open_data(URL)
    numbers(data)
    assert len(data.column("image")._shards._held) == 3


def feed(data: ArrayDataset, rank: int = 0, processes: int = 1) -> Feed:
    return Feed(data, seed=1, batch=16, rank=rank, processes=processes, device=torch.device("cpu"), dtype=torch.float32)


@pytest.mark.parametrize("processes", [2, 4])
def test_each_process_fetches_its_share_only(memory: Any, monkeypatch: pytest.MonkeyPatch, processes: int) -> None:
    fs = fsspec.filesystem("memory")
    fs.rm("/set/008.tar")
    open_data("memory://set")
    whole = feed(open_data("memory://set"))
    batches = [whole.next()["index"] for _ in range(12)]
    whole.close()
    touched = []
    for rank in range(processes):
        fetched: set[str] = set()
        copied = remote._copied
        monkeypatch.setattr(remote, "_copied", lambda place, fetched=fetched, copied=copied: (fetched.add(place.name), copied(place))[1])
        own = feed(open_data("memory://set"), rank, processes)
        for batch in batches:
            assert torch.equal(own.next()["index"], batch.view(processes, -1)[rank])
        own.close()
        monkeypatch.setattr(remote, "_copied", copied)
        touched.append(fetched)
    assert [len(each) for each in touched] == [8 // processes] * processes
    assert len(set.union(*touched)) == 8


def test_a_run_on_a_stream_goes_on_as_if_it_had_never_stopped(memory: Any, tmp_path: Path) -> None:
    flags: dict[str, Any] = {"data": URL, "resolution": 16, "width": 4, "batch": 8, "device": "cpu"}
    whole, half = (api.train("dcgan", **flags, plan=Plan(steps=steps, preview_every=0, score_every=0), out=tmp_path / str(steps)) for steps in (5, 3))
    api.resume(half.folder, steps=5, device="cpu")
    states = [api.load(run.folder)[0].state_dict() for run in (whole, half)]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_parts_of_a_stream(memory: Any) -> None:
    train, test = open_data(f"{URL}:train"), open_data(f"{URL}:test")
    assert (len(train), len(test)) == (97, 11)
    assert sorted(numbers(train) + numbers(test)) == list(range(SHARDS * EACH))
    assert torch.equal(train.blocks, train.blocks.sort().values)
    assert train.column("label").tolist() == [number % 3 for number in numbers(train)]


def test_parquet_files_are_streamed_row_group_by_row_group(monkeypatch: pytest.MonkeyPatch) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    fs = fsspec.filesystem("memory")
    for k in range(2):
        with fs.open(f"/tables/{k}.parquet", "wb") as file:
            table = pa.table({"image": [png(number) for number in range(20 * k, 20 * k + 20)], "label": ["a", "b"] * 10, "size": [0.5] * 20})
            pq.write_table(table, file, row_group_size=5)
    data = open_data("memory://tables")
    assert numbers(data) == list(range(40))
    assert data.spec.class_names == ("a", "b")
    assert data.column("attributes").shape == (40, 1)
    assert torch.equal(data.blocks, torch.arange(40) // 5)
    monkeypatch.setattr(hub, "_files", lambda repository, revision: ["README.md", "data/0.parquet"])
    assert hub.urls_of("some/set") == ["hf://datasets/some/set/data/0.parquet"]
    assert hub.urls_of("some/set@refs/x") == ["hf://datasets/some/set@refs%2Fx/data/0.parquet"]
    monkeypatch.setattr(hub, "_files", lambda repository, revision: [])
    with pytest.raises(DataError, match="has no Parquet files"):
        open_data("stream:hf:some/set")
    fs.store.clear()


def test_a_damaged_image_is_told_and_replaced(memory: Any, caplog: pytest.LogCaptureFixture) -> None:
    for k in range(2):  # a whole header, and no pixels; no header at all
        memory.pipe("/set/000.tar", shard(0, **{"000003_png": png(3)[: (60, 20)[k]]}))
        data = open_data(URL)
        seen = numbers(data)
        if k == 0:
            assert seen == [0, 1, 2, 4, *range(4, SHARDS * EACH)]
            assert "Skipped image 3 of" in caplog.text
        else:
            assert seen == [0, 1, 2, *range(4, SHARDS * EACH)]
            assert "Skipped 000/000003.png" in data.notes[0]
    memory.pipe("/set/000.tar", shard(0, **{f"{k:06d}_png": png(k)[:60] for k in (3, 4, 5)}))
    with pytest.raises(DataError, match="2 of the 108 image files"):
        numbers(open_data(URL))
    memory.pipe("/set/000.tar", shard(0, **{f"{k:06d}_png": b"" for k in (3, 4, 5)}))
    with pytest.raises(DataError, match="3 of the 108 image files"):
        open_data(URL)


def test_what_cannot_be_streamed_is_said_in_one_line(memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "PAUSE", 0.0)
    memory.pipe("/other/torn.tar", shard(0)[:700])
    memory.pipe("/other/text/a.tar", tar_of_text())
    memory.pipe("/mixed/a.tar", shard(0, **{"000003_png": png(3, 24)}))
    for place, words in (
        ("memory://nothing/{0..3}.tar", "there is no such file"),
        ("memory://nothing", "names no shard"),
        ("memory://other/torn.tar", "000000.cls|cannot be read as an uncompressed tar file|holds 1 image"),
        ("memory://other/text", "holds no images: its 1 shard"),
        ("memory://mixed", "have 2 different sizes"),
    ):
        with pytest.raises(DataError, match=words) as found:
            open_data(place)
        assert "\n" not in str(found.value)
    with pytest.raises(UsageError, match="cannot be opened"):
        open_data("nonsense://x/{0..3}.tar")
    data = open_data(URL)
    memory.pipe("/set/002.tar", shard(0, 3))
    with pytest.raises(DataError, match="has .* bytes; it had"):
        numbers(data)
    memory.rm("/set/002.tar")
    with pytest.raises(DataError, match="there is no such file"):
        numbers(data)


def tar_of_text() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("a.txt")
        info.size = 3
        archive.addfile(info, io.BytesIO(b"abc"))
    return buffer.getvalue()


def test_a_full_disk_while_a_shard_is_copied(memory: Any, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from saddlepoint.errors import StorageError

    data = open_data(URL)

    def full(**settings: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(remote.tempfile, "TemporaryFile", full)
    with pytest.raises(StorageError, match="Cannot write a shard to .*streams: No space left on device"):
        numbers(data)
    shutil.rmtree(cache / "streams")
