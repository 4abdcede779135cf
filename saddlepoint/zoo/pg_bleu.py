"""PG-BLEU: SeqGAN's baseline, a policy gradient towards the n-grams of the data (Yu et al. 2017)."""

from __future__ import annotations

from saddlepoint.data.records import Dataset
from saddlepoint.games.bleu_reward import PGBleuConfig, PGBleuGame
from saddlepoint.games.sequences import make_generator
from saddlepoint.zoo.catalogue import recipe

PAPER = PGBleuConfig(batch=64, rounds=320, mle_steps=156, mle_rounds=120, policy_rounds=200)
SMALL = PGBleuConfig(batch=64, rounds=25, mle_rounds=15, policy_rounds=10, policy_steps=20, game_lr=1e-3)


@recipe(
    name="pg-bleu",
    title="PG-BLEU: imitation, then a policy gradient whose reward is the BLEU of the whole sequence",
    paper="Yu et al. 2017",
    year=2017,
    url="https://arxiv.org/abs/1609.05473",
    needs=("sequence",),
    presets={"paper": PAPER, "small": SMALL},
)
def pg_bleu(config: PGBleuConfig, data: Dataset) -> PGBleuGame:
    """One player on the network, the data as references."""
    return PGBleuGame(config, make_generator(config, data), data)
