"""Standing statistics: means and variances of batch normalisation made for the latents at hand, in place of the running ones of training.

Brock et al. 2019 (arXiv:1809.11096), appendix C.1: running averages belong to the weights and latents of training; so before sampling the
generator is run over many batches of the latents that will be used, with its weights as they are, and the statistics of all are averaged.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

Statistics = dict[str, tuple[Tensor, Tensor]]


def _norms(network: nn.Module) -> dict[str, _BatchNorm]:
    return {name: layer for name, layer in network.named_modules() if isinstance(layer, _BatchNorm) and layer.track_running_stats}


@torch.no_grad()
def standing_statistics(network: nn.Module, run: Callable[[int], object], passes: int) -> Statistics:
    """Mean over ``passes`` forward passes of the statistics of each layer of batch normalisation.

    Args:
        network: left as it was, running statistics included.
        run: does the pass of a number, from 0.
        passes: how many; 100 in the paper, 16 in the first author's later code.
    Returns:
        By layer name (mean, variance), [c] each; empty for a network without batch normalisation.
    """
    layers = _norms(network)
    before = {name: (layer.running_mean, layer.running_var, layer.num_batches_tracked, layer.momentum) for name, layer in layers.items()}
    was_training = network.training
    network.train()
    try:
        for layer in layers.values():
            layer.running_mean, layer.running_var = torch.zeros_like(layer.running_mean), torch.ones_like(layer.running_var)  # type: ignore[arg-type]
            layer.num_batches_tracked, layer.momentum = torch.zeros((), dtype=torch.long), None  # None: a plain mean over the passes
        for number in range(passes if layers else 0):
            run(number)
        return {name: (layer.running_mean, layer.running_var) for name, layer in layers.items()}  # type: ignore[misc]
    finally:
        for name, layer in layers.items():
            layer.running_mean, layer.running_var, layer.num_batches_tracked, layer.momentum = before[name]
        network.train(was_training)


@contextlib.contextmanager
def with_statistics(network: nn.Module, statistics: Statistics) -> Iterator[None]:
    """While inside, the network's batch normalisation uses these; afterwards its own again."""
    layers = _norms(network)
    own = {name: (layer.running_mean, layer.running_var) for name, layer in layers.items()}
    try:
        for name, (mean, variance) in statistics.items():
            layers[name].running_mean, layers[name].running_var = mean, variance
        yield
    finally:
        for name, layer in layers.items():
            layer.running_mean, layer.running_var = own[name]
