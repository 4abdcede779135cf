r"""DiscoGAN: relations between two domains, found by two translators that undo one another and match the features of real records.

    G minimises  (1 - r) (.1 L_GAN(y) + .9 L_features(y)) + r |F(G(x)) - x|^2  +  the same of F
    D minimises  (-log D(y) - log(1 - D(G(x)))) / 2,  and likewise for x

L_GAN = -log D(G(x)); L_features is the squared difference of the batch's mean maps of D on real and on translated images, a level's mean, summed over
the levels. r is .01 for the first 10,000 iterations, then .5. In three iterations D moves once and G twice, each on new records: they are one round
here. Kim et al. 2017 (arXiv:1703.05192), Eq. 3 to 8, and the released code, which brought the features, the rates and the order.

Axes: n batch, c channels, h w image (or n d points).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from saddlepoint.data.records import Batch
from saddlepoint.draws import Draws
from saddlepoint.errors import UsageError
from saddlepoint.games.game import Loss, Turn, turn
from saddlepoint.games.player import SGD, Adam, RMSprop
from saddlepoint.games.translating import TranslationConfig, TranslationGame, side_by_side

Arm = Literal["discogan", "recongan", "gan"]


class Looks(Protocol):
    """A discriminator whose maps can be looked at."""

    def maps(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Logits [n], and the maps in which features are matched, [n, ...] each."""
        ...


@dataclass(frozen=True, kw_only=True)
class DiscoConfig(TranslationConfig):
    """Settings of DiscoGAN.

    Attributes:
        arm: both translators and both cycles; "recongan": from x to y, and back only to compare; "gan": from x to y alone.
        g_steps: translators' moves a round, after one of the discriminators'.
        curriculum: rounds in which ``first_rate`` is r.
        first_rate: r at first.
        rate: r afterwards.
        feature_share: of the matched features in what persuades; the verdict's is the rest.
        bottleneck: numbers that a translator brings an image to in between; 0: none.
    """

    norm: Literal["batch", "instance"] = "batch"
    jitter: float = 1.0
    mirror: bool = False
    optimizer: Adam | RMSprop | SGD = field(default_factory=lambda: Adam(weight_decay=1e-5))
    decay_from: float = 1.0
    arm: Arm = "discogan"
    g_steps: int = 2
    curriculum: int = 3_333
    first_rate: float = 0.01
    rate: float = 0.5
    feature_share: float = 0.9
    bottleneck: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("first_rate", "rate", "feature_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name} is a share from 0 to 1; it is {getattr(self, name)}.")

    def at_least_one(self) -> tuple[str, ...]:
        """Names of the settings that must be 1 or more."""
        return (*super().at_least_one(), "g_steps")

    @property
    def reads_a_round(self) -> int:
        """Every move looks at new records."""
        return 1 + self.g_steps


