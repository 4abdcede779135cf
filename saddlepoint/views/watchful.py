"""Views that learn from what the discriminator says behind them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

from torch import Tensor

from saddlepoint.views.view import View


class WatchfulView(View):
    """A view that looks at D's verdicts on the real samples and moves its own state, as ADA moves the probability of its augmentations."""

    @abstractmethod
    def watch(self, verdict: Tensor) -> dict[str, Tensor]:
        """Scalars to log of a discriminator's turn, means over the samples; ``verdict`` is above 0 where D takes a real sample for real."""

    @abstractmethod
    def after_turn(self, player: str, values: Mapping[str, Tensor], images: int) -> Mapping[str, Tensor]:
        """Called after each move with the logged values, averaged over micro-batches and processes, and the real samples in its whole batch.

        Returns:
            More values to log.
        """
