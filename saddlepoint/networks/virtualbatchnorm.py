"""Virtual batch normalisation (Salimans et al. 2016, section 3.5): statistics of a fixed reference batch and the sample itself.

Axes: n batch, r reference, c channels, h w image.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from saddlepoint.errors import UsageError
from saddlepoint.networks.base import Discriminator, Generator, Judgement


class VirtualBatchNorm(nn.Module):
    r"""Normalise each sample by moments of the reference batch, with the sample itself added to it.

    .. math:: \mu_i = \tfrac{1}{r+1} m_i + \tfrac{r}{r+1} m_{ref}, \qquad \sigma_i^2 = \text{second moment, weighted alike}, - \mu_i^2

    where m_i is the mean of sample i over its own pixels. Reference rows use the moments of the reference batch alone. A sample's output
    does not depend on the other samples of its batch. There are no running averages: training and evaluation are the same function.
    Gain and bias are one a channel.

    The first ``num_reference`` rows of the input are the reference batch; VirtualBatchDiscriminator and VirtualBatchGenerator set it.

    Args:
        num_features: channels, or features of [n, d].
        eps: added to the variance.
    """

    is_normalisation = True

    def __init__(self, num_features: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.num_reference = 0
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))

    def forward(self, x: Tensor) -> Tensor:
        """Shape [r + n, c, h, w] or [r + n, c]; returns the same shape."""
        r = self.num_reference
        if r == 0:
            raise UsageError("Virtual batch normalisation needs a reference batch; wrap the network in VirtualBatchDiscriminator or -Generator.")
        pixels = list(range(2, x.ndim))
        shape = (1, -1, *[1] * len(pixels))
        reference, samples = x[:r], x[r:]
        ref_var, ref_mean = torch.var_mean(reference, [0, *pixels], correction=0, keepdim=True)  # 1 c 1 1
        if pixels:
            own_var, own_mean = torch.var_mean(samples, pixels, correction=0, keepdim=True)  # n c 1 1
        else:
            own_var, own_mean = torch.zeros_like(samples), samples
        share = 1 / (r + 1)
        mean = share * own_mean + (1 - share) * ref_mean  # n c 1 1
        var = share * (own_var + (own_mean - mean).square()) + (1 - share) * (ref_var + (ref_mean - mean).square())
        mean = torch.cat([ref_mean.expand(r, *mean.shape[1:]), mean])
        var = torch.cat([ref_var.expand(r, *var.shape[1:]), var])
        gain = self.weight.view(shape) * (var + self.eps).rsqrt()
        return torch.addcmul(self.bias.view(shape) - mean * gain, x, gain)

    def extra_repr(self) -> str:
        """Shown by print(network)."""
        return f"{self.weight.numel()}, eps={self.eps}"


class _Reference:
    """Sets ``num_reference`` of every VirtualBatchNorm inside a network for the duration of one call."""

    def __init__(self, network: nn.Module, count: int) -> None:
        self.layers = [m for m in network.modules() if isinstance(m, VirtualBatchNorm)]
        self.count = count

    def __enter__(self) -> None:
        for layer in self.layers:
            layer.num_reference = self.count

    def __exit__(self, *error: object) -> None:
        for layer in self.layers:
            layer.num_reference = 0


def _joined(reference: Tensor | None, labels: Tensor | None) -> Tensor | None:
    if (reference is None) != (labels is None):
        raise UsageError("The reference batch and the samples must both have labels, or neither.")
    return None if reference is None or labels is None else torch.cat([reference, labels])


class VirtualBatchDiscriminator(Discriminator):
    """A discriminator with VirtualBatchNorm layers, and its reference batch as a buffer.

    Each forward pass runs reference and samples together and returns the samples' rows; the gradient flows through both. The statistics
    move with the weights, so they cannot be kept from one turn to the next.

    Args:
        network: a discriminator, e.g. DCGANDiscriminator(..., norm="virtual").
        reference: real samples [r, ...], chosen once before training.
        reference_labels: [r] for a conditional network.
    """

    reference: Tensor
    reference_labels: Tensor | None

    def __init__(self, network: Discriminator, reference: Tensor, reference_labels: Tensor | None = None) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("reference", reference.detach().clone())
        self.register_buffer("reference_labels", None if reference_labels is None else reference_labels.detach().clone())

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Judgement:
        """Samples [n, ...] to the network's judgement of them."""
        r = len(self.reference)
        with _Reference(self.network, r):
            judgement: Judgement = self.network(torch.cat([self.reference.to(x.dtype), x]), _joined(self.reference_labels, labels))
        return Judgement(*(None if part is None else part[r:] for part in judgement))  # type: ignore[arg-type]


class VirtualBatchGenerator(Generator):
    """A generator with VirtualBatchNorm layers, and its reference latents [r, latent_dim] as a buffer; see VirtualBatchDiscriminator."""

    reference: Tensor
    reference_labels: Tensor | None

    def __init__(self, network: Generator, reference: Tensor, reference_labels: Tensor | None = None) -> None:
        super().__init__()
        self.network = network
        self.latent_dim = network.latent_dim
        self.register_buffer("reference", reference.detach().clone())
        self.register_buffer("reference_labels", None if reference_labels is None else reference_labels.detach().clone())

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents [n, latent_dim] to samples [n, ...]."""
        r = len(self.reference)
        with _Reference(self.network, r):
            samples: Tensor = self.network(torch.cat([self.reference.to(z.dtype), z]), _joined(self.reference_labels, labels))
        return samples[r:]
