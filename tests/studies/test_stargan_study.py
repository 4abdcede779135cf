"""The study of translators between many domains, with stand-ins for what has to be fetched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.records import DataSpec
from saddlepoint.data.sources import open_data
from saddlepoint.studies import attributes, budget, stargan
from saddlepoint.zoo.catalogue import find_recipe


def stand_in(name: str, resolution: int | None = None) -> Any:
    """Grey squares of a colour of their own, in six tones."""
    if not name.startswith("twemoji-tones"):
        return open_data(name, resolution=resolution)
    assert resolution is not None
    emoji = 4 if name.endswith(":test") else 8
    tones = 40 * torch.arange(6).view(1, 6, 1, 1, 1).expand(emoji, 6, 3, resolution, resolution)
    images = (tones + torch.arange(emoji).view(emoji, 1, 1, 1, 1)).to(torch.uint8).flatten(0, 1)
    fields = {"image": images, "label": torch.arange(6).repeat(emoji), "identity": torch.arange(emoji).repeat_interleave(6)}
    names = tuple("abcdef")
    spec = DataSpec(
        name=name, kind="image", shape=tuple(images.shape[1:]), num_records=len(images), num_classes=6, class_names=names, fields=tuple(fields)
    )
    return ArrayDataset(fields, spec)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stargan, "open_data", stand_in)
    monkeypatch.setattr(stargan, "TESTED", 12)
    for name, size in {"FACES": 60, "TAUGHT": 40}.items():
        monkeypatch.setattr(attributes, name, size)
    monkeypatch.setattr(attributes, "train_classifier", lambda images, labels, k, **settings: lambda tests: np.zeros(len(tests), np.int64))
    attributes.faces.cache_clear()
    attributes.classifier.cache_clear()


def rows_of(path: Path) -> dict[str, list[str]]:
    lines = [line.strip("| ").split(" | ") for line in path.read_text().splitlines() if line.startswith("| ")]
    return {cells[0]: cells[1:] for cells in lines[2:]}


@pytest.mark.parametrize("question", ["tones", "mask"])
def test_every_question(question: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flags = ["--questions", question, "--seeds", "1", "--rounds", "1", "--keep", str(tmp_path / "runs.jsonl"), "--out", str(tmp_path / "table.md")]
    assert stargan.main([*flags, "--pictures", str(tmp_path)]) == 0
    table = rows_of(tmp_path / "table.md")
    assert list(table) == list(stargan.ARMS[question])
    if question == "tones":
        assert float(table[stargan.LEFT][0].split()[0]) == 0.0  # a tone that is left is nearest to itself
        assert float(table[stargan.LEFT][1].split()[0]) > 10
    else:
        with Image.open(tmp_path / "stargan-mask.png") as picture:
            assert picture.height > picture.width / 2
    monkeypatch.setattr(stargan, "work", None)
    assert stargan.main(flags) == 0


def test_two_tones_share_no_emoji() -> None:
    data = stand_in("twemoji-tones:train", 8)
    pair = stargan.two_tones(data, 3)
    assert pair.column("image")[:, 0, 0, 0].tolist() == [0, 1, 2, 3]
    assert pair.column("other")[:, 0, 0, 0].tolist() == [124, 125, 126, 127]


def test_two_sets_are_labelled_for_different_attributes() -> None:
    data = stargan.two_sets(joint=True)
    whole = attributes.faces(stargan.SIDE)
    columns = [attributes.columns_of(names) for names in stargan.KNOWN]
    assert data.column("attributes").equal(whole.column("attributes")[:30][:, columns[0]])
    assert data.column("other_attributes").equal(whole.column("attributes")[30:][:, columns[1]])
    assert data.attribute_names == stargan.KNOWN[0] and data.other_names == stargan.KNOWN[1]
    assert "other" not in stargan.two_sets(joint=False).spec.fields


def test_what_a_round_takes_is_measured() -> None:
    data = stand_in("twemoji-tones:train", 16)
    game = find_recipe("stargan")
    config: Any = game.preset("small")
    assert 0 < budget.round_seconds(lambda: game.game(config, data), data, config) < 60
