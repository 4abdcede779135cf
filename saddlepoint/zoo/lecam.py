"""LeCam GAN: Tseng, Jiang, Liu, Yang, Yang, "Regularizing generative adversarial networks under limited data", CVPR 2021."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from saddlepoint.data.records import Dataset
from saddlepoint.games.adversarial import AdversarialGame
from saddlepoint.games.player import Adam
from saddlepoint.games.terms import LeCam
from saddlepoint.objectives.hinge import Hinge
from saddlepoint.views.mirror import Mirror
from saddlepoint.zoo.build import adversarial, small, toy
from saddlepoint.zoo.catalogue import recipe
from saddlepoint.zoo.networks import NetworksConfig


@dataclass(frozen=True, kw_only=True)
class LeCamConfig(NetworksConfig):
    """Hinge game with D's outputs tied to running means of its past ones.

    Attributes:
        lecam_weight: 0.3 in the released CIFAR-10 runs; 0 is the baseline without it.
        lecam_decay: of the running means.
        lecam_start: rounds before the regulariser joins the loss.
        mirror: real images are mirrored at random.
    """

    lecam_weight: float = 0.3
    lecam_decay: float = 0.9
    lecam_start: int = 1000
    mirror: bool = False


CIFAR = LeCamConfig(  # the constants of the released CIFAR-10 runs, on BigGAN; their average forgets 1e-4 a move
    architecture="biggan-cifar",
    width=64,
    conditional=True,
    mirror=True,
    ema_halflife_kimg=346.56,
    batch=50,
    rounds=250_000,
    resolution=32,
    latent_dim=128,
    d_steps=4,
    generator_optimizer=Adam(lr=2e-4, beta1=0.0, beta2=0.999),
    discriminator_optimizer=Adam(lr=2e-4, beta1=0.0, beta2=0.999),
)


PLAIN: dict[str, Any] = {"conditional": False, "mirror": False}


@recipe(
    name="lecam",
    title="LeCam regularisation: the discriminator's outputs are tied to their running means, for small data sets",
    paper="Tseng et al. 2021",
    year=2021,
    url="https://arxiv.org/abs/2104.03310",
    presets={
        "paper": CIFAR,
        # DCGAN with a spectrally normalised D of half the width, one step of D in place of four
        "small": small(CIFAR, critic_norm="spectral", d_steps=1, lecam_start=100, **PLAIN),
        "toy": toy(CIFAR, d_steps=1, lecam_start=100, **PLAIN),
    },
)
def lecam(config: LeCamConfig, data: Dataset) -> AdversarialGame:
    """Hinge game with the regulariser in D's loss."""
    terms = [LeCam(config.lecam_weight, config.lecam_decay, config.lecam_start)] if config.lecam_weight else []
    return adversarial(config, data, Hinge(), terms=terms, real_view=Mirror() if config.mirror else None)
