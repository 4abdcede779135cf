"""MaliGAN: maximum likelihood of samples that are weighted by how real the discriminator finds them.

    r(x) = D(x) / (1 - D(x)),   q(x) = r(x) p_theta'(x) / Z,   minimise KL(q || p_theta)
    grad ~ sum_i (r(x_i) / sum_j r(x_j) - b) grad log p_theta(x_i),   b = 1/m                                                          (Eq. 7 and 8)

Che et al. 2017 (arXiv:1702.07983). Near its optimum D gives the data by r p'; the weights of a batch sum to 1 however little D believes in it, so
they do not vanish as REINFORCE's rewards do. r is the exponential of D's logit, which is clamped. In the full form (Algorithm 2, mixed with
likelihood) the first N tokens are those of a real sequence, only the rest is generated, and N falls:

    sum_ij (r_ij / sum_j r_ij - b) grad log p(x_ij^{>N} | x_i^{<=N}) + sum_i grad log p(x_i^{<=N})

The paper prints the last term without the logarithm's gradient. Axes: n sequences, m completions, t positions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from saddlepoint.data.records import Batch, Dataset
from saddlepoint.draws import Draws
from saddlepoint.errors import UsageError
from saddlepoint.games.adversarial_sequences import ADVERSARIAL, AdversarialSequenceConfig, AdversarialSequenceGame
from saddlepoint.games.game import Loss, Turn, turn
from saddlepoint.networks.base import Discriminator
from saddlepoint.networks.sequences import SequenceGenerator, sample_sequences


@dataclass(frozen=True, kw_only=True)
class MaliGANConfig(AdversarialSequenceConfig):
    """Settings of MaliGAN.

    Attributes:
        d_steps: k, D's moves in a round, each on fresh samples.
        clamp_step: K, by how many tokens the real beginning gets shorter at a time; None: the basic form, which generates all.
        completions: m of a real beginning; of the full form.
        logit_limit: D's logits are clamped to this size either way before r is taken of them.
    """

    d_steps: int = 5
    clamp_step: int | None = None
    completions: int = 5
    logit_limit: float = 5.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.logit_limit > 0:
            raise UsageError(f"logit_limit is above 0; it is {self.logit_limit}.")
        if self.clamp_step is not None and (self.clamp_step < 1 or self.completions < 2):
            raise UsageError(f"The full form needs clamp_step from 1 and completions from 2 on; they are {self.clamp_step} and {self.completions}.")

    def at_least_one(self) -> tuple[str, ...]:
        """Names of the settings that must be 1 or more."""
        return (*super().at_least_one(), "d_steps", "completions")

    @property
    def d_moves(self) -> int:
        """D's moves in a round."""
        return self.d_steps


class Weighted(NamedTuple):
    """Samples int64 [n, m, T] with their normalised weights [n, m]; of the basic form n is 1."""

    tokens: Tensor
    weights: Tensor


class MaliGANGame(AdversarialSequenceGame):
    """Weighted likelihood of samples.

    Args:
        config: the settings above.
        generator: the distribution of sequences.
        discriminator: tokens -> logits.
        data: as of :class:`SequenceGame`.
    """

    def __init__(self, config: MaliGANConfig, generator: SequenceGenerator, discriminator: Discriminator, data: Dataset) -> None:
        super().__init__(config, generator, discriminator, data)
        self.config = config
        self._whole: Weighted | None = None  # of the turn under way
        self._moves = 0  # of G in this round

    def begin_round(self) -> None:
        """G has not moved yet."""
        super().begin_round()
        self._moves = 0

    @property
    def acting(self) -> Turn:
        """G's turn in the game."""
        chosen: Turn = self.act if self.config.clamp_step is None else self.act_mixed
        return chosen

    @property
    def kept_tokens(self) -> int:
        """N: how many tokens of a real sequence are kept; T - K, T - 2 K, ... for equal shares of the game, at last 0."""
        length, step, place = self.generator.length, self.config.clamp_step, self.place
        if step is None or place is None:
            return 0
        stages = -(-length // step)
        done = place.progress(self.clock.round) if place.phase.name == ADVERSARIAL else 0.0
        return max(length - step * (1 + int(done * stages)), 0)

    def fakes(self, batch: Batch) -> Tensor:
        """Fresh samples; in the full form behind the beginnings of the real ones."""
        kept = self.kept_tokens
        u = self.uniforms(len(batch), self.generator.length)
        return sample_sequences(self.generator, u, given=batch.x if kept else None, clamp=kept)

    @torch.no_grad()
    def weigh(self, tokens: Tensor) -> Tensor:
        """r / sum r over the last axis but one of tokens [n, m, T]: [n, m]."""
        was = self.discriminator.training
        self.discriminator.eval()
        logits = self.discriminator(tokens.flatten(0, 1)).logits.view(tokens.shape[:2])
        self.discriminator.train(was)
        limit = self.config.logit_limit
        return torch.softmax(logits.clamp(-limit, limit), 1)  # r = exp(logit): the normalised r is a softmax

    def before_turn(self, turn: Turn) -> None:
        """The weights of the basic form are normalised over the whole batch, so it is drawn and judged before the batch is cut into pieces."""
        if turn.name == "act":
            draws = Draws.seeded(*self.round_key, "weighted", self._moves, device=self.draws.device, dtype=self.draws.dtype)
            self._moves += 1
            self._whole = self._draw_whole(self.config.batch, draws)

    def _draw_whole(self, n: int, draws: Draws) -> Weighted:
        tokens = sample_sequences(self.generator, draws.uniform(n, self.generator.length))[None]
        return Weighted(tokens, self.weigh(tokens))

    @turn("generator", batch="same")
    def act(self, batch: Batch) -> Loss:
        """Basic form: minus the sum over the batch of (weight - 1/m) log p(x)."""
        n = self.own(batch)
        tokens, weights = self._whole or self._draw_whole(n * self.pieces, self.draws)
        start, m = self.draws.piece * n, weights.shape[1]
        log_p = self.generator.log_prob(tokens[0, start : start + n]).sum(1)
        weighted = (weights[0, start : start + n] - 1 / m) * log_p
        return Loss(weighted=-weighted.sum() * self.pieces).watch(effective=_effective(weights))

    @turn("generator")
    def act_mixed(self, batch: Batch) -> Loss:
        """Full form: the weighted completions, and the likelihood of the real beginnings; means over the real sequences."""
        real, m, kept, length = batch.x, self.config.completions, self.kept_tokens, self.generator.length
        u = self.uniforms(len(real), m, length).flatten(0, 1)
        tokens = sample_sequences(self.generator, u, given=real.repeat_interleave(m, 0), clamp=kept)
        weights = self.weigh(tokens.view(-1, m, length))  # n m
        log_p = self.generator.log_prob(tokens).view(-1, m, length)
        weighted = ((weights - 1 / m) * log_p[:, :, kept:].sum(2)).sum(1)
        loss = Loss(weighted=-weighted.mean())
        if kept:
            loss.add("likelihood", -log_p[:, 0, :kept].sum(1).mean())
        return loss.watch(effective=_effective(weights), kept=log_p.new_tensor(float(kept)))


def _effective(weights: Tensor) -> Tensor:
    """Effective number of samples, 1 / sum of squared weights: m where all are alike, 1 where one has it all; the mean over groups."""
    return (1 / weights.square().sum(1)).mean()
