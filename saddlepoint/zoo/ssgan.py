"""Semi-supervised GAN: Salimans, Goodfellow, Zaremba, Cheung, Radford, Chen, "Improved techniques for training GANs", NeurIPS 2016, section 5."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch

from saddlepoint.data.labels import few_labels
from saddlepoint.data.records import Dataset
from saddlepoint.errors import UsageError
from saddlepoint.games.adversarial import AdversarialConfig
from saddlepoint.games.classifying import ClassifyingGame
from saddlepoint.games.player import Adam, linear_decay
from saddlepoint.games.terms import FeatureMatching, Supervised, Term
from saddlepoint.networks.base import Discriminator
from saddlepoint.networks.heads import ClassHead
from saddlepoint.networks.improved import ImprovedConvDiscriminator, ImprovedConvGenerator, ImprovedMLPDiscriminator, ImprovedMLPGenerator
from saddlepoint.networks.initialisation import initialise_from_data
from saddlepoint.networks.mlp import MLPDiscriminator, MLPGenerator
from saddlepoint.objectives.classes import SemiSupervised
from saddlepoint.zoo.build import small, some_samples, toy, view_of
from saddlepoint.zoo.catalogue import recipe
from saddlepoint.zoo.networks import image_shape
from saddlepoint.zoo.pairs import Pair

FIRST = 500  # samples that data-dependent initialisation looks at


@dataclass(frozen=True, kw_only=True)
class SSGANConfig(AdversarialConfig):
    """Few records keep their label; D classifies them and tells all others from fakes. The data must have labels.

    Attributes:
        networks: the fully connected pair of MNIST, the convolutional one of CIFAR-10, or plain MLPs, which alone play on points.
        width: of G: units of its hidden layers, or channels of its smallest map (published: 500 and 512). D's scale alike.
        labels_per_class: records of each class that keep their label.
        labels_seed: of their choice.
        generator_loss: "feature-matching" gives the better classifier, "minibatch-discrimination" with the saturating loss the better samples.
        minibatch_kernels: of minibatch discrimination.
        average_rate: share of the distance that the averaged classifier moves after each move of D.
        decay_from: share of the rounds after which the learning rates fall linearly to 0; 1 keeps them.
    """

    networks: Literal["mnist", "cifar", "mlp"] = "mnist"
    width: int = 500
    labels_per_class: int = 10
    labels_seed: int = 1
    generator_loss: Literal["feature-matching", "minibatch-discrimination"] = "feature-matching"
    minibatch_kernels: int = 100
    average_rate: float = 1e-4
    decay_from: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.average_rate <= 1 or not 0 <= self.decay_from <= 1:
            raise UsageError("average_rate must lie above 0 and up to 1, and decay_from in [0, 1].")


def networks(config: SSGANConfig, data: Dataset) -> Pair:
    """G and the classifying D, started from data where the published ones are."""
    spec = data.spec
    assert spec.num_classes is not None
    kernels = config.minibatch_kernels if config.generator_loss == "minibatch-discrimination" else None
    if spec.kind == "points" and config.networks != "mlp":
        raise UsageError(f"The networks {config.networks} make images; {spec.name} holds points. Choose --networks mlp.")
    if config.networks == "mlp":
        if kernels:
            raise UsageError("Minibatch discrimination belongs to the networks mnist and cifar. Choose one of them, or feature-matching.")
        output: Literal["tanh", "linear"] = "tanh" if spec.kind == "image" else "linear"
        plain = MLPGenerator(config.latent_dim, spec.shape, width=config.width, output=output)
        return plain, ClassHead(MLPDiscriminator(spec.shape, width=config.width, activation="leaky_relu"), spec.num_classes, "realness")
    generator: ImprovedMLPGenerator | ImprovedConvGenerator
    discriminator: Discriminator
    if config.networks == "mnist":
        widths = tuple(max(1, units * config.width // 500) for units in (1000, 500, 250, 250, 250))
        generator = ImprovedMLPGenerator(spec.shape, latent_dim=config.latent_dim, width=config.width)
        discriminator = ImprovedMLPDiscriminator(spec.shape, num_classes=spec.num_classes, widths=widths, num_kernels=kernels)
    else:
        shape, d_width = image_shape(spec), max(1, config.width * 96 // 512)
        start: Literal["noise", "dropout"] = "noise" if kernels else "dropout"
        generator = ImprovedConvGenerator(shape, latent_dim=config.latent_dim, width=config.width)
        discriminator = ImprovedConvDiscriminator(shape, num_classes=spec.num_classes, width=d_width, start=start, num_kernels=kernels)
    buffers = copy.deepcopy(dict(generator.named_buffers()))
    initialise_from_data(discriminator, some_samples(data, FIRST))
    initialise_from_data(generator, torch.rand(FIRST, config.latent_dim))
    for name, value in generator.named_buffers():  # the running averages of batch norm start when training does
        if "running" in name or "batches" in name:
            value.copy_(buffers[name])
    return generator, discriminator


def _decaying(config: SSGANConfig, lr: float) -> dict[str, Any]:
    return {} if config.decay_from == 1 else {"schedule": linear_decay(lr, start=config.decay_from)}


MNIST = SSGANConfig(  # 300 epochs of 600 rounds
    batch=100,
    rounds=180_000,
    resolution=28,
    latent_dim=100,
    latent="unit-uniform",
    generator_optimizer=Adam(lr=3e-3, beta1=0.5),
    discriminator_optimizer=Adam(lr=3e-3, beta1=0.5),
)
CIFAR = replace(  # 1,200 epochs of 500 rounds, the rate constant to epoch 800
    MNIST,
    networks="cifar",
    width=512,
    labels_per_class=400,
    rounds=600_000,
    resolution=32,
    decay_from=2 / 3,
    generator_optimizer=Adam(lr=3e-4, beta1=0.5),
    discriminator_optimizer=Adam(lr=3e-4, beta1=0.5),
)


@recipe(
    name="ssgan",
    title="semi-supervised GAN: a discriminator of K classes learns from few labels, many images and fakes",
    paper="Salimans et al. 2016",
    year=2016,
    url="https://arxiv.org/abs/1606.03498",
    needs_labels=True,
    presets={
        "paper": MNIST,
        "cifar": CIFAR,
        "cifar-minibatch": replace(CIFAR, generator_loss="minibatch-discrimination", g_steps=3),
        # half the units; an average a hundred times faster, for a run a hundred times shorter
        "small": small(MNIST, width=256, labels_per_class=10, rounds=3_000, average_rate=1e-2),
        "toy": toy(MNIST, networks="mlp", rounds=3_000, average_rate=1e-2),
    },
    prepare=lambda config, data: few_labels(data, config.labels_per_class, config.labels_seed),
)
def ssgan(config: SSGANConfig, data: Dataset) -> ClassifyingGame:
    """K-class D with averaged weights; G matches features, or fools D after minibatch discrimination."""
    generator, discriminator = networks(config, data)
    matching = config.generator_loss == "feature-matching"
    terms: list[Term] = [Supervised()]
    if matching and config.networks == "cifar":
        terms.append(FeatureMatching("absolute"))
    elif matching:  # the mean over the features, as released, instead of the sum
        size = 250 * config.width // 500 if config.networks == "mnist" else config.width
        terms.append(FeatureMatching("l2", 1 / max(1, size)))
    players = {
        "generator": _decaying(config, config.generator_optimizer.lr),
        "discriminator": _decaying(config, config.discriminator_optimizer.lr),
    }
    return ClassifyingGame(
        config,
        generator,
        discriminator,
        SemiSupervised(),
        terms=terms,
        view=view_of(config),
        adversarial_weight=0.0 if matching else 1.0,
        players=players,
        average_rate=config.average_rate,
    )
