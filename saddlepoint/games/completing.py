"""Context Encoders: a part of an image is taken out and predicted from what is around it.

    G minimises  .999 E w (x - G(x~))^2 + .001 E -log D(G(x~))      x~: x with the hole filled by a mean colour
    D minimises  -E log D(x) - E log(1 - D(G(x~)))                  D sees the predicted region alone

Pathak et al. 2016 (arXiv:1604.07379), Eq. 1 to 3, and the released code. The central region is predicted with a ring of known pixels around the hole,
where w is 10, so that it joins what is around it; a random region has the whole image predicted.

Axes: n batch, c channels, h w image, g cells of a pattern.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saddlepoint.data.records import Batch
from saddlepoint.draws import Draws
from saddlepoint.errors import UsageError
from saddlepoint.games.game import Loss, Turn, turn
from saddlepoint.games.player import SGD, Adam, RMSprop
from saddlepoint.games.restoring import RestorationConfig, RestorationGame, crops
from saddlepoint.games.translating import side_by_side
from saddlepoint.networks.base import mixes_samples
from saddlepoint.objectives.minimax import NonSaturating
from saddlepoint.objectives.objective import Objective

FILL = (2 * 117 / 255 - 1, 2 * 104 / 255 - 1, 2 * 123 / 255 - 1)  # of the three channels in [-1, 1]; other images: their mean
CELLS = 0.06 * 128  # of a random pattern, a side
COVERED = (0.2, 0.3)  # share of an image that a pattern takes out


@runtime_checkable
class Completes(Protocol):
    """A game that fills holes in images.

    Attributes:
        size: height and width of the images it takes.
        window: top, left, bottom and right of what can be filled, as shares of the image.
    """

    size: tuple[int, int]
    window: tuple[float, float, float, float]

    def complete(self, x: Tensor, mask: Tensor) -> Tensor:
        """Images float [n, c, *size] in [-1, 1] filled where ``mask`` [n, 1, *size] is 1, and as they are where it is 0."""
        ...


@dataclass(frozen=True, kw_only=True)
class CompletingConfig(RestorationConfig):
    """Settings of Context Encoders.

    Attributes:
        region: what is taken out: the middle ("center"), or smooth patterns that cover a fifth to three tenths of the image ("random").
        network: encoder and decoder joined by a "dense" code, or within each channel ("channelwise"); or "alexnet", the network of feature learning.
        bottleneck: numbers of the dense code.
        overlap: known pixels on each side of the hole in the middle that are predicted as well; of random regions, whether known ones count more.
        overlap_weight: of their squared error.
        rec_weight: of the squared error; the adversary's loss has the rest to 1. At 1 there is no D.
        g_factor: G's learning rate over D's.
    """

    mirror: bool = True
    optimizer: Adam | RMSprop | SGD = field(default_factory=Adam)
    region: Literal["center", "random"] = "center"
    network: Literal["dense", "channelwise", "alexnet"] = "dense"
    bottleneck: int = 4000
    overlap: int = 4
    overlap_weight: float = 10.0
    rec_weight: float = 0.999
    g_factor: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.rec_weight <= 1 or self.overlap < 0:
            raise UsageError(f"rec_weight must be a share and overlap 0 or more; they are {self.rec_weight} and {self.overlap}.")

    def at_least_one(self) -> tuple[str, ...]:
        """Names of the settings that must be 1 or more."""
        return (*super().at_least_one(), "bottleneck")


class CompletingGame(RestorationGame):
    """D moves on the region, then G; the predictions of a round are computed once.

    Args:
        config: the settings above.
        generator: filled images -> the region, with a method ``encode``.
        discriminator: of the region; None where the squared error is all.
        size: height and width of the images of a turn.
        objective: of the adversaries.
    """

    metric = "l2"

    def __init__(
        self,
        config: CompletingConfig,
        generator: nn.Module,
        discriminator: nn.Module | None,
        size: tuple[int, int],
        objective: Objective | None = None,
    ) -> None:
        super().__init__()
        self.config: CompletingConfig = config
        self.size, self.generator, self.objective = size, generator, objective or NonSaturating()
        self.inside = region_of(size, config)
        hole = [side.start + config.overlap for side in self.inside], [side.stop - config.overlap for side in self.inside]
        self.hole = tuple(slice(a, b) for a, b in zip(*hole, strict=True)) if config.region == "center" else self.inside
        tops, ends = ([getattr(side, end) / whole for side, whole in zip(self.hole, size, strict=True)] for end in ("start", "stop"))
        self.window = tops[0], tops[1], ends[0], ends[1]
        self.add_player("generator", [generator], replace(config.optimizer, lr=config.optimizer.lr * config.g_factor))
        if discriminator is not None:
            self.discriminator = discriminator
            self.add_player("discriminator", [discriminator], config.optimizer)

    def play(self) -> Iterator[Turn]:
        """D on the regions, then G on the same."""
        if self.config.rec_weight < 1:
            yield self.discriminator_turn
        yield self.generator_turn

    @turn("discriminator")
    def discriminator_turn(self, batch: Batch) -> Loss:
        """Tell true regions from predicted ones."""
        x = self.cropped(batch)
        with self.players["generator"].thawed():
            fake = self.generator(self.emptied(x, self.masks(x)))
        self.kept["fake", self.draws.piece] = fake
        real = self.region(x)
        if mixes_samples(self.discriminator):
            real_logits, fake_logits = self.discriminator(real).logits, self.discriminator(fake.detach()).logits
        else:
            real_logits, fake_logits = self.discriminator(torch.cat([real, fake.detach()])).logits.chunk(2)
        loss = Loss(adversarial=self.objective.discriminator(real_logits, fake_logits).mean())
        return loss.watch(**self.objective.opinion(real_logits.detach(), fake_logits.detach()))

    @turn("generator", batch="same")
    def generator_turn(self, batch: Batch) -> Loss:
        """Come near the true region, and be taken for one (Eq. 3)."""
        x, config = self.cropped(batch), self.config
        masks = self.masks(x)
        fake = self.kept.pop(("fake", self.draws.piece), None)
        fake = self.generator(self.emptied(x, masks)) if fake is None else fake
        squared = (fake - self.region(x)).square()
        loss = Loss(reconstruction=config.rec_weight * (self.weights(masks) * squared).mean())
        if config.rec_weight < 1:
            loss.add("adversarial", (1 - config.rec_weight) * self.objective.generator(self.discriminator(fake).logits).mean())
        return loss.watch(squared=squared.detach().mean())

    def masks(self, x: Tensor) -> Tensor:
        """What the encoder does not see, 1, [n, 1, h, w]; the same in every turn of a round."""
        found: Tensor | None = self.kept.get(("masks", self.draws.piece))
        if found is None:
            draws = self.shared_draws("masks") if self.config.region == "random" else None
            found = self.kept["masks", self.draws.piece] = self.masks_for(x, draws)
        return found

    def masks_for(self, x: Tensor, draws: Draws | None) -> Tensor:
        """The central hole, or patterns drawn by ``draws``."""
        if self.config.region == "random":
            assert draws is not None
            return patterns(len(x), self.size, draws).to(x)
        masks = x.new_zeros(len(x), 1, *self.size)
        masks[:, :, self.hole[0], self.hole[1]] = 1
        return masks

    def emptied(self, x: Tensor, masks: Tensor) -> Tensor:
        """Images with the mean colour in their holes."""
        c = x.shape[1]
        fill = x.new_tensor(FILL if c == 3 else [sum(FILL) / 3] * c)[:, None, None]
        return torch.where(masks > 0, fill, x)

    def region(self, x: Tensor) -> Tensor:
        """The part of images that is predicted."""
        return x[:, :, self.inside[0], self.inside[1]]

    def weights(self, masks: Tensor) -> Tensor:
        """Of the squared error of each predicted pixel: more where it is known."""
        return torch.where(self.region(masks) > 0, 1.0, self.config.overlap_weight if self.config.overlap else 1.0)

    def complete(self, x: Tensor, mask: Tensor) -> Tensor:
        """Images with the predicted pixels where ``mask`` is 1; the middle is hidden from a network of central regions in any case."""
        outside = mask.clone()
        outside[:, :, self.hole[0], self.hole[1]] = 0
        if outside.any():
            top, left, bottom, right = self.hole[0].start, self.hole[1].start, self.hole[0].stop, self.hole[1].stop
            raise UsageError(
                f"This run fills rows {top} to {bottom - 1} and columns {left} to {right - 1} of its {self.size[1]}x{self.size[0]} pixels; the mask "
                "reaches beyond. Draw a smaller one, or train with --region random."
            )
        hidden = self.masks_for(x, None) if self.config.region == "center" else mask
        predicted = x.clone()
        predicted[:, :, self.inside[0], self.inside[1]] = self.generator(self.emptied(x, hidden))
        return torch.where(mask > 0, predicted, x)

    def encode(self, x: Tensor) -> Tensor:
        """Codes [n, d] of images, or of their middles where they are larger than those of training."""
        code: Tensor = self.generator.encode(self.middle(x))  # type: ignore[operator]
        return code

    def show(self, batch: Batch, draws: Draws) -> Tensor:
        """The image with its hole, filled, and as it was."""
        x = self.middle(batch.image)
        masks = self.masks_for(x, draws)
        return side_by_side(self.emptied(x, masks), self.complete(x, masks), x)

    def measure(self, batch: Batch, draws: Draws) -> dict[str, Tensor]:
        """Of the pixels in the hole, in [0, 1]: mean squared and absolute error, and the peak signal-to-noise ratio (Table 1)."""
        x = self.middle(batch.image)
        masks = self.masks_for(x, draws)
        error = (self.complete(x, masks) - x) / 2
        count = masks.flatten(1).sum(1) * x.shape[1]
        l1, l2 = (values.flatten(1).sum(1) / count for values in (error.abs(), error.square()))
        return {"l2": l2.mean(), "l1": l1.mean(), "psnr": (-10 * torch.log10(l2.clamp(min=1e-10))).mean()}


def region_of(size: tuple[int, int], config: CompletingConfig) -> tuple[slice, slice]:
    """Rows and columns that are predicted: the middle half of each side, or all.

    Raises:
        UsageError: if the overlap leaves no hole.
    """
    if config.region == "random":
        return slice(0, size[0]), slice(0, size[1])
    if min(size) // 2 <= 2 * config.overlap:
        raise UsageError(
            f"The middle of {size[1]}x{size[0]} pixels is no larger than an overlap of {config.overlap} on both sides. Set overlap to less."
        )
    rows, columns = (slice(side // 4, side // 4 + side // 2) for side in size)
    return rows, columns


def patterns(n: int, size: tuple[int, int], draws: Draws) -> Tensor:
    """Smooth random regions: 1 where nothing is known, [n, 1, h, w].

    As in the released code, uniform noise on cells (7.68 a side there, of 128 pixels) is made smooth by bicubic interpolation and cut at a level. The
    code cuts all at .25 and throws away what covers less than 20 or more than 30 percent; here each is cut where it covers a share drawn between
    these.

    >>> covered = patterns(8, (32, 32), Draws.seeded(0)).mean((1, 2, 3))
    >>> bool(((covered >= 0.2) & (covered <= 0.3)).all())
    True
    """
    cell = max(max(size) / CELLS, 1.0)
    grid = [math.ceil(side / cell) + 2 for side in size]
    noise = draws.uniform(n, 1, *grid)
    smooth = F.interpolate(noise, [max(math.floor(g * cell), side) for g, side in zip(grid, size, strict=True)], mode="bicubic", align_corners=False)
    smooth = crops(smooth, draws.uniform(n, 3), size, mirror=False)
    order = smooth.flatten(1).sort(1).values  # n hw
    share = draws.uniform(n, low=COVERED[0], high=COVERED[1])
    level = order.gather(1, (share * order.shape[1]).long()[:, None])
    return (smooth < level[:, :, None, None]).to(noise.dtype)
