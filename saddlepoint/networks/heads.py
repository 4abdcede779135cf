"""Other heads for a discriminator: class logits in place of, or beside, its one logit; minibatch discrimination before it.

Every discriminator of the library whose last layer is a linear ``head`` over its features can be given one; no weight is left unused.

Axes: n batch, d features, k classes.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from saddlepoint.errors import UsageError
from saddlepoint.networks import spectral
from saddlepoint.networks.autoencoders import EBGANMLPDiscriminator
from saddlepoint.networks.base import Discriminator, Judgement
from saddlepoint.networks.layers import Halving
from saddlepoint.networks.minibatch import MinibatchDiscrimination

Kind = Literal["softmax", "auxiliary", "realness"]


HEADS = ("head", "to_logit")


def find_head(network: Discriminator) -> tuple[str, nn.Linear]:
    """Name and layer of a discriminator's linear head."""
    for name in HEADS:
        head = getattr(network, name, None)
        if isinstance(head, nn.Linear):
            return name, head
    raise UsageError(f"{type(network).__name__} has no linear head to be replaced. Choose an MLP, DCGAN or residual discriminator.")


@torch.no_grad()
def _linear_like(old: nn.Linear, in_features: int, out_features: int) -> nn.Linear:
    """A linear layer of another size: of the same normalisation, or with weights N(0, s) of the deviation of ``old`` and bias 0."""
    bias = old.bias is not None
    if isinstance(old, spectral.Linear):
        normalised = spectral.Linear(in_features, out_features, bias=bias, spectral_norm=isinstance(old.spectral, spectral.SpectralNorm))
        if isinstance(old.spectral, spectral.WeightNorm):
            spectral.use_weight_norm(normalised)
        return normalised
    new = nn.Linear(in_features, out_features, bias=bias)
    new.weight.normal_(0, old.weight.std().item())
    if bias:
        new.bias.zero_()
    return new


class ClassHead(Discriminator):
    """A discriminator that knows classes.

    Args:
        network: whose ``head`` is replaced.
        num_classes: k.
        kind: "softmax": logits [n, k+1], the last is "fake" (Zhou et al. 2018); "auxiliary": one logit and k class logits (Odena et al. 2017);
            "realness": k class logits, whose logsumexp is the logit (Salimans et al. 2016, section 5).
    """

    def __init__(self, network: Discriminator, num_classes: int, kind: Kind) -> None:
        super().__init__()
        name, old = find_head(network)
        setattr(network, name, _linear_like(old, old.in_features, num_classes + (kind != "realness")))
        self.network, self.kind = network, kind

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Judgement:
        """Samples [n, ...] to a judgement; ``labels`` are not used."""
        outputs, features, _ = self.network(x)  # n k+1, or n k
        if self.kind == "softmax":
            return Judgement(outputs, features)
        if self.kind == "realness":
            return Judgement(outputs.logsumexp(1), features, outputs)
        return Judgement(outputs[:, 0], features, outputs[:, 1:])


def add_minibatch_discrimination(network: Discriminator, num_kernels: int, dim_kernels: int = 5) -> None:
    """Put minibatch discrimination between a discriminator's features and its head, in place (Salimans et al. 2016, section 3.2)."""
    name, old = find_head(network)
    layer = MinibatchDiscrimination(old.in_features, num_kernels, dim_kernels)
    setattr(network, name, nn.Sequential(layer, _linear_like(old, layer.out_features, old.out_features)))


class AbsoluteAutoencoder(EBGANMLPDiscriminator):
    """The fully connected auto-encoder with BEGAN's error: logits are -mean |v - D(v)| over a sample's values."""

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Judgement:
        """Samples [n, ...] to logits [n]; features [n, code_dim] are the code. ``labels`` are not used."""
        x = x.flatten(1)
        code: Tensor = self.encoder(x)
        return Judgement(-(self.decoder(code) - x).abs().mean(1), code)


class SpectralConv2d(nn.Conv2d):
    """A convolution whose kernel, read as a matrix of output channels, is divided by its largest singular value."""

    def __init__(self, plain: nn.Conv2d) -> None:
        sizes = (plain.in_channels, plain.out_channels, plain.kernel_size, plain.stride, plain.padding)
        super().__init__(*sizes, bias=plain.bias is not None)  # type: ignore[arg-type]
        self.weight, self.bias = plain.weight, plain.bias
        self.spectral = spectral.SpectralNorm(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        """As the plain convolution's."""
        y: Tensor = self._conv_forward(x, self.spectral(self.weight), self.bias)
        return y


def use_spectral_norm(network: nn.Module) -> None:
    """Replace every plain linear or convolutional layer inside by a spectrally normalised one, in place."""
    for name, child in list(network.named_children()):
        if type(child) is nn.Linear:
            setattr(network, name, spectral.Linear(child.in_features, child.out_features, bias=child.bias is not None, spectral_norm=True))
        elif type(child) is nn.Conv2d or type(child) is Halving:
            setattr(network, name, SpectralConv2d(child))
        else:
            use_spectral_norm(child)
