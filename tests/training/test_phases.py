"""Phases of a game, and terms that are minimised in a move of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from saddlepoint.draws import Draws, truncated_normal
from saddlepoint.errors import UsageError
from saddlepoint.games.adversarial import AdversarialConfig, AdversarialGame
from saddlepoint.games.game import Game, Phase, Turn
from saddlepoint.games.player import SGD, Adam
from saddlepoint.games.terms import R1, Scene, Term
from saddlepoint.networks.mlp import MLPDiscriminator, MLPGenerator
from saddlepoint.objectives.minimax import NonSaturating
from saddlepoint.training.trainer import Trainer, TrainerConfig
from tests.training.test_promises import images, make_game, play

THREE = (Phase("small", 2), Phase("wide", 4, batch=32, fresh=("discriminator",)), Phase("last", 4, batch=8))


def trainer_of(game: Game, *, horizon: int = 10, micro_batches: int = 1) -> Trainer:
    return Trainer(game, images(), TrainerConfig(seed=3, batch=16, micro_batches=micro_batches, horizon=horizon))


def phased() -> AdversarialGame:
    game = make_game(config=AdversarialConfig(batch=16, latent_dim=8, rounds=10, ema_halflife_kimg=0.1))
    game.phases = THREE
    return game


def test_the_clock_says_the_phase():
    game = phased()
    for horizon, stops in ((10, (2, 6, 10)), (20, (4, 12, 20)), (5, (1, 3, 5))):
        game.clock.horizon = horizon
        names = []
        for game.clock.round in range(horizon + 3):
            place = game.place
            assert place is not None
            names.append(place.phase.name)
            assert 0 <= place.progress(game.clock.round) <= 1
        assert [names.count(phase.name) for phase in THREE] == [stops[0], stops[1] - stops[0], stops[2] - stops[1] + 3]  # the last goes on
    assert make_game().place is None


def test_batches_and_optimisers_follow_the_phase():
    game = phased()
    trainer = trainer_of(game)
    seen, steps = [], []
    try:
        for _ in range(10):
            trainer.play_round()
            seen.append(game.clock.images_seen)
            optimizers = [game.players[name].torch_optimizer for name in ("discriminator", "generator")]
            steps.append([int(next(iter(optimizer.state.values()))["step"]) for optimizer in optimizers if optimizer])
    finally:
        trainer.close()
    assert seen == [16, 32, 64, 96, 128, 160, 168, 176, 184, 192]
    assert steps == [[1, 1], [2, 2], [1, 3], [2, 4], [3, 5], [4, 6], [5, 7], [6, 8], [7, 9], [8, 10]]


def test_a_resumed_phase_reads_on_where_it_stopped():
    game, other = phased(), phased()
    whole, first = trainer_of(game), trainer_of(other)
    try:
        for _ in range(9):
            whole.play_round()
        for _ in range(6):
            first.play_round()
        again = phased()
        again.load_state_dict(other.state_dict())
        rest = trainer_of(again)
        for name, player in again.players.items():  # carried over here by hand; a run carries it in its checkpoint
            theirs = other.players[name].torch_optimizer
            assert theirs is not None and player.torch_optimizer is not None
            player.torch_optimizer.load_state_dict(theirs.state_dict())
        again.clock.round, rest.feed.position = 6, first.feed.position
        for _ in range(3):
            rest.play_round()
        rest.close()
    finally:
        whole.close()
        first.close()
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in game.state_dict().items())


def test_every_phase_must_fit_the_micro_batches():
    game = phased()
    game.phases = (Phase("odd", 1, batch=9), *THREE)
    with pytest.raises(UsageError, match="A batch of 9 cannot be cut into 1 process"):
        trainer_of(game, micro_batches=2)


def test_the_game_hears_of_each_round_with_its_clock_set():
    class Heard(AdversarialGame):
        def begin_round(self) -> None:
            assert self.place is not None
            heard.append((self.clock.round, self.place.phase.name, self.clock.batch))

    heard: list[tuple[int, str, int]] = []
    game = phased()
    game.__class__ = Heard
    play_some(game, 3)
    assert heard == [(0, "small", 16), (1, "small", 16), (2, "wide", 32)]


def play_some(game: Game, rounds: int, **settings: int) -> None:
    trainer = trainer_of(game, **settings)
    try:
        for _ in range(rounds):
            trainer.play_round()
    finally:
        trainer.close()


# -- terms in a move of their own --------------------------------------------------------------------------------------------------------


class Push(Term):
    """A generator's term that makes samples of its own and counts its moves."""

    name = "push"
    player = "generator"
    alone = True
    moves: Tensor

    def __init__(self, every: int) -> None:
        super().__init__()
        self.every = every
        self.register_buffer("moves", torch.zeros(()))

    def forward(self, scene: Scene) -> Tensor:
        z, _ = scene.latents(len(scene.batch) // 2)
        out: Tensor = scene.generator(z)
        return out.square().mean()

    def after_turn(self, player: str, values: object) -> None:
        self.moves += 1


def names(turns: Iterator[Turn]) -> list[str]:
    return [turn.name for turn in turns]


def test_a_lazy_term_moves_alone_every_few_rounds():
    push = Push(2)
    game = make_game(terms=[R1(1.0, every=4, alone=True), push])
    main = ["discriminator_turn", "generator_turn"]
    counted: Counter[str] = Counter()
    for game.clock.round in range(8):
        turns = names(game.play())
        counted.update(turns)
        assert [name for name in turns if name in main] == main
    assert counted == {**dict.fromkeys(main, 8), "discriminator_regularisation": 2, "generator_regularisation": 4}
    game.clock.round = 0
    play(game, rounds=8)
    assert push.moves == 4


def test_adam_is_adapted_to_the_extra_moves():
    config = AdversarialConfig(batch=16, latent_dim=8, discriminator_optimizer=Adam(lr=0.002, beta1=0.5, beta2=0.99))
    game = make_game(terms=[R1(1.0, every=16, alone=True)], config=config)
    adam = game.players["discriminator"].optimizer
    assert isinstance(adam, Adam)
    assert (adam.lr, adam.beta1, adam.beta2) == pytest.approx((0.002 * 16 / 17, 0.5 ** (16 / 17), 0.99 ** (16 / 17)))
    assert game.players["generator"].optimizer == config.generator_optimizer


def test_the_lazy_move_is_the_interval_times_the_penalty():
    config = AdversarialConfig(batch=16, latent_dim=8, discriminator_optimizer=SGD(lr=1.0), generator_optimizer=SGD(lr=0.0))
    lazy, plain = make_game(terms=[R1(0.5, every=4, alone=True)], config=config), make_game(terms=[R1(0.5, alone=True)], config=config)
    moved = []
    for one in (lazy, plain):
        trainer = trainer_of(one)
        moved.append(trainer.gradient_of(one.discriminator_regularisation))
        trainer.close()
    for name, value in moved[1].items():
        torch.testing.assert_close(moved[0][name], 4 * value)


def test_the_average_does_not_follow_a_regularising_move():
    plain, regular = make_game(), make_game(terms=[Push(1)], config=None)
    decays = []
    for game in (plain, regular):
        (average,) = game.averages
        decay = average.decay
        average.decay = lambda clock, decay=decay: decays.append(clock.round) or decay(clock)  # type: ignore[func-returns-value, misc]
        play(game, rounds=3)
    assert decays == [0, 1, 2] * 2


def test_micro_batches_play_a_lazy_term_alike():
    whole, cut = (play(make_game(terms=[R1(1.0, every=2, alone=True), Push(2)]), micro_batches=k) for k in (1, 4))
    for name, value in whole.items():
        torch.testing.assert_close(cut[name], value, rtol=0, atol=1e-9)


def test_a_penalty_may_follow_the_clock():
    fixed = play(make_game(terms=[R1(2.0)]))
    assert all(torch.equal(value, fixed[name]) for name, value in play(make_game(terms=[R1(lambda clock: 2.0)])).items())
    falling = play(make_game(terms=[R1(lambda clock: 2.0 / (1 + clock.round))]))
    assert not torch.equal(falling["discriminator.head.weight"], fixed["discriminator.head.weight"])


# -- truncation --------------------------------------------------------------------------------------------------------------------------


def test_truncated_latents():
    z = truncated_normal(torch.randn(200_000, generator=torch.Generator().manual_seed(0)), 0.5)
    assert z.abs().max() <= 0.5
    assert z.std().item() == pytest.approx(0.2838, rel=0.01)  # of a normal cut off at half a deviation
    game = make_game(dtype=torch.float32)
    x = game.sample(16, Draws.seeded(1), truncation=1e-6)
    assert (x - x[:1]).abs().max() < 1e-5
    assert not torch.equal(game.sample(16, Draws.seeded(1), truncation=2.0), game.sample(16, Draws.seeded(1)))


def test_truncation_that_cannot_be():
    flat = AdversarialGame(
        AdversarialConfig(latent="uniform", latent_dim=8), MLPGenerator(8, (1, 16, 16)), MLPDiscriminator((1, 16, 16)), NonSaturating()
    )
    for game, truncation in ((flat, 0.5), (make_game(), 0.0)):
        with pytest.raises(UsageError, match="Truncation needs a generator of normal latents and a threshold above 0"):
            game.sample(2, Draws.seeded(0), truncation=truncation)


def test_styles_are_truncated_by_their_generator():
    class Styled(nn.Module):
        truncation = "style"

        def forward(self, z: Tensor, truncation: float = 1.0) -> Tensor:
            return torch.full((len(z), 1), truncation)

    game = AdversarialGame(AdversarialConfig(latent_dim=2), Styled(), nn.Linear(1, 1), NonSaturating())
    assert game.sample(2, Draws.seeded(0), truncation=0.7).flatten().tolist() == pytest.approx([0.7, 0.7])
    assert game.sample(2, Draws.seeded(0)).flatten().tolist() == [1.0, 1.0]
