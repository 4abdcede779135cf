"""The networks of the unrolled GAN on stacked MNIST."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from saddlepoint.data.sources import open_data
from saddlepoint.networks.base import mixes_samples
from saddlepoint.networks.metz import MetzDiscriminator, MetzGenerator
from saddlepoint.zoo.catalogue import find_recipe


def sizes(*networks: torch.nn.Module) -> list[int]:
    return [sum(p.numel() for p in network.parameters()) for network in networks]


def test_layers_are_those_of_the_released_code() -> None:
    """Counts by hand: weights and biases of each layer, and gain and shift of each norm."""
    generator, quarter, half = MetzGenerator((3, 28, 28)), MetzDiscriminator((3, 28, 28)), MetzDiscriminator((3, 28, 28), width=4)
    norms = [2 * c for c in (64, 32, 16, 8)]
    linear = 257 * 64 * 16
    assert sizes(generator) == [linear + (64 * 9 + 1) * 32 + (32 * 9 + 1) * 16 + (16 * 9 + 1) * 8 + (8 * 9 + 1) * 3 + sum(norms)]
    for network, (a, b, c) in ((quarter, (2, 4, 8)), (half, (4, 8, 16))):
        assert sizes(network) == [(3 * 9 + 1) * a + (a * 9 + 1) * b + (b * 9 + 1) * c + 2 * (a + b + c) + c * 16 + 1]
    layers: list[Any] = [*generator.doublings]
    assert [tuple(layer.weight.shape[:2]) for layer in layers] == [(64, 32), (32, 16), (16, 8)]


@pytest.mark.parametrize("shape", [(3, 28, 28), (1, 32, 48), (3, 8, 8), (2, 21, 30)])
def test_any_size(shape: tuple[int, int, int]) -> None:
    generator, discriminator = MetzGenerator(shape, latent_dim=4, width=8), MetzDiscriminator(shape, norm="none")
    x = generator(torch.randn(2, 4))
    assert x.shape == (2, *shape) and x.abs().max() <= 1
    judged = discriminator(x)
    assert judged.logits.shape == (2,) and judged.features is not None and torch.equal(discriminator.head(judged.features)[:, 0], judged.logits)


def test_maps_are_those_of_torchs_own_layers() -> None:
    torch.manual_seed(0)
    generator, discriminator, z = MetzGenerator((3, 28, 28), latent_dim=4, width=16), MetzDiscriminator((3, 28, 28)), torch.randn(3, 4)
    doublings: list[Any] = [*generator.doublings]
    h = generator.norms[0](generator.project(z).view(3, 4, 4, 16).permute(0, 3, 1, 2)).relu()
    for layer, norm, side in zip(doublings, [*generator.norms][1:], (7, 14, 28), strict=True):
        h = norm(layer(h, output_size=[side, side])).relu()
    x = generator(z)
    assert torch.allclose(x, generator.last(h).tanh(), atol=1e-6)
    h = x
    for layer, norm in zip(discriminator.convs, discriminator.norms, strict=True):
        h = torch.nn.functional.leaky_relu(norm(layer(h)), 0.3)
    assert torch.allclose(discriminator(x).logits, discriminator.head(h.permute(0, 2, 3, 1).flatten(1))[:, 0], atol=1e-5)


def test_batch_norm_is_asked_for_or_left_out() -> None:
    assert mixes_samples(MetzDiscriminator((3, 8, 8))) and not mixes_samples(MetzDiscriminator((3, 8, 8), norm="none"))


@pytest.mark.parametrize(("preset", "width"), [("stacked", 2), ("stacked-half", 4)])
def test_the_unrolled_recipe_plays_with_them(preset: str, width: int) -> None:
    recipe = find_recipe("unrolled")
    config = dataclasses.replace(recipe.preset(preset), resolution=8)
    game = recipe.game(config, open_data("stacked-digits", resolution=8))
    generator, discriminator = game.get_submodule("generator"), game.get_submodule("discriminator")
    assert isinstance(discriminator, MetzDiscriminator) and discriminator.head.in_features == 4 * width
    assert isinstance(generator, MetzGenerator) and (config.batch, config.rounds, generator.latent_dim) == (128, 500_000, 256)


@pytest.mark.parametrize(("architecture", "units"), [("mlp", 64), ("mlp-half", 32), ("mlp-quarter", 16)])
def test_the_mlps_come_with_a_smaller_opponent(architecture: str, units: int) -> None:
    recipe = find_recipe("nsgan")
    toy: Any = recipe.preset("toy")
    config = dataclasses.replace(toy, architecture=architecture, width=64)
    game = recipe.game(config, open_data("ring8"))
    shapes = [[layer.weight.shape[0] for layer in game.get_submodule(name).hidden[::2]] for name in ("generator", "discriminator")]  # type: ignore[index]
    assert shapes == [[64] * 3, [units] * 3]
