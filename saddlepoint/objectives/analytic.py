"""What theory says of a game whose densities are known: the best discriminator, the value there, and exact distances to check estimates against.

Axes: n samples, g points of a grid. p is the density of the data, q the generator's.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import softplus

from saddlepoint.errors import UsageError


def optimal_logit(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Logit of the best discriminator for a fixed generator, log p - log q, so D*(x) = p / (p + q): Goodfellow et al. 2014, Proposition 1.

    Args:
        log_p: log density of the data at x, any shape.
        log_q: log density of the generator at x, the same shape.
    Returns:
        The same shape; ``sigmoid`` of it is D*.

    >>> optimal_logit(torch.tensor(1.0).log(), torch.tensor(1.0).log()).sigmoid().item()     # as likely from either
    0.5
    """
    return log_p - log_q


def value(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """The value V = E log D(x) + E log(1 - D(G(z))) from samples: Goodfellow et al. 2014, Eq. 1. A scalar in nats, at most 0."""
    return -softplus(-real_logits).mean() - softplus(fake_logits).mean()


def optimal_value(jensen_shannon: Tensor) -> Tensor:
    """The value at the best discriminator, -log 4 + 2 JSD(p, q): Goodfellow et al. 2014, Theorem 1."""
    return 2 * jensen_shannon - math.log(4)


def jensen_shannon_monte_carlo(log_p_at_x: Tensor, log_q_at_x: Tensor, log_p_at_y: Tensor, log_q_at_y: Tensor) -> Tensor:
    """Jensen-Shannon divergence estimated from samples x of p and y of q and both densities at them, in nats.

    Unbiased: (E_p log 2p/(p+q) + E_q log 2q/(p+q)) / 2.

    Args:
        log_p_at_x: log p at samples of p, [n].
        log_q_at_x: log q at samples of p, [n].
        log_p_at_y: log p at samples of q, [m].
        log_q_at_y: log q at samples of q, [m].
    Returns:
        A scalar, 0 to log 2 up to sampling noise.
    """
    at_x, at_y = optimal_logit(log_p_at_x, log_q_at_x), optimal_logit(log_p_at_y, log_q_at_y)
    return (value(at_x, at_y) + math.log(4)) / 2


def jensen_shannon_quadrature(log_p: Tensor, log_q: Tensor, grid: Tensor) -> Tensor:
    """Jensen-Shannon divergence of two densities on a line by the trapezoidal rule, in nats.

    Args:
        log_p: log p on the grid, [g]; the grid should hold all but a negligible mass of both.
        log_q: log q on the grid, [g].
        grid: rising points, [g].
    Returns:
        A scalar in [0, log 2].
    """
    log_mixture = torch.logaddexp(log_p, log_q) - math.log(2)  # g
    p_part = torch.where(log_p.isneginf(), torch.zeros_like(log_p), log_p.exp() * (log_p - log_mixture))
    q_part = torch.where(log_q.isneginf(), torch.zeros_like(log_q), log_q.exp() * (log_q - log_mixture))
    return torch.trapezoid(p_part + q_part, grid) / 2


def wasserstein_1d(x: Tensor, y: Tensor) -> Tensor:
    """Exact W1 of two empirical distributions on a line, the mean distance of their sorted samples.

    Args:
        x: samples, [n].
        y: samples, [m]; for m other than n the quantile functions are compared, integral of |F_x^-1 - F_y^-1|.
    Returns:
        A scalar, in the unit of the samples; differentiable in both.

    >>> wasserstein_1d(torch.tensor([0.0, 1.0]), torch.tensor([3.0, 0.0])).item()     # 0 to 0, 1 to 3
    1.0
    """
    if x.ndim != 1 or y.ndim != 1 or not len(x) or not len(y):
        raise UsageError(f"The exact W1 needs samples [n] and [m] on a line; came {list(x.shape)} and {list(y.shape)}.")
    n, m = len(x), len(y)
    x, y = x.sort().values, y.sort().values
    if n == m:
        return (x - y).abs().mean()
    steps = torch.cat([torch.arange(1, n + 1) * m, torch.arange(1, m + 1) * n]).sort().values  # where either quantile jumps, in units of 1/(n m)
    widths = steps.diff(prepend=steps.new_zeros(1)).to(x)
    return (widths * (x[(steps - 1).to(x.device) // m] - y[(steps - 1).to(x.device) // n]).abs()).sum() / (n * m)
