"""Adversarial autoencoder: Makhzani, Shlens, Jaitly, Goodfellow, Frey, "Adversarial autoencoders", 2015."""

from __future__ import annotations

from dataclasses import dataclass, replace

from saddlepoint.data.labels import few_labels
from saddlepoint.data.records import Dataset
from saddlepoint.errors import DataError, UsageError
from saddlepoint.games.aae import AAEConfig, AAEGame, CategoricalAAEGame, CodeGame
from saddlepoint.games.player import Adam
from saddlepoint.networks.aae import AAEDecoder, AAEDiscriminator, AAEEncoder
from saddlepoint.zoo.catalogue import recipe

PARTS = 10  # of a mixture or a roll where no labels say how many


@dataclass(frozen=True, kw_only=True)
class AAERecipeConfig(AAEConfig):
    """One of the paper's uses.

    Attributes:
        categories: one-hot numbers beside z: clusters, or the classes where labels_per_class says how many are labelled; 0 none.
        labels_per_class: labelled records of each class; 0: none, and categories are clusters.
        labels_seed: of their choice.
        noise_dim: numbers of noise that a "universal" posterior sees.
    """

    categories: int = 0
    labels_per_class: int = 0
    labels_seed: int = 1
    noise_dim: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.labels_per_class and not self.categories:
            raise UsageError("labels_per_class needs categories for the classes: set --categories to their number.")
        if self.categories and self.labels != "none":
            raise UsageError(f"categories and labels {self.labels!r} are two uses of one network. Choose one.")


# 1,500 epochs of 600 batches of 100
PAPER = AAERecipeConfig(batch=100, rounds=900_000)
PLANE = replace(PAPER, latent_dim=2)
CATEGORIES = replace(PAPER, latent_dim=10, prior_std=1.0, categories=10, input_dropout=0.2)
# The paper's second drop alone: without it codes circle around the prior. From smaller weights, or at half of D's rate, they are still on their
# way to it after 900 rounds; at 1e-3 they leave it again.
FAST = {"reconstruction_optimizer": Adam(lr=1e-3, beta1=0.9), "regularisation_optimizer": Adam(lr=4e-4, beta1=0.5), "drops": (1000 / 1500,)}
SIZE = {"resolution": 32, "width": 256, "rounds": 3_000}
SMALL = replace(PAPER, **SIZE, **FAST, prior_std=1.0, init_std=0.1)  # type: ignore[arg-type]


@recipe(
    name="aae",
    title="adversarial autoencoder: a discriminator of codes makes them look like draws of a prior",
    paper="Makhzani et al. 2015",
    year=2015,
    url="https://arxiv.org/abs/1511.05644",
    needs=("image",),
    presets={
        "paper": PAPER,
        "gaussian": replace(PAPER, posterior="gaussian"),
        "universal": replace(PAPER, posterior="universal"),
        "tfd": replace(PAPER, latent_dim=15, prior_std=10.0),
        "mixture": replace(PLANE, prior="mixture", labels="prior"),
        "swiss-roll": replace(PLANE, prior="swiss-roll", labels="prior"),
        "style": replace(PAPER, latent_dim=15, prior_std=1.0, labels="decoder"),
        "semi-supervised": replace(CATEGORIES, labels_per_class=10),
        "clusters": replace(CATEGORIES, latent_dim=5, categories=16),
        "small": SMALL,
        "small-mixture": replace(SMALL, latent_dim=2, prior="mixture", labels="prior"),
        "small-swiss-roll": replace(SMALL, latent_dim=2, prior="swiss-roll", labels="prior"),
        "small-style": replace(SMALL, labels="decoder"),
        "small-semi-supervised": replace(SMALL, latent_dim=10, categories=10, labels_per_class=10, input_dropout=0.2),
        "small-clusters": replace(SMALL, latent_dim=5, categories=16),
    },
    prepare=lambda config, data: few_labels(data, config.labels_per_class, config.labels_seed) if config.labels_per_class else data,
)
def aae(config: AAERecipeConfig, data: Dataset) -> CodeGame:
    """Encoder, decoder and discriminators of the paper."""
    spec, d = data.spec, config.latent_dim
    if config.labels != "none" and spec.num_classes is None:
        raise DataError(f"labels {config.labels!r} needs data with labels; {spec.name} has none. Put each class into a folder of its own.")
    if config.labels_per_class and config.categories < (spec.num_classes or 0):
        raise UsageError(f"{config.categories} categories cannot name the {spec.num_classes} classes of {spec.name}. Set --categories.")
    k, told = config.categories, spec.num_classes or PARTS
    noise = config.noise_dim if config.posterior == "universal" else 0
    outputs = k + (2 * d if config.posterior == "gaussian" else d)
    encoder = AAEEncoder(spec.shape, outputs, width=config.width, std=config.init_std, noise_dim=noise, dropout=config.input_dropout)
    decoder = AAEDecoder(spec.shape, d + k + (told if config.labels == "decoder" else 0), width=config.width, std=config.init_std)
    discriminator = AAEDiscriminator(d + (told if config.labels == "prior" else 0), width=config.width, std=config.init_std)
    if k:
        of_categories = AAEDiscriminator(k, width=config.width, std=config.init_std)
        supervised = config.labels_per_class > 0
        return CategoricalAAEGame(config, encoder, decoder, discriminator, of_categories, categories=k, supervised=supervised)
    game = CodeGame if config.labels == "decoder" else AAEGame
    return game(config, encoder, decoder, discriminator, told if config.labels != "none" else PARTS)
