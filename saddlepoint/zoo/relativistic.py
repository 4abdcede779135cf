"""Relativistic GANs: Jolicoeur-Martineau, "The relativistic discriminator: a key element missing from standard GAN", ICLR 2019.

With R1 and R2: Huang, Gokaslan, Kuleshov, Tompkin, "The GAN is dead; long live the GAN!", NeurIPS 2024.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from saddlepoint.data.records import Dataset
from saddlepoint.errors import UsageError
from saddlepoint.games.adversarial import AdversarialGame
from saddlepoint.games.player import Adam
from saddlepoint.games.terms import R1, R2, Term
from saddlepoint.objectives.relativistic import Relativistic
from saddlepoint.zoo.build import adversarial, small, toy
from saddlepoint.zoo.catalogue import recipe
from saddlepoint.zoo.networks import NetworksConfig


@dataclass(frozen=True, kw_only=True)
class RelativisticConfig(NetworksConfig):
    """D says how much more real one kind is than the other.

    Attributes:
        form: "paired" (RpGAN), or against the mean of the other kind: "logistic" (RaGAN), "least-squares" (RaLSGAN), "hinge" (RaHingeGAN).
        r1_gamma: of gamma/2 times the squared slope at real samples; 0 is off. RpGAN converges locally only with both penalties.
        r2_gamma: the same at generated samples; 0 is off.
    """

    form: Literal["paired", "logistic", "least-squares", "hinge"] = "logistic"
    r1_gamma: float = 0.0
    r2_gamma: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.g_batch_factor != 1:
            raise UsageError("A relativistic game compares as many fakes as real samples; g_batch_factor must be 1.")


CIFAR = RelativisticConfig(  # the "DCGAN set-up" of the stability study: spectrally normalised CNN
    architecture="sn-cnn",
    width=64,
    critic_norm="spectral",
    batch=32,
    rounds=100_000,
    resolution=32,
    latent_dim=128,
    generator_optimizer=Adam(lr=2e-4, beta1=0.5, beta2=0.999),
    discriminator_optimizer=Adam(lr=2e-4, beta1=0.5, beta2=0.999),
)
FIVE = Adam(lr=1e-4, beta1=0.5, beta2=0.9)


@recipe(
    name="relativistic",
    title="relativistic GANs: the discriminator compares real with fake; with R1 and R2 the paired form converges",
    paper="Jolicoeur-Martineau 2019",
    year=2019,
    url="https://arxiv.org/abs/1807.00734",
    presets={
        "paper": CIFAR,
        "five-steps": replace(CIFAR, d_steps=5, generator_optimizer=FIVE, discriminator_optimizer=FIVE),  # its "WGAN-GP set-up"
        "paired-r1-r2": replace(CIFAR, form="paired", critic_norm="none", r1_gamma=1.0, r2_gamma=1.0),
        # DCGAN with a spectrally normalised D of half the width
        "small": small(CIFAR, batch=64),
        "toy": toy(CIFAR, form="paired", critic_norm="none", r1_gamma=1.0, r2_gamma=1.0),
    },
)
def relativistic(config: RelativisticConfig, data: Dataset) -> AdversarialGame:
    """The form asked for, with the penalties that are on."""
    terms: list[Term] = [R1(config.r1_gamma)] if config.r1_gamma else []
    terms += [R2(config.r2_gamma)] if config.r2_gamma else []
    return adversarial(config, data, Relativistic(form=config.form), terms=terms)
