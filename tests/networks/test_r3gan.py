"""R3GAN's networks against the written-out ones, their start, and the logits and slopes of one graph against plain double backward."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saddlepoint.errors import UsageError
from saddlepoint.networks.r3gan import GAIN, Block, R3GANDiscriminator, R3GANGenerator, stage_widths

SHAPE = (3, 16, 16)
TAPS = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=torch.float64) / 8


def networks(num_classes: int | None = None, width: int = 32) -> tuple[R3GANGenerator, R3GANDiscriminator]:
    """Small ones, in float64, with weights and biases that are nowhere 0."""
    torch.manual_seed(0)
    pair = R3GANGenerator(6, SHAPE, width, full=2, num_classes=num_classes), R3GANDiscriminator(SHAPE, width, full=2, num_classes=num_classes)
    for network in pair:
        network.double()
        for name, parameter in network.named_parameters():
            if "reduce" in name or "bias" in name:
                nn.init.normal_(parameter, 0, 0.2)
    return pair


def plain_block(block: Block, x: Tensor) -> Tensor:
    y = F.leaky_relu(F.conv2d(x, block.expand.weight, block.expand.bias), 0.2)
    y = F.leaky_relu(F.conv2d(y, block.group.weight, block.group.bias, padding=1, groups=block.group.groups), 0.2)
    return x + F.conv2d(y, block.reduce.weight)


def filtered(x: Tensor, up: bool) -> Tensor:
    """Zeros between pixels, or dropping them, and the separable filter 1 3 3 1."""
    c = x.shape[1]
    kernel = TAPS.outer(TAPS).expand(c, 1, 4, 4)
    return F.conv_transpose2d(x, 4 * kernel, stride=2, padding=1, groups=c) if up else F.conv2d(x, kernel, stride=2, padding=1, groups=c)


def plain_layers(layers: nn.ModuleList | nn.Sequential, x: Tensor, up: bool) -> Tensor:
    for layer in layers:
        if isinstance(layer, Block):
            x = plain_block(layer, x)
            continue
        weight = getattr(layer.mix, "weight", None)
        if up:
            x = filtered(x if weight is None else F.conv2d(x, weight), up)
        else:
            x = filtered(x, up)
            x = x if weight is None else F.conv2d(x, weight)
    return x


def plain_generator(network: R3GANGenerator, z: Tensor, labels: Tensor | None) -> Tensor:
    if labels is not None and network.embed is not None:
        z = torch.cat([z, network.embed.weight.T[labels]], 1)
    x = network.basis * (z @ network.scale.weight.T)[:, :, None, None]
    return F.conv2d(plain_layers(network.layers, x, up=True), network.last.weight)


def plain_discriminator(network: R3GANDiscriminator, x: Tensor, labels: Tensor | None) -> Tensor:
    x = plain_layers(network.layers, F.conv2d(x, network.first.weight), up=False)
    x = F.conv2d(x, network.basis[:, None], groups=len(network.basis)).flatten(1) @ network.head.weight.T
    if labels is not None and network.embed is not None:
        x = (x * network.embed.weight.T[labels]).sum(1, keepdim=True)
    return x.squeeze(1)


@pytest.mark.parametrize("num_classes", [None, 5])
def test_equals_the_written_out_networks(num_classes: int | None) -> None:
    generator, discriminator = networks(num_classes)
    z, labels = torch.randn(4, 6, dtype=torch.float64), torch.tensor([0, 4, 2, 2]) if num_classes else None
    x = generator(z, labels)
    assert x.shape == (4, *SHAPE)
    torch.testing.assert_close(x, plain_generator(generator, z, labels), rtol=1e-10, atol=1e-10)
    judgement = discriminator(x, labels)
    torch.testing.assert_close(judgement.logits, plain_discriminator(discriminator, x, labels), rtol=1e-10, atol=1e-10)
    assert judgement.features.shape == (4, 32)
    slope = torch.autograd.grad(discriminator(x, labels).logits.sum(), z if z.requires_grad else x)[0]
    assert slope.shape == x.shape


@pytest.mark.parametrize("num_classes", [None, 5])
def test_logits_and_slopes_give_the_gradients_of_plain_double_backward(num_classes: int | None) -> None:
    _, discriminator = networks(num_classes)
    x = torch.randn(6, *SHAPE, dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, 3, 4, 4]) if num_classes else None
    results = []
    for ours in (True, False):
        seen = x.clone().requires_grad_()
        if ours:
            logits, slopes = discriminator.with_slopes(seen, labels)
        else:
            logits = plain_discriminator(discriminator, seen, labels)
            (slopes,) = torch.autograd.grad(logits.sum(), seen, create_graph=True)
        loss = (F.softplus(logits[3:] - logits[:3]) + 0.7 * slopes.square().flatten(1).sum(1).view(2, 3).sum(0)).mean()
        results.append((logits, slopes, *torch.autograd.grad(loss, [*discriminator.parameters()])))
    for mine, plain in zip(*results, strict=True):
        scale = plain.abs().max()
        assert scale > 0
        torch.testing.assert_close(mine / scale, plain / scale, rtol=1e-9, atol=1e-9)


def test_the_ordinary_way_is_differentiable_twice_too() -> None:
    _, discriminator = networks()
    x = torch.randn(4, *SHAPE, dtype=torch.float64)
    results = []
    for judge in (lambda x: discriminator(x).logits, lambda x: plain_discriminator(discriminator, x, None)):
        seen = x.clone().requires_grad_()
        logits = judge(seen)
        (slopes,) = torch.autograd.grad(logits.sum(), seen, create_graph=True)
        results.append(torch.autograd.grad(logits.sin().sum() + slopes.square().sum(), [*discriminator.parameters()]))
    for mine, plain in zip(*results, strict=True):
        torch.testing.assert_close(mine / plain.abs().max(), plain / plain.abs().max(), rtol=1e-9, atol=1e-9)


def test_every_block_starts_as_the_identity() -> None:
    generator, discriminator = R3GANGenerator(64, (3, 32, 32), 96), R3GANDiscriminator((3, 32, 32), 96)
    blocks = [layer for network in (generator, discriminator) for layer in network.layers if isinstance(layer, Block)]
    assert len(blocks) == 16
    for block in blocks:
        x = torch.randn(2, block.expand.in_channels, 8, 8)
        assert torch.equal(block(x), x)


def test_start_of_the_weights() -> None:
    torch.manual_seed(0)
    generator, discriminator = R3GANGenerator(64, (3, 32, 32), num_classes=10), R3GANDiscriminator((3, 32, 32), num_classes=10)
    count = 8  # two blocks in each of four stages
    assert pytest.approx(math.sqrt(2 / 1.04)) == GAIN
    block = next(layer for layer in generator.layers if isinstance(layer, Block))
    assert block.group.groups == 96 and block.group.weight.shape == (1536, 16, 3, 3)
    assert generator.embed is not None and discriminator.embed is not None
    for weight, std in (
        (block.expand.weight, GAIN * count**-0.25 / math.sqrt(768)),
        (block.group.weight, GAIN * count**-0.25 / math.sqrt(16 * 9)),
        (generator.basis, 1.0),
        (generator.scale.weight, 1 / math.sqrt(128)),
        (generator.embed.weight, 1 / math.sqrt(10)),
        (generator.last.weight, 1 / math.sqrt(768)),
        (discriminator.first.weight, 1 / math.sqrt(3)),
        (discriminator.basis, 1 / 4),
        (discriminator.head.weight, 1 / math.sqrt(768)),
        (discriminator.embed.weight, 1 / math.sqrt(10) / math.sqrt(768)),
    ):
        assert weight.std().item() == pytest.approx(std, rel=5 / math.sqrt(2 * weight.numel()))
    assert all(not parameter.any() for name, parameter in generator.named_parameters() if "reduce" in name or "bias" in name)


def test_parameter_counts_of_the_release() -> None:
    """As counted in the released networks with the CIFAR-10 settings, unconditional."""
    block = 768 * 1536 + 1536 + 16 * 9 * 1536 + 1536 + 1536 * 768
    generator, discriminator = R3GANGenerator(64, (3, 32, 32)), R3GANDiscriminator((3, 32, 32))
    assert sum(p.numel() for p in generator.parameters()) == 8 * block + 768 * 16 + 64 * 768 + 768 * 3 == 20_732_160
    assert sum(p.numel() for p in discriminator.parameters()) == 8 * block + 3 * 768 + 768 * 16 + 768 == 20_683_776


def test_widths_of_the_release() -> None:
    assert stage_widths(768, 4, 4) == [768] * 4
    assert stage_widths(768, 5, 4) == [768, 768, 768, 768, 384]
    assert stage_widths(768, 7, 4) == [768, 768, 768, 768, 384, 192, 96]
    assert stage_widths(1536, 5, 5) == [1536] * 5


@pytest.mark.parametrize("shape", [(1, 28, 28), (4, 32, 64), (3, 24, 48)])
def test_other_sizes(shape: tuple[int, int, int]) -> None:
    generator, discriminator = R3GANGenerator(6, shape, 16), R3GANDiscriminator(shape, 16)
    x = generator(torch.randn(2, 6))
    assert x.shape == (2, *shape) and discriminator(x).logits.shape == (2,)


def test_refuses_what_cannot_be_built() -> None:
    with pytest.raises(UsageError, match="cannot make images of 30x30"):
        R3GANGenerator(6, (3, 30, 30), 16)
    with pytest.raises(UsageError, match="blocks of 20 channels need groups whose width divides 40; group_width is 16"):
        R3GANDiscriminator((3, 8, 8), 20)
    with pytest.raises(UsageError, match="width is halved 2 times on the way to 32 pixels; 18 cannot be"):
        R3GANGenerator(6, (3, 32, 32), 18, full=2)
    with pytest.raises(UsageError, match="conditional on 4 classes and needs labels"):
        R3GANDiscriminator((3, 8, 8), 16, num_classes=4)(torch.zeros(1, 3, 8, 8))


def test_half_precision() -> None:
    discriminator = R3GANDiscriminator((3, 16, 16), 32)
    x = torch.randn(4, 3, 16, 16, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits, slopes = discriminator.with_slopes(x)
        loss = logits.square().mean() + slopes.square().sum()
    gradients = torch.autograd.grad(loss, [*discriminator.parameters()])
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    torch.testing.assert_close(logits.float(), discriminator(x).logits, rtol=0.05, atol=0.05)
