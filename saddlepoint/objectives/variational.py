"""The parts of the evidence lower bound, in nats, per sample.

Kingma & Welling 2014 (arXiv:1312.6114). Axes: n batch, d code, k importance samples.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits


def kl_to_standard_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, variance) || N(0, I)) for each number [n, d] (Appendix B): -(1 + log s^2 - mu^2 - s^2) / 2.

    >>> kl_to_standard_normal(torch.tensor([[1.0]]), torch.tensor([[0.0]])).item()
    0.5
    """
    return -0.5 * (1 + log_variance - mean.square() - log_variance.exp())


def bernoulli_log_likelihood(x: Tensor, logits: Tensor) -> Tensor:
    """log p(x) [n] of x in [0, 1] under independent Bernoulli variables, summed over the pixels; a true likelihood where x is 0 or 1."""
    return -binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(1)


def gaussian_log_likelihood(x: Tensor, mean: Tensor, std: float) -> Tensor:
    """log p(x) [n] under a normal distribution of fixed deviation for each pixel, summed over the pixels."""
    each = -0.5 * ((x - mean) / std).square() - math.log(std) - 0.5 * math.log(2 * math.pi)
    return each.flatten(1).sum(1)


def normal_log_density(z: Tensor, mean: Tensor | float = 0.0, log_variance: Tensor | float = 0.0) -> Tensor:
    """log N(z; mean, variance), summed over the last axis."""
    log_variance = torch.as_tensor(log_variance, dtype=z.dtype, device=z.device)
    each = -0.5 * ((z - mean).square() / log_variance.exp() + log_variance + math.log(2 * math.pi))
    return each.sum(-1)


def importance_weighted_bound(log_weights: Tensor) -> Tensor:
    """log of the mean weight over k samples of the code, [n]: Burda et al. 2016 (arXiv:1509.00519), Eq. 8; k = 1 is the ELBO.

    Args:
        log_weights: log p(x, z) - log q(z|x), [k, n].
    """
    return torch.logsumexp(log_weights, 0) - math.log(len(log_weights))
