"""Imitation of sequences: the maximum-likelihood language model that SeqGAN starts from, and scheduled sampling (Bengio et al. 2015)."""

from __future__ import annotations

from dataclasses import replace

from saddlepoint.data.records import Dataset
from saddlepoint.games.sequences import ImitationConfig, ImitationGame, make_generator
from saddlepoint.zoo.catalogue import recipe

# SeqGAN's oracle experiment: 120 epochs of 156 batches of 64, Adam 1e-2, gradients of norm 5 at most. Its scheduled sampling reads true tokens with a
# probability that falls by .2 % an epoch, from 100 % to 0: 500 epochs.
PAPER = ImitationConfig(batch=64, rounds=120, mle_steps=156)
SMALL = ImitationConfig(batch=64, rounds=15, mle_steps=156)  # until NLL-test on oracle-small falls no more


@recipe(
    name="sequence-mle",
    title="Sequences by imitation: LSTM, GRU or Transformer, teacher forcing or scheduled sampling",
    paper="Bengio et al. 2015",
    year=2015,
    url="https://arxiv.org/abs/1506.03099",
    needs=("sequence",),
    presets={
        "paper": PAPER,
        "scheduled-sampling": replace(PAPER, rounds=500, own_tokens=0.002),
        "gru": replace(PAPER, cell="gru"),
        "transformer": replace(PAPER, cell="transformer", layers=2, generator_optimizer=replace(PAPER.generator_optimizer, lr=1e-3)),
        "small": SMALL,
        "small-scheduled-sampling": replace(SMALL, own_tokens=1 / 15),  # to 1 at the end
    },
)
def sequence_mle(config: ImitationConfig, data: Dataset) -> ImitationGame:
    """One player on the network."""
    return ImitationGame(config, make_generator(config, data), data)
