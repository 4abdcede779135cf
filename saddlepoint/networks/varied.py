"""DCGAN with other activations, depths, normalisations and widths: what Gulrajani et al. 2017 (arXiv:1704.00028), section 5.1, draw at random.

A network of the least depth is DCGAN's: in G a linear layer to 4x4 and transposed 5x5 convolutions of stride 2, in D their mirror; 4 layers with
weights at 32x32, one less at 16x16. A deeper one has 3x3 convolutions beside them that keep size and channels, dealt to the maps in turn, the
smallest first; the paper does not say how its deeper ones are made. Weights begin as the authors' library has them by default, Glorot-uniform with
gain sqrt(2).

Axes: n batch, c channels, h w image, d latent or feature.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from saddlepoint.errors import UsageError
from saddlepoint.networks.base import Discriminator, Generator, Judgement
from saddlepoint.networks.convolution import glorot_uniform_
from saddlepoint.networks.gulrajani import Scaling, levels_of
from saddlepoint.networks.norms import Norm, make_norm

Activation = Literal["relu", "leaky-relu", "smooth-elu", "tanh"]


def smooth_elu(x: Tensor) -> Tensor:
    """softplus(2x + 2) / 2 - 1: close to ELU, with derivatives of every order, which the gradient penalty needs (Appendix D of the paper).

    >>> [round(value, 4) for value in smooth_elu(torch.tensor([-30.0, -1.0, 2.0])).tolist()]
    [-1.0, -0.6534, 2.0012]
    """
    return F.softplus(2 * x + 2) / 2 - 1


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "leaky-relu": lambda x: F.leaky_relu(x, 0.2),
    "smooth-elu": smooth_elu,
    "tanh": torch.tanh,
}


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One network's settings.

    Attributes:
        activation: of every layer but the last.
        depth: layers with weights.
        norm: before each activation; not in D's first layer.
        width: channels of the largest hidden map; twice as many with each halving.
    """

    activation: Activation = "relu"
    depth: int = 4
    norm: Norm = "none"
    width: int = 64

    def __post_init__(self) -> None:
        if self.activation not in get_args(Activation) or self.width < 1:
            raise UsageError(f"A variant needs one of {', '.join(get_args(Activation))} and a width of at least 1; {self} came.")


class _Layer(nn.Module):
    """Convolution, normalisation, activation."""

    def __init__(self, convolution: Scaling, norm: Norm, activation: Activation) -> None:
        super().__init__()
        self.convolution, self.activation = convolution, activation
        self.norm = make_norm(norm, convolution.weight.shape[1 if convolution.scale == 2 else 0])

    def forward(self, x: Tensor) -> Tensor:
        """[n, c, h, w] -> [n, o, h', w']."""
        return ACTIVATIONS[self.activation](self.norm(self.convolution(x)))


def _extras(image_shape: tuple[int, int, int], depth: int) -> list[int]:
    """Convolutions beside those that change the size, for each hidden map, the smallest first."""
    levels = levels_of(image_shape)
    count = depth - levels - 1
    if count < 0:
        raise UsageError(f"Images of {image_shape[1]}x{image_shape[2]} need {levels + 1} layers; a depth of {depth} came.")
    return [count // levels + (level < count % levels) for level in range(levels)]


class VariedGenerator(Generator):
    """Latents to images.

    Args:
        image_shape: (c, h, w), square, 8, 16, 32, ... a side.
        latent_dim: d of z.
        variant: its settings; a norm of "layer" is D's.
    """

    def __init__(self, image_shape: tuple[int, int, int], latent_dim: int, variant: Variant) -> None:
        super().__init__()
        self.latent_dim, self.activation = latent_dim, variant.activation
        extras = _extras(image_shape, variant.depth)
        widths = [variant.width * 2**level for level in reversed(range(len(extras)))]
        self.project = nn.Linear(latent_dim, 16 * widths[0])
        glorot_uniform_(self.project.weight)
        nn.init.zeros_(self.project.bias)
        self.first = make_norm(variant.norm, widths[0])
        convolutions: list[Scaling] = []
        for level, (width, count) in enumerate(zip(widths, extras, strict=True)):
            convolutions += [Scaling(widths[level - 1], width, 5, 2)] if level else []
            convolutions += [Scaling(width, width, 3) for _ in range(count)]
        self.layers = nn.Sequential(*(_Layer(each, variant.norm, variant.activation) for each in convolutions))
        self.to_image = Scaling(widths[-1], image_shape[0], 5, 2)
        self.to(memory_format=torch.channels_last)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """[n, d] -> images [n, c, h, w] in [-1, 1]; labels are not used."""
        x = rearrange(self.project(z), "n (h w c) -> n c h w", h=4, w=4)
        return torch.tanh(self.to_image(self.layers(ACTIVATIONS[self.activation](self.first(x)))))


class VariedDiscriminator(Discriminator):
    """Images to logits; arguments as in G, a norm of "batch" or "layer"."""

    def __init__(self, image_shape: tuple[int, int, int], variant: Variant) -> None:
        super().__init__()
        extras = _extras(image_shape, variant.depth)[::-1]
        widths = [variant.width * 2**level for level in range(len(extras))]
        convolutions: list[Scaling] = []
        for level, (width, count) in enumerate(zip(widths, extras, strict=True)):
            convolutions.append(Scaling(widths[level - 1] if level else image_shape[0], width, 5, 0.5))
            convolutions += [Scaling(width, width, 3) for _ in range(count)]
        self.layers = nn.Sequential(*(_Layer(each, variant.norm if k else "none", variant.activation) for k, each in enumerate(convolutions)))
        self.to_logit = nn.Linear(16 * widths[-1], 1)
        glorot_uniform_(self.to_logit.weight)
        nn.init.zeros_(self.to_logit.bias)
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Judgement:
        """Images [n, c, h, w] -> logits [n]; features are the 4x4 map flattened; labels are not used."""
        features = rearrange(self.layers(x), "n c h w -> n (h w c)")
        return Judgement(self.to_logit(features).squeeze(1), features)
