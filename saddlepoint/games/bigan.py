"""Games with a generator and an encoder that learns to invert it.

    BiGAN              D minimises  -log D(x, E(x)) - log(1 - D(G(z), z)),  G and E minimise the same with the labels exchanged
    latent regressor   a GAN on x alone; E minimises the error of z from E(G(z)) and never sees a real image
    joint regressor    the same, and G minimises a quarter of that error too

Donahue et al. 2017 (arXiv:1605.09782), Eq. 3 and Section 4, and the code released with it; ALI is Dumoulin et al. 2017 (arXiv:1606.00704).

Axes: n batch, c channels, h w image, d latent.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

from saddlepoint.data.records import Batch
from saddlepoint.draws import Draws, use
from saddlepoint.errors import UsageError
from saddlepoint.games.game import Game, Loss, Turn, turn
from saddlepoint.games.player import Adam, Clock, Schedule
from saddlepoint.games.settings import GameConfig
from saddlepoint.networks.bigan import Latent
from saddlepoint.objectives import minimax


@dataclass(frozen=True, kw_only=True)
class InvertingConfig(GameConfig):
    """Settings of BiGAN and of the latent regressors.

    Attributes:
        latent_dim: numbers in z.
        latent: z is uniform on [-1, 1], or standard normal.
        optimizer: how every player moves.
        decay_start: share of the rounds after which the learning rate falls, exponentially, to a hundredth at the end.
        decay_steps: how many steps it falls in.
    """

    latent_dim: int = 50
    latent: Latent = "uniform"
    optimizer: Adam = field(default_factory=lambda: Adam(lr=2e-4, beta1=0.5, weight_decay=2.5e-5))
    decay_start: float = 0.5
    decay_steps: int = 200

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.decay_start < 1:
            raise UsageError(f"decay_start must be a share of the rounds from 0 up to, not including, 1; it is {self.decay_start}.")

    def at_least_one(self) -> tuple[str, ...]:
        """Names of the settings that must be 1 or more."""
        return (*super().at_least_one(), "latent_dim", "decay_steps")


def late_decay(lr: float, start: float, steps: int, share: float = 0.01) -> Schedule:
    """Learning rate constant until the share ``start`` of the horizon, then ``share`` ** (1/steps), ``share`` ** (2/steps), ... of it.

    >>> [round(late_decay(1.0, 0.5, 2)(Clock(round=r, horizon=4))["lr"], 3) for r in range(4)]
    [1.0, 1.0, 0.1, 0.01]
    """

    def schedule(clock: Clock) -> dict[str, float]:
        if clock.progress < start:
            return {"lr": lr}
        step = min(int((clock.progress - start) / (1 - start) * steps + 1e-9) + 1, steps)
        return {"lr": lr * share ** (step / steps)}

    return schedule


class InvertingGame(Game):
    """A generator, an encoder and a discriminator; what the games below share.

    Args:
        config: the settings above.
        generator: latents -> images in [-1, 1].
        encoder: images -> raw codes [n, d]; ``features`` is its last hidden layer.
        discriminator: images, or images and latents -> Judgement.
    """

    metric = "error_share"

    def __init__(self, config: InvertingConfig, generator: nn.Module, encoder: nn.Module, discriminator: nn.Module) -> None:
        super().__init__()
        self.config = config
        self.generator, self.encoder, self.discriminator = generator, encoder, discriminator

    def enter(self, name: str, modules: list[nn.Module]) -> None:
        """Add a player with the settings that all of them share."""
        c = self.config
        self.add_player(name, modules, c.optimizer, schedule=late_decay(c.optimizer.lr, c.decay_start, c.decay_steps))

    def latents(self, n: int, draws: Draws) -> Tensor:
        """Draw z [n, d]."""
        d = self.config.latent_dim
        return draws.normal(n, d) if self.config.latent == "normal" else draws.uniform(n, d, low=-1.0, high=1.0)

    def code(self, x: Tensor) -> Tensor:
        """E(x) [n, d], in the range of z."""
        raw: Tensor = self.encoder(x)
        return raw if self.config.latent == "normal" else 2 * torch.sigmoid(raw) - 1

    def latent_error(self, z: Tensor, x: Tensor) -> Tensor:
        """Error of E(x) as an estimate of z, a number's mean [n]: cross-entropy of (z + 1) / 2 in nats, or half the squared error of normal z."""
        raw: Tensor = self.encoder(x)
        if self.config.latent == "normal":
            return 0.5 * (raw - z).square().mean(1)
        return binary_cross_entropy_with_logits(raw, (z + 1) / 2, reduction="none").mean(1)

    @torch.no_grad()
    def sample(self, n: int, draws: Draws, labels: Tensor | None = None, truncation: float | None = None) -> Tensor:
        """Draw n samples of G."""
        if truncation is not None:
            raise UsageError("This generator's latents have no truncation. Leave it out.")
        with _at_rest(self), use(draws):
            x: Tensor = self.generator(self.latents(n, draws))
        return x

    def encode(self, x: Tensor) -> Tensor:
        """Codes [n, d]."""
        with _at_rest(self):
            return self.code(x)

    def features(self, x: Tensor) -> Tensor:
        """The encoder's last hidden layer [n, width]: better for classifying than the code itself (Section 4.1)."""
        with _at_rest(self):
            found: Tensor = self.encoder.features(x)  # type: ignore[operator]
        return found

    def reconstruct(self, x: Tensor) -> Tensor:
        """G(E(x))."""
        with _at_rest(self):
            made: Tensor = self.generator(self.code(x))
        return made

    def show(self, batch: Batch, draws: Draws) -> Tensor:
        """Each image beside its reconstruction, and a sample."""
        return torch.stack([batch.x, self.reconstruct(batch.x), self.sample(len(batch), draws)], 1)

    def measure(self, batch: Batch, draws: Draws) -> dict[str, Tensor]:
        """Distances of images from their reconstructions, pixels in [0, 1], and of reconstructions from other images; their ratio; and of z.

        "latent_share" is the mean squared error of E(G(z)), divided by the variance of z: 1 is what a constant has.
        """
        x, z = batch.x, self.latents(len(batch), draws)
        again, fake = self.reconstruct(x), self.sample_at(z)
        error, random = distance_of_images(x, again), distance_of_images(x.roll(1, 0), again)
        variance = 1.0 if self.config.latent == "normal" else 1 / 3
        of_fakes = distance_of_images(fake, self.reconstruct(fake))
        share = (self.encode(fake) - z).square().mean() / variance
        return {"error_share": error / random, "error": error, "error_random": random, "error_fakes": of_fakes, "latent_share": share}

    def sample_at(self, z: Tensor) -> Tensor:
        """G(z), images of given latents."""
        with _at_rest(self):
            x: Tensor = self.generator(z)
        return x


