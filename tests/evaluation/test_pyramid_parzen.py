"""The likelihood of a pyramid of generators: a unitary split, densities that are known, levels that add up."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal, norm

from saddlepoint.draws import Draws
from saddlepoint.errors import UsageError
from saddlepoint.evaluation.parzen import parzen_log_likelihood
from saddlepoint.evaluation.pyramid_parzen import Band, haar_join, haar_split, in_units, lapgan_log_likelihood, pyramid_log_likelihood
from saddlepoint.networks.lapgan import LapganGenerator, resize


def rng(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int, scale: float = 1.0) -> torch.Tensor:
    return scale * torch.randn(*shape, generator=rng(seed), dtype=torch.float64)


def test_the_split_is_unitary_and_has_an_inverse() -> None:
    x = normal(5, 3, 6, 4, seed=0)
    low, details = haar_split(x)
    assert low.shape == (5, 3, 3, 2) and details.shape == (5, 9, 3, 2)
    torch.testing.assert_close(haar_join(low, details), x, atol=1e-12, rtol=0)
    basis = torch.cat([part.flatten(1) for part in haar_split(torch.eye(72, dtype=torch.float64).view(72, 3, 6, 4))], 1)
    torch.testing.assert_close(basis @ basis.T, torch.eye(72, dtype=torch.float64), atol=1e-12, rtol=0)
    torch.testing.assert_close(low / 2, torch.nn.functional.avg_pool2d(x, 2), atol=1e-12, rtol=0)
    constant = haar_split(torch.full((1, 1, 4, 4), 0.3, dtype=torch.float64))[1]
    assert constant.abs().max() < 1e-15  # nothing is lost of what block means know


def test_two_by_two_pixels_against_the_closed_form() -> None:
    """Samplers of N(0, s^2) at four pixels, whose mean has deviation s/2: the density is normal, wider by sigma^2 in h and (2 sigma)^2 in l'."""
    s, sigma = 0.7, 0.4
    test = normal(4, 1, 2, 2, seed=1, scale=s)
    drawn = normal(200_000, 1, 2, 2, seed=2, scale=s)
    coarsest = normal(200_000, 1, 1, 1, seed=3, scale=s / 2)
    found = pyramid_log_likelihood(coarsest, [lambda low: drawn + low], test[:1], test, sigmas=[sigma])
    mean = np.full((4, 4), 1 / 4)  # projection of four pixels on their mean
    covariance = (s**2 + sigma**2) * (np.eye(4) - mean) + (s**2 + 4 * sigma**2) * mean
    np.testing.assert_allclose(found.each, multivariate_normal(np.zeros(4), covariance).logpdf(test.flatten(1).numpy()), atol=0.02)
    coarse = norm(0, math.hypot(s, 2 * sigma)).logpdf(haar_split(test)[0].flatten().numpy())
    assert found.levels[0] == pytest.approx(coarse.mean(), abs=0.01)
    assert found.value == pytest.approx(found.each.mean()) and found.error == pytest.approx(found.each.std() / 2)
    assert sum(found.levels) == pytest.approx(found.value) and "rank models wrongly" in found.warning


def test_three_sizes_add_up() -> None:
    """One sample a level, so each window is a normal distribution: the parts by hand, from block means."""
    test, checks = normal(3, 2, 8, 4, seed=4), normal(2, 2, 8, 4, seed=5)
    coarsest, made = normal(1, 2, 2, 1, seed=6), [normal(1, 2, 4, 2, seed=7), normal(1, 2, 8, 4, seed=8)]
    seen: list[torch.Tensor] = []

    def band(index: int) -> Band:
        def images(low: torch.Tensor) -> torch.Tensor:
            seen.append(low)
            return made[index]

        return images

    found = pyramid_log_likelihood(coarsest, [band(0), band(1)], checks, test, sigmas=[0.3])
    middle = torch.nn.functional.avg_pool2d(test, 2)
    small = torch.nn.functional.avg_pool2d(middle, 2)
    torch.testing.assert_close(seen[2], middle[0])  # two of the validation images come first; the finest level before the next
    torch.testing.assert_close(seen[7], small[0])
    parts = [
        parzen_log_likelihood(coarsest, small, 0.3) - 2 * 4 * math.log(2),
        parzen_log_likelihood(haar_split(made[0])[1], haar_split(middle)[1], 0.3) - 12 * math.log(2),
        parzen_log_likelihood(haar_split(made[1])[1], haar_split(test)[1], 0.3),
    ]
    np.testing.assert_allclose(found.each, sum(parts), rtol=1e-12)
    np.testing.assert_allclose(found.levels, [part.mean() for part in parts], rtol=1e-12)
    assert sum(found.levels) == pytest.approx(found.value, rel=1e-12) and found.sigmas == (0.3, 0.3, 0.3)
    chain = found.each - parts[2]  # the formula of the paper, a level at a time: log p(2 I_1) = log p(I_1) - dim log 2
    alone = pyramid_log_likelihood(coarsest, [lambda low: made[0]], torch.nn.functional.avg_pool2d(checks, 2), middle, sigmas=[0.3])
    np.testing.assert_allclose(chain, alone.each - middle[0].numel() * math.log(2), rtol=1e-12)
    same = in_units(found, [(2, 1), (4, 2), (8, 4)], math.log(0.5), 2)  # pixels half as large: densities 2^64 times
    assert same.value == pytest.approx(found.value + 64 * math.log(2)) and sum(same.levels) == pytest.approx(same.value)


