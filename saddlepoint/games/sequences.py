"""Games whose samples are sequences of tokens: what they have in common, and the game of one player who imitates.

    minimise  -(1/T) sum_t log p(y_t | y_1, ..., y_{t-1})       with true tokens before each, or now and then with tokens of the player's own

Teacher forcing; scheduled sampling is Bengio et al. 2015 (arXiv:1506.03099): a model that only ever sees true beginnings does not know what to do
behind an error of its own. Axes: n sequences, t positions, v vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor

from saddlepoint.data.oracle import Oracle
from saddlepoint.data.records import Batch, Dataset
from saddlepoint.data.vocabulary import END, decode, tokeniser_of
from saddlepoint.draws import Draws
from saddlepoint.errors import UsageError
from saddlepoint.games.game import Game, Loss, Turn, turn
from saddlepoint.games.player import SGD, Adam, Clock, RMSprop
from saddlepoint.games.settings import GameConfig
from saddlepoint.networks.recurrent import RecurrentGenerator
from saddlepoint.networks.sequence_transformer import TransformerGenerator
from saddlepoint.networks.sequences import SequenceGenerator, draw_next, sample_sequences


@dataclass(frozen=True, kw_only=True)
class SequenceConfig(GameConfig):
    """Settings of whatever makes sequences token by token.

    Attributes:
        cell: of G: "lstm", "gru", or "transformer" (causal, two heads).
        embed_dim: of G's tokens; a Transformer's are as wide as its layers.
        hidden_dim: of G's layers.
        layers: of G.
        init_std: of the normal distribution that G's parameters start from; None: torch's own start. A Transformer has its own.
        generator_optimizer: how G moves.
        clip_norm: largest norm of G's gradient; None does not clip.
        game_lr: G's learning rate after imitation; None: that of its optimiser.
        mle_steps: G's moves in a round of imitation; a round of 10,000 sequences in batches of 64 is 156.
    """

    cell: Literal["lstm", "gru", "transformer"] = "lstm"
    embed_dim: int = 32
    hidden_dim: int = 32
    layers: int = 1
    init_std: float | None = 0.1
    generator_optimizer: Adam | RMSprop | SGD = field(default_factory=lambda: Adam(lr=1e-2, beta1=0.9))
    clip_norm: float | None = 5.0
    game_lr: float | None = None
    mle_steps: int = 156

    def at_least_one(self) -> tuple[str, ...]:
        """Names of the settings that must be 1 or more."""
        return (*super().at_least_one(), "embed_dim", "hidden_dim", "layers", "mle_steps")

    @property
    def reads_a_round(self) -> int:
        """A batch a move."""
        return self.mle_steps


def make_generator(config: SequenceConfig, data: Dataset) -> SequenceGenerator:
    """The generator of a configuration for the vocabulary and length of sequences."""
    words, (length,) = data.spec.vocabulary, data.spec.shape
    end = 0 if words[0] == END else None
    if config.cell == "transformer":
        return TransformerGenerator(len(words), length, width=config.hidden_dim, layers=config.layers, end=end)
    return RecurrentGenerator(
        len(words),
        length,
        embed_dim=config.embed_dim,
        hidden_dim=config.hidden_dim,
        layers=config.layers,
        cell=config.cell,
        std=config.init_std,
        end=end,
    )


@runtime_checkable
class Writes(Protocol):
    """A game whose samples are written as text."""

    vocabulary: tuple[str, ...]

    def lines(self, samples: Tensor) -> list[str]:
        """A line of text for each sample."""
        ...


def as_lines(samples: Tensor, vocabulary: tuple[str, ...], data_name: str) -> list[str]:
    """Tokens [n, T] as text, one line a sequence, joined as the data of that name were cut; single letters without a space."""
    join = tokeniser_of(data_name, vocabulary).join
    return [join(words) for words in decode(samples, vocabulary)]


class SequenceGame(Game):
    """What games of sequences have in common.

    Args:
        config: the settings above.
        generator: the distribution of sequences.
        data: its name says how tokens are joined; its density, where it knows it, is the truth.

    Attributes:
        metric: "nll_oracle" where the density of the data is known, otherwise "nll_data".
    """

    def __init__(self, config: SequenceConfig, generator: SequenceGenerator, data: Dataset) -> None:
        super().__init__()
        self.sequences, self.generator = config, generator
        self.vocabulary, self.data_name = data.spec.vocabulary, data.spec.name
        self.density: Callable[[Tensor], Tensor] | None = getattr(data, "density", None)  # log p of sequences [n]
        self.oracle: Oracle | None = getattr(data, "oracle", None)
        self.metric = "nll_data" if self.density is None else "nll_oracle"
        schedule = None if config.game_lr is None else self._rate
        self.add_player("generator", [generator], config.generator_optimizer, clip_norm=config.clip_norm, schedule=schedule)

    def _rate(self, clock: Clock) -> dict[str, float]:
        """G's learning rate: its optimiser's in the first phase, which is imitation, and its own after that."""
        lr, place = self.sequences.generator_optimizer.lr, self.place
        return {"lr": lr if place is None or place.index == 0 or self.sequences.game_lr is None else self.sequences.game_lr}

    @turn("generator")
    def imitate(self, batch: Batch) -> Loss:
        """Cross-entropy of each next token of real sequences, a mean over their tokens."""
        return Loss(likelihood=self.nll(batch.x))

    def nll(self, tokens: Tensor) -> Tensor:
        """-log p a position, in nats: the sum over a sequence's tokens over T, a mean over the sequences; so pieces of a batch have its mean."""
        return -self.generator.log_prob(tokens).mean()

    def uniforms(self, n: int, *shape: int) -> Tensor:
        """Uniform numbers of the turn under way, [n, ...]."""
        return self.draws.uniform(n, *shape)

    def sample(self, n: int, draws: Draws, labels: Tensor | None = None, truncation: float | None = None) -> Tensor:
        """Sequences int64 [n, T]; ``truncation`` is the temperature, which divides the logits."""
        if truncation is not None and not truncation > 0:
            raise UsageError(f"The temperature of sequences is above 0; {truncation} came. 1 is the distribution itself, less is less variety.")
        return sample_sequences(self.generator, draws.uniform(n, self.generator.length), temperature=truncation or 1.0)

    def lines(self, samples: Tensor) -> list[str]:
        """Sequences as text, one a line, joined as the data were cut; single letters without a space."""
        return as_lines(samples, self.vocabulary, self.data_name)

    def show(self, batch: Batch, draws: Draws) -> list[str]:
        """As many sequences as there are records, as text."""
        return self.lines(self.sample(len(batch), draws))

    def measure(self, batch: Batch, draws: Draws) -> dict[str, Tensor]:
        """Nats a token: of samples by the density of the data, where it is known; of real sequences by G, new ones and those of the data.

        New ones are drawn where the data come from an oracle.
        """
        n, length, found = len(batch), self.generator.length, {}
        if self.density is not None:
            found["nll_oracle"] = -self.density(self.sample(n, draws)).mean() / length
        if self.oracle is not None:
            found["nll_test"] = self.nll(self.oracle.sample(draws.uniform(n, length)))
        tokens = batch.x
        found["nll_data"] = -self.generator.log_prob(tokens).sum() / self.generator.counted(tokens).sum()
        return found


