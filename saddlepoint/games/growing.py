"""The adversarial game whose networks grow while they play.

    for each level:  if it is not the first, fade it in over ``fade_kimg`` images; then play on it alone over ``stable_kimg`` images

Karras et al. 2018 (arXiv:1710.10196), section 2 and Appendix A.1. Real images are brought to the level's size and faded by the same alpha; batch and
learning rate follow the level; both optimisers begin afresh whenever the layers in play change (the released code's reset_opt_for_new_lod).

Axes: n batch, c channels, h w image.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol, TypeVar, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor

from saddlepoint.data.records import Batch
from saddlepoint.draws import Draws
from saddlepoint.errors import UsageError
from saddlepoint.games.adversarial import AdversarialGame
from saddlepoint.games.game import Phase, Turn
from saddlepoint.games.player import Schedule
from saddlepoint.games.settings import AdversarialConfig
from saddlepoint.networks.base import Discriminator, Generator
from saddlepoint.networks.growing import Growing, Stage, at_stage
from saddlepoint.objectives.objective import Objective


@dataclass(frozen=True, kw_only=True)
class GrowingConfig(AdversarialConfig):
    """Settings of a game that grows; ``batch`` and the optimisers' lr hold where the level has none of its own.

    A level's size is counted as if the base were 4 pixels: level k is 4 * 2^k.

    Attributes:
        first_level: where training begins; None: at the highest, without growing.
        stable_kimg: thousands of real images on each level alone.
        fade_kimg: thousands of real images while a level fades in.
        total_kimg: thousands of real images in all; the highest level has what the others leave, at least ``stable_kimg``.
        batch_at: (size, batch) where a level has a batch of its own.
        lr_at: (size, learning rate of both players) where a level has one of its own.
        ema_decay: of the generator's average, a move; None leaves it to ``ema_halflife_kimg``.
    """

    first_level: int | None = 0
    stable_kimg: float = 600.0
    fade_kimg: float = 600.0
    total_kimg: float = 15_000.0
    batch_at: tuple[tuple[int, int], ...] = ()
    lr_at: tuple[tuple[int, float], ...] = ()
    ema_decay: float | None = 0.999

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("stable_kimg", "total_kimg"):
            if not getattr(self, name) > 0:
                raise UsageError(f"{name} must be above 0; it is {getattr(self, name)}.")
        if self.fade_kimg < 0 or (self.first_level or 0) < 0:
            raise UsageError(f"fade_kimg and first_level must be at least 0; they are {self.fade_kimg} and {self.first_level}.")
        if self.ema_decay is not None and self.ema_halflife_kimg is not None:
            both = f"ema_decay or ema_halflife_kimg, not both; they are {self.ema_decay} and {self.ema_halflife_kimg}"
            raise UsageError(f"Give {both}. The one that is not meant is to be None: --ema-decay None.")
        if self.lr_at and self.lr_decay != "constant":
            raise UsageError(f"lr_at sets the learning rate by level, and lr_decay {self.lr_decay!r} by the clock: leave one of them out.")

    def rounds_in(self, kimg: float) -> int:
        """As the base; where levels have batches of their own all are stretched or shortened alike: the share of the images is that of the rounds."""
        if not self.batch_at:
            return super().rounds_in(kimg)
        if self.resolution is None:
            return max(1, round(self.rounds * kimg / self.total_kimg))
        sides = (self.resolution,) if isinstance(self.resolution, int) else self.resolution
        found = stretches(self, int(math.log2(max(1, min(sides) // 4))))
        least = sum(self.fade_kimg if stretch.fades else self.stable_kimg for stretch in found)
        return max(1, round(sum(stretch.phase.rounds for stretch in found) * kimg / max(self.total_kimg, least)))


Config = TypeVar("Config", bound=GrowingConfig)


class Stretch(NamedTuple):
    """A phase of growing: its level, and whether that level fades in."""

    phase: Phase
    level: int
    fades: bool


def stretches(config: GrowingConfig, top: int) -> list[Stretch]:
    """The phases of growing to level ``top``.

    >>> config = GrowingConfig(batch=10, stable_kimg=1, fade_kimg=2, total_kimg=6, batch_at=((4, 20),))
    >>> [(stretch.phase.name, stretch.phase.rounds) for stretch in stretches(config, 1)]
    [('4', 50), ('fade to 8', 200), ('8', 300)]
    """
    found: list[Stretch] = []
    left = config.total_kimg
    first = top if config.first_level is None else min(config.first_level, top)
    for level in range(first, top + 1):
        for fades in (True, False) if level > first and config.fade_kimg else (False,):
            kimg = config.fade_kimg if fades else max(left, config.stable_kimg) if level == top else config.stable_kimg
            left -= kimg
            found.append(_stretch(config, level, fades, kimg))
    return found


def _stretch(config: GrowingConfig, level: int, fades: bool, kimg: float) -> Stretch:
    size = 4 << level
    batch = dict(config.batch_at).get(size)
    rounds = max(1, round(1000 * kimg / ((batch or config.batch) * config.d_steps)))
    return Stretch(Phase(f"fade to {size}" if fades else str(size), rounds, batch, ("discriminator", "generator")), level, fades)


def with_rounds(config: Config, top: int) -> Config:
    """The configuration with the rounds that its kimg make on networks of this highest level."""
    return replace(config, rounds=sum(stretch.phase.rounds for stretch in stretches(config, top)))


@runtime_checkable
class Follows(Protocol):
    """A discriminator that changes with its own score."""

    def follow(self, output: Tensor) -> None:
        """Take this turn's mean output on real samples, a scalar."""
        ...


