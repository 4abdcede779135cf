"""SNGAN's standard pair: layers, sizes, state."""

from __future__ import annotations

import pytest
import torch

from saddlepoint.errors import UsageError
from saddlepoint.networks.base import mixes_samples
from saddlepoint.networks.sncnn import SNCNNDiscriminator, SNCNNGenerator
from saddlepoint.networks.spectral import normalised_layers, singular_values


def test_published_layers() -> None:
    generator, discriminator = SNCNNGenerator((3, 32, 32)), SNCNNDiscriminator((3, 32, 32))
    assert [tuple(d.weight.shape) for d in generator.doublings] == [(512, 256, 4, 4), (256, 128, 4, 4), (128, 64, 4, 4)]
    kernels = [tuple(layer.weight.shape) for layer in discriminator.layers]
    assert [k[0] for k in kernels] == [64, 64, 128, 128, 256, 256, 512]
    assert [k[-1] for k in kernels] == [3, 4, 3, 4, 3, 4, 3]
    assert len(list(normalised_layers(discriminator))) == 8


@pytest.mark.parametrize("side", [32, 48])
def test_pair_fits_and_learns(side: int) -> None:
    torch.manual_seed(0)
    generator, discriminator = SNCNNGenerator((3, side, side), 8, width=1 / 16), SNCNNDiscriminator((3, side, side), width=1 / 16)
    x = generator(torch.randn(2, 8))
    assert x.shape == (2, 3, side, side)
    judgement = discriminator(x)
    assert judgement.features is not None
    assert judgement.features.shape == (2, 32 * (side // 8) ** 2)
    (slope,) = torch.autograd.grad(judgement.logits.sum(), x, create_graph=True)
    (slope.square().sum() + judgement.logits.sum()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in [*generator.parameters(), *discriminator.parameters()])


def test_slope_of_the_activation() -> None:
    discriminator = SNCNNDiscriminator((1, 8, 8), width=1 / 64, spectral_norm=False).double()
    x = torch.randn(3, 1, 8, 8, dtype=torch.float64)
    h = x
    for layer in discriminator.layers:
        h = torch.nn.functional.conv2d(h, layer.weight, layer.bias, layer.stride, layer.padding)
        h = torch.where(h > 0, h, 0.1 * h)
    expected = h.permute(0, 2, 3, 1).flatten(1) @ discriminator.to_logit.weight.T + discriminator.to_logit.bias
    torch.testing.assert_close(discriminator(x).logits, expected.squeeze(1))


def test_comparisons_of_the_paper() -> None:
    assert list(normalised_layers(SNCNNDiscriminator((3, 32, 32), width=1 / 16, spectral_norm=False))) == []
    layered = SNCNNDiscriminator((3, 32, 32), width=1 / 16, spectral_norm=False, norm="layer")
    assert not mixes_samples(layered)
    assert mixes_samples(SNCNNDiscriminator((3, 32, 32), width=1 / 16, norm="batch"))
    assert layered(torch.randn(2, 3, 32, 32)).logits.shape == (2,)
    weighted = SNCNNDiscriminator((3, 32, 32), width=1 / 16, spectral_norm=False, weight_norm=True)
    assert all(values.square().sum().item() == pytest.approx(len(values), rel=1e-4) for values in singular_values(weighted).values())


def test_size_error() -> None:
    with pytest.raises(UsageError, match="multiples of 8; got 28x28"):
        SNCNNGenerator((1, 28, 28))