@dataclass(frozen=True, kw_only=True)
class ImitationConfig(SequenceConfig):
    """Settings of imitation.

    Attributes:
        own_tokens: how much likelier each round makes it that G reads its own token in the place of the true one, up to 1; 0 is teacher forcing.
    """

    own_tokens: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.own_tokens <= 1:
            raise UsageError(f"own_tokens is a probability a round, 0 to 1; it is {self.own_tokens}.")


class ImitationGame(SequenceGame):
    """One player, who learns the likelihood of the data.

    Args:
        config: the settings above.
        generator: the distribution of sequences.
        data: as of :class:`SequenceGame`.
    """

    def __init__(self, config: ImitationConfig, generator: SequenceGenerator, data: Dataset) -> None:
        super().__init__(config, generator, data)
        self.config = config

    def play(self) -> Iterator[Turn]:
        """As many moves as a round of imitation has."""
        for _ in range(self.config.mle_steps):
            yield self.imitate if self.own_share == 0 else self.imitate_itself

    @property
    def own_share(self) -> float:
        """How likely G reads its own token in this round; 0 in the first."""
        return min(1.0, self.config.own_tokens * self.clock.round)

    @turn("generator")
    def imitate_itself(self, batch: Batch) -> Loss:
        """Scheduled sampling: each token read is the true one or, with the probability of the round, drawn from G; the targets stay true."""
        tokens, generator = batch.x, self.generator
        n, length = tokens.shape
        chance, u = self.uniforms(n, length) < self.own_share, self.uniforms(n, length)
        last, state, found = torch.full_like(tokens[:, 0], generator.start), generator.begin(n), []
        for t in range(length):
            features, state = generator.step(last, state)
            found.append(features)
            drawn = draw_next(generator.output, features.detach(), u[:, t : t + 1])[:, 0]
            last = torch.where(chance[:, t], drawn, tokens[:, t])
        logits = generator.output(torch.stack(found, 1))  # n t v
        nll = F.cross_entropy(logits.flatten(0, 1), tokens.flatten(), reduction="none").view(n, length)
        return Loss(likelihood=(nll * generator.counted(tokens, nll.dtype)).mean()).watch(own_share=nll.new_tensor(self.own_share))
