"""The study of the two samplers of a PixelCNN."""

from __future__ import annotations

import json

import pytest
import torch

from saddlepoint.networks.pixelcnn import GatedPixelCNN, sample_slowly
from saddlepoint.studies import pixel_speed


def test_it_measures_both(capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--side", "6", "--width", "8", "--layers", "2", "--batch", "2", "--repeats", "2"]
    assert pixel_speed.main([*small, "--json"]) == 0
    row = json.loads(capsys.readouterr().out)["row"]
    assert 0 < row["least"] <= row["times"] <= row["most"]
    assert row["drawn_plainly"] == 36
    assert pixel_speed.main([*small, "--colours", "3", "--pixels", "10", "--wall"]) == 0
    assert capsys.readouterr().out.count("\n") == 3


def test_the_plain_sampler_is_the_slow_one() -> None:
    torch.manual_seed(0)
    network = GatedPixelCNN((2, 4, 3), 4, width=8, layers=2)
    uniform = torch.rand(3, 2, 4, 3)
    assert torch.equal(pixel_speed.draw_plainly(network, uniform, 24), sample_slowly(network, uniform))