def feature_distance(real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
    """Squared difference of the mean maps of two batches, averaged over a level's values and summed over the levels.

    >>> feature_distance([torch.tensor([[0.0, 2.0], [2.0, 2.0]])], [torch.tensor([[3.0, 2.0]])]).item()                      # (2^2 + 0) / 2
    2.0
    """
    return torch.stack([(a.mean(0) - b.mean(0)).square().mean() for a, b in zip(real, fake, strict=True)]).sum()


class DiscoGame(TranslationGame):
    """G: X -> Y and F: Y -> X against D_Y and D_X, as far as the arm has them.

    Args:
        config: the settings above.
        to_y: G.
        judge_y: D_Y.
        to_x: F; None in the arm "gan".
        judge_x: D_X; None in the arms "gan" and "recongan".
    """

    def __init__(self, config: DiscoConfig, to_y: nn.Module, judge_y: nn.Module, to_x: nn.Module | None = None, judge_x: nn.Module | None = None):
        super().__init__()
        assert (to_x is None, judge_x is None) == (config.arm == "gan", config.arm != "discogan")
        self.config: DiscoConfig = config
        self.to_y, self.judge_y, self.to_x, self.judge_x = to_y, judge_y, to_x, judge_x
        self.multiple = int(getattr(to_y, "multiple", 1))
        self.metric = "change" if to_x is None else "cycle_error"
        self.add_mover("discriminator", [module for module in (judge_x, judge_y) if module is not None])
        self.add_mover("generator", [module for module in (to_y, to_x) if module is not None])

    def play(self) -> Iterator[Turn]:
        """The discriminators once, then the translators, each on new records."""
        yield self.discriminator_turn
        for _ in range(self.config.g_steps):
            yield self.generator_turn

    @turn("discriminator")
    def discriminator_turn(self, batch: Batch) -> Loss:
        """Each tells its domain's records from translations."""
        x, y = self._inputs(batch)
        loss = Loss()
        for name, source, real, translator, judge in self._ways(x, y):
            with torch.no_grad():
                fake = translator(source)
            on_real, on_fake = judge.maps(real)[0], judge.maps(fake)[0]
            loss.add(f"adversarial_{name}", (softplus(-on_real).mean() + softplus(on_fake).mean()) / 2)
            loss.watch(**{f"real_{name}": on_real.detach().mean(), f"fake_{name}": on_fake.detach().mean()})
        return loss

    @turn("generator")
    def generator_turn(self, batch: Batch) -> Loss:
        """Translations that persuade, and that lead back."""
        x, y = self._inputs(batch)
        config, loss = self.config, Loss()
        r = 0.0 if self.to_x is None else config.first_rate if self.clock.round < config.curriculum else config.rate
        for name, source, real, translator, judge in self._ways(x, y):
            fake = translator(source)
            with torch.no_grad():
                _, wanted = judge.maps(real)
            verdict, found = judge.maps(fake)
            loss.add(f"adversarial_{name}", (1 - r) * (1 - config.feature_share) * softplus(-verdict).mean())
            loss.add(f"features_{name}", (1 - r) * config.feature_share * feature_distance(wanted, found))
            back = self.to_x if name == "y" else self.to_y
            if back is not None:
                loss.add(f"cycle_{'x' if name == 'y' else 'y'}", r * _squared(back(fake), source))
        return loss

    def _ways(self, x: Tensor, y: Tensor) -> list[tuple[str, Tensor, Tensor, nn.Module, Looks]]:
        """Domain that is aimed at, source, real records of it, translator, discriminator."""
        ways: list[Any] = [("y", x, y, self.to_y, self.judge_y)]
        return ways + ([("x", y, x, self.to_x, self.judge_x)] if self.judge_x is not None else [])

    def _inputs(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Records of both domains; images are cropped and mirrored each on its own, where that is asked for."""
        x, y = batch.x, batch["other"]
        if x.ndim != 4 or (self.config.jitter == 1 and not self.config.mirror):
            return x, y
        self.kept.clear()  # a round looks at several batches
        return self.jittered("x", x)[0], self.jittered("y", y)[0]

    def translate(self, x: Tensor, **targets: Any) -> Tensor:
        """G(x), or F(x) with ``back=True``."""
        if unknown := targets.keys() - {"back"}:
            raise UsageError(f"DiscoGAN translates to its second domain, or with back to its first; it knows no {', '.join(unknown)}.")
        if targets.get("back") and self.judge_x is None:
            raise UsageError(f"The arm {self.config.arm} translates one way only. Train --arm discogan, or leave back out.")
        translator = self.to_x if targets.get("back") else self.to_y
        assert translator is not None
        y: Tensor = translator(x)
        return y

    def show(self, batch: Batch, draws: Draws) -> Tensor:
        """x, G(x) and, where there is F, F(G(x)), y, F(y), G(F(y))."""
        x, y = batch.x, batch["other"]
        fake_y = self.to_y(x)
        if self.to_x is None:
            return side_by_side(x, fake_y, y)
        fake_x = self.to_x(y)
        return side_by_side(x, fake_y, self.to_x(fake_y), y, fake_x, self.to_y(fake_x))

    def measure(self, batch: Batch, draws: Draws) -> dict[str, Tensor]:
        """Mean absolute error of the cycles that are closed, and how far a translation is from its input."""
        x, y = batch.x, batch["other"]
        fake_y = self.to_y(x)
        found = {"change": (fake_y.mean(1) - x.mean(1)).abs().mean()}
        if self.to_x is None:
            return found
        errors = {"cycle_error_x": (self.to_x(fake_y) - x).abs().mean()}
        if self.judge_x is not None:
            errors["cycle_error_y"] = (self.to_y(self.to_x(y)) - y).abs().mean()
        return {"cycle_error": torch.stack([*errors.values()]).mean(), **errors, **found}


def _squared(a: Tensor, b: Tensor) -> Tensor:
    """Mean squared difference; of images with their values in [0, 1]."""
    return (a - b).square().mean() / (4 if a.ndim == 4 else 1)
