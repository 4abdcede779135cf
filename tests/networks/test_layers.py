"""Layers: dropout and noise by moments and by pieces, weight normalisation against its formula, sizes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from saddlepoint.draws import Draws, use
from saddlepoint.errors import UsageError
from saddlepoint.networks.layers import (
    Dropout,
    GaussianNoise,
    ShiftBatchNorm,
    WeightNormConv2d,
    WeightNormDoubling,
    WeightNormLinear,
    doubling,
    one_hot,
    pyramid,
    with_labels,
)


@pytest.mark.parametrize("layer", [Dropout(0.3), GaussianNoise(0.5)])
def test_pieces_see_the_rows_of_the_whole(layer: nn.Module) -> None:
    x = torch.randn(6, 3, 4, dtype=torch.float64)
    with use(Draws.seeded(1, dtype=torch.float64)):
        whole = layer(x)
    for piece in range(3):
        with use(Draws.seeded(1, dtype=torch.float64, piece=piece, pieces=3)):
            torch.testing.assert_close(layer(x[2 * piece : 2 * piece + 2]), whole[2 * piece : 2 * piece + 2], rtol=0, atol=0)


def test_dropout_moments_and_evaluation() -> None:
    x = torch.ones(1000, 200)
    with use(Draws.seeded(0)):
        y = Dropout(0.2)(x)
    assert set(y.unique().tolist()) == {0.0, 1.25}
    assert abs((y > 0).float().mean().item() - 0.8) < 0.005 and abs(y.mean().item() - 1) < 0.005
    assert Dropout(0.2).eval()(x) is x and Dropout(0.0)(x) is x
    with pytest.raises(ValueError, match="probability"):
        Dropout(1.0)


def test_noise_moments_and_evaluation() -> None:
    x = torch.zeros(1000, 200)
    with use(Draws.seeded(0)):
        y = GaussianNoise(0.3)(x)
    assert abs(y.std().item() - 0.3) < 0.002 and abs(y.mean().item()) < 0.002
    assert GaussianNoise(0.3).eval()(x) is x


def test_noise_and_dropout_follow_the_input_dtype() -> None:
    x = torch.randn(4, 3, dtype=torch.float64)
    with use(Draws.seeded(0)):  # draws of default dtype
        assert Dropout(0.5)(x).dtype == torch.float64 and GaussianNoise(1)(x).dtype == torch.float64


def test_weight_norm_formula() -> None:
    torch.manual_seed(0)
    layer = WeightNormLinear(7, 4, train_scale=True).double()
    with torch.no_grad():
        layer.scale.copy_(torch.tensor([1.0, 2.0, 3.0, 4.0]))
    norms = layer.unit_weight().norm(dim=1)
    torch.testing.assert_close(norms, layer.scale.double(), rtol=1e-3, atol=0)  # 1e-6 under the root
    conv, up = WeightNormConv2d(3, 5, 3, padding=1), WeightNormDoubling(3, 5)
    torch.testing.assert_close(conv.unit_weight().flatten(1).norm(dim=1), torch.ones(5), rtol=1e-3, atol=0)
    torch.testing.assert_close(up.unit_weight().transpose(0, 1).flatten(1).norm(dim=1), torch.ones(5), rtol=1e-3, atol=0)
    assert conv(torch.randn(2, 3, 8, 8)).shape == (2, 5, 8, 8) and up(torch.randn(2, 3, 4, 6)).shape == (2, 5, 8, 12)
    assert "scale" in dict(layer.named_parameters()) and "scale" in dict(conv.named_buffers())


@pytest.mark.parametrize("shape", [(16, 5), (8, 5, 6, 6)])
def test_shift_batch_norm(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    layer = ShiftBatchNorm(5, eps=1e-3).double()
    x = torch.randn(shape, dtype=torch.float64) * 3 + 1
    axes = [a for a in range(x.ndim) if a != 1]
    var, mean = torch.var_mean(x, axes, correction=0, keepdim=True)
    with torch.no_grad():
        layer.bias.fill_(0.5)
    torch.testing.assert_close(layer(x), (x - mean) / (var + 1e-3).sqrt() + 0.5)
    assert [name for name, _ in layer.named_parameters()] == ["bias"]
    with pytest.raises(ValueError, match="needs"):
        layer(torch.randn(2, 5, 3))


@pytest.mark.parametrize("kernel", [3, 4, 5])
def test_doubling_doubles(kernel: int) -> None:
    assert doubling(2, 3, kernel)(torch.randn(1, 2, 5, 7)).shape == (1, 3, 10, 14)


def test_labels() -> None:
    x = torch.zeros(2, 3, 2, 2, dtype=torch.float64)
    y = one_hot(torch.tensor([1, 0]), 2, x)
    assert y.tolist() == [[0, 1], [1, 0]] and y.dtype == torch.float64
    assert with_labels(x, y)[0, :, 0, 0].tolist() == [0, 0, 0, 0, 1] and with_labels(x, None) is x
    assert with_labels(torch.zeros(2, 3, dtype=torch.float64), y)[1].tolist() == [0, 0, 0, 1, 0]
    with pytest.raises(UsageError, match="needs labels"):
        one_hot(None, 2, x)


def test_pyramid_reaches_every_size_it_claims() -> None:
    for height in range(1, 200):
        for width in (height, 2 * height, 3 * height):
            try:
                base_height, base_width, doublings = pyramid((3, height, width), 4, "test")
            except UsageError as error:
                first = str(error).split("can make are ")[1].split(" ")[0]
                h, w = map(int, first.removesuffix(".").split("x"))
                assert pyramid((3, h, w), 4, "test")  # the size it names can be made
            else:
                assert doublings >= 1 and 4 <= min(base_height, base_width) <= 7
                assert (base_height * 2**doublings, base_width * 2**doublings) == (height, width)
