"""SeqGAN: the case `seqgan` of against_public.py; DIR is a checkout of williamSYSU/TextGAN-PyTorch.

An adversarial step of G and one of D on both sides. G's: 64 sequences of 20 among 5,000 tokens drawn, 16 roll-outs of every prefix, all judged by the
TextCNN of 1,720 maps, the policy gradient, Adam. D's: cross-entropy of 32 real and 32 generated sequences that lie ready, Adam. LSTM of 32, the
untrained starts of either side. Ours are the turns of the game as the trainer takes them, in float32; its highway layer has two matrices, as in the
authors' code, the checkout's uses one twice. `seqgan-generator` is G's step alone.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

Turn = Callable[[], None]
WORDS, LENGTH, BATCH, ROLL_OUTS = 5000, 20, 64, 16


def public(case: str, checkout: Path) -> Turn:
    """The bodies of its adv_train_generator and train_dis_epoch."""
    sys.path.insert(0, str(checkout))
    generator = importlib.import_module("models.SeqGAN_G").SeqGAN_G(32, 32, WORDS, LENGTH, 0)
    judge = importlib.import_module("models.SeqGAN_D").SeqGAN_D(64, WORDS, 0)
    rollout = importlib.import_module("utils.rollout")
    move, move_d = torch.optim.Adam(generator.parameters(), lr=1e-2), torch.optim.Adam(judge.parameters(), lr=1e-4)
    sequences, classes = torch.randint(WORDS, (BATCH, LENGTH)), torch.arange(BATCH) % 2

    def step(optimizer: torch.optim.Optimizer, loss: torch.Tensor, model: torch.nn.Module) -> None:
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()

    def play() -> None:
        policy = rollout.ROLLOUT(generator, False)
        target = generator.sample(BATCH, BATCH)
        read = torch.cat([torch.ones(BATCH, 1, dtype=torch.int64), target[:, :-1]], 1)  # behind its start letter, 1
        step(move, generator.batchPGLoss(read, target, policy.get_reward(target, ROLL_OUTS, judge)), generator)
        if case == "seqgan":
            scores = judge(sequences)
            loss = torch.nn.functional.cross_entropy(scores, classes)
            step(move_d, loss, judge)
            (loss.item(), (scores.argmax(1) == classes).sum().item())

    return play


def ours(case: str) -> Turn:
    """G's turn and D's of the paper preset."""
    from saddlepoint.data.arrays import ArrayDataset
    from saddlepoint.data.records import DataSpec
    from saddlepoint.training.trainer import Trainer, TrainerConfig
    from saddlepoint.zoo.catalogue import find_recipe

    words = tuple(map(str, range(WORDS)))
    spec = DataSpec(name="random", kind="sequence", shape=(LENGTH,), num_records=1000, fields=("tokens",), vocabulary=words)
    data = ArrayDataset({"tokens": torch.randint(WORDS, (1000, LENGTH))}, spec)
    recipe = find_recipe("seqgan")
    game: Any = recipe.game(recipe.preset("paper"), data)
    trainer = Trainer(game, data, TrainerConfig(batch=BATCH, horizon=370))
    game.clock.round = 200  # of the adversarial phase
    trainer._enter_phase()
    ready, order = torch.randint(WORDS, (10_000, LENGTH)), torch.randperm(10_000)

    def play() -> None:
        game.round_key = (0, game.clock.round)
        game.begin_round()
        trainer.take(game.act, 0, trainer.feed.next())
        if case == "seqgan":
            game._negatives, game._order, game._judged = ready, order, 1  # in the middle of a training
            trainer.take(game.judging, 1, trainer.feed.next())

    return play
