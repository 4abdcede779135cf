"""GAN: Goodfellow, Pouget-Abadie, Mirza, Xu, Warde-Farley, Ozair, Courville, Bengio, "Generative adversarial nets", NeurIPS 2014."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import torch

from saddlepoint.data.records import Dataset, to_device
from saddlepoint.errors import UsageError
from saddlepoint.games.adversarial import AdversarialGame
from saddlepoint.games.deepening import DeepeningGame
from saddlepoint.games.player import SGD, Adam, Clock, RMSprop, Schedule
from saddlepoint.networks.contrast import UnitDiscriminator, UnitGenerator
from saddlepoint.networks.deepened import DeepenedGenerator
from saddlepoint.networks.maxout import constrain_column_norm
from saddlepoint.networks.mlp import GoodfellowGenerator, MLPGenerator, set_output_bias
from saddlepoint.objectives.minimax import Blended, Minimax, NonSaturating
from saddlepoint.objectives.objective import Objective
from saddlepoint.views.contrast import ContrastNormalisation
from saddlepoint.zoo.build import adversarial, mean_sample, small, spread, toy
from saddlepoint.zoo.catalogue import recipe
from saddlepoint.zoo.networks import NetworksConfig, build_pair


@dataclass(frozen=True, kw_only=True)
class GANConfig(NetworksConfig):
    """Algorithm 1 of the paper with the constants of the authors' configuration files; k of the algorithm is d_steps.

    Attributes:
        generator_loss: "non-saturating" as released, "minimax" as in Eq. 1, or "blended", the mean of both.
        lr_divisor: both learning rates are divided by it after every batch (SGD only).
        lr_floor: the learning rate never falls below it (SGD only).
        final_momentum: momentum that is reached at ``momentum_epochs`` (SGD only).
        momentum_epochs: epoch, counted from 1, until which the momentum rises linearly.
        max_column_norm: largest length of a unit's incoming weights, restored after each move (1.9365 for TFD); None is off.
        bias_from_data: a sigmoid output starts with the bias that gives the mean image.
        contrast_norm: the players play on images less their mean, of this Euclidean length (CIFAR-10: 55); None plays on the images as they are.
        pretrain_share: of the rounds, after which G is put behind two new layers and plays against a new D (TFD: 50 of 72 epochs); None: never.
    """

    generator_loss: Literal["non-saturating", "minimax", "blended"] = "non-saturating"
    lr_divisor: float = 1.000004
    lr_floor: float = 1e-6
    final_momentum: float = 0.7
    momentum_epochs: int = 250
    max_column_norm: float | None = None
    bias_from_data: bool = True
    contrast_norm: float | None = None
    pretrain_share: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.pretrain_share is not None and not 0 < self.pretrain_share < 1:
            raise UsageError(f"pretrain_share must lie between 0 and 1; it is {self.pretrain_share}.")


OBJECTIVES: dict[str, type[Minimax]] = {"non-saturating": NonSaturating, "minimax": Minimax, "blended": Blended}


def schedule(config: GANConfig, optimizer: SGD, num_records: int) -> Schedule:
    """Learning rate and momentum by batch and epoch, as the authors' training library moves them."""

    def values(clock: Clock) -> dict[str, float]:
        batches = clock.round * config.d_steps
        epochs = batches * config.batch // num_records
        share = min(epochs / max(config.momentum_epochs - 1, 1), 1.0)
        momentum = (1 - share) * optimizer.momentum + share * config.final_momentum
        return {"lr": max(optimizer.lr / config.lr_divisor**batches, config.lr_floor), "momentum": momentum}

    return values


def _player(config: GANConfig, optimizer: Adam | RMSprop | SGD, module: Any, num_records: int) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    if isinstance(optimizer, SGD):
        settings["schedule"] = schedule(config, optimizer, num_records)
    if config.max_column_norm is not None:
        settings["after_move"] = partial(constrain_column_norm, module, config.max_column_norm)
    return settings


