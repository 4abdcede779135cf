"""The studies of StarGAN, SRGAN and Context Encoders, at a hundredth of their length."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from saddlepoint.data.drawn_faces import ATTRIBUTES
from saddlepoint.studies import attributes, completing, enlarging


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for study, sizes in ((attributes, {"FACES": 60, "TESTED": 12, "TAUGHT": 40}), (completing, {"TESTED": 40, "PROBED": 60})):
        for name, size in sizes.items():
            monkeypatch.setattr(study, name, size)
    monkeypatch.setattr(attributes, "train_classifier", lambda images, labels, k, **settings: lambda tests: np.zeros(len(tests), np.int64))
    attributes.faces.cache_clear()
    attributes.classifier.cache_clear()


def cells(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()[2:]]


def test_attributes(tmp_path: Path) -> None:
    given = ["--seconds", "0.01", "--seeds", "1", "--width", "4", "--names", "glasses", "hat", "--resolution", "16", "--keep", str(tmp_path)]
    assert attributes.main([*given, "--out", str(tmp_path / "table.md")]) == 0
    rows = cells((tmp_path / "table.md").read_text())
    assert [row[0] for row in rows] == ["*real*", *attributes.ARMS]
    assert float(rows[1][2]) > 0  # left as they are, glasses are missing or too many
    assert len(list(tmp_path.glob("*.png"))) == 3
    before = (tmp_path / "runs.jsonl").read_text()
    assert attributes.main([*given, "--out", str(tmp_path / "table.md")]) == 0
    assert (tmp_path / "runs.jsonl").read_text() == before


def test_domains_are_the_faces_without_and_with() -> None:
    data = attributes.faces(16)
    column = ATTRIBUTES.index("hat")
    made = attributes.domains(data, column)
    images, present = data.records(torch.arange(len(data)))["image"], data.column("attributes")[:, column] > 0.5
    for field, side in (("image", images[~present]), ("other", images[present])):
        found = {row.numpy().tobytes() for row in made.column(field)}
        assert found == {row.numpy().tobytes() for row in side}
    assert attributes.bits(torch.tensor([[1.0, 0, 1], [0, 1, 0]])).tolist() == [5, 2]


def test_enlarging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    near: Any = type("Near", (), {"between": staticmethod(lambda x, y: (x - y).square().flatten(1).mean(1))})
    monkeypatch.setattr(enlarging, "open_distance", lambda name: near)
    monkeypatch.setattr(enlarging, "open_extractor", lambda name: lambda images: {"features": images.float().mean((2, 3))})
    given = ["--seconds", "0.01", "--seeds", "1", "--width", "4", "--keep", str(tmp_path), "--out", str(tmp_path / "table.md")]
    assert enlarging.main(given) == 0
    rows = {row[0]: row for row in cells((tmp_path / "table.md").read_text())}
    assert list(rows) == ["pixels repeated", "bicubic", "SRResNet", "features alone", "SRGAN"]
    assert float(rows["bicubic"][1]) > float(rows["pixels repeated"][1]) > 10  # PSNR
    assert float(rows["bicubic"][8]) < 0 < float(rows["bicubic"][9]) < 1  # blurred
    assert enlarging.main([*given, "--data", "emoji", "--arms", "bicubic"]) == 0


def test_enlargements_are_judged_beside_other_images() -> None:
    true, others = enlarging.judges("fashion")
    assert true.shape == others.shape == (500, 1, 28, 28) and not true.equal(others)
    true, others = enlarging.judges("emoji")
    assert len(true) < 500 < len(others)  # too few are held out: others are of the training part


def test_completing(tmp_path: Path) -> None:
    given = ["--seconds", "0.01", "--seeds", "1", "--codes", "8", "--keep", str(tmp_path), "--out", str(tmp_path / "table.md")]
    assert completing.main(given) == 0
    rows = {row[0]: row for row in cells((tmp_path / "table.md").read_text())}
    assert list(rows) == list(completing.ARMS)
    assert rows["mean"][5] == "" and rows["autoencoder"][1] == ""
    assert 0 < float(rows["mean"][3]) < 1  # a mean has smaller gradients
