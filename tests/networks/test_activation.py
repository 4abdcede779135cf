"""The noise of AM-GAN's discriminator."""

from __future__ import annotations

import pytest
import torch

from saddlepoint.draws import Draws, use
from saddlepoint.networks.activation import InputNoise, RootDropout

CUT = 0.8796  # deviation of a standard normal number cut off at two deviations


def test_noise_is_added_and_multiplied():
    layer, size = InputNoise(0.1), (200_000,)
    with use(Draws.seeded(0)):
        added, both = layer(torch.zeros(size)), layer(torch.full(size, 3.0))
    assert added.std().item() == pytest.approx(0.1 * CUT, rel=0.02)
    assert added.abs().max() <= 0.2 * 1.2 + 1e-6
    assert both.mean().item() == pytest.approx(3.0, abs=0.01)
    assert both.std().item() == pytest.approx(0.1 * CUT * 10**0.5, rel=0.02)  # sqrt(1 + 3^2)
    assert torch.equal(layer.eval()(both), both)


def test_dropout_keeps_the_second_moment():
    layer = RootDropout(0.3)
    with use(Draws.seeded(0)):
        y = layer(torch.full((100_000,), 2.0))
    assert y.square().mean().item() == pytest.approx(4.0, rel=0.02)
    assert y.max().item() == pytest.approx(2 / 0.7**0.5, rel=1e-5)
    assert torch.equal(layer.eval()(y), y)
