"""Stacked digits: a digit a channel, the mode as label, and parts that share no digit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from saddlepoint.data.sources import open_data
from saddlepoint.errors import DataError, UsageError


def test_a_channel_is_a_digit_and_the_label_names_all_three() -> None:
    digits, stacks = open_data("digits"), open_data("stacked-digits")
    assert stacks.spec.content_hash == "7052fb753b6ff748"
    number_of = {image.numpy().tobytes(): int(label) for image, label in zip(digits.column("image")[:, 0], digits.column("label"), strict=True)}
    for image, label in zip(*stacks.records(torch.tensor([0, 5, 127_999, 128_000, 153_999])).values(), strict=True):
        assert int(label) == int("".join(str(number_of[channel.numpy().tobytes()]) for channel in image))


def test_every_mode_is_there_as_often_as_its_digits() -> None:
    counts = open_data("stacked-digits:train").column("label").bincount(minlength=1000)
    shares = open_data("digits:train").column("label").bincount() / len(open_data("digits:train"))
    expected = 128_000 * (shares[:, None, None] * shares[:, None] * shares).flatten()
    assert counts.min() > 0 and ((counts - expected) ** 2 / expected).sum() == pytest.approx(999, abs=5 * (2 * 999) ** 0.5)  # chi-squared


def test_train_and_test_share_no_digit() -> None:
    seen = []
    for part, count in (("train", 128_000), ("test", 26_000)):
        stacks, digits = open_data(f"stacked-digits:{part}"), open_data(f"digits:{part}").records(torch.arange(50))["image"]
        assert len(stacks) == count
        channels = {image.numpy().tobytes() for image in stacks.records(torch.arange(2_000))["image"].flatten(0, 1)}
        seen.append(channels)
        assert any(image.numpy().tobytes() in channels for image in digits)
    assert not seen[0] & seen[1]


def test_a_resolution_is_that_of_the_digits() -> None:
    rows = torch.arange(3)
    large = open_data("stacked-digits", resolution=16)
    assert large.spec.shape == (3, 16, 16) and large.spec.content_hash != open_data("stacked-digits").spec.content_hash
    digits, shown = open_data("digits", resolution=16).column("image")[:, 0].flatten(1), large.records(rows)["image"].flatten(2)
    assert ((shown[:, :, None] == digits).all(-1)).any(-1).all()


def test_stacked_mnist_is_drawn_from_mnist(tmp_path: Path) -> None:
    for part, count in (("train", 50), ("t10k", 20)):
        images = np.full((count, 28, 28), 200 if part == "train" else 100, np.uint8)
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(bytes.fromhex(f"00000803{count:08x}0000001c0000001c") + images.tobytes())
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(bytes.fromhex(f"00000801{count:08x}") + bytes(i % 10 for i in range(count)))
    train, test = (open_data(f"stacked-mnist:{part}", resolution=32, root=tmp_path).records(torch.arange(3)) for part in ("train", "test"))
    assert train["image"].shape == (3, 3, 32, 32)
    assert [int(part["image"].max()) for part in (train, test)] == [200, 100] and int(train["image"][:, :, :2].max()) == 0  # padded, as is the custom


def test_what_cannot_be_drawn_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="stacked-digits has a digit in each of three channels; 1 was asked for"):
        open_data("stacked-digits", channels=1)
    with pytest.raises(DataError, match="mnist is not in"):
        open_data("stacked-mnist", root=tmp_path)
