"""Games of volumes: 3D-GAN and 3D-VAE-GAN, Wu et al. 2016 (arXiv:1610.07584).

    3D-GAN       D minimises  -log D(x) - log(1 - D(G(z)))     only while it is right about no more than 80 % of the last batch
                 G minimises  -log D(G(z))
    3D-VAE-GAN   E, of an image y of x, minimises  a1 KL(q(z|y) || N(0, I)) + a2 |G(E(y)) - x|^2
                 G minimises  -log D(G(z)) + a2 |G(E(y)) - x|^2

Axes: n batch, d latent; volumes are n 1 s s s, images n 3 p p.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from saddlepoint.data.records import Batch
from saddlepoint.draws import Draws, draws_like
from saddlepoint.errors import UsageError
from saddlepoint.games.adversarial import AdversarialGame
from saddlepoint.games.game import Loss, Turn, turn
from saddlepoint.games.player import SGD, Adam, RMSprop
from saddlepoint.games.settings import AdversarialConfig
from saddlepoint.networks.encoders import gaussian_code
from saddlepoint.objectives import overlap, variational
from saddlepoint.objectives.objective import Objective
from saddlepoint.views.upright import Turns, UprightTurns, render

SHOWN_FROM = math.pi / 5  # yaw of the pictures in a preview


@dataclass(frozen=True, kw_only=True)
class GAN3DConfig(AdversarialConfig):
    """Settings of 3D-GAN.

    Attributes:
        width: maps next to the volume; a level further in has twice as many.
        most_accuracy: D moves only while its share of right answers on the last batch is at most this; None: always.
        turns: how real volumes are turned about the up axis: not at all, by right angles, or by any angle.
        soft_labels: D's targets are drawn from U(.7, 1.2) for real and U(0, .3) for generated volumes, as in a public port.
    """

    width: int = 64
    most_accuracy: float | None = 0.8
    turns: Turns = "none"
    soft_labels: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.augment or self.g_batch_factor != 1:
            raise UsageError("Volumes have no image augmentation, and G's batch is D's: leave --augment and --g-batch-factor out.")
        if self.most_accuracy is not None and not 0 < self.most_accuracy <= 1:
            raise UsageError(f"most_accuracy is a share above 0 and up to 1; it is {self.most_accuracy}.")

    def at_least_one(self) -> tuple[str, ...]:
        """Names of the settings that must be 1 or more."""
        return (*super().at_least_one(), "width")


def accuracy(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Share of right answers, half of the real and half of the generated: a scalar.

    >>> accuracy(torch.tensor([1.0, -1.0]), torch.tensor([-2.0, -3.0])).item()
    0.75
    """
    right = [(logits.detach() > 0).to(logits.dtype).mean() for logits in (real_logits, -fake_logits)]
    return (right[0] + right[1]) / 2


