"""Scores of translating runs by name: pairs against their targets, domains by the way back, by meaning and by class; sharpness of any samples."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from saddlepoint import api
from saddlepoint.data.sources import open_data
from saddlepoint.draws import derive_seed
from saddlepoint.errors import UsageError
from saddlepoint.evaluation.paired import psnr, target_error
from saddlepoint.training.plan import Plan
from saddlepoint.verbs.translating import translated
from saddlepoint.verbs.using import load
from saddlepoint.zoo.catalogue import find_recipe

QUIET = Plan(steps=2, preview_every=0, score_every=0, checkpoint_every=2)


def train(recipe: str, preset: str, data: str, out: Path, **changes: Any) -> str:
    config = dataclasses.replace(find_recipe(recipe).preset(preset), **changes)
    return str(api.train(recipe, data=data, config=config, out=out, plan=QUIET).folder)


@pytest.fixture(scope="module")
def painted(tmp_path_factory: pytest.TempPathFactory) -> str:
    """pix2pix that has learnt next to nothing."""
    return train("pix2pix", "small-32", "emoji-lines", tmp_path_factory.mktemp("runs") / "painted", width=4, d_width=4)


@pytest.fixture(scope="module")
def tinted(tmp_path_factory: pytest.TempPathFactory) -> str:
    return train("cyclegan", "small", "digits-tinted", tmp_path_factory.mktemp("runs") / "tinted", width=4, d_width=4, blocks=1)


def test_pairs_are_scored_against_their_targets(painted: str) -> None:
    result = api.evaluate(painted, metrics="psnr,ssim,target-error,exact,feature-distance,sharpness,kid", num=20)
    data = open_data("emoji-lines", resolution=32)
    rows = torch.randperm(len(data), generator=torch.Generator().manual_seed(derive_seed("generated", 0))).narrow(0, 0, 20).sort().values
    records = data.records(rows)
    game, _ = load(painted)
    x = records["image"].float() / 127.5 - 1
    made = [translated(game, part, {}, seed=derive_seed(0, "translation", start)) for start, part in ((0, x[:16]), (16, x[16:]))]
    bytes_made = (torch.cat(made).clamp(-1, 1) * 127.5 + 127.5).round().to(torch.uint8)
    scores = result["scores"]
    assert scores["psnr"]["value"] == pytest.approx(psnr(bytes_made, records["partner"]).mean(), abs=1e-9)
    assert scores["target_error"]["value"] == pytest.approx(target_error(bytes_made, records["partner"]).mean(), abs=1e-9)
    unchanged = target_error(records["image"].expand(-1, 3, -1, -1), records["partner"]).mean()
    assert result["details"]["target-error"]["input_unchanged"] == pytest.approx(unchanged, abs=1e-9)
    assert 0 < scores["ssim"]["value"] < 1 and 0 <= scores["exact"]["value"] < 1 and scores["feature_distance"]["value"] > 0
    assert scores["psnr"]["floor"] is None and scores["sharpness"]["floor"] is not None and scores["psnr"]["error"] > 0
    assert result["protocol"]["distance"] == "quick"


def test_domains_are_scored_by_cycle_meaning_and_class(tinted: str) -> None:
    result = api.evaluate(tinted, metrics="cycle-error,retrieval,kept-class", num=50)
    scores = result["scores"]
    back = api.evaluate(tinted, metrics="cycle-error", num=50, back=True)["scores"]
    assert 0 < scores["cycle_error"]["value"] < 1 and scores["cycle_error"]["value"] != back["cycle_error"]["value"]
    assert 0 <= scores["retrieval"]["value"] <= 1 and scores["retrieval_rank"]["value"] >= 1
    assert result["details"]["retrieval"]["chance"] == pytest.approx(0.1, abs=0.01) and result["details"]["retrieval"]["candidates"] == 898
    assert scores["kept_class"]["floor"] > 0.6 > scores["kept_class"]["value"]


def test_names_of_both_domains_are_meanings(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for side, names in (("A", "abcde"), ("B", "cdefg")):
        (tmp_path / "both" / side).mkdir(parents=True)
        for name in names:
            Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(tmp_path / "both" / side / f"{name}.png")
    data = open_data(f"domains:{tmp_path / 'both'}")
    assert data.column("meaning").tolist() == [-1, -1, 0, 1, 2]
    assert sorted(data.column("other_meaning").tolist()) == [-1, -1, 0, 1, 2]
    run = train("cyclegan", "small", f"domains:{tmp_path / 'both'}", tmp_path / "run", width=4, d_width=4, blocks=1, resolution=16)
    found = api.evaluate(run, metrics="retrieval", num=5)
    assert found["details"]["retrieval"]["candidates"] == 5 and found["scores"]["retrieval"]["value"] in (0, 1 / 3, 2 / 3, 1)
    with pytest.raises(UsageError, match="two domains whose images have classes"):
        api.evaluate(run, metrics="kept-class", num=5)


def test_what_a_metric_needs_is_said(painted: str, tinted: str, tmp_path: Path) -> None:
    for run, metric, words in (
        (tinted, "psnr", "the images that translations should be: a run that translates, and data of pairs"),
        (painted, "cycle-error", "a run that translates both ways, and data of two domains"),
        (painted, "retrieval", "names in common, or classes"),
    ):
        with pytest.raises(UsageError, match=words):
            api.evaluate(run, metrics=metric, num=4)


def test_sharpness_of_a_blur(tmp_path: Path) -> None:
    real = open_data("fashion").records(torch.arange(40))["image"]
    blurred = np.stack([np.asarray(Image.fromarray(image[0].numpy()).filter(ImageFilter.GaussianBlur(1)))[None] for image in real])
    np.save(tmp_path / "blurred.npy", blurred)
    np.save(tmp_path / "real.npy", real.numpy())
    found = {
        name: api.evaluate(str(tmp_path / f"{name}.npy"), against="fashion", metrics="sharpness", num=40)["scores"] for name in ("real", "blurred")
    }
    assert found["real"]["sharpness"]["value"] == pytest.approx(1, abs=0.2) and abs(found["real"]["fine_gap"]["value"]) < 2
    assert found["blurred"]["sharpness"]["value"] < 0.75 and found["blurred"]["fine_gap"]["value"] < -8
