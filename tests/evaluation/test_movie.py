"""Walks through a generator's latents as moving pictures."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence
from torch import Tensor

from saddlepoint import api
from saddlepoint.cli.main import main
from saddlepoint.errors import UsageError
from saddlepoint.evaluation.movie import movie_of, walk_frames
from saddlepoint.evaluation.walks import walk_of
from saddlepoint.training.plan import Plan
from tests.training.test_promises import make_game


def pictures(file: Path | io.BytesIO) -> list[Tensor]:
    with Image.open(file) as movie:
        return [torch.from_numpy(np.array(frame.convert("L"))).float() for frame in ImageSequence.Iterator(movie)]


def test_a_walk_passes_its_keys_and_closes() -> None:
    walk = walk_of(make_game(dtype=torch.float32))
    assert walk is not None
    frames = walk_frames(walk, walkers=3, keys=2, steps=5, seed=1)
    assert len(frames) == 10
    assert frames[0].shape == (3, 1, 16, 16)
    assert frames[0].dtype == torch.uint8
    steps = [(a.float() - b.float()).abs().mean().item() for a, b in zip(frames, frames[1:] + frames[:1], strict=True)]
    apart = (frames[0].float() - frames[5].float()).abs().mean().item()
    assert 0 < max(steps) < apart  # small steps between keys that are far apart, the last one back to the first frame
    again = walk_frames(walk, walkers=3, keys=2, steps=5, seed=1)
    assert all(torch.equal(a, b) for a, b in zip(frames, again, strict=True))
    assert not torch.equal(walk_frames(walk, walkers=3, keys=2, steps=1, seed=2)[0], frames[0])


def test_truncation_brings_the_walkers_together() -> None:
    game = make_game(dtype=torch.float32)
    sizes = []
    for truncation in (None, 0.1):
        first, second = pictures(io.BytesIO(movie_of(game, walkers=1, keys=2, steps=1, truncation=truncation)))
        sizes.append((first - second).abs().mean().item())
    assert sizes[1] < 0.5 * sizes[0]


def test_a_run_ends_with_a_walk_and_sample_writes_one(tmp_path: Path) -> None:
    plan = Plan(steps=2, preview_every=2, score_every=0)
    run = api.train("nsgan", data="digits", width=4, batch=8, resolution=16, device="cpu", out=tmp_path / "run", plan=plan).folder
    assert len(pictures(run / "samples" / "walk.gif")) == 48
    assert main(["sample", str(run), "--num", "2", "--out", str(tmp_path / "walk.gif")]) == 0
    assert len(pictures(tmp_path / "walk.gif")) == 48


def test_points_do_not_move(tmp_path: Path) -> None:
    run = api.train("nsgan", data="ring8", width=4, batch=8, device="cpu", out=tmp_path / "run", plan=Plan(steps=1, preview_every=0, score_every=0))
    with pytest.raises(UsageError, match="A moving picture needs a generator of images"):
        api.sample(run.folder, num=2, out=tmp_path / "walk.gif")
    assert not (tmp_path / "walk.gif").exists()
