"""LSGAN's pair for many classes, and the pair in a unit of its own."""

from __future__ import annotations

import pytest
import torch

from saddlepoint.errors import UsageError
from saddlepoint.networks.base import Judgement
from saddlepoint.networks.characters import CharacterDiscriminator, CharacterGenerator, LabelEmbedding
from saddlepoint.networks.contrast import UnitDiscriminator, UnitGenerator
from saddlepoint.networks.mlp import MLPDiscriminator, MLPGenerator


def test_the_embedding_is_a_linear_layer_on_the_one_hot_label():
    layer, labels = LabelEmbedding(7, 4), torch.tensor([0, 6, 3])
    one_hot = torch.nn.functional.one_hot(labels, 7).float()
    assert torch.allclose(layer(labels), one_hot @ layer.weight.t() + layer.bias)


def test_sizes_are_those_of_the_paper():
    generator, discriminator = CharacterGenerator((1, 28, 28), 3740), CharacterDiscriminator((1, 28, 28), 3740)
    counts = [sum(p.numel() for p in network.parameters()) for network in (generator, discriminator)]
    embedding = 3740 * 256 + 256
    dense = 128 * 7 * 7
    assert counts[0] == embedding + (1024 + 256) * dense + dense + 2 * dense + (128 * 128 * 25 + 128 + 2 * 128) + 128 * 25 + 1
    convolutions = (25 * 257 + 257) + ((257 + 256) * 320 * 25 + 320 + 2 * 320)
    assert counts[1] == embedding + convolutions + ((320 * 49 + 256) * 1024 + 1024 + 2 * 1024) + (1024 + 256) + 1


def test_both_look_at_the_label():
    generator, discriminator = CharacterGenerator((1, 28, 28), 5, latent_dim=8, width=8), CharacterDiscriminator((1, 28, 28), 5, width=8)
    z, labels = torch.rand(4, 8), torch.tensor([0, 1, 2, 3])
    x = generator(z, labels)
    assert x.shape == (4, 1, 28, 28)
    assert x.abs().max() <= 1
    assert not torch.allclose(x, generator(z, labels.flip(0)))
    judgement: Judgement = discriminator(x, labels)
    assert judgement.logits.shape == (4,)
    assert not torch.allclose(judgement.logits, discriminator(x, labels.flip(0)).logits)
    with pytest.raises(UsageError, match="divisible by 4; got 30x28. The nearest is 32x28"):
        CharacterGenerator((1, 30, 28), 5)


def test_a_unit_of_its_own():
    inner_g, inner_d = MLPGenerator(3, (1, 4, 4)), MLPDiscriminator((1, 4, 4))
    generator, discriminator = UnitGenerator(inner_g, 0.25, 0.5), UnitDiscriminator(inner_d, 0.25, 0.5)
    z = torch.randn(5, 3)
    assert torch.allclose(generator(z), 0.25 + 0.5 * inner_g(z))
    assert torch.allclose(discriminator(generator(z)).logits, inner_d(inner_g(z)).logits, atol=1e-6)
