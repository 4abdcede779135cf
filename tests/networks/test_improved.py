"""The improved-GAN networks: sizes of the authors' code, noise, feature layers, refusals."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from saddlepoint.errors import UsageError
from saddlepoint.networks.improved import ImprovedConvDiscriminator, ImprovedConvGenerator, ImprovedMLPDiscriminator, ImprovedMLPGenerator
from saddlepoint.networks.layers import Dropout, GaussianNoise, WeightNormConv2d, WeightNormDoubling, WeightNormLinear
from saddlepoint.networks.minibatch import MinibatchDiscrimination


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_mnist_sizes() -> None:
    g, d = ImprovedMLPGenerator((1, 28, 28)), ImprovedMLPDiscriminator((1, 28, 28))
    # weights, one shift a hidden unit; the last layer has scale and bias
    assert count(g) == 100 * 500 + 500 + 500 * 500 + 500 + 500 * 784 + 2 * 784
    widths = [784, 1000, 500, 250, 250, 250]
    assert count(d) == sum(a * b + b for a, b in zip(widths, widths[1:], strict=False)) + 250 * 10 + 2 * 10
    assert [m.std for m in d.modules() if isinstance(m, GaussianNoise)] == [0.3, 0.5, 0.5, 0.5, 0.5, 0.5]
    assert d.state_dict()["hidden.1.weight"].std().item() == pytest.approx(0.1, rel=0.01)
    assert d(torch.randn(3, 1, 28, 28)).features.shape == (3, 250)


def test_cifar_sizes() -> None:
    g, d = ImprovedConvGenerator((3, 32, 32)), ImprovedConvDiscriminator((3, 32, 32))
    assert count(g) == 100 * 8192 + 8192 + 25 * (512 * 256 + 256 * 128 + 128 * 3) + 256 + 128 + 2 * 3
    convolutions = [m for m in d.modules() if isinstance(m, WeightNormConv2d)]
    shapes = [(96, 3, 3, 3), (96, 96, 3, 3), (96, 96, 3, 3), (192, 96, 3, 3), *[(192, 192, 3, 3)] * 3, *[(192, 192, 1, 1)] * 2]
    assert [tuple(m.weight.shape) for m in convolutions] == shapes
    assert [m.stride for m in convolutions] == [1, 1, 2, 1, 1, 2, 1, 1, 1] and [m.padding for m in convolutions] == [1] * 6 + [0] * 3
    assert [m.p for m in d.modules() if isinstance(m, Dropout)] == [0.2, 0.5, 0.5]
    assert d(torch.randn(2, 3, 32, 32)).features.shape == (2, 192)
    minibatch = ImprovedConvDiscriminator((3, 32, 32), start="noise", num_kernels=100)
    assert isinstance(minibatch.minibatch, MinibatchDiscrimination) and minibatch.head.weight.shape == (10, 292)
    assert [m.std for m in minibatch.modules() if isinstance(m, GaussianNoise)] == [0.2]
    assert minibatch(torch.randn(3, 3, 32, 32)).features.shape == (3, 192)


def test_only_last_layers_train_their_scale() -> None:
    for network in (
        ImprovedMLPGenerator((4,)),
        ImprovedMLPDiscriminator((4,)),
        ImprovedConvGenerator((3, 16, 16)),
        ImprovedConvDiscriminator((3, 16, 16)),
    ):
        layers = [m for m in network.modules() if isinstance(m, (WeightNormLinear, WeightNormConv2d, WeightNormDoubling))]
        assert [isinstance(m.scale, nn.Parameter) for m in layers] == [False] * (len(layers) - 1) + [True]


@pytest.mark.parametrize("size", [(9, 9), (16, 16), (28, 20), (64, 64)])
def test_other_sizes(size: tuple[int, int]) -> None:
    assert ImprovedConvDiscriminator((1, *size), width=2, num_classes=3)(torch.randn(2, 1, *size)).class_logits.shape == (2, 3)
    if size != (9, 9):
        assert ImprovedConvGenerator((1, *size), width=8)(torch.rand(2, 100)).shape == (2, 1, *size)


def test_the_probability_of_real_is_z_over_z_plus_one() -> None:
    judgement = ImprovedMLPDiscriminator((4,)).eval()(torch.randn(5, 4))
    z = judgement.class_logits.exp().sum(1)
    torch.testing.assert_close(torch.sigmoid(judgement.logits), z / (z + 1))


def test_too_small_images_are_refused() -> None:
    with pytest.raises(UsageError, match="at least 9x9; got 8x32"):
        ImprovedConvDiscriminator((3, 8, 32))
