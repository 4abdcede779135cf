"""Additional terms of a player's loss: penalties, matching, auxiliary labels.

A term is a module (its running means are buffers) that turns a :class:`Scene` into a scalar. Adding a paper's regulariser is adding a term; the
adversarial game never asks which term it has.

Axes: n batch, k classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from saddlepoint.data.records import Batch
from saddlepoint.draws import Draws
from saddlepoint.games.player import Clock
from saddlepoint.networks.base import Judgement
from saddlepoint.objectives import classes, energy, penalties

Judge = Callable[..., Judgement]


@dataclass
class Scene:
    """All that one turn made, for the terms to use.

    Attributes:
        batch: the real records.
        x_real: real samples as D saw them, requiring grad where a term asked for the slope; None in a generator's turn that looks at no real sample.
        x_fake: generated samples as D saw them; None in a turn that a term plays alone.
        real: D's judgement of ``x_real``, or None.
        fake: D's judgement of ``x_fake``, or None.
        labels: of the real samples, or None.
        fake_labels: that the fakes were asked to have, or None.
        judge: D behind its view: judge(x, labels) -> Judgement.
        draws: random numbers of this turn.
        clock: where training is.
        generator: G.
        latents: n -> (z, labels) for a term that makes samples of its own.
        watched: scalars that a term wants logged beside its value.
    """

    batch: Batch
    judge: Judge
    draws: Draws
    clock: Clock
    generator: nn.Module
    latents: Callable[[int], tuple[Tensor, Tensor | None]]
    x_real: Tensor | None = None
    x_fake: Tensor | None = None
    real: Judgement | None = None
    fake: Judgement | None = None
    labels: Tensor | None = None
    fake_labels: Tensor | None = None
    watched: dict[str, Tensor] = field(default_factory=dict)


class Term(nn.Module):
    """Base of all terms.

    Attributes:
        name: in the log, behind the player's name.
        player: whose loss it joins.
        every: lazy interval in rounds; the value is multiplied by it (StyleGAN2, arXiv:1912.04958, section 3.1).
        alone: whether the term is minimised in a move of its own, after the player's turn; such a term sees no fakes but those it makes itself.
        slope_at: which samples must require grad before D judges them: "real", "fake", both or none.
    """

    name: ClassVar[str]
    player: str = "discriminator"
    every: int = 1
    alone: bool = False
    slope_at: ClassVar[frozenset[str]] = frozenset()
    needs_real: ClassVar[bool] = True

    def forward(self, scene: Scene) -> Tensor:
        """Return the term, a scalar: weight times the mean over the batch."""
        raise NotImplementedError(f"{type(self).__name__} must say what it adds to the loss.")

    def after_turn(self, player: str, values: Mapping[str, Tensor]) -> Mapping[str, Tensor] | None:
        """Called after each move with the logged values, averaged over micro-batches and processes; may return more values to log."""
        return None


def _real(scene: Scene) -> tuple[Tensor, Judgement]:
    assert scene.x_real is not None and scene.real is not None, "a term that needs real samples met a turn without them"
    return scene.x_real, scene.real


def _fake(scene: Scene) -> tuple[Tensor, Judgement]:
    assert scene.x_fake is not None and scene.fake is not None, "a term that needs fakes met a turn without them"
    return scene.x_fake, scene.fake


def _at(weight: float | Callable[[Clock], float], clock: Clock) -> float:
    return weight(clock) if callable(weight) else weight


class R1(Term):
    """gamma/2 times D's squared slope at real samples (Mescheder et al. 2018, arXiv:1801.04406, Eq. 9); gamma may follow the clock."""

    name = "r1"
    slope_at = frozenset({"real"})

    def __init__(self, gamma: float | Callable[[Clock], float], every: int = 1, *, alone: bool = False) -> None:
        super().__init__()
        self.gamma, self.every, self.alone = gamma, every, alone

    def forward(self, scene: Scene) -> Tensor:
        """Return gamma/2 * mean of the squared slopes."""
        x_real, real = _real(scene)
        penalty = _at(self.gamma, scene.clock) / 2 * penalties.zero_centered_penalty(real.logits, x_real).mean()
        return penalty + 0 * real.logits.mean() if self.alone else penalty  # zero gradients for parameters that no slope depends on


