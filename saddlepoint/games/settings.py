"""Settings of the adversarial game."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from torch import nn

from saddlepoint.errors import UsageError
from saddlepoint.games.player import SGD, Adam, RMSprop
from saddlepoint.objectives.objective import Objective
from saddlepoint.views.ada import ADA
from saddlepoint.views.watchful import WatchfulView

SIZES = ("width", "d_width", "coarse_width", "coarse_d_width", "channel_base", "code_dim", "group_width", "full_stages", "depth")


@dataclass(frozen=True, kw_only=True)
class GameConfig:
    """Settings that every recipe has, whatever its game.

    Attributes:
        batch: real records in the whole batch of a turn.
        rounds: published length of training; learning-rate schedules are stretched over it unless a run's length is given.
        resolution: side of square images, or height and width; None keeps the data's own.
    """

    batch: int = 64
    rounds: int = 100_000
    resolution: int | tuple[int, int] | None = None

    def __post_init__(self) -> None:
        for name in (*self.at_least_one(), *(name for name in SIZES if isinstance(getattr(self, name, None), int))):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 1; it is {getattr(self, name)}.")
        for name, value in vars(self).items():
            if isinstance(value, Adam | RMSprop | SGD) and not 0 <= value.lr < math.inf:
                raise UsageError(f"{name} needs a learning rate from 0 on; lr is {value.lr}.")
            if isinstance(value, Adam) and not (0 <= value.beta1 < 1 and 0 <= value.beta2 < 1):
                raise UsageError(f"{name} needs beta1 and beta2 from 0 to below 1; they are {value.beta1} and {value.beta2}.")

    def at_least_one(self) -> tuple[str, ...]:
        """Names of the settings that must be 1 or more."""
        return ("batch", "rounds")

    @property
    def reads_a_round(self) -> int:
        """Batches of real records that a round reads."""
        return 1

    def rounds_in(self, kimg: float) -> int:
        """Rounds that read this many thousand real records."""
        return -(-int(kimg * 1000) // (self.batch * self.reads_a_round))


@dataclass(frozen=True, kw_only=True)
class AdversarialConfig(GameConfig):
    """Settings that every recipe of the adversarial game has; a recipe's own configuration adds to them.

    Attributes:
        latent_dim: d of z [n, d].
        latent: distribution of z: standard normal, uniform on [-1, 1], or uniform on [0, 1] ("unit-uniform").
        d_steps: discriminator turns a round (k of Algorithm 1).
        g_steps: generator turns a round.
        g_batch_factor: fakes in a generator's turn per real record.
        share_fakes: the generator's turn reuses the fakes of the discriminator's (as in the DCGAN releases) instead of fresh ones (Algorithm 1).
        generator_optimizer: how G moves.
        discriminator_optimizer: how D moves.
        lr_decay: "linear": both learning rates fall linearly to 0 over the rounds.
        ema_halflife_kimg: half-life of the generator's average in thousands of images; None keeps no average.
        ema_rampup: bounds that half-life by this share of the images seen; None does not.
        augment: DiffAugment policy such as "color,translation,cutout" (Zhao et al. 2020); "" is off.
        augmentation: adaptive augmentation, whose probability follows D's overfitting (Karras et al. 2020); None is off.
    """

    latent_dim: int = 100
    latent: Literal["normal", "uniform", "unit-uniform"] = "normal"
    d_steps: int = 1
    g_steps: int = 1
    g_batch_factor: int = 1
    share_fakes: bool = False
    generator_optimizer: Adam | RMSprop | SGD = field(default_factory=Adam)
    discriminator_optimizer: Adam | RMSprop | SGD = field(default_factory=Adam)
    lr_decay: Literal["constant", "linear"] = "constant"
    ema_halflife_kimg: float | None = None
    ema_rampup: float | None = None
    augment: str = ""
    augmentation: ADA | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.share_fakes and (self.d_steps, self.g_steps, self.g_batch_factor) != (1, 1, 1):
            raise UsageError("share_fakes needs one turn of each player on equal batches: d_steps, g_steps and g_batch_factor must be 1.")
        if self.ema_halflife_kimg is not None and not self.ema_halflife_kimg >= 0:
            raise UsageError(f"ema_halflife_kimg is in thousands of images, from 0 on; it is {self.ema_halflife_kimg}. None keeps no average.")

    def at_least_one(self) -> tuple[str, ...]:
        """Names of the settings that must be 1 or more."""
        return (*super().at_least_one(), "latent_dim", "d_steps", "g_steps", "g_batch_factor")

    @property
    def reads_a_round(self) -> int:
        """One a discriminator turn; the generator's looks at the same records."""
        return self.d_steps


def check_verdicts(view: nn.Module | None, objective: Objective) -> None:
    """Refuse a watchful view before a D whose logits do not say by themselves whether a sample is real.

    Raises:
        UsageError: for one of a critic, an energy or a relativistic D.
    """
    if isinstance(view, WatchfulView) and not objective.decides:
        raise UsageError(
            f"Adaptive augmentation follows the sign of D's verdict, and under {type(objective).__name__} D's numbers have no zero between real and "
            "fake. Leave --augmentation out; --augment color,translation,cutout needs no verdict."
        )
