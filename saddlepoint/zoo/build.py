"""What recipes share when they build the adversarial game."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from saddlepoint.data.records import Dataset
from saddlepoint.games.adversarial import AdversarialConfig, AdversarialGame
from saddlepoint.games.terms import Term
from saddlepoint.objectives.objective import Objective
from saddlepoint.views.diffaugment import DiffAugment
from saddlepoint.zoo.networks import NetworksConfig, Pair, build_pair, num_classes


def view_of(config: AdversarialConfig) -> nn.Module | None:
    """The augmentation in front of D that the configuration asks for."""
    return DiffAugment(config.augment) if config.augment else None


def adversarial(
    config: NetworksConfig, data: Dataset, objective: Objective, *, pair: Pair | None = None, terms: Sequence[Term] = (), **settings: Any
) -> AdversarialGame:
    """The adversarial game on the networks that the configuration names.

    Args:
        config: of the recipe.
        data: what it will be trained on.
        objective: the value function.
        pair: (G, D); None builds those of ``config.architecture``.
        terms: what is added to either loss.
        settings: the other arguments of :class:`AdversarialGame`.
    """
    generator, discriminator = pair or build_pair(config, data.spec)
    settings.setdefault("view", view_of(config))
    return AdversarialGame(
        config, generator, discriminator, objective, terms=terms, num_classes=num_classes(config, data.spec), **settings
    )
