"""MaliGAN: Che et al., "Maximum-likelihood augmented discrete generative adversarial networks", 2017."""

from __future__ import annotations

from dataclasses import replace

from saddlepoint.data.records import Dataset
from saddlepoint.games.adversarial_sequences import make_discriminator
from saddlepoint.games.maligan import MaliGANConfig, MaliGANGame
from saddlepoint.games.player import Adam
from saddlepoint.games.sequences import make_generator
from saddlepoint.zoo.catalogue import recipe

# Poems of five characters a line: LSTM of 50 (of seven: 100), a D that reads both ways with as many, K = 5 in the full form. Lengths, rates and k
# are ours.
PAPER = MaliGANConfig(
    batch=64,
    rounds=500,
    mle_rounds=100,
    d_pretraining=50,
    adversarial_rounds=350,
    embed_dim=50,
    hidden_dim=50,
    judge="recurrent",
    d_embed_dim=50,
    d_hidden_dim=50,
    g_steps=10,
    d_steps=50,
    generator_optimizer=Adam(lr=1e-3, beta1=0.9),
    discriminator_optimizer=Adam(lr=1e-3, beta1=0.9),
)
FULL = replace(PAPER, clamp_step=5)
# The judge of seqgan's small preset.
SMALL = MaliGANConfig(
    batch=64,
    rounds=31,
    mle_rounds=15,
    d_pretraining=6,
    adversarial_rounds=10,
    game_lr=1e-3,
    g_steps=20,
    d_steps=312,
    d_embed_dim=32,
    filters=(1, 2, 3, 4),
    maps=(50, 50, 50, 50),
    discriminator_optimizer=Adam(lr=1e-3, beta1=0.9),
)


@recipe(
    name="maligan",
    title="MaliGAN: likelihood of samples weighted by the discriminator, basic or mixed with the likelihood of real beginnings",
    paper="Che et al. 2017",
    year=2017,
    url="https://arxiv.org/abs/1702.07983",
    needs=("sequence",),
    presets={
        "paper": PAPER,
        "full": FULL,
        "penn-treebank": replace(PAPER, layers=2, embed_dim=200, hidden_dim=200, d_embed_dim=200, d_hidden_dim=200),
        "small": SMALL,
        "small-full": replace(SMALL, clamp_step=5, completions=5),
    },
)
def maligan(config: MaliGANConfig, data: Dataset) -> MaliGANGame:
    """Generator and judge for the vocabulary and length of the data."""
    return MaliGANGame(config, make_generator(config, data), make_discriminator(config, data), data)
