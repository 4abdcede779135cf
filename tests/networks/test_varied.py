"""DCGAN's random variants: depths, sizes, activations, norms, and what is refused."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import torch
from torch import nn

from saddlepoint.errors import UsageError
from saddlepoint.networks.base import mixes_samples
from saddlepoint.networks.gulrajani import Scaling
from saddlepoint.networks.norms import LayerNorm
from saddlepoint.networks.varied import ACTIVATIONS, Activation, Variant, VariedDiscriminator, VariedGenerator, smooth_elu


def pair(side: int, **settings: Any) -> tuple[VariedGenerator, VariedDiscriminator]:
    generator_norm = "none" if settings.get("norm", "none") == "none" else "batch"
    shape = (2, side, side)
    return VariedGenerator(shape, 6, Variant(**settings | {"norm": generator_norm})), VariedDiscriminator(shape, Variant(**settings))


def kernels(layers: nn.Module) -> list[torch.Tensor]:
    return [module.weight for module in layers.modules() if isinstance(module, Scaling)]


@pytest.mark.parametrize("depth", [4, 8, 12, 20])
@pytest.mark.parametrize("side", [16, 32])
def test_the_depth_counts_layers_with_weights(depth: int, side: int) -> None:
    generator, discriminator = pair(side, depth=depth, width=4)
    for network in (generator, discriminator):
        layers = [module for module in network.modules() if isinstance(module, (Scaling, nn.Linear))]
        assert len(layers) == depth
        halving = 2 if side == 16 else 3
        assert sum(isinstance(layer, Scaling) and layer.scale != 1 for layer in layers) == halving
    x = generator(torch.randn(3, 6))
    assert x.shape == (3, 2, side, side) and x.abs().max() <= 1
    assert discriminator(x).logits.shape == (3,) and discriminator(x).features.shape == (3, 16 * 4 * 2 ** (halving - 1))


def test_the_least_depth_is_dcgan() -> None:
    generator, discriminator = pair(32, depth=4, width=8)
    assert [tuple(weight.shape) for weight in kernels(generator.layers)] == [(32, 16, 5, 5), (16, 8, 5, 5)]
    assert [tuple(weight.shape) for weight in kernels(discriminator.layers)] == [(8, 2, 5, 5), (16, 8, 5, 5), (32, 16, 5, 5)]
    assert generator.project.out_features == 16 * 32 and discriminator.to_logit.in_features == 16 * 32


@pytest.mark.parametrize("activation", get_args(Activation))
@pytest.mark.parametrize("norm", ["none", "batch", "layer"])
def test_every_kind_has_the_slopes_that_the_penalty_needs(activation: str, norm: Any) -> None:
    torch.manual_seed(0)
    generator, discriminator = pair(16, depth=8, width=4, activation=activation, norm=norm)
    x = generator(torch.randn(4, 6))
    assert 0.01 < x.std() < 0.99  # eight layers neither vanish nor saturate
    x = x.detach().requires_grad_()
    (slope,) = torch.autograd.grad(discriminator(x).logits.sum(), x, create_graph=True)
    slope.square().sum().backward()
    slopes = [weight.grad for weight in kernels(discriminator.layers)]
    assert all(each is not None and each.isfinite().all() and each.abs().max() > 0 for each in slopes) and len(slopes) == 7
    assert mixes_samples(discriminator) == (norm == "batch") and mixes_samples(generator) == (norm != "none")
    norms = [module for module in discriminator.modules() if isinstance(module, (nn.BatchNorm2d, LayerNorm))]
    assert len(norms) == (0 if norm == "none" else 6)  # seven convolutions, none on the first


def test_activations_by_hand() -> None:
    x = torch.tensor([-1.0, 0.0, 2.0])
    assert ACTIVATIONS["leaky-relu"](x).tolist() == pytest.approx([-0.2, 0.0, 2.0])
    torch.testing.assert_close(smooth_elu(x), torch.log1p((2 * x + 2).exp()) / 2 - 1)
    assert {*ACTIVATIONS} == {*get_args(Activation)}


def test_what_is_refused() -> None:
    with pytest.raises(UsageError, match="32x32 need 4 layers; a depth of 3"):
        pair(32, depth=3)
    with pytest.raises(UsageError, match="one of relu, leaky-relu, smooth-elu, tanh and a width of at least 1"):
        Variant(activation="elu")  # type: ignore[arg-type]
