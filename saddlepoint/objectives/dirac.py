"""The Dirac-GAN: the smallest game that shows which training methods converge.

Data sits at 0, the generator at theta, the discriminator is C(x) = psi x; the only equilibrium is (0, 0). Mescheder et al. 2018 (arXiv:1801.04406),
Section 2. A field gives the direction in which both players move at a state (theta, psi), shape [..., 2]. The game is locally convergent where
every eigenvalue of the field's Jacobian at (0, 0) has a negative real part, and circles where the real parts are 0. Throughout, the value is
f(psi theta) + f(0) with f(t) = -log(1 + e^-t).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import relu

Field = Callable[[Tensor], Tensor]
EQUILIBRIUM = (0.0, 0.0)


def minimax(state: Tensor) -> Tensor:
    """The game of 2014: (-psi f'(psi theta), theta f'(psi theta)). Eigenvalues at the equilibrium +-i/2."""
    theta, psi = state.unbind(-1)
    slope = torch.sigmoid(-psi * theta)  # f'
    return torch.stack([-psi * slope, theta * slope], -1)


def nonsaturating(state: Tensor) -> Tensor:
    """The generator minimises -log D instead: (-psi f'(-psi theta), theta f'(psi theta)). Eigenvalues at the equilibrium +-i/2.

    The radial part of the field is -t tanh(t/2) / r with t = psi theta and r the distance: of fourth order near the equilibrium, so that steps of any
    finite size still leave it and end on a circle.
    """
    theta, psi = state.unbind(-1)
    return torch.stack([-psi * torch.sigmoid(psi * theta), theta * torch.sigmoid(-psi * theta)], -1)


def wasserstein(state: Tensor) -> Tensor:
    """WGAN before its clipping: (-psi, theta). Eigenvalues +-i; the distance from the equilibrium never changes."""
    theta, psi = state.unbind(-1)
    return torch.stack([-psi, theta], -1)


def gradient_penalised(state: Tensor, *, weight: float, target: float = 1.0, one_sided: bool = False) -> Tensor:
    """WGAN-GP: psi also descends weight/2 (|psi| - target)^2, which does not vanish at the equilibrium, so it does not converge there."""
    excess = state[..., 1].abs() - target
    pull = (relu(excess) if one_sided else excess) * state[..., 1].sign()
    return wasserstein(state) - weight * _along_psi(pull)


def zero_centered(state: Tensor, *, gamma: float, base: Field = nonsaturating) -> Tensor:
    """R1 (and R2, here the same): psi also descends gamma/2 psi^2. Eigenvalues -gamma/2 +- sqrt(gamma^2/4 - f'(0)^2)."""
    return base(state) - gamma * _along_psi(state[..., 1])


def instance_noise(state: Tensor, *, std: float, points: int = 32) -> Tensor:
    """The minimax game with Gaussian noise added to real and fake alike, expectations by Gauss-Hermite quadrature.

    Eigenvalues f''(0) std^2 +- sqrt(f''(0)^2 std^4 - f'(0)^2) with f'(0) = 1/2 and f''(0) = -1/4.

    Args:
        state: [..., 2].
        std: of the noise, in the unit of the data.
        points: nodes of the quadrature.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(points)
    noise, weight = std * torch.as_tensor(nodes).to(state), torch.as_tensor(weights / weights.sum()).to(state)  # p
    theta, psi = state.unsqueeze(-2).unbind(-1)  # ... 1
    fake = theta + noise  # ... p
    fake_slope, real_slope = torch.sigmoid(-psi * fake), torch.sigmoid(psi * noise)
    return torch.stack([(-psi * fake_slope * weight).sum(-1), ((fake * fake_slope - noise * real_slope) * weight).sum(-1)], -1)


def consensus(state: Tensor, *, gamma: float, base: Field = minimax) -> Tensor:
    """Consensus optimisation: the field less gamma times the slope of half its squared length, v - gamma J^T v.

    Mescheder et al. 2017 (arXiv:1705.10461), Section 4.

    Eigenvalues at the equilibrium for the minimax game: -gamma f'(0)^2 +- i f'(0).
    """
    state = state if state.requires_grad else state.detach().requires_grad_()
    with torch.enable_grad():
        field = base(state)
        (slope,) = torch.autograd.grad(field.square().sum() / 2, state, create_graph=True)
    return field - gamma * slope


def _along_psi(amount: Tensor) -> Tensor:
    return torch.stack([torch.zeros_like(amount), amount], -1)


def jacobian(field: Field, state: Tensor) -> Tensor:
    """Jacobian of a field at one state: [2] -> [2, 2], row i the slope of component i."""
    slopes: Tensor = torch.autograd.functional.jacobian(field, state)  # type: ignore[no-untyped-call]
    return slopes


def eigenvalues(field: Field, state: tuple[float, float] = EQUILIBRIUM) -> Tensor:
    """Eigenvalues of the field's Jacobian at a state, complex128 [2].

    >>> eigenvalues(wasserstein).imag.abs().tolist()     # it circles
    [1.0, 1.0]
    """
    values: Tensor = torch.linalg.eigvals(jacobian(field, torch.tensor(state, dtype=torch.float64)))
    return values


def simulate(
    field: Field,
    *,
    start: tuple[float, float],
    step: float,
    num_steps: int,
    alternating: bool = False,
    constrain: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Gradient steps of both players from a start, float64 [num_steps + 1, 2].

    Args:
        field: direction of both players.
        start: (theta, psi).
        step: learning rate of both.
        num_steps: rounds.
        alternating: psi moves first and theta sees it; False moves both at once.
        constrain: applied to the state after each round, e.g. the clipping of psi.
    """
    state = torch.tensor(start, dtype=torch.float64)
    states = [state]
    for _ in range(num_steps):
        if alternating:
            state = state + step * _along_psi(field(state).detach()[1])
            state = state + step * torch.stack([field(state).detach()[0], state.new_zeros(())])
        else:
            state = state + step * field(state).detach()
        state = state if constrain is None else constrain(state)
        states.append(state)
    return torch.stack(states)
