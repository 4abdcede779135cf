"""Modulated convolution against the paper's per-sample weights, derivatives of both orders included; the image layer; noise."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from saddlepoint.draws import Draws, use
from saddlepoint.networks.modulated import Noise, StyledConv2d, ToImage, modulated_conv2d, modulated_conv2d_reference
from saddlepoint.networks.upfirdn import BINOMIAL, kernel_of


def numbers(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape))).requires_grad_()


CASES = [(k, up, demodulate) for k in (1, 3) for up in (None, kernel_of(BINOMIAL)) for demodulate in (True, False)]


@pytest.mark.parametrize(("k", "up", "demodulate"), CASES)
def test_unfused_is_fused_with_both_derivatives(k: int, up: Tensor | None, demodulate: bool) -> None:
    inputs = numbers(3, 4, 6, 4), numbers(5, 4, k, k), numbers(3, 4)
    found = []
    for function in (modulated_conv2d, modulated_conv2d_reference):
        y = function(*inputs, up=up, demodulate=demodulate)
        first = torch.autograd.grad((y.sin() * torch.arange(y.numel()).view_as(y)).sum(), inputs, create_graph=True)
        second = torch.autograd.grad(sum((g.square().sum() for g in first), start=torch.zeros(())), inputs)
        found.append((y, *first, *second))
    for ours, plain in zip(*found, strict=True):
        torch.testing.assert_close(ours, plain)


def test_demodulated_outputs_have_the_size_of_their_inputs() -> None:
    torch.manual_seed(0)
    y = modulated_conv2d(torch.randn(4, 64, 16, 16), torch.randn(48, 64, 3, 3) * 7, torch.rand(4, 64) * 30)
    assert y[:, :, 1:-1, 1:-1].std().item() == pytest.approx(1, abs=0.05)


def test_a_styled_layer_is_its_steps() -> None:
    torch.manual_seed(0)
    layer = StyledConv2d(4, 5, 6, (12, 8), up=True, gain=0.5).double()
    for parameter in (layer.bias, layer.noise.strength):  # type: ignore[union-attr]
        torch.nn.init.normal_(parameter)
    x, code = numbers(3, 4, 6, 4), numbers(3, 6)
    steps = modulated_conv2d_reference(x, layer.weight, layer.affine(code), up=layer.filter.double())  # type: ignore[union-attr]
    steps = steps + layer.bias[:, None, None] + layer.noise.fixed * layer.noise.strength  # type: ignore[union-attr]
    torch.testing.assert_close(layer(x, code, "fixed"), F.leaky_relu(steps, 0.2) * math.sqrt(2) * 0.5)


def test_styles_start_at_one_and_noise_at_zero() -> None:
    layer = StyledConv2d(4, 5, 6, (8, 8))
    x, code = torch.randn(2, 4, 8, 8), torch.randn(2, 6)
    assert torch.equal(layer.affine(torch.zeros(1, 6)), torch.ones(1, 4))
    assert torch.equal(layer(x, code, "random"), layer(x, code, "none"))


def test_noise_is_drawn_for_the_whole_batch() -> None:
    noise = Noise((4, 4), channels=3)
    torch.nn.init.ones_(noise.strength)
    with use(Draws.seeded("turn")):
        whole = noise(4, "random")
    assert whole is not None
    for piece in range(2):
        with use(Draws.seeded("turn", piece=piece, pieces=2)):
            assert torch.equal(noise(2, "random"), whole[2 * piece : 2 * piece + 2])
    assert torch.equal(whole[:, 0], whole[:, 2])
    assert noise(2, "none") is None
    assert torch.equal(noise(2, "fixed"), noise.fixed.expand(1, 3, 4, 4))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_image_layer_is_a_convolution_without_demodulation(layout: torch.memory_format) -> None:
    layer = ToImage(4, 3, 6).double()
    torch.nn.init.normal_(layer.bias)
    x, code = numbers(2, 4, 6, 4), numbers(2, 6)
    plain = modulated_conv2d_reference(x, layer.weight, layer.affine(code) / 2, demodulate=False) + layer.bias[:, None, None]
    torch.testing.assert_close(layer(x.contiguous(memory_format=layout), code), plain)