MNIST = GANConfig(  # mnist.yaml: 50,000 records, so an epoch is 500 rounds; its end was chosen by eye
    architecture="maxout",
    width=1200,
    batch=100,
    rounds=250_000,
    resolution=28,
    latent_dim=100,
    generator_optimizer=SGD(lr=0.1, momentum=0.5),
    discriminator_optimizer=SGD(lr=0.1, momentum=0.5),
)


def _lr(config: GANConfig, lr: float, **changes: Any) -> GANConfig:
    return replace(config, generator_optimizer=SGD(lr=lr, momentum=0.5), discriminator_optimizer=SGD(lr=lr, momentum=0.5), **changes)


PRESETS = {
    "paper": MNIST,
    # 50 epochs of 98,058 unlabelled faces, then 22
    "tfd": _lr(MNIST, 0.05, architecture="maxout-tfd", width=8000, resolution=48, max_column_norm=1.9365, rounds=70_560, pretrain_share=50 / 72),
    "cifar": _lr(MNIST, 0.025, architecture="maxout-cifar", width=8000, resolution=32, contrast_norm=55.0),
    "cifar-conv": _lr(MNIST, 0.004, architecture="maxout-cifar-conv", width=80, resolution=32, batch=128, contrast_norm=55.0),
    "small": small(MNIST, architecture="maxout", width=400, rounds=20_000, ema_halflife_kimg=10.0),  # a third of the units
    # the original at a quarter of its width, with its optimiser
    "quarter": replace(MNIST, width=300),
    # for images of 8x8 such as the shipped digits, with Adam: G of 256 and 256 units, D of 51 with five pieces each, twice
    "digits": replace(MNIST, width=256, resolution=8, latent_dim=32, rounds=20_000, generator_optimizer=Adam(), discriminator_optimizer=Adam()),
    "toy": toy(MNIST),
}


def mean_and_contrast(data: Dataset, most: int = 10_000) -> tuple[float, float]:
    """Mean of all values, and mean Euclidean length of an image about its own mean, over ``most`` images spread evenly over the data.

    Raises:
        UsageError: for points, which have no contrast.
    """
    if data.spec.kind != "image":
        raise UsageError(f"Contrast normalisation is for images; {data.spec.name} holds {data.spec.kind}. Leave --contrast-norm out.")
    means, lengths = [], []
    for rows in torch.split(spread(len(data), most), 500):
        x = to_device(data.records(rows), "cpu").x.double().flatten(1)
        means.append(x.mean(1))
        lengths.append((x - x.mean(1, keepdim=True)).norm(dim=1))
    return torch.cat(means).mean().item(), torch.cat(lengths).mean().item()


@recipe(
    name="gan",
    title="the first GAN: minimax game, maxout discriminator with dropout, SGD with rising momentum",
    paper="Goodfellow et al. 2014",
    year=2014,
    url="https://arxiv.org/abs/1406.2661",
    presets=PRESETS,
)
def gan(config: GANConfig, data: Dataset) -> AdversarialGame:
    """Algorithm 1, the discriminator's loss halved as in the authors' code."""
    generator, discriminator = build_pair(config, data.spec)
    if config.bias_from_data and isinstance(generator, GoodfellowGenerator | MLPGenerator) and generator.output == "sigmoid":
        set_output_bias(generator, mean_sample(data))
    real_view = None
    if config.contrast_norm is not None:
        mean, contrast = mean_and_contrast(data)
        real_view = ContrastNormalisation(config.contrast_norm, mean, contrast / config.contrast_norm)
        generator = UnitGenerator(generator, mean, contrast / config.contrast_norm)
        discriminator = UnitDiscriminator(discriminator, mean, contrast / config.contrast_norm)
    second: dict[str, Any] = {}
    if config.pretrain_share is not None:
        generator = DeepenedGenerator(generator, config.width)
        second = {"game": DeepeningGame, "first_share": config.pretrain_share}
    objective: Objective = OBJECTIVES[config.generator_loss](halved=True)
    players = {
        "generator": _player(config, config.generator_optimizer, generator, len(data)),
        "discriminator": _player(config, config.discriminator_optimizer, discriminator, len(data)),
    }
    return adversarial(config, data, objective, pair=(generator, discriminator), real_view=real_view, players=players, **second)
