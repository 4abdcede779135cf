"""Toys: the points are drawn from the density they claim, at the papers' scales."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.datasets import make_swiss_roll

from saddlepoint.data.toys import NUM_POINTS, TOYS, open_toy

MIXTURES = {  # name: (modes, distance of the outermost mode from 0, std)
    "ring8": (8, 2 / 1.414, 0.02 / 1.414),
    "ring8-unrolled": (8, 2.0, 0.02),
    "grid25": (25, 4 * math.sqrt(2) / 2.828, 0.05 / 2.828),
    "grid25-labelled": (25, 4 * math.sqrt(2) / 2.828, 0.05 / 2.828),
}


@pytest.mark.parametrize("name", MIXTURES)
def test_a_mixture_has_the_papers_modes(name: str) -> None:
    modes, outermost, std = MIXTURES[name]
    data = open_toy(name)
    points = data.column("point").double()
    assert data.centers is not None
    assert data.centers.shape == (modes, 2)
    assert data.centers.norm(dim=1).max().item() == pytest.approx(outermost, rel=1e-12)
    assert data.std == pytest.approx(std, rel=1e-12)
    distances, nearest = torch.cdist(points, data.centers).min(1)
    assert torch.equal(nearest.bincount(), torch.full((modes,), NUM_POINTS // modes))
    assert distances.square().mean().div(2).sqrt().item() == pytest.approx(std, rel=0.01)  # 1 / sqrt(2 * 100,000) = 0.2 %


@pytest.mark.parametrize("name", ["ring8", "grid25", "swissroll"])
def test_the_scaled_toys_have_about_unit_variance(name: str) -> None:
    assert open_toy(name).column("point").std(0).tolist() == pytest.approx([1, 1], abs=0.12)


@pytest.mark.parametrize("name", ["ring8", "grid25-labelled"])
def test_the_label_is_the_mode(name: str) -> None:
    data = open_toy(name)
    assert data.centers is not None
    assert data.spec.fields == ("point", "label")
    assert data.spec.num_classes == len(data.centers) == len(data.spec.class_names)
    assert torch.equal(data.column("label"), torch.cdist(data.column("point").double(), data.centers).argmin(1))


def test_both_grids_hold_the_same_points() -> None:
    plain, labelled = open_toy("grid25"), open_toy("grid25-labelled")
    assert torch.equal(plain.column("point"), labelled.column("point"))
    assert plain.spec.num_classes is None
    assert plain.spec.fields == ("point",)


@pytest.mark.parametrize("name", TOYS)
def test_points_are_the_same_every_time(name: str) -> None:
    first, again = open_toy(name), open_toy(name)
    assert first.spec == again.spec
    assert first.column("point").dtype == torch.float32
    assert first.column("point").shape == (NUM_POINTS, *first.spec.shape)
    assert torch.equal(first.column("point"), again.column("point"))


@pytest.mark.parametrize("name", ["ring8", "grid25", "swissroll"])
def test_a_density_integrates_to_one(name: str) -> None:
    data = open_toy(name)
    low, high = data.column("point").min(0).values - 0.2, data.column("point").max(0).values + 0.2
    spacing = data.std / 1.5  # the lattice sum of a Gaussian is exact to 1e-9 from there on
    axes = [torch.arange(float(low[i]), float(high[i]), spacing, dtype=torch.float64) for i in range(2)]
    x = torch.cartesian_prod(*axes)
    if name == "grid25":
        assert data.centers is not None
        x = x[torch.cdist(x, data.centers).min(1).values < 8 * data.std]  # the rest holds nothing
    assert (data.density(x).exp().sum() * spacing**2).item() == pytest.approx(1, abs=1e-6)


def test_the_density_of_a_mixture_is_the_formula() -> None:
    data = open_toy("ring8")
    assert data.centers is not None
    x = np.array([[1.4, 0.1], [0.0, 0.0], [1.0, 1.0]])
    squares = ((x[:, None] - data.centers.numpy()) ** 2).sum(-1) / data.std**2
    with np.errstate(divide="ignore"):
        expected = np.log(np.exp(-squares / 2).sum(1) / 8 / (2 * np.pi * data.std**2))
    found = data.density(torch.from_numpy(x))
    assert found[0].item() == pytest.approx(expected[0], abs=1e-9)
    assert found[1].item() < -4000  # where exp underflows the logarithm is still exact
    assert found.dtype == torch.float64


def test_mean_log_density_of_gaussian1d_is_its_negative_entropy() -> None:
    data = open_toy("gaussian1d")
    entropy = 0.5 * math.log(2 * math.pi * math.e * 0.25)
    assert data.density(data.column("point")).mean().item() == pytest.approx(-entropy, abs=0.01)
    assert data.column("point").mean().item() == pytest.approx(2, abs=0.01)


def test_the_swiss_roll_is_scikit_learns() -> None:
    ours = open_toy("swissroll").column("point").double().numpy()
    theirs = make_swiss_roll(100_000, noise=0.25, random_state=0)[0][:, [0, 2]] / 7.5
    for moment in (1, 2, 3):
        assert (ours**moment).mean(0) == pytest.approx((theirs**moment).mean(0), abs=0.02)
    assert np.quantile(ours, [0.01, 0.5, 0.99], axis=0) == pytest.approx(np.quantile(theirs, [0.01, 0.5, 0.99], axis=0), abs=0.03)


def test_the_quadrature_of_the_swiss_roll_is_exact() -> None:
    data = open_toy("swissroll")
    x = torch.cat([data.column("point")[:15].double(), torch.tensor([[0.0, 0.0], [2.5, -2.5], [-1.9, 2.4], [6.0, 6.0]], dtype=torch.float64)])
    t = np.linspace(1.5 * np.pi, 4.5 * np.pi, 400_001)  # Simpson's rule on a mesh far finer than the noise
    weights = np.where(np.arange(len(t)) % 2, 4, 2).astype(float)
    weights[[0, -1]] = 1
    curve = np.stack([t * np.cos(t), t * np.sin(t)], 1) / 7.5
    for point, found in zip(x.numpy(), data.density(x).tolist(), strict=True):
        exponents = -((point - curve) ** 2).sum(1) / (2 * data.std**2)
        integral = (np.exp(exponents - exponents.max()) * weights).sum() * (t[1] - t[0]) / 3 / (3 * np.pi)
        expected = math.log(integral) + exponents.max() - math.log(2 * np.pi * data.std**2)
        assert found == pytest.approx(expected, abs=1e-9 if abs(point).max() <= 2.5 else 1e-6, rel=0)


def test_the_dirac_mass_is_all_at_zero() -> None:
    data = open_toy("dirac")
    assert data.column("point").abs().max().item() == 0
    assert data.density(torch.tensor([[0.0], [1e-6]])).tolist() == [math.inf, -math.inf]
    assert data.std == 0
    assert data.centers is not None
    assert data.centers.tolist() == [[0.0]]


def test_a_part_of_a_toy_still_knows_its_density() -> None:
    from saddlepoint.data.sources import open_data

    part = open_data("ring8:test")
    assert len(part) == 10_000
    assert part.density(part.column("point")[:4]).shape == (4,)  # type: ignore[attr-defined]
