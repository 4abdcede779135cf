"""The game of 2014 and its non-saturating form: cross-entropy on real against fake, D(x) = sigmoid(C(x)).

Both have the fixed point C = 0. They differ in the slope that reaches the generator: d/dC of log(1 - D) is -D and dies where D rejects the fakes;
d/dC of -log D is D - 1 and dies where D accepts them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import softplus

from saddlepoint.errors import UsageError
from saddlepoint.objectives.objective import Objective, check_pair


def discriminator(real_logits: Tensor, fake_logits: Tensor, real_target: float = 1.0) -> Tensor:
    r"""Cross-entropy of the discriminator, in nats.

    .. math:: L_D = -t \log D(x) - (1 - t) \log(1 - D(x)) - \log(1 - D(G(z)))

    Goodfellow et al. 2014 (arXiv:1406.2661), Eq. 1, negated. The target t = 0.9 is the one-sided label smoothing of Salimans et al. 2016
    (arXiv:1606.03498), Section 3.4: real targets only, fakes keep 0.

    Args:
        real_logits: C(x), any shape.
        fake_logits: C(G(z)), the same shape.
        real_target: t in (0, 1].
    Returns:
        The shape of the logits; log 4 where both logits are 0 and t is 1.

    >>> import torch
    >>> round(discriminator(torch.zeros(1), torch.zeros(1)).item(), 4)     # log 4
    1.3863
    """
    check_pair(real_logits, fake_logits)
    return softplus(-real_logits) + (1 - real_target) * real_logits + softplus(fake_logits)


def generator(fake_logits: Tensor) -> Tensor:
    """Minimax loss of the generator, log(1 - D(G(z))) = -softplus(C(G(z))): Goodfellow et al. 2014, Algorithm 1."""
    return -softplus(fake_logits)


def nonsaturating_generator(fake_logits: Tensor) -> Tensor:
    """Non-saturating loss of the generator, -log D(G(z)) = softplus(-C(G(z))): Goodfellow et al. 2014, Section 3."""
    return softplus(-fake_logits)


@dataclass(frozen=True, kw_only=True)
class Minimax(Objective):
    """min_G max_D E log D(x) + E log(1 - D(G(z))), Goodfellow et al. 2014, Eq. 1.

    Attributes:
        real_target: of the discriminator; below 1 is one-sided label smoothing.
        halved: halve the discriminator's loss, as the code released with the paper does (its learning rates assume it).
    """

    real_target: float = 1.0
    halved: bool = False

    def __post_init__(self) -> None:
        """Refuse a target that is no probability."""
        if not 0 < self.real_target <= 1:
            raise UsageError(f"The real target needs to be a probability above 0 and up to 1; came {self.real_target}. 1 is off, 0.9 is usual.")

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor, labels: Tensor | None = None) -> Tensor:
        """Cross-entropy."""
        loss = discriminator(real_logits, fake_logits, self.real_target)
        return loss / 2 if self.halved else loss

    def generator(self, fake_logits: Tensor, real_logits: Tensor | None = None, labels: Tensor | None = None) -> Tensor:
        """log(1 - D(G(z)))."""
        return generator(fake_logits)


@dataclass(frozen=True, kw_only=True)
class NonSaturating(Minimax):
    """The minimax discriminator against a generator that maximises E log D(G(z)); Goodfellow et al. 2014, Section 3."""

    def generator(self, fake_logits: Tensor, real_logits: Tensor | None = None, labels: Tensor | None = None) -> Tensor:
        """-log D(G(z))."""
        return nonsaturating_generator(fake_logits)


@dataclass(frozen=True, kw_only=True)
class Blended(Minimax):
    """The generator of the code released with Goodfellow et al. 2014 under its option ``blend_obj``: both losses, weighted.

    L_G = (w_ns (-log D(G)) + w_mm log(1 - D(G)) / 2) / (w_ns + w_mm); the half is the one of that code's discriminator cost.

    Attributes:
        nonsaturating_weight: w_ns.
        minimax_weight: w_mm.
    """

    nonsaturating_weight: float = 1.0
    minimax_weight: float = 1.0

    def generator(self, fake_logits: Tensor, real_logits: Tensor | None = None, labels: Tensor | None = None) -> Tensor:
        """Weighted mean of -log D(G(z)) and log(1 - D(G(z))) / 2."""
        blend = self.nonsaturating_weight * nonsaturating_generator(fake_logits) + self.minimax_weight * generator(fake_logits) / 2
        return blend / (self.nonsaturating_weight + self.minimax_weight)


@dataclass(frozen=True, kw_only=True)
class ZeroSum(Minimax):
    """The generator maximises the WHOLE loss of the discriminator, its real term included: Metz et al. 2017 (arXiv:1611.02163), Eq. 1.

    Against a discriminator as it is, the real term is a constant; against an unrolled one it depends on the generator and carries gradient.
    """

    needs_real_in_generator: ClassVar[bool] = True

    def generator(self, fake_logits: Tensor, real_logits: Tensor | None = None, labels: Tensor | None = None) -> Tensor:
        """-L_D(C(x), C(G(z)))."""
        if real_logits is None:
            raise UsageError("A zero-sum generator's loss needs real logits; came none. Judge a real batch in the generator's turn too.")
        return -self.discriminator(real_logits, fake_logits)
