"""What recipes share when they build the adversarial game."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from saddlepoint.data.records import Dataset, to_device
from saddlepoint.errors import UsageError
from saddlepoint.games.adversarial import AdversarialConfig, AdversarialGame
from saddlepoint.games.player import Adam
from saddlepoint.games.terms import Term
from saddlepoint.objectives.objective import Objective
from saddlepoint.views.diffaugment import DiffAugment
from saddlepoint.zoo.networks import NetworksConfig, build_pair, num_classes
from saddlepoint.zoo.pairs import Pair

Config = TypeVar("Config", bound=AdversarialConfig)


def view_of(config: AdversarialConfig) -> nn.Module | None:
    """The augmentation in front of D that the configuration asks for."""
    if config.augment and config.augmentation is not None:
        raise UsageError(f"D sees images behind one augmentation: --augment {config.augment} and --augmentation ADA were given. Leave one out.")
    if config.augmentation is not None:
        return config.augmentation.build()
    return DiffAugment(config.augment) if config.augment else None


def adversarial(
    config: NetworksConfig,
    data: Dataset,
    objective: Objective,
    *,
    pair: Pair | None = None,
    terms: Sequence[Term] = (),
    game: type[AdversarialGame] = AdversarialGame,
    **settings: Any,
) -> AdversarialGame:
    """The adversarial game on the networks that the configuration names.

    Args:
        config: of the recipe.
        data: what it will be trained on.
        objective: the value function.
        pair: (G, D); None builds those of ``config.architecture``.
        terms: what is added to either loss.
        game: the class that plays.
        settings: the other arguments of :class:`AdversarialGame`.
    """
    generator, discriminator = pair or build_pair(config, data.spec)
    settings.setdefault("view", view_of(config))
    settings.setdefault("num_classes", num_classes(config, data.spec))
    return game(config, generator, discriminator, objective, terms=terms, **settings)


def small(config: Config, **changes: Any) -> Config:
    """A preset for two cores: 32x32 images, DCGAN of width 32 where nothing else is asked for, an average of short half-life.

    Two to five minutes on Fashion-MNIST; narrower, shorter and at a lower resolution than the papers.
    """
    common: dict[str, Any] = {"architecture": "dcgan", "width": 32, "resolution": 32, "rounds": 2_000, "ema_halflife_kimg": 2.0}
    return _changed(config, common, changes)


def toy(config: Config, **changes: Any) -> Config:
    """A preset for points in the plane: MLPs with three hidden ReLU layers of 128, batch 128, z of 16 numbers, Adam 1e-3 (0.5, 0.999)."""
    optimizer = Adam(lr=1e-3, beta1=0.5, beta2=0.999)
    common: dict[str, Any] = {
        "architecture": "mlp",
        "width": 128,
        "batch": 128,
        "rounds": 5_000,
        "resolution": None,
        "latent_dim": 16,
        "latent": "normal",
        "generator_optimizer": optimizer,
        "discriminator_optimizer": optimizer,
        "lr_decay": "constant",
        "g_batch_factor": 1,
        "share_fakes": False,
        "ema_halflife_kimg": 5.0,
    }
    return _changed(config, common, changes)


def _changed(config: Config, common: dict[str, Any], changes: dict[str, Any]) -> Config:
    """The configuration with ``changes``, and with those of the common settings that it has."""
    known = {field.name for field in fields(config)}
    return replace(config, **{name: value for name, value in common.items() if name in known} | changes)


def spread(total: int, count: int) -> Tensor:
    """``count`` of ``total`` indices (all where there are fewer), spread evenly: int64 [m]."""
    return torch.arange(min(count, total)) * total // min(count, total)


def some_samples(data: Dataset, count: int) -> Tensor:
    """``count`` samples spread evenly over the data (all where there are fewer), as a turn sees them, float on the CPU."""
    return to_device(data.records(spread(len(data), count)), "cpu").x


def mean_sample(data: Dataset, most: int = 100_000) -> Tensor:
    """Mean of the samples, or of ``most`` of them spread evenly over the data; shape of one sample."""
    indices = spread(len(data), most)
    parts = [to_device(data.records(rows), "cpu").x.double().sum(0) for rows in torch.split(indices, 500)]
    return torch.stack(parts).sum(0) / len(indices)
