"""The studies of translation and of encoders: every question runs, goes on where it was stopped, and makes its table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from saddlepoint.studies import encoders, translation


def only(module: Any, monkeypatch: pytest.MonkeyPatch, question: str, *arms: str) -> None:
    monkeypatch.setattr(module, "ARMS", module.ARMS | {question: {arm: module.ARMS[question][arm] for arm in arms}})


@pytest.mark.parametrize(
    ("module", "question", "arms"),
    [
        (translation, "toy", ("discogan", "gan")),
        (translation, "blur", ("L1",)),
        (translation, "cycle", ("no cycle",)),
        (encoders, "blur", ("GLO",)),
        (encoders, "features", ("untrained",)),
        (encoders, "regress", ("brute force, five classes", "adversarial autoencoder, five classes")),
    ],
)
def test_every_question(module: Any, question: str, arms: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    only(module, monkeypatch, question, *arms)
    monkeypatch.setattr(translation, "HELD_OUT", 20)
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
