"""Moving digits: places, walls and parts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from saddlepoint.data.drawn_clips import COUNT, STEP, draw_clips
from saddlepoint.data.sources import open_data
from saddlepoint.errors import DataError, UsageError


def test_a_record_is_a_clip_whose_first_frame_is_its_image() -> None:
    data = open_data("moving-digits")
    rows = data.records(torch.tensor([3, 9_999]))
    assert rows["frames"].shape == (2, 16, 1, 32, 32)
    assert torch.equal(rows["image"], rows["frames"][:, 0])
    assert data.spec.content_hash == "112fa1f2bbc52cfa"
    grey, colour = rows["frames"], open_data("moving-digits", channels=3).records(torch.tensor([3, 9_999]))["frames"]
    assert torch.equal(colour, grey.expand(-1, -1, 3, -1, -1))


def test_digits_are_where_they_are_said_to_be() -> None:
    """Of clips whose digits stand apart, the brightness around each place is the digit's."""
    rows = open_data("moving-digits", resolution=64).records(torch.arange(200))
    frames, places = rows["frames"][:, :, 0].double(), rows["places"].double()
    apart = ((places[:, :, 0] - places[:, :, 1]).abs().amax(-1)) > 2 * 28 / 64
    assert apart.sum() > 100
    middle = (places.mean(2) + 1) / 2 * 64  # n t 2
    ticks = torch.arange(64) + 0.5
    mass = frames.sum((2, 3))
    across = (frames * ticks).sum((2, 3)) / mass
    down = (frames * ticks[:, None]).sum((2, 3)) / mass
    off = (torch.stack([across, down], -1) - middle)[apart]
    assert off.abs().mean() < 2


def test_digits_keep_their_speed_and_stay_inside() -> None:
    places = open_data("moving-digits").column("places").double()
    free = 1 - 28 / 64
    assert places.abs().max() <= free + 1e-6
    steps = (places[:, 1:] - places[:, :-1]).norm(dim=-1) / (2 * free)
    inside = (places.abs() < free * 0.79).all(-1)
    away = inside[:, 1:] & inside[:, :-1]  # not at a wall in this step
    assert torch.allclose(steps[away], torch.full_like(steps[away], STEP), atol=1e-6)
    assert steps.max() < STEP + 1e-6


def test_where_digits_overlap_the_brighter_is_seen() -> None:
    digits = torch.tensor([[[[10, 20], [30, 40]], [[25, 5], [25, 5]]]], dtype=torch.uint8)
    clip = draw_clips(digits, torch.zeros(1, 1, 2, 2), 4)
    assert clip[0, 0, 0].tolist() == [[0, 0, 0, 0], [0, 25, 20, 0], [0, 30, 40, 0], [0, 0, 0, 0]]


def test_train_and_test_share_no_digit() -> None:
    train, test = (open_data(f"moving-digits:{part}") for part in ("train", "test"))
    assert (len(train), len(test)) == (9_000, 1_000)
    assert len(train) + len(test) == COUNT
    assert test.records(torch.arange(2))["frames"].shape == (2, 16, 1, 32, 32)


def test_moving_mnist_is_drawn_from_mnist(tmp_path: Path) -> None:
    for part, count in (("train", 50), ("t10k", 20)):
        images = np.full((count, 28, 28), 200 if part == "train" else 100, np.uint8)
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(bytes.fromhex(f"00000803{count:08x}0000001c0000001c") + images.tobytes())
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(bytes.fromhex(f"00000801{count:08x}") + bytes(i % 10 for i in range(count)))
    train, test = (open_data(f"moving-mnist:{part}", root=tmp_path).records(torch.arange(3)) for part in ("train", "test"))
    assert train["frames"].shape == (3, 20, 1, 64, 64)
    assert [int(part["frames"].max()) for part in (train, test)] == [200, 100]


def test_what_cannot_be_drawn_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="moving-digits is drawn in squares; 32x48 was asked for"):
        open_data("moving-digits", resolution=(32, 48))
    with pytest.raises(DataError, match="mnist is not in"):
        open_data("moving-mnist", root=tmp_path)
