"""BEGAN: boundary equilibrium between two reconstruction errors, held by a proportional controller.

L(v) = mean |v - D(v)| is the error of the auto-encoder D; logits are -L, so higher is still more real. Berthelot et al. 2017 (arXiv:1703.10717),
Sections 3.3 and 3.4. The game keeps k as a buffer, starting at 0.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from saddlepoint.errors import UsageError
from saddlepoint.objectives.objective import Objective, check_pair


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


class BoundaryEquilibrium(nn.Module, Objective):
    """BEGAN's value function with its controller, whose k is saved with the run: Berthelot et al. 2017, Eq. of Section 3.4.

    L(x) is that of the discriminator's turn, L(G(z)) that of the generator's turn after it; k moves once a round, when both are known.

    Args:
        gamma: diversity ratio E L(G(z)) / E L(x), in [0, 1].
        lambda_k: gain of the controller.
        window: rounds whose mean M is compared with that of the window before; 0 does not count.

    Attributes:
        stalls: windows so far in which M did not fall, a scalar that moves at the end of a window only; the paper halves its learning rates at each.
    """

    k: Tensor
    real_error: Tensor
    stalls: Tensor
    window_mean: Tensor
    window_sum: Tensor
    window_rounds: Tensor
    saturates = False
    decides = False
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __init__(self, *, gamma: float = 0.5, lambda_k: float = 0.001, window: int = 0) -> None:
        super().__init__()
        if not 0 <= gamma <= 1:
            raise UsageError(f"BEGAN's gamma is a ratio from 0 to 1; came {gamma}. The paper uses 0.3, 0.5 and 0.7.")
        self.gamma, self.lambda_k, self.window = gamma, lambda_k, window
        self.register_buffer("k", torch.zeros(()))
        self.register_buffer("real_error", torch.zeros(()))
        for name in ("stalls", "window_mean", "window_sum", "window_rounds") if window else ():
            self.register_buffer(name, torch.full((), torch.inf) if name == "window_mean" else torch.zeros(()))

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor, labels: Tensor | None = None) -> Tensor:
        """L(x) - k L(G(z_D))."""
        return discriminator(real_logits, fake_logits, self.k)

    def generator(self, fake_logits: Tensor, real_logits: Tensor | None = None, labels: Tensor | None = None) -> Tensor:
        """L(G(z_G))."""
        return generator(fake_logits)

    def after_turn(self, player: str, values: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Keep L(x) after the discriminator's turn; move k after the generator's, and report it with the measure of convergence."""
        if player == "discriminator":
            self.real_error.copy_(-values["discriminator/real"])
            return {}
        fake_error = values["generator/adversarial"].to(self.k.dtype)
        self.k.copy_(update_k(self.k, self.real_error, fake_error, gamma=self.gamma, lambda_k=self.lambda_k))
        measure = convergence(self.real_error, fake_error, gamma=self.gamma)
        if self.window:
            self._count(measure)
        return {"began/k": self.k.clone(), "began/convergence": measure}

    def _count(self, measure: Tensor) -> None:
        """Take M of a round in; at the end of a window see whether its mean has fallen."""
        self.window_sum += measure
        self.window_rounds += 1
        full = self.window_rounds >= self.window
        mean = self.window_sum / self.window
        self.stalls += full & (mean >= self.window_mean)
        self.window_mean.copy_(torch.where(full, mean, self.window_mean))
        self.window_sum *= ~full
        self.window_rounds *= ~full
