"""Maxout against its definition, the convolutional pair's sizes, the norm constraint."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from saddlepoint.errors import UsageError
from saddlepoint.networks.maxout import Maxout, MaxoutConv2d, MaxoutConvDiscriminator, MaxoutDiscriminator, constrain_column_norm


def test_maxout_is_the_largest_piece() -> None:
    torch.manual_seed(0)
    layer = Maxout(4, 3, 5)
    x = torch.randn(2, 4)
    pieces = torch.stack([F.linear(x, layer.weight[3 * p : 3 * p + 3], layer.bias[3 * p : 3 * p + 3]) for p in range(5)])
    torch.testing.assert_close(layer(x), pieces.max(0).values)


def test_sizes_of_the_convolutional_discriminator() -> None:
    """32 -> 33 -> 16 -> 15 -> 7 -> 9 -> 5, as the authors' partial sums say."""
    layers = [
        MaxoutConv2d(3, 2, 8, padding=4, pieces=2, pool=4),
        MaxoutConv2d(2, 2, 8, padding=3, pieces=2, pool=4),
        MaxoutConv2d(2, 2, 5, padding=3, pieces=2, pool=2),
    ]
    x, sides = torch.randn(1, 3, 32, 32), [32]
    for layer in layers:
        x = layer(x)
        sides.append(layer.side(sides[-1]))
        assert x.shape[2:] == (sides[-1], sides[-1])
    assert sides == [32, 16, 7, 5]
    d = MaxoutConvDiscriminator((3, 32, 32))
    assert [m.weight.shape for m in d.modules() if isinstance(m, nn.Conv2d)] == [(64, 3, 8, 8), (64, 32, 8, 8), (384, 32, 5, 5)]
    assert d.maxout.weight.shape == (2500, 4800)
    for side in range(10, 40):
        assert MaxoutConvDiscriminator((1, side, 33), width=1, units=2)(torch.zeros(1, 1, side, 33)).logits.shape == (1,)
    with pytest.raises(UsageError, match="at least 10x10; got 9x32"):
        MaxoutConvDiscriminator((3, 9, 32))


def test_dropout_of_the_paper() -> None:
    d = MaxoutDiscriminator((1, 28, 28))
    assert d.hidden[0].p == 0.2 and d.hidden[2].p == 0.5 and d.drop.p == 0.5
    assert sum(p.numel() for p in d.parameters()) == 785 * 1200 + 241 * 1200 + 241


def test_unit_interval() -> None:
    torch.manual_seed(0)
    d, plain = MaxoutDiscriminator((4,), units=3).eval(), MaxoutDiscriminator((4,), units=3, unit_interval=False).eval()
    plain.load_state_dict(d.state_dict())
    x = torch.rand(5, 4)
    torch.testing.assert_close(d(2 * x - 1).logits, plain(x).logits)


def test_column_norms_are_bounded_and_short_ones_kept() -> None:
    torch.manual_seed(0)
    d = MaxoutDiscriminator((6,), units=4)
    with torch.no_grad():
        d.head.weight.fill_(5)
        before = d.state_dict()["hidden.1.weight"].clone()
    constrain_column_norm([d], 1.9365)
    assert d.head.weight.norm().item() == pytest.approx(1.9365, rel=1e-6)
    torch.testing.assert_close(d.state_dict()["hidden.1.weight"], before, rtol=1e-4, atol=0)
