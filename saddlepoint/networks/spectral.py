"""Spectral normalisation: a layer's matrix divided by its largest singular value, so that the layer is 1-Lipschitz (Miyato et al. 2018).

    v <- W^T u / |W^T u|,   u <- W v / |W v|,   sigma = u^T W v,   W_SN = W / sigma          (Algorithm 1)

The power iteration is no part of the forward pass: :func:`refresh_spectral_norms` makes one step for every layer and is called once a turn. So a
turn sees one network, however its batch is cut into passes. u and v are constants for the gradient; W inside sigma is not (Eq. 9).
Axes: o outputs, i inputs (of a convolution c*k*k).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPS = 1e-12
FIRST_ITERATIONS = 20


class SpectralNorm(nn.Module):
    """W -> W / sigma(W), with the singular vectors u [o] and v [i] as buffers.

    Args:
        weight: [o, ...], already initialised; read as a matrix [o, i].
    """

    u: Tensor
    v: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        matrix = weight.detach().flatten(1)
        self.register_buffer("u", F.normalize(torch.randn_like(matrix[:, 0]), dim=0, eps=EPS))
        self.register_buffer("v", F.normalize(torch.randn_like(matrix[0]), dim=0, eps=EPS))
        self.refresh(weight, FIRST_ITERATIONS)

    @torch.no_grad()
    def refresh(self, weight: Tensor, iterations: int = 1) -> None:
        """Steps of the power iteration. The vectors are replaced, not overwritten: a graph made before keeps its own."""
        matrix = weight.flatten(1)
        for _ in range(iterations):
            self.v = F.normalize(matrix.mT @ self.u, dim=0, eps=EPS)
            self.u = F.normalize(matrix @ self.v, dim=0, eps=EPS)

    def sigma(self, weight: Tensor) -> Tensor:
        """Estimate u^T W v of the largest singular value, a scalar; in the weight's own precision under autocast too."""
        with torch.autocast(weight.device.type, enabled=False):
            return torch.dot(self.u, weight.flatten(1) @ self.v)

    def forward(self, weight: Tensor) -> Tensor:
        """The normalised weight, of the same shape."""
        return weight / self.sigma(weight)


class WeightNorm(nn.Module):
    """W -> W with every row of length 1, in the place of :class:`SpectralNorm`: weight normalisation without its gain.

    Salimans & Kingma 2016 (arXiv:1602.07868), Eq. 2 with g = 1, as Miyato et al. 2018 (section 4) compare with it, since a gain that is trained keeps
    no bound. The squares of the singular values sum to o.
    """

    def forward(self, weight: Tensor) -> Tensor:
        """The weight [o, ...] with rows of length 1."""
        return F.normalize(weight.flatten(1), dim=1, eps=EPS).view_as(weight)


def use_weight_norm(network: nn.Module) -> None:
    """Give every layer inside that can have a spectral norm unit rows in its place."""
    for layer in network.modules():
        if hasattr(layer, "spectral"):
            layer.spectral = WeightNorm()


class Linear(nn.Linear):
    """Linear layer [n, i] -> [n, o] with Glorot-uniform weights, bias 0 and, on request, spectral normalisation."""

    def __init__(self, i: int, o: int, *, bias: bool = True, spectral_norm: bool = False) -> None:
        super().__init__(i, o, bias=bias)
        nn.init.xavier_uniform_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)
        self.spectral: SpectralNorm | WeightNorm | None = SpectralNorm(self.weight) if spectral_norm else None

    def forward(self, x: Tensor) -> Tensor:
        """[n, i] -> [n, o]."""
        return F.linear(x, self.weight if self.spectral is None else self.spectral(self.weight), self.bias)


class Embedding(nn.Embedding):
    """A vector a class, int64 [n] -> [n, d], with Glorot-uniform weights and, on request, spectral normalisation of the whole table."""

    def __init__(self, num_classes: int, d: int, *, spectral_norm: bool = False) -> None:
        super().__init__(num_classes, d)
        nn.init.xavier_uniform_(self.weight)
        self.spectral: SpectralNorm | WeightNorm | None = SpectralNorm(self.weight) if spectral_norm else None

    def forward(self, labels: Tensor) -> Tensor:
        """int64 [n] -> [n, d]."""
        return F.embedding(labels, self.weight if self.spectral is None else self.spectral(self.weight))


def normalised_layers(module: nn.Module) -> Iterator[tuple[str, SpectralNorm, Tensor]]:
    """Name, normaliser and raw weight of every spectrally normalised layer inside."""
    for name, layer in module.named_modules():
        spectral = getattr(layer, "spectral", None)
        if isinstance(spectral, SpectralNorm):
            weight = layer.weight
            assert isinstance(weight, Tensor)
            yield name, spectral, weight


def refresh_spectral_norms(module: nn.Module, iterations: int = 1) -> None:
    """One power iteration for every spectrally normalised layer inside; nothing where there is none."""
    for _, spectral, weight in normalised_layers(module):
        spectral.refresh(weight, iterations)


@torch.no_grad()
def singular_values(module: nn.Module) -> dict[str, Tensor]:
    """Singular values, largest first, of the matrix each linear or convolutional layer multiplies with (Miyato et al. 2018, Fig. 3).

    Returns:
        Layer name -> [min(o, i)]; of normalised layers those of the normalised weight, so of spectral norm about 1 comes first.
    """
    spectra = {}
    for name, layer in module.named_modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.Embedding):
            spectral = getattr(layer, "spectral", None)
            weight = layer.weight if spectral is None else spectral(layer.weight)
            spectra[name] = torch.linalg.svdvals(weight.flatten(1))
    return spectra


def effective_rank(values: Tensor) -> float:
    r"""How many singular values a matrix has in effect: the exponential of the entropy of their shares.

    .. math:: \exp\Bigl(-\sum_k p_k \log p_k\Bigr), \qquad p_k = \sigma_k / \sum_j \sigma_j

    Roy & Vetterli 2007, "The effective rank: a measure of effective dimensionality", EUSIPCO, Definition 1.

    Args:
        values: singular values, or their squares as in Fig. 3 of Miyato et al. 2018, at least 0 and not all 0, shape [k].
    Returns:
        From 1, where one is above 0, to k, where all are equal.

    >>> effective_rank(torch.tensor([2.0, 2.0, 0.0])), effective_rank(torch.tensor([5.0, 0.0]))
    (2.0, 1.0)
    """
    shares = values.double() / values.double().sum()
    return float(torch.special.entr(shares).sum().exp())
