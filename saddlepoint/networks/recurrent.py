"""Recurrent generators and judges of sequences: LSTM (Hochreiter & Schmidhuber 1997) and GRU (Cho et al. 2014, arXiv:1406.1078).

Axes: n sequences, t positions, v vocabulary, e embedding, h hidden, l layers, r rows.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from saddlepoint.networks.base import Discriminator, Judgement
from saddlepoint.networks.sequences import SequenceGenerator, State

Cell = Literal["lstm", "gru"]


class RecurrentGenerator(SequenceGenerator):
    """Embedding, recurrent layers, softmax over the vocabulary (SeqGAN: Yu et al. 2017, arXiv:1609.05473, section 3.3, and its code).

    An LSTM's gates have one bias each, as written; torch's second one stays 0 and is no parameter. A GRU has both, as its formula does.

    Args:
        vocabulary: v.
        length: T.
        embed_dim: e.
        hidden_dim: h of each layer.
        layers: how many.
        cell: which.
        std: of the normal distribution that all parameters start from, biases too; None: torch's own start.
        start, end: as of :class:`SequenceGenerator`.
    """

    bound = 1.0  # of an LSTM's o tanh(c), and of a GRU's means of tanh and what was before

    def __init__(
        self,
        vocabulary: int,
        length: int,
        *,
        embed_dim: int = 32,
        hidden_dim: int = 32,
        layers: int = 1,
        cell: Cell = "lstm",
        std: float | None = 0.1,
        start: int = 0,
        end: int | None = None,
    ) -> None:
        super().__init__(vocabulary, length, hidden_dim, start=start, end=end)
        self.embedding = nn.Embedding(vocabulary, embed_dim)
        self.recurrent = (nn.LSTM if cell == "lstm" else nn.GRU)(embed_dim, hidden_dim, layers, batch_first=True)
        if std is not None:
            for parameter in self.parameters():
                nn.init.normal_(parameter, std=std)
        if cell == "lstm":
            for name in [name for name, _ in self.recurrent.named_parameters() if name.startswith("bias_hh")]:
                zero = torch.zeros_like(getattr(self.recurrent, name))
                delattr(self.recurrent, name)
                self.recurrent.register_buffer(name, zero, persistent=False)

    def _weights(self) -> list[list[Tensor]]:
        """Weights of each layer: input, hidden, bias of either."""
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        return [[getattr(self.recurrent, f"{name}_l{layer}") for name in names] for layer in range(self.recurrent.num_layers)]

    def begin(self, n: int) -> State:
        """Zeros [n, l, h]: hidden, and the cell of an LSTM."""
        zero = self.output.weight.new_zeros(n, self.recurrent.num_layers, self.recurrent.hidden_size)
        return (zero, zero) if isinstance(self.recurrent, nn.LSTM) else (zero,)

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Read one token a row."""
        x, new = self.embedding(tokens), []
        for layer, weights in enumerate(self._weights()):
            before = [part[:, layer] for part in state]
            after = torch.lstm_cell(x, before, *weights) if len(before) == 2 else (torch.gru_cell(x, before[0], *weights),)
            x = after[0]
            new.append(after)
        return x, tuple(torch.stack(parts, 1) for parts in zip(*new, strict=True))

    def features(self, tokens: Tensor) -> Tensor:
        """All positions at once."""
        x, recurrent = self.embedding(self.first_inputs(tokens)), self.recurrent
        flat = [weight for weights in self._weights() for weight in weights]
        zero = x.new_zeros(recurrent.num_layers, len(x), recurrent.hidden_size)
        common = (flat, True, recurrent.num_layers, 0.0, self.training, False, True)  # biases, layers, dropout, training, both ways, batch first
        features: Tensor = torch.lstm(x, (zero, zero), *common)[0] if isinstance(recurrent, nn.LSTM) else torch.gru(x, zero, *common)[0]
        return features


class RecurrentDiscriminator(Discriminator):
    """Reads a sequence both ways; the last states of either way give the logit (the bi-directional LSTM of MaliGAN, Che et al. 2017).

    Args:
        vocabulary: v.
        embed_dim: e.
        hidden_dim: h of either way.
        cell: which.
    """

    def __init__(self, vocabulary: int, *, embed_dim: int = 32, hidden_dim: int = 32, cell: Cell = "lstm") -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, embed_dim)
        self.recurrent = (nn.LSTM if cell == "lstm" else nn.GRU)(embed_dim, hidden_dim, batch_first=True, bidirectional=True)
        self.output = nn.Linear(2 * hidden_dim, 1)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Judgement:
        """Logits [n] of tokens int64 [n, t]."""
        last = self.recurrent(self.embedding(x))[1]
        hidden = last[0] if isinstance(last, tuple) else last  # 2 n h
        features = torch.cat([hidden[0], hidden[1]], 1)
        return Judgement(self.output(features)[:, 0], features)
