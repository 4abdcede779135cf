"""The game of black-and-white images: G says how likely each sub-pixel is to be white, and what D sees is drawn from that.

    p(x | z) = prod_i p_i(z)^[x_i white] (1 - p_i(z))^[x_i black],    p(z) = (1 + G(z)) / 2
    grad ~ sum_i w_i grad log p(x_i | z_i)
    MaliGAN:    w_i = r_i / sum_j r_j - 1/m,   r = D / (1 - D)                                                                   (Eq. 7 and 8)
    REINFORCE:  w_i = (D(x_i) - mean_j D(x_j)) / m

Che et al. 2017 (arXiv:1702.07983), the experiment with discrete digits. No slope passes from D through what was drawn, so G learns by the likelihood
of its samples, weighted by D. The weights are taken over the whole batch, however it is cut. Axes: n samples, c colours, h w image, d latent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from saddlepoint.data.records import Batch
from saddlepoint.draws import Draws, draws_like, use
from saddlepoint.errors import UsageError
from saddlepoint.games.adversarial import AdversarialGame
from saddlepoint.games.game import Loss, Turn, turn

Weights = Literal["maligan", "reinforce"]
EDGE = 1e-6  # G's answers are held this far from black and white


def bernoulli_log_prob(y: Tensor, x: Tensor) -> Tensor:
    r"""Log-likelihood of black-and-white images, in nats.

    .. math:: \log p(x) = \sum_i \log \frac{1 + x_i y_i}{2}

    Args:
        y: G(z), [n, c, h, w] in [-1, 1]; (1 + y) / 2 is the probability of white.
        x: images, the same shape, -1 or 1 each.
    Returns:
        Shape [n].

    >>> bernoulli_log_prob(torch.tensor([[[[0.5]]]]), torch.tensor([[[[-1.0]]]])).exp().item()       # black, where white has 3/4
    0.25
    """
    return ((1 + x * y.clamp(EDGE - 1, 1 - EDGE)) / 2).log().flatten(1).sum(1)


class Drawn(NamedTuple):
    """What G made for a whole batch: images [n, c, h, w], the latents and labels behind them, D's ratios or opinions r [n], G's weights w [n]."""

    x: Tensor
    z: Tensor
    labels: Tensor | None
    r: Tensor
    weights: Tensor


class BernoulliGame(AdversarialGame):
    """Black-and-white images, drawn pixel by pixel from what G says.

    Args:
        config: of the adversarial game.
        generator: latents -> numbers in [-1, 1].
        discriminator: images -> logits.
        objective: D's.
        weights: of the samples' likelihoods, see above.
        logit_limit: D's logits are clamped to this size either way before r is taken of them.
        settings: the other arguments of :class:`AdversarialGame`.
    """

    def __init__(self, *players: Any, weights: Weights = "maligan", logit_limit: float = 5.0, **settings: Any) -> None:
        super().__init__(*players, **settings)
        if not logit_limit > 0:
            raise UsageError(f"logit_limit is above 0; it is {logit_limit}.")
        if self.config.share_fakes:
            raise UsageError("What is drawn carries no slope, so fakes cannot be shared between the turns. Leave share_fakes out.")
        self.weights, self.logit_limit = weights, logit_limit
        self._whole: Drawn | None = None  # of the turn under way
        self._moves = 0  # of G in this round

    def generate(self, z: Tensor, labels: Tensor | None, generator: Callable[..., Tensor] | None = None) -> Tensor:
        """Images of -1 and 1, drawn from what G says of z."""
        y = super().generate(z, labels, generator)
        return torch.where(draws_like(y).uniform(len(y), *y.shape[1:]) < (1 + y) / 2, 1.0, -1.0).to(y)

    def begin_round(self) -> None:
        """G has not moved yet."""
        super().begin_round()
        self._moves = 0

    def before_turn(self, turn: Turn) -> None:
        """G's whole batch is drawn and judged before it is cut into pieces."""
        super().before_turn(turn)
        if turn.name == "generator_turn":
            draws = Draws.seeded(*self.round_key, "weighted", self._moves, device=self.draws.device, dtype=self.draws.dtype)
            self._whole = self._draw_whole(self.config.batch * self.config.g_batch_factor, draws)
            self._moves += 1

    @torch.no_grad()
    def _draw_whole(self, n: int, draws: Draws) -> Drawn:
        with use(draws):
            labels = self.draw_labels(n, draws)
            z = self.latents(n, draws)
            x = self.generate(z, labels)
            logits = self.judge(x, labels).logits.view(n, -1).mean(1)  # patches count alike
        r = logits.clamp(-self.logit_limit, self.logit_limit).exp() if self.weights == "maligan" else torch.sigmoid(logits)
        return Drawn(x, z, labels, r, r / r.sum() - 1 / n if self.weights == "maligan" else (r - r.mean()) / n)

    @turn("generator", batch="same")
    def generator_turn(self, batch: Batch) -> Loss:
        """Minus the sum over the batch of w log p(x | z); watched: what share of the samples the weights use, 1 / (n sum (r / sum r)^2)."""
        n = len(batch) * self.config.g_batch_factor
        whole = self._whole or self._draw_whole(n * self.draws.pieces, self.draws)
        rows = slice(self.draws.piece * n, (self.draws.piece + 1) * n)
        y = super().generate(whole.z[rows], None if whole.labels is None else whole.labels[rows])
        weighted = whole.weights[rows] * bernoulli_log_prob(y, whole.x[rows])
        shares = whole.r / whole.r.sum()
        effective = 1 / (len(shares) * shares.square().sum())
        return Loss(weighted=-weighted.sum() * self.draws.pieces).watch(effective=effective, opinion=whole.r.mean())
