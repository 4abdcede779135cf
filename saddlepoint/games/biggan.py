"""The adversarial game as BigGAN plays and watches it: an average that starts late, standing statistics, singular values in the log.

Brock, Donahue & Simonyan 2019 (arXiv:1809.11096). The value function, the term of orthogonality and the networks are those of the game it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from saddlepoint.draws import Draws
from saddlepoint.games.adversarial import AdversarialGame
from saddlepoint.games.game import Turn
from saddlepoint.games.player import Clock
from saddlepoint.networks.spectral import normalised_layers
from saddlepoint.networks.standing import Statistics, standing_statistics, with_statistics

WATCH_EVERY = 10  #: rounds between two looks at the singular values
LARGEST_BATCH = 256  #: latents of a pass of the standing statistics


def late_average(decay: float, start_round: int) -> Callable[[Clock], float]:
    """Decay of an average that follows the weights until a round, and then forgets by ``1 - decay`` a move.

    >>> late_average(0.9999, 1000)(Clock(round=999)), late_average(0.9999, 1000)(Clock(round=1000))
    (0.0, 0.9999)
    """
    return lambda clock: decay if clock.round >= start_round else 0.0


class BigGANGame(AdversarialGame):
    """G against D, with samples drawn by standing statistics.

    Args:
        arguments: of :class:`AdversarialGame`.
        standing_passes: forward passes that statistics are made of before sampling; 0: the running ones of training.
        settings: the keyword arguments of :class:`AdversarialGame`.
    """

    def __init__(self, *arguments: Any, standing_passes: int = 0, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.standing_passes = standing_passes
        self.standing: tuple[object, Statistics] | None = None

    @torch.no_grad()
    def sample(self, n: int, draws: Draws, labels: Tensor | None = None, truncation: float | None = None) -> Tensor:
        """As of :class:`AdversarialGame`, with the statistics of latents that are truncated alike."""
        if not self.standing_passes:
            return super().sample(n, draws, labels, truncation)
        generator = getattr(self, "generator_ema", self.generator)
        with with_statistics(generator, self._statistics(generator, truncation)):
            return super().sample(n, draws, labels, truncation)

    def _statistics(self, generator: nn.Module, truncation: float | None) -> Statistics:
        """Standing statistics, made once for these weights and this truncation; the same whatever was sampled before."""
        weights = list(generator.parameters())
        key = (id(generator), truncation, weights[0].device, weights[0].dtype, tuple(p._version for p in weights))
        if self.standing is None or self.standing[0] != key:
            n = min(self.config.batch, LARGEST_BATCH)

            def run(number: int) -> None:
                draws = Draws.seeded("standing statistics", number, device=weights[0].device, dtype=weights[0].dtype)
                z = self.latents(n, draws)
                z = z if truncation is None else self._truncated(z, truncation)
                self.generate(z, None if self.num_classes is None else draws.integers(n, high=self.num_classes), generator)

            self.standing = key, standing_statistics(generator, run, self.standing_passes)
        return self.standing[1]

    @torch.no_grad()
    def after_turn(self, turn: Turn, values: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Log the largest singular value of each layer of the mover: those of G and D jump when training collapses (section 4)."""
        logged = dict(super().after_turn(turn, values))
        if self.clock.round % WATCH_EVERY == 0:
            layers = normalised_layers(self.get_submodule(turn.player))
            logged |= {f"spectrum/{turn.player}.{name}": spectral.sigma(weight) for name, spectral, weight in layers}
        return logged
