"""The study of the data room's speed and memory."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest
import torch

from saddlepoint.data.sources import open_data
from saddlepoint.studies import data_readers, data_speed


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SADDLEPOINT_CACHE", str(tmp_path / "cache"))


def test_all_readers_give_the_same_images(tmp_path: Path) -> None:
    data_speed.make_images(tmp_path / "files" / "all", 70)
    data = open_data(str(tmp_path / "files"), resolution=64)
    wanted = sorted((data.column("image").float() / 127.5 - 1).flatten(1).sum(1).tolist())
    readers = {"packed": lambda: data_readers.packed_batches(data), "folder": lambda: data_readers.folder_batches(tmp_path / "files")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a DataLoader of two workers, where there is one core
        if data_speed.importlib.util.find_spec("datasets"):
            readers |= data_readers.hub_readers(tmp_path, data)
        for name, batches in readers.items():
            read = torch.cat([*batches()])
            assert read.shape == (70, 3, 64, 64)
            assert sorted(read.flatten(1).sum(1).tolist()) == pytest.approx(wanted, abs=0.05), name
    assert sum(len(batch) for batch in data_readers.shared_batches(data)) == 70


def test_the_other_parts(capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--images", "128", "--converted", "40", "--times", "0.01"]
    assert data_speed.main([*small, "--only", "memory", "--json"]) == 0
    row = json.loads(capsys.readouterr().out)["memory"]
    assert row["reading"]["images"] == 128
    assert 0 <= row["reading"]["anonymous"] < 200 << 20
    assert data_speed.main([*small, "--only", "convert"]) == 0
    assert "| shards |" in capsys.readouterr().out