def distance_of_images(a: Tensor, b: Tensor) -> Tensor:
    """Mean Euclidean distance of pairs of images in [-1, 1], in units of [0, 1]."""
    each: Tensor = torch.linalg.vector_norm(((a - b) / 2).flatten(1), dim=1)
    return each.mean()


@contextlib.contextmanager
def _at_rest(game: nn.Module) -> Iterator[None]:
    """Batch normalisation by its running statistics."""
    was_training = game.training
    game.eval()
    try:
        yield
    finally:
        game.train(was_training)


class BiGANGame(InvertingGame):
    """D tells (x, E(x)) from (G(z), z)."""

    def __init__(self, config: InvertingConfig, generator: nn.Module, encoder: nn.Module, discriminator: nn.Module) -> None:
        super().__init__(config, generator, encoder, discriminator)
        self.enter("discriminator", [discriminator])
        self.enter("generator", [generator, encoder])

    def play(self) -> Iterator[Turn]:
        """D, then G and E together, on the same images."""
        yield self.discriminator_turn
        yield self.generator_turn

    @turn("discriminator")
    def discriminator_turn(self, batch: Batch) -> Loss:
        """Eq. 3, D's side, halved as in the released code."""
        with torch.no_grad():
            real, fake = self._pairs(batch)
        real_logits, fake_logits = self.discriminator(*real).logits, self.discriminator(*fake).logits
        return Loss(adversarial=minimax.discriminator(real_logits, fake_logits).mean() / 2)

    @turn("generator", batch="same")
    def generator_turn(self, batch: Batch) -> Loss:
        """Eq. 3 with the labels exchanged (Section 3.4): -log(1 - D(x, E(x))) - log D(G(z), z), halved."""
        real, fake = self._pairs(batch)
        encoder = softplus(self.discriminator(*real).logits).mean() / 2
        return Loss(encoder=encoder, generator=minimax.nonsaturating_generator(self.discriminator(*fake).logits).mean() / 2)

    def _pairs(self, batch: Batch) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        z = self.latents(len(batch), self.draws)
        return (batch.x, self.code(batch.x)), (self.generator(z), z)


class LatentRegressorGame(InvertingGame):
    """A GAN, and an encoder that learns z from its samples alone.

    Args:
        config: the settings above.
        generator: latents -> images.
        encoder: images -> raw codes.
        discriminator: images -> Judgement.
        joint: None, or the weight of the encoder's error in G's own loss: then G and E move together.
    """

    def __init__(
        self, config: InvertingConfig, generator: nn.Module, encoder: nn.Module, discriminator: nn.Module, *, joint: float | None = None
    ) -> None:
        super().__init__(config, generator, encoder, discriminator)
        self.joint = joint
        self.enter("discriminator", [discriminator])
        self.enter("generator", [generator] if joint is None else [generator, encoder])
        if joint is None:
            self.enter("encoder", [encoder])

    def play(self) -> Iterator[Turn]:
        """D, G, and E where it moves alone."""
        yield self.discriminator_turn
        yield self.generator_turn
        if self.joint is None:
            yield self.encoder_turn

    @turn("discriminator")
    def discriminator_turn(self, batch: Batch) -> Loss:
        """D tells x from G(z); halved as in the released code."""
        with torch.no_grad():
            x_fake = self.generator(self.latents(len(batch), self.draws))
        real_logits, fake_logits = self.discriminator(batch.x).logits, self.discriminator(x_fake).logits
        return Loss(adversarial=minimax.discriminator(real_logits, fake_logits).mean() / 2)

    @turn("generator", batch="same")
    def generator_turn(self, batch: Batch) -> Loss:
        """-log D(G(z)), and the weighted error of the encoder."""
        z = self.latents(len(batch), self.draws)
        x_fake = self.generator(z)
        loss = Loss(adversarial=minimax.nonsaturating_generator(self.discriminator(x_fake).logits).mean())
        if self.joint is not None:
            loss.add("latent", self.joint * self.latent_error(z, x_fake).mean())
        return loss

    @turn("encoder", batch="same")
    def encoder_turn(self, batch: Batch) -> Loss:
        """E's error on samples of G."""
        z = self.latents(len(batch), self.draws)
        with torch.no_grad():
            x_fake = self.generator(z)
        return Loss(latent=self.latent_error(z, x_fake).mean())
