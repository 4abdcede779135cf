"""SeqGAN: Yu et al., "SeqGAN: sequence generative adversarial nets with policy gradient", AAAI 2017."""

from __future__ import annotations

from dataclasses import replace

from saddlepoint.data.records import Dataset
from saddlepoint.games.adversarial_sequences import make_discriminator
from saddlepoint.games.player import Adam
from saddlepoint.games.seqgan import SeqGANConfig, SeqGANGame
from saddlepoint.games.sequences import make_generator
from saddlepoint.zoo.catalogue import recipe

# The oracle experiment as released: 120 epochs of imitation, 50 trainings of D, 200 rounds of 1 move of G and 5 trainings of D. A training of D is 3
# passes over 10,000 fresh negatives and 10,000 real sequences, 64 a batch. Sequences of 20 among 5,000 tokens: the data `oracle`.
PAPER = SeqGANConfig(batch=64, rounds=370)
# For 10 tokens of 200, the data `oracle-small`: fewer and smaller filters, shorter trainings of a faster D, fewer roll-outs, more and smaller
# moves of G by advantages.
SMALL = SeqGANConfig(
    batch=64,
    rounds=31,
    mle_rounds=15,
    d_pretraining=6,
    adversarial_rounds=10,
    game_lr=1e-3,
    g_steps=20,
    roll_outs=4,
    d_epochs=1,
    d_steps=1,
    advantage=True,
    d_embed_dim=32,
    filters=(1, 2, 3, 4),
    maps=(50, 50, 50, 50),
    discriminator_optimizer=Adam(lr=1e-3, beta1=0.9),
)


@recipe(
    name="seqgan",
    title="SeqGAN: the generator as a policy, rewarded by the discriminator through Monte-Carlo roll-outs",
    paper="Yu et al. 2017",
    year=2017,
    url="https://arxiv.org/abs/1609.05473",
    needs=("sequence",),
    presets={"paper": PAPER, "gru": replace(PAPER, cell="gru"), "small": SMALL},
)
def seqgan(config: SeqGANConfig, data: Dataset) -> SeqGANGame:
    """Policy and judge for the vocabulary and length of the data."""
    return SeqGANGame(config, make_generator(config, data), make_discriminator(config, data), data)
