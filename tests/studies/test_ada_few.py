"""ADA on a few images: the study at its smallest, its measure of overfitting, and the picture of the augmentations."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from saddlepoint.errors import UsageError
from saddlepoint.networks.base import Judgement
from saddlepoint.studies import ada_few, ada_picture


def test_the_study_runs_continues_and_says_what_it_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ada_few, "JUDGED", 16)
    tiny = {"width": 4, "batch": 4, "latent_dim": 4, "code_dim": 4, "r1_every": 2, "path_every": 2}
    paths = ["--work", str(tmp_path / "work"), "--out", str(tmp_path / "few.md"), "--picture", str(tmp_path / "few.png")]
    np.save(tmp_path / "noise.npy", np.random.default_rng(0).integers(0, 256, (80, 3, 32, 32), np.uint8))
    flags = ["--seeds", "1", "--images", "40", "--rounds", "5", "--data", str(tmp_path / "noise.npy"), "--settings", json.dumps(tiny)]
    ada_few.main([*flags, *paths])
    lines = (tmp_path / "work" / "runs.jsonl").read_text()
    ada_few.main([*flags, *paths])
    assert (tmp_path / "work" / "runs.jsonl").read_text() == lines
    page = (tmp_path / "few.md").read_text()
    assert "40 of the images of " in page and "at 32 pixels, 5 rounds" in page
    assert "| `stylegan2-ada --preset small` |" in page and "| `stylegan2-ada --preset small-none` |" in page
    assert (tmp_path / "few.png").stat().st_size > 0
    runs = json.loads((tmp_path / "few.json").read_text())["runs"]
    with_ada, without = (run["looks"] for run in runs)
    assert [look["images_seen"] for look in with_ada] == [0, 4, 8, 12, 16, 20]
    assert with_ada[0]["r_t"] is None and all(-1 <= look["r_t"] <= 1 for look in with_ada[1:])
    assert {look["p"] for look in without} == {0.0}
    assert with_ada[0]["quick_frechet"] == without[0]["quick_frechet"]  # the same start


def test_the_few_and_the_others_share_nothing() -> None:
    everything, few, others = ada_few.few_and_others("digits", 32, 500)
    assert len(few) == 500 and len(few) + len(others) == len(everything)
    first = few.records(torch.arange(500))["image"].flatten(1)
    again = ada_few.few_and_others("digits", 32, 500)[1].records(torch.arange(500))["image"].flatten(1)
    assert torch.equal(first, again)
    with pytest.raises(UsageError, match="needs more than 5000 images"):
        ada_few.few_and_others("digits", 32, 5000)


def test_overfitting_is_the_place_of_held_out_images_between_the_others() -> None:
    """D gives 2 to images trained on, 0.5 to held-out ones and -1 to generated ones: half the way."""

    class Data:
        def __init__(self, value: int) -> None:
            self.value = value

        def __len__(self) -> int:
            return 10

        def records(self, rows: Tensor) -> dict[str, Tensor]:
            return {"image": torch.full((len(rows), 1, 2, 2), self.value, dtype=torch.uint8)}

    levels = {1.0: 2.0, -1.0: 0.5, 0.0: -1.0}  # by the first pixel
    game: Any = SimpleNamespace(
        config=SimpleNamespace(batch=4),
        sample=lambda n, draws: torch.zeros(n, 1, 2, 2),
        judge=lambda x: Judgement(torch.tensor([levels[float(value)] for value in x[:, 0, 0, 0]])),
    )
    assert ada_few.r_v(game, Data(255), Data(0), 0) == pytest.approx(0.5)


def test_the_picture_has_a_row_for_each_view(tmp_path: Path) -> None:
    assert len(ada_picture.views()) == 11
    assert ada_picture.main(["--data", "digits", "--resolution", "16", "--images", "2", "--out", str(tmp_path / "ada.png")]) == 0
    assert (tmp_path / "ada.png").stat().st_size > 0
