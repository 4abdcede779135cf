"""Unrolled GAN: Metz, Poole, Pfau, Sohl-Dickstein, "Unrolled generative adversarial networks", ICLR 2017."""

from __future__ import annotations

from dataclasses import dataclass, replace

from saddlepoint.data.records import Dataset
from saddlepoint.errors import UsageError
from saddlepoint.games.adversarial import AdversarialGame
from saddlepoint.games.player import Adam
from saddlepoint.games.unrolling import Unrolled
from saddlepoint.objectives.minimax import ZeroSum
from saddlepoint.zoo.build import adversarial, small
from saddlepoint.zoo.catalogue import recipe
from saddlepoint.zoo.networks import NetworksConfig


@dataclass(frozen=True, kw_only=True)
class UnrolledConfig(NetworksConfig):
    """Eq. 7 to 9 of the paper; D is optimised by Adam, whose steps are differentiated through.

    Attributes:
        unroll_steps: K, steps of D that G looks ahead; 0 is the ordinary zero-sum game.
    """

    unroll_steps: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.unroll_steps < 0:
            raise UsageError(f"unroll_steps must be at least 0; it is {self.unroll_steps}.")


RING = UnrolledConfig(  # an author's demonstration of the ring, on points
    architecture="mlp-tanh",
    width=128,
    batch=512,
    rounds=25_000,
    latent_dim=256,
    generator_optimizer=Adam(lr=1e-3, beta1=0.5, eps=1e-8),
    discriminator_optimizer=Adam(lr=1e-4, beta1=0.5, eps=1e-8),
)

STACKED = UnrolledConfig(  # stacked MNIST with a D of a quarter of G's size, in the constants of PacGAN's authors (arXiv:1712.04086, released code)
    architecture="metz-quarter",
    width=64,
    batch=128,
    rounds=500_000,
    resolution=28,
    latent_dim=256,
    generator_optimizer=Adam(lr=1e-4, beta1=0.5, beta2=0.99),
    discriminator_optimizer=Adam(lr=2e-4, beta1=0.5, beta2=0.99),
)


@recipe(
    name="unrolled",
    title="unrolled GAN: the generator plays against the discriminator as it will be after k more steps",
    paper="Metz, Poole, Pfau & Sohl-Dickstein 2017",
    year=2017,
    url="https://arxiv.org/abs/1611.02163",
    presets={
        "paper": RING,
        "not-unrolled": replace(RING, unroll_steps=0),
        "unrolled-1": replace(RING, unroll_steps=1),
        "unrolled-10": replace(RING, unroll_steps=10),
        "stacked": STACKED,
        "stacked-half": replace(STACKED, architecture="metz-half"),
        # DCGAN without batch norm in D, three steps: the second derivatives of five would take minutes longer
        "small": small(RING, critic_norm="none", batch=64, latent_dim=100, unroll_steps=3, rounds=1_000, generator_optimizer=Adam()),
        "toy": RING,
    },
)
def unrolled(config: UnrolledConfig, data: Dataset) -> AdversarialGame:
    """Zero-sum game against the discriminator's future."""
    return adversarial(config, data, ZeroSum(), opponent=Unrolled(config.unroll_steps) if config.unroll_steps else None)
