"""The study of LAPGAN's likelihood: it runs, goes on where it was stopped, and its real images are what they say."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from saddlepoint.errors import UsageError
from saddlepoint.evaluation.parzen import parzen_log_likelihood
from saddlepoint.evaluation.pyramid_parzen import haar_split
from saddlepoint.studies import pyramid_likelihood
from saddlepoint.zoo.catalogue import find_recipe


def test_it_runs_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lapgan = {"batch": 4, "width": 2, "d_width": 2, "coarse_width": 8, "coarse_d_width": 8, "latent_dim": 4}
    arms = pyramid_likelihood.ARMS["clothes"] | {
        "LAPGAN": ("lapgan", "small", lapgan),
        "fully connected GAN": ("gan", "small", {"resolution": 32, "width": 10, "batch": 4}),
    }
    monkeypatch.setattr(pyramid_likelihood, "ARMS", {"clothes": arms})
    for name, value in {"WINDOWS": 80, "EACH": 5, "CHECKS": 4, "TESTS": 6, "REALS": 60}.items():
        monkeypatch.setattr(pyramid_likelihood, name, value)
    flags = ["--seeds", "1", "--rounds", "2", "--keep", str(tmp_path / "runs.jsonl"), "--out", str(tmp_path / "table.md")]
    assert pyramid_likelihood.main(flags) == 0
    table = (tmp_path / "table.md").read_text()
    assert table.startswith("clothes, 2 rounds\n") and all(f"| {arm} |" in table for arm in arms)
    records = {record["job"]["arm"]: record for record in map(json.loads, (tmp_path / "runs.jsonl").read_text().splitlines())}
    for name, record in records.items():
        whole, *shares = list(record["scores"].values())[1:-1]
        if name == "fully connected GAN":
            assert [whole, *shares] == [None] * 4 and "train_sec" in record
        else:
            assert sum(shares) == pytest.approx(whole) and len(record["sigmas"]) == 3 and record["deviation"] > 0
    real, blurred = (records[name]["scores"] for name in ("real images", "real images of 8 pixels, enlarged"))
    assert real["of that 8 pixels"] == blurred["of that 8 pixels"]  # the same images
    assert real["quick Frechet distance"] < blurred["quick Frechet distance"]
    monkeypatch.setattr(pyramid_likelihood, "work", None)  # what is on file is not done again
    assert pyramid_likelihood.main(flags) == 0
    assert (tmp_path / "table.md").read_text() == table


def test_the_arms_have_the_pyramid_that_is_scored() -> None:
    for arm in pyramid_likelihood.ARMS["clothes"].values():
        if arm is not None:
            recipe, preset, changes = arm
            config = vars(find_recipe(recipe).preset(preset)) | changes
            assert config["resolution"] == pyramid_likelihood.SIZES[-1] and not config.get("standardise", False)
    assert {*pyramid_likelihood.TIMES} == {name for name, arm in pyramid_likelihood.ARMS["clothes"].items() if arm is not None}


def test_real_images_of_a_band_are_those_with_the_nearest_low_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pyramid_likelihood, "EACH", 2)
    monkeypatch.setattr(pyramid_likelihood, "SIZES", (2, 4))
    draw = torch.Generator().manual_seed(0)
    images, checks, tests = (torch.rand(n, 1, 4, 4, generator=draw, dtype=torch.float64) for n in (9, 3, 2))
    found = pyramid_likelihood.real_pyramid(images, checks, tests, nearest=True)
    order = (F.avg_pool2d(images, 2) - F.avg_pool2d(tests[:1], 2)).square().sum((1, 2, 3)).argsort()[:2]
    fine = parzen_log_likelihood(haar_split(images[order])[1], haar_split(tests[:1])[1], found.sigmas[1])
    coarse = parzen_log_likelihood(F.avg_pool2d(images, 2), F.avg_pool2d(tests[:1], 2), found.sigmas[0]) - 4 * math.log(2)
    np.testing.assert_allclose(found.each[:1], fine + coarse)
    with pytest.raises(UsageError, match="halves both sides"):
        pyramid_likelihood.real_pyramid(images[..., :3], checks[..., :3], tests[..., :3], nearest=True)


def test_no_bands_leave_the_coarse_image() -> None:
    x = torch.rand(2, 1, 32, 32) * 2 - 1
    flat = torch.full((1, 1, 8, 8), 0.5)
    assert pyramid_likelihood.blocks(x).shape == (2, 1, 8, 8)
    torch.testing.assert_close(pyramid_likelihood.enlarged(flat), torch.full((1, 1, 32, 32), 0.5))
    assert pyramid_likelihood.levels(torch.tensor([-2.0, -1.0, 1.0])).tolist() == [0, 0, 255]
    assert torch.equal(pyramid_likelihood.levels(pyramid_likelihood.signed(torch.arange(256).to(torch.uint8))), torch.arange(256).to(torch.uint8))
