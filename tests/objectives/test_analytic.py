"""Theory against independent numbers: divergences by quadrature and by hand, W1 by SciPy, the Dirac-GAN by its eigenvalues and its paths."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from torch import Tensor

from saddlepoint.errors import UsageError
from saddlepoint.objectives import analytic, dirac, minimax, wasserstein

P, Q = stats.norm(0.3, 0.8), stats.norm(-0.5, 1.3)


def densities(x: Tensor) -> tuple[Tensor, Tensor]:
    return torch.as_tensor(P.logpdf(x.numpy())), torch.as_tensor(Q.logpdf(x.numpy()))


def jensen_shannon_by_scipy() -> float:
    def integrand(x: float) -> float:
        p, q = float(P.pdf(x)), float(Q.pdf(x))
        return 0.5 * (p * math.log(2 * p / (p + q)) + q * math.log(2 * q / (p + q)))

    return float(integrate.quad(integrand, -12, 12, epsabs=1e-12)[0])


def test_best_discriminator_and_its_value() -> None:
    """D* = p/(p+q); V(D*) by its own integral equals -log 4 + 2 JSD; no other discriminator reaches more."""
    grid = torch.linspace(-12, 12, 20001, dtype=torch.float64)
    log_p, log_q = densities(grid)
    best = analytic.optimal_logit(log_p, log_q)
    np.testing.assert_allclose(best.sigmoid().numpy(), P.pdf(grid.numpy()) / (P.pdf(grid.numpy()) + Q.pdf(grid.numpy())), rtol=1e-9)

    def value(logit: Tensor) -> float:
        d = logit.sigmoid().clamp(1e-300, 1 - 1e-16)
        return float(torch.trapezoid(log_p.exp() * d.log() + log_q.exp() * (1 - d).log(), grid))

    divergence = analytic.jensen_shannon_quadrature(log_p, log_q, grid)
    assert divergence.item() == pytest.approx(jensen_shannon_by_scipy(), abs=1e-9)
    assert value(best) == pytest.approx(analytic.optimal_value(divergence).item(), abs=1e-9)
    assert value(best + 0.1) < value(best)
    assert value(best * 0.9) < value(best)


def test_the_loss_of_2014_is_stationary_at_the_best_discriminator() -> None:
    grid = torch.linspace(-6, 6, 101, dtype=torch.float64)
    log_p, log_q = densities(grid)
    best = analytic.optimal_logit(log_p, log_q).requires_grad_()
    zero = torch.zeros_like(best)
    real_term = minimax.discriminator(best, zero) - math.log(2)
    fake_term = minimax.discriminator(zero, best) - math.log(2)
    (slope,) = torch.autograd.grad((log_p.exp() * real_term + log_q.exp() * fake_term).sum(), best)
    torch.testing.assert_close(slope, zero.detach(), rtol=0, atol=1e-14)


def test_the_best_critic_of_a_shift_reaches_w1() -> None:
    x = torch.randn(100, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    y = x.flip(0) + 1.5  # C(x) = -x is the best 1-Lipschitz critic
    estimate = -wasserstein.discriminator(-x, -y).mean()
    torch.testing.assert_close(estimate, analytic.wasserstein_1d(x, y))
    assert estimate.item() == pytest.approx(1.5, rel=1e-12)


def test_divergence_by_sampling() -> None:
    rng = np.random.default_rng(0)
    x, y = torch.as_tensor(P.rvs(40000, random_state=rng)), torch.as_tensor(Q.rvs(40000, random_state=rng))
    estimate = analytic.jensen_shannon_monte_carlo(*densities(x), *densities(y))
    assert estimate.item() == pytest.approx(jensen_shannon_by_scipy(), abs=0.01)


def test_extremes_of_the_divergence() -> None:
    grid = torch.linspace(-12, 12, 4001, dtype=torch.float64)
    log_p, _ = densities(grid)
    assert analytic.jensen_shannon_quadrature(log_p, log_p, grid).item() == pytest.approx(0.0, abs=1e-12)
    left = torch.where((grid >= -2) & (grid < 0), 0.0, -torch.inf) - math.log(2)
    right = torch.where((grid > 0) & (grid <= 2), 0.0, -torch.inf) - math.log(2)
    assert analytic.jensen_shannon_quadrature(left, right, grid).item() == pytest.approx(math.log(2), rel=1e-2)
    zero = torch.zeros(4, dtype=torch.float64)
    assert analytic.value(zero, zero).item() == pytest.approx(-math.log(4), rel=1e-12)


@pytest.mark.parametrize(("n", "m"), [(50, 50), (50, 37), (3, 8), (1, 6)])
def test_exact_w1_against_scipy(n: int, m: int) -> None:
    rng = np.random.default_rng(n * m)
    x, y = rng.normal(size=n), rng.normal(1.0, 2.0, size=m)
    ours = analytic.wasserstein_1d(torch.as_tensor(x), torch.as_tensor(y))
    assert ours.item() == pytest.approx(stats.wasserstein_distance(x, y), rel=1e-12)
    assert analytic.wasserstein_1d(torch.as_tensor(y), torch.as_tensor(x)).item() == pytest.approx(ours.item(), rel=1e-12)


def test_exact_w1_has_a_gradient_and_refuses_planes() -> None:
    x, y = torch.tensor([0.0, 5.0], dtype=torch.float64, requires_grad=True), torch.tensor([1.0, 3.0, 2.0], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda a: analytic.wasserstein_1d(a, y), x)
    with pytest.raises(UsageError, match=r"came \[2, 2\] and \[2\]"):
        analytic.wasserstein_1d(torch.zeros(2, 2), torch.zeros(2))


def spectrum(field: dirac.Field) -> list[complex]:
    return sorted(dirac.eigenvalues(field).tolist(), key=lambda v: (round(v.real, 9), v.imag))


CIRCLING = {"minimax": (dirac.minimax, 0.5), "nonsaturating": (dirac.nonsaturating, 0.5), "wasserstein": (dirac.wasserstein, 1.0)}


@pytest.mark.parametrize("name", sorted(CIRCLING))
def test_unregularised_games_circle(name: str) -> None:
    """Purely imaginary eigenvalues, so simultaneous steps leave the equilibrium: each multiplies a small radius by sqrt(1 + (h speed)^2)."""
    field, speed = CIRCLING[name]
    assert spectrum(field) == pytest.approx([complex(0, -speed), complex(0, speed)], abs=1e-12)
    path = dirac.simulate(field, start=(1e-3, 0.0), step=0.1, num_steps=500)
    radii = path.norm(dim=1)
    assert path.shape == (501, 2)
    assert (radii[-1] / radii[0]).item() == pytest.approx((1 + (0.1 * speed) ** 2) ** 250, rel=1e-4)
    assert dirac.simulate(field, start=(1.0, 1.0), step=0.1, num_steps=5000)[-1000:].norm(dim=1).min() > 0.3


@pytest.mark.parametrize("name", ["minimax", "wasserstein"])
def test_zero_sum_fields_keep_their_distance(name: str) -> None:
    states = torch.randn(20, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    field = CIRCLING[name][0](states)
    torch.testing.assert_close((states * field).sum(1), torch.zeros(20, dtype=torch.float64), rtol=0, atol=1e-15)


def test_the_nonsaturating_field_turns_inwards_by_second_order_only() -> None:
    states = torch.randn(20, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    product = states.prod(1)
    torch.testing.assert_close((states * dirac.nonsaturating(states)).sum(1), -product * (product / 2).tanh())


def test_wasserstein_steps_by_hand() -> None:
    """Simultaneous steps multiply the radius by sqrt(1 + h^2); alternating ones stay bounded; clipping holds psi."""
    together = dirac.simulate(dirac.wasserstein, start=(1.0, 0.0), step=0.1, num_steps=50)
    torch.testing.assert_close(together.norm(dim=1), 1.01 ** (torch.arange(51, dtype=torch.float64) / 2), rtol=1e-12, atol=0)
    in_turn = dirac.simulate(dirac.wasserstein, start=(1.0, 0.0), step=0.1, num_steps=2000, alternating=True)
    assert in_turn[1].tolist() == pytest.approx([1 - 0.1 * 0.1, 0.1])
    assert in_turn.norm(dim=1).min() > 0.9
    assert in_turn.norm(dim=1).max() < 1.1
    clipped = dirac.simulate(
        dirac.wasserstein, start=(1.0, 0.0), step=0.1, num_steps=500, constrain=lambda s: torch.stack([s[0], s[1].clamp(-0.3, 0.3)])
    )
    assert clipped[:, 1].abs().max() == 0.3
    assert clipped[-100:].norm(dim=1).max() > 0.2


@pytest.mark.parametrize("gamma", [0.3, 0.5, 1.0, 2.5])
@pytest.mark.parametrize("base", [dirac.minimax, dirac.nonsaturating])
def test_zero_centered_penalty_converges(gamma: float, base: dirac.Field) -> None:
    field = functools.partial(dirac.zero_centered, gamma=gamma, base=base)
    root = np.sqrt(complex(gamma**2 / 4 - 0.25))
    assert sorted(v.real for v in spectrum(field)) == pytest.approx(sorted([(-gamma / 2 - root).real, (-gamma / 2 + root).real]), abs=1e-6)
    assert max(v.real for v in spectrum(field)) < 0
    assert dirac.simulate(field, start=(1.0, 1.0), step=0.1, num_steps=2000)[-1].norm() < 1e-3


def test_instance_noise_converges() -> None:
    for std in (0.5, 1.0, 2.0):
        field = functools.partial(dirac.instance_noise, std=std)
        root = np.sqrt(complex(std**4 / 16 - 0.25))
        expected = sorted([-(std**2) / 4 - root, -(std**2) / 4 + root], key=lambda v: (round(v.real, 9), v.imag))
        assert spectrum(field) == pytest.approx(expected, abs=1e-9)
    path = dirac.simulate(functools.partial(dirac.instance_noise, std=1.0), start=(1.0, 1.0), step=0.1, num_steps=2000)
    assert path[-1].norm() < 1e-3


def test_instance_noise_by_sampling() -> None:
    rng = np.random.default_rng(0)
    theta, psi, std = 0.7, -1.1, 0.8
    fake, noise = theta + std * rng.normal(size=2_000_000), std * rng.normal(size=2_000_000)
    expected = [(-psi / (1 + np.exp(psi * fake))).mean(), (fake / (1 + np.exp(psi * fake)) - noise / (1 + np.exp(-psi * noise))).mean()]
    field = dirac.instance_noise(torch.tensor([theta, psi], dtype=torch.float64), std=std)
    assert field.tolist() == pytest.approx(expected, abs=5e-3)


def test_consensus_optimisation_converges() -> None:
    for gamma in (0.5, 2.0):
        field = functools.partial(dirac.consensus, gamma=gamma)
        assert spectrum(field) == pytest.approx([complex(-gamma / 4, -0.5), complex(-gamma / 4, 0.5)], abs=1e-9)
    path = dirac.simulate(functools.partial(dirac.consensus, gamma=1.0), start=(0.5, 0.5), step=0.1, num_steps=2000)
    assert path[-1].norm() < 1e-3


def test_consensus_moves_against_the_slope_of_the_squared_field() -> None:
    state = torch.tensor([0.6, -0.4], dtype=torch.float64)
    jacobian = dirac.jacobian(dirac.minimax, state)
    expected = dirac.minimax(state) - 0.7 * jacobian.T @ dirac.minimax(state)
    torch.testing.assert_close(dirac.consensus(state, gamma=0.7).detach(), expected)
    assert not state.requires_grad


def test_a_penalty_around_one_does_not_converge() -> None:
    """WGAN-GP pushes |psi| to its target even at the equilibrium of theta: the path keeps moving."""
    path = dirac.simulate(functools.partial(dirac.gradient_penalised, weight=1.0, target=0.3), start=(1.0, 1.0), step=0.1, num_steps=3000)
    assert path[-200:].norm(dim=1).max() > 0.1
    inside = dirac.gradient_penalised(torch.tensor([0.0, 0.5], dtype=torch.float64), weight=1.0, one_sided=True)
    assert inside.tolist() == [-0.5, 0.0]
