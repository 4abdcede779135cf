"""The adversarial game played twice: G is trained, put behind two new layers, and trained again against a new D.

Goodfellow et al. 2014 on the Toronto Face Database, as in the authors' two configuration files: 50 epochs, then 22.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from saddlepoint.draws import derive_seed
from saddlepoint.games.adversarial import AdversarialGame
from saddlepoint.games.game import Phase
from saddlepoint.games.player import Clock, Schedule
from saddlepoint.networks.deepened import DeepenedGenerator, restart, weight_limits


class DeepeningGame(AdversarialGame):
    """As the base, in two phases of ``first_share`` of the rounds and the rest; schedules begin again with the second.

    Args:
        arguments: of :class:`AdversarialGame`; G is a :class:`DeepenedGenerator`.
        first_share: of the rounds.
        settings: the keyword arguments of :class:`AdversarialGame`.
    """

    def __init__(self, *arguments: Any, first_share: float, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        first = max(1, round(first_share * self.config.rounds))
        players = ("discriminator", "generator")
        self.phases = (Phase(name="pretrain", rounds=first), Phase(name="train", rounds=max(1, self.config.rounds - first), fresh=players))
        self.limits = weight_limits(self.discriminator)
        for player in self.players.values():
            player.schedule = None if player.schedule is None else self._again(player.schedule)

    def begin_round(self) -> None:
        """In the first round of the second phase, put the new layers in front of G and begin with a new D."""
        place = self.place
        assert place is not None and isinstance(self.generator, DeepenedGenerator)
        if place.index == 1 and self.generator.stage.level == 0:
            for network in self.children():
                if isinstance(network, DeepenedGenerator):  # G and its average
                    network.grow(1)
            restart(self.discriminator, self.limits, derive_seed("second discriminator"))

    def _again(self, schedule: Schedule) -> Schedule:
        """The schedule, counted from the beginning of the phase."""

        def values(clock: Clock) -> Mapping[str, float]:
            place = self.place
            return schedule(replace(clock, round=clock.round - (place.start if place else 0)))

        return values
