"""BEGAN: Berthelot, Schumm, Metz, "BEGAN: boundary equilibrium generative adversarial networks", 2017."""

from __future__ import annotations

from dataclasses import dataclass, replace

from saddlepoint.data.records import Dataset
from saddlepoint.errors import UsageError
from saddlepoint.games.adversarial import AdversarialConfig, AdversarialGame
from saddlepoint.games.player import SGD, Adam, Clock, RMSprop, Schedule, step_decay
from saddlepoint.networks.autoencoders import BEGANDiscriminator, BEGANGenerator, set_carry
from saddlepoint.networks.heads import AbsoluteAutoencoder
from saddlepoint.networks.mlp import MLPGenerator
from saddlepoint.objectives.boundary import BoundaryEquilibrium
from saddlepoint.zoo.build import small, toy, view_of
from saddlepoint.zoo.catalogue import recipe
from saddlepoint.zoo.networks import image_shape
from saddlepoint.zoo.pairs import Pair


@dataclass(frozen=True, kw_only=True)
class BEGANConfig(AdversarialConfig):
    """The networks are BEGAN's own: the decoder serves as G and inside D; on points both are fully connected.

    Attributes:
        width: n, channels of every layer of G: 128, or 64; units on points.
        code_dim: units of the auto-encoder's code; the paper's N_h, equal to latent_dim.
        gamma: diversity ratio, the energy of fakes over that of reals at equilibrium: 0.3, 0.5 or 0.7 in the paper.
        lambda_k: gain of the controller.
        lr_halved_every: rounds, as in the code it is known by; 0: the rates are halved where M stalls, as the paper has it.
        lr_stall_rounds: M stalls where its mean over so many rounds is no less than over those before (with lr_halved_every 0).
        lr_floor: the learning rates never fall below it.
        skips: the first map of the decoder is joined to every level.
        vanishing_rounds: rounds in which residual connections of the blocks fade out (16,000 in the paper); 0: there are none.
    """

    width: int = 128
    code_dim: int = 64
    gamma: float = 0.5
    lambda_k: float = 0.001
    lr_halved_every: int = 100_000
    lr_stall_rounds: int = 5_000
    lr_floor: float = 2e-5
    skips: bool = False
    vanishing_rounds: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.lr_decay != "constant":
            raise UsageError("BEGAN halves its learning rate every lr_halved_every rounds; lr_decay must stay constant.")
        if self.lr_halved_every < 0 or self.lr_stall_rounds < 1 or (self.lr_halved_every == 0 and self.g_steps != 1):
            raise UsageError("lr_halved_every must be at least 0 and lr_stall_rounds at least 1; where M decides, g_steps must be 1.")


FACES = BEGANConfig(  # 64x64 faces
    batch=16,
    rounds=500_000,
    resolution=64,
    latent_dim=64,
    latent="uniform",
    generator_optimizer=Adam(lr=8e-5, beta1=0.5, beta2=0.999),
    discriminator_optimizer=Adam(lr=8e-5, beta1=0.5, beta2=0.999),
)
START = Adam(lr=1e-4, beta1=0.5, beta2=0.999)  # section 4.1: 5e-5 to 1e-4, halved when the measure of convergence stalls
FASTER = Adam(lr=4e-4, beta1=0.5, beta2=0.999)


def networks(config: BEGANConfig, data: Dataset) -> Pair:
    """G and D for images, or the fully connected pair for points."""
    if data.spec.kind == "points":
        generator = MLPGenerator(config.latent_dim, data.spec.shape, width=config.width)
        return generator, AbsoluteAutoencoder(data.spec.shape, width=config.width, code_dim=config.code_dim)
    shape, vanishing = image_shape(data.spec), config.vanishing_rounds > 0
    return (
        BEGANGenerator(shape, latent_dim=config.latent_dim, width=config.width, skips=config.skips, vanishing=vanishing),
        BEGANDiscriminator(shape, code_dim=config.code_dim, width=config.width, skips=config.skips, vanishing=vanishing),
    )


def _halving(config: BEGANConfig, optimizer: Adam | RMSprop | SGD, objective: BoundaryEquilibrium) -> Schedule:
    floor = min(config.lr_floor, optimizer.lr)
    if config.lr_halved_every:
        return step_decay(optimizer.lr, every=config.lr_halved_every, floor=floor)
    known = [-1, optimizer.lr]  # window and its rate: looked up once a window, since a look waits for the device

    def values(clock: Clock) -> dict[str, float]:
        if known[0] != (window := clock.round // config.lr_stall_rounds):
            known[:] = [window, max(optimizer.lr * 0.5 ** float(objective.stalls), floor)]
        return {"lr": known[1]}

    return values


@recipe(
    name="began",
    title="boundary equilibrium GAN: an auto-encoder, with a controller that balances the two errors",
    paper="Berthelot, Schumm & Metz 2017",
    year=2017,
    url="https://arxiv.org/abs/1703.10717",
    presets={
        "paper": FACES,
        "skips": replace(FACES, skips=True, vanishing_rounds=16_000),
        "stalls": replace(FACES, lr_halved_every=0, generator_optimizer=START, discriminator_optimizer=START),
        # an eighth of the channels and of the length; five times the learning rate, ten times the controller's gain
        "small": small(
            FACES, width=16, rounds=3_000, lambda_k=0.01, generator_optimizer=FASTER, discriminator_optimizer=FASTER, ema_halflife_kimg=1.0
        ),
        "toy": toy(FACES, code_dim=1, lambda_k=0.01, lr_floor=1e-3),
    },
)
def began(config: BEGANConfig, data: Dataset) -> AdversarialGame:
    """Two reconstruction errors and the controller between them."""
    generator, discriminator = networks(config, data)
    window = 0 if config.lr_halved_every else config.lr_stall_rounds
    objective = BoundaryEquilibrium(gamma=config.gamma, lambda_k=config.lambda_k, window=window)
    players = {
        "generator": {"schedule": _halving(config, config.generator_optimizer, objective)},
        "discriminator": {"schedule": _halving(config, config.discriminator_optimizer, objective)},
    }
    game = AdversarialGame(config, generator, discriminator, objective, view=view_of(config), players=players)
    if config.vanishing_rounds:
        # once a round, before its first move, so that both players see the same network
        game.players["discriminator"].before_move = lambda: set_carry(game, max(0.0, 1.0 - game.clock.round / config.vanishing_rounds))
    return game
