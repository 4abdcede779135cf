"""WGAN-GP: Gulrajani, Ahmed, Arjovsky, Dumoulin, Courville, "Improved training of Wasserstein GANs", NeurIPS 2017."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from saddlepoint.data.records import Dataset
from saddlepoint.errors import UsageError
from saddlepoint.games.adversarial import AdversarialGame
from saddlepoint.games.critics import TargetedPenalty
from saddlepoint.games.player import Adam
from saddlepoint.games.terms import AuxiliaryClassifier, Term
from saddlepoint.networks.base import mixes_samples
from saddlepoint.networks.gulrajani_mnist import SLOPE_OF_ONE
from saddlepoint.networks.heads import ClassHead
from saddlepoint.objectives.wasserstein import Wasserstein
from saddlepoint.views.noise import Dequantise
from saddlepoint.zoo.build import adversarial, small, toy
from saddlepoint.zoo.catalogue import recipe
from saddlepoint.zoo.networks import NetworksConfig, build_pair, num_classes
from saddlepoint.zoo.pairs import Told


@dataclass(frozen=True, kw_only=True)
class WGANGPConfig(NetworksConfig):
    """Algorithm 1 of the paper; conditional means a generator that is told labels and a critic that classifies, as in its CIFAR-10 run.

    Attributes:
        gp_weight: lambda of Eq. 3: 10 for images, 0.1 for the two-dimensional toys.
        gp_slope: that the penalty asks for on images in [-1, 1]; .5 is the slope of 1 of a critic on [0, 1] (MNIST).
        dequantise: fill the gaps between the levels of 8-bit real images with noise U[0, 1/128).
        d_classes_weight: of the critic's cross-entropy on real samples, where conditional.
        g_classes_weight: of the generator's cross-entropy, where conditional.
    """

    gp_weight: float = 10.0
    gp_slope: float = 1.0
    dequantise: bool = False
    d_classes_weight: float = 1.0
    g_classes_weight: float = 0.1


def _optimizers(lr: float, beta1: float) -> dict[str, Any]:
    return {"generator_optimizer": Adam(lr=lr, beta1=beta1, beta2=0.9), "discriminator_optimizer": Adam(lr=lr, beta1=beta1, beta2=0.9)}


LSUN = WGANGPConfig(  # the architecture study at 64x64: Adam 1e-4 (0, 0.9), five critic steps; --architecture row2 ... row7 are the others
    architecture="row1",
    batch=64,
    rounds=200_000,
    resolution=64,
    latent_dim=128,
    d_steps=5,
    critic_norm="layer",
    generator_optimizer=Adam(lr=1e-4, beta1=0.0, beta2=0.9),
    discriminator_optimizer=Adam(lr=1e-4, beta1=0.0, beta2=0.9),
)
CIFAR = replace(
    LSUN,
    architecture="wgan-gp-32",
    width=128,
    critic_norm="none",
    resolution=32,
    rounds=100_000,
    lr_decay="linear",
    g_batch_factor=2,
    dequantise=True,
    generator_optimizer=Adam(lr=2e-4, beta1=0.0, beta2=0.9),
    discriminator_optimizer=Adam(lr=2e-4, beta1=0.0, beta2=0.9),
)
MNIST = replace(LSUN, architecture="wgan-gp-mnist", critic_norm="none", batch=50, resolution=28, gp_slope=SLOPE_OF_ONE)


@recipe(
    name="wgan-gp",
    title="Wasserstein GAN whose critic is held to slope one by a gradient penalty",
    paper="Gulrajani, Ahmed, Arjovsky, Dumoulin & Courville 2017",
    year=2017,
    url="https://arxiv.org/abs/1704.00028",
    presets={
        "paper": LSUN,
        "cifar": CIFAR,
        "cifar-conditional": replace(CIFAR, conditional=True),
        "good-64": replace(LSUN, architecture="good-64"),
        "mnist": replace(MNIST, **_optimizers(1e-4, 0.5)),
        # half the width, no norm in D, two critic turns in place of five, four times the learning rate
        "small": small(LSUN, critic_norm="none", d_steps=2, latent_dim=100, **_optimizers(4e-4, 0.0)),
        "toy": toy(
            LSUN,
            width=512,
            critic_norm="none",
            rounds=100_000,
            latent_dim=2,
            gp_weight=0.1,
            batch=256,
            ema_halflife_kimg=None,
            **_optimizers(1e-4, 0.5),
        ),  # gan_toy.py, complete
    },
)
def wgan_gp(config: WGANGPConfig, data: Dataset) -> AdversarialGame:
    """Wasserstein value function with the penalty in the critic's loss."""
    terms: list[Term] = [TargetedPenalty(config.gp_weight, config.gp_slope)]
    classes = num_classes(config, data.spec)
    generator, critic = build_pair(config, data.spec, Told(generator=classes))
    if mixes_samples(critic):
        raise UsageError(
            "The gradient penalty needs a critic that judges each sample alone; batch norm mixes them. Choose --critic-norm layer or none."
        )
    if classes is not None:
        critic = ClassHead(critic, classes, "auxiliary")
        terms += [AuxiliaryClassifier("discriminator", config.d_classes_weight), AuxiliaryClassifier("generator", config.g_classes_weight)]
    return adversarial(config, data, Wasserstein(), pair=(generator, critic), terms=terms, real_view=Dequantise() if config.dequantise else None)
