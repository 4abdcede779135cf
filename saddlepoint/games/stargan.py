"""StarGAN: one translator between all domains of a data set, or of two data sets that are labelled in different ways.

    D minimises  -E D(x) + E D(G(x, c)) + 10 E (|grad D| - 1)^2 + E -log D_cls(c'|x)
    G minimises  -E D(G(x, c)) + E -log D_cls(c|G(x, c)) + 10 E |x - G(G(x, c), c')|_1

c' is the domain of x and c the wanted one. Choi et al. 2018 (arXiv:1711.09020), Eq. 1 to 6 and 8; with two data sets c is joined by zeros for the
labels of the other set and by a mask that says which set it is (section 3.2), and each set's turns look at its own part of D_cls.

Axes: n batch, k domains, c channels, h w image.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saddlepoint.data.records import Batch
from saddlepoint.draws import Draws
from saddlepoint.errors import UsageError
from saddlepoint.games.domains import Domains
from saddlepoint.games.game import Loss, Turn, turn
from saddlepoint.games.player import SGD, Adam, RMSprop
from saddlepoint.games.translating import TranslationConfig, TranslationGame, jitter, side_by_side
from saddlepoint.networks.base import Judgement, mixes_samples
from saddlepoint.objectives import penalties, wasserstein

SHOWN = 8  # translations of a record in a preview, at most


@dataclass(frozen=True, kw_only=True)
class StarGANConfig(TranslationConfig):
    """Settings of StarGAN.

    Attributes:
        blocks: residual blocks of the generator.
        d_steps: discriminator turns a round, each on new records.
        cls_weight: lambda of the domain's loss.
        cycle_weight: lambda of the way back.
        gp_weight: lambda of the slope penalty.
        domains: what a domain is: "attributes" that an image has or has not, its class ("labels"), or "auto": attributes where the data has any.
        attributes: which of the data's attributes are taken; empty: all.
    """

    norm: Literal["batch", "instance"] = "instance"
    jitter: float = 1.0
    optimizer: Adam | RMSprop | SGD = field(default_factory=lambda: Adam(lr=1e-4, beta1=0.5, beta2=0.999))
    blocks: int = 6
    d_steps: int = 5
    cls_weight: float = 1.0
    cycle_weight: float = 10.0
    gp_weight: float = 10.0
    domains: Literal["auto", "attributes", "labels"] = "auto"
    attributes: tuple[str, ...] = ()

    def at_least_one(self) -> tuple[str, ...]:
        """Names of the settings that must be 1 or more."""
        return (*super().at_least_one(), "blocks", "d_steps")

    @property
    def reads_a_round(self) -> int:
        """One a discriminator turn; the generator's looks at the last of them."""
        return self.d_steps


