"""Two images a record: aligned pairs and unpaired domains."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from saddlepoint.data.sources import open_data
from saddlepoint.errors import DataError, UsageError


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SADDLEPOINT_CACHE", str(tmp_path / "cache"))


def write(folder: Path, names: list[str], *, size: tuple[int, int] = (8, 8), first: int = 0) -> Path:
    """Images whose red is their number, counted from ``first``."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names, first):
        Image.new("RGB", size, (number, 100, 200)).save(folder / name)
    return folder


def reds(data: torch.Tensor) -> list[int]:
    return data[:, 0, 0, 0].tolist()


def test_sub_folders_with_equal_names_are_pairs(tmp_path: Path) -> None:
    write(tmp_path / "set" / "A", ["x.png", "y.png", "z.png"])
    write(tmp_path / "set" / "B", ["x.png", "z.png", "y.png"], first=50)
    data = open_data(f"pairs:{tmp_path / 'set'}")
    assert data.spec.fields == ("image", "partner")
    assert data.spec.shapes == {"partner": (3, 8, 8)}
    rows = data.records(torch.arange(3))
    assert reds(rows["image"]) == [0, 1, 2]
    assert reds(rows["partner"]) == [50, 52, 51]
    assert data.names == ("x.png", "y.png", "z.png")
    assert len(open_data(f"pairs:{tmp_path / 'set'}:train")) == 2


def test_two_places_may_be_named(tmp_path: Path) -> None:
    one, two = write(tmp_path / "one", ["x.png", "y.png"]), write(tmp_path / "two", ["y.png", "x.png"], first=50)
    rows = open_data(f"pairs:{one}+{two}", resolution=4).records(torch.arange(2))
    assert rows["partner"].shape == (2, 3, 4, 4)
    assert reds(rows["partner"]) == [51, 50]
    named = open_data("pairs:digits+digits", resolution=16)
    whole = named.records(torch.tensor([5]))
    assert torch.equal(whole["image"], whole["partner"])


def test_images_side_by_side(tmp_path: Path) -> None:
    folder = tmp_path / "wide"
    folder.mkdir()
    for number in range(3):
        pixels = np.zeros((8, 16, 3), np.uint8)
        pixels[:, :8], pixels[:, 8:] = number, 50 + number
        Image.fromarray(pixels).save(folder / f"{number}.png")
    for _ in range(2):  # the second time from the pack
        data = open_data(f"pairs:{folder}")
        rows = data.records(torch.arange(3))
        assert (reds(rows["image"]), reds(rows["partner"])) == ([0, 1, 2], [50, 51, 52])
        assert data.spec.shape == (3, 8, 8)
    assert open_data(f"pairs:{folder}", resolution=4, channels=1).records(torch.arange(2))["partner"].shape == (2, 1, 4, 4)
    assert open_data(str(folder), resolution=8).records(torch.arange(1))["image"].shape == (1, 3, 8, 8)  # read as single images it is another pack


def test_domains_are_unpaired_and_every_image_is_there(tmp_path: Path) -> None:
    write(tmp_path / "set" / "trainA", [f"{i}.png" for i in range(7)])
    write(tmp_path / "set" / "trainB", [f"other{i}.png" for i in range(3)], first=50)
    data = open_data(f"domains:{tmp_path / 'set'}")
    rows = data.records(torch.arange(7))
    assert len(data) == 7
    assert reds(rows["image"]) == list(range(7))
    assert set(reds(rows["other"])) == {50, 51, 52}
    again = open_data(f"domains:{tmp_path / 'set'}").records(torch.tensor([4, 2]))
    assert torch.equal(again["other"], rows["other"][[4, 2]])


def test_parts_of_domains_share_no_image(tmp_path: Path) -> None:
    one, two = write(tmp_path / "one", [f"{i}.png" for i in range(30)]), write(tmp_path / "two", [f"{i}.png" for i in range(20)], first=50)
    parts = [open_data(f"domains:{one}+{two}:{split}") for split in ("train", "test")]
    seen = [part.records(torch.arange(len(part))) for part in parts]
    for field, count in (("image", 30), ("other", 20)):
        train, test = (set(reds(rows[field])) for rows in seen)
        assert not train & test
        assert len(train | test) == count


@pytest.mark.parametrize(("name", "field"), [("emoji-lines", "partner"), ("emoji-grey", "partner"), ("digits-tinted", "other")])
def test_shipped_pairs(name: str, field: str) -> None:
    data = open_data(name, resolution=32)
    rows = data.records(torch.arange(4))
    assert rows["image"].shape[1:] == data.spec.shape
    assert rows[field].shape[1:] == data.spec.shapes[field] == (3, 32, 32)
    assert open_data(name, resolution=32).spec.content_hash == data.spec.content_hash


def test_grey_is_the_luma_of_its_partner() -> None:
    rows = open_data("emoji-grey").records(torch.arange(20))
    luma = (rows["partner"].double() * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    assert (luma - rows["image"].double()).abs().max() <= 0.5 + 1e-5


def test_lines_lie_where_colours_change() -> None:
    rows = open_data("emoji-lines").records(torch.arange(0, 1900, 50))
    partner, dark = rows["partner"].float(), rows["image"][:, 0] < 128
    change = (partner[..., 1:, :] - partner[..., :-1, :]).abs().amax(1)
    assert change[dark[:, 1:]].mean() > 5 * change[~dark[:, 1:]].mean()
    assert 0.05 < dark.float().mean() < 0.4


def test_what_is_no_pair_is_said_in_one_line(tmp_path: Path) -> None:
    one = write(tmp_path / "one", ["x.png", "y.png", "only.png"])
    two = write(tmp_path / "two", ["x.png", "y.png"])
    tall = write(tmp_path / "tall", ["x.png", "y.png", "only.png"], size=(9, 9))
    square = write(tmp_path / "square", ["x.png", "y.png", "z.png"])
    (tmp_path / "empty" / "A").mkdir(parents=True)
    (tmp_path / "empty" / "B").mkdir()
    cases: list[tuple[str, type[Exception], str]] = [
        (f"pairs:{one}+{two}", DataError, f"1 of the 3 images of {one} have no partner in {two}: only. Pairs have equal names"),
        (f"pairs:{two}+{one}", DataError, f"1 of the 3 images of {one} have no partner in {two}: only"),
        (f"pairs:{one}+{tall}", DataError, "are of 8x8 and 9x9 pixels, and no size was asked for. Bring both to one: --resolution 8"),
        (f"domains:{one}+{tall}", DataError, f"{one} and {tall} are of 8x8 and 9x9 pixels, and no size was asked for."),
        ("domains:digits+fashion", DataError, "digits and fashion are of 8x8 and 28x28 pixels"),
        (f"pairs:{square}", DataError, "--resolution"),
        ("pairs:one+two+three", UsageError, "Two sides are written FIRST+SECOND"),
        ("domains:nowhere", DataError, "There is no folder nowhere"),
        (f"domains:{square}", DataError, "has no sub-folders A and B"),
        (f"domains:{tmp_path / 'empty'}", DataError, "holds no images"),
        ("domains:ring8+ring8", DataError, "ring8 holds points. Name two sets of images"),
    ]
    for name, error, words in cases:
        with pytest.raises(error) as found:
            open_data(name)
        assert words in str(found.value)
        assert "\n" not in str(found.value)
    with pytest.raises(DataError, match="1797 records and fashion 10000"):
        open_data("pairs:digits+fashion", resolution=8)
    with pytest.raises(DataError, match="are not two squares side by side"):
        open_data(f"pairs:{square}", resolution=8)