def test_each_level_has_the_width_that_is_best_for_the_validation_images() -> None:
    deviations = (1.0, 0.1)  # of the coarse image and of the details
    low, details = normal(600, 1, 1, 1, seed=9, scale=2 * deviations[0]), normal(600, 3, 1, 1, seed=10, scale=deviations[1])
    images, zero = haar_join(low, details), torch.zeros(1, 1, 2, 2, dtype=torch.float64)
    found = pyramid_log_likelihood(zero[..., :1, :1], [lambda mean: zero + mean], images[:300], images[300:], sigmas=[0.01, 0.1, 1.0])
    assert found.sigmas == deviations  # one window at 0 is as wide as the data


def test_lapgan_is_asked_on_the_true_low_pass_and_pixels_enter_by_their_jacobian() -> None:
    torch.manual_seed(0)
    generator = LapganGenerator((1, 8, 8), [(2, 2), (4, 4), (8, 8)], latent_dim=3, width=2, coarse_width=4)
    images = normal(6, 1, 8, 8, seed=11, scale=0.5).float()
    plain = lapgan_log_likelihood(generator, images[:3], images[3:], num=5, num_coarsest=50, seed=1)
    again = lapgan_log_likelihood(generator, images[:3], images[3:], num=5, num_coarsest=50, seed=1)
    assert plain.value == again.value and len(plain.levels) == 3 and np.isfinite(plain.value)
    generator.mean, generator.std = torch.full((1, 8, 8), 0.25), torch.full((1, 8, 8), 0.5)
    moved = lapgan_log_likelihood(generator, images[:3] / 2 + 0.25, images[3:] / 2 + 0.25, num=5, num_coarsest=50, seed=1)
    np.testing.assert_allclose(moved.each, plain.each + 64 * math.log(2), rtol=1e-5)
    for level in generator.levels[1:]:
        for parameter in level.parameters():
            torch.nn.init.zeros_(parameter)  # no bands: the window stands on the enlarged block means alone
    generator.mean, generator.std = torch.zeros(1, 8, 8), torch.ones(1, 8, 8)
    found = lapgan_log_likelihood(generator, images[:3], images[3:], num=1, num_coarsest=50, seed=1, sigmas=[0.4])
    z = Draws.seeded(1, "likelihood").uniform(50, 3, low=-1.0)
    middle = torch.nn.functional.avg_pool2d(images[3:], 2)
    error = haar_split(images[3:] - resize(middle, (8, 8)))[1].double().square().sum((1, 2, 3)).numpy()
    assert found.levels[2] == pytest.approx((-error / 0.32 - 24 * math.log(2 * math.pi * 0.16)).mean(), rel=1e-5)
    with torch.no_grad():
        coarse = parzen_log_likelihood(generator.levels[0](z), torch.nn.functional.avg_pool2d(middle, 2), 0.4)
    assert found.levels[0] == pytest.approx(coarse.mean() - 8 * math.log(2), rel=1e-5)


def test_what_has_no_pyramid_is_refused() -> None:
    x, coarse = torch.zeros(2, 1, 6, 6), torch.zeros(4, 1, 3, 3)
    with pytest.raises(UsageError, match=r"halves both sides .* \[2, 1, 5, 4\]"):
        haar_split(torch.zeros(2, 1, 5, 4))
    with pytest.raises(UsageError, match=r"halves both sides .* \[4, 1, 3, 3\]"):  # 6 -> 3 -> no further
        pyramid_log_likelihood(coarse, [lambda low: coarse, lambda low: x], x, x)
    with pytest.raises(UsageError, match="A band's samples have the size of their level"):
        pyramid_log_likelihood(coarse, [lambda low: torch.zeros(4, 1, 8, 8)], x, x)
    with pytest.raises(UsageError, match="coarsest samples have the size"):
        pyramid_log_likelihood(torch.zeros(4, 1, 2, 2), [lambda low: x], x, x)
    with pytest.raises(UsageError, match="need one size"):
        pyramid_log_likelihood(coarse, [lambda low: x], torch.zeros(2, 1, 4, 4), x)
    with pytest.raises(UsageError, match="widths above 0"):
        pyramid_log_likelihood(coarse, [lambda low: x], x, x, sigmas=[])
    uneven = LapganGenerator((1, 28, 28), [(8, 8), (14, 14), (28, 28)], latent_dim=2, width=2, coarse_width=2)
    with pytest.raises(UsageError, match="levels that double"):
        lapgan_log_likelihood(uneven, torch.zeros(1, 1, 28, 28), torch.zeros(1, 1, 28, 28))
    told = LapganGenerator((1, 4, 4), [(2, 2), (4, 4)], latent_dim=2, width=2, coarse_width=2, num_classes=3)
    with pytest.raises(UsageError, match="told no labels"):
        lapgan_log_likelihood(told, torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4))
