r"""VAE/GAN: a variational autoencoder whose error is measured in the features of a discriminator that learns beside it.

    encoder        minimises  KL(q(z|x) || N(0, I)) + L_llike                    L_llike = |D_l(Dec(z)) - D_l(x)|^2 / 2, z of q(z|x)
    decoder        follows    w grad L_llike + (1 - w) grad log(1 - D(Dec(z_p)))  z_p of N(0, I)
    discriminator  minimises  -log D(x) - log(1 - D(Dec(z_p)))

Larsen et al. 2016 (arXiv:1512.09300), Eq. 8 and Algorithm 1, and the code released with it, whose logarithms see probabilities .001 larger. All three
gradients are those at the weights that the round began with: the encoder moves first, and what its turn made is kept. Where the discriminator's costs
are far from equilibrium, it or the decoder rests. Axes: n batch, c channels, h w image, d code, f features.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from saddlepoint.data.records import Batch
from saddlepoint.draws import Draws, use
from saddlepoint.errors import UsageError
from saddlepoint.games.game import Game, Loss, Turn, turn
from saddlepoint.games.player import SGD, Adam, RMSprop, Schedule
from saddlepoint.games.settings import GameConfig
from saddlepoint.games.translating import pixel_scores
from saddlepoint.networks.encoders import gaussian_code
from saddlepoint.networks.vaegan import LayeredDiscriminator
from saddlepoint.objectives.variational import kl_to_standard_normal

EPS = 1e-3  # added to probabilities before their logarithm


@dataclass(frozen=True, kw_only=True)
class VAEGANConfig(GameConfig):
    """Settings of VAE/GAN.

    Attributes:
        latent_dim: numbers in a code.
        width: channels of the encoder's first map; all other widths follow.
        layer: of the discriminator, in whose features images are compared: 1 to 3, or 0 for the pixels.
        recon_weight: w, what the decoder's gradient holds of the reconstruction; the adversary's is the rest.
        judge_reconstructions: the discriminator is shown reconstructions beside samples, and the decoder is judged by both.
        margin: the discriminator rests where one of its costs is more than this below ``equilibrium``, the decoder if one is more above; None: never.
        equilibrium: cost of a discriminator that is right as often as not.
        optimizer: how every player moves.
        final_lr: rate at the end; None keeps it.
        decay: gamma of the annealing: the rate has fallen by the share t^gamma of its way after the share t of the rounds.
    """

    latent_dim: int = 128
    width: int = 64
    layer: int = 3
    recon_weight: float = 1e-6
    judge_reconstructions: bool = False
    margin: float | None = 0.35
    equilibrium: float = 0.68
    optimizer: Adam | RMSprop | SGD = field(default_factory=lambda: RMSprop(lr=0.025 / 64, alpha=0.9, weight_decay=1e-5))
    final_lr: float | None = 1e-5 / 64
    decay: float = 0.75

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.recon_weight <= 1:
            raise UsageError(f"recon_weight is a share from 0 to 1; it is {self.recon_weight}.")

    def at_least_one(self) -> tuple[str, ...]:
        """Names of the settings that must be 1 or more."""
        return (*super().at_least_one(), "latent_dim", "width")


def annealed(lr: float, final: float, gamma: float) -> Schedule:
    """Rate that falls from ``lr`` to ``final`` over the horizon, fast at first where gamma is below 1.

    >>> from saddlepoint.games.player import Clock
    >>> [round(annealed(1.0, 0.0, 0.5)(Clock(round=r, horizon=4))["lr"], 3) for r in range(4)]
    [1.0, 0.5, 0.293, 0.134]
    """
    return lambda clock: {"lr": lr - clock.progress**gamma * (lr - final)}


def log_probability(logits: Tensor) -> Tensor:
    """log(sigmoid(logits) + .001).

    >>> round(log_probability(torch.tensor(-100.0)).item(), 3)
    -6.908
    """
    return torch.log(torch.sigmoid(logits) + EPS)


class VAEGANGame(Game):
    """Encoder, decoder, discriminator.

    Args:
        config: the settings above.
        encoder: images -> means and log variances of codes [n, 2 d].
        decoder: codes -> images in [-1, 1].
        discriminator: images -> logits, and the features of a layer.
    """

    metric = "feature_error"

    def __init__(self, config: VAEGANConfig, encoder: nn.Module, decoder: nn.Module, discriminator: LayeredDiscriminator) -> None:
        super().__init__()
        self.config = config
        self.encoder, self.decoder, self.discriminator = encoder, decoder, discriminator
        self.rests: dict[str, bool] = {}
        schedule = None if config.final_lr is None else annealed(config.optimizer.lr, config.final_lr, config.decay)
        for name in ("encoder", "decoder", "discriminator"):
            self.add_player(name, [self.get_submodule(name)], config.optimizer, schedule=schedule)

    def play(self) -> Iterator[Turn]:
        """All three on the same images, as far as the margin lets them."""
        self.rests = {}
        yield self.encoder_turn
        if not self.rests.get("decoder"):
            yield self.decoder_turn
        if not self.rests.get("discriminator"):
            yield self.discriminator_turn

    @turn("encoder")
    def encoder_turn(self, batch: Batch) -> Loss:
        """The KL term, and the error in the features of the discriminator (Eq. 5 and 7)."""
        mean, log_variance = gaussian_code(self.encoder(batch.x))
        z = mean + (0.5 * log_variance).exp() * self.draws.normal(*mean.shape)
        with torch.no_grad():
            drawn = self.draws.normal(*mean.shape)
            sampled = self.decoder(drawn)
        again = self.decoder(z)
        wanted, found = self._features(batch.x, again)
        self.kept["codes", self.draws.piece] = z.detach(), drawn
        kl = kl_to_standard_normal(mean, log_variance).sum(1).mean()
        real, fake = self._costs(batch.x, self._shown(again.detach(), sampled))
        return Loss(kl=kl, reconstruction=self._error(wanted, found)).watch(cost_real=real.detach(), cost_fake=fake.detach())

    @turn("decoder", batch="same")
    def decoder_turn(self, batch: Batch) -> Loss:
        """w times the same error, and 1 - w times the adversary's verdict on samples, which it wants to lower."""
        z, drawn = self.kept["codes", self.draws.piece]
        again, sampled = self.decoder(torch.cat([z, drawn])).chunk(2)
        self.kept["fakes", self.draws.piece] = self._shown(again, sampled).detach()
        wanted, found = self._features(batch.x, again)
        w = self.config.recon_weight
        shown = self._shown(again, sampled)
        rejected = log_probability(-self._logits(batch.x, shown)[1]).mean() * (len(shown) / len(z))
        return Loss(reconstruction=w * self._error(wanted, found), adversarial=(1 - w) * rejected)

    @turn("discriminator", batch="same")
    def discriminator_turn(self, batch: Batch) -> Loss:
        """Cross-entropy of real against fake."""
        fakes = self.kept.get(("fakes", self.draws.piece))
        if fakes is None:  # the decoder rested
            z, drawn = self.kept["codes", self.draws.piece]
            with torch.no_grad():
                fakes = self._shown(*self.decoder(torch.cat([z, drawn])).chunk(2))
        real, fake = self._costs(batch.x, fakes)
        return Loss(adversarial=real + fake * (len(fakes) / len(batch.x)))

    def _shown(self, again: Tensor, sampled: Tensor) -> Tensor:
        """The fakes that the discriminator is shown."""
        return torch.cat([again, sampled]) if self.config.judge_reconstructions else sampled

    def _logits(self, x_real: Tensor, x_fake: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.discriminator(torch.cat([x_real, x_fake])).logits  # one batch for its normalisation, as in the released code
        return logits[: len(x_real)], logits[len(x_real) :]

    def _costs(self, x_real: Tensor, x_fake: Tensor) -> tuple[Tensor, Tensor]:
        """-log D(x) and -log(1 - D(fake)), means."""
        real, fake = self._logits(x_real, x_fake)
        return -log_probability(real).mean(), -log_probability(-fake).mean()

    def _features(self, x: Tensor, again: Tensor) -> tuple[Tensor, Tensor]:
        """Of images and of their reconstructions, both in one batch."""
        found, wanted = self.discriminator.features(torch.cat([again, x])).chunk(2)
        return wanted, found

    @staticmethod
    def _error(wanted: Tensor, found: Tensor) -> Tensor:
        """-log N(D_l(x) | D_l(again), I) without its constant: summed over the features, mean over the images."""
        return 0.5 * (found - wanted).square().sum(1).mean()

    def after_turn(self, turn: Turn, values: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Decide who rests in this round, by the costs that the encoder's turn saw; both move where both would rest."""
        margin, equilibrium = self.config.margin, self.config.equilibrium
        if turn.player == "encoder" and margin is not None:
            costs = torch.stack([values["encoder/cost_real"], values["encoder/cost_fake"]]).tolist()
            discriminator, decoder = min(costs) < equilibrium - margin, max(costs) > equilibrium + margin
            both = discriminator and decoder
            self.rests = {"discriminator": discriminator and not both, "decoder": decoder and not both}
        return {}

    def encode(self, x: Tensor) -> Tensor:
        """Means of the codes [n, d]."""
        return gaussian_code(self._at_rest(self.encoder, x))[0]

    def reconstruct(self, x: Tensor) -> Tensor:
        """The decoder at the means of the codes."""
        return self._at_rest(self.decoder, self.encode(x))

    def _at_rest(self, network: nn.Module, x: Tensor) -> Tensor:
        """Batch normalisation by its running statistics."""
        was_training = network.training
        network.eval()
        y: Tensor = network(x)
        network.train(was_training)
        return y

    @torch.no_grad()
    def sample(self, n: int, draws: Draws, labels: Tensor | None = None, truncation: float | None = None) -> Tensor:
        """Images of codes drawn from N(0, I)."""
        if truncation is not None:
            raise UsageError("A VAE/GAN's samples have no truncation. Leave it out.")
        with use(draws):
            return self._at_rest(self.decoder, draws.normal(n, self.config.latent_dim))

    def show(self, batch: Batch, draws: Draws) -> Tensor:
        """Each image, its reconstruction, and a sample."""
        return torch.stack([batch.x, self.reconstruct(batch.x), self.sample(len(batch), draws)], 1)

    def measure(self, batch: Batch, draws: Draws) -> dict[str, Tensor]:
        """Errors of reconstructions in features and in pixels, and what a code carries, in nats."""
        mean, log_variance = gaussian_code(self._at_rest(self.encoder, batch.x))
        again = self.reconstruct(batch.x)
        wanted, found = self.discriminator.features(batch.x), self.discriminator.features(again)
        kl = kl_to_standard_normal(mean, log_variance).sum(1).mean()
        feature_error = (found - wanted).square().mean() / wanted.square().mean().clamp(min=1e-12)
        return {"feature_error": feature_error, **pixel_scores(again, batch.x), "kl": kl}


def attribute_vectors(codes: Tensor, attributes: Tensor) -> Tensor:
    """Mean code of the images with each attribute less that of those without (Larsen et al. 2016, Section 4.1), [k, d].

    Args:
        codes: [n, d].
        attributes: [n, k], present where above 1/2.
    Raises:
        UsageError: for an attribute that all images have, or none.

    >>> attribute_vectors(torch.tensor([[1.0, 0.0], [3.0, 4.0]]), torch.tensor([[0], [1]])).tolist()
    [[2.0, 4.0]]
    """
    has = (attributes > 0.5).to(codes.dtype)  # n k
    counts = has.sum(0)
    alone = ((counts == 0) | (counts == len(has))).nonzero().flatten().tolist()
    if alone:
        raise UsageError(f"An attribute vector needs images with the attribute and without; attribute {alone[0]} is in all or none of {len(has)}.")
    return has.T @ codes / counts[:, None] - (1 - has).T @ codes / (len(has) - counts)[:, None]
