"""WGAN-GP's MNIST networks."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from saddlepoint.games.critics import TargetedPenalty
from saddlepoint.networks.gulrajani_mnist import SLOPE_OF_ONE, GulrajaniMNISTDiscriminator, GulrajaniMNISTGenerator


def test_sizes_are_those_of_the_script():
    generator, discriminator = GulrajaniMNISTGenerator((1, 28, 28)), GulrajaniMNISTDiscriminator((1, 28, 28))
    counts = [sum(p.numel() for p in network.parameters()) for network in (generator, discriminator)]
    linear = 128 * 4096 + 4096
    assert counts[0] == linear + (256 * 128 * 25 + 128) + (128 * 64 * 25 + 64) + (64 * 25 + 1)
    assert counts[1] == (64 * 25 + 64) + (64 * 128 * 25 + 128) + (128 * 256 * 25 + 256) + 4096 + 1


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 48), (2, 21, 30)])
def test_any_size(shape: tuple[int, int, int]):
    generator, discriminator = GulrajaniMNISTGenerator(shape, latent_dim=4, width=4), GulrajaniMNISTDiscriminator(shape, width=4)
    x = generator(torch.randn(2, 4))
    assert x.shape == (2, *shape)
    assert x.abs().max() <= 1
    assert discriminator(x).logits.shape == (2,)


def test_the_start():
    generator = GulrajaniMNISTGenerator((1, 28, 28))
    first = generator.convs[0]
    assert isinstance(first, nn.ConvTranspose2d)
    assert first.weight.std().item() == pytest.approx(math.sqrt(4 / (256 * 25 / 4 + 128 * 25)), rel=0.01)
    assert GulrajaniMNISTDiscriminator((1, 28, 28)).convs[1].weight.std().item() == pytest.approx(math.sqrt(4 / (64 * 25 + 128 * 25 / 4)), rel=0.01)
    assert generator.project.weight.std().item() == pytest.approx(math.sqrt(2 / (128 + 4096)), rel=0.01)


def test_the_penalty_is_the_scripts_on_images_from_0_to_1():
    """(slope on [0, 1] - 1)^2, written out."""
    discriminator = GulrajaniMNISTDiscriminator((1, 8, 8), width=4).double()
    x = torch.rand(3, 1, 8, 8, dtype=torch.float64, requires_grad=True)  # in the script's unit
    (slopes,) = torch.autograd.grad(discriminator(2 * x - 1).logits.sum(), x)
    expected = (slopes.flatten(1).norm(dim=1) - 1).square()
    y = (2 * x.detach() - 1).requires_grad_()
    (ours,) = torch.autograd.grad(discriminator(y).logits.sum(), y)
    found = (ours.flatten(1).norm(dim=1) / TargetedPenalty(target=SLOPE_OF_ONE).target - 1).square()
    assert torch.allclose(found, expected)
