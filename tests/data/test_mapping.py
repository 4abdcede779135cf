"""Data larger than memory: mapped, opened and read without setting memory aside."""

from __future__ import annotations

import json
from pathlib import Path

import psutil
import pytest
import torch

from saddlepoint.data.mapping import mapped
from saddlepoint.data.packed import write_packed
from saddlepoint.data.sources import open_data


def anonymous() -> int:
    """Bytes of this process's memory that are no file's."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon"))
    return int(line.split()[1]) << 10


def test_writing_to_a_mapped_tensor_changes_nothing_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(bytes(range(16)))
    values = mapped(tmp_path / "x", torch.float32, (3,), offset=4)
    values.fill_(0)
    assert values.tolist() == [0, 0, 0]
    assert (tmp_path / "x").read_bytes() == bytes(range(16))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks Linux for the memory")
def test_packed_data_ten_times_the_memory_are_opened_and_read(tmp_path: Path) -> None:
    write_packed(open_data("emoji", resolution=64), tmp_path / "packed", "emoji")
    count = 10 * psutil.virtual_memory().total // (3 * 64 * 64)
    try:
        with (tmp_path / "packed" / "image.bin").open("r+b") as file:
            file.truncate(count * 3 * 64 * 64)  # sparse: nothing is written
        with (tmp_path / "packed" / "label.bin").open("r+b") as file:
            file.truncate(count * 8)
    except OSError:
        pytest.skip("the file system holds no sparse file of that size")
    index = json.loads((tmp_path / "packed" / "data.json").read_text())
    index["spec"]["num_records"] = count
    for about in index["fields"].values():
        about["shape"][0] = count
    index |= {"names": [], "keywords": []}
    (tmp_path / "packed" / "data.json").write_text(json.dumps(index))
    before = anonymous()
    data = open_data(str(tmp_path / "packed"))
    assert len(data) == count
    for start in range(50):
        data.records(torch.linspace(start, count - 1, 64).long())
    assert anonymous() - before < 64 << 20
    assert torch.equal(data.records(torch.arange(5))["image"], open_data("emoji").records(torch.arange(5))["image"])
