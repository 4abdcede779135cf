"""Regularisers beside the value function: penalties on slopes, logits, parameters and features.

Axes: n batch, d features. Penalties are not weighted and, where they are per sample, not reduced: the caller does both.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import relu

from saddlepoint.errors import UsageError
from saddlepoint.objectives.objective import check_pair


def zero_centered_penalty(logits: Tensor, x: Tensor) -> Tensor:
    r"""Squared slope of the discriminator at each sample: R1 on real samples, R2 on generated ones.

    .. math:: P_i = \lVert \nabla_{x_i} C(x_i) \rVert_2^2

    Mescheder et al. 2018 (arXiv:1801.04406), Eq. 9 (R1) and 10 (R2), without the factor gamma/2 and the mean. Their released trainer multiplies by
    10 without the half, which is gamma = 20. Exact per sample only if C does not mix samples.

    Args:
        logits: C(x), any shape (summed over all but the samples), still attached to ``x``.
        x: [n, ...], ``requires_grad`` set before C was called.
    Returns:
        Shape [n], in squared logits per squared unit of x; differentiable again.
    Raises:
        UsageError: if ``x`` does not require grad.

    >>> x = torch.ones(2, 3, 4, 4, requires_grad=True)
    >>> zero_centered_penalty((x**2).sum((1, 2, 3)), x).tolist()     # slope 2 at 48 values: 48 * 2**2
    [192.0, 192.0]
    """
    return _slopes(logits, x).square().sum(1)


def interpolates(x_real: Tensor, x_fake: Tensor, u: Tensor) -> Tensor:
    """Points u x + (1 - u) G(z) on the lines between pairs, one u a SAMPLE: Gulrajani et al. 2017 (arXiv:1704.00028), Algorithm 1.

    Args:
        x_real: [n, ...].
        x_fake: the same shape.
        u: in [0, 1], [n].
    Returns:
        The same shape, detached, with ``requires_grad`` set for :func:`gradient_penalty`.
    """
    if x_real.shape != x_fake.shape or u.shape != x_real.shape[:1]:
        shapes = f"real {list(x_real.shape)}, fake {list(x_fake.shape)}, u {list(u.shape)}"
        raise UsageError(f"Interpolation needs real and fake samples of one shape and one u a sample; came {shapes}.")
    u = u.to(x_real.dtype).view(-1, *[1] * (x_real.ndim - 1))  # n 1 1 1
    return torch.lerp(x_fake.detach(), x_real.detach(), u).requires_grad_()


def gradient_penalty(logits: Tensor, x: Tensor, *, one_sided: bool = False) -> Tensor:
    r"""Squared distance of the critic's slope from 1 at each point.

    .. math:: P_i = (\lVert \nabla_{\hat x_i} C(\hat x_i) \rVert_2 - 1)^2, \qquad \text{one-sided } ([\lVert \nabla \rVert_2 - 1]^+)^2

    Gulrajani et al. 2017 (arXiv:1704.00028), Eq. 3, without lambda (10 on images, 0.1 on the two-dimensional toys) and the mean. The norm is over all
    values of a sample. Needs a critic that does not mix samples (no batch normalisation).

    Args:
        logits: C(x_hat), any shape (summed over all but the samples), still attached to ``x``.
        x: x_hat, [n, ...], from :func:`interpolates`.
        one_sided: punish slopes above 1 only.
    Returns:
        Shape [n], differentiable again.
    Raises:
        UsageError: if ``x`` does not require grad.
    """
    excess = torch.linalg.vector_norm(_slopes(logits, x), dim=1) - 1  # n
    return (relu(excess) if one_sided else excess).square()


def _slopes(logits: Tensor, x: Tensor) -> Tensor:
    if not x.requires_grad:
        raise UsageError("A slope penalty needs samples that require grad; came some that do not. Call x.requires_grad_() before the discriminator.")
    (slopes,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
    return slopes.flatten(1)  # n d


def lecam(real_logits: Tensor, fake_logits: Tensor, ema_real: Tensor, ema_fake: Tensor, *, positive_part: bool = True) -> Tensor:
    """LeCam regulariser of the discriminator: ties each kind's logits to the running mean of the OTHER kind's.

    [C(x) - a_F]+^2 + [a_R - C(G(z))]+^2, Tseng et al. 2021 (arXiv:2104.03310). The paper writes it without the positive part; its code has it.
    Weights of that code: 0.3 (BigGAN on CIFAR-10, hinge), 1e-6 (StyleGAN2 with ADA on a tenth of CIFAR-10).

    Args:
        real_logits: C(x), any shape.
        fake_logits: C(G(z)), the same shape.
        ema_real: a_R, running mean of C on real samples, a scalar (:func:`moving_mean`).
        ema_fake: a_F, running mean of C on fakes, a scalar.
        positive_part: False for the formula as the paper writes it.
    Returns:
        The shape of the logits.
    """
    check_pair(real_logits, fake_logits)
    above_fake, below_real = real_logits - ema_fake.detach(), ema_real.detach() - fake_logits
    if positive_part:
        above_fake, below_real = relu(above_fake), relu(below_real)
    return above_fake.square() + below_real.square()


def moving_mean(mean: Tensor, logits: Tensor, updates: Tensor | int, *, decay: float = 0.9, zero_debiased: bool = False) -> Tensor:
    """Running mean for :func:`lecam` after one more batch; updated before it is used, as in the released code.

    The released BigGAN port starts from the first batch's own mean and decays by 0.9; the StyleGAN2 port decays a zero-debiased mean by 0.99.

    Args:
        mean: before, a floating scalar; 0 at the start.
        logits: of this batch, any shape.
        updates: batches averaged before this one.
        decay: of the average.
        zero_debiased: weigh all batches as if the average had been empty at the start, instead of keeping the first batch's full weight.
    Returns:
        A scalar without gradient.

    >>> first = moving_mean(torch.tensor(0.0), torch.tensor([4.0]), 0)
    >>> first.item(), round(moving_mean(first, torch.tensor([2.0]), 1).item(), 4)     # 0.9 * 4 + 0.1 * 2
    (4.0, 3.8)
    """
    batch_mean = logits.detach().mean()
    count = torch.as_tensor(updates, device=mean.device, dtype=mean.dtype)
    share = (
        (1 - decay) / (1 - decay ** (count + 1))
        if zero_debiased
        else torch.where(count == 0, torch.ones_like(count), torch.full_like(count, 1 - decay))
    )
    return mean.detach() + share * (batch_mean.to(mean.dtype) - mean.detach())


def historical_averaging(params: Mapping[str, Tensor], means: Mapping[str, Tensor]) -> Tensor:
    """Squared distance of a player's parameters from their own past mean, ||theta - mean theta||^2.

    Historical averaging, Salimans et al. 2016 (arXiv:1606.03498), Section 3.3.

    Args:
        params: by name, any shapes.
        means: by the same names, constants (:func:`update_means`).
    Returns:
        A scalar.
    """
    return torch.stack([(value - means[name].detach()).square().sum() for name, value in params.items()]).sum()


def update_means(means: Mapping[str, Tensor], params: Mapping[str, Tensor], count: int) -> dict[str, Tensor]:
    """Mean of the parameters over the past, with today's as its ``count``-th member (count >= 1)."""
    return {name: means[name] + (value.detach() - means[name]) / count for name, value in params.items()}


