"""Games whose generators make images of images, and pix2pix, where the wanted image of each is known.

    pix2pix    D minimises  (-E log D(x, y) - E log(1 - D(x, G(x)))) / 2
               G minimises  -E log D(x, G(x)) + 100 E |y - G(x)|_1

Isola et al. 2017 (arXiv:1611.07004), Eq. 1 to 4; the halved loss of D: section 3.3. Axes: n batch, c channels, h w image.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saddlepoint.data.records import Batch
from saddlepoint.draws import Draws, use
from saddlepoint.errors import UsageError
from saddlepoint.games.game import Game, Loss, Turn, turn
from saddlepoint.games.player import SGD, Adam, RMSprop, linear_decay
from saddlepoint.games.settings import GameConfig
from saddlepoint.networks.base import mixes_kinds
from saddlepoint.objectives.minimax import NonSaturating
from saddlepoint.objectives.objective import Objective


@runtime_checkable
class Translates(Protocol):
    """A game that makes an image of another.

    Attributes:
        multiple: sides of the images must be multiples of it.
    """

    multiple: int

    def translate(self, x: Tensor, **targets: Any) -> Tensor:
        """Images float [n, c', h, w] in [-1, 1] for images [n, c, h, w]; ``targets`` say what of, where a game knows several."""
        ...


@dataclass(frozen=True, kw_only=True)
class TranslationConfig(GameConfig):
    """Settings that the games of translation share.

    Attributes:
        width: channels of the generators' first map.
        d_width: channels of the discriminators' first map.
        norm: normalisation of all networks: by each image's own statistics, or the batch's; in use always each image's own.
        jitter: images are enlarged by this factor and cropped at random to what they were; 286/256 in the papers, 1 is off.
        mirror: exchange left and right of half of the records.
        optimizer: how every player moves.
        decay_from: share of the rounds from which the learning rate falls linearly to 0; 1 keeps it.
    """

    width: int = 64
    d_width: int = 64
    norm: Literal["batch", "instance"] = "batch"
    jitter: float = 286 / 256
    mirror: bool = True
    optimizer: Adam | RMSprop | SGD = field(default_factory=Adam)
    decay_from: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.jitter < 1 or not 0 <= self.decay_from <= 1:
            raise UsageError(f"jitter must be at least 1 and decay_from a share; they are {self.jitter} and {self.decay_from}.")

    def at_least_one(self) -> tuple[str, ...]:
        """Names of the settings that must be 1 or more."""
        return (*super().at_least_one(), "width", "d_width")


class TranslationGame(Game):
    """What the games of translation share: jittered inputs, two kinds of players with one schedule."""

    multiple: int
    config: TranslationConfig

    def add_mover(self, name: str, modules: list[nn.Module]) -> None:
        """Enter a player with the configuration's optimiser and schedule."""
        optimizer, start = self.config.optimizer, self.config.decay_from
        self.add_player(name, modules, optimizer, schedule=linear_decay(optimizer.lr, start) if start < 1 else None)

    def jittered(self, tag: str, *images: Tensor) -> list[Tensor]:
        """Images of one record, all cropped and mirrored alike; the same in every turn of a round."""
        found: list[Tensor] | None = self.kept.get((tag, self.draws.piece))
        if found is None:
            found = list(images)
            if self.config.jitter > 1 or self.config.mirror:
                draws = self.shared_draws(tag)
                places = draws.uniform(len(images[0]), 3).to(images[0])
                found = [jitter(x, places, self.config.jitter, mirror=self.config.mirror) for x in images]
            self.kept[tag, self.draws.piece] = found
        return found


def jitter(x: Tensor, places: Tensor, factor: float, *, mirror: bool) -> Tensor:
    """Enlarge images, crop each to the size it had, and mirror some.

    Args:
        x: [n, c, h, w].
        places: uniform numbers [n, 3]: where the crop's top and left lie, and whether an image is mirrored (below 1/2).
        factor: of the enlargement (bicubic).
        mirror: whether any is.
    Returns:
        [n, c, h, w], in [-1, 1].
    """
    n, _, h, w = x.shape
    size = round(h * factor), round(w * factor)
    big = x if size == (h, w) else F.interpolate(x, size, mode="bicubic", align_corners=False).clamp(-1, 1)
    free = places.new_tensor([size[0] - h + 1, size[1] - w + 1])
    corner = (places[:, :2] * free).long()
    rows, columns = (corner[:, axis, None] + torch.arange(side, device=x.device) for axis, side in enumerate((h, w)))
    if mirror:
        columns = torch.where(places[:, 2:] < 0.5, columns.flip(1), columns)
    cut = big[torch.arange(n, device=x.device)[:, None, None], :, rows[:, :, None], columns[:, None, :]]  # n h w c
    return cut.permute(0, 3, 1, 2)


def pixel_scores(x: Tensor, target: Tensor) -> dict[str, Tensor]:
    """Mean absolute error of images in [-1, 1], and the mean over the images of their peak signal-to-noise ratio, in decibels.

    >>> {name: round(value.item(), 3) for name, value in pixel_scores(torch.zeros(1, 1, 2, 2), torch.full((1, 1, 2, 2), 0.2)).items()}
    {'error': 0.2, 'psnr': 20.0}
    """
    squared = (x - target).square().flatten(1).mean(1).clamp(min=1e-10)
    return {"error": (x - target).abs().mean(), "psnr": (10 * torch.log10(4 / squared)).mean()}


@dataclass(frozen=True, kw_only=True)
class PairedConfig(TranslationConfig):
    """Settings of pix2pix.

    Attributes:
        adversary: what D judges: the pair of input and output ("pair", the conditional GAN), the output alone ("image"), or there is no D ("none").
        l1_weight: lambda of |y - G(x)|_1.
        skips: whether the decoder sees the encoder's maps (U-Net) or not (encoder-decoder).
        noise: dropout in the decoder, in use too.
        patch: side of what a logit of D sees.
    """

    adversary: Literal["pair", "image", "none"] = "pair"
    l1_weight: float = 100.0
    skips: bool = True
    noise: bool = True
    patch: Literal[1, 16, 34, 70, 142, 286] = 70

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.adversary == "none" and self.l1_weight <= 0:
            raise UsageError("Without an adversary and without l1_weight there is nothing to learn. Set one of them.")


class PairedTranslation(TranslationGame):
    """pix2pix: D moves, then G; the fakes of a round are computed once.

    Args:
        config: the settings above.
        generator: images -> images, with an attribute ``multiple``.
        discriminator: of the pair, channels one behind the other, or of the output alone; None where the adversary is "none".
        objective: of the adversaries.
    """

    metric = "error"

    def __init__(self, config: PairedConfig, generator: nn.Module, discriminator: nn.Module | None, objective: Objective | None = None) -> None:
        super().__init__()
        self.config: PairedConfig = config
        self.generator, self.objective = generator, objective or NonSaturating(halved=True)
        self.multiple = int(generator.multiple)  # type: ignore[arg-type]
        self.add_mover("generator", [generator])
        if discriminator is not None:
            self.discriminator = discriminator
            self.add_mover("discriminator", [discriminator])

    def play(self) -> Iterator[Turn]:
        """D on the pairs, then G on the same."""
        if self.config.adversary != "none":
            yield self.discriminator_turn
        yield self.generator_turn

    @turn("discriminator")
    def discriminator_turn(self, batch: Batch) -> Loss:
        """Tell pairs of the data from pairs with a generated half."""
        x, y = self.jittered("pair", batch.image, batch.partner)
        with self.players["generator"].thawed():
            fake = self.generator(x)
        self.kept["fake", self.draws.piece] = fake
        if mixes_kinds(self.discriminator):
            real_logits, fake_logits = self.judge(x, y), self.judge(x, fake.detach())
        else:
            with use(self.draws), self.draws.together(2):
                real_logits, fake_logits = self.judge(torch.cat([x, x]), torch.cat([y, fake.detach()])).chunk(2)
        loss = Loss(adversarial=self.objective.discriminator(real_logits, fake_logits).mean())
        return loss.watch(**self.objective.opinion(real_logits.detach(), fake_logits.detach()))

    @turn("generator", batch="same")
    def generator_turn(self, batch: Batch) -> Loss:
        """Persuade D, and come near the wanted image."""
        x, y = self.jittered("pair", batch.image, batch.partner)
        fake = self.kept.pop(("fake", self.draws.piece), None)
        fake = self.generator(x) if fake is None else fake
        loss = Loss()
        if self.config.adversary != "none":
            loss.add("adversarial", self.objective.generator(self.judge(x, fake)).mean())
        l1 = (fake - y).abs().mean()
        if self.config.l1_weight:
            loss.add("l1", self.config.l1_weight * l1)
        return loss.watch(error=l1.detach())

    def judge(self, x: Tensor, y: Tensor) -> Tensor:
        """Logits of the patches of y, or of the pair."""
        logits: Tensor = self.discriminator(torch.cat([x, y], 1) if self.config.adversary == "pair" else y).logits
        return logits

    def translate(self, x: Tensor, **targets: Any) -> Tensor:
        """G(x); its noise comes from the draws in use."""
        if targets:
            raise UsageError(f"pix2pix translates one way only; it knows no {', '.join(targets)}.")
        y: Tensor = self.generator(x)
        return y

    def show(self, batch: Batch, draws: Draws) -> Tensor:
        """Input, output and target of each record; grey images in three channels beside coloured ones."""
        return side_by_side(batch.image, self.translate(batch.image), batch.partner)

    def measure(self, batch: Batch, draws: Draws) -> dict[str, Tensor]:
        """Distance from the wanted images."""
        return pixel_scores(self.translate(batch.image), batch.partner)


def side_by_side(*images: Tensor) -> Tensor:
    """Images [n, c, h, w] of one size that belong together, [n, m, c, h, w]; grey ones in as many channels as the others."""
    channels = max(x.shape[1] for x in images)
    return torch.stack([x.expand(-1, channels, -1, -1) if x.shape[1] == 1 else x for x in images], 1)
