"""A trained network that a game looks through."""

from __future__ import annotations

from typing import Self

from torch import Tensor, nn


class Frozen(nn.Module):
    """Never trained, always in evaluation mode, and no part of the game's state: its weights stay in the file they came from.

    They become buffers that are not saved, so they follow the game to its device and type, and gradients of what it is shown pass through it.

    Args:
        network: changed in place.

    >>> frozen = Frozen(nn.Linear(2, 2)).train()
    >>> frozen.state_dict(), list(frozen.parameters()), frozen.network.training
    (OrderedDict(), [], False)
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.eval()
        for module in network.modules():
            for name, value in [*module.named_parameters(recurse=False)]:
                delattr(module, name)
                module.register_buffer(name, value.detach().clone(), persistent=False)
            for name, buffer in [*module.named_buffers(recurse=False)]:
                module.register_buffer(name, buffer, persistent=False)

    def train(self, mode: bool = True) -> Self:
        """Stays in evaluation mode."""
        return super().train(False)

    def forward(self, x: Tensor) -> Tensor:
        """As the network."""
        y: Tensor = self.network(x)
        return y
