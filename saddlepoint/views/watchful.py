"""Views that learn from what the discriminator says behind them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

from torch import Tensor

from saddlepoint.views.view import View


class WatchfulView(View):
    """A view that looks at D's logits of the real samples and moves its own state, as ADA moves the probability of its augmentations."""

    @abstractmethod
    def watch(self, real_logits: Tensor) -> dict[str, Tensor]:
        """Scalars to log of a discriminator's turn: means over the samples."""

    @abstractmethod
    def after_turn(self, player: str, values: Mapping[str, Tensor]) -> Mapping[str, Tensor] | None:
        """Called after each move with the logged values, averaged over micro-batches and processes; may return more values to log."""
