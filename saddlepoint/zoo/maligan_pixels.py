"""MaliGAN on images of discrete pixels: Che et al., "Maximum-likelihood augmented discrete generative adversarial networks", 2017."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, replace

import torch

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.drawn import description_hash
from saddlepoint.data.records import Dataset
from saddlepoint.errors import DataError
from saddlepoint.games.adversarial import AdversarialGame
from saddlepoint.games.bernoulli import BernoulliGame, Weights
from saddlepoint.games.player import Adam
from saddlepoint.objectives.minimax import NonSaturating
from saddlepoint.zoo.build import adversarial, small
from saddlepoint.zoo.catalogue import recipe
from saddlepoint.zoo.networks import NetworksConfig


@dataclass(frozen=True, kw_only=True)
class MaliGANPixelsConfig(NetworksConfig):
    """The experiment with discrete digits: every sub-pixel black or white, a network of transposed convolutions whose outputs are probabilities.

    Attributes:
        weights: of the samples' likelihoods: "maligan", or "reinforce", D's opinion less its mean, which the paper compares with.
        logit_limit: D's logits are clamped to this size either way before the ratio of densities is taken of them.
    """

    weights: Weights = "maligan"
    logit_limit: float = 5.0


# 28x28 digits and the kind of network are the paper's; its sizes, rates and length are not in it, and are DCGAN's on digits.
DIGITS = MaliGANPixelsConfig(
    architecture="dcgan",
    batch=100,
    rounds=60_000,
    resolution=28,
    latent_dim=100,
    latent="uniform",
    generator_optimizer=Adam(lr=2e-4, beta1=0.5),
    discriminator_optimizer=Adam(lr=2e-4, beta1=0.5),
)
SMALL = small(
    DIGITS,
    resolution=28,
    batch=64,
    width=16,
    critic_norm="spectral",
    rounds=2_000,
    ema_halflife_kimg=None,
    generator_optimizer=Adam(lr=1e-3, beta1=0.5),
    discriminator_optimizer=Adam(lr=5e-4, beta1=0.5),
)


def black_and_white(data: Dataset) -> ArrayDataset:
    """Images with every sub-pixel brought to the nearer of black and white.

    Raises:
        DataError: for data that are streamed.
    """
    if not isinstance(data, ArrayDataset):
        raise DataError(f"{data.spec.name} is streamed; maligan-pixels reads images that fit into memory. Take a folder or a shorter archive.")
    fields = {name: data.column(name) for name in data.spec.fields}
    middle = 0.0 if fields["image"].is_floating_point() else 127
    fields["image"] = (fields["image"] > middle).to(torch.uint8) * 255
    digest = description_hash(of=data.spec.content_hash, levels=2)
    return ArrayDataset(fields, dataclasses.replace(data.spec, content_hash=digest), names=data.names, notes=data.notes)


@recipe(
    name="maligan-pixels",
    title="MaliGAN of black-and-white images: pixels are drawn, and the likelihood of what was drawn is weighted by D",
    paper="Che et al. 2017",
    year=2017,
    url="https://arxiv.org/abs/1702.07983",
    needs=("image",),
    presets={
        "paper": DIGITS,
        "reinforce": replace(DIGITS, weights="reinforce"),
        "small": SMALL,
        "small-reinforce": replace(SMALL, weights="reinforce"),
    },
    prepare=lambda config, data: black_and_white(data),
)
def maligan_pixels(config: MaliGANPixelsConfig, data: Dataset) -> AdversarialGame:
    """Cross-entropy for D, weighted likelihood for G."""
    return adversarial(config, data, NonSaturating(), game=BernoulliGame, weights=config.weights, logit_limit=config.logit_limit)
