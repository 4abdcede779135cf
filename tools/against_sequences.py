"""SeqGAN: the case `seqgan` of against_public.py; DIR is a checkout of williamSYSU/TextGAN-PyTorch.

An adversarial step of G on both sides: 64 sequences of 20 among 5,000 tokens drawn, 16 roll-outs of every prefix, all judged by the TextCNN of 1,720
maps, the policy gradient, Adam. LSTM of 32, the untrained starts of either side. Ours is the turn of the game as the trainer takes it, roll-outs and
judgements in float32; its highway layer has two matrices, as in the authors' code, the checkout's uses one twice.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import torch

Turn = Callable[[], None]
WORDS, LENGTH, BATCH, ROLL_OUTS = 5000, 20, 64, 16


def public(case: str, checkout: Path) -> Turn:
    """The body of its adv_train_generator."""
    sys.path.insert(0, str(checkout))
    generator = importlib.import_module("models.SeqGAN_G").SeqGAN_G(32, 32, WORDS, LENGTH, 0)
    judge = importlib.import_module("models.SeqGAN_D").SeqGAN_D(64, WORDS, 0)
    rollout = importlib.import_module("utils.rollout")
    move = torch.optim.Adam(generator.parameters(), lr=1e-2)

    def play() -> None:
        policy = rollout.ROLLOUT(generator, False)
        target = generator.sample(BATCH, BATCH)
        read = torch.cat([torch.ones(BATCH, 1, dtype=torch.int64), target[:, :-1]], 1)  # behind its start letter, 1
        loss = generator.batchPGLoss(read, target, policy.get_reward(target, ROLL_OUTS, judge))
        move.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(generator.parameters(), 5.0)
        move.step()

    return play


def ours(case: str) -> Turn:
    """G's turn of the paper preset."""
    from saddlepoint.data.arrays import ArrayDataset
    from saddlepoint.data.records import DataSpec
    from saddlepoint.training.trainer import Trainer, TrainerConfig
    from saddlepoint.zoo.catalogue import find_recipe

    words = tuple(map(str, range(WORDS)))
    spec = DataSpec(name="random", kind="sequence", shape=(LENGTH,), num_records=1000, fields=("tokens",), vocabulary=words)
    data = ArrayDataset({"tokens": torch.randint(WORDS, (1000, LENGTH))}, spec)
    recipe = find_recipe("seqgan")
    game = recipe.game(recipe.preset("paper"), data)
    trainer = Trainer(game, data, TrainerConfig(batch=BATCH, horizon=370))
    game.clock.round = 200  # of the adversarial phase
    trainer._enter_phase()

    def play() -> None:
        game.round_key = (0, game.clock.round)
        game.begin_round()
        trainer.take(game.act, 0, trainer.feed.next())

    return play
