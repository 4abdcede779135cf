"""Relativistic objectives: D says how much more real one kind is than the other, and G's turn needs real samples too.

Jolicoeur-Martineau 2019 (arXiv:1807.00734). The average forms compare with the mean over all logits of the other kind, so they are exact only over a
whole batch: split into micro-batches each compares with its own mean. The paper sums the two terms of the average forms, as here; the code
released with it takes their mean.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor
from torch.nn.functional import relu, softplus

from saddlepoint.errors import UsageError
from saddlepoint.objectives.objective import Objective, check_pair


def paired(winner_logits: Tensor, loser_logits: Tensor) -> Tensor:
    """softplus(-(C(winner) - C(loser))) for the pairs (i, i) of a batch: RpGAN's loss of the player who wants ``winner`` to look more real.

    The discriminator passes (real, fake), the generator (fake, real). Jolicoeur-Martineau 2019; R3GAN, Huang et al. 2024
    (arXiv:2501.05441). Local convergence needs R1 and R2 beside it, both as gamma/2 times the squared slope.
    """
    check_pair(winner_logits, loser_logits)
    return softplus(loser_logits - winner_logits)


def average_logistic(winner_logits: Tensor, loser_logits: Tensor) -> Tensor:
    """RaGAN: -log sigmoid(C(w) - E C(l)) - log(1 - sigmoid(C(l) - E C(w)))."""
    ahead, behind = _against_means(winner_logits, loser_logits)
    return softplus(-ahead) + softplus(behind)


def average_least_squares(winner_logits: Tensor, loser_logits: Tensor) -> Tensor:
    """RaLSGAN: (C(w) - E C(l) - 1)^2 + (C(l) - E C(w) + 1)^2."""
    ahead, behind = _against_means(winner_logits, loser_logits)
    return (ahead - 1).square() + (behind + 1).square()


def average_hinge(winner_logits: Tensor, loser_logits: Tensor) -> Tensor:
    """RaHingeGAN: [1 - (C(w) - E C(l))]+ + [1 + (C(l) - E C(w))]+."""
    ahead, behind = _against_means(winner_logits, loser_logits)
    return relu(1 - ahead) + relu(1 + behind)


def _against_means(winner_logits: Tensor, loser_logits: Tensor) -> tuple[Tensor, Tensor]:
    check_pair(winner_logits, loser_logits)
    return winner_logits - loser_logits.mean(), loser_logits - winner_logits.mean()


Form = Literal["paired", "logistic", "least-squares", "hinge"]
FORMS: dict[Form, Callable[[Tensor, Tensor], Tensor]] = {
    "paired": paired,
    "logistic": average_logistic,
    "least-squares": average_least_squares,
    "hinge": average_hinge,
}


@dataclass(frozen=True, kw_only=True)
class Relativistic(Objective):
    """RpGAN ("paired"), RaGAN ("logistic"), RaLSGAN ("least-squares") or RaHingeGAN ("hinge"); G minimises D's loss with the roles exchanged."""

    needs_real_in_generator: ClassVar[bool] = True
    decides: ClassVar[bool] = False
    form: Form = "paired"

    def __post_init__(self) -> None:
        """Refuse a form that does not exist."""
        if self.form not in FORMS:
            raise UsageError(f"A relativistic objective needs one of the forms {', '.join(FORMS)}; came {self.form!r}.")

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor, labels: Tensor | None = None) -> Tensor:
        """Real samples win."""
        return FORMS[self.form](real_logits, fake_logits)

    def generator(self, fake_logits: Tensor, real_logits: Tensor | None = None, labels: Tensor | None = None) -> Tensor:
        """Fakes win."""
        if real_logits is None:
            raise UsageError("A relativistic generator's loss needs real logits; came none. Judge a real batch in the generator's turn too.")
        return FORMS[self.form](fake_logits, real_logits)