class GAN3DGame(AdversarialGame):
    """G against a D that waits for it; arguments as :class:`AdversarialGame`'s.

    Attributes:
        last_accuracy: D's share of right answers on the last batch; a buffer.
    """

    last_accuracy: Tensor
    metric = "mmd"

    def __init__(self, config: GAN3DConfig, generator: nn.Module, discriminator: nn.Module, objective: Objective) -> None:
        super().__init__(config, generator, discriminator, objective, real_view=UprightTurns(config.turns) if config.turns != "none" else None)
        if config.augmentation is not None:
            raise UsageError("Adaptive augmentation is of images, and these are volumes: leave --augmentation out, or use --turns any.")
        self.settings = config
        self.register_buffer("last_accuracy", torch.zeros((), dtype=torch.float64))
        self._rests = False

    @property
    def waits(self) -> bool:
        """Whether D was right too often on the last batch to move."""
        return self.settings.most_accuracy is not None and bool(self.last_accuracy > self.settings.most_accuracy)

    def play(self) -> Iterator[Turn]:
        """D, where it does not wait, and G; where D waits, G's turn finds out how right it is now."""
        self._rests = self.waits
        if not self._rests:
            for _ in range(self.config.d_steps):
                yield self.discriminator_turn
        for _ in range(self.config.g_steps):
            yield self.generator_turn

    @turn("discriminator")
    def discriminator_turn(self, batch: Batch) -> Loss:
        """Cross-entropy; D's share of right answers is logged."""
        x_real, x_fake = self.reals(batch), self._fakes_for_discriminator(len(batch))[0]
        real, fake = self._judge_both(x_real, x_fake, None, None, together=self.joint)
        loss = self._cross_entropy(real.logits, fake.logits)
        opinion = self.objective.opinion(real.logits.detach(), fake.logits.detach())
        return Loss(adversarial=loss.mean()).watch(accuracy=accuracy(real.logits, fake.logits), **opinion)

    def _cross_entropy(self, real: Tensor, fake: Tensor) -> Tensor:
        if not self.settings.soft_labels:
            return self.objective.discriminator(real, fake)
        softplus, draws = nn.functional.softplus, draws_like(real)
        real_target, fake_target = draws.uniform(len(real), low=0.7, high=1.2).to(real), draws.uniform(len(fake), high=0.3).to(fake)
        return softplus(real) - real_target * real + softplus(fake) - fake_target * fake

    @turn("generator", batch="same")
    def generator_turn(self, batch: Batch) -> Loss:
        """-log D(G(z)); where D waits, how right it is."""
        fake = self.judge(self._fakes_for_generator(len(batch))[0])
        loss = Loss(adversarial=self.objective.generator(fake.logits).mean())
        if self._rests:
            with torch.no_grad():
                loss.watch(accuracy=accuracy(self.judge(self.reals(batch)).logits, fake.logits))
        return loss

    def after_turn(self, turn: Turn, values: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Remember how right D was, over all micro-batches and processes."""
        found = values.get(f"{turn.player}/accuracy")
        if found is not None:
            self.last_accuracy.copy_(found)
        return super().after_turn(turn, values)

    def reals(self, batch: Batch) -> Tensor:
        """The volumes of a batch, turned where they are to be."""
        x: Tensor = batch["volume"] if self.real_view is None else self.real_view(batch["volume"])
        return x

    def show(self, batch: Batch, draws: Draws) -> Tensor:
        """A real volume and three samples, as pictures."""
        samples = self.sample(3 * len(batch), draws)
        pictures = render(torch.cat([batch["volume"], samples]), batch["volume"].new_full((4 * len(batch),), SHOWN_FROM))
        made = pictures[len(batch) :]
        return torch.cat([pictures[: len(batch), None], made.view(len(batch), 3, *made.shape[1:])], 1)

    def measure(self, batch: Batch, draws: Draws) -> dict[str, Tensor]:
        """Against as many samples as the batch has volumes.

        Returns:
            mmd (mean over the real volumes of 1 - IoU with their nearest sample, lower is better), coverage (share of the real volumes that are the
            nearest of some sample), nearest_iou (mean IoU of samples with their nearest real volume), occupancy (of samples over that of real ones).
        """
        samples = self.sample(len(batch), draws)
        found = overlap.pairwise_iou(batch["volume"], samples)  # real, sample
        covered = torch.zeros(len(batch), device=found.device).scatter_(0, found.argmax(0), 1.0)
        size = (samples > overlap.THRESHOLD).to(found).mean() / (batch["volume"] > overlap.THRESHOLD).to(found).mean().clamp(min=1e-9)
        return {"mmd": 1 - found.amax(1).mean(), "coverage": covered.mean(), "nearest_iou": found.amax(0).mean(), "occupancy": size}


@dataclass(frozen=True, kw_only=True)
class VAEGAN3DConfig(GAN3DConfig):
    """Settings of 3D-VAE-GAN.

    Attributes:
        kl_weight: a1.
        reconstruction_weight: a2, of the squared error summed over a volume.
        image_size: side of the images that E sees.
        encoder_width: maps of E's first layer.
        encoder_optimizer: how E moves.
        adversary: "joint" is the paper's; "none" leaves D and the samples out: E and G alone, a regression.
    """

    kl_weight: float = 5.0
    reconstruction_weight: float = 1e-4
    image_size: int = 256
    encoder_width: int = 64
    encoder_optimizer: Adam | RMSprop | SGD = field(default_factory=lambda: Adam(lr=2.5e-3, beta1=0.5))
    adversary: Literal["joint", "none"] = "joint"

    def at_least_one(self) -> tuple[str, ...]:
        """Names of the settings that must be 1 or more."""
        return (*super().at_least_one(), "encoder_width")


class VAEGAN3DGame(GAN3DGame):
    """3D-GAN whose latents can be read from an image.

    The images are the records' own ("image") where they have any; else pictures of the volumes, each from an angle drawn anew in every turn.

    Args:
        config: the settings above.
        generator: G.
        discriminator: D.
        objective: the value function.
        encoder: images -> means and log variances [n, 2 d].
    """

    metric = "iou_error"

    def __init__(self, config: VAEGAN3DConfig, generator: nn.Module, discriminator: nn.Module, objective: Objective, encoder: nn.Module) -> None:
        super().__init__(config, generator, discriminator, objective)
        self.weights, self.encoder = config, encoder
        self.add_player("encoder", [encoder], config.encoder_optimizer)
        if config.adversary == "none":
            del self.players["discriminator"]

    def play(self) -> Iterator[Turn]:
        """D, E and G, on the same records."""
        turns = [each for each in super().play() if self.weights.adversary == "joint" or each.player == "generator"]
        for each in turns:
            if each.player == "generator":
                yield self.encoder_turn
            yield each

    @turn("encoder", batch="same")
    def encoder_turn(self, batch: Batch) -> Loss:
        """KL and reconstruction."""
        images = self.images(batch)
        self.kept["images", self.draws.piece] = images
        mean, log_variance = gaussian_code(self.encoder(images))
        kl = variational.kl_to_standard_normal(mean, log_variance).sum(1).mean()
        return Loss(kl=self.weights.kl_weight * kl, reconstruction=self._reconstruction(batch, mean, log_variance))

    @turn("generator", batch="same")
    def generator_turn(self, batch: Batch) -> Loss:
        """The adversarial part and reconstruction."""
        images = self.kept.pop(("images", self.draws.piece), None)  # those of E's turn
        with torch.no_grad():
            code = gaussian_code(self.encoder(self.images(batch) if images is None else images))
        if self.weights.adversary == "none":
            return Loss(reconstruction=self._reconstruction(batch, *code))
        loss: Loss = super().generator_turn(batch)
        loss.add("reconstruction", self._reconstruction(batch, *code))
        return loss

    def _reconstruction(self, batch: Batch, mean: Tensor, log_variance: Tensor) -> Tensor:
        z = mean + (0.5 * log_variance).exp() * draws_like(mean).normal(*mean.shape)
        error = (self.generate(z, None) - batch["volume"]).square().flatten(1).sum(1)  # |G(E(y)) - x|^2
        return self.weights.reconstruction_weight * error.mean()

    def images(self, batch: Batch) -> Tensor:
        """What E sees [n, 3, p, p]: the records' images, or pictures of the volumes from all around."""
        size = self.weights.image_size
        if "image" in batch.fields:
            return self.fitted(batch["image"])
        yaw = draws_like(batch["volume"]).uniform(len(batch), high=2 * math.pi).to(batch["volume"])
        return render(batch["volume"], yaw, size=size)

    def fitted(self, images: Tensor) -> Tensor:
        """Images [n, 1 or 3, h, w] in [-1, 1] as E takes them."""
        size = self.weights.image_size
        resized = images if images.shape[2:] == (size, size) else interpolate(images, (size, size), mode="bilinear", antialias=True)
        return resized.expand(-1, 3, -1, -1)

    def shapes_of(self, images: Tensor) -> Tensor:
        """Volumes [n, 1, s, s, s] in [0, 1] of images [n, 1 or 3, h, w] in [-1, 1]: G of the means of their codes."""
        return self.generate(gaussian_code(self.encoder(self.fitted(images)))[0], None)

    def show(self, batch: Batch, draws: Draws) -> Tensor:
        """The image, the volume made of it, the true one, and a sample."""
        n, images = len(batch), self.images(batch)
        volumes = torch.cat([self.shapes_of(images), batch["volume"], self.sample(n, draws)])
        pictures = render(volumes, volumes.new_full((3 * n,), SHOWN_FROM), size=images.shape[2])
        return torch.stack([images, *torch.split(pictures, n)], 1)

    def measure(self, batch: Batch, draws: Draws) -> dict[str, Tensor]:
        """Of the volumes made of images: 1 - IoU (lower is better), average precision; and what 3D-GAN measures, where it is one."""
        made = self.shapes_of(self.images(batch))
        error, precision = 1 - overlap.iou(made, batch["volume"]).mean(), overlap.average_precision(made, batch["volume"]).mean()
        others = super().measure(batch, draws) if self.weights.adversary == "joint" else {}
        return {"iou_error": error, "average_precision": precision, **others}
