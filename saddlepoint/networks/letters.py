"""Generator and critic of sequences as tables of probabilities: one-dimensional residual convolutions.

Gulrajani et al. 2017 (arXiv:1704.00028), section 5.4 and the authors' gan_language.py. Convolutions start as theirs: uniform, of variance
4 / (fan in + fan out), dense layers of half that.

Axes: n batch, v tokens of the vocabulary, t positions, w width.
"""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor, nn

from saddlepoint.networks.base import Discriminator, Generator, Judgement
from saddlepoint.networks.convolution import glorot_uniform_

SCALE = 0.3  # of what a residual block adds
KERNEL = 5


def _convolution(c: int, o: int, kernel: int) -> nn.Conv1d:
    layer = nn.Conv1d(c, o, kernel, padding=kernel // 2)
    glorot_uniform_(layer.weight, math.sqrt(2))
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


def _dense(inputs: int, outputs: int) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    glorot_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


class Block(nn.Module):
    """x + 0.3 * convolution(relu(convolution(relu(x)))).

    Args:
        width: channels.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = _convolution(width, width, KERNEL), _convolution(width, width, KERNEL)

    def forward(self, x: Tensor) -> Tensor:
        """[n, w, t] -> the same shape."""
        added: Tensor = self.second(F.relu(self.first(F.relu(x))))
        return x + SCALE * added


class LetterGenerator(Generator):
    """z -> a distribution over the vocabulary at each position.

    Args:
        latent_dim: of z.
        vocabulary: v.
        length: T.
        width: channels of the blocks.
        blocks: how many.
    """

    def __init__(self, latent_dim: int, vocabulary: int, length: int, *, width: int = 512, blocks: int = 5) -> None:
        super().__init__()
        self.latent_dim, self.length = latent_dim, length
        self.enter = _dense(latent_dim, width * length)
        self.blocks = nn.Sequential(*(Block(width) for _ in range(blocks)))
        self.leave = _convolution(width, vocabulary, 1)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """[n, latent_dim] -> probabilities [n, v, t], which sum to 1 over v."""
        x = self.enter(z).unflatten(1, (-1, self.length))  # n w t
        probabilities: Tensor = self.leave(self.blocks(x)).softmax(1)
        return probabilities


class LetterCritic(Discriminator):
    """Probabilities, or one-hot tokens, -> a judgement.

    Args:
        vocabulary: v.
        length: T.
        width: channels of the blocks.
        blocks: how many.
    """

    def __init__(self, vocabulary: int, length: int, *, width: int = 512, blocks: int = 5) -> None:
        super().__init__()
        self.enter = _convolution(vocabulary, width, 1)
        self.blocks = nn.Sequential(*(Block(width) for _ in range(blocks)))
        self.leave = _dense(width * length, 1)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Judgement:
        """[n, v, t] -> logits [n] and features [n, w * t]."""
        features = self.blocks(self.enter(x)).flatten(1)
        return Judgement(self.leave(features).squeeze(1), features)
