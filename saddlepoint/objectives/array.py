"""Many discriminators against one generator: logits [n, k], one column a discriminator."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from saddlepoint.errors import UsageError
from saddlepoint.objectives.minimax import NonSaturating
from saddlepoint.objectives.objective import Objective


@dataclass(frozen=True, kw_only=True)
class DiscriminatorArray(Objective):
    r"""Every discriminator plays the same objective with the one generator.

    .. math:: L_D = \sum_k L_{D_k}, \qquad L_G = \frac1K \sum_k L_G(C_k(W_k G(z)))

    Neyshabur et al. 2017 (arXiv:1705.07831). The sum leaves each D_k the loss it would have alone.

    Attributes:
        each: the objective of one discriminator.
    """

    each: Objective = field(default_factory=NonSaturating)

    def __post_init__(self) -> None:
        """Refuse an objective whose generator compares with real logits."""
        if self.each.needs_real_in_generator:
            raise UsageError(f"An array of discriminators needs an objective whose generator sees fakes only; came {type(self.each).__name__}.")

    @property
    def decides(self) -> bool:  # type: ignore[override]
        """As the objective of one."""
        return self.each.decides

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor, labels: Tensor | None = None) -> Tensor:
        """Sum over the discriminators, [n]."""
        return self.each.discriminator(real_logits, fake_logits, labels).flatten(1).sum(1)  # n k -> n

    def generator(self, fake_logits: Tensor, real_logits: Tensor | None = None, labels: Tensor | None = None) -> Tensor:
        """Mean over the discriminators, [n]."""
        return self.each.generator(fake_logits, None, labels).flatten(1).mean(1)  # n k -> n

    def score(self, logits: Tensor) -> Tensor:
        """Mean realness over the discriminators, [n]."""
        return self.each.score(logits).flatten(1).mean(1)

    def verdict(self, logits: Tensor) -> Tensor:
        """Of every discriminator, [n, k]."""
        return self.each.verdict(logits)

    def watch(self, real_logits: Tensor, fake_logits: Tensor) -> dict[str, Tensor]:
        """The loss of each discriminator: none of them should come to tell perfectly."""
        losses = self.each.discriminator(real_logits, fake_logits).flatten(1).mean(0)  # n k -> k
        return {f"loss_{k:02d}": loss for k, loss in enumerate(losses)}
