"""The array of discriminators and its networks."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from saddlepoint.errors import UsageError
from saddlepoint.networks.array import DiscriminatorArray, ProjectionDiscriminator, ProjectionGenerator
from saddlepoint.networks.layers import ShiftBatchNorm
from saddlepoint.networks.mlp import MLPDiscriminator


class Column(nn.Module):
    """One coordinate of a point."""

    def __init__(self, index: int) -> None:
        super().__init__()
        self.index = index

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, self.index : self.index + 1]


def test_each_discriminator_sees_its_own_projection() -> None:
    players = [MLPDiscriminator((1,), width=4) for _ in range(3)]
    array = DiscriminatorArray(players, [Column(k) for k in range(3)])
    x = torch.randn(5, 3, requires_grad=True)
    judgement = array(x)
    assert judgement.logits.shape == (5, 3) and judgement.features is None
    for k, player in enumerate(players):
        torch.testing.assert_close(judgement.logits[:, k], player(x[:, k : k + 1]).logits)
    judgement.logits[:, 1].sum().backward()
    assert x.grad is not None and x.grad[:, [0, 2]].eq(0).all() and x.grad[:, 1].ne(0).any()
    assert all(p.grad is None or p.grad.eq(0).all() for k in (0, 2) for p in players[k].parameters())
    with pytest.raises(UsageError, match="one projection for each discriminator; got 2 for 3"):
        DiscriminatorArray(players, [Column(0), Column(1)])


def test_sizes_of_the_paper() -> None:
    d = ProjectionDiscriminator((1, 32, 32))
    assert [tuple(m.weight.shape) for m in d.modules() if isinstance(m, nn.Conv2d)] == [
        (128, 1, 4, 4),
        (256, 128, 4, 4),
        (512, 256, 4, 4),
        (1024, 512, 4, 4),
    ]
    assert d.head.weight.shape == (1, 4096)  # the last 2x2 convolution
    assert not any(isinstance(m, nn.BatchNorm2d) for m in d.modules())
    baseline = ProjectionDiscriminator((3, 64, 64), width=64)
    assert [m.out_channels for m in baseline.modules() if isinstance(m, nn.Conv2d)] == [64, 128, 256, 512, 1024]
    g = ProjectionGenerator((3, 64, 64))
    assert [m.num_features for m in g.modules() if isinstance(m, ShiftBatchNorm)] == [1024, 512, 256, 128]
    assert all(m.eps == 1e-3 for m in g.modules() if isinstance(m, ShiftBatchNorm))
    assert sum(p.numel() for p in g.parameters()) == 100 * 16384 + 16 * (1024 * 512 + 512 * 256 + 256 * 128 + 128 * 3) + 1920 + 3


@pytest.mark.parametrize("size", [(14, 14), (16, 32), (4, 4), (11, 13)])
def test_other_sizes(size: tuple[int, int]) -> None:
    assert ProjectionDiscriminator((1, *size), width=2)(torch.randn(3, 1, *size)).logits.shape == (3,)


def test_too_small_maps_are_refused() -> None:
    with pytest.raises(UsageError, match="at least 4x4; got 3x8"):
        ProjectionDiscriminator((1, 3, 8))
