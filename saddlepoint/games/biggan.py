"""The adversarial game as BigGAN plays and watches it: an average that starts late, standing statistics, singular values in the log.

Brock, Donahue & Simonyan 2019 (arXiv:1809.11096). The value function, the term of orthogonality and the networks are those of the game it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from saddlepoint.games.game import Turn
from saddlepoint.games.player import Clock
from saddlepoint.games.standing import StandingGame
from saddlepoint.networks.spectral import normalised_layers

WATCH_EVERY = 10  #: rounds between two looks at the singular values


def late_average(decay: float, start_round: int) -> Callable[[Clock], float]:
    """Decay of an average that follows the weights until a round, and then forgets by ``1 - decay`` a move.

    >>> late_average(0.9999, 1000)(Clock(round=999)), late_average(0.9999, 1000)(Clock(round=1000))
    (0.0, 0.9999)
    """
    return lambda clock: decay if clock.round >= start_round else 0.0


class BigGANGame(StandingGame):
    """G against D, with samples drawn by standing statistics, and singular values in the log.

    The averaged generator's running statistics are averaged as its weights are, as in the first author's code: those of the latest weights belong to
    other features.
    """

    @torch.no_grad()
    def update_averages(self, turn: Turn) -> None:
        """As the base; then the running statistics of batch normalisation."""
        names = [name for name, _ in self.generator.named_buffers() if name.endswith(("running_mean", "running_var"))]
        moving = [average for average in self.averages if average.player == turn.player]
        before = [self.get_buffer(f"{average.target}.{name}").clone() for average in moving for name in names]
        super().update_averages(turn)
        for average in moving:
            for name in names:
                now = self.get_buffer(f"{average.target}.{name}")
                now.copy_(torch.lerp(before.pop(0), now, 1.0 - average.decay(self.clock)))

    @torch.no_grad()
    def after_turn(self, turn: Turn, values: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Log the largest singular value of each layer of the mover: those of G and D jump when training collapses (section 4)."""
        logged = dict(super().after_turn(turn, values))
        if self.clock.round % WATCH_EVERY == 0:
            layers = normalised_layers(self.get_submodule(turn.player))
            logged |= {f"spectrum/{turn.player}.{name}": spectral.sigma(weight) for name, spectral, weight in layers}
        return logged