class R2(Term):
    """gamma/2 times D's squared slope at generated samples (Mescheder et al. 2018, section 4.1); gamma may follow the clock."""

    name = "r2"
    slope_at = frozenset({"fake"})

    def __init__(self, gamma: float | Callable[[Clock], float], every: int = 1) -> None:
        super().__init__()
        self.gamma, self.every = gamma, every

    def forward(self, scene: Scene) -> Tensor:
        """Return gamma/2 * mean of the squared slopes."""
        x_fake, fake = _fake(scene)
        return _at(self.gamma, scene.clock) / 2 * penalties.zero_centered_penalty(fake.logits, x_fake).mean()


class GradientPenalty(Term):
    """weight * (slope - 1)^2 on the lines between real and fake (Gulrajani et al. 2017, arXiv:1704.00028, Eq. 3 and Algorithm 1)."""

    name = "gradient_penalty"

    def __init__(self, weight: float = 10.0, every: int = 1) -> None:
        super().__init__()
        self.weight, self.every = weight, every

    def forward(self, scene: Scene) -> Tensor:
        """Judge the places, and return the weighted mean penalty."""
        x = self.places(scene)
        labels = None if scene.labels is None else scene.labels[: len(x)]
        return self.weight * penalties.gradient_penalty(scene.judge(x, labels).logits, x).mean()

    def places(self, scene: Scene) -> Tensor:
        """Where the slope is asked for: u x + (1-u) G(z) with one u per sample."""
        x_real, x_fake = _real(scene)[0], _fake(scene)[0]
        n = min(len(x_real), len(x_fake))
        return penalties.interpolates(x_real.detach()[:n], x_fake.detach()[:n], scene.draws.uniform(n))


class LeCam(Term):
    """Regularisation towards running means of D's outputs (Tseng et al. 2021, arXiv:2104.03310, Eq. 9; the released code's positive part).

    The means are those of the turns before this one, so that micro-batches and processes agree; before ``start_round`` they remember one turn.
    """

    name = "lecam"
    mean_real: Tensor
    mean_fake: Tensor
    turns: Tensor

    def __init__(self, weight: float = 0.3, decay: float = 0.9, start_round: int = 0) -> None:
        super().__init__()
        self.weight, self.decay, self.start_round, self.remembers = weight, decay, start_round, False
        for name in ("mean_real", "mean_fake", "turns"):
            self.register_buffer(name, torch.zeros(()))

    def forward(self, scene: Scene) -> Tensor:
        """Return 0 before ``start_round`` and in the first turn, then the weighted penalty."""
        real, fake = _real(scene)[1], _fake(scene)[1]
        started = (self.turns > 0) & (scene.clock.round >= self.start_round)
        self.remembers = scene.clock.round + 1 >= self.start_round
        return self.weight * started * penalties.lecam(real.logits, fake.logits, self.mean_real, self.mean_fake).mean()

    def after_turn(self, player: str, values: Mapping[str, Tensor]) -> None:
        """Move the running means of D's outputs."""
        if player == "discriminator":
            for mean, name in ((self.mean_real, "real"), (self.mean_fake, "fake")):
                mean.copy_(penalties.moving_mean(mean, values[f"discriminator/{name}"], self.turns, decay=self.decay if self.remembers else 0.0))
            self.turns += 1


class FeatureMatching(Term):
    """Distance between the mean features of real and fake (Salimans et al. 2016, arXiv:1606.03498, section 3.1)."""

    name = "feature_matching"
    player = "generator"

    def __init__(self, norm: str = "l2", weight: float = 1.0) -> None:
        super().__init__()
        self.norm, self.weight = norm, weight

    def forward(self, scene: Scene) -> Tensor:
        """Return the squared L2 (MNIST) or mean absolute (CIFAR) distance of the mean features."""
        real, fake = _real(scene)[1], _fake(scene)[1]
        assert real.features is not None and fake.features is not None, "feature matching needs a discriminator that gives features"
        distance = penalties.feature_matching if self.norm == "l2" else penalties.feature_matching_absolute
        return self.weight * distance(real.features, fake.features)