def feature_matching(real_features: Tensor, fake_features: Tensor) -> Tensor:
    """Squared distance between mean features, ||E f(x) - E f(G(z))||_2^2: Salimans et al. 2016 (arXiv:1606.03498), Section 3.1.

    Averaged instead of summed over d in the MNIST code released with it. The gradient flows to the fakes only.

    Args:
        real_features: f(x), [n, d]; its count may differ from the fakes'.
        fake_features: f(G(z)), [m, d].
    Returns:
        A scalar.
    """
    return _mean_difference(real_features, fake_features).square().sum()


def feature_matching_absolute(real_features: Tensor, fake_features: Tensor) -> Tensor:
    """Mean absolute difference between mean features, as released for CIFAR-10; arguments of :func:`feature_matching`. A scalar."""
    return _mean_difference(real_features, fake_features).abs().mean()


def _mean_difference(real_features: Tensor, fake_features: Tensor) -> Tensor:
    if real_features.shape[1:] != fake_features.shape[1:]:
        shapes = f"{list(real_features.shape)} and {list(fake_features.shape)}"
        raise UsageError(f"Feature matching needs real and fake features of one width; came {shapes}. Take both from the same layer.")
    return fake_features.flatten(1).mean(0) - real_features.detach().flatten(1).mean(0)  # d
