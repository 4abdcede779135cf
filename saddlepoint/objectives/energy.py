"""EBGAN: the discriminator gives energies, low on data; its logits are minus the energy, so higher is still more real.

Axes: n batch, d features.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import normalize, relu

from saddlepoint.errors import UsageError
from saddlepoint.objectives.objective import Objective, check_pair


def discriminator(real_logits: Tensor, fake_logits: Tensor, margin: float) -> Tensor:
    r"""Loss of the energy: low on data, at least the margin on fakes.

    .. math:: L_D = E(x) + [m - E(G(z))]^+, \qquad E = -C

    Zhao et al. 2017 (arXiv:1609.03126), Eq. 1.

    Args:
        real_logits: -E(x), any shape, at most 0 for an auto-encoder.
        fake_logits: -E(G(z)), the same shape.
        margin: m > 0, in the unit of the energy. The paper's margins (80 LSUN, 20 CelebA, 40 and 80 ImageNet at 128 and 256) belong to its own
            reconstruction error: an error averaged instead of summed over d values needs m / d.
    Returns:
        The shape of the logits, in units of the energy.
    """
    check_pair(real_logits, fake_logits)
    return -real_logits + relu(margin + fake_logits)


def generator(fake_logits: Tensor) -> Tensor:
    """Energy of the fakes, E(G(z)) = -C(G(z)): Zhao et al. 2017, Eq. 2."""
    return -fake_logits


def pulling_away(features: Tensor) -> Tensor:
    r"""Mean squared cosine between the codes of different samples of the batch: keeps the fakes from clustering.

    .. math:: f_{PT} = \frac{1}{N (N - 1)} \sum_i \sum_{j \ne i} \left( \frac{S_i^\top S_j}{\lVert S_i \rVert \lVert S_j \rVert} \right)^2

    Zhao et al. 2017, the repelling regularizer; weighted 0.1 in the generator's loss of EBGAN-PT.

    Args:
        features: the encoder's codes S, [n, d] (other shapes are flattened), n >= 2.
    Returns:
        A scalar in [0, 1]: 0 for orthogonal codes, 1 for parallel ones.

    >>> import torch
    >>> round(6 * pulling_away(torch.tensor([[3.0, 0.0], [0.0, 2.0], [5.0, 0.0]])).item(), 4)    # one parallel pair of three, in both orders
    2.0
    """
    n = len(features)
    if n < 2:
        raise UsageError(f"The pulling-away term compares samples and needs at least 2; came {n}. Use a larger batch.")
    unit = normalize(features.flatten(1), dim=1)  # n d
    cosines = unit @ unit.T  # n n
    return (cosines.square().sum() - cosines.diagonal().square().sum()) / (n * (n - 1))


@dataclass(frozen=True, kw_only=True)
class EnergyMargin(Objective):
    """Zhao et al. 2017 (arXiv:1609.03126), Eq. 1 and 2.

    Attributes:
        margin: m, in the unit of the energy.
    """

    saturates = False
    decides = False

    margin: float

    def __post_init__(self) -> None:
        """Refuse a margin that fakes always satisfy."""
        if self.margin <= 0:
            raise UsageError(f"The margin needs to be above 0, in the unit of the energy; came {self.margin}.")

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor, labels: Tensor | None = None) -> Tensor:
        """E(x) + [m - E(G(z))]+."""
        return discriminator(real_logits, fake_logits, self.margin)

    def generator(self, fake_logits: Tensor, real_logits: Tensor | None = None, labels: Tensor | None = None) -> Tensor:
        """E(G(z))."""
        return generator(fake_logits)


@dataclass(frozen=True, kw_only=True)
class FadingMargin(EnergyMargin):
    """A margin that falls as training goes on, so that at the end fakes are pushed away no more: Zhao et al. 2017, section 4.2.

    Attributes:
        share: the share of ``margin`` that is left now, in [0, 1]; the game's clock says.
    """

    share: Callable[[], float]

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor, labels: Tensor | None = None) -> Tensor:
        """E(x) + [share m - E(G(z))]+."""
        return discriminator(real_logits, fake_logits, self.share() * self.margin)
