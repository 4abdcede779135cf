"""Minibatch discrimination against a plain loop over its definition."""

from __future__ import annotations

import math

import torch

from saddlepoint.networks.base import mixes_samples
from saddlepoint.networks.initialisation import initialise_from_data
from saddlepoint.networks.minibatch import MinibatchDiscrimination


def test_formula() -> None:
    torch.manual_seed(0)
    layer = MinibatchDiscrimination(4, num_kernels=3, dim_kernels=2).double()
    with torch.no_grad():
        layer.log_scale.normal_()
    f = torch.randn(5, 4, dtype=torch.float64)
    out = layer(f).detach()
    assert out.shape == (5, 7) and torch.equal(out[:, :4], f)
    for i in range(5):
        for b in range(3):
            closeness = -1.0
            for j in range(5):
                if j != i:
                    distance = 0.0
                    for c in range(2):
                        t = layer.weight[:, b, c].detach()
                        t = t / t.norm() * layer.log_scale[b, c].detach().exp()
                        distance += float(((f[i] - f[j]) @ t).abs())
                    closeness += math.exp(-distance)
            assert math.isclose(float(out[i, 4 + b]), closeness, rel_tol=1e-9)


def test_defaults_and_edges() -> None:
    layer = MinibatchDiscrimination(6)
    assert layer.weight.shape == (6, 100, 5) and layer.out_features == 106 and layer.bias.eq(-1).all() and layer.log_scale.eq(0).all()
    assert mixes_samples(layer)
    alone = layer(torch.randn(1, 6, requires_grad=True))
    assert alone[0, 6:].eq(-1).all()  # nobody else in the batch
    alone.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in layer.parameters() if p.grad is not None)


def test_data_dependent_start() -> None:
    torch.manual_seed(0)
    layer = MinibatchDiscrimination(8, num_kernels=5, dim_kernels=3).double()
    f = torch.randn(40, 8, dtype=torch.float64) * 7
    initialise_from_data(layer, f)
    with torch.no_grad():
        nearest = layer.distances(f).amin(1).mean(0)
        torch.testing.assert_close(nearest, torch.full((5,), 2.0, dtype=torch.float64))  # half of it is 1
        torch.testing.assert_close(layer(f)[:, 8:].mean(0), torch.zeros(5, dtype=torch.float64), rtol=0, atol=1e-12)


def test_gradcheck() -> None:
    torch.manual_seed(0)
    layer = MinibatchDiscrimination(3, num_kernels=2, dim_kernels=2).double()
    f = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, f) and torch.autograd.gradgradcheck(layer, f)
