"""The brute-force encoder: a generator is trained, and then an encoder learns by regression which z its samples were made from.

    first   a GAN:  D minimises  -log D(x, y) - log(1 - D(G(z, y), y)),  G minimises  -log D(G(z, y), y)
    then    E minimises  |E_z(G(z, y)) - z|^2 / d - log E_y(y | G(z, y))

E never sees a real image. Where samples cover the data it inverts G; where G has dropped a part of the data, images of that part have no code, and
the error on real images stays large however small it is on samples. Perarnau et al. 2016 (arXiv:1611.06355), Section 3.2, train the encoder of z so.

Axes: n batch, c channels, h w image, d latent, k classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from saddlepoint.data.records import Batch
from saddlepoint.draws import Draws, use
from saddlepoint.errors import UsageError
from saddlepoint.games.bigan import distance_of_images
from saddlepoint.games.game import Game, Loss, Turn, turn
from saddlepoint.games.player import Adam
from saddlepoint.games.settings import GameConfig
from saddlepoint.networks.base import Discriminator, Generator
from saddlepoint.objectives import minimax


@dataclass(frozen=True, kw_only=True)
class BruteForceConfig(GameConfig):
    """Settings of the brute-force encoder.

    Attributes:
        latent_dim: numbers in z, standard normal.
        pretrain: rounds of the GAN before the encoder's.
        conditional: G, D and E are told or tell the class (data must have labels).
        width: channels of the GAN's largest map.
        encoder_width: channels of the encoder's first map, 2, 4 and 8 times as many in the next.
        optimizer: how G and D move.
        encoder_optimizer: how E moves.
    """

    latent_dim: int = 100
    pretrain: int = 100_000
    conditional: bool = False
    width: int = 64
    encoder_width: int = 32
    optimizer: Adam = field(default_factory=lambda: Adam(lr=2e-4, beta1=0.5))
    encoder_optimizer: Adam = field(default_factory=lambda: Adam(lr=1e-4, beta1=0.1))

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.pretrain >= self.rounds:
            raise UsageError(f"The encoder learns after the GAN's {self.pretrain} rounds, and there are {self.rounds}. Set a lower --pretrain.")

    def at_least_one(self) -> tuple[str, ...]:
        """Names of the settings that must be 1 or more."""
        return (*super().at_least_one(), "latent_dim", "pretrain", "width", "encoder_width")


class BruteForceGame(Game):
    """G against D, then E alone.

    Args:
        config: the settings above.
        generator: latents (and labels) -> images.
        discriminator: images (and labels) -> Judgement.
        encoder: images -> z, and class logits behind it where the game is conditional: [n, d + k].
        num_classes: k; None where nobody is told classes.
    """

    metric = "error_share"

    def __init__(
        self, config: BruteForceConfig, generator: Generator, discriminator: Discriminator, encoder: nn.Module, num_classes: int | None = None
    ) -> None:
        super().__init__()
        self.config, self.num_classes = config, num_classes
        self.generator, self.discriminator, self.encoder = generator, discriminator, encoder
        self.add_player("discriminator", [discriminator], config.optimizer)
        self.add_player("generator", [generator], config.optimizer)
        self.add_player("encoder", [encoder], config.encoder_optimizer)

    def play(self) -> Iterator[Turn]:
        """The GAN's round, or the encoder's."""
        if self.clock.round < self.config.pretrain:
            yield self.discriminator_turn
            yield self.generator_turn
        else:
            yield self.encoder_turn

    @turn("discriminator")
    def discriminator_turn(self, batch: Batch) -> Loss:
        """D tells real from fake."""
        z, labels = self.latents(len(batch), self.draws)
        with torch.no_grad():
            x_fake = self.generator(z, labels)
        real = self.discriminator(batch.x, None if labels is None else batch["label"]).logits
        return Loss(adversarial=minimax.discriminator(real, self.discriminator(x_fake, labels).logits).mean())

    @turn("generator", batch="same")
    def generator_turn(self, batch: Batch) -> Loss:
        """G makes D take its samples for real."""
        z, labels = self.latents(len(batch), self.draws)
        fake = self.discriminator(self.generator(z, labels), labels).logits
        return Loss(adversarial=minimax.nonsaturating_generator(fake).mean())

    @turn("encoder")
    def encoder_turn(self, batch: Batch) -> Loss:
        """E finds the z, and the class, of samples."""
        z, labels = self.latents(len(batch), self.draws)
        raw = self.encoder(self._made(z, labels))
        loss = Loss(latent=(raw[:, : z.shape[1]] - z).square().mean())
        if labels is not None:
            loss.add("classes", cross_entropy(raw[:, z.shape[1] :], labels))
        return loss

    def latents(self, n: int, draws: Draws) -> tuple[Tensor, Tensor | None]:
        """Draw z [n, d], and classes [n] where there are any."""
        z = draws.normal(n, self.config.latent_dim)
        return z, None if self.num_classes is None else self.draw_classes(n, self.num_classes, draws)

    def _at_rest(self, network: nn.Module, *inputs: Tensor | None) -> Tensor:
        """Batch normalisation by its running statistics."""
        was_training = network.training
        network.eval()
        y: Tensor = network(*inputs)
        network.train(was_training)
        return y

    @torch.no_grad()
    def _made(self, z: Tensor, labels: Tensor | None) -> Tensor:
        return self._at_rest(self.generator, z, labels)

    @torch.no_grad()
    def sample(self, n: int, draws: Draws, labels: Tensor | None = None, truncation: float | None = None) -> Tensor:
        """Draw n samples of G."""
        if truncation is not None:
            raise UsageError("This generator's samples have no truncation. Leave it out.")
        with use(draws):
            z, drawn = self.latents(n, draws)
            return self._made(z, drawn if labels is None else labels)

    def encode(self, x: Tensor) -> Tensor:
        """The z that E takes images to be made from, [n, d]."""
        return self._at_rest(self.encoder, x)[:, : self.config.latent_dim]

    def classify(self, x: Tensor) -> Tensor:
        """Class probabilities [n, k]."""
        if self.num_classes is None:
            raise UsageError("This encoder was told no classes. Train with --conditional.")
        return self._at_rest(self.encoder, x)[:, self.config.latent_dim :].softmax(1)

    def reconstruct(self, x: Tensor) -> Tensor:
        """G(E(x)), of the most likely class."""
        raw = self._at_rest(self.encoder, x)
        d = self.config.latent_dim
        return self._at_rest(self.generator, raw[:, :d], None if self.num_classes is None else raw[:, d:].argmax(1))

    def show(self, batch: Batch, draws: Draws) -> Tensor:
        """Each image beside its reconstruction; a sample beside its own."""
        fake = self.sample(len(batch), draws)
        return torch.stack([batch.x, self.reconstruct(batch.x), fake, self.reconstruct(fake)], 1)

    def measure(self, batch: Batch, draws: Draws) -> dict[str, Tensor]:
        """Errors of reconstructions of real images and of samples, pixels in [0, 1], and their ratio; and of z.

        "error_share" is the error on real images divided by the distance of a reconstruction from another image: 1 is what a random one has.
        "latent_share" is the mean squared error of E(G(z)): 1 is what a constant has.
        """
        z, labels = self.latents(len(batch), draws)
        fake, again = self._made(z, labels), self.reconstruct(batch.x)
        error, random = distance_of_images(batch.x, again), distance_of_images(batch.x.roll(1, 0), again)
        of_fakes = distance_of_images(fake, self.reconstruct(fake))
        found = {"error_share": error / random, "error": error, "error_fakes": of_fakes, "gap": error / of_fakes.clamp(min=1e-12)}
        return found | {"latent_share": (self.encode(fake) - z).square().mean()}
