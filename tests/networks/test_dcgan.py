"""DCGAN: parameter counts of the torch version, sizes, rules of section 3, starting weights, equality with the written-out network."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from saddlepoint.errors import UsageError
from saddlepoint.networks.dcgan import DCGANDiscriminator, DCGANGenerator


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_parameter_counts_at_64() -> None:
    assert count(DCGANGenerator(100, (3, 64, 64), 64, 4)) == 3_576_704
    assert count(DCGANDiscriminator((3, 64, 64), 64, 4)) == 2_765_568


def test_parameter_counts_of_the_authors_models() -> None:
    g, d = DCGANGenerator(100, (3, 64, 64), 128, 5), DCGANDiscriminator((3, 64, 64), 128, 5)
    # faces: dense 4x4x1024, then 5x5 to 512, 256, 128, 3; one gain and one shift a channel
    assert count(g) == 100 * 16384 + 25 * (1024 * 512 + 512 * 256 + 256 * 128 + 128 * 3) + 2 * (1024 + 512 + 256 + 128)
    assert count(d) == 25 * (3 * 128 + 128 * 256 + 256 * 512 + 512 * 1024) + 16384 + 2 * (256 + 512 + 1024)
    g = DCGANGenerator(100, (1, 28, 28), 64, 5, num_classes=10, dense=1024, output="sigmoid")
    d = DCGANDiscriminator((1, 28, 28), 64, 5, num_classes=10, dense=1024)
    # MNIST: gw, gw2, gw3, gwx and dw, dw2, dw3, dwy of the authors' conditional script, plus normalisation
    norms = 2 * (1024 + 128 + 64), 2 * (128 + 1024)
    assert count(g) == 110 * 1024 + 1034 * 128 * 49 + 138 * 64 * 25 + 74 * 25 + norms[0]
    assert count(d) == 64 * 11 * 25 + 128 * 74 * 25 + (128 * 49 + 10) * 1024 + 1034 + norms[1]


@pytest.mark.parametrize("size", [(8, 8), (16, 16), (20, 20), (24, 24), (28, 28), (32, 32), (48, 64), (64, 128), (56, 28), (96, 96), (128, 128)])
@pytest.mark.parametrize("channels,kernel", [(1, 4), (3, 5)])
def test_sizes(size: tuple[int, int], channels: int, kernel: int) -> None:
    shape = (channels, *size)
    images = DCGANGenerator(7, shape, 2, kernel)(torch.randn(2, 7))  # type: ignore[arg-type]
    assert images.shape == (2, *shape)
    assert DCGANDiscriminator(shape, 2, kernel)(images).logits.shape == (2,)  # type: ignore[arg-type]


def test_refuses_other_sizes_by_name() -> None:
    for build in (lambda shape: DCGANGenerator(7, shape), DCGANDiscriminator):
        with pytest.raises(UsageError, match="cannot make images of 30x30; the nearest it can make are 28x28 and 32x32"):
            build((3, 30, 30))
        with pytest.raises(UsageError, match="64x65; the nearest it can make are 64x64 and"):
            build((3, 64, 65))
        with pytest.raises(UsageError, match="got samples of shape"):
            build((2,))  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="cannot make images of 3x3"):
            build((3, 3, 3))


def test_rules() -> None:
    g, d = DCGANGenerator(9, (3, 32, 32), 8), DCGANDiscriminator((3, 32, 32), 8)
    assert not any(isinstance(m, (nn.MaxPool2d, nn.AvgPool2d)) for n in (g, d) for m in n.modules())
    assert sum(isinstance(m, nn.BatchNorm2d) for m in g.modules()) == 3 and sum(isinstance(m, nn.BatchNorm2d) for m in d.modules()) == 2
    assert all(m.bias is None for n in (g, d) for m in n.modules() if isinstance(m, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)))
    assert all(m.negative_slope == 0.2 for m in d.modules() if isinstance(m, nn.LeakyReLU))
    constant = DCGANGenerator(9, (3, 32, 32), 12, norm="none", constant_filters=True)
    assert [m.weight.shape[:2] for m in constant.modules() if isinstance(m, nn.ConvTranspose2d)] == [(12, 12), (12, 12), (12, 3)]


def test_starting_weights() -> None:
    torch.manual_seed(0)
    for network in (DCGANGenerator(100, (3, 32, 32), 32), DCGANDiscriminator((3, 32, 32), 32)):
        weights = torch.cat([m.weight.flatten() for m in network.modules() if isinstance(m, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d))])
        gains = torch.cat([m.weight for m in network.modules() if isinstance(m, nn.BatchNorm2d)])
        assert abs(weights.std().item() - 0.02) < 2e-4 and abs(weights.mean().item()) < 2e-4
        assert abs(gains.std().item() - 0.02) < 5e-3 and abs(gains.mean().item() - 1) < 5e-3
        assert all(m.bias.abs().max() == 0 for m in network.modules() if isinstance(m, nn.BatchNorm2d))


def test_equals_the_convolutional_form() -> None:
    """Our linear first layer of G and last layer of D against 4x4 convolutions with the same numbers, in the torch version's order."""
    torch.manual_seed(0)
    g, d = DCGANGenerator(6, (3, 16, 16), 4).double(), DCGANDiscriminator((3, 16, 16), 4).double()
    plain_g = nn.Sequential(
        *(nn.ConvTranspose2d(6, 8, 4, bias=False), nn.BatchNorm2d(8), nn.ReLU()),
        *(nn.ConvTranspose2d(8, 4, 4, 2, 1, bias=False), nn.BatchNorm2d(4), nn.ReLU()),
        *(nn.ConvTranspose2d(4, 3, 4, 2, 1, bias=False), nn.Tanh()),
    ).double()
    plain_d = nn.Sequential(
        *(nn.Conv2d(3, 4, 4, 2, 1, bias=False), nn.LeakyReLU(0.2)),
        *(nn.Conv2d(4, 8, 4, 2, 1, bias=False), nn.BatchNorm2d(8), nn.LeakyReLU(0.2)),
        nn.Conv2d(8, 1, 4, bias=False),
    ).double()
    with torch.no_grad():
        for ours, plain in ((g, plain_g), (d, plain_d)):
            for mine, theirs in zip(ours.parameters(), sorted_like(ours, plain), strict=True):
                theirs.copy_(reorder(mine, theirs))
    z = torch.randn(5, 6, dtype=torch.float64)
    images = g(z)
    torch.testing.assert_close(images, plain_g(z[:, :, None, None]))
    torch.testing.assert_close(d(images).logits, plain_d(images).flatten())


def sorted_like(ours: nn.Module, plain: nn.Module) -> list[nn.Parameter]:
    assert [p.numel() for p in ours.parameters()] == [p.numel() for p in plain.parameters()]
    return list(plain.parameters())


def reorder(mine: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
    if mine.ndim == theirs.ndim:
        return mine
    if mine.shape[0] == 1:  # D's head over (h w c)
        return mine.view(1, 4, 4, -1).permute(0, 3, 1, 2)
    return mine.view(4, 4, -1, mine.shape[1]).permute(3, 2, 0, 1)  # G's projection to (h w c)


def test_images_stay_channels_last() -> None:
    images = DCGANGenerator(7, (3, 16, 16), 4)(torch.randn(4, 7))
    assert images.is_contiguous(memory_format=torch.channels_last)
