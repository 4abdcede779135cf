"""The adversarial game whose samples are drawn with statistics made for them, over many latents, in place of the running ones of training.

Radford et al. 2016 (arXiv:1511.06434; their code fixes the statistics over a large sample before it tests) and Brock et al. 2019 (arXiv:1809.11096).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from saddlepoint.draws import Draws
from saddlepoint.games.adversarial import AdversarialGame
from saddlepoint.networks.standing import Statistics, standing_statistics, with_statistics

LARGEST_BATCH = 256  #: latents of a pass of the standing statistics


class StandingGame(AdversarialGame):
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
        with with_statistics(generator, self.statistics(generator, truncation)):
            return super().sample(n, draws, labels, truncation)

    def statistics(self, generator: nn.Module, truncation: float | None) -> Statistics:
        """Standing statistics, made once for these weights and this truncation; the same whatever was sampled before."""
        weights = list(generator.parameters())
        key = (id(generator), truncation, weights[0].device, weights[0].dtype, tuple(p._version for p in weights))
        if self.standing is None or self.standing[0] != key:
            n = min(self.config.batch, LARGEST_BATCH)

            def run(number: int) -> None:
                draws = Draws.seeded("standing statistics", number, device=weights[0].device, dtype=weights[0].dtype)
                z = self.latents(n, draws)
                z = z if truncation is None else self._truncated(z, truncation)
                self.generate(z, None if self.num_classes is None else self.draw_classes(n, self.num_classes, draws), generator)

            self.standing = key, standing_statistics(generator, run, self.standing_passes)
        return self.standing[1]
