"""Residual pairs: published sizes, the blocks against their formula written with torch alone, heads and errors."""

from __future__ import annotations

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saddlepoint.errors import UsageError
from saddlepoint.networks.base import mixes_samples
from saddlepoint.networks.convolution import Convolution
from saddlepoint.networks.resnet import VARIANTS, DiscriminatorBlock, GeneratorBlock, ResNetDiscriminator, ResNetGenerator
from saddlepoint.networks.spectral import normalised_layers

SIDES = {"wgan-gp-32": 32, "good-64": 64, "sngan-32": 32, "sngan-64": 64, "sngan-128": 128, "sngan-256": 256}


def _conv(layer: Convolution, x: Tensor) -> Tensor:
    weight = layer.weight
    if layer.spectral is not None:
        weight = weight / torch.einsum("o,oi,i->", layer.spectral.u, weight.flatten(1), layer.spectral.v)
    return F.conv2d(x, weight, layer.bias, padding=layer.kernel_size[0] // 2)


def _random(network: nn.Module) -> nn.Module:
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network.double()


def test_generator_block_is_the_formula() -> None:
    block = _random(GeneratorBlock(4, 3, norm="batch", num_classes=None, normed_biases=True))
    x = torch.randn(5, 4, 4, 4, dtype=torch.float64)
    plain = [nn.BatchNorm2d(c).double() for c in (4, 3)]
    for mine, norm in zip(plain, (block.norm1, block.norm2), strict=True):
        mine.load_state_dict(norm.state_dict())
    h = _conv(block.conv1, F.interpolate(plain[0](x).relu(), scale_factor=2.0, mode="nearest"))
    expected = _conv(block.conv2, plain[1](h).relu()) + _conv(block.shortcut, F.interpolate(x, scale_factor=2.0, mode="nearest"))
    kept = x.clone()
    torch.testing.assert_close(block(x, None), expected)
    assert torch.equal(x, kept)


@pytest.mark.parametrize("pixels", [True, False])
@pytest.mark.parametrize("resample", ["down", None])
def test_discriminator_block_is_the_formula(pixels: bool, resample: str | None) -> None:
    block = DiscriminatorBlock(3, 4, norm="none", resample=resample, pixels=pixels, spectral_norm=True, normed_biases=True)  # type: ignore[arg-type]
    x = torch.randn(5, 3, 8, 8, dtype=torch.float64)
    _random(block)
    h = _conv(block.conv1, x if pixels else x.relu())
    expected = _conv(block.conv2, h.relu()) + _conv(block.shortcut, x)
    assert h.shape[1] == (4 if pixels else 3)
    torch.testing.assert_close(block(x), F.avg_pool2d(expected, 2) if resample else expected)


def test_identity_shortcut() -> None:
    block = DiscriminatorBlock(4, 4, norm="none", resample=None, pixels=False, spectral_norm=False, normed_biases=True)
    assert isinstance(block.shortcut, nn.Identity)
    nn.init.zeros_(block.conv2.weight)
    x = torch.randn(2, 4, 4, 4)
    assert torch.equal(block(x), x)


# Summed layer by layer from the papers' tables: k*k*c*o weights + o biases, 2c a batch norm, by channel lists written out here once more.
def _conv_size(c: int, o: int, k: int = 3, bias: bool = True) -> int:
    return c * o * k * k + (o if bias else 0)


@pytest.mark.parametrize(
    ("name", "ups", "downs", "head"),
    [
        ("sngan-32", [256, 256, 256, 256], [3, 128, 128, 128, 128], 128),
        ("wgan-gp-32", [128, 128, 128, 128], [3, 128, 128, 128, 128], 129),
        ("sngan-128", [1024, 1024, 512, 256, 128, 64], [3, 64, 128, 256, 512, 1024, 1024], 1025),
    ],
)
def test_published_number_of_parameters(name: str, ups: list[int], downs: list[int], head: int) -> None:
    side = SIDES[name]
    blocks = zip(ups, ups[1:], strict=False)
    expected = 129 * 16 * ups[0] + sum(_conv_size(c, o) + _conv_size(o, o) + _conv_size(c, o, 1) + 2 * c + 2 * o for c, o in blocks)
    expected += 2 * ups[-1] + _conv_size(ups[-1], 3)
    assert sum(p.numel() for p in ResNetGenerator(name, (3, side, side)).parameters()) == expected
    expected = head
    for i, (c, o) in enumerate(zip(downs, downs[1:], strict=False)):
        hidden = o if i == 0 else c
        shortcut = _conv_size(c, o, 1) if c != o or i < VARIANTS[name].halvings else 0
        expected += _conv_size(c, hidden) + _conv_size(hidden, o) + shortcut
    assert sum(p.numel() for p in ResNetDiscriminator(name, (3, side, side)).parameters()) == expected


@pytest.mark.parametrize("name", list(VARIANTS))
def test_pairs_fit_and_learn(name: str) -> None:
    torch.manual_seed(0)
    shape = (3, SIDES[name], SIDES[name])
    generator, discriminator = ResNetGenerator(name, shape, 16, width=1 / 64), ResNetDiscriminator(name, shape, width=1 / 64)
    x = generator(torch.randn(2, 16))
    assert x.shape == (2, *shape)
    assert x.abs().max() <= 1
    judgement = discriminator(x)
    assert judgement.logits.shape == (2,)
    assert judgement.features is not None
    torch.testing.assert_close(discriminator.to_logit(judgement.features).squeeze(1), judgement.logits)
    (slope,) = torch.autograd.grad(judgement.logits.sum(), x, create_graph=True)
    (slope.square().sum() + judgement.logits.sum()).backward()
    for parameter in [*generator.parameters(), *discriminator.parameters()]:
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()
    assert not mixes_samples(discriminator)
    assert len(list(normalised_layers(discriminator))) > 0 or not VARIANTS[name].spectral_norm


def test_other_sizes_and_channels() -> None:
    assert ResNetGenerator("sngan-32", (1, 48, 48), width=1 / 32)(torch.randn(2, 128)).shape == (2, 1, 48, 48)
    assert ResNetDiscriminator("good-64", (1, 32, 32), width=1 / 32)(torch.randn(2, 1, 32, 32)).features.shape == (2, 16 * 2 * 2)


def test_double_precision_and_no_norm() -> None:
    generator = ResNetGenerator("wgan-gp-32", (3, 16, 16), width=1 / 16, norm="none").double()
    z = torch.randn(3, 128, dtype=torch.float64)
    one_by_one = torch.cat([generator(row[None]) for row in z])
    torch.testing.assert_close(generator(z), one_by_one, rtol=1e-12, atol=1e-12)


def test_permutation_of_the_batch() -> None:
    discriminator = ResNetDiscriminator("sngan-32", (3, 32, 32), width=1 / 16).double()
    x = torch.randn(4, 3, 32, 32, dtype=torch.float64)
    torch.testing.assert_close(discriminator(x.flip(0)).logits, discriminator(x).logits.flip(0), rtol=1e-12, atol=1e-12)


def test_pools() -> None:
    x = torch.randn(2, 3, 32, 32)
    torch.manual_seed(0)
    summed = ResNetDiscriminator("sngan-32", (3, 32, 32), width=1 / 16, spectral_norm=False)
    averaged = ResNetDiscriminator("wgan-gp-32", (3, 32, 32), width=1 / 16)
    averaged.load_state_dict({"to_logit.bias": torch.zeros(1), **summed.state_dict()})
    torch.testing.assert_close(summed(x).logits, averaged(x).logits * 64)


def test_projection_head_is_equation_5() -> None:
    discriminator = _random(ResNetDiscriminator("sngan-32", (3, 32, 32), width=1 / 16, num_classes=4))
    x, labels = torch.randn(3, 3, 32, 32, dtype=torch.float64), torch.tensor([3, 0, 3])
    judgement = discriminator(x, labels)
    table = discriminator.embedding
    rows = (table.weight / table.spectral.sigma(table.weight))[labels]
    torch.testing.assert_close(judgement.logits, discriminator.to_logit(judgement.features).squeeze(1) + (rows * judgement.features).sum(1))
    assert judgement.class_logits is None
    assert not torch.equal(discriminator(x, torch.tensor([2, 0, 3])).logits, judgement.logits)


def test_auxiliary_head_takes_no_label() -> None:
    discriminator = ResNetDiscriminator("wgan-gp-32", (3, 32, 32), width=1 / 16, num_classes=4, head="auxiliary")
    judgement = discriminator(torch.randn(3, 3, 32, 32))
    assert judgement.class_logits is not None
    assert judgement.class_logits.shape == (3, 4)


def test_concat_head() -> None:
    discriminator = ResNetDiscriminator("sngan-128", (3, 128, 128), width=1 / 64, num_classes=4, head="concat")
    assert discriminator.embedding.weight.shape == (4, 2)
    assert discriminator.blocks[3].conv1.weight.shape[1] == 256 // 64 + 2
    x = torch.randn(2, 3, 128, 128)
    first, second = discriminator(x, torch.tensor([0, 1])).logits, discriminator(x, torch.tensor([0, 2])).logits
    assert torch.equal(first[0], second[0])
    assert not torch.equal(first[1], second[1])


def test_conditional_generator() -> None:
    generator = ResNetGenerator("wgan-gp-32", (3, 32, 32), width=1 / 16, num_classes=3)
    assert generator(torch.randn(2, 128), torch.tensor([0, 2])).shape == (2, 3, 32, 32)
    with pytest.raises(UsageError, match="needs labels"):
        generator(torch.randn(2, 128))


def test_initial_weights() -> None:
    torch.manual_seed(0)
    block = ResNetDiscriminator("sngan-32", (3, 32, 32)).blocks[2]
    assert block.conv1.weight.std().item() == pytest.approx(math.sqrt(4 / (2 * 128 * 9)), rel=0.02)
    shortcut = ResNetDiscriminator("sngan-32", (3, 32, 32)).blocks[1].shortcut
    assert shortcut.weight.std().item() == pytest.approx(math.sqrt(2 / 256), rel=0.03)


def test_copies_and_state() -> None:
    discriminator = ResNetDiscriminator("sngan-32", (3, 32, 32), width=1 / 16)
    twin = copy.deepcopy(discriminator)
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(twin(x).logits, discriminator(x).logits)
    assert all(value.shape == twin.state_dict()[name].shape for name, value in discriminator.state_dict().items())


def test_errors() -> None:
    with pytest.raises(UsageError, match="There is no residual network 'sngan32'. Nearest: sngan-32"):
        ResNetGenerator("sngan32", (3, 32, 32))
    with pytest.raises(UsageError, match="sides must be multiples of 8; got 28x28"):
        ResNetGenerator("sngan-32", (3, 28, 28))
    with pytest.raises(UsageError, match="conditional on 2 classes and needs labels"):
        ResNetDiscriminator("sngan-32", (3, 32, 32), width=1 / 16, num_classes=2)(torch.randn(1, 3, 32, 32))
