"""The seven architectures: every row fits, has the published sizes and learns through a penalty."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from saddlepoint.errors import UsageError
from saddlepoint.networks.base import mixes_samples
from saddlepoint.networks.gulrajani import Bottleneck, Scaling, _activate, architecture
from saddlepoint.networks.norms import LayerNorm


@pytest.mark.parametrize("side", [32, 64])
@pytest.mark.parametrize("row", range(1, 8))
def test_rows_fit_and_learn(row: int, side: int) -> None:
    torch.manual_seed(0)
    generator, discriminator = architecture(row, (3, side, side), 4, "layer", latent_dim=6, blocks=1)
    x = generator(torch.randn(3, 6))
    assert x.shape == (3, 3, side, side)
    assert x.abs().max() <= 1
    judgement = discriminator(x)
    assert judgement.logits.shape == (3,)
    (slope,) = torch.autograd.grad(judgement.logits.sum(), x, create_graph=True)
    (slope.square().sum() + judgement.logits.sum()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in [*generator.parameters(), *discriminator.parameters()])
    assert not mixes_samples(discriminator)


def _sizes(network: nn.Module) -> list[tuple[int, ...]]:
    return [tuple(m.weight.shape) for m in network.modules() if isinstance(m, Scaling | nn.Linear)]


def test_row_1_is_the_published_dcgan() -> None:
    generator, discriminator = architecture(1, (3, 64, 64))
    assert sorted(_sizes(generator)) == sorted([(8192, 128), (512, 256, 5, 5), (256, 128, 5, 5), (128, 64, 5, 5), (64, 3, 5, 5)])
    assert sorted(_sizes(discriminator)) == sorted([(64, 3, 5, 5), (128, 64, 5, 5), (256, 128, 5, 5), (512, 256, 5, 5), (1, 8192)])
    assert sum(isinstance(m, nn.BatchNorm2d) for m in generator.modules()) == 4
    assert sum(isinstance(m, nn.BatchNorm2d) for m in discriminator.modules()) == 3
    for size in (generator.layers[0].weight, generator.project.weight, discriminator.to_logit.weight):
        assert size.std().item() == pytest.approx(0.02, rel=0.05)
        assert size.abs().max().item() <= 0.02 * math.sqrt(3) + 1e-9


def test_row_2_has_constant_filters_and_no_norm() -> None:
    generator, _ = architecture(2, (3, 64, 64))
    assert sorted(_sizes(generator)) == sorted([(1024, 128), *[(64, 64, 5, 5)] * 3, (64, 3, 5, 5)])
    assert not mixes_samples(generator)
    assert generator.layers[0].weight.std().item() == pytest.approx(math.sqrt(4 / (64 * 25 / 4 + 64 * 25)), rel=0.02)


def test_row_3_is_dense() -> None:
    generator, _ = architecture(3, (3, 64, 64))
    assert sorted(_sizes(generator)) == sorted([(512, 128), (512, 512), (512, 512), (512, 512), (12288, 512)])
    assert generator.hidden[1].weight.std().item() == pytest.approx(math.sqrt(2 / 512), rel=0.02)


def test_row_4_has_no_norm_at_all() -> None:
    for network in architecture(4, (3, 32, 32), 8, "batch"):
        assert not any(isinstance(m, nn.BatchNorm2d | LayerNorm) for m in network.modules())


def test_row_5_doubles_the_filters() -> None:
    generator, discriminator = architecture(5, (3, 64, 64))
    assert sorted(_sizes(generator)) == sorted([(16384, 128), (512, 512, 5, 5), (256, 256, 5, 5), (128, 128, 5, 5), (64, 3, 5, 5)])
    assert sorted(_sizes(discriminator)) == sorted([(128, 3, 5, 5), (256, 64, 5, 5), (512, 128, 5, 5), (1024, 256, 5, 5), (1, 8192)])


def test_activations() -> None:
    x = torch.tensor([[1.0, -2.0, 3.0, 4.0]])
    gated = [1 / (1 + math.exp(-1)) * math.tanh(-2), 1 / (1 + math.exp(-3)) * math.tanh(4)]
    torch.testing.assert_close(_activate(x, "gated"), torch.tensor([gated]))
    torch.testing.assert_close(_activate(x, "relu", 0.2), torch.tensor([[1.0, -0.4, 3.0, 4.0]]))
    torch.testing.assert_close(_activate(x, "relu"), torch.tensor([[1.0, 0.0, 3.0, 4.0]]))
    torch.testing.assert_close(_activate(x, "tanh"), x.tanh())


def test_row_7_has_101_layers() -> None:
    generator, discriminator = architecture(7, (3, 64, 64), width=8)
    for network in (generator, discriminator):
        blocks = [m for m in network.modules() if isinstance(m, Bottleneck)]
        assert len(blocks) == 33
        assert 3 * len(blocks) + 2 == 101
    channels = [block.conv3.weight.shape[0] for block in generator.body]
    assert channels == [64] * 6 + [32] * 7 + [16] * 7 + [8] * 7 + [4] * 6
    assert [block.conv3.weight.shape[0] for block in discriminator.body] == [4] * 5 + [8] * 7 + [16] * 7 + [32] * 7 + [64] * 7
    assert all(block.conv3.bias is None for block in generator.body)


def test_bottleneck_is_the_formula() -> None:
    torch.manual_seed(0)
    block = Bottleneck(4, 4, 1, "layer").double()
    x = torch.randn(2, 4, 3, 3, dtype=torch.float64)
    h = nn.functional.conv2d(x.relu(), block.conv1.weight, block.conv1.bias)
    h = nn.functional.conv2d(h.relu(), block.conv2.weight, block.conv2.bias, padding=1)
    h = nn.functional.conv2d(h.relu(), block.conv3.weight)
    torch.testing.assert_close(block(x), x + 0.3 * block.norm(h))


@pytest.mark.parametrize(("scale", "side"), [(2, 8), (0.5, 2)])
def test_bottleneck_changes_size(scale: float, side: int) -> None:
    block = Bottleneck(8, 6, scale, "batch")
    assert block(torch.randn(2, 8, 4, 4)).shape == (2, 6, side, side)
    assert block.conv2.weight.shape == ((4, 3, 3, 3) if scale == 2 else (3, 4, 3, 3))


def test_errors() -> None:
    with pytest.raises(UsageError, match="rows 1 to 7; row 8 was asked for"):
        architecture(8, (3, 64, 64))
    with pytest.raises(UsageError, match="square images of 8, 16, 32, 64, ... pixels a side; got 28x28"):
        architecture(1, (1, 28, 28))
    with pytest.raises(UsageError, match="blocks needs 4 numbers"):
        architecture(7, (1, 32, 32), blocks=(1, 1))
