"""Real and fake in one pass through layers that mix the samples of one kind alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from saddlepoint.draws import Draws, use
from saddlepoint.networks.base import mixes_kinds, mixes_samples
from saddlepoint.networks.instancenorm import ImageBatchNorm, InstanceNorm
from saddlepoint.networks.patchgan import PatchGAN


def test_which_layers_mix_kinds() -> None:
    assert mixes_samples(ImageBatchNorm(2)) and not mixes_kinds(ImageBatchNorm(2))
    assert mixes_kinds(nn.Sequential(ImageBatchNorm(2), nn.BatchNorm2d(2))) and not mixes_kinds(InstanceNorm(2))


@pytest.mark.parametrize("n", [1, 3])
def test_one_pass_is_two_passes(n: int) -> None:
    torch.manual_seed(0)
    network, draws = PatchGAN(2, 16, 4).double(), Draws()
    real, fake = torch.randn(2, n, 2, 24, 24, dtype=torch.float64)

    def found(real_logits: Tensor, fake_logits: Tensor) -> list[Tensor]:
        loss = real_logits.sin().sum() + (3 * fake_logits).cos().sum()
        return [real_logits, fake_logits, *torch.autograd.grad(loss, [*network.parameters()])]

    apart = found(network(real).logits, network(fake).logits)
    with use(draws), draws.together(2):
        together = found(*network(torch.cat([real, fake])).logits.chunk(2))
    for one, other in zip(together, apart, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)
    assert n == 1 or not torch.allclose(network(torch.cat([real, fake])).logits[:n], apart[0]), "alone they would mix"
