"""The door of the data room: names, parts, settings, and what is said to a wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from saddlepoint.data.arrays import split_rows
from saddlepoint.data.registry import DataCard, source
from saddlepoint.data.sources import list_data, open_data
from saddlepoint.errors import DataError, UsageError


def test_the_cards_are_whole_and_shipped_ones_come_first() -> None:
    cards = list_data()
    assert [card.name for card in cards[:3]] == ["fashion", "emoji", "digits"]
    assert [card.shipped for card in cards] == sorted((card.shipped for card in cards), reverse=True)
    assert len({card.name for card in cards}) == len(cards)
    for card in cards:
        assert all((card.title, card.licence, card.origin, card.credits, card.num_records))


@pytest.mark.parametrize("card", [card for card in list_data() if card.shipped], ids=lambda card: card.name)
def test_a_card_says_what_opens(card: DataCard) -> None:
    data = open_data(card.name)
    assert (data.spec.name, data.spec.kind, data.spec.shape, len(data)) == (card.name, card.kind, card.shape, card.num_records)
    assert len(data.spec.content_hash) == 16
    records = data.records(torch.tensor([1, 0, 1]))
    assert tuple(records) == data.spec.fields
    for name, values in records.items():
        assert len(values) == 3
        assert torch.equal(values[0], values[2])
        assert torch.equal(values, data.column(name)[[1, 0, 1]])


@pytest.mark.parametrize("name", ["fashion", "digits", "emoji", "grid25"])
def test_train_and_test_part_the_records(name: str) -> None:
    whole, train, test = open_data(name), open_data(f"{name}:train"), open_data(f"{name}:test")
    assert (len(train) + len(test), len(test)) == (len(whole), round(len(whole) / 10))
    rows = [split_rows(len(whole), split, name) for split in ("train", "test")]
    assert torch.equal(torch.cat(rows).sort().values, torch.arange(len(whole)))
    field = whole.spec.fields[0]
    assert torch.equal(test.records(torch.arange(5))[field], whole.column(field)[rows[1][:5]])
    assert torch.equal(test.column(field), whole.column(field)[rows[1]])
    assert test.spec.name == f"{name}:test"
    assert len({data.spec.content_hash for data in (whole, train, test)}) == 3
    assert open_data(f"{name}:test").spec == test.spec


def test_the_split_is_fixed_for_good() -> None:
    assert split_rows(10_000, "test", "fashion")[:5].tolist() == [101, 1841, 5922, 9395, 2992]
    assert [len(split_rows(2, split, "x")) for split in ("train", "test")] == [1, 1]


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"No data is named 'fashoin', .* Nearest: fashion, fashion-mnist") as caught:
        open_data("fashoin")
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("path", ["no/such/folder", "./nothing", "array.npy", "~/no-such-folder-of-images"])
def test_a_path_that_is_not_there_is_a_data_error(path: str) -> None:
    with pytest.raises(DataError, match="There is no folder or file") as caught:
        open_data(path)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("fashion:valid", {}, "fashion has no part 'valid'. Write fashion:train, fashion:test, or fashion for all records"),
        ("ring8", {"resolution": 32}, "ring8 holds points, which have no resolution"),
        ("swissroll:train", {"channels": 1}, "swissroll holds points"),
        ("fashion", {"resolution": 0}, "at least 1; 0 was given"),
        ("fashion", {"channels": 4}, r"1 channel \(grey\) or 3 \(RGB\); 4 was asked for"),
        ("fashion", {"root": Path("x")}, "fashion comes with the package"),
        (".", {"root": Path("x")}, "is a path already"),
    ],
)
def test_a_setting_that_does_not_apply_is_refused(name: str, settings: dict[str, int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        open_data(name, **settings)  # type: ignore[arg-type]


def test_other_files_are_refused_with_a_hint(tmp_path: Path) -> None:
    for name, hint in (("cat.png", "it is one image: point at the folder"), ("data.rar", "unpack it first"), ("notes.txt", "expected a folder")):
        (tmp_path / name).write_text("?")
        with pytest.raises(DataError, match=hint):
            open_data(str(tmp_path / name))


def test_two_sources_cannot_share_a_name() -> None:
    with pytest.raises(ValueError, match="two sources are named 'fashion'"):
        source(list_data()[0])(lambda request: open_data("digits"))
