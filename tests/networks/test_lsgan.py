"""LSGAN's networks: the layers of its figure, other sizes, starting weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from saddlepoint.errors import UsageError
from saddlepoint.networks.lsgan import LSGANDiscriminator, LSGANGenerator


def test_layers_of_the_paper() -> None:
    torch.manual_seed(0)
    g, d = LSGANGenerator((3, 112, 112)), LSGANDiscriminator((3, 112, 112))
    ups = [m for m in g.modules() if isinstance(m, nn.ConvTranspose2d)]
    assert [(m.out_channels, m.stride[0]) for m in ups] == [(256, 2), (256, 1), (256, 2), (256, 1), (128, 2), (64, 2), (3, 1)]
    assert g.project.weight.shape == (7 * 7 * 256, 1024) and sum(isinstance(m, nn.BatchNorm2d) for m in g.modules()) == 7
    downs = [m for m in d.modules() if isinstance(m, nn.Conv2d)]
    assert [(m.out_channels, m.kernel_size[0], m.stride[0]) for m in downs] == [(64, 5, 2), (128, 5, 2), (256, 5, 2), (512, 5, 2)]
    assert d.head.weight.shape == (1, 7 * 7 * 512) and sum(isinstance(m, nn.BatchNorm2d) for m in d.modules()) == 3
    assert downs[3].weight.abs().max() <= 0.04 and ups[0].weight.abs().max() > 0.06
    assert ups[0].weight.std().item() == pytest.approx(0.02, rel=0.01)
    assert downs[3].weight.std().item() == pytest.approx(0.02 * 0.8796, rel=0.01)  # a normal cut off at two deviations
    assert all(value.eq(0).all() for network in (g, d) for name, value in network.named_parameters() if name.endswith("bias"))
    assert all(m.bias is not None for m in (*ups, *downs, g.project, d.head))


@pytest.mark.parametrize("size", [(16, 16), (32, 48), (112, 112)])
def test_sizes(size: tuple[int, int]) -> None:
    images = LSGANGenerator((1, *size), latent_dim=8, width=1)(torch.rand(2, 8))
    assert images.shape == (2, 1, *size) and LSGANDiscriminator((1, *size), width=1)(images).logits.shape == (2,)


def test_other_sizes_are_refused() -> None:
    for build in (LSGANGenerator, LSGANDiscriminator):
        with pytest.raises(UsageError, match="divisible by 16; got 28x32. The nearest is 32x32"):
            build((3, 28, 32))
