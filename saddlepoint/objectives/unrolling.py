"""Optimiser steps that can be differentiated through: what the unrolled generator sees of the discriminator's future.

Metz et al. 2017 (arXiv:1611.02163), Eq. 7 to 9: theta_D^{k+1} = theta_D^k - eta grad L_D(theta_G, theta_D^k), and the generator descends its loss at
theta_D^K, second-order terms included. The steps are pure functions of parameters by name, and equal torch's optimisers in value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

Params = Mapping[str, Tensor]
State = TypeVar("State")


@dataclass(frozen=True, kw_only=True)
class AdamState:
    """Adam's memory: running means of the gradients and of their squares by parameter name, and the steps taken."""

    exp_avg: Params
    exp_avg_sq: Params
    step: int = 0

    @classmethod
    def zeros(cls, params: Params) -> AdamState:
        """Before the first step."""
        return cls(exp_avg={k: torch.zeros_like(p) for k, p in params.items()}, exp_avg_sq={k: torch.zeros_like(p) for k, p in params.items()})

    @classmethod
    def of(cls, optimizer: torch.optim.Optimizer, params: Params) -> AdamState:
        """The memory of a running ``torch.optim.Adam`` for the parameters it steps, given by name; zeros before its first step."""
        known = {name: optimizer.state[p] for name, p in params.items() if optimizer.state.get(p)}
        if not known:
            return cls.zeros(params)
        zeros = cls.zeros(params)
        return cls(
            exp_avg={name: known[name]["exp_avg"].detach() if name in known else zeros.exp_avg[name] for name in params},
            exp_avg_sq={name: known[name]["exp_avg_sq"].detach() if name in known else zeros.exp_avg_sq[name] for name in params},
            step=max(int(memory["step"]) for memory in known.values()),
        )


def sgd_step(params: Params, grads: Params, state: None = None, *, lr: float) -> tuple[dict[str, Tensor], None]:
    """One step of plain gradient descent, theta - lr g; differentiable in ``params`` and ``grads``.

    Args:
        params: by name, any shapes.
        grads: by the same names.
        state: none is kept; here so that every step has one signature.
        lr: learning rate.
    Returns:
        The new parameters, and None.
    """
    return {name: p - lr * grads[name] for name, p in params.items()}, None


def adam_step(
    params: Params, grads: Params, state: AdamState, *, lr: float, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8
) -> tuple[dict[str, Tensor], AdamState]:
    r"""One step of Adam (Kingma and Ba 2015, arXiv:1412.6980, Algorithm 1), differentiable in ``params``, ``grads`` and ``state``.

    .. math:: \theta' = \theta - \eta \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + \epsilon}

    Equal to ``torch.optim.Adam``. Where v is 0 the root has no slope: it is given slope 0, so the gradient stays finite.

    Args:
        params: by name, any shapes.
        grads: by the same names.
        state: the memory before the step.
        lr: learning rate.
        betas: decays of both means.
        eps: added to the root.
    Returns:
        The new parameters and the memory after the step.
    """
    beta1, beta2 = betas
    step = state.step + 1
    exp_avg = {name: beta1 * state.exp_avg[name] + (1 - beta1) * grads[name] for name in params}
    exp_avg_sq = {name: beta2 * state.exp_avg_sq[name] + (1 - beta2) * grads[name].square() for name in params}
    rate, root_scale = lr / (1 - beta1**step), (1 - beta2**step) ** 0.5
    new = {name: p - rate * exp_avg[name] / (_root(exp_avg_sq[name]) / root_scale + eps) for name, p in params.items()}
    return new, AdamState(exp_avg=exp_avg, exp_avg_sq=exp_avg_sq, step=step)


def _root(x: Tensor) -> Tensor:
    positive = x > 0
    return torch.where(positive, torch.where(positive, x, torch.ones_like(x)).sqrt(), torch.zeros_like(x))


def unroll(
    loss: Callable[[dict[str, Tensor]], Tensor],
    params: Params,
    state: State,
    step: Callable[[dict[str, Tensor], dict[str, Tensor], State], tuple[dict[str, Tensor], State]],
    num_steps: int,
) -> dict[str, Tensor]:
    """Parameters after ``num_steps`` steps of the player, as a differentiable function of everything else ``loss`` depends on.

    Metz et al. 2017, Eq. 7 to 9; the released demonstration keeps one batch for all steps. The start is a constant, whether or not ``params``
    require grad now; the originals are not changed.

    Args:
        loss: scalar loss of the player whose steps are unrolled, e.g. through ``torch.func.functional_call``.
        params: where the player stands, by name.
        state: of its optimiser (:class:`AdamState`; None for :func:`sgd_step`).
        step: :func:`sgd_step` or :func:`adam_step` with its settings bound by ``functools.partial``.
        num_steps: K; 0 gives the start back.
    Returns:
        theta^K by name.
    """
    moving = {name: p.detach().requires_grad_() for name, p in params.items()}
    for _ in range(num_steps):
        slopes = torch.autograd.grad(loss(moving), list(moving.values()), create_graph=True, allow_unused=True, materialize_grads=True)
        moving, state = step(moving, dict(zip(moving, slopes, strict=True)), state)
    return moving
