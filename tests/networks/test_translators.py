"""The networks that translate: their layers against the papers' strings, what a patch sees, normalisation image by image."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from saddlepoint.draws import Draws, use
from saddlepoint.errors import UsageError
from saddlepoint.networks.instancenorm import ImageBatchNorm, InstanceNorm, instance_norm
from saddlepoint.networks.patchgan import PatchGAN
from saddlepoint.networks.translators import ResNetTranslator
from saddlepoint.networks.unet import DropoutNoise, UNet


def test_the_unet_is_the_papers() -> None:
    net = UNet(3, 3, (256, 256), 4)
    assert [layer[0].out_channels // 4 for layer in net.down] == [1, 2, 4, 8, 8, 8, 8, 8]
    assert [layer[0].out_channels // 4 for layer in net.up] == [8, 8, 8, 8, 4, 2, 1]  # CD512 CD512 CD512 C512 C256 C128 C64
    assert [isinstance(layer[-1], DropoutNoise) for layer in net.up] == [True] * 3 + [False] * 4
    assert [layer[0].in_channels // 4 for layer in net.up] == [8, 16, 16, 16, 16, 8, 4]  # with the encoder's beside it
    assert [isinstance(layer[1], nn.Identity) for layer in net.down] == [True] + [False] * 6 + [True]
    assert net.multiple == 256
    assert [layer[0].in_channels // 4 for layer in UNet(3, 3, (256, 256), 4, skips=False).up] == [8, 8, 8, 8, 8, 4, 2]
    with pytest.raises(UsageError, match="27x27 pixels cannot be halved"):
        UNet(3, 3, (27, 27))


def test_published_numbers_of_parameters() -> None:
    def count(net: nn.Module) -> int:
        return sum(p.numel() for p in net.parameters())

    with torch.device("meta"):
        assert count(UNet(3, 3, (256, 256))) == 54_414_531  # 54.414 M of the PyTorch release's unet_256
        assert count(PatchGAN(6)) == 2_768_705  # 2.769 M of its D
        assert count(ResNetTranslator(3, 3)) == 11_378_179 - 5_248  # 11.378 M of its resnet_9blocks, less the biases that its normalisation undoes


def test_noise_stays_in_use() -> None:
    net, x = UNet(1, 1, (16, 16), 4, norm="instance").eval(), torch.randn(2, 1, 16, 16)
    with torch.no_grad():
        with use(Draws.seeded(0)):
            one = net(x)
        with use(Draws.seeded(1)):
            other = net(x)
        with use(Draws.seeded(0)):
            again = net(x)
    assert torch.equal(one, again)
    assert not torch.allclose(one, other)
    with use(Draws.seeded(0)):
        dropped = DropoutNoise()(torch.ones(20_000))
    assert set(dropped.tolist()) == {0.0, 2.0}
    assert dropped.mean().item() == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("patch", [1, 16, 34, 70, 142, 286])
def test_a_logit_sees_its_patch_and_no_more(patch: int) -> None:
    net = PatchGAN(1, patch, 2, norm="none").double()  # type: ignore[arg-type]
    x = torch.randn(1, 1, 300, 300, dtype=torch.float64, requires_grad=True)
    logits = net(x).logits
    logits[0, 0, logits.shape[2] // 2, logits.shape[3] // 2].backward()
    assert x.grad is not None
    for axis in (0, 1):
        seen = x.grad[0, 0].abs().sum(axis).nonzero().flatten()
        assert seen.max() - seen.min() + 1 == patch


def test_patches_larger_than_the_image() -> None:
    with pytest.raises(UsageError, match="Patches of 286 need images of 96 pixels or more; 64 came"):
        PatchGAN(3, 286, size=(64, 64))


def test_instance_norm_is_torchs() -> None:
    x = torch.randn(3, 5, 6, 7, dtype=torch.float64)
    weight, bias = torch.randn(2, 5, dtype=torch.float64)
    torch.testing.assert_close(instance_norm(x, weight, bias), nn.functional.instance_norm(x, weight=weight, bias=bias))
    assert InstanceNorm(5).weight is None
    layer = ImageBatchNorm(5).double()
    torch.testing.assert_close(layer(x), nn.functional.batch_norm(x, None, None, training=True))
    torch.testing.assert_close(layer.eval()(x), nn.functional.instance_norm(x))
    small = x[:2, :2, :3, :3].clone().requires_grad_()
    assert torch.autograd.gradcheck(instance_norm, small)
    assert torch.autograd.gradgradcheck(instance_norm, small)


def test_residual_translators_take_any_multiple_of_four() -> None:
    net = ResNetTranslator(1, 3, 4, 2).double()
    x = torch.randn(2, 1, 20, 28, dtype=torch.float64)
    y = net(x)
    assert y.shape == (2, 3, 20, 28)
    assert y.abs().max() <= 1
    torch.testing.assert_close(net(x[1:]), y[1:])  # no image sees another
