"""StyleGAN2's networks: sizes as published, mapping against NumPy, truncation, mixing, shapes, growth."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from saddlepoint.draws import Draws, use
from saddlepoint.errors import UsageError
from saddlepoint.networks.mapping import MappingNetwork, mix_styles
from saddlepoint.networks.stylegan2 import Architecture, Channels, StyleGAN2Generator
from saddlepoint.networks.stylegan2_discriminator import StyleGAN2Discriminator

TINY = Channels(base=64, most=8)
ARCHITECTURES: tuple[Architecture, ...] = ("orig", "skip", "resnet")


def pair(
    shape: tuple[int, int, int] = (3, 16, 16),
    *,
    classes: int | None = None,
    g: Architecture = "skip",
    d: Architecture = "resnet",
    growing: bool = False,
) -> tuple[StyleGAN2Generator, StyleGAN2Discriminator]:
    torch.manual_seed(0)
    generator = StyleGAN2Generator(
        shape, latent_dim=6, code_dim=5, mapping_layers=2, channels=TINY, architecture=g, num_classes=classes, growing=growing
    )
    return generator, StyleGAN2Discriminator(shape, channels=TINY, architecture=d, num_classes=classes, mapping_layers=2, growing=growing)


@pytest.mark.parametrize(("base", "g", "d"), [(32768, 30_370_060, 29_012_513), (16384, 24_900_764, 24_038_161)])
def test_parameters_at_1024_pixels(base: int, g: int, d: int) -> None:
    """The released code counts as many; the paper rounds to 30M and 29M (configuration F), E has half the base."""
    with torch.device("meta"):
        networks = (
            StyleGAN2Generator((3, 1024, 1024), channels=Channels(base=base)),
            StyleGAN2Discriminator((3, 1024, 1024), channels=Channels(base=base)),
        )
    assert [sum(p.numel() for p in network.parameters()) for network in networks] == [g, d]
    assert networks[0].num_layers == 18


def test_mapping_against_numpy() -> None:
    torch.manual_seed(0)
    mapping = MappingNetwork(6, 5, layers=2, num_classes=3).double()
    for layer in mapping.layers:
        torch.nn.init.normal_(layer.bias)  # type: ignore[arg-type]
    z, labels = torch.randn(4, 6, dtype=torch.float64), torch.tensor([0, 2, 1, 0])
    assert mapping.embed is not None
    embedded = mapping.embed.weight.detach().numpy()[:, labels.numpy()].T / math.sqrt(3)
    x = np.concatenate([part / np.sqrt((part**2).mean(1, keepdims=True) + 1e-8) for part in (z.numpy(), embedded)], 1)
    for layer in mapping.layers:
        weight, bias = (parameter.detach().numpy() for parameter in layer.parameters())
        x = x @ weight.T * 0.01 / math.sqrt(x.shape[1]) + 0.01 * bias
        x = math.sqrt(2) * np.where(x > 0, x, 0.2 * x)
    np.testing.assert_allclose(mapping(z, labels).detach().numpy(), x)
    np.testing.assert_allclose(mapping.mean.numpy(), 0.005 * x.mean(0))
    mapping.eval()(z, labels)
    np.testing.assert_allclose(mapping.mean.numpy(), 0.005 * x.mean(0))


def test_truncation_zero_is_the_mean_image_and_one_is_none() -> None:
    generator, _ = pair()
    generator(torch.randn(4, 6))
    generator.eval().noise_mode = "fixed"
    z = torch.randn(4, 6)
    mean = generator.synthesis(generator.mapping.mean.expand(1, generator.num_layers, -1))
    torch.testing.assert_close(generator(z, truncation=0.0), mean.expand(4, -1, -1, -1))
    assert torch.equal(generator(z, truncation=1.0), generator(z))
    ws = generator.styles(z)
    near = generator.mapping.truncate(ws, 0.7, 2)
    assert torch.equal(near[:, 2:], ws[:, 2:])
    torch.testing.assert_close(near[:, :2], 0.7 * ws[:, :2] + 0.3 * generator.mapping.mean)


def test_mixing_changes_only_the_layers_after_the_cutoff() -> None:
    ws, others = torch.zeros(4, 8, 3), torch.ones(4, 8, 3)
    seen = set()
    for seed in range(60):
        with use(Draws.seeded(seed)):
            mixed = mix_styles(ws, others, 0.9)
        first = int(mixed[0, :, 0].sum())
        assert torch.equal(mixed, torch.cat([ws[:, : 8 - first], others[:, :first]], 1))
        seen.add(8 - first)
        with use(Draws.seeded(seed, piece=1, pieces=2)):
            assert torch.equal(mix_styles(ws[:2], others[:2], 0.9), mixed[:2])
    assert seen == {1, 2, 3, 4, 5, 6, 7, 8}
    generator, _ = pair()
    ws = generator.styles(torch.randn(4, 6))
    generator.style_mixing = 0.0
    assert not torch.equal(generator.styles(torch.randn(1, 6))[:, 0], ws[:1, 0])


def test_the_first_layers_of_mixed_styles_give_the_first_levels() -> None:
    """Codes of the top level do not reach the image of the level below."""
    generator, _ = pair(g="orig", d="orig", growing=True)
    generator.noise_mode = "fixed"
    ws = torch.randn(2, generator.num_layers, 5)
    other = torch.cat([ws[:, :4], torch.randn(2, 2, 5)], 1)
    assert not torch.equal(generator.synthesis(ws), generator.synthesis(other))
    generator.grow(1)
    assert torch.equal(generator.synthesis(ws), generator.synthesis(other))


@pytest.mark.parametrize("g", ARCHITECTURES)
@pytest.mark.parametrize("d", ARCHITECTURES)
def test_the_grid_gives_gradients_to_all(g: Architecture, d: Architecture) -> None:
    generator, discriminator = pair(g=g, d=d, classes=3)
    labels = torch.tensor([0, 1, 2, 0])
    judgement = discriminator(generator(torch.randn(4, 6), labels), labels)
    assert judgement.logits.shape == (4,)
    judgement.logits.sum().backward()
    for network in (generator, discriminator):
        assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize("shape", [(1, 28, 28), (8, 24, 48), (4, 8, 8), (3, 20, 28)])
def test_other_sizes_and_channels(shape: tuple[int, int, int]) -> None:
    generator, discriminator = pair(shape)
    x = generator(torch.randn(2, 6))
    assert x.shape == (2, *shape)
    assert discriminator(x).logits.shape == (2,)
    with pytest.raises(UsageError, match="StyleGAN2 cannot make images of 30x31"):
        pair((3, 30, 31))


def test_projection_is_the_inner_product_with_the_mapped_label() -> None:
    _, discriminator = pair(classes=3)
    x, labels = torch.randn(4, 3, 16, 16), torch.tensor([0, 1, 2, 0])
    logits, features, _ = discriminator(x, labels)
    assert features is not None and discriminator.mapping is not None
    expected = (discriminator.head(features) * discriminator.mapping(None, labels)).sum(1) / math.sqrt(8)
    torch.testing.assert_close(logits, expected)


def test_growth_fades_between_the_levels() -> None:
    generator, discriminator = pair(g="orig", d="orig", growing=True)
    generator.eval().noise_mode = "fixed"
    z = torch.randn(4, 6)
    images = {}
    for level in (1.0, 1.25, 2.0):
        generator.grow(level)
        discriminator.grow(level)
        images[level] = generator(z)
        assert discriminator(images[level]).logits.shape == (4,)
    low = torch.nn.functional.interpolate(images[1.0], scale_factor=2.0)
    torch.testing.assert_close(images[1.25], 0.75 * low + 0.25 * images[2.0])
