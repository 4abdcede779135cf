"""PG-BLEU: the policy gradient whose reward is the BLEU of the whole sequence against the data, SeqGAN's baseline without a discriminator.

Yu et al. 2017 (arXiv:1609.05473), section 4. Axes: n sequences, t positions, k order of an n-gram, g different n-grams.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from saddlepoint.data.records import Batch, Dataset
from saddlepoint.errors import UsageError
from saddlepoint.games.game import Loss, Phase, Turn, turn
from saddlepoint.games.sequences import SequenceConfig, SequenceGame
from saddlepoint.networks.sequences import SequenceGenerator, sample_sequences

ZERO = 0.1  # stands for no match ("method 1"), as in saddlepoint.evaluation.bleu
AT_ONCE = 1024


class BleuReward(nn.Module):
    """BLEU of sequences against a fixed corpus, for many at once: equal to :func:`saddlepoint.evaluation.bleu.bleu_scores`.

    An n-gram counts at most as often as in the reference that has it most often; so each of its places in a sequence adds min(1, that / its count
    here).

    Args:
        references: tokens int64 [n, T].
        lengths: how many tokens of each count, int64 [n].
        order: longest n-gram, 1 or more.
    """

    grams: list[Tensor]

    def __init__(self, references: Tensor, lengths: Tensor, order: int = 2) -> None:
        super().__init__()
        if order < 1 or order > references.shape[1]:
            raise UsageError(f"The BLEU of a reward has n-grams of 1 to {references.shape[1]} tokens here; order {order} came.")
        self.order, self.base = order, int(references.max()) + 2
        self.register_buffer("lengths", torch.unique(lengths), persistent=False)
        for k in range(1, order + 1):
            parts = [self._most(references[i : i + AT_ONCE], lengths[i : i + AT_ONCE], k) for i in range(0, len(references), AT_ONCE)]
            keys, place = torch.unique(torch.cat([key for key, _ in parts]), return_inverse=True)
            most = torch.zeros(len(keys), dtype=torch.int64).scatter_reduce(0, place, torch.cat([count for _, count in parts]), "amax")
            self.register_buffer(f"keys_{k}", keys, persistent=False)
            self.register_buffer(f"most_{k}", most, persistent=False)

    def _keys(self, tokens: Tensor, k: int) -> Tensor:
        """A number for each n-gram, int64 [n, t-k+1]; tokens that no reference has share one number."""
        if self.base**k >= 2**63:
            raise UsageError(f"n-grams of {k} among {self.base - 1} tokens have no room in 64 bits. Take a smaller order for the BLEU reward.")
        windows = tokens.clamp(max=self.base - 1).unfold(1, k, 1)
        return (windows * torch.tensor([self.base**i for i in range(k)], device=tokens.device)).sum(2)

    def _counts(self, tokens: Tensor, lengths: Tensor, k: int) -> tuple[Tensor, Tensor, Tensor]:
        """Keys of the n-grams, how often each occurs in its own sequence, and which lie inside it; all [n, t-k+1]."""
        keys = self._keys(tokens, k)
        inside = torch.arange(keys.shape[1], device=tokens.device) < (lengths - k + 1)[:, None]
        count = ((keys[:, :, None] == keys[:, None]) & inside[:, None]).sum(2)
        return keys, count, inside

    def _most(self, tokens: Tensor, lengths: Tensor, k: int) -> tuple[Tensor, Tensor]:
        keys, count, inside = self._counts(tokens, lengths, k)
        return keys[inside], count[inside]

    @torch.no_grad()
    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """BLEU in [0, 1], [n], of sequences int64 [n, t] of at least one token each."""
        logs = []
        for k in range(1, self.order + 1):
            keys, count, inside = self._counts(tokens, lengths, k)
            known, most = self.get_buffer(f"keys_{k}"), self.get_buffer(f"most_{k}")
            place = torch.searchsorted(known, keys).clamp(max=len(known) - 1)
            most_here = torch.where(known[place] == keys, most[place], 0).double()
            matches = ((most_here / count.clamp(min=1)).clamp(max=1) * inside).sum(1)
            total = (lengths - k + 1).clamp(min=1)
            logs.append(torch.log(torch.where(matches > 0, matches, ZERO) / total))
        return torch.exp(torch.stack(logs).mean(0)) * self._brevity(lengths)

    def _brevity(self, lengths: Tensor) -> Tensor:
        """The penalty of what is shorter than the reference nearest in length, of two equally near the shorter."""
        theirs = self.get_buffer("lengths")
        closest = theirs[(lengths[:, None] - theirs).abs().argmin(1)]
        return torch.exp((1 - closest / lengths.double()).clamp(max=0))


@dataclass(frozen=True, kw_only=True)
class PGBleuConfig(SequenceConfig):
    """Settings of PG-BLEU.

    Attributes:
        mle_rounds: rounds of imitation before.
        policy_rounds: rounds of policy gradient.
        policy_steps: G's moves in one.
        order: longest n-gram of the reward.
    """

    mle_rounds: int = 120
    policy_rounds: int = 200
    policy_steps: int = 1
    order: int = 2

    def at_least_one(self) -> tuple[str, ...]:
        """Names of the settings that must be 1 or more."""
        return (*super().at_least_one(), "policy_rounds", "policy_steps", "order")

    @property
    def reads_a_round(self) -> int:
        """Batches that a round reads, on average: only imitation reads."""
        return max(1, round(self.mle_rounds * self.mle_steps / (self.mle_rounds + self.policy_rounds)))


class PGBleuGame(SequenceGame):
    """One player: imitation, then the policy gradient.

    Args:
        config: the settings above.
        generator: the policy.
        data: whose sequences are the references.
    """

    def __init__(self, config: PGBleuConfig, generator: SequenceGenerator, data: Dataset) -> None:
        super().__init__(config, generator, data)
        self.config = config
        references = data.records(torch.arange(len(data)))["tokens"]
        self.reward = BleuReward(references, self._lengths(references), config.order)
        self.phases = (Phase("imitation", config.mle_rounds), Phase("policy", config.policy_rounds, fresh=("generator",)))

    def _lengths(self, tokens: Tensor) -> Tensor:
        """How many tokens of each sequence count, its end included."""
        return self.generator.counted(tokens, torch.int64).sum(1)

    def play(self) -> Iterator[Turn]:
        """Imitation, then G's moves by reward."""
        assert self.place is not None
        imitating = self.place.phase.name == "imitation"
        for _ in range(self.config.mle_steps if imitating else self.config.policy_steps):
            yield self.imitate if imitating else self.act

    @turn("generator", batch="same")
    def act(self, batch: Batch) -> Loss:
        """REINFORCE: minus the sum over the batch of log G(Y) times the BLEU of Y."""
        tokens = sample_sequences(self.generator, self.uniforms(len(batch), self.generator.length))
        log_p = self.generator.log_prob(tokens)
        rewards = self.reward(tokens, self._lengths(tokens)).to(log_p.dtype)
        loss = Loss(policy=-(log_p.sum(1) * rewards).sum() * self.draws.pieces)
        return loss.watch(reward=rewards.mean(), nll=-log_p.detach().mean())
