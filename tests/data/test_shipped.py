"""The images inside the package: whole, true, quick, and owed to somebody."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import json
import lzma
import sys
import time
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

from saddlepoint.data.shipped import FILES
from saddlepoint.data.sources import list_data, open_data

TOOLS = Path(__file__).parents[2] / "tools" / "build_data"
HASHES = {  # of the decoded content at its own size: a change here is a change of the data
    "fashion": "c9e544f027333ce8",
    "emoji": "13b74e7811a3420c",
    "digits": "04399088c0dae567",
}


def tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"build_{name}", TOOLS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", HASHES)
def test_the_content_is_the_known_one_and_opens_within_a_second(name: str) -> None:
    open_data(name)  # imports
    start = time.process_time()
    data = open_data(name)
    assert time.process_time() - start < 1
    assert data.spec.content_hash == HASHES[name]
    card = {card.name: card for card in list_data()}[name]
    assert (card.kind, card.shape, card.num_records) == (data.spec.kind, data.spec.shape, len(data))
    records = data.records(torch.tensor([0, len(data) - 1]))
    assert records["image"].dtype == torch.uint8
    assert records["label"].dtype == torch.int64
    assert set(data.column("label").tolist()) == set(range(len(data.spec.class_names)))


def test_every_file_is_described_with_its_checksum() -> None:
    text = (FILES / "LICENSES.md").read_text("utf-8")
    shipped = [file for file in FILES.iterdir() if file.suffix not in (".md", ".txt")]
    assert len(shipped) == 4
    for file in shipped:
        assert hashlib.sha256(file.read_bytes()).hexdigest() in text
        assert file.name in text
    assert "Apache License" in (FILES / "APACHE-2.0.txt").read_text("utf-8")
    assert sum(file.stat().st_size for file in FILES.iterdir()) < 10_000_000


def test_fashion_is_fashion_mnists_test_file() -> None:
    data = open_data("fashion")
    images, labels = data.column("image"), data.column("label")
    assert labels.bincount().tolist() == [1000] * 10
    assert labels[:10].tolist() == [9, 2, 1, 1, 6, 1, 4, 6, 5, 7]  # the well-known beginning of the test labels
    assert data.spec.class_names[9] == "Ankle boot"
    known = tool("fashion").ORIGINALS["t10k-images-idx3-ubyte.gz"][1]
    header = bytes.fromhex("00000803 00002710 0000001c 0000001c".replace(" ", ""))
    assert hashlib.sha256(header + images.numpy().tobytes()).hexdigest() == known


def test_fashion_at_32_is_padded_and_at_other_sizes_resized() -> None:
    own, padded, doubled = open_data("fashion"), open_data("fashion", resolution=32), open_data("fashion:test", resolution=56)
    image = padded.column("image")
    assert image.shape == (10_000, 1, 32, 32)
    assert torch.equal(image[..., 2:30, 2:30], own.column("image"))
    assert image.sum() == own.column("image").sum()
    assert doubled.spec.shape == (1, 56, 56)
    assert padded.spec.content_hash != own.spec.content_hash


def test_grey_to_rgb_and_back() -> None:
    grey, colour = open_data("digits"), open_data("digits", channels=3)
    assert colour.spec.shape == (3, 8, 8)
    assert torch.equal(colour.column("image")[:, 1:2], grey.column("image"))
    luma = open_data("emoji", channels=1)
    rgb = open_data("emoji").column("image").double()
    expected = (rgb * torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64).view(1, 3, 1, 1)).sum(1, keepdim=True)
    assert (luma.column("image").double() - expected).abs().max() <= 0.5 + 1e-9


def test_digits_keep_their_levels() -> None:
    from sklearn.datasets import load_digits

    images = open_data("digits").column("image")
    levels = load_digits().images
    assert np.array_equal(np.rint(images[:, 0].numpy() * (16 / 255)), levels)
    assert images.max() == 255


def test_emoji_have_names_keywords_and_groups() -> None:
    data = open_data("emoji")
    assert len(data.names) == len(data.keywords) == len(data) == 1906
    assert data.spec.class_names[0] == "Smileys & Emotion"
    assert len(data.spec.class_names) == 9
    rocket = data.names.index("rocket")
    assert "outer space" in data.keywords[rocket]
    assert data.spec.class_names[int(data.column("label")[rocket])] == "Travel & Places"
    entries = json.loads((FILES / "emoji.json").read_text("utf-8"))
    assert not any("\U0001f3fb" <= character <= "\U0001f3ff" for entry in entries for character in entry["character"])  # no skin tones
    part = open_data("emoji:test")
    assert part.names[0] == data.names[int((data.column("image") == part.column("image")[0]).flatten(1).all(1).nonzero()[0])]


def test_emoji_are_drawn_in_their_colours_on_white() -> None:
    data = open_data("emoji")
    heart = data.column("image")[data.names.index("red heart")]
    assert heart[:, 32, 32].tolist() == pytest.approx([240, 40, 50], abs=30)
    assert heart[:, 0, 0].tolist() == [255, 255, 255]
    assert data.column("image")[:, :, 0, 0].float().mean() > 240  # most corners are ground


def test_smaller_emoji_are_antialiased() -> None:
    own, small = open_data("emoji").column("image").float(), open_data("emoji", resolution=16).column("image").float()
    area = torch.nn.functional.avg_pool2d(own, 4)
    assert (small - area).abs().mean() < 6  # levels of 255; picking every fourth pixel differs by 17
    assert (own[..., ::4, ::4] - area).abs().mean() > 12


def test_the_fashion_tool_writes_the_same_bytes_twice_and_refuses_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fashion = tool("fashion")
    content = bytes(range(256)) * 9
    monkeypatch.setattr(fashion, "ORIGINALS", {"a.gz": ("a.xz", hashlib.sha256(content).hexdigest())})
    (tmp_path / "a.gz").write_bytes(gzip.compress(content))
    for out in ("first", "again"):
        fashion.main(tmp_path, tmp_path / out)
    assert (tmp_path / "first" / "a.xz").read_bytes() == (tmp_path / "again" / "a.xz").read_bytes()
    assert lzma.decompress((tmp_path / "first" / "a.xz").read_bytes()) == content
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"something else"))
    with pytest.raises(SystemExit, match="is not the original"):
        fashion.main(tmp_path, tmp_path / "third")
    assert not (tmp_path / "third").exists()


def test_the_emoji_tool_makes_sheet_and_table(tmp_path: Path) -> None:
    emoji = tool("emoji")
    source, words = tmp_path / "source", tmp_path / "words"
    (source / "img" / "google" / "64").mkdir(parents=True)
    (words / "dist").mkdir(parents=True)
    rng = np.random.default_rng(0)
    listed = []
    for i, (code, category) in enumerate([("1F600", "Smileys & Emotion"), ("0023-FE0F-20E3", "Symbols"), ("1F3FB", "Component")]):
        Image.fromarray(rng.integers(0, 256, (64, 64, 4), np.uint8)).save(source / "img" / "google" / "64" / f"{i}.png")
        listed.append({"sort_order": 9 - i, "unified": code, "image": f"{i}.png", "category": category, "subcategory": "s"})
    (source / "emoji.json").write_text(json.dumps(listed))
    (words / "dist" / "emoji-en-US.json").write_text(json.dumps({"\U0001f600": ["grinning_face", "happy"], "#\ufe0f\u20e3": ["keycap_", "key"]}))
    for out in ("a", "b"):
        emoji.main(source, words, tmp_path / out)
    for name in ("emoji.webp", "emoji.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    entries = json.loads((tmp_path / "a" / "emoji.json").read_text("utf-8"))
    assert [entry["name"] for entry in entries] == ["keycap #", "grinning face"]
    assert entries[1] == {"character": "\U0001f600", "name": "grinning face", "group": "Smileys & Emotion", "subgroup": "s", "keywords": ["happy"]}
    with Image.open(tmp_path / "a" / "emoji.webp") as sheet, Image.open(source / "img" / "google" / "64" / "1.png") as first:
        tile, original = np.asarray(sheet)[:64, :64], np.asarray(first)
        assert np.array_equal(tile[original[..., 3] > 0], original[original[..., 3] > 0])


def test_the_contact_sheet_is_drawn_and_its_errors_have_their_codes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["sheet.py"])
    sheet = tool("sheet")
    sheet.main("digits:test", tmp_path / "sheet.png", 16)
    with Image.open(tmp_path / "sheet.png") as image:
        assert image.size == (320, 144)
    with pytest.raises(ValueError, match="ring8 holds points"):
        sheet.main("ring8", tmp_path / "no.png", None)
