"""Text as sequences, vocabularies, and the oracle whose probabilities are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from saddlepoint.data.oracle import Oracle, open_oracle
from saddlepoint.data.sources import open_data
from saddlepoint.data.vocabulary import END, UNKNOWN, decode, encode, make_vocabulary
from saddlepoint.errors import DataError, UsageError


@pytest.fixture
def write(tmp_path):
    def file(content, name="verses.txt"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return file


def test_words_become_numbers_and_words_again(write):
    path = write("the cat sat\n\n  the dog  \nthe cat ran off\n")
    data = open_data(f"text:{path}")
    assert (data.spec.kind, data.spec.shape, len(data)) == ("sequence", (4,), 3)
    assert data.spec.vocabulary[:3] == (END, "the", "cat")  # the commonest first
    tokens = data.records(torch.arange(3))["tokens"]
    assert tokens.dtype == torch.int64
    assert tokens[1].tolist()[2:] == [0, 0]  # filled up with the end
    assert decode(tokens, data.spec.vocabulary) == [["the", "cat", "sat"], ["the", "dog"], ["the", "cat", "ran", "off"]]
    assert "2 of 3 sequences are shorter than 4 words" in data.notes[0]


def test_characters_keep_their_spaces(write):
    path = write("ab a\nba b\n")
    data = open_data(f"chars:{path}")
    assert data.spec.vocabulary == (END, "a", "b", " ")
    assert decode(data.column("tokens"), data.spec.vocabulary)[0] == ["a", "b", " ", "a"]


def test_options_leave_out_what_is_long_and_rare(write):
    path = write("a a b\na a c\na a a a a\n")
    data = open_data(f"text:{path}?length=3&min_count=2")
    assert data.spec.shape == (3,)
    assert data.spec.vocabulary == (END, UNKNOWN, "a")
    assert data.column("tokens").tolist() == [[2, 2, 1], [2, 2, 1]]
    assert "1 of 3 sequences are longer than 3 words and were left out: line 3 (5)." in data.notes[0]
    assert "2 words (33.3%) are too rare to have a number and stand as <unk>: 'b', 'c'." in data.notes[-1]


def test_parts_and_content(write):
    path = write("".join(f"word{k % 7} word{k % 5} word{k % 3}\n" for k in range(40)))
    train, test = open_data(f"text:{path}:train"), open_data(f"text:{path}:test")
    assert (len(train), len(test)) == (36, 4)
    whole = open_data(f"text:{path}").spec
    assert train.spec.vocabulary == test.spec.vocabulary == whole.vocabulary
    path.write_text(path.read_text().replace("word0", "other"))
    assert open_data(f"text:{path}").spec.content_hash != whole.content_hash


@pytest.mark.parametrize(
    ("content", "behind", "error", "message"),
    [
        (b"caf\xe9 noir\n", "", DataError, "is not UTF-8 text: byte 0xe9 in line 1. Convert it"),
        (b"fine\nstill\n\xff\n", "", DataError, "byte 0xff in line 3"),
        ("", "", DataError, "holds no words. Give a text file with one sequence a line"),
        ("one\ntwo\n", "", DataError, "have at most 1 of the words that are their tokens; at least 2 are needed"),
        ("a b c\n", "?length=2", DataError, "All 1 sequences of .* are longer than 2 words"),
        ("a <end> c\n", "", DataError, "holds the word <end>, which marks an end here"),
        ("a b\n", "?lenth=2", UsageError, "no option 'lenth'.*Nearest: length"),
        ("a b\n", "?length=no", UsageError, "whole number from 1 on"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(write, content, behind, error, message):
    with pytest.raises(error, match=message):
        open_data(f"text:{write(content)}{behind}")


def test_other_mistakes(write, tmp_path):
    with pytest.raises(DataError, match="There is no file .*nowhere.txt"):
        open_data(f"text:{tmp_path / 'nowhere.txt'}")
    with pytest.raises(UsageError, match="sequences, which have no resolution"):
        open_data(f"text:{write('a b')}", resolution=32)
    with pytest.raises(DataError, match=r"2 tokens are not among the 2 of the vocabulary: 'x' in line 7, 'y' in line 7.*min_count=2"):
        encode([["a", "x", "y"]], (END, "a"), 3, where=[7])
    with pytest.raises(UsageError, match="at most 2 tokens here; one of 3 came"):
        encode([["a", "a", "a"]], (END, "a"), 2)
    assert encode([["a", "x"]], make_vocabulary([["a", "b", "a"]], 2), 3).tolist() == [[2, 1, 0]]


def numpy_log_prob(oracle, tokens):
    """The LSTM written out: gates in the order input, forget, output, candidate."""
    embedding, gates, bias, output, output_bias = (weight.numpy() for weight in oracle.weights)
    found = []
    for row in tokens.numpy():
        hidden = cell = np.zeros(len(output))
        last, logs = 0, []
        for token in row:
            z = np.concatenate([embedding[last], hidden]) @ gates + bias
            i, f, o = (1 / (1 + np.exp(-part)) for part in np.split(z, 4)[:3])
            cell = f * cell + i * np.tanh(np.split(z, 4)[3])
            hidden = o * np.tanh(cell)
            logits = hidden @ output + output_bias
            logs.append(logits[token] - np.log(np.exp(logits - logits.max()).sum()) - logits.max())
            last = token
        found.append(logs)
    return np.array(found)


def test_the_oracle_says_its_own_probabilities():
    oracle = Oracle(vocabulary=7, length=4, hidden_dim=3)
    tokens = oracle.sample(torch.rand(5, 4, generator=torch.Generator().manual_seed(0)))
    np.testing.assert_allclose(oracle.log_prob(tokens).numpy(), numpy_log_prob(oracle, tokens), rtol=1e-12)
    assert {weight.shape for weight in oracle.weights} == {(7, 3), (6, 12), (12,), (3, 7), (7,)}
    many = Oracle(vocabulary=2000, length=4).weights
    assert all(abs(weight.std().item() - 1) < 0.1 and abs(weight.mean().item()) < 0.2 for weight in many)


def test_the_oracle_draws_what_it_says():
    oracle = Oracle(vocabulary=3, length=2, hidden_dim=4)
    tokens = oracle.sample(torch.rand(20_000, 2, generator=torch.Generator().manual_seed(0)))
    for first in range(3):
        for second in range(3):
            pair = torch.tensor([[first, second]])
            share = (tokens == pair).all(1).double().mean().item()
            assert abs(share - oracle.log_prob(pair).sum().exp().item()) < 0.012


def test_oracle_data():
    data = open_oracle("tiny", 20, 5, 50)
    assert data.spec.vocabulary[:2] == ("0", "1")
    assert torch.equal(data.column("tokens"), open_oracle("tiny", 20, 5, 50).column("tokens"))
    tokens = data.records(torch.arange(4))["tokens"]
    assert torch.allclose(data.density(tokens), data.oracle.log_prob(tokens).sum(1))
    small = open_data("oracle-small:train")
    assert (len(small), small.spec.shape, len(small.spec.vocabulary)) == (9000, (10,), 200)
    assert small.oracle is open_data("oracle-small").oracle  # a part knows the truth too