class GrowingGame(AdversarialGame):
    """G against D, both growing; samples have the size of the highest level whatever the level in play, so that all of a run can be compared.

    Args:
        config: the settings above.
        generator: both a Growing and a Generator.
        discriminator: both a Growing and a Discriminator.
        objective: the value function.
        settings: the other arguments of :class:`AdversarialGame`.
    """

    config: GrowingConfig

    def __init__(self, config: GrowingConfig, generator: Generator, discriminator: Discriminator, objective: Objective, **settings: object) -> None:
        assert isinstance(generator, Growing) and isinstance(discriminator, Growing)
        decay = config.ema_decay
        if decay is not None:
            settings["ema_decay"] = lambda clock: decay
        super().__init__(config, generator, discriminator, objective, **settings)  # type: ignore[arg-type]
        self.top = generator.top
        self.stretches = stretches(config, self.top)
        self.phases = tuple(stretch.phase for stretch in self.stretches)
        self._grow(self.stretches[0].level)
        for name, player in self.players.items() if config.lr_at else ():
            asked: float = getattr(config, f"{name}_optimizer").lr
            player.schedule = self._rate(asked, player.optimizer.lr / asked)

    def _rate(self, lr: float, share: float) -> Schedule:
        """The level's learning rate; ``share`` of it where lazy terms take moves of their own."""
        rates = dict(self.config.lr_at)
        return lambda clock: {"lr": share * rates.get(4 << self.stage.level, lr)}

    @property
    def stage(self) -> Stage:
        """Where the networks stand."""
        assert isinstance(self.generator, Growing)
        return self.generator.stage

    def begin_round(self) -> None:
        """Set the level: in a fade, alpha is the share of it that is done."""
        place = self.place
        assert place is not None
        _, level, fades = self.stretches[place.index]
        self._grow(level - 1 + place.progress(self.clock.round) if fades else level)

    def _grow(self, level: float) -> None:
        for network in self.children():
            if isinstance(network, Growing):  # G, D and the average of G
                network.grow(level)

    def reals(self, batch: Batch) -> Tensor:
        """The real samples of a batch, of the level in play and faded as the networks are."""
        return at_stage(super().reals(batch), self.stage, self.top)

    @torch.no_grad()
    def sample(self, n: int, draws: Draws, labels: Tensor | None = None, truncation: float | None = None) -> Tensor:
        """As the base; images of a lower level are enlarged, each pixel to a square."""
        x = super().sample(n, draws, labels, truncation)
        times = 2 ** (self.top - self.stage.level)
        return F.interpolate(x, scale_factor=float(times), mode="nearest") if times > 1 else x

    def after_turn(self, turn: Turn, values: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """As the base; the level is logged, and a D that follows its own score is told it."""
        logged = dict(super().after_turn(turn, values))
        if turn.player == "discriminator":
            if isinstance(self.discriminator, Follows):
                self.discriminator.follow(values["discriminator/real"])
            logged["discriminator/level"] = self.get_buffer("discriminator.level").clone()
        return logged
