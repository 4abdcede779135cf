"""SeqGAN: the generator as a policy whose reward is what the discriminator says of finished sequences.

    Algorithm 1 (Yu et al. 2017, arXiv:1609.05473)
    pre-train G_theta by likelihood; beta <- theta; pre-train D on real sequences and G's
    repeat
        for g-steps:  Y ~ G_theta;  for t = 1 .. T:  Q_t by roll-outs of G_beta (Eq. 4);  theta <- theta + a sum_t Q_t grad log G(y_t | Y_<t)  (Eq. 8)
        for d-steps:  fresh negatives from G_theta; train D on them and real sequences for k epochs (Eq. 5)
        beta <- theta

The paper's text speaks of a tree search; its algorithm and code finish each prefix N times and take the mean, as here. Axes: n sequences, t
positions, N roll-outs.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from saddlepoint.data.records import Batch, Dataset
from saddlepoint.draws import Draws, derive_seed
from saddlepoint.errors import UsageError
from saddlepoint.games.adversarial_sequences import ADVERSARIAL, AdversarialSequenceConfig, AdversarialSequenceGame
from saddlepoint.games.game import Loss, Turn, turn
from saddlepoint.networks.base import Discriminator
from saddlepoint.networks.sequences import SequenceGenerator, roll_out, sample_sequences, uniforms_needed
from saddlepoint.networks.textcnn import judge_roll_outs

AT_ONCE = 1024  # negatives drawn at once


@dataclass(frozen=True, kw_only=True)
class SeqGANConfig(AdversarialSequenceConfig):
    """Settings of SeqGAN; the values are those of its oracle experiment.

    Attributes:
        roll_outs: N of Eq. 4, for each prefix.
        roll_out_decay: share of its old recurrent and output weights that the roll-out policy keeps after each round; its embedding is G's.
        negatives: sequences that G makes for a training of D.
        d_epochs: k, passes over them and as many real ones.
        d_steps: trainings of D in a round, each on fresh negatives.
        advantage: take from each reward that of the prefix before it, which is what was to be expected there: the same gradient in expectation with
            less variance. The published form takes nothing.
    """

    roll_outs: int = 16
    roll_out_decay: float = 0.8
    negatives: int = 10_000
    d_epochs: int = 3
    d_steps: int = 5
    advantage: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.roll_out_decay < 1:
            raise UsageError(f"roll_out_decay is a share, 0 or more and below 1; it is {self.roll_out_decay}.")
        if self.negatives < self.d_batch:
            raise UsageError(f"negatives must fill a batch of D, {self.d_batch} (d_batch); there are {self.negatives}.")

    def at_least_one(self) -> tuple[str, ...]:
        """Names of the settings that must be 1 or more."""
        return (*super().at_least_one(), "roll_outs", "negatives", "d_epochs", "d_steps")

    @property
    def d_moves_a_training(self) -> int:
        """D's moves on the same negatives."""
        return self.d_epochs * (2 * self.negatives // self.d_batch)

    @property
    def d_moves(self) -> int:
        """D's moves in a round."""
        return self.d_steps * self.d_moves_a_training

    @property
    def reads_a_round(self) -> int:
        """As the base, but a round of the first training of D is one training."""
        judged = (self.d_pretraining + self.adversarial_rounds * self.d_steps) * self.d_moves_a_training * self.d_batch / 2 / self.batch
        return max(1, round((self.mle_rounds * self.mle_steps + judged) / (self.mle_rounds + self.d_pretraining + self.adversarial_rounds)))


class SeqGANGame(AdversarialSequenceGame):
    """Policy gradient with rewards for every token by roll-outs.

    Args:
        config: the settings above.
        generator: the policy.
        discriminator: tokens -> logits.
        data: as of :class:`SequenceGame`.
    """

    def __init__(self, config: SeqGANConfig, generator: SequenceGenerator, discriminator: Discriminator, data: Dataset) -> None:
        super().__init__(config, generator, discriminator, data)
        self.config = config
        self.roll_out_policy = copy.deepcopy(generator).requires_grad_(False)
        self.register_buffer("expected", torch.tensor(0.5))  # reward of a sequence before its first token: a running mean
        self._negatives: Tensor | None = None  # of the training of D under way; made anew in every round, so never saved
        self._order: Tensor | None = None
        self._judged = 0

    @torch.no_grad()
    def begin_round(self) -> None:
        """The roll-out policy becomes G where the game begins, and follows it from then on; D's next training is the first of the round."""
        self._judged, self._negatives = 0, None
        place = self.place
        assert place is not None
        if place.phase.name != ADVERSARIAL:
            return
        keep = 0.0 if self.clock.round == place.start else self.config.roll_out_decay
        mine = dict(self.roll_out_policy.named_parameters())
        for name, theirs in self.generator.named_parameters():
            mine[name].lerp_(theirs, 1.0 if "embedding" in name or not keep else 1 - keep)

    @property
    def d_moves(self) -> int:
        """D's moves in this round: one training before the game, ``d_steps`` in it."""
        return self.config.d_moves if self.phase == ADVERSARIAL else self.config.d_moves_a_training

    @property
    def acting(self) -> Turn:
        """G's turn in the game."""
        chosen: Turn = self.act
        return chosen

    @turn("generator", batch="same")
    def act(self, batch: Batch) -> Loss:
        """REINFORCE: minus the sum over the batch and time of log G(y_t | Y_<t) times its reward."""
        n, length = self.own(batch), self.generator.length
        tokens = sample_sequences(self.generator, self.uniforms(n, length))
        rewards = self.rewards(tokens)
        log_p = self.generator.log_prob(tokens)
        before = torch.cat([self.get_buffer("expected").expand(n, 1), rewards[:, :-1]], 1) if self.config.advantage else 0.0
        loss = Loss(policy=-(log_p * (rewards - before)).sum() * self.pieces)
        return loss.watch(reward=rewards[:, -1].mean(), nll=-log_p.detach().mean())

    @torch.no_grad()
    def rewards(self, tokens: Tensor) -> Tensor:
        """Q of each token, in [0, 1], [n, T]: the mean of D over N finished sequences, and D itself of the last token's (Eq. 4)."""
        n, length = tokens.shape
        finished = roll_out(self.roll_out_policy, tokens, self.uniforms(n, self.config.roll_outs, uniforms_needed(length)))
        judged = torch.sigmoid(judge_roll_outs(self.discriminator, tokens, finished)).mean(2)  # s n
        was = self.discriminator.training
        self.discriminator.eval()
        last = torch.sigmoid(self.discriminator(tokens).logits)
        self.discriminator.train(was)
        return torch.cat([judged.T, last[:, None]], 1)

    def after_turn(self, turn: Turn, values: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The running mean of the rewards of whole sequences moves by a tenth."""
        if turn.name == "act":
            self.get_buffer("expected").lerp_(values["generator/reward"].to(self.get_buffer("expected")), 0.1)
        return {}

    def before_turn(self, turn: Turn) -> None:
        """Where a training of D begins, G makes its negatives; where a pass over them begins, they are put in a new order."""
        if turn.name != "judging":
            return
        in_training = self._judged % self.config.d_moves_a_training
        if in_training == 0:
            self._negatives = self._make_negatives(self._judged // self.config.d_moves_a_training)
        if in_training % (2 * self.config.negatives // self.config.d_batch) == 0:
            rng = torch.Generator().manual_seed(derive_seed(*self.round_key, "order", self._judged))
            self._order = torch.randperm(self.config.negatives, generator=rng).to(self.draws.device)
        self._judged += 1

    @torch.no_grad()
    def _make_negatives(self, training: int) -> Tensor:
        """Sequences of G, the same in every process."""
        device, dtype = next(self.generator.parameters()).device, next(self.generator.parameters()).dtype
        draws = Draws.seeded(*self.round_key, "negatives", training, device=device, dtype=dtype)
        u = draws.uniform(self.config.negatives, self.generator.length)
        return torch.cat([sample_sequences(self.generator, part) for part in torch.split(u, AT_ONCE)])

    def fakes(self, batch: Batch) -> Tensor:
        """The next of the negatives; fresh ones outside a round."""
        n = len(batch)
        if self._negatives is None or self._order is None:
            return sample_sequences(self.generator, self.uniforms(n, self.generator.length))
        start = (self._judged - 1) % (2 * self.config.negatives // self.config.d_batch) * (n * self.pieces) + self.draws.piece * n
        return self._negatives[self._order[start : start + n]]
