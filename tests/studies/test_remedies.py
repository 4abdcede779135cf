"""The study of remedies: every question runs at a tiny size, and what it measures tells the cases apart that it should."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from saddlepoint.data.sources import open_data
from saddlepoint.draws import Draws, use
from saddlepoint.studies import remedies
from saddlepoint.views.diffaugment import DiffAugment

ASKED = {
    "stacked": ("held-out images", "D a quarter, unrolled 1", "D as large, RpGAN with R1 and R2"),
    "labels": ("held-out images", "GAN", "LabelGAN", "AC-GAN", "AM-GAN, predefined", "AM-GAN, dynamic"),
    "gap": ("hinge", "hinge with LeCam"),
    "controls": ("held-out images, augmented", "none", "reals alone"),
}


@pytest.mark.parametrize("question", ASKED)
def test_every_question(question: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remedies, "STACKS", 70)
    monkeypatch.setattr(remedies, "SAMPLES", 70)
    monkeypatch.setattr(remedies, "ARMS", remedies.ARMS | {question: {arm: remedies.ARMS[question][arm] for arm in ASKED[question]}})
    flags = ["--questions", question, "--seeds", "1", "--rounds", "2", "--keep", str(tmp_path / "runs.jsonl"), "--out", str(tmp_path / "table.md")]
    assert remedies.main(flags) == 0
    table = (tmp_path / "table.md").read_text()
    assert table.startswith(f"{question}, 2 rounds\n") and table.count("\n| ") == 2 + len(ASKED[question])
    assert all(f"| {arm} |" in table for arm in ASKED[question]) and all(name in table for name in remedies.SCORES[question])
    monkeypatch.setattr(remedies, "work", None)  # what is on file is not done again
    assert remedies.main(flags) == 0 and (tmp_path / "table.md").read_text() == table


def test_questions_are_whole_and_arms_differ_in_what_they_name() -> None:
    assert {*remedies.SCORES} == {*remedies.ARMS} == {*remedies.ROUNDS}
    unrolled = [arm for name, arm in remedies.ARMS["stacked"].items() if "unrolled" in name and arm is not None]
    assert [(changes["architecture"], changes["unroll_steps"]) for _, _, changes in unrolled] == [
        (f"mlp-{size}", steps) for size in ("quarter", "half") for steps in (0, 1, 5)
    ]


def test_real_stacks_have_most_modes_and_not_all_as_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Held-out digits are not equally many of each, so 2,000 stacks have fewer modes than the 865 of equal ones."""
    monkeypatch.setattr(remedies, "STACKS", 2_000)
    modes, kl, _ = remedies.work({"question": "stacked", "arm": "held-out images", "rounds": 1, "seed": 0})["scores"].values()
    assert 700 < modes < 1000 * (1 - 0.999**2_000) and 999 / 4_000 < kl < 1


def test_the_border_turns_grey_where_images_are_augmented() -> None:
    images = open_data("fashion", resolution=16).records(torch.arange(200))["image"]
    with use(Draws.seeded(0, "view")):
        seen = DiffAugment("translation,cutout")(images.float() / 127.5 - 1)
    assert remedies.grey_border(images) < 0.05 and remedies.grey_border((seen * 127.5 + 127.5).round().to(torch.uint8)) > 0.4


def test_few_images_differ_between_seeds_and_are_no_test_images() -> None:
    first, second = remedies._few(300, 0), remedies._few(300, 1)
    assert len(first) == 300 and first.spec.content_hash == remedies._few(300, 0).spec.content_hash != second.spec.content_hash
    held_out = {image.numpy().tobytes() for image in open_data("fashion:test", resolution=16).records(torch.arange(1_000))["image"]}
    assert not held_out & {image.numpy().tobytes() for image in first.records(torch.arange(300))["image"]}
