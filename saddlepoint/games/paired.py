"""The relativistic game on pairs: each fake is compared with one real sample, of its own class where there are classes.

Huang et al. 2024 (arXiv:2501.05441), Eq. 4, as in the code released with it: both players' turns draw real samples of their own, and the fakes carry
the labels of the real samples they stand against.

Axes: n batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from saddlepoint.data.records import Batch
from saddlepoint.draws import Draws
from saddlepoint.games.adversarial import AdversarialGame
from saddlepoint.games.game import Loss, Turn, turn
from saddlepoint.games.player import Clock
from saddlepoint.games.settings import AdversarialConfig
from saddlepoint.objectives.relativistic import Relativistic

Value = Callable[[Clock], float]


def cosine(start: float, end: float) -> Value:
    """From ``start`` to ``end`` over the horizon along half a cosine.

    >>> [round(cosine(1.0, 3.0)(Clock(round=r, horizon=4)), 4) for r in (0, 1, 2, 4, 8)]
    [1.0, 1.2929, 2.0, 3.0, 3.0]
    """
    return lambda clock: end + (start - end) * 0.5 * (1 + math.cos(math.pi * clock.progress))


def growing_halflife(final_kimg: float) -> Value:
    """Decay of an average whose half-life grows from 0 to ``final_kimg`` thousand images, as :func:`cosine`; at first it is the network itself."""
    halflife = cosine(0.0, 1000 * final_kimg)
    return lambda clock: 0.5 ** (clock.batch / max(halflife(clock), 1e-8))


def adam_schedule(lr: tuple[float, float], beta2: tuple[float, float]) -> Callable[[Clock], Mapping[str, float]]:
    """Learning rate and second beta, each from its first to its second value along :func:`cosine`."""
    lr_at, beta2_at = cosine(*lr), cosine(*beta2)
    return lambda clock: {"lr": lr_at(clock), "beta2": beta2_at(clock)}


class SlopeJudge(Protocol):
    """A discriminator that gives its logits together with their slopes."""

    def with_slopes(self, x: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Logits [n] and slopes, shaped as x, which requires grad; both differentiable in the weights."""
        ...


class PairedGame(AdversarialGame):
    """G against D, each fake with the label of the real sample it is compared with; R1 and R2 in every turn of D (Eq. 4).

    Args:
        config: as :class:`AdversarialGame`'s.
        generator: likewise.
        discriminator: one that is a :class:`SlopeJudge` too.
        gamma: clock -> gamma of gamma/2 times the squared slopes at real and at generated samples.
        augment_p: clock -> probability of the view's augmentations, set before each turn; None leaves it alone.
        settings: of :class:`AdversarialGame`.
    """

    def __init__(
        self,
        config: AdversarialConfig,
        generator: nn.Module,
        discriminator: nn.Module,
        *,
        gamma: Value,
        augment_p: Value | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(config, generator, discriminator, Relativistic(form="paired"), **settings)
        self.gamma, self.augment_p = gamma, augment_p
        self._labels: Tensor | None = None

    @turn("discriminator")
    def discriminator_turn(self, batch: Batch) -> Loss:
        """D ranks each real sample above its fake, with small slopes at both."""
        self._labels = labels = self.labels_of(batch)
        x_fake, _ = self._fakes_for_discriminator(len(batch))
        x = torch.cat([self.reals(batch), x_fake]).detach().requires_grad_()  # real, then fake
        with self.draws.together(2):
            seen = x if self.view is None else self.view(x)
        judge = cast(SlopeJudge, self.discriminator)
        logits, slopes = judge.with_slopes(seen, None if labels is None else torch.cat([labels, labels]))
        if seen is not x:
            (slopes,) = torch.autograd.grad(seen, x, slopes, create_graph=True)
        real, fake = logits.chunk(2)
        r1, r2 = slopes.square().flatten(1).sum(1).chunk(2)
        half = self.gamma(self.clock) / 2
        loss = Loss(adversarial=self.objective.discriminator(real, fake).mean(), r1=half * r1.mean(), r2=half * r2.mean())
        return loss.watch(**self.objective.opinion(real.detach(), fake.detach()))

    @turn("generator", batch="new")
    def generator_turn(self, batch: Batch) -> Loss:
        """G ranks each fake above its real sample."""
        self._labels = self.labels_of(batch)
        return cast(Loss, AdversarialGame.generator_turn.method(self, batch))

    def before_turn(self, turn: Turn) -> None:
        """As the base; then the view's p."""
        super().before_turn(turn)
        if self.augment_p is not None and self.view is not None:
            self.view.get_buffer("p").fill_(self.augment_p(self.clock))

    def _fake_labels(self, n: int, draws: Draws) -> Tensor | None:
        return self._labels
