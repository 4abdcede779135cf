"""The Wasserstein critic: the gap between its mean on real and on fake samples estimates K times the earth mover's distance."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from saddlepoint.objectives.objective import Objective, check_pair


def discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Loss of the critic, C(G(z)) - C(x): Arjovsky et al. 2017 (arXiv:1701.07875), Eq. 2, negated.

    Its negative mean estimates K * W1(p_d, p_g) for a critic near its optimum among the K-Lipschitz functions.
    """
    check_pair(real_logits, fake_logits)
    return fake_logits - real_logits


def generator(fake_logits: Tensor) -> Tensor:
    """Loss of the generator, -C(G(z)): Arjovsky et al. 2017, Algorithm 1."""
    return -fake_logits


def drift(real_logits: Tensor) -> Tensor:
    """Keeps the critic's free constant near zero: C(x)^2, to be weighted 0.001 (Karras et al. 2018, arXiv:1710.10196, Appendix A.1)."""
    return real_logits.square()


@dataclass(frozen=True, kw_only=True)
class Wasserstein(Objective):
    """min_G max_{|C|_L <= 1} E C(x) - E C(G(z)), Arjovsky et al. 2017; the game holds C Lipschitz by clipping or a penalty."""

    saturates = False
    decides = False

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor, labels: Tensor | None = None) -> Tensor:
        """C(G(z)) - C(x)."""
        return discriminator(real_logits, fake_logits)

    def generator(self, fake_logits: Tensor, real_logits: Tensor | None = None, labels: Tensor | None = None) -> Tensor:
        """-C(G(z))."""
        return generator(fake_logits)

    def watch(self, real_logits: Tensor, fake_logits: Tensor) -> dict[str, Tensor]:
        """The estimate of K * W1(p_d, p_g), -L_D: the paper's main claim is that it falls as the samples improve."""
        return {"wasserstein": real_logits.mean() - fake_logits.mean()}
