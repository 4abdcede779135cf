"""Sequences from a distribution that is known: a random LSTM, SeqGAN's oracle (Yu et al. 2017, arXiv:1609.05473, section 4).

All its parameters are N(0, 1), and it is never trained. Since it says the probability of every sequence, what a generator makes can be held against
the truth. Computed in float64, so that every machine draws the same sequences.

Axes: n sequences, t positions, v vocabulary, e embedding, h hidden.
"""

from __future__ import annotations

import functools
from collections.abc import Generator

import torch
from torch import Tensor

from saddlepoint.data.arrays import ArrayDataset, content_hash
from saddlepoint.data.records import DataSpec
from saddlepoint.data.registry import DataCard, Request, source
from saddlepoint.draws import derive_seed

AT_ONCE = 2**17  # probabilities
SIZES = {"oracle": (5000, 20, 10_000), "oracle-small": (200, 10, 10_000)}  # vocabulary, length, sequences


class Oracle:
    """An LSTM with one bias a gate, embedding and hidden size 32, start token 0.

    Args:
        vocabulary: v.
        length: T.
        seed: of its parameters.
        hidden_dim: e and h.
    """

    def __init__(self, vocabulary: int, length: int, seed: int = 0, hidden_dim: int = 32) -> None:
        self.vocabulary, self.length = vocabulary, length
        rng, h = torch.Generator().manual_seed(derive_seed("oracle", seed)), hidden_dim
        shapes = ((vocabulary, h), (2 * h, 4 * h), (4 * h,), (h, vocabulary), (vocabulary,))
        self.weights = [torch.randn(shape, generator=rng, dtype=torch.float64) for shape in shapes]

    def sample(self, u: Tensor) -> Tensor:
        """Sequences int64 [n, T] for uniform numbers [n, T]: each token by the inverse of its distribution function."""
        return torch.cat([self._sample(part) for part in torch.split(u.double(), max(1, AT_ONCE // self.vocabulary))])

    def _sample(self, u: Tensor) -> Tensor:
        steps, tokens = self._steps(len(u), u.device), torch.zeros(u.shape, dtype=torch.int64, device=u.device)
        logits = next(steps)
        for t in range(u.shape[1]):
            edges = torch.softmax(logits, 1).cumsum(1)
            tokens[:, t] = torch.searchsorted(edges, u[:, t, None] * edges[:, -1:], right=True)[:, 0].clamp_(max=self.vocabulary - 1)
            if t + 1 < u.shape[1]:
                logits = steps.send(tokens[:, t])
        return tokens

    def log_prob(self, tokens: Tensor) -> Tensor:
        """log p(y_t | y_<t) in nats, float64 [n, t], of tokens int64 [n, t]."""
        return torch.cat([self._log_prob(part) for part in torch.split(tokens, max(1, AT_ONCE // self.vocabulary))])

    def _log_prob(self, tokens: Tensor) -> Tensor:
        steps, found = self._steps(len(tokens), tokens.device), []
        logits = next(steps)
        for t in range(tokens.shape[1]):
            found.append(torch.log_softmax(logits, 1).gather(1, tokens[:, t, None]))
            if t + 1 < tokens.shape[1]:
                logits = steps.send(tokens[:, t])
        return torch.cat(found, 1)

    def log_probs(self, tokens: Tensor) -> Tensor:
        """log p(v | y_<t) of every token v in the place of y_t, in nats, float64 [n, t, v], behind the beginnings of tokens int64 [n, t]."""
        steps, found = self._steps(len(tokens), tokens.device), []
        logits = next(steps)
        for t in range(tokens.shape[1]):
            found.append(torch.log_softmax(logits, 1))
            if t + 1 < tokens.shape[1]:
                logits = steps.send(tokens[:, t])
        return torch.stack(found, 1)

    def _steps(self, n: int, device: torch.device) -> Generator[Tensor, Tensor, None]:
        """Logits [n, v] of the first token, and of each next one for the tokens sent."""
        embedding, gates, bias, output, output_bias = (weight.to(device) for weight in self.weights)
        hidden = cell = torch.zeros(n, len(output), dtype=torch.float64, device=device)
        tokens = torch.zeros(n, dtype=torch.int64, device=device)
        while True:
            i, f, o, g = (torch.cat([embedding[tokens], hidden], 1) @ gates + bias).chunk(4, 1)
            cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
            hidden = torch.sigmoid(o) * torch.tanh(cell)
            tokens = yield hidden @ output + output_bias


class OracleDataset(ArrayDataset):
    """Sequences drawn once from an oracle.

    Attributes:
        oracle: the distribution itself.
    """

    oracle: Oracle

    def density(self, tokens: Tensor) -> Tensor:
        """log p of sequences int64 [n, T], in nats, float64 [n]."""
        return self.oracle.log_prob(tokens).sum(1)


@functools.lru_cache(maxsize=4)
def _drawn(vocabulary: int, length: int, count: int, seed: int) -> tuple[Oracle, Tensor]:
    oracle, rng = Oracle(vocabulary, length, seed), torch.Generator().manual_seed(derive_seed("oracle's sequences", seed))
    return oracle, oracle.sample(torch.rand(count, length, generator=rng, dtype=torch.float64))


def open_oracle(name: str, vocabulary: int, length: int, count: int, seed: int = 0) -> OracleDataset:
    """Data drawn from the oracle of a seed.

    Args:
        name: of the data.
        vocabulary: v; tokens are the numbers themselves.
        length: T, of every sequence.
        count: sequences.
        seed: of the oracle and of the draws.
    """
    oracle, tokens = _drawn(vocabulary, length, count, seed)
    fields = {"tokens": tokens}
    words = tuple(map(str, range(vocabulary)))
    spec = DataSpec(
        name=name, kind="sequence", shape=(length,), num_records=count, content_hash=content_hash(fields), fields=("tokens",), vocabulary=words
    )
    data = OracleDataset(fields, spec)
    data.oracle = oracle
    return data


def _register(name: str, vocabulary: int, length: int, count: int) -> None:
    card = DataCard(
        name=name,
        title=f"sequences of a random LSTM that says their probabilities: {vocabulary:,} tokens, length {length}",
        kind="sequence",
        shape=(length,),
        num_records=count,
        licence="none needed",
        origin="drawn by saddlepoint, the same everywhere",
        credits="Yu et al. 2017 (arXiv:1609.05473)",
    )

    def opener(request: Request) -> ArrayDataset:
        return open_oracle(name, vocabulary, length, count)

    source(card)(opener)


for _name, _sizes in SIZES.items():
    _register(_name, *_sizes)
