"""A small causal Transformer (Vaswani et al. 2017, arXiv:1706.03762), normalised before each part, whose memory of a prefix is its keys and values.

Axes: n sequences, t positions, h features, a heads, d features of a head, l layers, r rows.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saddlepoint.errors import UsageError
from saddlepoint.networks.sequences import SequenceGenerator, State


class _Layer(nn.Module):
    """Attention to what came before, then two linear layers, each added to its input."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor, keys: Tensor | None = None, values: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """x [r, t, h] behind keys and values [r, s, h] of what was read before; returns the output, and all keys and values."""
        q, k, v = self.qkv(self.norm(x)).chunk(3, 2)
        k, v = (k, v) if keys is None or values is None else (torch.cat([keys, k], 1), torch.cat([values, v], 1))
        q, all_k, all_v = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in (q, k, v))  # r a t d
        seen = F.scaled_dot_product_attention(q, all_k, all_v, is_causal=keys is None)
        x = x + self.out(seen.transpose(1, 2).flatten(2))
        return x + self.narrow(F.gelu(self.wide(self.norm2(x)))), k, v


class TransformerGenerator(SequenceGenerator):
    """Embeddings of token and position, causal layers, softmax over the vocabulary.

    Args:
        vocabulary: v.
        length: T.
        width: h.
        layers: how many.
        heads: of the attention; must divide the width.
        start, end: as of :class:`SequenceGenerator`.
    """

    def __init__(
        self, vocabulary: int, length: int, *, width: int = 32, layers: int = 2, heads: int = 2, start: int = 0, end: int | None = None
    ) -> None:
        super().__init__(vocabulary, length, width, start=start, end=end)
        if width % heads:
            raise UsageError(f"The heads must divide the width; {heads} heads and width {width} came. Choose a multiple of {heads}.")
        self.width = width
        self.embedding, self.position = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
        self.layers, self.norm = nn.ModuleList(_Layer(width, heads) for _ in range(layers)), nn.LayerNorm(width)
        for table in (self.embedding, self.position):
            nn.init.normal_(table.weight, std=0.1)

    def begin(self, n: int) -> State:
        """Nothing read: keys and values [n, l, 0, h]."""
        empty = self.output.weight.new_zeros(n, len(self.layers), 0, self.width)
        return empty, empty

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Read one token a row."""
        x = (self.embedding(tokens) + self.position.weight[state[0].shape[2]])[:, None]  # r 1 h
        keys, values = [], []
        for index, layer in enumerate(self.layers):
            x, k, v = layer(x, state[0][:, index], state[1][:, index])
            keys.append(k)
            values.append(v)
        return self.norm(x[:, 0]), (torch.stack(keys, 1), torch.stack(values, 1))

    def features(self, tokens: Tensor) -> Tensor:
        """All positions at once."""
        x = self.embedding(self.first_inputs(tokens)) + self.position.weight[: tokens.shape[1]]
        for layer in self.layers:
            x = layer(x)[0]
        features: Tensor = self.norm(x)
        return features
