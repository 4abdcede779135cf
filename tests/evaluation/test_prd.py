"""Precision and recall of distributions: the formula, what a collapsed and a wandering generator lose, the metric by name."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import saddlepoint
from saddlepoint.errors import UsageError
from saddlepoint.evaluation import prd_curve
from saddlepoint.evaluation.engine import evaluate
from saddlepoint.evaluation.prd import curve_of_clusters
from saddlepoint.evaluation.sets import SampleSet, of_function

ANGLES = 101


def modes(rng: np.random.Generator, num: int, of: int, start: int = 0) -> np.ndarray:
    """Samples of so many of ten modes, tight and far apart, in ten dimensions."""
    return 20.0 * np.eye(10)[start + rng.integers(0, of, num)] + 0.1 * rng.standard_normal((num, 10))


def test_the_curve_is_the_papers_sums() -> None:
    rng = np.random.default_rng(0)
    real, fake = rng.integers(0, 5, (3, 40)), rng.integers(1, 5, (3, 60))
    curve = curve_of_clusters(real, fake, clusters=5, angles=ANGLES)
    for place in (0, 30, 50, 99, 100):
        slope = np.tan(np.linspace(1e-10, np.pi / 2 - 1e-10, ANGLES)[place])
        alpha = beta = 0.0
        for run in range(3):
            for k in range(5):
                p, q = (real[run] == k).mean(), (fake[run] == k).mean()
                alpha += min(slope * p, q) / 3
                beta += min(p, q / slope) / 3
        assert curve.precision[place] == pytest.approx(alpha, abs=1e-12)
        assert curve.recall[place] == pytest.approx(beta, abs=1e-12)
    scores = [65 * a * b / (64 * a + b) for a, b in zip(curve.precision[1:-1], curve.recall[1:-1], strict=True)]
    assert curve.best()[0] == pytest.approx(max(scores), abs=1e-3)


def test_a_collapsed_generator_loses_recall_and_a_wandering_one_precision() -> None:
    rng = np.random.default_rng(1)
    real = modes(rng, 500, 8)
    alike, collapsed, wandering = modes(rng, 500, 8), modes(rng, 500, 4), modes(rng, 500, 8, start=2)
    same, less, other = (prd_curve(real, fake, runs=3).best() for fake in (alike, collapsed, wandering))
    assert min(same) > 0.9
    assert less[1] > 0.9 > 0.65 > less[0] > 0.4  # F_8 weighs recall, F_1/8 precision
    assert other[0] == pytest.approx(other[1], abs=0.05)
    assert 0.6 < other[1] < 0.85
    assert prd_curve(real, real, runs=2).best() == pytest.approx((1, 1), abs=1e-9)


def test_both_sides_change_places() -> None:
    rng = np.random.default_rng(2)
    real, fake = modes(rng, 300, 8), modes(rng, 300, 4)
    there, back = curve_of_clusters(*_sides(real, fake)), curve_of_clusters(*_sides(fake, real))
    assert there.best() == pytest.approx(back.best()[::-1], abs=1e-9)


def _sides(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return one.argmax(1)[None], other.argmax(1)[None]


@pytest.mark.parametrize("changes", [{"clusters": 1}, {"clusters": 41}, {"angles": 2}, {"runs": 0}])
def test_what_makes_no_curve(changes) -> None:
    with pytest.raises(UsageError, match="needs 2 clusters or more"):
        prd_curve(np.zeros((20, 2)), np.ones((20, 2)), **changes)


def test_by_name(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("SADDLEPOINT_CACHE", str(tmp_path))

    def points(num: int, seed: int, of: int) -> SampleSet:
        def draw(n: int, rng: torch.Generator) -> torch.Tensor:
            return torch.from_numpy(modes(np.random.default_rng(int(torch.randint(2**31, (), generator=rng))), n, of))

        return of_function(draw, num, name="modes", seed=seed)

    costs: list[str] = []
    result = evaluate(points(400, 0, 8), points(300, 1, 8), points(300, 2, 4), metrics=["prd"], extractor=None, tell=costs.append)
    recall, precision = (result["scores"][name] for name in ("prd_recall", "prd_precision"))
    assert recall["value"] < 0.65 < 0.9 < precision["value"] and recall["floor"] > 0.9
    assert 0 < recall["error"] < 0.1 and recall["better"] == "higher"
    curve = result["details"]["prd"]["curve"]
    assert len(curve) == 51 and curve[0] == pytest.approx([0.5, 0], abs=0.1) and curve[-1] == pytest.approx([0, 1], abs=0.1)
    assert any("clusters 600 rows of 10 ten times" in line for line in costs)
    with pytest.raises(UsageError, match="prd needs 10 samples a side"):
        saddlepoint.evaluate("ring8", against="ring8", metrics="prd", num=8)
