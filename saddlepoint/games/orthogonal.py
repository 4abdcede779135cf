"""Orthogonal regularisation as a term of a player's loss.

Axes: o outputs, i inputs (of a convolution c*k*k).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from saddlepoint.games.terms import Scene, Term


def off_diagonal_square(weight: Tensor) -> Tensor:
    r"""Squared inner products of different outputs' filters, summed: :math:`\lVert W^\top W \odot (1 - I) \rVert_F^2` of Brock et al. 2019, Eq. 3.

    The paper's W has the outputs as columns; ours as rows, as PyTorch keeps them. Where there are more outputs than inputs the smaller Gram matrix
    serves, since both have the same norm: a linear layer to 24,576 numbers would need one of 604 million entries.

    Args:
        weight: [o, ...], read as a matrix [o, i].
    Returns:
        A scalar.

    >>> off_diagonal_square(torch.tensor([[1.0, 0.0], [1.0, 2.0]])).item()      # the product 1, and its mirror image
    2.0
    """
    rows = weight.flatten(1)
    if rows.shape[0] <= rows.shape[1]:
        gram = rows @ rows.mT  # o o
        return (gram - torch.diag(gram.diagonal())).square().sum()
    return (rows.mT @ rows).square().sum() - rows.square().sum(1).square().sum()


class OrthogonalRegularisation(Term):
    r"""weight * sum over the layers of :func:`off_diagonal_square` (Brock, Donahue & Simonyan 2019, arXiv:1809.11096, Eq. 3).

    The diagonal is left out: filters are made different, their norms are free. Embeddings and tables by class are left alone, as in the first
    author's code, which adds the gradient by hand and in doing so half of it.

    Args:
        player: whose loss it joins.
        network: of that player.
        weight: the paper's beta.
    """

    name = "orthogonal"
    needs_real = False

    def __init__(self, player: str, network: nn.Module, weight: float = 1e-4) -> None:
        super().__init__()
        self.player, self.weight = player, weight
        self.watched = [layer for layer in network.modules() if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)]

    def forward(self, scene: Scene) -> Tensor:
        """Return the weighted sum."""
        return self.weight * torch.stack([off_diagonal_square(_by_output(layer)) for layer in self.watched]).sum()


def _by_output(layer: nn.Module) -> Tensor:
    weight = layer.weight
    assert isinstance(weight, Tensor)
    return weight.transpose(0, 1) if isinstance(layer, nn.ConvTranspose2d) else weight
