"""StyleGAN's mapping network z -> w, its running mean and the truncation towards it, and the mixing of styles.

Karras et al. 2019 (arXiv:1812.04948), sections 2 and 3.1 and appendix B; labels as in Karras et al. 2020b (arXiv:2006.06676).

Axes: n batch, z latent, d style code, l layers of the synthesis network, k classes.
"""

from __future__ import annotations

import dataclasses
import math
from abc import abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saddlepoint.draws import draws_like
from saddlepoint.networks.base import Generator
from saddlepoint.networks.equalised import EqualisedLinear, pixel_norm
from saddlepoint.networks.growing import Growing
from saddlepoint.networks.layers import one_hot

SLOPE = 0.2


class MappingNetwork(nn.Module):
    """z / rms(z), beside the label's embedding / its rms, through fully connected layers of gain sqrt(2) and LeakyReLU .2.

    Args:
        latent_dim: of z; 0 maps labels alone (a projection discriminator's).
        code_dim: d.
        layers: how many; 0 passes the normalised input on.
        num_classes: k, or None.
        lr_multiplier: the layers learn that much slower than the rest.
        hidden_dim: units of the layers before the last; None is code_dim.
        mean_decay: of the running mean of w, kept while training; None keeps none.
        bias_gain: of the biases: that of the weights in StyleGAN2, 1 in StyleGAN.
    """

    tracks_batch = True
    mean: Tensor

    def __init__(
        self,
        latent_dim: int,
        code_dim: int,
        *,
        layers: int = 8,
        num_classes: int | None = None,
        lr_multiplier: float = 0.01,
        hidden_dim: int | None = None,
        mean_decay: float | None = 0.995,
        bias_gain: float = math.sqrt(2),
    ) -> None:
        super().__init__()
        self.bias_gain = bias_gain
        self.latent_dim, self.num_classes, self.mean_decay = latent_dim, num_classes, mean_decay
        self.embed = EqualisedLinear(num_classes, code_dim) if num_classes else None
        widths = [latent_dim + (code_dim if num_classes else 0), *[hidden_dim or code_dim] * (layers - 1), code_dim]
        pairs = zip(widths, widths[1:], strict=False) if layers else ()
        self.layers = nn.ModuleList(EqualisedLinear(a, b, lr_multiplier=lr_multiplier) for a, b in pairs)
        if mean_decay is not None:
            self.register_buffer("mean", torch.zeros(code_dim if layers else widths[0]))

    def forward(self, z: Tensor | None, labels: Tensor | None = None, *, track: bool = True) -> Tensor:
        """Latents [n, z] and labels [n] to style codes w [n, d]; ``track`` moves the running mean while training."""
        parts = [] if z is None or not self.latent_dim else [pixel_norm(z)]
        if self.embed is not None and self.num_classes is not None:
            parts.append(pixel_norm(self.embed(one_hot(labels, self.num_classes, self.embed.weight))))
        w = torch.cat(parts, 1)
        for layer in self.layers:
            assert isinstance(layer, EqualisedLinear)
            w = F.leaky_relu(F.linear(w, layer.used_weight(math.sqrt(2)), layer.used_bias(self.bias_gain)), SLOPE)
        if track and self.training and self.mean_decay is not None:
            with torch.no_grad():
                self.mean.lerp_(w.detach().mean(0).to(self.mean.dtype), 1 - self.mean_decay)
        return w

    def truncate(self, ws: Tensor, psi: float, layers: int | None = None) -> Tensor:
        """Pull the codes of the first ``layers`` layers (None: of all) to the running mean: mean + psi (w - mean); [n, l, d] (appendix B)."""
        if psi == 1:
            return ws
        near = self.mean.to(ws.dtype).lerp(ws, psi)
        return near if layers is None else torch.cat([near[:, :layers], ws[:, layers:]], 1)


def mix_styles(ws: Tensor, others: Tensor, probability: float, live: int | None = None) -> Tensor:
    """Mixing regularisation: with this probability, the layers from a random one on take the other codes (Karras et al. 2019, section 3.1).

    The crossover is one for the whole batch, uniform on 1 ... l - 1, the same in every micro-batch and process.

    Args:
        ws: [n, l, d].
        others: [n, l, d], from other latents.
        probability: of mixing at all.
        live: layers among which the crossover is drawn, where a growing network does not use all; None is l.
    """
    draws = dataclasses.replace(draws_like(ws), piece=0, pieces=1, groups=1)
    layers = ws.shape[1]
    cutoff = draws.integers(1, high=max((live or layers) - 1, 1)) + 1
    cutoff = torch.where(draws.uniform(1) < probability, cutoff, layers)
    kept = torch.arange(layers, device=ws.device) < cutoff
    return torch.where(kept[:, None], ws, others)


class StyledGenerator(Growing, Generator):
    """What generators with a mapping network share: z to styles, their mixing in training, their truncation.

    Subclasses set ``mapping``, ``num_layers``, ``style_mixing`` (probability) and ``truncated_layers``, and define ``synthesis``.
    """

    truncation = "style"
    mapping: MappingNetwork
    num_layers: int
    style_mixing: float
    truncated_layers: int | None

    @abstractmethod
    def synthesis(self, ws: Tensor) -> Tensor:
        """Codes [n, l, d] to images [n, c, h, w] of the level in play."""

    def forward(self, z: Tensor, labels: Tensor | None = None, truncation: float = 1.0) -> Tensor:
        """[n, latent_dim] (and labels, int64 [n], where conditional) to [n, c, h, w]; ``truncation`` is psi, 0 the mean image, 1 none."""
        ws = self.styles(z, labels)
        return self.synthesis(self.mapping.truncate(ws, truncation, self.truncated_layers))

    def styles(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """The code of every layer, [n, l, d]; while training, mixed with those of other latents."""
        ws: Tensor = self.mapping(z, labels)[:, None].expand(-1, self.num_layers, -1)
        if not self.training or not self.style_mixing:
            return ws
        others = self.mapping(draws_like(z).normal(*z.shape).to(z), labels, track=False)[:, None].expand_as(ws)
        return mix_styles(ws, others, self.style_mixing, live=2 * self.stage.level + 2)
