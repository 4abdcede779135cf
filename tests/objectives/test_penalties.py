"""Penalties against closed forms, against NumPy, and through their second derivatives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from saddlepoint.errors import UsageError
from saddlepoint.objectives import penalties


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def critic(x: Tensor, weight: Tensor) -> Tensor:
    """C(x) = sum tanh(x W): smooth, per sample, [n, 3] -> [n]."""
    return torch.tanh(x @ weight).sum(1)


def slopes_by_hand(x: Tensor, weight: Tensor) -> np.ndarray:
    """Slope of the critic above at each sample, in NumPy: (1 - tanh^2(x W)) W^T."""
    inside = np.tanh(x.detach().numpy() @ weight.detach().numpy())
    return np.asarray((1 - inside**2) @ weight.detach().numpy().T)


X, WEIGHT = normal(1, 5, 3), normal(2, 3, 4) * 0.6


def test_zero_centered_against_numpy() -> None:
    x = X.clone().requires_grad_()
    penalty = penalties.zero_centered_penalty(critic(x, WEIGHT), x)
    np.testing.assert_allclose(penalty.detach().numpy(), (slopes_by_hand(X, WEIGHT) ** 2).sum(1), rtol=1e-12)


@pytest.mark.parametrize("one_sided", [False, True])
def test_gradient_penalty_against_numpy(one_sided: bool) -> None:
    x = X.clone().requires_grad_()
    penalty = penalties.gradient_penalty(critic(x, WEIGHT), x, one_sided=one_sided)
    excess = np.linalg.norm(slopes_by_hand(X, WEIGHT), axis=1) - 1
    assert (excess > 0).any()
    assert (excess < 0).any()
    expected = np.maximum(excess, 0) ** 2 if one_sided else excess**2
    np.testing.assert_allclose(penalty.detach().numpy(), expected, rtol=1e-12)


def test_a_linear_critic_of_unit_slope_pays_nothing_over_whole_images() -> None:
    """The norm runs over all values of a sample: C(x) = <a, x> with |a| = 1."""
    direction = normal(3, 3, 4, 4)
    direction = direction / direction.norm()
    x = normal(4, 2, 3, 4, 4).requires_grad_()
    logits = (x * direction).sum((1, 2, 3))
    torch.testing.assert_close(penalties.gradient_penalty(logits, x), torch.zeros(2, dtype=torch.float64), rtol=0, atol=1e-28)
    torch.testing.assert_close(penalties.zero_centered_penalty(3 * logits, x), torch.full((2,), 9.0, dtype=torch.float64))


@pytest.mark.parametrize("kind", ["zero", "two-sided", "one-sided"])
def test_first_and_second_derivatives(kind: str) -> None:
    """In the sample and in the critic's weight: the trainer needs the first, a game that looks ahead the second."""

    def penalty(x: Tensor, weight: Tensor) -> Tensor:
        x = x if x.requires_grad else x.requires_grad_()
        logits = critic(x, weight)
        if kind == "zero":
            return penalties.zero_centered_penalty(logits, x)
        return penalties.gradient_penalty(logits, x, one_sided=kind == "one-sided")

    arguments = (X[:3].clone().requires_grad_(), WEIGHT.clone().requires_grad_())
    assert torch.autograd.gradcheck(penalty, arguments)
    assert torch.autograd.gradgradcheck(penalty, arguments)


def test_a_flat_critic_has_a_finite_gradient() -> None:
    weight = torch.zeros(3, 4, dtype=torch.float64, requires_grad=True)
    x = X.clone().requires_grad_()
    penalty = penalties.gradient_penalty(critic(x, weight), x)
    assert penalty.tolist() == [1.0] * 5
    (grad,) = torch.autograd.grad(penalty.sum(), weight)
    assert grad.isfinite().all()


def test_patch_logits_equal_their_sum_and_permutation_permutes() -> None:
    x = X.clone().requires_grad_()
    patches = torch.tanh(x @ WEIGHT).view(5, 1, 2, 2)
    for penalty in (penalties.zero_centered_penalty, penalties.gradient_penalty):
        whole = penalty(critic(x, WEIGHT), x)
        torch.testing.assert_close(penalty(patches, x), whole, rtol=0, atol=1e-14)
        order = torch.tensor([4, 2, 0, 1, 3])
        permuted = X[order].requires_grad_()
        torch.testing.assert_close(penalty(critic(permuted, WEIGHT), permuted), whole[order], rtol=0, atol=1e-14)


def test_interpolates_take_one_u_a_sample() -> None:
    real, fake, u = normal(5, 4, 3, 2, 2), normal(6, 4, 3, 2, 2).requires_grad_(), torch.tensor([0.0, 1.0, 0.25, 0.5])
    x = penalties.interpolates(real, fake, u)
    assert x.requires_grad
    assert x.is_leaf
    expected = np.stack([u[i].item() * real[i].numpy() + (1 - u[i].item()) * fake[i].detach().numpy() for i in range(4)])
    np.testing.assert_allclose(x.detach().numpy(), expected, rtol=1e-12, atol=1e-15)


