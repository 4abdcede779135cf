"""Improved GAN: Salimans, Goodfellow, Zaremba, Cheung, Radford, Chen, "Improved techniques for training GANs", NeurIPS 2016, section 3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from saddlepoint.data.records import Dataset
from saddlepoint.errors import UsageError
from saddlepoint.games.adversarial import AdversarialGame
from saddlepoint.games.player import Adam
from saddlepoint.games.terms import FeatureMatching, HistoricalAveraging, Term
from saddlepoint.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from saddlepoint.networks.heads import add_minibatch_discrimination
from saddlepoint.networks.virtualbatchnorm import VirtualBatchDiscriminator, VirtualBatchGenerator
from saddlepoint.objectives.minimax import NonSaturating
from saddlepoint.zoo.build import adversarial, small, some_samples, toy
from saddlepoint.zoo.catalogue import recipe
from saddlepoint.zoo.networks import NetworksConfig, architecture_of, build_pair, image_shape
from saddlepoint.zoo.pairs import Pair


@dataclass(frozen=True, kw_only=True)
class ImprovedGANConfig(NetworksConfig):
    """Each technique of section 3 is a setting of its own.

    Attributes:
        minibatch_kernels: kernels of minibatch discrimination before D's last layer (section 3.2); 0 is off.
        real_target: one-sided label smoothing (section 3.4); 1 is off.
        historical_averaging: weight of the distance from a player's own past mean, in both losses (section 3.3); 0 is off.
        feature_matching: G matches the mean features of D instead of fooling it (section 3.1).
        virtual_batch_norm: both players normalise by a fixed reference batch (section 3.5); with the DCGAN architectures.
        reference: samples in the reference batch.
    """

    minibatch_kernels: int = 100
    real_target: float = 0.9
    historical_averaging: float = 0.0
    feature_matching: bool = False
    virtual_batch_norm: bool = False
    reference: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.virtual_batch_norm and self.conditional:
            raise UsageError("Virtual batch norm is set up for an unconditional game. Leave --conditional out.")


def networks(config: ImprovedGANConfig, data: Dataset) -> Pair:
    """The pair with virtual batch norm and minibatch discrimination where asked for."""
    if not config.virtual_batch_norm:
        generator, discriminator = build_pair(config, data.spec)
        if config.minibatch_kernels:
            add_minibatch_discrimination(discriminator, config.minibatch_kernels)
        return generator, discriminator
    name = architecture_of(config, data.spec)
    if name not in ("dcgan", "dcgan5"):
        raise UsageError(f"Virtual batch norm stands in for batch norm in dcgan and dcgan5; the architecture is {name}. Choose one of these.")
    shape = image_shape(data.spec)
    kernel: Literal[4, 5] = 5 if name == "dcgan5" else 4
    inner = DCGANDiscriminator(shape, config.width, kernel, norm="virtual")
    if config.minibatch_kernels:
        add_minibatch_discrimination(inner, config.minibatch_kernels)
    latents = torch.randn(config.reference, config.latent_dim) if config.latent == "normal" else torch.rand(config.reference, config.latent_dim)
    latents = latents * 2 - 1 if config.latent == "uniform" else latents
    generator = VirtualBatchGenerator(DCGANGenerator(config.latent_dim, shape, config.width, kernel, norm="virtual"), latents)
    return generator, VirtualBatchDiscriminator(inner, some_samples(data, config.reference))


PAPER = ImprovedGANConfig(  # DCGAN with all techniques; the sizes of the ImageNet run
    architecture="dcgan",
    width=64,
    batch=64,
    rounds=100_000,
    resolution=128,
    latent_dim=100,
    virtual_batch_norm=True,
    generator_optimizer=Adam(lr=2e-4, beta1=0.5),
    discriminator_optimizer=Adam(lr=2e-4, beta1=0.5),
)


@recipe(
    name="improved-gan",
    title="improved techniques: minibatch discrimination, one-sided smoothing, historical averaging, virtual batch norm",
    paper="Salimans et al. 2016",
    year=2016,
    url="https://arxiv.org/abs/1606.03498",
    presets={
        "paper": PAPER,
        # half the width, batch norm in place of virtual batch norm, a fifth of the kernels
        "small": small(PAPER, virtual_batch_norm=False, minibatch_kernels=20),
        "toy": toy(PAPER, virtual_batch_norm=False, minibatch_kernels=20, batch=64),
    },
)
def improved_gan(config: ImprovedGANConfig, data: Dataset) -> AdversarialGame:
    """The non-saturating game with the techniques that are on."""
    generator, discriminator = networks(config, data)
    terms: list[Term] = [FeatureMatching()] if config.feature_matching else []
    if config.historical_averaging:
        terms += [HistoricalAveraging("generator", generator, config.historical_averaging)]
        terms += [HistoricalAveraging("discriminator", discriminator, config.historical_averaging)]
    objective, weight = NonSaturating(real_target=config.real_target), 0.0 if config.feature_matching else 1.0
    return adversarial(config, data, objective, pair=(generator, discriminator), terms=terms, adversarial_weight=weight)
