"""Differentiable steps against torch's optimisers, and the gradient through them against finite differences."""

from __future__ import annotations

import functools

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from saddlepoint.objectives import minimax
from saddlepoint.objectives.unrolling import AdamState, adam_step, sgd_step, unroll


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1)).double()


def batch(seed: int) -> Tensor:
    return torch.randn(6, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def loss_of(module: nn.Module, params: dict[str, Tensor], real: Tensor, fake: Tensor) -> Tensor:
    real_logits, fake_logits = (functional_call(module, params, (x,)).squeeze(1) for x in (real, fake))
    return minimax.discriminator(real_logits, fake_logits).mean()


def move(optimizer: torch.optim.Optimizer, module: nn.Module, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
    """One real step; returns the gradients it took."""
    params: dict[str, Tensor] = dict(module.named_parameters())
    grads = dict(zip(params, torch.autograd.grad(loss_of(module, params, real, fake), list(params.values())), strict=True))
    for key, value in params.items():
        value.grad = grads[key]
    optimizer.step()
    return grads


def test_five_adam_steps_equal_the_optimiser() -> None:
    module = network()
    params = {key: value.detach().clone() for key, value in module.named_parameters()}
    optimizer, state = torch.optim.Adam(module.parameters(), lr=0.05, betas=(0.5, 0.99), eps=1e-8), AdamState.zeros(params)
    for t in range(5):
        grads = move(optimizer, module, batch(t), batch(10 + t))
        params, state = adam_step(params, grads, state, lr=0.05, betas=(0.5, 0.99), eps=1e-8)
        for key, value in module.named_parameters():
            torch.testing.assert_close(params[key], value.detach(), rtol=0, atol=1e-12)


def test_five_sgd_steps_equal_the_optimiser() -> None:
    module = network()
    params = {key: value.detach().clone() for key, value in module.named_parameters()}
    optimizer = torch.optim.SGD(module.parameters(), lr=0.05)
    for t in range(5):
        params, _ = sgd_step(params, move(optimizer, module, batch(t), batch(10 + t)), lr=0.05)
        for key, value in module.named_parameters():
            torch.testing.assert_close(params[key], value.detach(), rtol=0, atol=1e-12)


def test_adam_goes_on_from_a_running_optimiser() -> None:
    """Three real steps, then two that continue from its memory, equal five real steps; the optimiser itself is left alone."""
    real, fake = batch(1), batch(2)
    module, ahead = network(), network()
    optimizers = [torch.optim.Adam(m.parameters(), lr=0.05, betas=(0.5, 0.99), eps=1e-8) for m in (module, ahead)]
    for count, (m, optimizer) in zip((3, 5), zip((module, ahead), optimizers, strict=True), strict=True):
        for _ in range(count):
            move(optimizer, m, real, fake)
    params = dict(module.named_parameters())
    state = AdamState.of(optimizers[0], params)
    assert state.step == 3
    before = {key: value.detach().clone() for key, value in params.items()}
    step = functools.partial(adam_step, lr=0.05, betas=(0.5, 0.99), eps=1e-8)
    moved = unroll(lambda p: loss_of(module, p, real, fake), params, state, step, 2)
    for key, value in ahead.named_parameters():
        torch.testing.assert_close(moved[key].detach(), value.detach(), rtol=0, atol=1e-12)
        torch.testing.assert_close(params[key].detach(), before[key], rtol=0, atol=0)
    assert AdamState.of(optimizers[0], params).step == 3


def test_a_new_optimiser_has_an_empty_memory() -> None:
    params = dict(network().named_parameters())
    state = AdamState.of(torch.optim.Adam(params.values()), params)
    assert state.step == 0
    assert all(value.abs().sum() == 0 for value in state.exp_avg.values())


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_gradient_through_three_steps_against_finite_differences(name: str) -> None:
    """What the generator gets: the slope of the loss at theta_D^3 in the fakes, through all three updates and without treating them as constant."""
    module, real = network(), batch(1)
    for parameter in module.parameters():
        parameter.requires_grad_(False)  # as in the generator's turn
    params = dict(module.named_parameters())
    state = AdamState(
        exp_avg={k: torch.full_like(p, 0.01) for k, p in params.items()}, exp_avg_sq={k: torch.full_like(p, 0.02) for k, p in params.items()}, step=7
    )

    def surrogate(fake: Tensor) -> Tensor:
        def loss(p: dict[str, Tensor]) -> Tensor:
            return loss_of(module, p, real, fake)

        if name == "adam":
            return -loss(unroll(loss, params, state, functools.partial(adam_step, lr=0.1, betas=(0.5, 0.99)), 3))
        return -loss(unroll(loss, params, None, functools.partial(sgd_step, lr=0.5), 3))

    fake = batch(2).requires_grad_()
    assert torch.autograd.gradcheck(surrogate, fake, eps=1e-6, atol=1e-7)
    (through,) = torch.autograd.grad(surrogate(fake), fake)
    steps: functools.partial[tuple[dict[str, Tensor], None]] = functools.partial(sgd_step, lr=0.5)
    constant = {k: v.detach() for k, v in unroll(lambda p: loss_of(module, p, real, fake), params, None, steps, 3).items()}
    (cut,) = torch.autograd.grad(-loss_of(module, constant, real, fake), fake)
    assert (through - cut).norm() > 0.05 * through.norm()  # more steps of D alone are not the same


def test_no_steps_give_the_start_back() -> None:
    params = dict(network().named_parameters())
    same = unroll(lambda p: p["0.weight"].sum(), params, None, functools.partial(sgd_step, lr=1.0), 0)
    assert all(torch.equal(same[key], value) for key, value in params.items())


def test_parameters_without_slope_keep_the_gradient_finite() -> None:
    """A weight that the loss ignores has v = 0, where the root has no slope."""
    params = {"used": torch.tensor([1.0], dtype=torch.float64), "idle": torch.tensor([2.0], dtype=torch.float64)}
    x = torch.tensor([0.7], dtype=torch.float64, requires_grad=True)
    step = functools.partial(adam_step, lr=0.1)
    moved = unroll(lambda p: (p["used"] * x).square().sum() + 0 * (p["idle"] * x).sum(), params, AdamState.zeros(params), step, 3)
    assert moved["idle"].item() == 2.0
    (grad,) = torch.autograd.grad(moved["used"].sum() + moved["idle"].sum(), x)
    assert grad.isfinite().all()
