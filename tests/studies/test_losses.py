"""The study of objectives' claims: every question runs, goes on where it was stopped, and makes its table; and its picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saddlepoint.studies import losses
from saddlepoint.zoo.catalogue import find_recipe


@pytest.mark.parametrize(
    ("question", "arms"),
    [
        ("margin", ("margin 10, pulling away",)),
        ("balance", ("gamma 0.7",)),
        ("spectra", ("as it begins", "weight norm")),
        ("projections", ("1 projection", "6 projections")),
        ("stability", ("lsgan, batch norm: none in G, RMSProp",)),
    ],
)
def test_every_question(question: str, arms: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = {"margin": {}, "balance": {"width": 4}, "spectra": {"width": 4, "batch": 4, "d_steps": 1}, "projections": {"width": 16, "batch": 8}}
    small |= {"stability": {"width": 4, "batch": 4}}
    chosen = {arm: losses.ARMS[question][arm] for arm in arms}
    chosen = {arm: (recipe, preset, changes | small[question]) for arm, (recipe, preset, changes) in chosen.items()}
    monkeypatch.setattr(losses, "ARMS", losses.ARMS | {question: chosen})
    monkeypatch.setattr(losses, "LOOKED", 20)
    monkeypatch.setattr(losses, "SAMPLES", 70)
    flags = ["--questions", question, "--seeds", "1", "--rounds", "2", "--keep", str(tmp_path / "runs.jsonl"), "--out", str(tmp_path / "table.md")]
    assert losses.main([*flags, "--pictures", str(tmp_path)]) == 0
    table = (tmp_path / "table.md").read_text()
    assert table.startswith(f"{question}, 2 rounds\n") and table.count("\n| ") == 2 + len(arms)
    assert all(f"| {arm} |" in table for arm in arms) and all(name in table for name in losses.SCORES[question])
    pictures = [path.name for path in tmp_path.glob("*.png")]
    assert pictures == (["losses-spectra.png"] if question == "spectra" else [])
    assert all(np.asarray(Image.open(tmp_path / name)).std() > 0 for name in pictures)
    monkeypatch.setattr(losses, "work", None)  # what is on file is not done again
    assert losses.main(flags) == 0 and (tmp_path / "table.md").read_text() == table


def test_each_question_changes_what_it_asks_about_alone() -> None:
    assert {*losses.SCORES} == {*losses.ARMS} == {*losses.ROUNDS}
    asked = {
        "margin": {"margin", "pulling_away_weight"},
        "balance": {"gamma"},
        "spectra": {"critic_norm", "clip"},
        "projections": {"num_discriminators", "single"},
        "stability": {"generator_norm", "critic_norm", "generator_optimizer", "discriminator_optimizer"},
    }
    for question, arms in losses.ARMS.items():
        kept = {name: arm for name, arm in arms.items() if name != "as it begins"}
        settings = []
        for recipe, preset, changes in kept.values():
            assert {*changes} <= set(find_recipe(recipe).preset(preset).__dataclass_fields__)
            named = "either value function" if question == "stability" else recipe
            settings.append((named, preset, {name: value for name, value in changes.items() if name not in asked[question]}))
        assert all(each == settings[0] for each in settings)


def test_energies_are_in_the_unit_of_the_margin(monkeypatch: pytest.MonkeyPatch) -> None:
    """An auto-encoder that answers 0 leaves the sum of squares of a sample."""
    monkeypatch.setattr(losses, "SAMPLES", 70)
    monkeypatch.setattr(losses, "LOOKED", 20)
    values, more = losses._margin(("ebgan", "mnist", {"margin": 10.0}), 2, 0)
    real = losses.some_samples(losses.open_data("digits", resolution=28), 20)
    silent = real.square().sum((1, 2, 3)).mean().item()
    assert [len(look) for look in more["energies"]] == [2, 2, 2]
    assert more["energies"][0][0] == pytest.approx(silent, rel=0.15)  # weights of the start are small
    assert values[0] == more["energies"][1][0] and values[2] == more["energies"][2][0]
