"""Virtual batch normalisation: its formula, independence of samples, the wrappers, gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from saddlepoint.errors import UsageError
from saddlepoint.networks.base import mixes_samples
from saddlepoint.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from saddlepoint.networks.virtualbatchnorm import VirtualBatchDiscriminator, VirtualBatchGenerator, VirtualBatchNorm


@pytest.mark.parametrize("shape", [(3,), (3, 4, 5)])
def test_formula(shape: tuple[int, ...]) -> None:
    """Each sample's moments are those of the reference batch with that sample added to it."""
    torch.manual_seed(0)
    layer = VirtualBatchNorm(3).double()
    with torch.no_grad():
        layer.weight.normal_()
        layer.bias.normal_()
    reference, x = torch.randn(6, *shape, dtype=torch.float64), torch.randn(4, *shape, dtype=torch.float64) * 3 + 1
    layer.num_reference = 6
    out = layer(torch.cat([reference, x]))
    axes = [0, *range(2, x.ndim)]

    def normalised(sample: Tensor, batch: Tensor) -> Tensor:
        var, mean = torch.var_mean(batch, axes, correction=0, keepdim=True)
        view = (1, 3, *[1] * (x.ndim - 2))
        return (sample - mean) / (var + 1e-5).sqrt() * layer.weight.view(view) + layer.bias.view(view)

    torch.testing.assert_close(out[:6], normalised(reference, reference))
    for i in range(4):
        torch.testing.assert_close(out[6 + i], normalised(x[i : i + 1], torch.cat([reference, x[i : i + 1]]))[0])


def test_samples_are_independent_and_the_wrapper_strips_the_reference() -> None:
    torch.manual_seed(0)
    d = VirtualBatchDiscriminator(DCGANDiscriminator((1, 16, 16), 4, norm="virtual"), torch.randn(5, 1, 16, 16)).double()
    assert not mixes_samples(d) and not mixes_samples(VirtualBatchNorm(3))
    x = torch.randn(4, 1, 16, 16, dtype=torch.float64)
    judgement = d(x)
    assert judgement.logits.shape == (4,) and judgement.features is not None and judgement.features.shape == (4, 128)
    assert judgement.class_logits is None
    for i in range(4):
        torch.testing.assert_close(d(x[i : i + 1]).logits, judgement.logits[i : i + 1])
    d.eval()
    torch.testing.assert_close(d(x).logits, judgement.logits)  # no running averages


def test_the_reference_batch_is_part_of_the_state() -> None:
    first = VirtualBatchGenerator(DCGANGenerator(4, (1, 16, 16), 2, norm="virtual"), torch.randn(3, 4))
    second = VirtualBatchGenerator(DCGANGenerator(4, (1, 16, 16), 2, norm="virtual"), torch.zeros(3, 4))
    second.load_state_dict(first.state_dict())
    z = torch.randn(2, 4)
    assert first.latent_dim == 4 and torch.equal(first(z), second(z))


def test_the_gradient_flows_through_the_reference() -> None:
    layer = VirtualBatchNorm(2).double()
    layer.num_reference = 3
    x = torch.randn(5, 2, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, x) and torch.autograd.gradgradcheck(layer, x)


def test_labels_and_refusals() -> None:
    z, labels = torch.randn(2, 4), torch.tensor([0, 1])
    conditional = DCGANGenerator(4, (1, 16, 16), 2, norm="virtual", num_classes=2)
    g = VirtualBatchGenerator(conditional, torch.randn(3, 4), torch.tensor([0, 1, 0]))
    assert g(z, labels).shape == (2, 1, 16, 16)
    with pytest.raises(UsageError, match="both have labels, or neither"):
        g(z)
    with pytest.raises(UsageError, match="needs a reference batch"):
        conditional(z, labels)
