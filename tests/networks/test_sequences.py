"""Generators and judges of sequences against formulas, and roll-outs against the slow way."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from saddlepoint.errors import DataError, UsageError
from saddlepoint.networks.recurrent import RecurrentDiscriminator, RecurrentGenerator
from saddlepoint.networks.sequence_transformer import TransformerGenerator
from saddlepoint.networks.sequences import draw_next, draw_tokens, read, roll_out, sample_sequences, uniforms_needed
from saddlepoint.networks.textcnn import TextCNN, judge_roll_outs

KINDS = {
    "lstm": lambda **more: RecurrentGenerator(6, 5, embed_dim=3, hidden_dim=4, std=0.8, **more),
    "lstm-2": lambda **more: RecurrentGenerator(6, 5, embed_dim=3, hidden_dim=4, layers=2, std=0.8, **more),
    "gru": lambda **more: RecurrentGenerator(6, 5, embed_dim=3, hidden_dim=4, cell="gru", std=0.8, **more),
    "transformer": lambda **more: TransformerGenerator(6, 5, width=8, **more),
}


@pytest.fixture(params=KINDS)
def generator(request):
    torch.manual_seed(0)
    return KINDS[request.param](end=0).double()


def some_tokens(n=4, length=5, words=6):
    return torch.randint(words, (n, length), generator=torch.Generator().manual_seed(1))


def uniform(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def test_stepping_is_reading_at_once(generator):
    tokens = some_tokens()
    begun = read(generator, tokens)
    assert torch.allclose(torch.stack(begun.features, 1), generator.features(tokens), atol=1e-12)


def test_the_future_does_not_reach_back(generator):
    tokens = some_tokens()
    changed = tokens.clone()
    changed[:, 3] = (changed[:, 3] + 1) % 6
    before, after = generator(tokens), generator(changed)
    assert torch.equal(before[:, :4], after[:, :4])
    assert not torch.allclose(before[:, 4], after[:, 4])


def test_probabilities_of_all_sequences_sum_to_one(generator):
    """With an end, a sequence is counted once however it is filled up."""
    whole = torch.tensor([row for row in itertools.product(range(6), repeat=3) if all(row[i + 1] == 0 for i in range(2) if row[i] == 0)])
    log_p = generator.log_prob(whole)
    assert log_p.sum(1).exp().sum().item() == pytest.approx(1, abs=1e-10)
    assert (log_p[generator.counted(whole) == 0] == 0).all()


def test_samples_have_their_probabilities(generator):
    drawn = sample_sequences(generator, uniform(8000, 5))
    for row in ([1, 2], [3, 3], [0, 0]):
        share = (drawn[:, :2] == torch.tensor(row)).all(1).double().mean().item()
        assert share == pytest.approx(generator.log_prob(torch.tensor([row])).sum().exp().item(), abs=0.01)
    ended = torch.cummax((drawn == 0).long(), 1).values
    assert ((drawn == 0).long() == ended).all()  # behind an end there is nothing else


def test_beginnings_are_kept_and_coldness_is_the_mode(generator):
    tokens = some_tokens()
    drawn = sample_sequences(generator, uniform(4, 5), given=tokens, clamp=3)
    assert torch.equal(drawn[:, :3], tokens[:, :3])
    cold = sample_sequences(generator, uniform(4, 5), temperature=1e-4)
    assert (cold == cold[0]).all()
    assert cold[0, 0] == generator(cold)[0, 0].argmax()


def test_the_lstm_is_the_formula_with_one_bias():
    torch.manual_seed(0)
    network = RecurrentGenerator(6, 5, embed_dim=3, hidden_dim=4, std=0.8).double()
    assert sum(p.numel() for p in network.parameters()) == 6 * 3 + 4 * 4 * (3 + 4 + 1) + 6 * (4 + 1)
    weights = {name: value.detach().numpy() for name, value in network.named_parameters()}
    w_ih, w_hh, bias = (weights[f"recurrent.{name}_l0"] for name in ("weight_ih", "weight_hh", "bias_ih"))
    tokens, hidden, cell = [0, 2, 5], np.zeros(4), np.zeros(4)
    for token in tokens:
        i, f, g, o = np.split(w_ih @ weights["embedding.weight"][token] + w_hh @ hidden + bias, 4)
        cell = cell / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
        hidden = np.tanh(cell) / (1 + np.exp(-o))
    expected = weights["output.weight"] @ hidden + weights["output.bias"]
    np.testing.assert_allclose(network(torch.tensor([[2, 5, 0]]))[0, 2].detach().numpy(), expected, rtol=1e-12)


def test_the_start_is_that_of_the_paper():
    network = RecurrentGenerator(500, 5)
    assert all(abs(p.std().item() - 0.1) < 0.02 for p in network.parameters())


@pytest.mark.parametrize("words", [7, 512, 513, 1024, 5000])
def test_tokens_by_the_distribution_function(words):
    rng = torch.Generator().manual_seed(words)
    probs = torch.rand(3, words, generator=rng, dtype=torch.float64) ** 8
    probs[:, ::3] = 0
    u = torch.cat([torch.rand(3, 40, generator=rng, dtype=torch.float64), torch.tensor([[0.0, 1 - 2**-53]] * 3, dtype=torch.float64)], 1)
    drawn = draw_tokens(probs, u)
    edges = np.cumsum(probs.numpy(), 1)
    expected = [np.searchsorted(edge, row * edge[-1], side="right") for edge, row in zip(edges, u.numpy(), strict=True)]
    assert (drawn.numpy() == np.minimum(expected, words - 1)).mean() > 0.98  # sums in another order may fall on the other side of an edge
    assert (probs.gather(1, drawn) > 0).all()
    assert (draw_tokens(probs.float(), u.float().clamp(max=1 - 2**-24)) < words).all()


def test_the_next_token_has_its_probability():
    torch.manual_seed(0)
    output = torch.nn.Linear(4, 900).double()
    features = torch.randn(1, 4, dtype=torch.float64)
    drawn = draw_next(output, features, uniform(1, 60_000))[0]
    shares = torch.bincount(drawn, minlength=900) / 60_000
    probs = torch.softmax(output(features), 1)[0]
    assert ((shares - probs).abs() < 5 * (probs / 60_000).sqrt() + 1e-4).all()


def test_roll_outs_are_those_of_the_slow_way(generator):
    """Every prefix read anew for every roll-out, with the same numbers."""
    tokens, u = some_tokens(n=3), uniform(3, 2, uniforms_needed(5))
    finished = roll_out(generator, tokens, u)
    assert finished.shape == (4, 3, 2, 5)
    for s, n, k in itertools.product(range(1, 5), range(3), range(2)):
        row = tokens[n, :s].tolist()
        for t in range(s, 5):
            probs = torch.softmax(generator(torch.tensor([[*row, 0]])), 2)[:, t]
            number = u[n, k, t * (t - 1) // 2 + s - 1]
            row.append(0 if row[-1] == 0 else int(draw_tokens(probs, number.view(1, 1))))
        assert finished[s - 1, n, k].tolist() == row


def test_roll_outs_read_no_prefix_twice(generator, monkeypatch):
    rows, step = [], generator.step
    monkeypatch.setattr(generator, "step", lambda last, state: (rows.append(len(last)), step(last, state))[1])
    roll_out(generator, some_tokens(n=3), uniform(3, 2, uniforms_needed(5)))
    assert sum(rows) == 3 * 5 + 3 * 2 * (1 + 2 + 3)  # the sequences once, and every new token but the last ones once


def small_judge(length=5, **settings):
    torch.manual_seed(0)
    return TextCNN(6, length, embed_dim=3, sizes=(1, 2, 4, 5), maps=(2, 3, 4, 2), **settings).double()


def test_the_text_cnn_is_its_formula():
    judge, tokens = small_judge().eval(), some_tokens()
    p = {name: value.detach().numpy() for name, value in judge.named_parameters()}
    embedded = p["embedding.weight"][tokens.numpy()]  # n t e
    found = []
    for index, size in enumerate((1, 2, 4, 5)):
        weight, bias = p[f"filters.{index}.weight"], p[f"filters.{index}.bias"]
        answers = [np.einsum("nfe,mef->nm", embedded[:, i : i + size], weight) + bias for i in range(5 - size + 1)]
        found.append(np.maximum(answers, 0).max(0))
    c = np.concatenate(found, 1)
    gate = 1 / (1 + np.exp(-(c @ p["gate.weight"].T + p["gate.bias"])))
    high = gate * np.maximum(c @ p["transform.weight"].T + p["transform.bias"], 0) + (1 - gate) * c
    scores = high @ p["output.weight"].T + p["output.bias"]
    real = np.exp(scores[:, 1]) / np.exp(scores).sum(1)
    np.testing.assert_allclose(torch.sigmoid(judge(tokens).logits).detach().numpy(), real, rtol=1e-10)
    assert judge.squared_output().item() == pytest.approx((p["output.weight"] ** 2).sum() / 2 + (p["output.bias"] ** 2).sum() / 2)


def test_the_text_cnn_starts_as_released():
    judge = TextCNN(300, 20)
    assert sum(layer.out_channels for layer in judge.filters) == 1720
    assert judge.embedding.weight.abs().max() <= 1
    assert judge.embedding.weight.std().item() == pytest.approx(3**-0.5, abs=0.01)
    assert all((layer.bias == 0.1).all() for layer in [*judge.filters, judge.output])
    assert all(layer.weight.abs().max() <= 0.2 for layer in judge.filters)
    assert (judge.gate.bias == 0).all()


@pytest.mark.parametrize("kind", ["textcnn", "recurrent"])
def test_roll_outs_are_judged_as_any_sequence(generator, kind):
    judge = small_judge() if kind == "textcnn" else RecurrentDiscriminator(6, embed_dim=3, hidden_dim=4).double()
    tokens = some_tokens(n=3)
    finished = roll_out(generator, tokens, uniform(3, 2, uniforms_needed(5)))
    logits = judge_roll_outs(judge, tokens, finished)
    assert judge.training
    assert torch.allclose(logits, judge.eval()(finished.flatten(0, 2)).logits.view(4, 3, 2), atol=1e-12)


def test_filters_that_do_not_fit():
    assert small_judge(length=4).sizes == (1, 2, 4)
    with pytest.raises(DataError, match="Sequences of 2 tokens are shorter than the smallest filter of D, 3"):
        TextCNN(6, 2, sizes=(3, 4), maps=(1, 1))
    with pytest.raises(UsageError, match="heads must divide the width; 3 heads and width 8"):
        TransformerGenerator(6, 5, width=8, heads=3)