class StarGANGame(TranslationGame):
    """D moves several times, then G on the last records; of two data sets, each in its turn. The fakes of those records are computed once.

    Args:
        config: the settings above.
        generator: images, conditions -> images, with an attribute ``multiple``.
        discriminator: images -> logits of patches, and of the domains of all data sets one behind the other, with an attribute ``size``.
        domains: of one data set, or of two.
    """

    metric = "missed"

    def __init__(self, config: StarGANConfig, generator: nn.Module, discriminator: nn.Module, domains: Sequence[Domains]) -> None:
        super().__init__()
        self.config: StarGANConfig = config
        self.generator, self.discriminator = generator, discriminator
        self.multiple = int(generator.multiple)  # type: ignore[arg-type]
        self.domains = nn.ModuleList(domains)
        self.last_step = False
        self.add_mover("generator", [generator])
        self.add_mover("discriminator", [discriminator])

    # -- who plays -------------------------------------------------------------------------------------------------------------------------------

    def play(self) -> Iterator[Turn]:
        """``d_steps`` turns of D, and G after the last; where there are two data sets, on each."""
        for step in range(self.config.d_steps):
            self.last_step = step == self.config.d_steps - 1
            yield self.discriminator_turn
            if self.last_step:
                yield self.generator_turn
            if len(self.domains) == 2:
                yield self.other_discriminator_turn
                if self.last_step:
                    yield self.other_generator_turn

    @turn("discriminator")
    def discriminator_turn(self, batch: Batch) -> Loss:
        """Tell real from fake, with a slope of 1 between them, and name the domain of the real."""
        return self._discriminate(batch, 0)

    @turn("discriminator", batch="same")
    def other_discriminator_turn(self, batch: Batch) -> Loss:
        """The same on the second data set."""
        return self._discriminate(batch, 1)

    @turn("generator", batch="same")
    def generator_turn(self, batch: Batch) -> Loss:
        """Be taken for real and for the wanted domain, and find the way back."""
        return self._generate(batch, 0)

    @turn("generator", batch="same")
    def other_generator_turn(self, batch: Batch) -> Loss:
        """The same on the second data set."""
        return self._generate(batch, 1)

    # -- what they minimise ----------------------------------------------------------------------------------------------------------------------

    def _discriminate(self, batch: Batch, side: int) -> Loss:
        domains, config = self._side(side), self.config
        x, known, _, fake = self._translated(batch, side)
        shown = fake.detach()
        real, judged = self._both(x, shown)
        between = penalties.interpolates(x, shown, self.draws.uniform(len(x)))
        slope = penalties.gradient_penalty(self.discriminator(between).logits, between).mean()  # of the sum over the patches, as released
        loss = Loss(
            adversarial=wasserstein.discriminator(real.logits, judged.logits).mean(),
            gradient_penalty=config.gp_weight * slope,
            classes=config.cls_weight * domains.loss(self._part(real, side), known).mean(),
        )
        missed = domains.missed(self._part(real, side).detach(), known).mean()
        return loss.watch(real=real.logits.detach().mean(), fake=judged.logits.detach().mean(), missed=missed)

    def _generate(self, batch: Batch, side: int) -> Loss:
        domains, config = self._side(side), self.config
        kept = self.kept.pop((f"translated{side}", self.draws.piece), None)
        x, known, wanted, fake = self._translated(batch, side) if kept is None else kept
        judged = self.discriminator(fake)
        back = self.generator(fake, self.condition(known, side))
        return Loss(
            adversarial=wasserstein.generator(judged.logits).mean(),
            classes=config.cls_weight * domains.loss(self._part(judged, side), wanted).mean(),
            cycle=config.cycle_weight * (x - back).abs().mean(),
        )

    def _translated(self, batch: Batch, side: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Images, their domains, the wanted ones and the translations, with a graph through G and kept where it is G's turn next."""
        domains = self._side(side)
        x = batch[domains.image]
        if self.config.jitter > 1 or self.config.mirror:
            x = jitter(x, self.draws.uniform(len(x), 3).to(x), self.config.jitter, mirror=self.config.mirror)
        known, wanted = domains.of(batch), domains.wanted(len(x), self.draws)
        ours = torch.is_grad_enabled() and next(self.generator.parameters()).requires_grad  # this is G's own turn
        with contextlib.nullcontext() if ours else self.players["generator"].thawed() if self.last_step else torch.no_grad():
            fake = self.generator(x, self.condition(wanted, side))
        if self.last_step and not ours:
            self.kept[f"translated{side}", self.draws.piece] = x, known, wanted, fake
        return x, known, wanted, fake

    def _both(self, x: Tensor, fake: Tensor) -> tuple[Judgement, Judgement]:
        """D's judgement of real and of fake images, in one pass."""
        if mixes_samples(self.discriminator):
            return self.discriminator(x), self.discriminator(fake)
        judged = self.discriminator(torch.cat([x, fake]))
        (real, made), (named, other) = judged.logits.chunk(2), judged.class_logits.chunk(2)
        return Judgement(real, None, named), Judgement(made, None, other)

    def _side(self, side: int) -> Domains:
        found = self.domains[side]
        assert isinstance(found, Domains)
        return found

    def _part(self, judged: Judgement, side: int) -> Tensor:
        """D's logits of one data set's domains, [n, k]."""
        assert judged.class_logits is not None
        start = len(self._side(0).names) if side else 0
        return judged.class_logits[:, start : start + len(self._side(side).names)]

    def condition(self, domains: Tensor, side: int = 0, *, mask: int | None = None) -> Tensor:
        """What G is told (Eq. 7): the domains, and of two data sets zeros for the other's and the mask.

        Args:
            domains: [n, k].
            side: whose they are.
            mask: the data set that the mask names; None: that one. The other one shows what the mask is for.
        """
        if len(self.domains) == 1:
            return domains
        n, other = len(domains), len(self._side(1 - side).names)
        absent, named = domains.new_zeros(n, other), domains.new_zeros(n, 2)
        named[:, side if mask is None else mask] = 1
        return torch.cat([domains, absent, named] if side == 0 else [absent, domains, named], 1)

    # -- what a trained one can do ---------------------------------------------------------------------------------------------------------------

    @property
    def settable(self) -> tuple[str, ...]:
        """Names of the domains that a translation can be asked for."""
        return tuple(name for side in range(len(self.domains)) for name in self._side(side).names)

    def settled(self, x: Tensor, targets: Mapping[str, Any]) -> dict[str, Any]:
        """The condition of whole images [n, c, h, w] for ``set={name: on or off}``, so that all pieces of an image are given the same.

        Where only some attributes are set the others stay as D sees them in the image, brought to the size of training.
        """
        if "condition" in targets:
            return dict(targets)
        if unknown := targets.keys() - {"set"}:
            raise UsageError(f"StarGAN is told which domains to set; it knows no {', '.join(unknown)}.")
        wishes: Mapping[str, bool] = targets.get("set") or {}
        sides = {side for side in range(len(self.domains)) if set(wishes) & set(self._side(side).names)} or {0}
        if len(sides) == 2:
            raise UsageError("These domains are of two data sets; one translation sets those of one. Translate twice.")
        (side,) = sides
        size = self.discriminator.size
        small = x if x.shape[2:] == size else F.interpolate(x, size, mode="bilinear", antialias=True, align_corners=False)  # type: ignore[arg-type]
        known = self._side(side).guess(self._part(self.discriminator(small), side))
        return {"condition": self.condition(self._side(side).changed(known, wishes) if wishes else known, side)}

    def translate(self, x: Tensor, **targets: Any) -> Tensor:
        """Images with the domains ``set={name: on or off}``, or with a ``condition`` [n, k] of :meth:`settled`."""
        y: Tensor = self.generator(x, self.settled(x, targets)["condition"])
        return y

    def show(self, batch: Batch, draws: Draws) -> Tensor:
        """Each image, and beside it in every class, or with every attribute turned over."""
        rows = []
        for side in range(len(self.domains)):
            domains, x = self._side(side), batch[self._side(side).image]
            known = domains.of(batch)
            rows.append(x)
            for column in range(min(len(domains.names), SHOWN // len(self.domains))):
                wanted = torch.zeros_like(known) if domains.exclusive else known.clone()
                wanted[:, column] = 1 - wanted[:, column]
                rows.append(self.generator(x, self.condition(wanted, side)))
        return side_by_side(*rows)

    def measure(self, batch: Batch, draws: Draws) -> dict[str, Tensor]:
        """What D does not see of the wanted domains, the error of the way back, and how far a translation is from its input; means of both sets."""
        found: list[dict[str, Tensor]] = []
        for side in range(len(self.domains)):
            domains, x = self._side(side), batch[self._side(side).image]
            known, wanted = domains.of(batch), domains.wanted(len(x), draws)
            fake = self.generator(x, self.condition(wanted, side))
            back = self.generator(fake, self.condition(known, side))
            missed = domains.missed(self._part(self.discriminator(fake), side), wanted).mean()
            found.append({"missed": missed, "cycle_error": (back - x).abs().mean(), "change": (fake - x).abs().mean()})
        return {name: torch.stack([each[name] for each in found]).mean() for name in found[0]}
