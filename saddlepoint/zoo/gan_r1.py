"""GAN with R1: Mescheder, Geiger, Nowozin, "Which training methods for GANs do actually converge?", ICML 2018."""

from __future__ import annotations

import math
from dataclasses import dataclass

from saddlepoint.data.records import Dataset
from saddlepoint.games.adversarial import AdversarialGame
from saddlepoint.games.player import RMSprop
from saddlepoint.games.terms import R1, R2, Term
from saddlepoint.objectives.minimax import NonSaturating
from saddlepoint.zoo.build import adversarial, small, toy
from saddlepoint.zoo.catalogue import recipe
from saddlepoint.zoo.networks import NetworksConfig


@dataclass(frozen=True, kw_only=True)
class GANR1Config(NetworksConfig):
    """Eq. 9 and 10 of the paper.

    Attributes:
        r1_gamma: of gamma/2 times the squared slope at real samples. The authors' code multiplies by 10 without the half, which is 20 here; 0 is off.
        r2_gamma: the same at generated samples; 0 is off.
        penalty_every: lazy interval in rounds; the penalties are multiplied by it.
    """

    r1_gamma: float = 20.0
    r2_gamma: float = 0.0
    penalty_every: int = 1


def penalties(config: GANR1Config) -> list[Term]:
    """The penalties that are on."""
    r1 = [R1(config.r1_gamma, config.penalty_every)] if config.r1_gamma else []
    return [*r1, *([R2(config.r2_gamma, config.penalty_every)] if config.r2_gamma else [])]


def halflife_kimg(decay: float, batch: int) -> float:
    """Half-life in thousands of images of an average that keeps ``decay`` of itself a step.

    >>> round(halflife_kimg(0.999, batch=64), 2)
    44.34
    """
    return batch * math.log(0.5) / math.log(decay) / 1000


PAPER = GANR1Config(
    architecture="stability",
    width=64,
    batch=64,
    rounds=300_000,
    resolution=128,
    latent_dim=256,
    ema_halflife_kimg=halflife_kimg(0.999, 64),
    generator_optimizer=RMSprop(lr=1e-4),
    discriminator_optimizer=RMSprop(lr=1e-4),
)


@recipe(
    name="gan-r1",
    title="non-saturating GAN with a penalty on the discriminator's slope at the data, which makes it converge",
    paper="Mescheder, Geiger & Nowozin 2018",
    year=2018,
    url="https://arxiv.org/abs/1801.04406",
    presets={
        "paper": PAPER,
        # DCGAN, D without norm, in place of residual networks that take four times as long; a tenth of the penalty for the smaller images
        "small": small(
            PAPER,
            critic_norm="none",
            latent_dim=100,
            r1_gamma=2.0,
            generator_optimizer=RMSprop(lr=2e-4),
            discriminator_optimizer=RMSprop(lr=2e-4),
        ),
        "toy": toy(PAPER, r1_gamma=0.1),
    },
)
def gan_r1(config: GANR1Config, data: Dataset) -> AdversarialGame:
    """Non-saturating game with zero-centred penalties."""
    return adversarial(config, data, NonSaturating(), terms=penalties(config))
