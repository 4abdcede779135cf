"""CycleGAN: two translators, each the other's inverse, learnt from two sets of images that are not paired.

    G minimises  E (D_Y(G(x)) - 1)^2 + E (D_X(F(y)) - 1)^2 + 10 E |F(G(x)) - x|_1 + 10 E |G(F(y)) - y|_1 + 5 (E |G(y) - y|_1 + E |F(x) - x|_1)
    D minimises  E (D_Y(y) - 1)^2 / 2 + E D_Y(G(x))^2 / 2, and likewise D_X

Zhu et al. 2017 (arXiv:1703.10593), Eq. 1 to 4; squared errors, the halved loss of D and the pool: section 4; the identity loss: section 5.2.
Axes: n batch, c channels, h w image.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from saddlepoint.data.records import Batch
from saddlepoint.draws import Draws
from saddlepoint.errors import UsageError
from saddlepoint.games.game import Loss, Turn, turn
from saddlepoint.games.pool import ImagePool
from saddlepoint.games.translating import TranslationConfig, TranslationGame, side_by_side
from saddlepoint.networks.base import mixes_samples
from saddlepoint.objectives import leastsquares


@dataclass(frozen=True, kw_only=True)
class CycleConfig(TranslationConfig):
    """Settings of CycleGAN.

    Attributes:
        blocks: residual blocks of a generator; 9 for 256 pixels, 6 for 128.
        patch: side of what a logit of a discriminator sees.
        adversarial: whether there are discriminators; without them only the cycle is learnt.
        cycle: which cycles are closed: "both", "forward" (x to y and back), "backward" (y to x and back), or "none".
        cycle_weight: lambda of the cycles.
        identity_weight: of the identity loss, as a share of ``cycle_weight``; .5 where it is used.
        pool: earlier fakes that are kept for each discriminator; 0 none.
    """

    norm: Literal["batch", "instance"] = "instance"
    blocks: int = 9
    patch: Literal[1, 16, 34, 70, 142, 286] = 70
    adversarial: bool = True
    cycle: Literal["both", "forward", "backward", "none"] = "both"
    cycle_weight: float = 10.0
    identity_weight: float = 0.0
    pool: int = 50

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.adversarial and self.cycle == "none":
            raise UsageError("Without discriminators and without cycles there is nothing to learn. Set one of them.")
        if self.pool < 0:
            raise UsageError(f"pool must be 0 or more; it is {self.pool}.")

    def at_least_one(self) -> tuple[str, ...]:
        """Names of the settings that must be 1 or more."""
        return (*super().at_least_one(), "blocks")


class CycleGame(TranslationGame):
    """G: X -> Y and F: Y -> X move together, then D_Y and D_X on the same records; the fakes of a round are computed once.

    Args:
        config: the settings above.
        forward: G, with an attribute ``multiple``.
        backward: F.
        judges: D_X and D_Y.
        shapes: of x and of y, (c, h, w).
    """

    metric = "cycle_error"

    def __init__(
        self,
        config: CycleConfig,
        translators: tuple[nn.Module, nn.Module],
        judges: tuple[nn.Module, nn.Module] | None,
        shapes: tuple[tuple[int, ...], tuple[int, ...]],
    ) -> None:
        super().__init__()
        self.config: CycleConfig = config
        self.to_y, self.to_x = translators
        self.multiple = int(self.to_y.multiple)  # type: ignore[arg-type]
        self.add_mover("generator", list(translators))
        if judges is not None:
            self.judge_x, self.judge_y = judges
            self.pool_x, self.pool_y = (ImagePool(config.pool, shape) for shape in shapes)
            self.add_mover("discriminator", list(judges))

    def play(self) -> Iterator[Turn]:
        """Both generators, then both discriminators."""
        yield self.generator_turn
        if self.config.adversarial:
            yield self.discriminator_turn

    @turn("generator")
    def generator_turn(self, batch: Batch) -> Loss:
        """Persuade D_X and D_Y, and come back to where a cycle began (Eq. 3)."""
        x, y = self._inputs(batch)
        config, loss = self.config, Loss()
        identity = config.cycle_weight * config.identity_weight
        fake_y, same_y = self._with_identity(self.to_y, x, y, wanted=identity > 0)
        fake_x, same_x = self._with_identity(self.to_x, y, x, wanted=identity > 0)
        self.kept["fakes", self.draws.piece] = fake_x.detach(), fake_y.detach()
        if config.adversarial:
            loss.add("adversarial_y", 2 * leastsquares.generator(self.judge_y(fake_y).logits).mean())
            loss.add("adversarial_x", 2 * leastsquares.generator(self.judge_x(fake_x).logits).mean())
        if config.cycle in ("both", "forward"):
            loss.add("cycle_x", config.cycle_weight * (self.to_x(fake_y) - x).abs().mean())
        if config.cycle in ("both", "backward"):
            loss.add("cycle_y", config.cycle_weight * (self.to_y(fake_x) - y).abs().mean())
        if same_x is not None and same_y is not None:
            loss.add("identity", identity * ((same_y - y).abs().mean() + (same_x - x).abs().mean()))
        return loss

    @turn("discriminator", batch="same")
    def discriminator_turn(self, batch: Batch) -> Loss:
        """Each tells the images of its domain from fakes, some of them earlier ones."""
        x, y = self._inputs(batch)
        fakes = self.kept.pop(("fakes", self.draws.piece), None)
        if fakes is None:
            with torch.no_grad():
                fakes = self.to_x(y), self.to_y(x)
        found: dict[str, Tensor] = {}
        loss = Loss()
        for name, judge, pool, real, fake in (("x", self.judge_x, self.pool_x, x, fakes[0]), ("y", self.judge_y, self.pool_y, y, fakes[1])):
            shown = pool(fake, self.draws)
            if mixes_samples(judge):
                on_real, on_fake = judge(real).logits, judge(shown).logits
            else:
                on_real, on_fake = judge(torch.cat([real, shown])).logits.chunk(2)
            loss.add(f"adversarial_{name}", leastsquares.discriminator(on_real, on_fake).mean())
            found |= {f"real_{name}": on_real.detach().mean(), f"fake_{name}": on_fake.detach().mean()}
        return loss.watch(**found)

    def _inputs(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Records of both domains, each cropped and mirrored on its own."""
        return self.jittered("x", batch.image)[0], self.jittered("y", batch.other)[0]

    def _with_identity(self, translator: nn.Module, source: Tensor, target: Tensor, *, wanted: bool) -> tuple[Tensor, Tensor | None]:
        """A translation, and what the translator makes of an image that needs none."""
        if not wanted:
            return translator(source), None
        if mixes_samples(translator):
            return translator(source), translator(target)
        fake, same = translator(torch.cat([source, target])).chunk(2)
        return fake, same

    def translate(self, x: Tensor, **targets: Any) -> Tensor:
        """G(x), or F(x) with ``back=True``."""
        if unknown := targets.keys() - {"back"}:
            raise UsageError(f"CycleGAN translates to its second domain, or with back to its first; it knows no {', '.join(unknown)}.")
        y: Tensor = self.to_x(x) if targets.get("back") else self.to_y(x)
        return y

    def show(self, batch: Batch, draws: Draws) -> Tensor:
        """x, G(x), F(G(x)), y, F(y), G(F(y))."""
        x, y = batch.image, batch.other
        fake_y, fake_x = self.to_y(x), self.to_x(y)
        return side_by_side(x, fake_y, self.to_x(fake_y), y, fake_x, self.to_y(fake_x))

    def measure(self, batch: Batch, draws: Draws) -> dict[str, Tensor]:
        """Mean absolute error of the cycles, and how far a translation is from its input (0: nothing was changed)."""
        x, y = batch.image, batch.other
        fake_y, fake_x = self.to_y(x), self.to_x(y)
        errors = {"cycle_error_x": (self.to_x(fake_y) - x).abs().mean(), "cycle_error_y": (self.to_y(fake_x) - y).abs().mean()}
        changed = ((fake_y.mean(1) - x.mean(1)).abs().mean() + (fake_x.mean(1) - y.mean(1)).abs().mean()) / 2
        return {"cycle_error": (errors["cycle_error_x"] + errors["cycle_error_y"]) / 2, **errors, "change": changed}
