"""The counted operations against counts by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d, conv_transpose2d

from saddlepoint.networks.convolution import conv2d as own_conv2d
from saddlepoint.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from saddlepoint.objectives.penalties import zero_centered_penalty
from saddlepoint.studies.flops import FlopCounter


def count(run):
    with FlopCounter() as counter:
        run()
    return counter.total


def test_a_linear_layer_forward_and_backward():
    layer, x = nn.Linear(7, 5), torch.randn(3, 7)
    assert count(lambda: layer(x)) == 2 * 3 * 7 * 5
    assert count(lambda: layer(x).sum().backward()) == 2 * (2 * 3 * 7 * 5)  # x asks for no gradient


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_a_convolution_with_groups_and_both_gradients(groups):
    x, weight = torch.randn(2, 8, 9, 9, requires_grad=True), torch.randn(12, 8 // groups, 3, 3, requires_grad=True)
    one = 2 * (2 * 12 * 5 * 5) * (8 // groups * 9)  # outputs times products each
    assert count(lambda: conv2d(x, weight, stride=2, padding=1, groups=groups)) == one
    assert count(lambda: conv2d(x, weight, stride=2, padding=1, groups=groups).sum().backward()) == 3 * one


def test_a_transposed_convolution_counts_from_its_input():
    x, weight = torch.randn(2, 8, 5, 5, requires_grad=True), torch.randn(8, 6, 4, 4, requires_grad=True)
    one = 2 * (2 * 8 * 5 * 5) * (6 * 16)
    assert count(lambda: conv_transpose2d(x, weight, stride=2, padding=1)) == one
    assert count(lambda: conv_transpose2d(x, weight, stride=2, padding=1).sum().backward()) == 3 * one


def test_the_second_derivative_of_a_penalty_is_counted():
    weight = torch.randn(6, 3, 3, 3, requires_grad=True)
    x = torch.randn(4, 3, 8, 8, requires_grad=True)
    one = 2 * (4 * 6 * 8 * 8) * (3 * 9)

    def penalised():
        logits = own_conv2d(x, weight, padding=1).square().sum((1, 2, 3))
        zero_centered_penalty(logits, x).sum().backward()

    # forward; gradient by x; then of that gradient, by the weight twice (through it and through y), by y, and the forward's own by x
    assert count(penalised) == 6 * one


def dcgan_forward(width: int, channels: int) -> tuple[int, int]:
    """Products of the 32x32 DCGAN pair a sample, by hand: (G, D)."""
    latent, w = 100, width
    maps = [(latent, 4 * w, 1), (4 * w, 2 * w, 4), (2 * w, w, 8), (w, channels, 17)]  # in, out, side of the input, padded in the last; kernel 4
    generator = sum(side**2 * c * o * 16 for c, o, side in maps)
    sides = [(channels, w, 16), (w, 2 * w, 8), (2 * w, 4 * w, 4), (4 * w, 1, 1)]  # in, out, side of the output
    discriminator = sum(side**2 * c * o * 16 for c, o, side in sides)
    return 2 * generator, 2 * discriminator


def test_dcgan_by_hand():
    n, generator, discriminator = 4, DCGANGenerator(100, (3, 32, 32), 8), DCGANDiscriminator((3, 32, 32), 8)
    per_generator, per_discriminator = dcgan_forward(8, 3)
    z = torch.randn(n, 100)
    assert count(lambda: generator(z)) == n * per_generator
    assert count(lambda: discriminator(torch.randn(n, 3, 32, 32))) == n * per_discriminator
