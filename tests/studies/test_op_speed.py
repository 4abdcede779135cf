"""The pairs of op_speed compute the same, and its command prints what it says."""

from __future__ import annotations

import json

import pytest
import torch
from torch import Tensor

from saddlepoint.studies import op_speed


@pytest.mark.parametrize("name", [*op_speed.GROUPS])
def test_both_forms_of_every_pair_compute_the_same(name: str) -> None:
    torch.manual_seed(0)
    for pair in op_speed.GROUPS[name](2):
        plain, fast = pair.plain(), pair.fast()
        for a, b in zip(*((side,) if isinstance(side, Tensor) else side for side in (plain, fast)), strict=True):
            torch.testing.assert_close(b / a.abs().max().clamp(min=1e-9), a / a.abs().max().clamp(min=1e-9), rtol=0, atol=2e-5)


def test_times_come_from_the_clock_given() -> None:
    ticks = iter(range(1000))
    calls: list[str] = []
    pair = op_speed.Pair("one", lambda: calls.append("plain"), lambda: calls.append("fast"))
    row = op_speed.compare(pair, 3, lambda: float(next(ticks)))
    assert calls == ["plain", "fast"] * 4
    assert row == {"name": "one", "plain_sec": 1.0, "fast_sec": 1.0, "times": 1.0, "least": 1.0, "most": 1.0}


def test_command(capsys: pytest.CaptureFixture[str]) -> None:
    threads = torch.get_num_threads()
    assert op_speed.main(["--only", "grouped", "--batch", "1", "--repeats", "1", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert len(result["rows"]) == 4 and all(row["times"] > 0 for row in result["rows"])
    assert op_speed.main(["--only", "penalties", "--batch", "2", "--repeats", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("| operation") and len(lines) == 5
    assert torch.get_num_threads() == threads
