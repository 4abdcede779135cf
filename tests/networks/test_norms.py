"""Normalisation layers against their formulas."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from saddlepoint.errors import UsageError
from saddlepoint.networks.base import mixes_samples
from saddlepoint.networks.norms import ConditionalBatchNorm, LayerNorm, apply_norm, make_norm


def test_layer_norm_is_the_formula() -> None:
    torch.manual_seed(0)
    norm = LayerNorm(3).double()
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    x = torch.randn(4, 3, 5, 6, dtype=torch.float64) * 3 + 2
    mean, var = x.mean((1, 2, 3), keepdim=True), x.var((1, 2, 3), correction=0, keepdim=True)
    expected = (x - mean) / (var + 1e-5).sqrt() * norm.weight.view(3, 1, 1) + norm.bias.view(3, 1, 1)
    torch.testing.assert_close(norm(x), expected)
    torch.testing.assert_close(norm(x.to(memory_format=torch.channels_last)), expected)


def test_layer_norm_has_two_derivatives() -> None:
    torch.manual_seed(0)
    norm = LayerNorm(2).double()
    x = torch.randn(2, 2, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(norm, (x,))
    assert torch.autograd.gradgradcheck(norm, (x,))


def test_conditional_batch_norm_is_the_formula() -> None:
    torch.manual_seed(0)
    norm = ConditionalBatchNorm(3, 4).double()
    nn.init.normal_(norm.gain)
    nn.init.normal_(norm.bias)
    x, labels = torch.randn(6, 3, 2, 2, dtype=torch.float64), torch.tensor([0, 1, 2, 3, 3, 0])
    mean, var = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), correction=0, keepdim=True)
    plain = (x - mean) / (var + 1e-5).sqrt()
    expected = torch.stack([plain[i] * norm.gain[y].view(3, 1, 1) + norm.bias[y].view(3, 1, 1) for i, y in enumerate(labels.tolist())])
    torch.testing.assert_close(norm(x, labels), expected)


def test_conditional_batch_norm_starts_as_batch_norm() -> None:
    x = torch.randn(8, 3, 4, 4)
    torch.testing.assert_close(ConditionalBatchNorm(3, 4)(x, torch.arange(8) % 4), nn.BatchNorm2d(3)(x))


def test_conditional_batch_norm_needs_labels() -> None:
    with pytest.raises(UsageError, match="conditional on 4 classes and needs labels"):
        ConditionalBatchNorm(3, 4)(torch.randn(2, 3, 2, 2), None)


@pytest.mark.parametrize(("kind", "classes", "mixes"), [("none", None, False), ("layer", None, False), ("batch", None, True), ("batch", 3, True)])
def test_made_norms(kind: str, classes: int | None, mixes: bool) -> None:
    norm = make_norm(kind, 5, classes)  # type: ignore[arg-type]
    assert mixes_samples(norm) == mixes
    assert apply_norm(norm, torch.randn(2, 5, 3, 3), torch.tensor([0, 1])).shape == (2, 5, 3, 3)
