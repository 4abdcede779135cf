"""What an adversarial game asks of a value function: the loss of either player, per sample, from raw logits.

Every objective is a frozen dataclass around pure functions; the game averages what they return.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from saddlepoint.errors import UsageError


def check_pair(real_logits: Tensor, fake_logits: Tensor) -> None:
    """Refuse real and fake logits of different shapes, which would broadcast to a wrong loss ([n] against [n, 1] gives [n, n])."""
    if real_logits.shape != fake_logits.shape:
        real, fake = list(real_logits.shape), list(fake_logits.shape)
        raise UsageError(f"Real and fake logits need the same shape; came real {real} and fake {fake}. Judge as many fakes as real samples.")


@dataclass(frozen=True, kw_only=True)
class Objective(ABC):
    """A value function, seen by the two players who play it.

    Logits are raw and higher means more real. Losses are minimised, not reduced, and keep the shape of the logits unless a class says otherwise.

    Attributes:
        needs_real_in_generator: whether ``generator`` compares with real logits, so that the generator's turn needs real samples too.
        needs_labels: whether ``discriminator`` needs the classes of the real samples.
        saturates: whether a discriminator that separates real from fake perfectly leaves the generator without a slope; a critic of a distance, or an
            energy, does not.
        decides: whether D's logits have a place of their own between real and fake. Those of a critic, an energy or a relativistic D mean nothing by
            themselves, only against others.
    """

    needs_real_in_generator: ClassVar[bool] = False
    needs_labels: ClassVar[bool] = False
    saturates: ClassVar[bool] = True
    decides: ClassVar[bool] = True

    @abstractmethod
    def discriminator(self, real_logits: Tensor, fake_logits: Tensor, labels: Tensor | None = None) -> Tensor:
        """Loss of the discriminator: the sum of its real and its fake term, as in the objective of 2014.

        Args:
            real_logits: D(x), any shape.
            fake_logits: D(G(z)), the same shape.
            labels: int64 [n], classes of the real samples; read only by objectives over classes.
        """

    @abstractmethod
    def generator(self, fake_logits: Tensor, real_logits: Tensor | None = None, labels: Tensor | None = None) -> Tensor:
        """Loss of the generator.

        Args:
            fake_logits: D(G(z)), any shape.
            real_logits: D(x), the same shape; read only where ``needs_real_in_generator``.
            labels: int64 [n], classes asked of the generator; read only by objectives over classes.
        """

    def score(self, logits: Tensor) -> Tensor:
        """Realness for the display, higher is more real: the logits themselves unless a class says otherwise."""
        return logits

    def verdict(self, logits: Tensor) -> Tensor:
        """Above 0 where D takes a sample for real, below where for fake; only where D ``decides``: the score itself unless a class says otherwise."""
        return self.score(logits)

    def watch(self, real_logits: Tensor, fake_logits: Tensor) -> dict[str, Tensor]:
        """Scalars worth logging in the discriminator's turn beside its loss: none unless a class says otherwise."""
        return {}

    @torch.no_grad()
    def opinion(self, real_logits: Tensor, fake_logits: Tensor) -> dict[str, Tensor]:
        """What D thinks: mean realness of real and fake, the share of pairs ordered rightly (0.5: cannot tell), and what ``watch`` adds.

        The i-th real is paired with the i-th fake: a mean over samples, the same however the batch is cut.
        """
        scores = [self.score(logits) for logits in (real_logits, fake_logits)]
        real, fake = (score.flatten(1).mean(1) if score.ndim > 1 else score for score in scores)
        difference = real - fake
        ordered = ((difference > 0).to(real.dtype) + 0.5 * (difference == 0).to(real.dtype)).mean()
        return {"real": real.mean(), "fake": fake.mean(), "separation": ordered} | self.watch(real_logits, fake_logits)