class PullingAway(Term):
    """Pulling-away term on the codes of the fakes (Zhao et al. 2017, arXiv:1609.03126, Eq. 4)."""

    name = "pulling_away"
    player = "generator"
    needs_real = False

    def __init__(self, weight: float = 0.1) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, scene: Scene) -> Tensor:
        """Return the weighted mean squared cosine between different samples' codes."""
        _, fake = _fake(scene)
        assert fake.features is not None, "the pulling-away term needs a discriminator that gives features"
        return self.weight * energy.pulling_away(fake.features)


class AuxiliaryClassifier(Term):
    """Cross-entropy of D's class logits (AC-GAN, Odena et al. 2017, arXiv:1610.09585, Eq. 2-3)."""

    name = "classes"

    def __init__(self, player: str, weight: float = 1.0, on_fakes: bool = False) -> None:
        super().__init__()
        self.player, self.weight, self.on_fakes = player, weight, on_fakes

    @property
    def needs_real(self) -> bool:  # type: ignore[override]
        """The generator's part looks at fakes only."""
        return self.player == "discriminator"

    def forward(self, scene: Scene) -> Tensor:
        """Return the weighted cross-entropy: on the reals for D, on the fakes for G (and for D too where asked)."""
        losses = []
        if self.player == "discriminator":
            _, real = _real(scene)
            assert real.class_logits is not None and scene.labels is not None
            losses.append(cross_entropy(real.class_logits, scene.labels))
        if self.player == "generator" or self.on_fakes:
            _, fake = _fake(scene)
            assert fake.class_logits is not None and scene.fake_labels is not None
            losses.append(cross_entropy(fake.class_logits, scene.fake_labels))
        return self.weight * torch.stack(losses).sum()


class Supervised(Term):
    """Cross-entropy on the few labelled samples of the semi-supervised GAN (Salimans et al. 2016, section 5)."""

    name = "supervised"

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, scene: Scene) -> Tensor:
        """Judge the labelled records of the batch, and return their weighted cross-entropy; their share classified rightly is logged."""
        field = "labelled_image" if "labelled_image" in scene.batch.fields else "labelled_point"
        class_logits = scene.judge(scene.batch[field]).class_logits
        labels = scene.batch["labelled_label"]
        assert class_logits is not None
        scene.watched["accuracy"] = (class_logits.detach().argmax(1) == labels).to(class_logits.dtype).mean()
        return self.weight * classes.supervised(class_logits, labels).mean()


class HistoricalAveraging(Term):
    """weight * ||theta - mean of past theta||^2 (Salimans et al. 2016, section 3.3); the mean is over every move so far."""

    name = "historical_averaging"
    needs_real = False
    moves: Tensor

    def __init__(self, player: str, module: nn.Module, weight: float = 1.0) -> None:
        super().__init__()
        self.player, self.weight = player, weight
        self.watched = {str(index): parameter for index, parameter in enumerate(module.parameters())}
        self.register_buffer("moves", torch.zeros((), dtype=torch.float64))
        for index, parameter in self.watched.items():
            self.register_buffer(f"mean_{index}", parameter.detach().clone())

    def means(self) -> dict[str, Tensor]:
        """The mean of each parameter over the moves so far."""
        return {index: self.get_buffer(f"mean_{index}") for index in self.watched}

    def forward(self, scene: Scene) -> Tensor:
        """Return the weighted squared distance."""
        return self.weight * penalties.historical_averaging(self.watched, self.means())

    @torch.no_grad()
    def after_turn(self, player: str, values: Mapping[str, Tensor]) -> None:
        """Take the moved parameters into the mean."""
        if player == self.player:
            self.moves += 1
            for index, mean in self.means().items():
                mean.lerp_(self.watched[index], (1.0 / self.moves).to(mean.dtype))
