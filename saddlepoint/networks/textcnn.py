"""The convolutional judge of sequences (Kim 2014, arXiv:1408.5882; Zhang & LeCun 2015) with a highway layer, as in SeqGAN.

Yu et al. 2017 (arXiv:1609.05473), section 3.4 and Table "the parameters of D" of its appendix; starts and constants of the authors' code.

Axes: n sequences, t positions, v vocabulary, e embedding, f size of a filter, m maps of a filter, d features, s prefix, N roll-outs of a prefix.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saddlepoint.errors import DataError
from saddlepoint.networks.base import Discriminator, Judgement
from saddlepoint.networks.layers import Dropout
from saddlepoint.networks.packed import PackedLinear

SIZES = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 15, 20)
MAPS = (100, 200, 200, 200, 200, 100, 100, 100, 100, 100, 160, 160)


class TextCNN(Discriminator):
    r"""Filters of several sizes over embedded tokens, the largest answer of each over time, a highway layer, dropout, two classes.

    .. math:: \tau = \sigma(W_T c + b_T), \quad \tilde c = \tau \odot \mathrm{relu}(W_H c + b_H) + (1 - \tau) \odot c

    The logit is that of the class "real" minus that of "generated", so that its sigmoid is the softmax of the two.

    Args:
        vocabulary: v.
        length: T of the sequences; filters larger than it are left out.
        embed_dim: e.
        sizes: f of each kind of filter.
        maps: m of each.
        dropout: share of the highway's answers that is dropped while training.
    Raises:
        DataError: where all filters are larger than the sequences.
    """

    def __init__(
        self,
        vocabulary: int,
        length: int,
        *,
        embed_dim: int = 64,
        sizes: tuple[int, ...] = SIZES,
        maps: tuple[int, ...] = MAPS,
        dropout: float = 0.25,
    ) -> None:
        super().__init__()
        fitting = [(size, count) for size, count in zip(sizes, maps, strict=True) if size <= length]
        if not fitting:
            raise DataError(
                f"Sequences of {length} tokens are shorter than the smallest filter of D, {min(sizes)}. Take longer sequences, or smaller --filters."
            )
        self.sizes, self.length = tuple(size for size, _ in fitting), length
        self.embedding = nn.Embedding(vocabulary, embed_dim)
        self.filters = nn.ModuleList(nn.Conv1d(embed_dim, count, size) for size, count in fitting)
        width = sum(count for _, count in fitting)
        self.gate, self.transform = nn.Linear(width, width), nn.Linear(width, width)
        self.dropout, self.output = Dropout(dropout), nn.Linear(width, 2)
        self._start()

    @torch.no_grad()
    def _start(self) -> None:
        """Embeddings U[-1, 1]; filters and the last layer truncated N(0, .1) with biases .1; the highway Glorot's, the gate's bias 0."""
        nn.init.uniform_(self.embedding.weight, -1, 1)
        for layer in (*self.filters, self.output):
            assert isinstance(layer, nn.Conv1d | nn.Linear) and layer.bias is not None
            nn.init.trunc_normal_(layer.weight, std=0.1, a=-0.2, b=0.2)
            nn.init.constant_(layer.bias, 0.1)
        for linear in (self.gate, self.transform):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def squared_output(self) -> Tensor:
        """Half the sum of squares of the last layer's weights and biases, a scalar: what its L2 penalty is a multiple of."""
        return (self.output.weight.square().sum() + self.output.bias.square().sum()) / 2

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Judgement:
        """Logits [n] of tokens int64 [n, t]."""
        embedded = self.embedding(x).transpose(1, 2)  # n e t
        return self._judge(torch.cat([F.relu(layer(embedded).amax(2)) for layer in self.filters], 1))

    def _judge(self, found: Tensor) -> Judgement:
        """Logits of the largest answers [n, d]."""
        features = self.dropout(_carry(found, F.relu(self.transform(found)), torch.sigmoid(self.gate(found))))
        both = self.output(features)  # n 2: generated, real
        return Judgement(both[:, 1] - both[:, 0], features)

    @torch.no_grad()
    def judge_roll_outs(self, tokens: Tensor, finished: Tensor) -> Tensor:
        """Logits of roll-outs, without dropout, where what a prefix says to a filter is computed once.

        The answer of a filter is a sum over its places of numbers that depend on the token alone: they are looked up in a table of the vocabulary.
        Windows inside a prefix are those of the sequence it belongs to; of its roll-outs only the windows that reach beyond it are new.

        Args:
            tokens: sequences int64 [n, T].
            finished: roll-outs int64 [T-1, n, N, T]; at [s-1] the first s tokens are those of the sequence.
        Returns:
            [T-1, n, N].
        """
        largest, rows = [self._largest(layer, tokens, finished) for layer in self.filters], finished[0, :, :, 0].numel()
        gate = PackedLinear(self.gate.weight, self.gate.bias, rows, "sigmoid")
        transform = PackedLinear(self.transform.weight, self.transform.bias, rows, "relu")
        weight, bias = self.output.weight[1] - self.output.weight[0], self.output.bias[1] - self.output.bias[0]
        logits = []
        for parts in zip(*largest, strict=True):
            found = torch.cat(parts, 2).flatten(0, 1).relu_()
            logits.append(_carry(found, transform(found), gate(found)) @ weight + bias)
        return torch.stack(logits).view(finished.shape[:3])

    def _largest(self, layer: nn.Module, tokens: Tensor, finished: Tensor) -> list[Tensor]:
        """The largest answer of one filter to every roll-out, with its bias: T-1 times [n, N, m]."""
        assert isinstance(layer, nn.Conv1d) and layer.bias is not None
        size, (n, length), count = layer.kernel_size[0], tokens.shape, finished.shape[2]
        table = torch.einsum("ve,mef->vfm", self.embedding.weight, layer.weight).flatten(0, 1)  # v*f m
        places = torch.arange(size, device=tokens.device)

        def answers(sequences: Tensor) -> Tensor:  # r t -> r windows m
            windows = sequences.unfold(1, size, 1) * size + places  # r windows f
            return F.embedding_bag(windows.flatten(0, 1), table, mode="sum").view(*windows.shape[:2], -1)

        inside, found = answers(tokens).cummax(1).values + layer.bias, []  # n windows m: the largest up to each window
        for s in range(1, length):
            first = max(0, s - size + 1)  # the first window that reaches beyond the prefix
            new = answers(finished[s - 1, :, :, first:].flatten(0, 1)).amax(1).add_(layer.bias).view(n, count, -1)
            found.append(torch.maximum(new, inside[:, None, first - 1]) if first else new)
        return found


def _carry(found: Tensor, high: Tensor, gate: Tensor) -> Tensor:
    """tau high + (1 - tau) c, in the floating type of c, which autocast leaves as it is."""
    return torch.lerp(found, high.to(found.dtype), gate.to(found.dtype))


@torch.no_grad()
def judge_roll_outs(discriminator: Discriminator, tokens: Tensor, finished: Tensor) -> Tensor:
    """Logits [T-1, n, N] of roll-outs as of :meth:`TextCNN.judge_roll_outs`, by any discriminator, without dropout."""
    if isinstance(discriminator, TextCNN):
        return discriminator.judge_roll_outs(tokens, finished)
    was = discriminator.training
    discriminator.eval()
    try:
        return torch.stack([discriminator(part.flatten(0, 1)).logits.view(part.shape[:2]) for part in finished])
    finally:
        discriminator.train(was)
