"""SRGAN: images made larger, by a network that shall be near the true image and be taken for one.

    G minimises  |phi(x) - phi(G(x_small))|^2 + 1e-3 E -log D(G(x_small))      phi: maps of a trained classifier, or the pixels themselves
    D minimises  -E log D(x) - E log(1 - D(G(x_small)))

Ledig et al. 2017 (arXiv:1609.04802), Eq. 2 to 6; G starts from a training by squared error alone (section 3.2). The sum of Eq. 6 is taken as a mean
over the images, as Eq. 2 does with the whole. Axes: n batch, c channels, h w image.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saddlepoint.data.records import Batch
from saddlepoint.draws import Draws
from saddlepoint.errors import UsageError
from saddlepoint.games.game import Loss, Phase, Turn, turn
from saddlepoint.games.player import SGD, Adam, Clock, RMSprop
from saddlepoint.games.restoring import RestorationConfig, RestorationGame
from saddlepoint.games.translating import side_by_side
from saddlepoint.networks.base import mixes_samples
from saddlepoint.objectives.minimax import NonSaturating
from saddlepoint.objectives.objective import Objective

LUMA = (65.481 / 255, 128.553 / 255, 24.966 / 255)  # of red, green and blue in [0, 1]; 16/255 is added (ITU-R BT.601)


@dataclass(frozen=True, kw_only=True)
class EnlargingConfig(RestorationConfig):
    """Settings of SRGAN.

    Attributes:
        factor: how many times as large, a side.
        blocks: residual blocks of the generator.
        hidden: units of the discriminator's last hidden layer.
        content: what shall be near: the "pixels", or the "features" that a trained classifier sees.
        features: whose: VGG-19's maps "vgg54" or "vgg22" (from a file), "lite0" (the extra ``features``), "quick" or "quick2" (shipped).
        weights: file of VGG-19's weights, torchvision's ``vgg19-dcbb9e9d.pth`` or a .safetensors file of it; "" for the others.
        adversarial_weight: of -log D; 0: there is no D (SRResNet).
        pretrain: rounds, of ``rounds``, in which only the squared error of the pixels is learnt.
        adversarial_rate: factor of the learning rate in the rounds after those, where there is a D; 1 as published, for a rate that is small already.
        rate_drop: another one in the second half of those rounds.
    """

    optimizer: Adam | RMSprop | SGD = field(default_factory=lambda: Adam(lr=1e-4, beta1=0.9, beta2=0.999))
    factor: Literal[2, 4] = 4
    blocks: int = 16
    hidden: int = 1024
    content: Literal["pixels", "features"] = "features"
    features: Literal["vgg54", "vgg22", "lite0", "quick", "quick2"] = "vgg54"
    weights: str = ""
    adversarial_weight: float = 1e-3
    pretrain: int = 0
    adversarial_rate: float = 1.0
    rate_drop: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.adversarial_rate, self.rate_drop) <= 0:
            raise UsageError(f"adversarial_rate and rate_drop must be more than 0; they are {self.adversarial_rate} and {self.rate_drop}.")
        if not 0 <= self.pretrain < self.rounds:
            raise UsageError(f"pretrain must be 0 or more and less than the {self.rounds} rounds; it is {self.pretrain}.")

    def at_least_one(self) -> tuple[str, ...]:
        """Names of the settings that must be 1 or more."""
        return (*super().at_least_one(), "blocks", "hidden")


class EnlargingGame(RestorationGame):
    """First G alone on the pixels, then D and G by turns; the fakes of a round are computed once.

    Args:
        config: the settings above.
        generator: images in [0, 1] -> larger ones in [-1, 1].
        discriminator: of the larger images; None where the adversary weighs 0.
        features: images in [-1, 1] -> maps that are compared by squared error; None compares the pixels.
        size: height and width of the larger images of a turn.
        objective: of the adversaries.
    """

    metric = "content"
    multiple = 1

    def __init__(
        self,
        config: EnlargingConfig,
        generator: nn.Module,
        discriminator: nn.Module | None,
        features: nn.Module | None,
        size: tuple[int, int],
        objective: Objective | None = None,
    ) -> None:
        super().__init__()
        self.config: EnlargingConfig = config
        self.size, self.scale = size, config.factor
        self.generator, self.objective = generator, objective or NonSaturating()
        self.features = features
        if config.pretrain:
            self.phases = (Phase("pixels", config.pretrain), Phase("content", config.rounds - config.pretrain, fresh=("generator",)))
        self.add_player("generator", [generator], config.optimizer, schedule=self._rate)
        if discriminator is not None:
            self.discriminator = discriminator
            self.add_player("discriminator", [discriminator], config.optimizer, schedule=self._rate)

    def _rate(self, clock: Clock) -> Mapping[str, float]:
        """The rate, where there is an adversary another one after the pre-training, and in the second half of that phase the smaller one."""
        config, place = self.config, self.place
        if not config.adversarial_weight or (place is not None and place.phase.name == "pixels"):
            return {"lr": config.optimizer.lr}
        done = clock.progress if place is None else place.progress(clock.round)
        return {"lr": config.optimizer.lr * config.adversarial_rate * (config.rate_drop if done >= 0.5 else 1.0)}

    def play(self) -> Iterator[Turn]:
        """The pixels alone; then D, and G on the same images."""
        if self.place is not None and self.place.phase.name == "pixels":
            yield self.pixel_turn
            return
        if self.config.adversarial_weight:
            yield self.discriminator_turn
        yield self.generator_turn

    @turn("generator")
    def pixel_turn(self, batch: Batch) -> Loss:
        """Squared error of the pixels (Eq. 4)."""
        x = self.cropped(batch)
        return Loss(pixels=(self.enlarged(self.shrunk(x)) - x).square().mean())

    @turn("discriminator")
    def discriminator_turn(self, batch: Batch) -> Loss:
        """Tell true images from enlarged ones."""
        x = self.cropped(batch)
        with self.players["generator"].thawed():
            fake = self.enlarged(self.shrunk(x))
        self.kept["fake", self.draws.piece] = fake
        if mixes_samples(self.discriminator):
            real_logits, fake_logits = self.discriminator(x).logits, self.discriminator(fake.detach()).logits
        else:
            real_logits, fake_logits = self.discriminator(torch.cat([x, fake.detach()])).logits.chunk(2)
        loss = Loss(adversarial=self.objective.discriminator(real_logits, fake_logits).mean())
        return loss.watch(**self.objective.opinion(real_logits.detach(), fake_logits.detach()))

    @turn("generator", batch="same")
    def generator_turn(self, batch: Batch) -> Loss:
        """Come near the true image, and be taken for one (Eq. 3)."""
        x = self.cropped(batch)
        fake = self.kept.pop(("fake", self.draws.piece), None)
        fake = self.enlarged(self.shrunk(x)) if fake is None else fake
        loss = Loss(content=self.distance(fake, x))
        if self.config.adversarial_weight:
            loss.add("adversarial", self.config.adversarial_weight * self.objective.generator(self.discriminator(fake).logits).mean())
        return loss.watch(pixels=(fake.detach() - x).square().mean())

    def distance(self, fake: Tensor, x: Tensor) -> Tensor:
        """Mean squared error of the maps (Eq. 5), or of the pixels (Eq. 4)."""
        if self.features is None:
            return (fake - x).square().mean()
        with torch.no_grad():
            wanted: Tensor = self.features(x)
        found: Tensor = self.features(fake)
        return (found - wanted).square().mean()

    def shrunk(self, x: Tensor) -> Tensor:
        """Images [n, c, h, w] in [-1, 1] at a size ``factor`` times smaller, bicubic with the wider kernel of an antialiased reduction."""
        size = [side // self.scale for side in x.shape[2:]]
        return F.interpolate(x, size, mode="bicubic", antialias=True, align_corners=False).clamp(-1, 1)

    def enlarged(self, small: Tensor) -> Tensor:
        """G of images in [-1, 1]; it is given them in [0, 1]."""
        y: Tensor = self.generator((small + 1) / 2)
        return y

    def translate(self, x: Tensor, **targets: Any) -> Tensor:
        """Images [n, c, h, w] in [-1, 1] -> [n, c, factor h, factor w]."""
        if targets:
            raise UsageError(f"SRGAN makes images larger; it knows no {', '.join(targets)}.")
        return self.enlarged(x).clamp(-1, 1)

    def show(self, batch: Batch, draws: Draws) -> Tensor:
        """The small image with its pixels enlarged, bicubic, by G, and the true one."""
        x = self.middle(batch.image)
        small, size = self.shrunk(x), x.shape[2:]
        nearest = F.interpolate(small, size, mode="nearest")
        smooth = F.interpolate(small, size, mode="bicubic", align_corners=False).clamp(-1, 1)
        return side_by_side(nearest, smooth, self.translate(small), x)

    def measure(self, batch: Batch, draws: Draws) -> dict[str, Tensor]:
        """The content loss, and the peak signal-to-noise ratio of the brightness, without a border of ``factor`` pixels; of middles."""
        x = self.middle(batch.image)
        fake = self.translate(self.shrunk(x))
        return {"content": self.distance(fake, x), "psnr": luma_psnr(fake, x, border=self.scale).mean()}


def luma(x: Tensor) -> Tensor:
    """Brightness Y of YCbCr in [16/255, 235/255] of images in [-1, 1]; grey images in [0, 1]: [n, h, w]."""
    x = (x + 1) / 2
    return x[:, 0] if x.shape[1] == 1 else 16 / 255 + (x[:, :3] * x.new_tensor(LUMA)[:, None, None]).sum(1)


def luma_psnr(x: Tensor, target: Tensor, *, border: int = 4) -> Tensor:
    """Peak signal-to-noise ratio of the brightness in decibels [n], without ``border`` pixels at each side (Ledig et al. 2017, section 3.1).

    >>> round(luma_psnr(torch.zeros(1, 1, 16, 16), torch.full((1, 1, 16, 16), 0.2)).item(), 3)
    20.0
    """
    inside = (slice(None), slice(border, -border or None), slice(border, -border or None))
    squared = (luma(x)[inside] - luma(target)[inside]).square().flatten(1).mean(1)
    return -10 * torch.log10(squared.clamp(min=1e-10))