def test_lecam_against_numpy_with_and_without_the_positive_part() -> None:
    real, fake = normal(7, 6), normal(8, 6)
    ema_real, ema_fake = torch.tensor(0.4, dtype=torch.float64), torch.tensor(-0.3, dtype=torch.float64)
    above, below = real.numpy() + 0.3, 0.4 - fake.numpy()
    assert (above < 0).any() or (below < 0).any()
    np.testing.assert_allclose(penalties.lecam(real, fake, ema_real, ema_fake, positive_part=False).numpy(), above**2 + below**2, rtol=1e-12)
    expected = np.maximum(above, 0) ** 2 + np.maximum(below, 0) ** 2
    np.testing.assert_allclose(penalties.lecam(real, fake, ema_real, ema_fake).numpy(), expected, rtol=1e-12)


def test_lecam_pulls_both_kinds_together_and_leaves_the_means_alone() -> None:
    real, fake = torch.tensor([2.0], requires_grad=True), torch.tensor([-2.0], requires_grad=True)
    ema_real, ema_fake = torch.tensor(1.0, requires_grad=True), torch.tensor(-1.0, requires_grad=True)
    loss = penalties.lecam(real, fake, ema_real, ema_fake).sum()
    slopes = torch.autograd.grad(loss, [real, fake, ema_real, ema_fake], allow_unused=True, materialize_grads=True)
    assert [slope.item() for slope in slopes] == [6.0, -6.0, 0.0, 0.0]


@pytest.mark.parametrize("zero_debiased", [False, True])
def test_moving_mean_against_the_released_updates(zero_debiased: bool) -> None:
    batches = normal(9, 6, 4)
    mean, plain, decay = torch.tensor(0.0, dtype=torch.float64), 0.0, 0.99 if zero_debiased else 0.9
    for t in range(6):
        mean = penalties.moving_mean(mean, batches[t], t, decay=decay, zero_debiased=zero_debiased)
        batch_mean = batches[t].mean().item()
        plain = batch_mean if t == 0 and not zero_debiased else decay * plain + (1 - decay) * batch_mean
        assert mean.item() == pytest.approx(plain / (1 - decay ** (t + 1)) if zero_debiased else plain, rel=1e-12)


def test_historical_averaging() -> None:
    history = [{"w": normal(10 + t, 2, 3), "b": normal(20 + t, 3)} for t in range(4)]
    means = {name: torch.zeros_like(value) for name, value in history[0].items()}
    for count, params in enumerate(history, start=1):
        means = penalties.update_means(means, params, count)
    expected = sum(((history[3][name] - torch.stack([past[name] for past in history]).mean(0)) ** 2).sum().item() for name in means)
    params = {name: value.clone().requires_grad_() for name, value in history[3].items()}
    penalty = penalties.historical_averaging(params, means)
    assert penalty.item() == pytest.approx(expected, rel=1e-12)
    (grad,) = torch.autograd.grad(penalty, params["w"])
    torch.testing.assert_close(grad, 2 * (params["w"].detach() - means["w"]))


def test_feature_matching_both_versions() -> None:
    real, fake = normal(30, 6, 4).requires_grad_(), normal(31, 5, 4).requires_grad_()
    difference = real.detach().numpy().mean(0) - fake.detach().numpy().mean(0)
    squared, absolute = penalties.feature_matching(real, fake), penalties.feature_matching_absolute(real, fake)
    assert squared.item() == pytest.approx((difference**2).sum(), rel=1e-12)
    assert absolute.item() == pytest.approx(np.abs(difference).mean(), rel=1e-12)
    for loss in (squared, absolute):
        to_real, to_fake = torch.autograd.grad(loss, [real, fake], allow_unused=True, materialize_grads=True)
        assert to_real.abs().sum() == 0
        assert to_fake.abs().sum() > 0
    assert penalties.feature_matching(real, real).item() == 0.0


def test_what_cannot_be_punished_is_refused() -> None:
    x = torch.zeros(2, 3)
    for penalty in (penalties.zero_centered_penalty, penalties.gradient_penalty):
        with pytest.raises(UsageError, match=r"Call x.requires_grad_\(\) before the discriminator"):
            penalty(x.sum(1), x)
    with pytest.raises(UsageError, match=r"real \[2, 3\], fake \[2, 4\], u \[2\]"):
        penalties.interpolates(x, torch.zeros(2, 4), torch.zeros(2))
    with pytest.raises(UsageError, match=r"of one width; came \[2, 3\] and \[2, 4\]"):
        penalties.feature_matching(x, torch.zeros(2, 4))
    with pytest.raises(UsageError, match="same shape"):
        penalties.lecam(torch.zeros(2), torch.zeros(3), torch.tensor(0.0), torch.tensor(0.0))
