"""Self-attention over the positions of a map, and the maps of who looks where.

    theta = W_theta x,   phi = pool(W_phi x),   g = pool(W_g x)          pool: the largest of 2x2
    beta = softmax(theta^T phi) over the pooled positions,   y = x + gamma W_o (g beta^T)

Zhang et al. 2019 (arXiv:1805.08318), section 3, in the form of the authors' code: W_theta and W_phi to an eighth of the channels, W_g to a half, the
pools, and gamma that starts at 0, so that a network with attention starts as the one without. Brock et al. 2019 (arXiv:1809.11096) use the same.

Axes: n batch, c channels, h w image, q positions, p pooled positions.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from saddlepoint.networks.convolution import Convolution


class SelfAttention(nn.Module):
    """[n, c, h, w] -> [n, c, h, w]; sides of at least 2. Derivatives of any order; memory grows with the square of the number of positions.

    Args:
        c: channels.
        spectral_norm: of the four 1x1 convolutions, which have no bias.
    """

    def __init__(self, c: int, *, spectral_norm: bool = True) -> None:
        super().__init__()
        key, value = max(1, c // 8), max(1, c // 2)
        self.theta = Convolution(c, key, 1, bias=False, spectral_norm=spectral_norm)
        self.phi = Convolution(c, key, 1, bias=False, spectral_norm=spectral_norm)
        self.g = Convolution(c, value, 1, bias=False, spectral_norm=spectral_norm)
        self.o = Convolution(value, c, 1, bias=False, spectral_norm=spectral_norm)
        self.gamma = nn.Parameter(torch.zeros(()))

    def weights(self, x: Tensor) -> Tensor:
        """Where each position looks: [n, q, p], rows sum to 1; q = h w, p = (h // 2) (w // 2), both row by row."""
        theta = rearrange(self.theta(x), "n c h w -> n (h w) c")
        phi = rearrange(F.max_pool2d(self.phi(x), 2), "n c h w -> n c (h w)")
        return torch.bmm(theta, phi).softmax(-1)  # n q p

    def forward(self, x: Tensor) -> Tensor:
        """Map features to features of the same shape."""
        g = rearrange(F.max_pool2d(self.g(x), 2), "n c h w -> n (h w) c")
        seen = torch.bmm(self.weights(x), g)  # n q c
        return torch.addcmul(x, self.gamma, self.o(rearrange(seen, "n (h w) c -> n c h w", h=x.shape[2])))


@contextlib.contextmanager
def _watched(network: nn.Module) -> Iterator[dict[str, Tensor]]:
    """The attention of every call inside, by the layer's name."""
    maps: dict[str, Tensor] = {}

    def watch(name: str, layer: SelfAttention, x: Tensor) -> None:
        h, w = x.shape[2:]
        maps[name] = rearrange(layer.weights(x), "n (h w) (i j) -> n h w i j", h=h, w=w, i=h // 2, j=w // 2)

    layers = [(name, layer) for name, layer in network.named_modules() if isinstance(layer, SelfAttention)]
    hooks = [layer.register_forward_pre_hook(lambda layer, inputs, name=name: watch(name, layer, inputs[0])) for name, layer in layers]
    try:
        yield maps
    finally:
        for hook in hooks:
            hook.remove()


@torch.no_grad()
def attention_maps(network: nn.Module, *inputs: Tensor | None) -> tuple[Tensor, dict[str, Tensor]]:
    """Run a network once, as it samples or judges, and say where each position looked.

    Args:
        network: a generator or discriminator; called in evaluation mode, so that running statistics do not move.
        inputs: of one call.
    Returns:
        Its output (logits of a discriminator), and by the layer's name the maps [n, h, w, i, j]: at position (h, w) the share of attention that falls
        on the 2x2 pixels (i, j); empty for a network without attention.
    """
    was_training = network.training
    network.eval()
    try:
        with _watched(network) as maps:
            output = network(*inputs)
    finally:
        network.train(was_training)
    return output if isinstance(output, Tensor) else output.logits, maps
