"""SAGAN: Zhang, Goodfellow, Metaxas, Odena, "Self-attention generative adversarial networks", ICML 2019."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from saddlepoint.data.records import Dataset
from saddlepoint.games.adversarial import AdversarialGame
from saddlepoint.games.player import Adam
from saddlepoint.games.settings import AdversarialConfig
from saddlepoint.networks.biggan import BigGANDiscriminator, BigGANGenerator
from saddlepoint.objectives.hinge import Hinge
from saddlepoint.zoo.build import view_of
from saddlepoint.zoo.catalogue import recipe
from saddlepoint.zoo.networks import image_shape


@dataclass(frozen=True, kw_only=True)
class SAGANConfig(AdversarialConfig):
    """Sections 3 and 4 of the paper and the authors' code. Data without labels is learnt without classes.

    Attributes:
        width: the unit that channels are multiples of (gf_dim and df_dim).
        attention: sides of the maps that look at themselves, in G and D; () for none, the paper's baseline.
    """

    width: int = 64
    attention: tuple[int, ...] = (32,)


IMAGENET = SAGANConfig(
    batch=256,
    rounds=1_000_000,
    resolution=128,
    latent_dim=128,
    generator_optimizer=Adam(lr=1e-4, beta1=0.0, beta2=0.9),
    discriminator_optimizer=Adam(lr=4e-4, beta1=0.0, beta2=0.9),
)


@recipe(
    name="sagan",
    title="self-attention GAN: each place of the picture may look at every other; spectral norm in both players, two time scales",
    paper="Zhang, Goodfellow, Metaxas & Odena 2019",
    year=2019,
    url="https://arxiv.org/abs/1805.08318",
    needs=("image",),
    presets={
        "paper": IMAGENET,
        "no-attention": replace(IMAGENET, attention=()),
        # ch 16, attention at 32 and 16 in G and at 16 in D; twice the paper's learning rates
        "small": replace(
            IMAGENET,
            width=16,
            attention=(32, 16),
            batch=64,
            rounds=600,
            resolution=32,
            ema_halflife_kimg=2.0,
            generator_optimizer=Adam(lr=2e-4, beta1=0.0, beta2=0.9),
            discriminator_optimizer=Adam(lr=8e-4, beta1=0.0, beta2=0.9),
        ),
    },
)
def sagan(config: SAGANConfig, data: Dataset) -> AdversarialGame:
    """Hinge game; a gain and a bias for each class in each norm of G, projection in D."""
    shape, classes = image_shape(data.spec), data.spec.num_classes
    shared: Any = {"width": config.width, "num_classes": classes, "attention": config.attention, "start": "xavier"}
    generator = BigGANGenerator(shape, config.latent_dim, shared_dim=None, hierarchical=False, eps=1e-5, **shared)
    return AdversarialGame(config, generator, BigGANDiscriminator(shape, **shared), Hinge(), view=view_of(config), num_classes=classes)
