"""BigGAN's networks: the published counts of parameters, the class and z where they belong, sizes, spectral norms, standing statistics."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from saddlepoint.errors import UsageError
from saddlepoint.networks.base import mixes_samples
from saddlepoint.networks.biggan import BigGANDiscriminator, BigGANGenerator, attention_levels
from saddlepoint.networks.biggan_deep import BigGANDeepDiscriminator, BigGANDeepGenerator, DeepDiscriminatorBlock, DeepGeneratorBlock
from saddlepoint.networks.classnorm import LinearBatchNorm
from saddlepoint.networks.norms import ConditionalBatchNorm
from saddlepoint.networks.spectral import SpectralNorm, normalised_layers
from saddlepoint.networks.standing import standing_statistics, with_statistics

K = 3


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def small_g(shape: tuple[int, int, int] = (3, 32, 32), **changes: object) -> BigGANGenerator:
    torch.manual_seed(0)
    settings: dict = {"width": 4, "num_classes": K, "shared_dim": 6, "attention": (16,)} | changes
    return BigGANGenerator(shape, 13, **settings).double()


def deep_g(shape: tuple[int, int, int] = (3, 32, 32), **changes: object) -> BigGANDeepGenerator:
    torch.manual_seed(0)
    settings: dict = {"width": 4, "num_classes": K, "shared_dim": 6, "attention": (16,)} | changes
    return BigGANDeepGenerator(shape, 13, **settings).double()


def test_published_counts_of_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    """70.4 and 88.0 million at 128x128, 50.4 and 34.6 of BigGAN-deep (appendix B)."""
    monkeypatch.setattr(SpectralNorm, "refresh", lambda self, weight, iterations=1: None)
    with torch.device("meta"):
        generator, discriminator = (
            BigGANGenerator((3, 128, 128), 120, width=96, num_classes=1000, start="normal"),
            BigGANDiscriminator((3, 128, 128), width=96, num_classes=1000, start="normal"),
        )
        assert (count(generator), count(discriminator)) == (70_433_988, 87_982_370)
        # the paper says 50.4: the published network gives ch channels at its output and keeps three of them
        deep, deep_d = (
            BigGANDeepGenerator((3, 128, 128), num_classes=1000, start="normal"),
            BigGANDeepDiscriminator((3, 128, 128), num_classes=1000, start="normal"),
        )
        assert round((count(deep) + 125 * (128 * 9 + 1)) / 1e6, 1) == 50.4
        assert round(count(deep_d) / 1e6, 1) == 34.6


@pytest.mark.parametrize("shape", [(1, 8, 8), (2, 28, 28), (3, 48, 80), (8, 64, 32), (4, 64, 64)])
@pytest.mark.parametrize("make", [small_g, deep_g])
def test_any_size_and_channels(shape: tuple[int, int, int], make: Callable[..., nn.Module]) -> None:
    generator = make(shape)
    kind = BigGANDiscriminator if make is small_g else BigGANDeepDiscriminator
    discriminator = kind(shape, width=4, num_classes=K, attention=(16,)).double()
    y = torch.tensor([0, 1, 2])
    x = generator(torch.randn(3, 13, dtype=torch.float64), y)
    assert x.shape == (3, *shape) and x.abs().max() <= 1
    judgement = discriminator(x, y)
    assert judgement.logits.shape == (3,) and judgement.features.ndim == 2
    judgement.logits.sum().backward()
    for network in (generator, discriminator):
        for name, parameter in network.named_parameters():
            attends = "attention" in name or any(part in name for part in ("theta", "phi", ".g.", ".o."))
            assert parameter.grad is not None and (attends or parameter.grad.abs().sum() > 0), name


def test_rows_by_hand() -> None:
    d = BigGANDiscriminator((3, 128, 128), width=2, num_classes=K, attention=(64,), start="normal")
    kinds = [(type(block).__name__, block.conv2.out_channels if hasattr(block, "conv2") else None) for block in d.blocks]
    assert kinds[:2] == [("DiscriminatorBlock", 2), ("SelfAttention", None)]
    assert [c for _, c in kinds if c] == [2, 4, 8, 16, 32, 32]
    assert [block.conv2.resample for block in d.blocks if hasattr(block, "conv2")] == ["down"] * 5 + [None]
    assert [block.conv1.out_channels for block in d.blocks if hasattr(block, "conv1")] == [2, 4, 8, 16, 32, 32]  # wide: those that leave
    g = BigGANGenerator((3, 128, 128), 120, width=2, num_classes=K, start="normal")
    assert g.chunks == [20] * 6 and list(g.attention) == ["3"]
    assert {norm.gain.in_features for norm in g.modules() if isinstance(norm, LinearBatchNorm)} == {148}
    assert attention_levels([64, 32, 16, 8, 4, 4], (64, 4)) == {0, 4}


def test_every_layer_but_the_shared_embedding_is_normalised() -> None:
    for network in (small_g(), BigGANDiscriminator((3, 32, 32), width=4, num_classes=K, attention=(16,)).double(), deep_g()):
        plain = [
            name
            for name, layer in network.named_modules()
            if isinstance(layer, nn.Linear | nn.Conv2d | nn.Embedding) and getattr(layer, "spectral", None) is None
        ]
        assert plain == (["shared"] if hasattr(network, "shared") else [])
        for name, spectral, weight in normalised_layers(network):
            assert np.linalg.norm(spectral(weight).detach().flatten(1).numpy(), 2) == pytest.approx(1, abs=1e-2), name


def test_starts() -> None:
    orthogonal = small_g().blocks[0].conv2.weight.detach().flatten(1)
    torch.testing.assert_close(orthogonal @ orthogonal.T, torch.eye(16, dtype=torch.float64), rtol=0, atol=1e-6)
    normal = small_g(width=16, shared_dim=None, hierarchical=False, start="normal")
    assert normal.blocks[0].conv2.weight.std().item() == pytest.approx(0.02, rel=0.05)
    tables = [norm for norm in normal.modules() if isinstance(norm, ConditionalBatchNorm)]
    assert len(tables) == 6 and tables[0].gain.mean().item() == pytest.approx(1, abs=0.01)
    assert tables[0].gain.std().item() == pytest.approx(0.02, rel=0.2)
    xavier = small_g(width=16, shared_dim=None, hierarchical=False, start="xavier").blocks[0].conv2.weight
    assert xavier.abs().max().item() == pytest.approx(math.sqrt(6 / (64 * 9 * 2)), rel=0.01)


def test_linear_batch_norm_is_the_formula() -> None:
    torch.manual_seed(0)
    norm = LinearBatchNorm(4, 5, eps=1e-4).double()
    x, v = torch.randn(6, 4, 3, 3, dtype=torch.float64), torch.randn(6, 5, dtype=torch.float64)
    a, m = x.numpy(), [layer.spectral(layer.weight).detach().numpy() for layer in (norm.gain, norm.bias)]
    white = (a - a.mean((0, 2, 3), keepdims=True)) / np.sqrt(a.var((0, 2, 3), keepdims=True) + 1e-4)
    expected = (1 + v.numpy() @ m[0].T)[:, :, None, None] * white + (v.numpy() @ m[1].T)[:, :, None, None]
    np.testing.assert_allclose(norm(x, v).detach().numpy(), expected, rtol=0, atol=1e-12)
    assert mixes_samples(norm)


def test_each_piece_of_z_enters_its_own_block() -> None:
    """The map that enters block i depends on the pieces 0 ... i of z, on no later one."""
    generator = small_g().eval()
    z, y = torch.randn(1, 13, dtype=torch.float64), torch.tensor([1])
    entered: list[Tensor] = []
    for block in generator.blocks:
        block.register_forward_pre_hook(lambda block, inputs: entered.append(inputs[0]))
    assert generator.chunks == [4, 3, 3, 3]
    slopes = torch.autograd.functional.jacobian(lambda z: (entered.clear(), generator(z, y), torch.stack([h.sum() for h in entered]))[2], z)
    seen = slopes[:, 0].abs().split(generator.chunks, 1)
    assert [[bool(piece[i].sum() > 0) for piece in seen] for i in range(3)] == [
        [True, False, False, False],
        [True, True, False, False],
        [True, True, True, False],
    ]


@pytest.mark.parametrize("make", [small_g, deep_g, lambda: small_g(shared_dim=None, hierarchical=False, start="normal")])
def test_classes_mix(make: Callable[[], BigGANGenerator]) -> None:
    """Weights of one class are that class; a half of two lies where the mixed condition says."""
    generator = make().eval()
    z, y = torch.randn(3, 13, dtype=torch.float64), torch.tensor([2, 0, 1])
    weights = nn.functional.one_hot(y, K).double()
    torch.testing.assert_close(generator(z, y), generator(z, weights))
    half = generator(z, 0.5 * weights + 0.5 * weights.roll(1, 1))
    assert not torch.allclose(half, generator(z, y))
    if generator.shared is not None:
        between = torch.lerp(generator.embed(y), generator.embed((y + 1) % K), 0.5)
        torch.testing.assert_close(half, generator.render(z, between))


def test_deep_blocks_keep_what_passes() -> None:
    """With the last convolution at 0 the block is its shortcut: G drops channels, D appends those of a 1x1 convolution."""
    torch.manual_seed(0)
    g, d = DeepGeneratorBlock(8, 4, 3, up=True, eps=1e-4), DeepDiscriminatorBlock(4, 8, down=True)
    for block in (g, d):
        block.conv4.weight.data.zero_()
        block.conv4.spectral = None
    x = torch.randn(2, 8, 4, 4)
    torch.testing.assert_close(g(x, torch.randn(2, 3)), x[:, :4].repeat_interleave(2, 2).repeat_interleave(2, 3))
    y = d(x[:, :4])
    small = nn.functional.avg_pool2d(x[:, :4], 2)
    assert y.shape == (2, 8, 2, 2)
    torch.testing.assert_close(y, torch.cat([small, d.shortcut(small)], 1))


def test_without_labels() -> None:
    for generator in (small_g(num_classes=None), deep_g(num_classes=None), small_g(num_classes=None, hierarchical=False)):
        assert generator(torch.randn(2, 13, dtype=torch.float64)).shape == (2, 3, 32, 32)
    discriminator = BigGANDiscriminator((3, 32, 32), width=4, attention=())
    assert discriminator(torch.randn(2, 3, 32, 32)).logits.shape == (2,) and discriminator.embedding is None


def test_the_projection() -> None:
    discriminator = BigGANDiscriminator((3, 32, 32), width=4, num_classes=K, attention=()).double()
    x = torch.randn(4, 3, 32, 32, dtype=torch.float64)
    logits, features, _ = discriminator(x, torch.tensor([0, 1, 2, 2]))
    table = discriminator.embedding.spectral(discriminator.embedding.weight)
    other = discriminator(x, torch.tensor([1, 1, 2, 0])).logits
    torch.testing.assert_close(other - logits, ((table[[1, 1, 2, 0]] - table[[0, 1, 2, 2]]) * features).sum(1))
    torch.testing.assert_close(features, torch.relu(discriminator.maps(x)).sum((2, 3)))


def test_errors_say_what_to_do() -> None:
    z, x = torch.randn(2, 13, dtype=torch.float64), torch.randn(2, 3, 32, 32)
    with pytest.raises(UsageError, match="conditional on 3 classes and needs labels"):
        small_g()(z)
    with pytest.raises(UsageError, match="conditional on 3 classes and needs labels"):
        BigGANDiscriminator((3, 32, 32), width=4, num_classes=K, attention=())(x)
    with pytest.raises(UsageError, match="cut into 4 pieces here; it has 3 numbers"):
        BigGANGenerator((3, 32, 32), 3, width=4)
    with pytest.raises(UsageError, match="BigGAN cannot make images of 31x31"):
        BigGANGenerator((3, 31, 31), 8, width=4)


def test_standing_statistics_are_the_mean_over_the_passes_and_leave_no_trace() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 2, 1)).double()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    batches = torch.randn(5, 8, 3, 4, 4, dtype=torch.float64) * 3 + 1
    network.eval()
    found = standing_statistics(network, lambda number: network(batches[number]), 5)
    torch.testing.assert_close(found["0"][0], batches.mean((0, 1, 3, 4)))
    torch.testing.assert_close(found["0"][1], torch.stack([batch.var((0, 2, 3)) for batch in batches]).mean(0))
    assert not network.training and network[0].momentum == 0.1
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    with with_statistics(network, found):
        inside = network[0](batches[0])
    torch.testing.assert_close(inside, (batches[0] - found["0"][0].view(-1, 1, 1)) / (found["0"][1].view(-1, 1, 1) + 1e-5).sqrt())
    torch.testing.assert_close(network[0](batches[0]), batches[0] / math.sqrt(1 + 1e-5))
    assert standing_statistics(nn.Linear(2, 2), lambda number: pytest.fail("nothing to measure"), 3) == {}
