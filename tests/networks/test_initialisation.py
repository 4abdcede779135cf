"""Starting weights by their moments, and data-dependent initialisation by what it promises."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import nn

from saddlepoint.networks.improved import ImprovedConvDiscriminator, ImprovedConvGenerator, ImprovedMLPDiscriminator, ImprovedMLPGenerator
from saddlepoint.networks.initialisation import (
    fan_in_weights,
    initialise_from_data,
    normal_weights,
    orthogonal_weights,
    sparse_weights,
    uniform_weights,
    xavier_weights,
)
from saddlepoint.networks.layers import WeightNormConv2d, WeightNormLinear

UNIFORM = 1 / math.sqrt(3)  # deviation of U(-1, 1)


@pytest.mark.parametrize(
    "start,std",
    [
        (lambda n: normal_weights(n, 0.02), lambda fan, out: 0.02),
        (lambda n: uniform_weights(n, 0.05), lambda fan, out: 0.05 * UNIFORM),
        (fan_in_weights, lambda fan, out: 1 / math.sqrt(fan)),
        (xavier_weights, lambda fan, out: math.sqrt(2 / (fan + out))),
    ],
)
def test_moments(start: Callable[[nn.Module], None], std: Callable[[int, int], float]) -> None:
    torch.manual_seed(0)
    network = nn.ModuleList([nn.Linear(200, 100), nn.Conv2d(20, 30, 4), nn.ConvTranspose2d(20, 30, 4)])
    start(network)
    for layer, fan, out in zip(network, (200, 320, 320), (100, 480, 480), strict=True):
        assert isinstance(layer.weight, nn.Parameter) and isinstance(layer.bias, nn.Parameter)
        assert layer.bias.abs().max() == 0
        assert layer.weight.std().item() == pytest.approx(std(fan, out), rel=0.03)
        assert abs(layer.weight.mean().item()) < 0.03 * std(fan, out)


def test_orthogonal() -> None:
    layer = nn.Linear(30, 20)
    orthogonal_weights(layer, 1.4)
    torch.testing.assert_close(layer.weight @ layer.weight.T, 1.96 * torch.eye(20), rtol=1e-5, atol=1e-5)
    assert layer.bias.abs().max() == 0


def test_sparse() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(500, 80)
    sparse_weights(layer, 100)
    assert (layer.weight != 0).sum(1).tolist() == [100] * 80
    assert layer.weight[layer.weight != 0].std().item() == pytest.approx(1, rel=0.03)
    sparse_weights(small := nn.Linear(5, 2), 100)
    assert (small.weight != 0).all()


def test_data_dependent_initialisation() -> None:
    """After the pass, every layer's outputs on the batch have mean 0 and its target deviation, layer upon layer."""
    torch.manual_seed(0)
    network = nn.Sequential(
        WeightNormConv2d(3, 8, 3, padding=1), nn.LeakyReLU(0.2), nn.Flatten(), WeightNormLinear(8 * 36, 5, target_std=0.1)
    ).double()
    x = torch.randn(64, 3, 6, 6, dtype=torch.float64) * 4 + 2
    initialise_from_data(network, x)
    with torch.no_grad():
        maps, outputs = network[0](x), network(x)
    torch.testing.assert_close(maps.mean((0, 2, 3)), torch.zeros(8, dtype=torch.float64), rtol=0, atol=1e-9)
    torch.testing.assert_close(maps.std((0, 2, 3), correction=0), torch.ones(8, dtype=torch.float64))
    torch.testing.assert_close(outputs.mean(0), torch.zeros(5, dtype=torch.float64), rtol=0, atol=1e-9)
    torch.testing.assert_close(outputs.std(0, correction=0), torch.full((5,), 0.1, dtype=torch.float64))


def test_whole_networks_are_initialised_and_left_ready() -> None:
    torch.manual_seed(0)
    d = ImprovedConvDiscriminator((3, 12, 12), width=8, num_kernels=4).eval()
    x = torch.rand(50, 3, 12, 12) * 2 - 1
    initialise_from_data(d, x)
    torch.testing.assert_close(d(x).class_logits.std(0, correction=0), torch.full((10,), 0.1), rtol=1e-3, atol=1e-4)
    assert not any(getattr(m, "initialising", False) for m in d.modules())
    g = ImprovedConvGenerator((3, 16, 16), latent_dim=10, width=8)
    z = torch.rand(50, 10)
    initialise_from_data(g, z)
    assert g(z).atanh().std().item() == pytest.approx(0.1, rel=0.02)
    mlp = ImprovedMLPGenerator((1, 8, 8), latent_dim=10, width=20)
    before = mlp.last.scale.clone()
    initialise_from_data(mlp, z)
    assert torch.equal(mlp.last.scale, before)  # the authors' MNIST generator is not fitted to data
    small = ImprovedMLPDiscriminator((1, 8, 8), widths=(20, 10)).eval()
    initialise_from_data(small, torch.rand(40, 1, 8, 8))
    torch.testing.assert_close(small(torch.rand(0, 1, 8, 8)).logits, torch.empty(0))


def test_the_flag_is_cleared_after_a_failure() -> None:
    d = ImprovedMLPDiscriminator((4,), widths=(6, 5))
    with pytest.raises(RuntimeError):
        initialise_from_data(d, torch.randn(3, 7))
    assert not any(getattr(m, "initialising", False) for m in d.modules())
