"""Games of one player who encodes and decodes.

    autoencoder   minimise  |x - Dec(Enc(x~))|^2                            x~ is x, or x with noise or holes (denoising)
    VAE           minimise  -E_q log p(x|z) + beta KL(q(z|x) || N(0, I))    z = mu + s eps, one sample

Kingma & Welling 2014 (arXiv:1312.6114), Eq. 10; Vincent et al. 2008 for the noise. Axes: n batch, d code, k importance samples.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from saddlepoint.data.records import Batch
from saddlepoint.draws import Draws, draws_like, use
from saddlepoint.errors import UsageError
from saddlepoint.games.game import Game, Loss, Turn, turn
from saddlepoint.games.player import SGD, Adam, RMSprop
from saddlepoint.games.settings import GameConfig
from saddlepoint.networks.encoders import gaussian_code
from saddlepoint.objectives import variational

IWAE_SAMPLES = 16  # of the code, in the bound that a training reports


@runtime_checkable
class Encodes(Protocol):
    """A game that gives each sample a code."""

    def encode(self, x: Tensor) -> Tensor:
        """Codes [n, d] of images float [n, c, h, w] in [-1, 1]."""
        ...


@runtime_checkable
class Reconstructs(Protocol):
    """A game that makes a sample again from what it has understood of it."""

    def reconstruct(self, x: Tensor) -> Tensor:
        """Images float [n, c, h, w] in [-1, 1] for images of the same shape."""
        ...


@dataclass(frozen=True, kw_only=True)
class AutoencodingConfig(GameConfig):
    """Settings of the one-player games.

    Attributes:
        network: fully connected, or three convolutions of stride 2.
        latent_dim: numbers in a code.
        hidden: widths of the encoder's hidden layers, the decoder's in reverse; of "mlp".
        width: channels of the first convolution; of "conv".
        activation: of the hidden layers of "mlp".
        optimizer: how the player moves.
    """

    network: Literal["mlp", "conv"] = "mlp"
    latent_dim: int = 32
    hidden: tuple[int, ...] = (512, 256)
    width: int = 32
    activation: Literal["relu", "tanh"] = "relu"
    optimizer: Adam | RMSprop | SGD = field(default_factory=lambda: Adam(lr=1e-3, beta1=0.9))

    def at_least_one(self) -> tuple[str, ...]:
        """Names of the settings that must be 1 or more."""
        return (*super().at_least_one(), "latent_dim", "width")


class AutoencoderGame(Game):
    """One player; the code is a point.

    Args:
        config: the settings above.
        encoder: images -> codes [n, d].
        decoder: codes -> images, raw.
        noise: deviation of normal noise added to what the encoder sees, 0 none.
        holes: share of the pixels that the encoder sees as 0.
    """

    metric = "error"

    def __init__(self, config: AutoencodingConfig, encoder: nn.Module, decoder: nn.Module, *, noise: float = 0.0, holes: float = 0.0) -> None:
        super().__init__()
        self.config, self.noise, self.holes = config, noise, holes
        self.encoder, self.decoder = encoder, decoder
        self.add_player("autoencoder", [encoder, decoder], config.optimizer)

    def play(self) -> Iterator[Turn]:
        """One turn."""
        yield self.learn

    @turn("autoencoder")
    def learn(self, batch: Batch) -> Loss:
        """Squared error, summed over a sample's values and averaged over the samples."""
        x = batch.x
        return Loss(reconstruction=(self.reconstruct(self._spoilt(x)) - x).square().flatten(1).sum(1).mean())

    def _spoilt(self, x: Tensor) -> Tensor:
        draws = draws_like(x)
        if self.noise:
            x = x + self.noise * draws.normal(len(x), *x.shape[1:])
        if self.holes:
            x = x * (draws.uniform(len(x), 1, *x.shape[2:]) >= self.holes)
        return x

    def encode(self, x: Tensor) -> Tensor:
        """Codes [n, d]."""
        z: Tensor = self.encoder(x)
        return z

    def decode(self, z: Tensor) -> Tensor:
        """Images in [-1, 1] of codes [n, d]."""
        x: Tensor = self.decoder(z)
        return x.tanh()

    def reconstruct(self, x: Tensor) -> Tensor:
        """What is left of images once they went through the code."""
        return self.decode(self.encode(x))

    def show(self, batch: Batch, draws: Draws) -> Tensor:
        """Each image beside its reconstruction."""
        return torch.stack([batch.x, self.reconstruct(batch.x)], 1)

    def measure(self, batch: Batch, draws: Draws) -> dict[str, Tensor]:
        """Mean squared error of a value."""
        return {"error": (self.reconstruct(batch.x) - batch.x).square().mean()}


