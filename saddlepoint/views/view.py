"""What stands between a sample and the discriminator.

A view is applied to real and generated samples alike, and the generator learns through it. It draws its chance from the turn's own draws, once a
sample and once a call; so apply it to the real and to the fake batch separately, always in the same order, and micro-batches see what the whole
batch would see.
"""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor, nn


class View(nn.Module):
    """A differentiable map of samples; it owns no parameters to train."""

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """What the discriminator sees of ``x`` [n, ...]: n samples, perhaps of another shape."""


class Compose(View):
    """Views one after the other, the first first."""

    def __init__(self, *views: nn.Module) -> None:
        super().__init__()
        self.views = nn.ModuleList(views)

    def forward(self, x: Tensor) -> Tensor:
        """The last view of ... the first view of ``x``."""
        for view in self.views:
            x = view(x)
        return x
