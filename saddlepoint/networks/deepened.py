"""A generator that is trained first and then put behind two new layers (Goodfellow et al. 2014 on the Toronto Face Database).

    level 0   z -> G
    level 1   z -> linear, ReLU -> linear, sigmoid -> G

Axes: n batch, d latent.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from saddlepoint.networks.base import Generator
from saddlepoint.networks.growing import Growing
from saddlepoint.networks.initialisation import uniform_weights

WEIGHT_RANGE = 0.05  # irange of G's hidden layers
SECOND_BIAS = -2.0


class DeepenedGenerator(Growing, Generator):
    """G, later behind two layers that turn z into what G takes for z.

    Args:
        generator: G.
        width: units of the first new layer; the second has as many as z numbers.
    """

    def __init__(self, generator: Generator, width: int) -> None:
        super().__init__(1)
        self.generator, self.latent_dim = generator, generator.latent_dim
        second = nn.Linear(width, self.latent_dim)
        self.front = nn.Sequential(nn.Linear(self.latent_dim, width), nn.ReLU(), second, nn.Sigmoid())
        uniform_weights(self.front, WEIGHT_RANGE)
        nn.init.constant_(second.bias, SECOND_BIAS)
        self.grow(0)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """As G."""
        x: Tensor = self.generator(self.front(z) if self.stage.level else z, labels)
        return x


@torch.no_grad()
def restart(network: nn.Module, limits: dict[str, float], seed: int) -> None:
    """Begin anew: weights U(-limit, limit), biases 0; the same on every process.

    Args:
        network: changed in place.
        limits: by the name of a parameter; those without one are set to 0.
        seed: of the weights.
    """
    rng = torch.Generator().manual_seed(seed)
    for name, value in network.named_parameters():
        limit = limits.get(name, 0.0)
        value.copy_(torch.rand(value.shape, generator=rng).mul_(2 * limit).sub_(limit))


def weight_limits(network: nn.Module) -> dict[str, float]:
    """The largest weight of each layer that starts uniformly, by the name of the parameter."""
    return {name: value.abs().max().item() for name, value in network.named_parameters() if name.endswith("weight")}
