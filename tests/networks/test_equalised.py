"""Equalised layers against the plain ones with scaled weights; minibatch deviation against NumPy, sample by sample."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from saddlepoint.draws import Draws, use
from saddlepoint.networks.base import mixes_kinds, mixes_samples
from saddlepoint.networks.convolution import Resample
from saddlepoint.networks.equalised import EqualisedConv2d, EqualisedLinear, MinibatchStddev, PixelNorm

RESAMPLES: tuple[Resample | None, ...] = (None, "down", "up")


def test_linear_is_the_scaled_layer_and_starts_with_its_gain() -> None:
    torch.manual_seed(0)
    layer = EqualisedLinear(400, 300, gain=math.sqrt(2), lr_multiplier=0.01, bias_init=1.0).double()
    x = torch.randn(50, 400, dtype=torch.float64)
    torch.testing.assert_close(layer(x), x @ layer.weight.T * (math.sqrt(2) * 0.01 / 20) + 1.0)
    assert layer.weight.std().item() == pytest.approx(100, rel=0.01)
    assert layer(x).std().item() == pytest.approx(math.sqrt(2), rel=0.02)


def test_a_step_of_adam_moves_all_layers_at_the_same_relative_speed() -> None:
    for inputs, multiplier in ((16, 1.0), (256, 1.0), (256, 0.01)):
        torch.manual_seed(0)
        layer = EqualisedLinear(inputs, 8, lr_multiplier=multiplier)
        before = layer.used_weight().detach().clone()
        optimizer = torch.optim.Adam(layer.parameters(), lr=0.01)
        layer(torch.randn(4, inputs)).square().sum().backward()
        optimizer.step()
        moved = (layer.used_weight() - before).square().mean().sqrt() / before.square().mean().sqrt()
        assert moved.item() == pytest.approx(0.01 * multiplier, rel=0.1)


@pytest.mark.parametrize("kernel", [1, 3])
def test_convolution_against_its_two_steps(kernel: int) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 4, 6, 8, dtype=torch.float64)
    for resample in RESAMPLES:
        layer = EqualisedConv2d(4, 5, kernel, resample=resample).double()
        torch.nn.init.normal_(layer.bias)  # type: ignore[arg-type]
        plain = F.interpolate(x, scale_factor=2.0) if resample == "up" else x
        plain = F.conv2d(plain, layer.weight * math.sqrt(2 / (4 * kernel**2)), layer.bias, padding=kernel // 2)
        torch.testing.assert_close(layer(x), F.avg_pool2d(plain, 2) if resample == "down" else plain)


def test_pixel_norm_leaves_root_mean_square_one() -> None:
    y = PixelNorm()(torch.randn(2, 7, 3, 3, dtype=torch.float64))
    torch.testing.assert_close(y.square().mean(1), torch.ones(2, 3, 3, dtype=torch.float64), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("n", "group", "used", "channels"), [(8, 4, 4, 1), (6, 4, 3, 2), (5, 4, 1, 1), (6, None, 6, 1), (2, 4, 2, 2)])
def test_minibatch_stddev_sample_by_sample(n: int, group: int | None, used: int, channels: int) -> None:
    x = torch.randn(n, 4, 3, 2, dtype=torch.float64)
    y = MinibatchStddev(group, channels)(x)
    assert torch.equal(y[:, :4], x)
    for i in range(n):
        mates = x.numpy()[[j for j in range(n) if j % (n // used) == i % (n // used)]]
        assert len(mates) == used
        for part, values in enumerate(np.split(mates, channels, 1)):
            expected = np.sqrt(values.var(0) + 1e-8).mean()
            np.testing.assert_allclose(y[i, 4 + part].numpy(), expected, rtol=1e-12)


def test_minibatch_stddev_keeps_kinds_that_pass_together_apart() -> None:
    layer, real, fake = MinibatchStddev(4), torch.randn(8, 2, 3, 3), torch.randn(8, 2, 3, 3)
    draws = Draws.seeded(0)
    with use(draws), draws.together(2):
        both = layer(torch.cat([real, fake]))
    assert torch.equal(both, torch.cat([layer(real), layer(fake)]))
    assert not mixes_kinds(layer)


def test_minibatch_stddev_is_twice_differentiable_and_says_that_it_mixes() -> None:
    x = torch.randn(4, 2, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(MinibatchStddev(2), (x,))
    assert torch.autograd.gradgradcheck(MinibatchStddev(2), (x,))
    assert mixes_samples(torch.nn.Sequential(MinibatchStddev()))
