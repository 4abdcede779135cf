"""What sequence games with a discriminator have in common: imitation first, then a first training of D, then both in turn.

Axes: n sequences, t positions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from saddlepoint.data.records import Batch, Dataset
from saddlepoint.errors import UsageError
from saddlepoint.games.game import Loss, Phase, Turn, turn
from saddlepoint.games.player import SGD, Adam, RMSprop
from saddlepoint.games.sequences import SequenceConfig, SequenceGame
from saddlepoint.networks.base import Discriminator
from saddlepoint.networks.recurrent import RecurrentDiscriminator
from saddlepoint.networks.sequences import SequenceGenerator
from saddlepoint.networks.textcnn import MAPS, SIZES, TextCNN
from saddlepoint.objectives.minimax import NonSaturating

IMITATION, JUDGING, ADVERSARIAL = "imitation", "judging", "adversarial"


@dataclass(frozen=True, kw_only=True)
class AdversarialSequenceConfig(SequenceConfig):
    """Settings of sequence games with a discriminator; ``rounds`` stretches the three phases alike.

    Attributes:
        d_batch: sequences in D's batch, half of them real.
        mle_rounds: rounds of imitation before the game.
        d_pretraining: rounds of D alone before the game, each as D's share of a round of the game.
        adversarial_rounds: rounds of the game.
        g_steps: G's moves in a round of the game.
        judge: D: "textcnn", or "recurrent" (reads both ways, ``cell``'s kind).
        d_embed_dim: of D's tokens.
        d_hidden_dim: of a recurrent D, either way.
        filters: sizes of a TextCNN's filters; those larger than the sequences are left out.
        maps: of each filter.
        dropout: share of the TextCNN's last features that is dropped in D's turns.
        d_l2: weight of half the squares of the TextCNN's last layer.
        discriminator_optimizer: how D moves.
    """

    d_batch: int = 64
    mle_rounds: int = 120
    d_pretraining: int = 50
    adversarial_rounds: int = 200
    g_steps: int = 1
    judge: Literal["textcnn", "recurrent"] = "textcnn"
    d_embed_dim: int = 64
    d_hidden_dim: int = 32
    filters: tuple[int, ...] = SIZES
    maps: tuple[int, ...] = MAPS
    dropout: float = 0.25
    d_l2: float = 0.2
    discriminator_optimizer: Adam | RMSprop | SGD = field(default_factory=lambda: Adam(lr=1e-4, beta1=0.9))

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.d_batch % 2:
            raise UsageError(f"d_batch is even, half real and half generated; it is {self.d_batch}.")
        if len(self.filters) != len(self.maps) or not self.filters:
            raise UsageError(f"Each size of filter has its maps: {len(self.filters)} sizes and {len(self.maps)} numbers of maps came.")

    def at_least_one(self) -> tuple[str, ...]:
        """Names of the settings that must be 1 or more."""
        return (*super().at_least_one(), "d_batch", "adversarial_rounds", "g_steps", "d_embed_dim", "d_hidden_dim")

    @property
    def d_moves(self) -> int:
        """D's moves in a round of the game."""
        raise NotImplementedError(f"{type(self).__name__} must say how often D moves.")

    @property
    def reads_a_round(self) -> int:
        """Batches of ``batch`` that a round reads, on average over the phases."""
        judged = (self.d_pretraining + self.adversarial_rounds) * self.d_moves * self.d_batch / 2 / self.batch
        return max(1, round((self.mle_rounds * self.mle_steps + judged) / (self.mle_rounds + self.d_pretraining + self.adversarial_rounds)))


def make_discriminator(config: AdversarialSequenceConfig, data: Dataset) -> Discriminator:
    """The discriminator of a configuration for the vocabulary and length of sequences."""
    words, (length,) = len(data.spec.vocabulary), data.spec.shape
    if config.judge == "recurrent":
        cell: Literal["lstm", "gru"] = "gru" if config.cell == "gru" else "lstm"
        return RecurrentDiscriminator(words, embed_dim=config.d_embed_dim, hidden_dim=config.d_hidden_dim, cell=cell)
    return TextCNN(words, length, embed_dim=config.d_embed_dim, sizes=config.filters, maps=config.maps, dropout=config.dropout)


class AdversarialSequenceGame(SequenceGame):
    """Three phases; subclasses define :attr:`act`, G's turn, and :meth:`fakes`.

    Args:
        config: the settings above.
        generator: the distribution of sequences.
        discriminator: tokens -> logits.
        data: as of :class:`SequenceGame`.
    """

    def __init__(self, config: AdversarialSequenceConfig, generator: SequenceGenerator, discriminator: Discriminator, data: Dataset) -> None:
        super().__init__(config, generator, data)
        self.adversarial, self.discriminator, self.objective = config, discriminator, NonSaturating()
        self.add_player("discriminator", [discriminator], config.discriminator_optimizer)
        self.phases = (
            Phase(IMITATION, config.mle_rounds),
            Phase(JUDGING, config.d_pretraining, batch=config.d_batch // 2),
            Phase(ADVERSARIAL, config.adversarial_rounds, batch=config.d_batch // 2, fresh=("generator",)),
        )

    @property
    def phase(self) -> str:
        """The name of the phase that the clock is in."""
        assert self.place is not None
        return self.place.phase.name

    def play(self) -> Iterator[Turn]:
        """Imitation; D alone; then in each round G's moves and D's."""
        phase, config = self.phase, self.adversarial
        if phase == IMITATION:
            for _ in range(config.mle_steps):
                yield self.imitate
            return
        if phase == ADVERSARIAL:
            for _ in range(config.g_steps):
                yield self.acting
        for _ in range(self.d_moves):
            yield self.judging

    @property
    def d_moves(self) -> int:
        """D's moves in this round."""
        return self.adversarial.d_moves

    @property
    def acting(self) -> Turn:
        """G's turn in the game."""
        raise NotImplementedError(f"{type(self).__name__} must say how G moves.")

    def fakes(self, batch: Batch) -> Tensor:
        """As many generated sequences as there are real ones, int64 [n, T]."""
        raise NotImplementedError(f"{type(self).__name__} must say what D judges beside real sequences.")

    @turn("discriminator")
    def judging(self, batch: Batch) -> Loss:
        """Cross-entropy of real against generated (Yu et al. 2017, Eq. 5), a mean over both; with the L2 penalty of a TextCNN's last layer."""
        both = torch.cat([batch.x, self.fakes(batch)])
        with self.draws.together(2):
            logits = self.discriminator(both).logits
        real_logits, fake_logits = logits.chunk(2)
        loss = Loss(adversarial=self.objective.discriminator(real_logits, fake_logits).mean() / 2)
        if isinstance(self.discriminator, TextCNN) and self.adversarial.d_l2:
            loss.add("l2", self.adversarial.d_l2 * self.discriminator.squared_output())
        right = ((real_logits > 0).to(logits.dtype).mean() + (fake_logits < 0).to(logits.dtype).mean()) / 2
        return loss.watch(accuracy=right)

    def own(self, batch: Batch) -> int:
        """How many sequences G makes in this piece of its turn: ``batch`` of them in the whole."""
        return max(1, len(batch) * self.adversarial.batch // (self.adversarial.d_batch // 2))

    @property
    def pieces(self) -> int:
        """Processes times micro-batches: a sum over the whole batch is so many times the mean of the pieces' sums."""
        return self.draws.pieces