@dataclass(frozen=True, kw_only=True)
class VAEConfig(AutoencodingConfig):
    """Settings of the variational autoencoder.

    Attributes:
        likelihood: of a pixel: "bernoulli" of its brightness, or "gaussian" around the decoder's output.
        std: of the normal likelihood, on values in [-1, 1].
        binarise: draw each pixel 0 or 1 with its brightness as the probability, anew in every turn; makes the Bernoulli likelihood a true one.
        beta: weight of the KL term; 1 is the bound.
    """

    likelihood: Literal["bernoulli", "gaussian"] = "bernoulli"
    std: float = 0.1
    binarise: bool = False
    beta: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.std <= 0:
            raise UsageError(f"std must be more than 0; it is {self.std}.")


class VAEGame(AutoencoderGame):
    """One player; the code is a normal distribution, and codes of N(0, I) are samples.

    Args:
        config: the settings above.
        encoder: images -> means and log variances [n, 2 d].
        decoder: codes -> logits ("bernoulli") or means ("gaussian") of the pixels.
    """

    metric = "negative_elbo"

    def __init__(self, config: VAEConfig, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__(config, encoder, decoder)
        self.settings = config

    @turn("autoencoder")
    def learn(self, batch: Batch) -> Loss:
        """The negative ELBO with one sample of the code (Eq. 7 and 10)."""
        x = self._target(batch.x)
        mean, log_variance = gaussian_code(self.encoder(x))
        eps = draws_like(mean).normal(len(mean), mean.shape[1])
        kl = variational.kl_to_standard_normal(mean, log_variance).sum(1).mean()
        likelihood = self.log_likelihood(x, mean + (0.5 * log_variance).exp() * eps).mean()
        return Loss(reconstruction=-likelihood, kl=self.settings.beta * kl).watch(negative_elbo=(kl - likelihood).detach())

    def _target(self, x: Tensor) -> Tensor:
        if not self.settings.binarise:
            return x
        bright = draws_like(x).uniform(len(x), *x.shape[1:]) < (x + 1) / 2
        return 2 * bright.to(x.dtype) - 1

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x|z) [n], summed over the pixels."""
        raw = self.decoder(z)
        if self.settings.likelihood == "bernoulli":
            return variational.bernoulli_log_likelihood((x + 1) / 2, raw)
        return variational.gaussian_log_likelihood(x, raw, self.settings.std)

    def encode(self, x: Tensor) -> Tensor:
        """Means of the codes [n, d]."""
        return gaussian_code(self.encoder(x))[0]

    def decode(self, z: Tensor) -> Tensor:
        """Mean images, in [-1, 1]."""
        raw: Tensor = self.decoder(z)
        return 2 * raw.sigmoid() - 1 if self.settings.likelihood == "bernoulli" else raw.clamp(-1, 1)

    @torch.no_grad()
    def sample(self, n: int, draws: Draws, labels: Tensor | None = None, truncation: float | None = None) -> Tensor:
        """Mean images of codes drawn from N(0, I)."""
        if truncation is not None:
            raise UsageError("A VAE's samples have no truncation. Leave it out.")
        was_training = self.training
        self.eval()
        with use(draws):
            x = self.decode(draws.normal(n, self.settings.latent_dim))
        self.train(was_training)
        return x

    def log_weights(self, x: Tensor, k: int, draws: Draws) -> Tensor:
        """log p(x, z) - log q(z|x) of k codes drawn from q(z|x), [k, n]."""
        mean, log_variance = gaussian_code(self.encoder(x))
        found = []
        for _ in range(k):
            z = mean + (0.5 * log_variance).exp() * draws.normal(len(mean), mean.shape[1])
            prior, posterior = variational.normal_log_density(z), variational.normal_log_density(z, mean, log_variance)
            found.append(self.log_likelihood(x, z) + prior - posterior)
        return torch.stack(found)

    def measure(self, batch: Batch, draws: Draws) -> dict[str, Tensor]:
        """Nats: the negative ELBO, its parts, and the bound of 16 samples; units of the code that carry more than 0.01 nats."""
        x = self._target(batch.x)
        mean, log_variance = gaussian_code(self.encoder(x))
        kl = variational.kl_to_standard_normal(mean, log_variance)
        log_weights = self.log_weights(x, IWAE_SAMPLES, draws)
        elbo, bound = log_weights.mean(), variational.importance_weighted_bound(log_weights).mean()
        units = (kl.mean(0) > 0.01).to(x.dtype).sum()
        return {"negative_elbo": -elbo, "negative_bound_16": -bound, "kl": kl.sum(1).mean(), "active_units": units}
