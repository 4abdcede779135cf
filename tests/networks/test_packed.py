"""Products over packed weights, and what is drawn by them, against torch's in float64."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from saddlepoint.networks import sequences
from saddlepoint.networks.packed import PackedLinear
from saddlepoint.networks.recurrent import RecurrentGenerator
from saddlepoint.networks.sequences import Drawer, draw_tokens, roll_out, uniforms_needed
from saddlepoint.networks.textcnn import TextCNN, judge_roll_outs
from saddlepoint.studies.flops import FlopCounter

ACTIVATIONS = {"none": lambda x: x, "relu": F.relu, "sigmoid": torch.sigmoid}


def normal(*shape, std=1.0):
    return std * torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("biased", [True, False])
def test_a_packed_product_is_the_linear_layer(activation, dtype, biased):
    x, weight, bias = normal(37, 19), normal(53, 19), normal(53) if biased else None
    layer = PackedLinear(weight.to(dtype), None if bias is None else bias.to(dtype), 40, activation)
    for rows in (37, 5, 1):
        expected = ACTIVATIONS[activation](F.linear(x[:rows], weight, bias))
        assert torch.allclose(layer(x[:rows].to(dtype)).double(), expected, atol=1e-5 if dtype == torch.float32 else 1e-12)


def test_a_packed_product_counts_its_operations():
    layer = PackedLinear(normal(5, 3).float(), None, 2)
    with FlopCounter() as counter:
        layer(normal(2, 3).float())
    assert counter.total == 2 * 2 * 3 * 5


def test_weights_are_copied():
    """A change of the weights does not half reach a product that is packed already."""
    weight, x = normal(4, 3).float(), normal(2, 3).float()
    layer, before = PackedLinear(weight, None, 2), x @ weight.T
    if layer._packed is not None:
        weight.zero_()
        assert torch.allclose(layer(x), before, atol=1e-6)


def wide(std=0.1, words=700, width=8):
    output = nn.Linear(width, words)
    with torch.no_grad():
        output.weight.copy_(normal(words, width, std=std))
        output.bias.copy_(normal(words, std=std))
    return output


@pytest.mark.parametrize("words", [60, 700])
def test_probabilities_that_come_out_of_the_product_are_the_softmax(words):
    output, features = wide(words=words, std=1.0), normal(9, 8).tanh()
    drawer = Drawer(output, 9, bound=1.0)
    assert drawer.direct
    probs = drawer.probabilities(features.float()).double()
    expected = torch.softmax(F.linear(features, output.weight.double(), output.bias.double()), 1)
    assert torch.allclose(probs / probs.sum(1, keepdim=True), expected, rtol=2e-5, atol=0)


@pytest.mark.parametrize("reason", ["no bound", "spread", "float64"])
def test_otherwise_they_are_the_softmax_itself(reason):
    output, features = wide(std=9.0 if reason == "spread" else 0.1), normal(9, 8).tanh()
    output = output.double() if reason == "float64" else output
    drawer = Drawer(output, 9, bound=None if reason == "no bound" else 1.0)
    assert not drawer.direct
    assert torch.allclose(drawer.probabilities(features.to(output.weight.dtype)).sum(1), torch.ones(9, dtype=output.weight.dtype))


def test_draws_are_those_of_the_plain_way_whatever_the_pieces(monkeypatch):
    output, features, u = wide(), normal(50, 8).tanh(), torch.rand(50, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    plain = draw_tokens(torch.softmax(F.linear(features, output.weight.double(), output.bias.double()), 1), u)
    for at_once in (2**19, 700 * 7):
        monkeypatch.setattr(sequences, "ON_CPU", at_once)
        drawn = Drawer(output, 50, bound=1.0)(features.float(), u.float())
        assert (drawn == plain).double().mean() > 0.98  # a number within rounding of an edge may fall on the other side of it


def test_rolled_out_and_judged_in_float32_as_in_float64():
    torch.manual_seed(0)
    policy, judge = RecurrentGenerator(600, 6, embed_dim=3, hidden_dim=4), TextCNN(600, 6, embed_dim=5, sizes=(1, 3, 6), maps=(4, 5, 6))
    tokens = torch.randint(600, (3, 6), generator=torch.Generator().manual_seed(1))
    finished = roll_out(policy, tokens, torch.rand(3, 2, uniforms_needed(6), generator=torch.Generator().manual_seed(2)))
    logits = judge_roll_outs(judge, tokens, finished)
    expected = judge.double().eval()(finished.flatten(0, 2)).logits.view(5, 3, 2)
    assert torch.allclose(logits.double(), expected, atol=1e-5)
