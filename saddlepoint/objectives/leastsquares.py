"""LSGAN: the discriminator regresses targets, without a sigmoid."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from saddlepoint.objectives.objective import Objective, check_pair


def discriminator(real_logits: Tensor, fake_logits: Tensor, a: float = 0.0, b: float = 1.0) -> Tensor:
    r"""Squared error of the discriminator from its targets.

    .. math:: L_D = \tfrac12 (C(x) - b)^2 + \tfrac12 (C(G(z)) - a)^2

    Mao et al. 2017 (arXiv:1611.04076), Eq. 2.

    Args:
        real_logits: C(x), any shape.
        fake_logits: C(G(z)), the same shape.
        a: target of fakes.
        b: target of real samples.
    Returns:
        The shape of the logits, in squared logits.
    """
    check_pair(real_logits, fake_logits)
    return ((real_logits - b).square() + (fake_logits - a).square()) / 2


def generator(fake_logits: Tensor, c: float = 1.0) -> Tensor:
    """Half the squared distance of the fakes from the generator's target c, Mao et al. 2017, Eq. 2."""
    return (fake_logits - c).square() / 2


@dataclass(frozen=True, kw_only=True)
class LeastSquares(Objective):
    """Mao et al. 2017 (arXiv:1611.04076), Eq. 2, halves included.

    Attributes:
        a: what D wants fakes to score.
        b: what D wants real samples to score.
        c: what G wants D to believe of fakes.
    """

    a: float = 0.0
    b: float = 1.0
    c: float = 1.0

    @classmethod
    def binary(cls) -> LeastSquares:
        """The 0-1 coding a=0, b=c=1 (Eq. 9): the generator aims at the data's own score."""
        return cls(a=0.0, b=1.0, c=1.0)

    @classmethod
    def pearson(cls) -> LeastSquares:
        """The coding a=-1, b=1, c=0 (Eq. 8): b - c = 1 and b - a = 2, so G minimises the Pearson chi-squared divergence of p_d + p_g and 2 p_g."""
        return cls(a=-1.0, b=1.0, c=0.0)

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor, labels: Tensor | None = None) -> Tensor:
        """Half the squared errors from b and a."""
        return discriminator(real_logits, fake_logits, self.a, self.b)

    def generator(self, fake_logits: Tensor, real_logits: Tensor | None = None, labels: Tensor | None = None) -> Tensor:
        """Half the squared error from c."""
        return generator(fake_logits, self.c)

    def verdict(self, logits: Tensor) -> Tensor:
        """Distance from the middle between a and b, positive on the side of b."""
        return (logits - (self.a + self.b) / 2) * (1.0 if self.b > self.a else -1.0)
