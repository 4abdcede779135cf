"""The hinge objective of SNGAN: D stops pushing a sample once it is beyond the margin."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import relu

from saddlepoint.objectives.objective import Objective, check_pair


def discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Loss of the discriminator, [1 - C(x)]+ + [1 + C(G(z))]+: Miyato et al. 2018 (arXiv:1802.05957), Eq. 16, negated."""
    check_pair(real_logits, fake_logits)
    return relu(1 - real_logits) + relu(1 + fake_logits)


def generator(fake_logits: Tensor) -> Tensor:
    """Loss of the generator, -C(G(z)): Miyato et al. 2018, Eq. 17."""
    return -fake_logits


@dataclass(frozen=True, kw_only=True)
class Hinge(Objective):
    """Miyato et al. 2018 (arXiv:1802.05957), Eq. 16 and 17."""

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor, labels: Tensor | None = None) -> Tensor:
        """[1 - C(x)]+ + [1 + C(G(z))]+."""
        return discriminator(real_logits, fake_logits)

    def generator(self, fake_logits: Tensor, real_logits: Tensor | None = None, labels: Tensor | None = None) -> Tensor:
        """-C(G(z))."""
        return generator(fake_logits)
