"""The studies of translation and of encoders: every question runs, goes on where it was stopped, and makes its table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.records import DataSpec
from saddlepoint.data.sources import open_data
from saddlepoint.evaluation.paired import target_error
from saddlepoint.studies import angles, encoders, translation


def only(module: Any, monkeypatch: pytest.MonkeyPatch, question: str, *arms: str) -> None:
    monkeypatch.setattr(module, "ARMS", module.ARMS | {question: {arm: module.ARMS[question][arm] for arm in arms}})


def stand_in(name: str, resolution: int | None = None) -> Any:
    """As the sets that have to be fetched are, in small; others are themselves."""
    if not name.startswith(("emoji-vendors", "icons")):
        return open_data(name, resolution=resolution)
    assert resolution is not None
    n, channels = (16 if name.endswith(":test") else 40), 1 if name.startswith("icons") else 3
    images = torch.randint(256, (2, n, channels, resolution, resolution), generator=torch.Generator().manual_seed(n), dtype=torch.uint8)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(1))
    if channels == 1:
        fields = {"image": images[0], "partner": images[1]}
    else:
        fields = {"image": images[0], "other": images[1], "meaning": torch.arange(n), "other_meaning": order}
    shape = tuple(images.shape[2:])
    spec = DataSpec(name=name, kind="image", shape=shape, num_records=n, fields=tuple(fields), shapes={"other": shape, "partner": shape})
    return ArrayDataset(fields, spec)


@pytest.mark.parametrize(
    ("module", "question", "arms"),
    [
        (translation, "toy", ("discogan", "gan")),
        (translation, "blur", ("L1",)),
        (translation, "cycle", ("no cycle",)),
        (translation, "angle", ("recongan",)),
        (translation, "vendors", ("left as they are", "no cycle")),
        (translation, "icons", ("left as they are", "L1", "pairs hidden")),
        (encoders, "blur", ("GLO",)),
        (encoders, "codes", ("autoencoder, N(0, I)", "autoencoder, fitted", "VAE", "adversarial autoencoder")),
        (encoders, "coin", ("autoencoder", "blind autoencoder")),
        (encoders, "features", ("untrained",)),
        (encoders, "regress", ("brute force, five classes", "adversarial autoencoder, five classes")),
    ],
)
def test_every_question(module: Any, question: str, arms: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    only(module, monkeypatch, question, *arms)
    for name, value in {"HELD_OUT": 20, "TURNED": 60, "SIDE": 24, "open_data": stand_in}.items():
        monkeypatch.setattr(translation, name, value)
    monkeypatch.setattr(encoders, "SAMPLES", 70)
    monkeypatch.setattr(encoders, "LABELLED", 100)
    flags = ["--questions", question, "--seeds", "1", "--rounds", "2", "--keep", str(tmp_path / "runs.jsonl"), "--out", str(tmp_path / "table.md")]
    assert module.main(flags) == 0
    table = (tmp_path / "table.md").read_text()
    assert table.startswith(f"{question}, 2 rounds\n") and table.count("\n| ") == 2 + len(arms)
    assert all(f"| {arm} |" in table for arm in arms) and all(name in table for name in module.SCORES[question])
    monkeypatch.setattr(module, "work", None)  # what is on file is not done again
    assert module.main(flags) == 0 and (tmp_path / "table.md").read_text() == table


def test_the_mixtures_are_those_of_the_paper() -> None:
    data, part = translation.mixtures(2_000)
    assert data.column("point").shape == data.column("other").shape == (2_000, 2)
    assert part.bincount().tolist() == pytest.approx([400] * 5, abs=80)
    assert data.column("other").norm(dim=1).mean().item() == pytest.approx(2.0, abs=0.01)
    assert {*translation.SCORES} == {*translation.ARMS} == {*translation.ROUNDS} and {*encoders.SCORES} == {*encoders.ARMS} == {*encoders.ROUNDS}


def test_pairs_are_hidden_and_nothing_is_lost() -> None:
    data = stand_in("icons:train", 8)
    hidden = translation.hidden_pairs(data)
    assert hidden.column("image").equal(data.column("image"))
    rows = {row.numpy().tobytes() for row in hidden.column("other")}
    assert rows == {row.numpy().tobytes() for row in data.column("partner")} and not hidden.column("other").equal(data.column("partner"))


def test_angles_are_found_again_and_have_nothing_else_in_common() -> None:
    data, cars = angles.domains(60, 24)
    found, distance = angles.angle_of(data.column("image"), "car")
    assert (found - cars).abs().max() <= 1.01 and distance.max() < 0.03
    kites, _ = angles.angle_of(data.column("other"), "kite")
    assert abs(angles.relation(cars, kites).correlation) < 0.3
    assert angles.angle_of(data.column("image"), "kite")[1].min() > 0.3  # a car is no kite
    line = torch.linspace(-75, 75, 61)
    assert [*angles.relation(line, 0 * line)] == [0.0, 0.0, pytest.approx(1 / 15)]
    bent = angles.relation(line, line.abs())
    assert bent.correlation == pytest.approx(0, abs=1e-6) and bent.error == pytest.approx(line.abs().std(correction=0).item(), rel=1e-3)
    turned = angles.drawn("kite", torch.tensor([-30.0, 30.0]), 24)
    assert target_error(turned[:1], turned[1:].flip(3)).item() < 0.02  # mirrored, it is turned the other way


def test_what_cannot_be_seen_becomes_its_mean() -> None:
    nearer, middle = encoders._coin("blind autoencoder", 60, 0)
    assert middle < 1 < nearer
    nearer, middle = encoders._coin("autoencoder", 150, 0)
    assert nearer < 2 < middle
