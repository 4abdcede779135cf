"""The trainer's promises on small games: equal seeds, micro-batches, frozen opponents, nothing computed in vain."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor, nn

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.records import DataSpec
from saddlepoint.errors import NotFiniteError, UsageError
from saddlepoint.games.adversarial import AdversarialConfig, AdversarialGame
from saddlepoint.games.player import SGD, Adam, RMSprop
from saddlepoint.games.terms import R1, R2, FeatureMatching, GradientPenalty, HistoricalAveraging, LeCam, Term
from saddlepoint.games.unrolling import Unrolled
from saddlepoint.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from saddlepoint.networks.layers import Dropout
from saddlepoint.networks.mlp import MLPDiscriminator, MLPGenerator
from saddlepoint.objectives.minimax import NonSaturating
from saddlepoint.training.logbook import Logbook
from saddlepoint.training.trainer import Trainer, TrainerConfig
from saddlepoint.views.diffaugment import DiffAugment

Terms = Callable[[], Sequence[Term]]


def images(n: int = 64, c: int = 1, size: int = 16) -> ArrayDataset:
    pixels = torch.randint(0, 256, (n, c, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    spec = DataSpec(name="noise", kind="image", shape=(c, size, size), num_records=n)
    return ArrayDataset({"image": pixels}, spec)


def make_game(
    *,
    terms: Sequence[Term] = (),
    config: AdversarialConfig | None = None,
    dtype: torch.dtype = torch.float64,
    dropout: bool = False,
    **settings: object,
) -> AdversarialGame:
    torch.manual_seed(0)
    config = config or AdversarialConfig(batch=16, latent_dim=8, ema_halflife_kimg=0.1)
    generator = MLPGenerator(8, (1, 16, 16), width=24, output="tanh")
    discriminator = MLPDiscriminator((1, 16, 16), width=24, activation="leaky_relu")
    if dropout:
        discriminator.hidden.append(Dropout(0.5))
    return AdversarialGame(config, generator, discriminator, NonSaturating(), terms=terms, **settings).to(dtype)  # type: ignore[arg-type]


def play(game: AdversarialGame, rounds: int = 4, *, micro_batches: int = 1, seed: int = 3) -> dict[str, Tensor]:
    trainer = Trainer(game, images(), TrainerConfig(seed=seed, batch=16, micro_batches=micro_batches, horizon=100))
    try:
        for _ in range(rounds):
            trainer.play_round()
    finally:
        trainer.close()
    return {name: value.clone() for name, value in game.state_dict().items()}


def largest_difference(a: dict[str, Tensor], b: dict[str, Tensor]) -> float:
    assert a.keys() == b.keys()
    return max((a[name] - b[name]).abs().max().item() for name in a)


def test_one_seed_one_result_bit_for_bit() -> None:
    first, second, other = play(make_game(dropout=True)), play(make_game(dropout=True)), play(make_game(dropout=True), seed=4)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["generator.last.weight"], other["generator.last.weight"])


REGULARISED: dict[str, Terms] = {
    "none": lambda: (),
    "r1 and r2": lambda: (R1(2.0), R2(1.0)),
    "lazy r1": lambda: (R1(2.0, every=2),),
    "gradient penalty": lambda: (GradientPenalty(10.0),),
    "lecam": lambda: (LeCam(0.3),),
}


@pytest.mark.parametrize("terms", REGULARISED.values(), ids=REGULARISED)
@pytest.mark.parametrize("share_fakes", [False, True])
def test_micro_batches_give_the_whole_batch(terms: Terms, share_fakes: bool) -> None:
    config = AdversarialConfig(batch=16, latent_dim=8, ema_halflife_kimg=0.1, share_fakes=share_fakes)
    view = DiffAugment("color,translation,cutout")
    whole = play(make_game(terms=terms(), config=config, dropout=True, view=view))
    pieces = play(make_game(terms=terms(), config=config, dropout=True, view=view), micro_batches=4)
    assert largest_difference(whole, pieces) < 1e-12


def test_micro_batches_through_the_unrolled_opponent_differ_as_documented() -> None:
    """The unrolled steps are taken on each piece: the surrogate is a mean over pieces, so it is close but not the same."""
    whole = play(make_game(opponent=Unrolled(2)), rounds=1)
    pieces = play(make_game(opponent=Unrolled(2)), rounds=1, micro_batches=2)
    assert 0 < largest_difference(whole, pieces) < 1e-2


@pytest.mark.parametrize("optimizer", [Adam(lr=1e-3), RMSprop(lr=1e-3), SGD(lr=1e-2, momentum=0.5)])
def test_a_turn_moves_only_its_player(optimizer: Adam | RMSprop | SGD) -> None:
    game = make_game(config=AdversarialConfig(batch=16, latent_dim=8, generator_optimizer=optimizer, discriminator_optimizer=optimizer))
    trainer = Trainer(game, images(), TrainerConfig(batch=16))
    for index, turn in enumerate(game.play()):
        before = {name: p.clone() for name, p in game.named_parameters()}
        trainer.take(turn, index, trainer.feed.next())
        moved = {name.split(".")[0] for name, p in game.named_parameters() if not torch.equal(p, before[name])}
        assert moved == {turn.player}
    trainer.close()


def leaves(loss: Tensor) -> set[int]:
    """Parameters that the backward pass of a loss would compute a gradient for."""
    found, seen, stack = set(), set(), [loss.grad_fn]
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            found.add(id(node.variable))
        stack += [parent for parent, _ in node.next_functions]
    return found


@pytest.mark.parametrize("share_fakes", [False, True])
def test_no_gradient_of_the_opponents_weights_is_computed(share_fakes: bool) -> None:
    game = make_game(config=AdversarialConfig(batch=16, latent_dim=8, share_fakes=share_fakes), terms=[R1(1.0), FeatureMatching()])
    trainer = Trainer(game, images(), TrainerConfig(batch=16))
    batch = trainer.feed.next()
    for turn in game.play():
        with trainer._only(game.players[turn.player]):
            reached = leaves(turn(batch).total())
            own = {id(p) for p in game.players[turn.player].parameters()}
            foreign = {id(p) for other in game.players.values() if other.name != turn.player for p in other.parameters()}
            assert own <= reached
            assert not reached & foreign
    trainer.close()


class Counting(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.calls, self.seen = network, 0, 0

    def forward(self, x: Tensor) -> object:
        self.calls += 1
        self.seen += len(x)
        return self.network(x)


@pytest.mark.parametrize(("share_fakes", "generated"), [(False, 32), (True, 16)])
def test_nothing_is_computed_twice(share_fakes: bool, generated: int) -> None:
    game = make_game(config=AdversarialConfig(batch=16, latent_dim=8, share_fakes=share_fakes))
    game.generator, game.discriminator = Counting(game.generator), Counting(game.discriminator)
    play(game, rounds=1)
    assert game.generator.seen == generated
    assert (game.discriminator.calls, game.discriminator.seen) == (2, 48)  # real and fake in one pass, then the generator's fakes


def test_batch_statistics_keep_real_and_fake_apart() -> None:
    torch.manual_seed(0)
    config = AdversarialConfig(batch=16, latent_dim=8)
    game = AdversarialGame(config, DCGANGenerator(8, (1, 16, 16), 4), DCGANDiscriminator((1, 16, 16), 4), NonSaturating())
    game.discriminator = Counting(game.discriminator)
    play(game, rounds=1)
    assert (game.discriminator.calls, game.discriminator.seen) == (3, 48)


def test_records_are_read_only_where_a_turn_looks_at_them() -> None:
    game = make_game(config=AdversarialConfig(batch=16, latent_dim=8, d_steps=3, g_steps=2))
    trainer = Trainer(game, images(), TrainerConfig(batch=16))
    trainer.play_round()
    assert trainer.feed.position == 3 * trainer.config.batch
    assert game.clock.images_seen == 48
    trainer.close()


def test_the_average_follows_the_formula() -> None:
    game = make_game(config=AdversarialConfig(batch=16, latent_dim=8, ema_halflife_kimg=0.016))  # one batch is one half-life
    old = game.generator_ema.last.weight.clone()  # type: ignore[union-attr, operator]
    play(game, rounds=1)
    torch.testing.assert_close(game.generator_ema.last.weight, (old + game.generator.last.weight) / 2)  # type: ignore[union-attr, operator]


def test_historical_mean_is_the_mean_of_all_moves() -> None:
    game = make_game()
    game.terms.append(HistoricalAveraging("generator", game.generator, weight=0.1).double())
    trainer = Trainer(game, images(), TrainerConfig(batch=16))
    weights = []
    for _ in range(3):
        trainer.play_round()
        weights.append(game.generator.last.bias.clone())  # type: ignore[union-attr, operator]
    means = list(game.terms[0].means().values())  # type: ignore[operator]
    torch.testing.assert_close(means[-1], torch.stack(weights).mean(0))
    trainer.close()


def test_linear_decay_reaches_the_optimiser() -> None:
    game = make_game(config=AdversarialConfig(batch=16, latent_dim=8, lr_decay="linear", generator_optimizer=Adam(lr=1.0e-3)))
    trainer = Trainer(game, images(), TrainerConfig(batch=16, horizon=10))
    for _ in range(4):
        trainer.play_round()
    optimizer = game.players["generator"].torch_optimizer
    assert optimizer is not None
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.7e-3)
    trainer.close()


def test_batch_that_cannot_be_cut_is_refused() -> None:
    with pytest.raises(UsageError, match=r"A batch of 16 cannot be cut into 1 process\(es\) x 3 micro-batch\(es\): choose a multiple of 3"):
        Trainer(make_game(), images(), TrainerConfig(batch=16, micro_batches=3))


def test_a_loss_that_is_not_finite_names_player_term_and_round() -> None:
    book = Logbook(every=10)
    book.add(6, {"discriminator/adversarial": torch.tensor(1.0)})
    book.add(7, {"discriminator/r1": torch.tensor(float("nan"))})
    with pytest.raises(NotFiniteError, match="Round 7: the discriminator's r1 became nan.*last good"):
        book.drain("The last good checkpoint is X.")


def test_a_weight_that_is_not_finite_is_named() -> None:
    game = make_game()
    trainer = Trainer(game, images(), TrainerConfig(batch=16))
    game.generator.last.bias.data[3] = float("inf")  # type: ignore[union-attr, operator, index]
    with pytest.raises(NotFiniteError, match=r"the generator's weight last\.bias is not finite"):
        trainer.check_weights("")
    trainer.close()


def test_the_log_is_the_same_wherever_it_is_drained() -> None:
    values = [{"g/loss": torch.tensor(0.1 * i)} for i in range(10)]
    whole, cut = Logbook(10), Logbook(10)
    for round, value in enumerate(values):
        whole.add(round, value)
        cut.add(round, value)
        if round in (2, 7):
            cut.drain("")
            saved = cut.state_dict()
            cut = Logbook(10)
            cut.load_state_dict(saved)
    whole.drain("")
    cut.drain("")
    assert whole.record() == cut.record()
