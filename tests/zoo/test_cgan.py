"""The first conditional GAN: its networks, its rates, and that it makes what it is told."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from saddlepoint.data.sources import open_data
from saddlepoint.draws import Draws
from saddlepoint.errors import UsageError
from saddlepoint.games.player import SGD
from saddlepoint.networks.maxout import Maxout
from saddlepoint.networks.mirza import MirzaDiscriminator, MirzaGenerator
from saddlepoint.studies.play import play
from saddlepoint.zoo.catalogue import find_recipe


def test_the_networks_of_the_paper() -> None:
    generator, discriminator = MirzaGenerator((1, 28, 28), 10), MirzaDiscriminator((1, 28, 28), 10)
    layers = [layer for layer in generator.modules() if isinstance(layer, torch.nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in layers] == [(100, 200), (10, 1000), (1200, 1200), (1200, 784)]
    units = [(layer.in_features, layer.out_features) for layer in discriminator.modules() if isinstance(layer, Maxout)]
    assert units == [(784, 240 * 5), (10, 50 * 5), (290, 240 * 4)]
    images = generator(torch.rand(3, 100), torch.tensor([0, 1, 2]))
    assert images.shape == (3, 1, 28, 28)
    assert images.abs().max() <= 1
    assert discriminator(images, torch.tensor([0, 1, 2])).logits.shape == (3,)


def test_the_rates_of_the_paper() -> None:
    paper: Any = find_recipe("cgan").preset("paper")
    assert paper.generator_optimizer == SGD(lr=0.1, momentum=0.5)
    assert (paper.batch, paper.lr_divisor, paper.lr_floor, paper.final_momentum) == (100, 1.00004, 1e-6, 0.7)


def test_labels_are_needed() -> None:
    with pytest.raises(UsageError, match="both players are told the label"):
        find_recipe("cgan").preset("paper").__class__(conditional=False)


def test_a_class_is_made_as_it_was_told() -> None:
    """Two points far apart, one of each class: G's points of a class lie near their own."""
    recipe, data = find_recipe("cgan"), open_data("ring8")
    torch.manual_seed(0)
    game: Any = recipe.game(recipe.preset("toy"), data)
    play(game, data, rounds=250, batch=128, every=250)
    own = torch.stack([data.column("point")[data.column("label") == label].mean(0) for label in range(8)])
    labels = torch.arange(8).repeat(40)
    nearest = torch.cdist(game.sample(320, Draws.seeded(1), labels), own).argmin(1)
    assert (nearest == labels).float().mean() > 0.8
