"""Adversarial autoencoder: Makhzani et al. 2015 (arXiv:1511.05644). A discriminator of codes makes them look like draws of a prior.

    reconstruction   encoder and decoder minimise  |x - Dec(Enc(x))|^2
    regularisation   D minimises  -log D(z) - log(1 - D(Enc(x))), z of the prior; then the encoder minimises  -log D(Enc(x))
    classification   where few records have labels: the encoder's categories minimise their cross-entropy

D never sees an image. The encoder belongs to two players (three where it classifies), who move it at rates of their own.

Axes: n batch, c channels, h w image, d latent, k categories.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saddlepoint.data.records import Batch
from saddlepoint.draws import Draws, draws_like, use
from saddlepoint.errors import UsageError
from saddlepoint.games.game import Game, Loss, Turn, turn
from saddlepoint.games.player import SGD, Adam, Optimizer, Schedule
from saddlepoint.games.settings import GameConfig
from saddlepoint.networks.encoders import gaussian_code
from saddlepoint.objectives import minimax
from saddlepoint.objectives.priors import Prior, draw_prior, mean_discrepancy

Posterior = Literal["deterministic", "gaussian", "universal"]


@dataclass(frozen=True, kw_only=True)
class AAEConfig(GameConfig):
    """Settings of the adversarial autoencoder.

    Attributes:
        latent_dim: numbers of the style code z.
        prior: of z.
        prior_std: its scale.
        posterior: Enc(x) is a point, a normal distribution, or a function of x and noise.
        labels: what labels do: nothing, tell D which part of the prior a code belongs to, or enter the decoder so that z holds the rest.
        width: units of the hidden layers of all networks.
        init_std: of their weights at the start.
        input_dropout: probability that the encoder does not see a pixel.
        reconstruction_optimizer: how encoder and decoder move.
        regularisation_optimizer: how D and the encoder that fools it move.
        drops: shares of the rounds after each of which all learning rates fall to a tenth.
    """

    latent_dim: int = 8
    prior: Prior = "normal"
    prior_std: float = 5.0
    posterior: Posterior = "deterministic"
    labels: Literal["none", "prior", "decoder"] = "none"
    width: int = 1000
    init_std: float = 0.01
    input_dropout: float = 0.0
    reconstruction_optimizer: Adam | SGD = field(default_factory=lambda: SGD(lr=0.01, momentum=0.9))
    regularisation_optimizer: Adam | SGD = field(default_factory=lambda: SGD(lr=0.1, momentum=0.1))
    drops: tuple[float, ...] = (50 / 1500, 1000 / 1500)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.prior != "normal" and self.latent_dim % 2:
            raise UsageError(f"The prior {self.prior!r} lies in planes: latent_dim must be even; it is {self.latent_dim}.")
        if self.labels == "prior" and self.prior == "normal":
            raise UsageError("A normal prior has no parts that labels could name. Choose --prior mixture or swiss-roll.")
        if min(self.prior_std, self.init_std) <= 0:
            raise UsageError(f"prior_std and init_std must be more than 0; they are {self.prior_std} and {self.init_std}.")

    def at_least_one(self) -> tuple[str, ...]:
        """Names of the settings that must be 1 or more."""
        return (*super().at_least_one(), "latent_dim", "width")


def dropping(lr: float, drops: tuple[float, ...]) -> Schedule:
    """Learning rate that falls to a tenth after each of these shares of the horizon.

    >>> from saddlepoint.games.player import Clock
    >>> [round(dropping(1.0, (0.25, 0.5))(Clock(round=r, horizon=4))["lr"], 4) for r in range(4)]
    [1.0, 0.1, 0.01, 0.01]
    """
    return lambda clock: {"lr": lr * 0.1 ** sum(clock.progress >= drop for drop in drops)}


class CodeGame(Game):
    """Reconstruction and regularisation of z; what all forms share.

    Args:
        config: the settings above.
        encoder: images -> z, or its mean and log variance.
        decoder: what :meth:`decode` gives it -> images in [-1, 1].
        discriminator: z, or z and a class vector -> Judgement.
        num_classes: of the labels, 1 where they are not used.
    """

    metric = "error"

    def __init__(self, config: AAEConfig, encoder: nn.Module, decoder: nn.Module, discriminator: nn.Module, num_classes: int) -> None:
        super().__init__()
        self.config, self.num_classes = config, num_classes
        self.encoder, self.decoder, self.discriminator = encoder, decoder, discriminator
        self.enter("autoencoder", [encoder, decoder], config.reconstruction_optimizer)
        self.enter("discriminator", [discriminator], config.regularisation_optimizer)
        self.enter("encoder", [encoder], config.regularisation_optimizer)

    def enter(self, name: str, modules: list[nn.Module], optimizer: Optimizer) -> None:
        """Add a player whose learning rate drops as the configuration says."""
        self.add_player(name, modules, optimizer, schedule=dropping(optimizer.lr, self.config.drops))

    def play(self) -> Iterator[Turn]:
        """The two phases of Section 2, on the same images."""
        yield self.reconstruction_turn
        yield self.discriminator_turn
        yield self.encoder_turn

    @turn("autoencoder")
    def reconstruction_turn(self, batch: Batch) -> Loss:
        """Half the squared error, pixels in [0, 1], summed over an image."""
        again = self.decode(self.encode(batch.x), self.labels_of(batch))
        return Loss(reconstruction=((again - batch.x) / 2).square().flatten(1).sum(1).mean() / 2)

    @turn("discriminator", batch="same")
    def discriminator_turn(self, batch: Batch) -> Loss:
        """D tells draws of the prior from codes."""
        with torch.no_grad():
            drawn, codes = self._beside(*self.prior(len(batch), self.draws)), self._coded(batch)
        return Loss(adversarial=minimax.discriminator(self.discriminator(drawn).logits, self.discriminator(codes).logits).mean())

    @turn("encoder", batch="same")
    def encoder_turn(self, batch: Batch) -> Loss:
        """The encoder makes D take its codes for draws of the prior."""
        return Loss(adversarial=minimax.nonsaturating_generator(self.discriminator(self._coded(batch)).logits).mean())

    def _coded(self, batch: Batch) -> Tensor:
        return self._beside(self.encode(batch.x), batch["label"] if self.config.labels == "prior" else None)

    def _beside(self, z: Tensor, labels: Tensor | None) -> Tensor:
        if self.config.labels != "prior" or labels is None:
            return z
        return torch.cat([z, F.one_hot(labels, self.num_classes).to(z.dtype)], 1)

    def prior(self, n: int, draws: Draws) -> tuple[Tensor, Tensor]:
        """Draws of z [n, d], and the part of the prior [n] that each is of."""
        c = self.config
        return draw_prior(c.prior, n, c.latent_dim, draws, std=c.prior_std, parts=self.num_classes)

    def labels_of(self, batch: Batch) -> Tensor | None:
        """Labels for the decoder, where it is told them."""
        return batch["label"] if self.config.labels == "decoder" else None

    def encode(self, x: Tensor) -> Tensor:
        """Codes z [n, d]: drawn from the posterior while training, its mean afterwards."""
        return self.style(self.encoder(x), self.training)

    def style(self, raw: Tensor, drawn: bool) -> Tensor:
        """z of the encoder's outputs, drawn from the posterior or its mean."""
        if self.config.posterior != "gaussian":
            return raw
        mean, log_variance = gaussian_code(raw)
        return mean + (0.5 * log_variance).exp() * draws_like(mean).normal(*mean.shape) if drawn else mean

    def decode(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images of codes, and of labels where the decoder is told them."""
        if self.config.labels == "decoder":
            assert labels is not None
            z = torch.cat([z, F.one_hot(labels, self.num_classes).to(z.dtype)], 1)
        x: Tensor = self.decoder(z)
        return x

    @torch.no_grad()
    def sample(self, n: int, draws: Draws, labels: Tensor | None = None, truncation: float | None = None) -> Tensor:
        """Images of draws of the prior: of the part, or of the class, that ``labels`` [n] name where the game was told labels."""
        if truncation is not None:
            raise UsageError("An adversarial autoencoder's samples have no truncation. Leave it out.")
        was_training = self.training
        self.eval()
        with use(draws):
            z, part = self.prior(n, draws)
            x = self.decode(z, part if labels is None else labels)
        self.train(was_training)
        return x

    def show(self, batch: Batch, draws: Draws) -> Tensor:
        """Each image, its reconstruction, and a sample."""
        return torch.stack([batch.x, self.decode(self.encode(batch.x), self.labels_of(batch)), self.sample(len(batch), draws)], 1)

    def measure(self, batch: Batch, draws: Draws) -> dict[str, Tensor]:
        """Mean squared error of a value in [-1, 1], and the squared mean discrepancy of codes and prior."""
        gap = mean_discrepancy(self.style(self.encoder(batch.x), True), self.prior(len(batch), draws)[0], self.config.prior_std)
        again = self.decode(self.encode(batch.x), self.labels_of(batch))
        return {"error": (again - batch.x).square().mean(), "discrepancy": gap}


class AAEGame(CodeGame):
    """Without labels in the decoder: an image is made again from its code alone."""

    def reconstruct(self, x: Tensor) -> Tensor:
        """What is left of images once they went through the code."""
        return self.decode(self.encode(x))


class CategoricalAAEGame(AAEGame):
    """The encoder gives categories y beside z; a second discriminator makes them look like one-hot draws (Sections 4 to 6).

    With labelled records beside the others (fields ``labelled_image``, ``labelled_label``) categories are classes; without, clusters.

    Args:
        config: the settings above.
        encoder: images -> logits of the categories and z, [n, k + d].
        decoder: y and z [n, k + d] -> images.
        discriminator: of z.
        category_discriminator: of y.
        categories: k.
        supervised: whether few records are labelled.
    """

    def __init__(
        self,
        config: AAEConfig,
        encoder: nn.Module,
        decoder: nn.Module,
        discriminator: nn.Module,
        category_discriminator: nn.Module,
        *,
        categories: int,
        supervised: bool,
    ) -> None:
        super().__init__(config, encoder, decoder, discriminator, num_classes=categories)
        self.category_discriminator, self.supervised = category_discriminator, supervised
        self.players["discriminator"].modules.append(category_discriminator)
        if supervised:
            self.enter("classifier", [encoder], config.reconstruction_optimizer)

    def play(self) -> Iterator[Turn]:
        """As before, and the labelled records' phase."""
        yield from super().play()
        if self.supervised:
            yield self.classification_turn

    @turn("discriminator", batch="same")
    def discriminator_turn(self, batch: Batch) -> Loss:
        """Both discriminators."""
        with torch.no_grad():
            z, y = self.prior(len(batch), self.draws)
            fake_y, fake_z = self.split(batch.x)
        real_y = F.one_hot(y, self.num_classes).to(z.dtype)
        styles = minimax.discriminator(self.discriminator(z).logits, self.discriminator(fake_z).logits).mean()
        judge = self.category_discriminator
        return Loss(style=styles, category=minimax.discriminator(judge(real_y).logits, judge(fake_y).logits).mean())

    @turn("encoder", batch="same")
    def encoder_turn(self, batch: Batch) -> Loss:
        """The encoder fools both."""
        y, z = self.split(batch.x)
        style = minimax.nonsaturating_generator(self.discriminator(z).logits).mean()
        return Loss(style=style, category=minimax.nonsaturating_generator(self.category_discriminator(y).logits).mean())

    @turn("classifier", batch="same")
    def classification_turn(self, batch: Batch) -> Loss:
        """Cross-entropy of the labelled records."""
        logits = self.encoder(batch["labelled_image"])[:, : self.num_classes]
        return Loss(supervised=F.cross_entropy(logits, batch["labelled_label"]))

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Categories [n, k], probabilities, and z [n, d]."""
        raw = self.encoder(x)
        return raw[:, : self.num_classes].softmax(1), self.style(raw[:, self.num_classes :], self.training)

    def encode(self, x: Tensor) -> Tensor:
        """Probabilities of the categories and z, [n, k + d]."""
        return torch.cat(self.split(x), 1)

    def classify(self, x: Tensor) -> Tensor:
        """Probabilities of the categories [n, k]."""
        return self.split(x)[0]

    def decode(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images of [n, k + d], or of z [n, d] and categories [n]."""
        if labels is not None:
            z = torch.cat([F.one_hot(labels, self.num_classes).to(z.dtype), z], 1)
        x: Tensor = self.decoder(z)
        return x

    def measure(self, batch: Batch, draws: Draws) -> dict[str, Tensor]:
        """As without categories; and the share of records that a category names wrongly, where they have labels."""
        y, z = self.split(batch.x)
        gap = mean_discrepancy(z, self.prior(len(batch), draws)[0], self.config.prior_std)
        found = {"error": (self.decode(torch.cat([y, z], 1)) - batch.x).square().mean(), "discrepancy": gap}
        if "label" in batch.fields:
            found["class_error"] = 1 - _named(y, batch["label"], self.supervised).to(z.dtype).mean()
        return found


def _named(y: Tensor, labels: Tensor, supervised: bool) -> Tensor:
    """Whether the category of each sample says its label; a cluster is named after the sample that is surest of it (Section 6)."""
    return (y.argmax(1) if supervised else labels[y.argmax(0)][y.argmax(1)]) == labels
