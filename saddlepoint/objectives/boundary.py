"""BEGAN: boundary equilibrium between two reconstruction errors, held by a proportional controller.

L(v) = mean |v - D(v)| is the error of the auto-encoder D; logits are -L, so higher is still more real. Berthelot et al. 2017 (arXiv:1703.10717),
Sections 3.3 and 3.4. The game keeps k as a buffer, starting at 0.
"""

from __future__ import annotations

from torch import Tensor

from saddlepoint.objectives.objective import check_pair


def discriminator(real_logits: Tensor, fake_logits: Tensor, k: Tensor | float) -> Tensor:
    """Loss of the auto-encoder, L(x) - k_t L(G(z_D)).

    Args:
        real_logits: -L(x), any shape.
        fake_logits: -L(G(z)), the same shape.
        k: how much D cares about fakes, in [0, 1]; a number or a scalar without gradient.
    Returns:
        The shape of the logits, in units of the data.
    """
    check_pair(real_logits, fake_logits)
    return k * fake_logits - real_logits


def generator(fake_logits: Tensor) -> Tensor:
    """Loss of the generator, L(G(z_G))."""
    return -fake_logits


def update_k(k: Tensor, real_error: Tensor, fake_error: Tensor, *, gamma: float = 0.5, lambda_k: float = 0.001) -> Tensor:
    """The controller's next k: clip(k + lambda_k (gamma L(x) - L(G(z))), 0, 1).

    Args:
        k: of this round, a scalar.
        real_error: E L(x), a scalar.
        fake_error: E L(G(z)), a scalar.
        gamma: diversity ratio E L(G(z)) / E L(x) at equilibrium, in [0, 1]; 0.3, 0.5 and 0.7 in the paper.
        lambda_k: gain of the controller.
    Returns:
        A scalar in [0, 1] without gradient.

    >>> import torch
    >>> round(update_k(torch.tensor(0.2), torch.tensor(4.0), torch.tensor(1.0), lambda_k=0.1).item(), 4)     # 0.2 + 0.1 (2 - 1)
    0.3
    """
    return (k + lambda_k * (gamma * real_error - fake_error)).detach().clamp(0, 1)


def convergence(real_error: Tensor, fake_error: Tensor, *, gamma: float = 0.5) -> Tensor:
    """Global measure of convergence, M = L(x) + |gamma L(x) - L(G(z))|, in units of the data, lower is better; the learning rate falls with it."""
    return (real_error + (gamma * real_error - fake_error).abs()).detach()
