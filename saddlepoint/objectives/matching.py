"""The value function of a discriminator that also sees real samples with a description that is not theirs.

Reed et al. 2016 (arXiv:1605.05396), Algorithm 1: L_D = log s_r + (log(1 - s_w) + log(1 - s_f)) / 2, maximised. The share of s_w is ``mismatch`` in
the released code (cls); its part of the loss is the term :class:`saddlepoint.games.captions.Mismatched`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from saddlepoint.errors import UsageError
from saddlepoint.objectives.minimax import NonSaturating


@dataclass(frozen=True, kw_only=True)
class MatchingAware(NonSaturating):
    """The non-saturating game, in which fakes have 1 - ``mismatch`` of the weight of what D is to refuse.

    Attributes:
        mismatch: weight of real samples with another's description, in [0, 1).
    """

    mismatch: float = 0.5

    def __post_init__(self) -> None:
        """Refuse a weight that leaves nothing for fakes."""
        super().__post_init__()
        if not 0 <= self.mismatch < 1:
            raise UsageError(f"mismatch is a share of what D refuses, from 0 to less than 1; it is {self.mismatch}. 0.5 is usual, 0 is off.")

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor, labels: Tensor | None = None) -> Tensor:
        """-log s_r - (1 - mismatch) log(1 - s_f)."""
        return F.softplus(-real_logits) + (1 - self.mismatch) * F.softplus(fake_logits)


def mismatched(logits: Tensor) -> Tensor:
    """-log(1 - s_w), [n], of D's logits for real samples with another's description."""
    return F.softplus(logits)
