"""The adversarial game told captions: fakes of captions of the data, real images with captions that are not theirs, captions between two.

Reed et al. 2016 (arXiv:1605.05396), Algorithm 1 and section 4.3; Zhang et al. 2017 (arXiv:1612.03242), Eq. 3 to 6.

Axes: n batch, e caption, m captions of the data.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from saddlepoint.data.records import Batch, Dataset
from saddlepoint.draws import Draws, use
from saddlepoint.errors import UsageError
from saddlepoint.games.adversarial import AdversarialGame
from saddlepoint.games.game import Phase, Turn
from saddlepoint.games.terms import Scene, Term
from saddlepoint.networks.captioned import Augmentation, conditioning_kl
from saddlepoint.networks.growing import Growing, halve_pixels
from saddlepoint.networks.stackgan import StackGenerator
from saddlepoint.objectives.matching import mismatched

KEPT = 2**17  # captions of the data at most, from which those of fakes are drawn


def captions_of(data: Dataset) -> Tensor:
    """The captions of the data that fakes may have: float32 [m, e], all of them, or ``KEPT`` spread evenly.

    Raises:
        UsageError: if it has none.
    """
    if "caption" not in data.spec.fields:
        raise UsageError(f"{data.spec.name} has no captions as vectors. Write captions:{data.spec.name}, where its images have captions or names.")
    rows = torch.arange(min(len(data), KEPT)) * len(data) // min(len(data), KEPT)
    return torch.cat([data.records(part)["caption"] for part in torch.split(rows, 4096)]).float()


class CaptionGame(AdversarialGame):
    """G and D told captions in the place of labels.

    Args:
        arguments: of :class:`AdversarialGame`.
        captions: [m, e], of the data; fakes are asked for one of them, each equally likely.
        interpolate: G also makes half as many images of captions between two (GAN-INT).
        between: "middle" takes .5 of either, "beyond" a number from U(-1, 1) of their difference from the first (the released code's second kind).
        settings: the keyword arguments of :class:`AdversarialGame`.
    """

    captions: Tensor

    def __init__(
        self, *arguments: Any, captions: Tensor, interpolate: bool = False, between: Literal["middle", "beyond"] = "middle", **settings: Any
    ) -> None:
        super().__init__(*arguments, **settings)
        self.register_buffer("captions", captions)
        self.interpolate, self.reach = interpolate, between

    @property
    def conditional(self) -> bool:
        """Always."""
        return True

    @property
    def caption_dim(self) -> int:
        """Numbers of a caption."""
        return self.captions.shape[1]

    def labels_of(self, batch: Batch) -> Tensor:
        """Captions of the real records."""
        return batch["caption"]

    def draw_labels(self, n: int, draws: Draws) -> Tensor:
        """Captions of the data, [n, e]."""
        return self.captions[draws.integers(n, high=len(self.captions))]

    def generate(self, z: Tensor, labels: Tensor | None, generator: Any = None) -> Tensor:
        """G(z, captions); without captions those of the data in turn."""
        captions = self.captions[torch.arange(len(z), device=z.device) % len(self.captions)] if labels is None else labels
        return super().generate(z, captions, generator)

    @torch.no_grad()
    def between(self, ends: Tensor, n: int, draws: Draws) -> Tensor:
        """Images of one z on the way from a caption to another.

        Args:
            ends: two captions, [2, e].
            n: steps, the ends among them.
            draws: of z and noise.
        """
        generator = getattr(self, "generator_ema", self.generator)
        was_training = generator.training
        generator.eval()
        with use(draws):
            z = self.latents(1, draws).expand(n, -1)
            share = torch.linspace(0, 1, n, device=ends.device, dtype=ends.dtype)[:, None]
            x = self.generate(z, torch.lerp(ends[:1], ends[1:], share), generator)
        generator.train(was_training)
        return x

    def _fakes_for_generator(self, n: int) -> tuple[Tensor, Tensor | None]:
        if not self.interpolate:
            return super()._fakes_for_generator(n)
        captions = torch.cat([self.draw_labels(n, self.draws), self._between(n // 2)])
        z = torch.cat([self.latents(n, self.draws), self.latents(n // 2, self.draws)])
        return self.generate(z, captions), captions

    def _between(self, n: int) -> Tensor:
        first, second = self.draw_labels(n, self.draws), self.draw_labels(n, self.draws)
        share = 0.5 if self.reach == "middle" else self.draws.uniform(n, 1, low=-1.0, high=1.0)
        return first + share * (second - first)


class Mismatched(Term):
    """weight * -log(1 - D(x, h')) of real images x with the caption h' of another record (Reed et al. 2016, Algorithm 1, s_w).

    Where a batch's record is i, the caption is that of one of the other m - 1, each equally likely; where not all captions of the data are at hand,
    of any of those that are.
    """

    name = "mismatched"

    def __init__(self, captions: Tensor, num_records: int, weight: float = 0.5) -> None:
        super().__init__()
        self.weight, self.whole = weight, len(captions) == num_records
        self.table = [captions]  # the game's buffer, not one of this term's

    def forward(self, scene: Scene) -> Tensor:
        """Judge the real images of the turn with captions that are not theirs."""
        assert scene.x_real is not None
        table = self.table[0].to(scene.x_real)
        own = scene.batch["index"] if self.whole else torch.zeros_like(scene.batch["index"])
        other = (own + 1 + scene.draws.integers(len(own), high=max(1, len(table) - 1))) % len(table)
        logits = scene.judge(scene.x_real, table[other]).logits
        scene.watched["mismatched"] = logits.detach().mean()
        return self.weight * mismatched(logits).mean()


class ConditioningKL(Term):
    """weight * KL(N(mu(h), sigma(h)^2) || N(0, 1)) of the captions of the fakes (Zhang et al. 2017, Eq. 2)."""

    name = "conditioning_kl"
    player = "generator"
    needs_real = False

    def __init__(self, weight: float = 2.0) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, scene: Scene) -> Tensor:
        """Of the augmentation that is in play; 0 where there is none."""
        augmentation: Augmentation | None = scene.generator.augmentation  # type: ignore[assignment]
        assert scene.fake_labels is not None and scene.x_fake is not None
        if augmentation is None or not augmentation.drawn:
            return scene.x_fake.new_zeros(())
        return self.weight * conditioning_kl(*augmentation.moments(scene.fake_labels)).mean()


class StackGame(CaptionGame):
    """Stage I alone for ``first_share`` of the rounds, then Stage II alone, on images of both sizes as they are needed.

    Learning rates begin again with the second stage, as the players' optimisers do.

    Args:
        arguments: of :class:`CaptionGame`; G and D grow.
        first_share: of the rounds.
        settings: the keyword arguments of :class:`CaptionGame`.
    """

    def __init__(self, *arguments: Any, first_share: float = 0.5, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        first = max(1, round(first_share * self.config.rounds))
        players = ("discriminator", "generator")
        self.phases = (Phase(name="stage I", rounds=first), Phase(name="stage II", rounds=max(1, self.config.rounds - first), fresh=players))

    def begin_round(self) -> None:
        """Turn to the stage of the phase."""
        assert self.place is not None
        for network in self.children():
            if isinstance(network, Growing):  # G, D and the average of G
                network.grow(self.place.index)

    def reals(self, batch: Batch) -> Tensor:
        """The real images, small ones in the first stage."""
        x = super().reals(batch)
        return x if self._stack.stage.level else halve_pixels(x, self._stack.scale.bit_length() - 1)

    @property
    def _stack(self) -> StackGenerator:
        assert isinstance(self.generator, StackGenerator)
        return self.generator

    @torch.no_grad()
    def sample(self, n: int, draws: Draws, labels: Tensor | None = None, truncation: float | None = None) -> Tensor:
        """As the base; images of the first stage are enlarged, each pixel to a square."""
        x = super().sample(n, draws, labels, truncation)
        return x if self._stack.stage.level else F.interpolate(x, scale_factor=float(self._stack.scale), mode="nearest")

    def after_turn(self, turn: Turn, values: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """As the base; the stage is logged."""
        logged = dict(super().after_turn(turn, values))
        if turn.player == "discriminator":
            logged["discriminator/stage"] = torch.tensor(1.0 + self._stack.stage.level)
        return logged
