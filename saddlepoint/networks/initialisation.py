"""How the papers start their weights: each function changes a network in place and draws from torch's default generator.

``fan`` below is the number of inputs that one output unit sums over.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

Weighted = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)


def _weighted(network: nn.Module) -> list[nn.Linear | nn.Conv2d | nn.ConvTranspose2d]:
    return [m for m in network.modules() if isinstance(m, Weighted)]


@torch.no_grad()
def zero_biases(network: nn.Module) -> None:
    """Set the bias of every linear and convolutional layer to 0."""
    for layer in _weighted(network):
        if layer.bias is not None:
            layer.bias.zero_()


@torch.no_grad()
def normal_weights(network: nn.Module, std: float = 0.02, gain_std: float | None = 0.02) -> None:
    """DCGAN's start (Radford et al. 2016, section 4): weights N(0, std), gains of batch normalisation N(1, gain_std), all biases 0.

    Args:
        network: changed in place.
        std: of linear and convolutional weights.
        gain_std: of the gains of normalisation layers; None leaves them at 1.
    """
    zero_biases(network)
    for layer in network.modules():
        if isinstance(layer, Weighted):
            layer.weight.normal_(0, std)
        elif gain_std is not None and _is_norm(layer) and isinstance(layer.weight, Tensor):
            layer.weight.normal_(1, gain_std)


def _is_norm(layer: nn.Module) -> bool:
    return isinstance(layer, nn.modules.batchnorm._BatchNorm) or getattr(layer, "is_normalisation", False)


@torch.no_grad()
def uniform_weights(network: nn.Module, limit: float) -> None:
    """Weights U(-limit, limit), biases 0 (Goodfellow et al. 2014: .05 in G, .005 in D)."""
    zero_biases(network)
    for layer in _weighted(network):
        layer.weight.uniform_(-limit, limit)


@torch.no_grad()
def orthogonal_weights(network: nn.Module, gain: float = 1.4) -> None:
    """Orthogonal weights times ``gain``, biases 0 (Metz et al. 2017: gain 1.4)."""
    zero_biases(network)
    for layer in _weighted(network):
        nn.init.orthogonal_(layer.weight, gain)


@torch.no_grad()
def xavier_weights(network: nn.Module) -> None:
    """Weights U(-a, a) with a = sqrt(6 / (fan_in + fan_out)), biases 0 (the default of the code that BEGAN is known by)."""
    zero_biases(network)
    for layer in _weighted(network):
        nn.init.xavier_uniform_(layer.weight)


@torch.no_grad()
def fan_in_weights(network: nn.Module) -> None:
    """Weights U(-a, a) with a = sqrt(3 / fan), that is variance 1 / fan; biases 0 (Neyshabur et al. 2017).

    For a transposed convolution fan is input channels times kernel area, as in the authors' code.
    """
    zero_biases(network)
    for layer in _weighted(network):
        limit = math.sqrt(3 / _fan(layer))
        layer.weight.uniform_(-limit, limit)


def _fan(layer: nn.Linear | nn.Conv2d | nn.ConvTranspose2d) -> int:
    """Input channels times kernel area, transposed or not."""
    return layer.weight.shape[0 if isinstance(layer, nn.ConvTranspose2d) else 1] * math.prod(layer.weight.shape[2:])


@torch.no_grad()
def keep_gains(network: nn.Module, fans: Sequence[int]) -> None:
    """Multiply each layer's weights by sqrt(fan of the paper / its own fan), so that a smaller network starts with the paper's gains.

    A range such as .005 is tied to a paper's sizes: at a quarter of them the signal of a deep product of such layers, and with it the
    gradient, is so small that training does not start. At the paper's sizes nothing changes.

    Args:
        network: changed in place.
        fans: of the paper's linear and convolutional layers, in the order of ``network.modules()``.
    """
    for layer, fan in zip(_weighted(network), fans, strict=True):
        layer.weight.mul_(math.sqrt(fan / _fan(layer)))


@torch.no_grad()
def sparse_weights(layer: nn.Linear, nonzero: int) -> None:
    """N(0, 1) on ``nonzero`` inputs of each unit, chosen at random, 0 elsewhere; bias 0 (the TFD generator of Goodfellow et al. 2014)."""
    zero_biases(layer)
    chosen = torch.rand_like(layer.weight).argsort(1)[:, : min(nonzero, layer.in_features)]  # unit, input
    values = torch.randn(chosen.shape, dtype=layer.weight.dtype, device=layer.weight.device)
    layer.weight.zero_().scatter_(1, chosen, values)


@torch.no_grad()
def initialise_from_data(network: nn.Module, *inputs: Tensor) -> None:
    """Run one batch through the network while its data-initialised layers fit their scales and biases to it.

    Salimans & Kingma 2016 (arXiv:1602.07868), Eq. 5: weight-normalised layers leave with outputs of mean 0 and their own target
    deviation; minibatch discrimination as in the code of Salimans et al. 2016. Layers are fitted in the order they are called, each on
    the output of those before it. Networks without such layers are left as they are (save running averages of batch normalisation).

    Args:
        network: holds layers with an attribute ``initialising``, see saddlepoint.networks.layers.WeightNormLinear.
        inputs: of one call of the network; 500 images in the authors' code.
    """
    layers = [m for m in network.modules() if hasattr(m, "initialising")]
    for layer in layers:
        layer.initialising = True  # type: ignore[assignment]
    try:
        network(*inputs)
    finally:
        for layer in layers:
            layer.initialising = False  # type: ignore[assignment]
