"""Walks between latents: even ones, jumps, and the metric by name."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

import saddlepoint
from saddlepoint.errors import UsageError
from saddlepoint.evaluation import largest_steps
from saddlepoint.evaluation.walks import Walk


def walk(images, between="straight") -> Walk:
    return Walk(latents=lambda n, draws: draws.normal(n, 2), images=images, between=between, dtype=torch.float64)


def distance(x: Tensor, y: Tensor) -> Tensor:
    return (x - y).flatten(1).norm(dim=1)


def painted(z: Tensor, labels: Tensor | None) -> Tensor:
    return z[:, :, None, None].expand(-1, -1, 4, 4)


def test_an_even_walk_has_even_steps() -> None:
    shares = largest_steps(walk(painted), distance, paths=5, steps=8, batch_size=2)
    np.testing.assert_allclose(shares, np.full(5, 1 / 8), rtol=1e-9)


def test_a_generator_that_knows_two_images_jumps() -> None:
    def learnt(z: Tensor, labels: Tensor | None) -> Tensor:
        return painted((z > 0).to(z), labels)[:, :1]

    shares = largest_steps(walk(learnt), distance, paths=64)
    assert set(np.unique(shares)) == {1 / 16, 1.0}  # both ends the same image, or one leap
    assert 0.3 < (shares == 1.0).mean() < 0.7


def test_what_is_no_walk() -> None:
    for given in ({"paths": 0}, {"paths": 3, "steps": 1}):
        with pytest.raises(UsageError, match="a path and two steps or more"):
            largest_steps(walk(painted), distance, **given)
    with pytest.raises(UsageError, match="one finite distance a step"):
        largest_steps(walk(painted), lambda x, y: torch.full((len(x),), torch.nan), paths=3)


def test_by_name(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("SADDLEPOINT_CACHE", str(tmp_path / "cache"))
    saddlepoint.train("dcgan", data="digits", out=tmp_path / "run", preset="small", steps=1, width=8, batch=8, resolution=16)
    said: list[str] = []
    result = saddlepoint.evaluate(tmp_path / "run", metrics="jumps", num=20, show=said.append)
    score = result["scores"]["path_jump"]
    assert 1 / 16 <= score["value"] < 0.5 and score["error"] > 0 and score["floor"] is None
    assert any("generates 340 images on walks of 16 steps" in line for line in said)
    with pytest.raises(UsageError, match="jumps needs a run whose generator has latents"):
        saddlepoint.evaluate("digits", against="digits", metrics="jumps")
