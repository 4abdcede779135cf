"""Imitation, PG-BLEU, SeqGAN and MaliGAN against their papers, line by line."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.oracle import open_oracle
from saddlepoint.data.records import Batch, DataSpec
from saddlepoint.draws import Draws
from saddlepoint.errors import UsageError
from saddlepoint.evaluation.bleu import bleu_scores
from saddlepoint.evaluation.samples import draw_samples
from saddlepoint.games.bleu_reward import BleuReward
from saddlepoint.games.game import Measures, Samples, Shows
from saddlepoint.games.sequences import Writes
from saddlepoint.networks.sequences import roll_out, sample_sequences, uniforms_needed
from saddlepoint.training.trainer import Trainer, TrainerConfig
from saddlepoint.zoo.catalogue import find_recipe

WORDS, LENGTH = 9, 4
TINY = {
    "batch": 8,
    "mle_steps": 3,
    "mle_rounds": 1,
    "d_pretraining": 1,
    "adversarial_rounds": 2,
    "rounds": 4,
    "d_batch": 8,
    "roll_outs": 3,
    "negatives": 16,
    "d_epochs": 2,
    "d_steps": 2,
    "filters": (1, 2),
    "maps": (4, 4),
    "advantage": False,
    "policy_steps": 1,
}


def oracle_data():
    return open_oracle("tiny", WORDS, LENGTH, 40)


def worded(words=("<end>", "a", "b", "c")):
    tokens = torch.tensor([[1, 2, 3, 0], [2, 2, 0, 0], [3, 1, 1, 1], [1, 2, 0, 0]])
    return ArrayDataset({"tokens": tokens}, DataSpec(name="text:x", kind="sequence", shape=(4,), num_records=4, fields=("tokens",), vocabulary=words))


def build(name, data=None, preset="small", dtype=torch.float64, **changes):
    entry = find_recipe(name)
    config = entry.preset(preset)
    known = {field.name for field in dataclasses.fields(config)}
    config = dataclasses.replace(config, **{key: value for key, value in (TINY | changes).items() if key in known})
    torch.manual_seed(0)
    game = entry.game(config, data or oracle_data()).to(dtype)
    game.draws = Draws.seeded("here", dtype=dtype)
    game.clock.horizon = config.rounds
    return game


def trainer_of(game, data=None, micro_batches=1):
    log = []
    config = TrainerConfig(seed=3, batch=game.sequences.batch, horizon=game.sequences.rounds, micro_batches=micro_batches)
    trainer = Trainer(game, data or oracle_data(), config, record=lambda round, values: log.append((round, values)))
    return trainer, log


def real(n=8):
    return Batch({"tokens": oracle_data().column("tokens")[:n]})


def names_of(game, round):
    game.clock.round = round
    game.begin_round()
    return [turn.name for turn in game.play()]


def test_imitation_is_cross_entropy():
    game = build("sequence-mle")
    tokens = real().x
    probs = torch.softmax(game.generator(tokens), 2).detach().numpy()
    expected = -np.mean([np.log(probs[n, t, tokens[n, t]]) for n in range(8) for t in range(LENGTH)])
    assert game.imitate(real()).total().item() == pytest.approx(expected, rel=1e-10)


def test_an_end_is_learnt_and_what_is_behind_it_is_not():
    game = build("sequence-mle", worded())
    batch = Batch({"tokens": worded().column("tokens")})
    log_p = torch.log_softmax(game.generator(batch.x), 2).gather(2, batch.x[..., None])[..., 0]
    counted = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 0]])
    assert game.imitate(batch).total().item() == pytest.approx(-(log_p * counted).mean().item())
    assert game.measure(batch, game.draws)["nll_data"].item() == pytest.approx(-(log_p * counted).sum().item() / 14)


def test_scheduled_sampling_begins_with_true_tokens_and_ends_with_its_own():
    game = build("sequence-mle", own_tokens=0.25)
    assert names_of(game, 0) == ["imitate"] * 3
    assert names_of(game, 1) == ["imitate_itself"] * 3
    shares = []
    for round in range(6):
        game.clock.round = round
        shares.append(game.own_share)
    assert shares == [0, 0.25, 0.5, 0.75, 1, 1]
    forced = game.imitate(real()).total()
    game.clock.round = 0
    assert game.imitate_itself(real()).total().item() == pytest.approx(forced.item())  # share 0: every token read is true
    game.clock.round, game.draws = 4, Draws.seeded("own", dtype=torch.float64)
    found = game.imitate_itself(real()).total()
    draws = Draws.seeded("own", dtype=torch.float64)
    draws.uniform(8, LENGTH)
    own = sample_sequences(game.generator, draws.uniform(8, LENGTH))
    log_p = torch.log_softmax(game.generator(own), 2).gather(2, real().x[..., None])[..., 0]  # reads its own, is asked for the true ones
    assert found.item() == pytest.approx(-log_p.mean().item())


def test_the_turns_are_those_of_algorithm_1():
    game = build("seqgan", g_steps=2)
    training = 2 * (2 * 16 // 8)  # two passes over 16 negatives and 16 real ones, 8 a batch
    assert names_of(game, 0) == ["imitate"] * 3
    assert names_of(game, 1) == ["judging"] * training
    assert names_of(game, 2) == ["act"] * 2 + ["judging"] * (2 * training)


def test_the_game_may_have_a_rate_of_its_own():
    game = build("seqgan", game_lr=1e-3)
    rates = []
    for round in range(3):
        game.clock.round = round
        rates.append(game.players["generator"].schedule(game.clock)["lr"])
    assert rates == [1e-2, 1e-3, 1e-3]
    assert build("seqgan", preset="paper").players["generator"].schedule is None


def test_advantages_take_what_was_expected():
    game = build("seqgan", advantage=True)
    game.draws = Draws.seeded("act", dtype=torch.float64)
    loss = game.act(real(4)).total()
    game.draws = Draws.seeded("act", dtype=torch.float64)
    tokens = sample_sequences(game.generator, game.draws.uniform(8, LENGTH))
    rewards, log_p = game.rewards(tokens), game.generator.log_prob(tokens)
    expected = -sum((log_p[:, t] * (rewards[:, t] - (rewards[:, t - 1] if t else 0.5))).sum().item() for t in range(LENGTH))
    assert loss.item() == pytest.approx(expected)
    game.after_turn(game.act, {"generator/reward": torch.tensor(0.7)})
    assert game.expected.item() == pytest.approx(0.52)


def test_the_paper_preset_holds_the_papers_constants():
    config = find_recipe("seqgan").preset("paper")
    assert (config.mle_rounds, config.mle_steps, config.d_pretraining, config.adversarial_rounds) == (120, 10_000 // 64, 50, 200)
    assert (config.roll_outs, config.roll_out_decay, config.g_steps, config.d_steps, config.d_epochs, config.negatives) == (16, 0.8, 1, 5, 3, 10_000)
    assert (config.generator_optimizer.lr, config.clip_norm, config.init_std, config.hidden_dim, config.embed_dim) == (1e-2, 5.0, 0.1, 32, 32)
    assert (config.discriminator_optimizer.lr, config.dropout, config.d_l2, config.d_embed_dim, sum(config.maps)) == (1e-4, 0.25, 0.2, 64, 1720)
    assert config.d_moves_a_training == 3 * 312  # as the released loader cuts 20,000 into batches of 64


def test_rewards_are_means_over_roll_outs():
    """Eq. 4, each roll-out judged alone."""
    game = build("seqgan")
    tokens = real(3).x
    game.draws = Draws.seeded("q", dtype=torch.float64)
    rewards = game.rewards(tokens)
    u = Draws.seeded("q", dtype=torch.float64).uniform(3, 3, uniforms_needed(LENGTH))
    finished = roll_out(game.roll_out_policy, tokens, u)
    judge = game.discriminator.eval()
    for n in range(3):
        for t in range(LENGTH - 1):
            each = [torch.sigmoid(judge(finished[t, n, k][None]).logits).item() for k in range(3)]
            assert rewards[n, t].item() == pytest.approx(np.mean(each), rel=1e-9)
        assert rewards[n, -1].item() == pytest.approx(torch.sigmoid(judge(tokens[n][None]).logits).item(), rel=1e-9)


def test_acting_is_reinforce():
    game = build("seqgan")
    game.draws = Draws.seeded("act", dtype=torch.float64)
    loss = game.act(real(4))  # half a batch of D: G makes a whole batch
    game.draws = Draws.seeded("act", dtype=torch.float64)
    tokens = sample_sequences(game.generator, game.draws.uniform(8, LENGTH))
    rewards = game.rewards(tokens)
    expected = -(game.generator.log_prob(tokens) * rewards).sum()
    assert loss.total().item() == pytest.approx(expected.item())
    assert not rewards.requires_grad


@pytest.mark.parametrize("advantage", [False, True])
def test_the_policy_gradient_is_that_of_the_expected_reward(advantage):
    """With two tokens everything can be enumerated: the mean of the estimates is the gradient of E D(Y)."""
    data = open_oracle("pairs", 2, 2, 40)
    game = build("seqgan", data, batch=20_000, d_batch=40_000, negatives=40_000, roll_outs=2, advantage=advantage)
    game.roll_out_policy.load_state_dict(game.generator.state_dict())
    with torch.no_grad():
        game.discriminator.output.weight.mul_(200)
    game.draws = Draws.seeded("many", dtype=torch.float64)
    bias = game.generator.output.bias
    estimate = torch.autograd.grad(game.act(Batch({"tokens": data.column("tokens")[:1].expand(20_000, 2)})).total(), bias)[0] / -20_000
    every = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]])
    judged = torch.sigmoid(game.discriminator.eval()(every).logits).detach()
    exact = torch.autograd.grad((game.generator.log_prob(every).sum(1).exp() * judged).sum(), bias)[0]
    assert exact.abs().max() > 0.05
    assert (estimate - exact).abs().max() < 0.01


def test_the_roll_out_policy_follows():
    game = build("seqgan")
    with torch.no_grad():
        for parameter in game.generator.parameters():
            parameter.add_(1.0)
    before = {name: value.clone() for name, value in game.roll_out_policy.named_parameters()}
    names_of(game, 1)
    assert all(torch.equal(value, before[name]) for name, value in game.roll_out_policy.named_parameters())  # not before the game begins
    names_of(game, 2)
    theirs = dict(game.generator.named_parameters())
    assert all(torch.equal(value, theirs[name]) for name, value in game.roll_out_policy.named_parameters())
    with torch.no_grad():
        for parameter in game.generator.parameters():
            parameter.add_(1.0)
    names_of(game, 3)
    for name, value in game.roll_out_policy.named_parameters():
        expected = theirs[name] if "embedding" in name else theirs[name] - 0.8
        assert torch.allclose(value, expected), name


def test_every_pass_shows_every_negative_once():
    game = build("seqgan")
    trainer, _ = trainer_of(game)
    seen, fakes = [], game.fakes
    game.fakes = lambda batch: (seen.append(fakes(batch)), seen[-1])[1]
    try:
        for _ in range(3):
            trainer.play_round()
    finally:
        trainer.close()
    per_pass = 2 * 16 // 8
    passes = [sorted(map(tuple, torch.cat(seen[i : i + per_pass]).tolist())) for i in range(0, len(seen), per_pass)]
    assert len(passes) == 2 + 2 * 2
    assert passes[0] == passes[1]  # the same in both passes of a training
    assert passes[2] == passes[3] != passes[4] == passes[5]  # fresh for the next
    assert not torch.equal(torch.cat(seen[:per_pass]), torch.cat(seen[per_pass : 2 * per_pass]))  # in another order


def test_judging_is_cross_entropy_with_a_penalty():
    game = build("seqgan", dropout=0.0)
    game.draws = Draws.seeded("j", dtype=torch.float64)
    loss = game.judging(real(4))
    game.draws = Draws.seeded("j", dtype=torch.float64)
    fake = game.fakes(real(4))
    real_p, fake_p = (torch.sigmoid(game.discriminator(x).logits) for x in (real(4).x, fake))
    expected = -(torch.log(real_p).sum() + torch.log(1 - fake_p).sum()) / 8
    assert loss.terms["adversarial"].item() == pytest.approx(expected.item())
    output = game.discriminator.output
    assert loss.terms["l2"].item() == pytest.approx(0.2 * ((output.weight**2).sum() + (output.bias**2).sum()).item() / 2)


@pytest.mark.parametrize(
    ("name", "preset", "changes"),
    [("seqgan", "small", {}), ("seqgan", "small", {"judge": "recurrent", "cell": "gru"}), ("maligan", "small", {}), ("maligan", "small-full", {})],
)
def test_pieces_are_the_whole_in_every_phase(name, preset, changes):
    ends = []
    for pieces in (1, 2):
        game = build(name, preset=preset, **changes)
        trainer, log = trainer_of(game, micro_batches=pieces)
        try:
            for _ in range(4):
                trainer.play_round()
        finally:
            trainer.close()
        ends.append(({key: value.clone() for key, value in game.state_dict().items()}, log))
    assert max((a - b).abs().max().item() for a, b in zip(ends[0][0].values(), ends[1][0].values(), strict=True)) < 1e-9
    assert any("generator/policy" in values or "generator/weighted" in values for _, values in ends[0][1])


def test_maligan_weighs_by_the_ratio_of_densities():
    game = build("maligan", logit_limit=100.0)
    tokens = real().x[None]
    p = torch.sigmoid(game.discriminator.eval()(tokens[0]).logits)
    r = p / (1 - p)
    weights = game.weigh(tokens)
    assert torch.allclose(weights[0], r / r.sum())
    assert not torch.allclose(weights[0], p / p.sum(), atol=1e-6)
    game.config = dataclasses.replace(game.config, logit_limit=1e-9)
    assert torch.allclose(game.weigh(tokens), torch.full((1, 8), 1 / 8, dtype=torch.float64))


def test_the_basic_form():
    game = build("maligan")
    game.draws = Draws.seeded("act", dtype=torch.float64)
    loss = game.act(real(4))
    tokens = sample_sequences(game.generator, Draws.seeded("act", dtype=torch.float64).uniform(8, LENGTH))
    weights = game.weigh(tokens[None])[0]
    log_p = game.generator.log_prob(tokens).sum(1)
    assert loss.total().item() == pytest.approx(-((weights - 1 / 8) * log_p).sum().item())
    assert loss.watched["effective"].item() == pytest.approx(1 / (weights**2).sum().item())
    best = weights.argmax()
    assert torch.autograd.grad(loss.total(), game.generator.output.bias, retain_graph=True)[0].isfinite().all()
    (slope,) = torch.autograd.grad(-((weights - 1 / 8) * log_p).sum(), log_p)
    assert slope[best] < 0  # what D finds most real becomes likelier


def test_the_full_form():
    game = build("maligan", preset="small-full", clamp_step=2, completions=3)
    game.clock.round = 2
    assert game.kept_tokens == 2
    game.draws = Draws.seeded("mixed", dtype=torch.float64)
    loss = game.act_mixed(real(4))
    x = real(4).x
    u = Draws.seeded("mixed", dtype=torch.float64).uniform(4, 3, LENGTH)
    expected = likelihood = 0.0
    for i in range(4):
        made = sample_sequences(game.generator, u[i], given=x[i : i + 1].expand(3, -1), clamp=2)
        assert torch.equal(made[:, :2], x[i : i + 1, :2].expand(3, -1))
        p = torch.sigmoid(game.discriminator.eval()(made).logits)
        r = p / (1 - p)
        log_p = game.generator.log_prob(made)
        expected -= ((r / r.sum() - 1 / 3) * log_p[:, 2:].sum(1)).sum().item() / 4
        likelihood -= log_p[0, :2].sum().item() / 4
    assert loss.terms["weighted"].item() == pytest.approx(expected)
    assert loss.terms["likelihood"].item() == pytest.approx(likelihood)


def test_the_real_beginning_gets_shorter():
    game = build("maligan", preset="small-full", clamp_step=2, adversarial_rounds=10, rounds=12)
    kept = []
    for round in range(2, 12):
        game.clock.round = round
        kept.append(game.kept_tokens)
    assert kept == [2] * 5 + [0] * 5
    game.clock.round = 1  # D is trained first on what the game begins with
    assert game.kept_tokens == 2
    assert torch.equal(game.fakes(real())[:, :2], real().x[:, :2])


@pytest.mark.parametrize("order", [1, 2, 3])
def test_the_reward_is_bleu(order):
    rng = torch.Generator().manual_seed(0)
    rows = [torch.randint(5, (int(length),), generator=rng) for length in torch.randint(3, 7, (60,), generator=rng)]
    lengths = torch.tensor([len(row) for row in rows])
    tokens = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    reward = BleuReward(tokens[:30], lengths[:30], order)
    lists = [row.tolist() for row in rows]
    np.testing.assert_allclose(reward(tokens[30:], lengths[30:]).numpy(), bleu_scores(lists[:30], lists[30:], order), rtol=1e-10)


def test_pg_bleu_rewards_whole_sequences():
    game = build("pg-bleu", policy_rounds=1, rounds=2)
    game.draws = Draws.seeded("act", dtype=torch.float64)
    loss = game.act(real())
    tokens = sample_sequences(game.generator, Draws.seeded("act", dtype=torch.float64).uniform(8, LENGTH))
    corpus = oracle_data().column("tokens").tolist()
    rewards = torch.tensor(bleu_scores(corpus, tokens.tolist(), 2), dtype=torch.float64)
    assert loss.total().item() == pytest.approx(-(game.generator.log_prob(tokens).sum(1) * rewards).sum().item())
    assert names_of(game, 1) == ["act"]


@pytest.mark.parametrize("name", ["sequence-mle", "pg-bleu", "seqgan", "maligan"])
def test_what_a_game_of_sequences_can_do(name):
    game = build(name, worded())
    assert isinstance(game, Samples) and isinstance(game, Shows) and isinstance(game, Measures) and isinstance(game, Writes)
    assert game.metric == "nll_data"
    assert game.lines(torch.tensor([[1, 2, 0, 3]])) == ["a b"]
    drawn = draw_samples(game, 70, seed=1)
    assert drawn.dtype == torch.int64
    assert all(isinstance(line, str) for line in game.show(Batch({"tokens": drawn[:3]}), game.draws))
    with pytest.raises(UsageError, match="temperature of sequences is above 0; 0 came"):
        game.sample(2, game.draws, truncation=0)


def test_measures_by_the_oracle():
    data = oracle_data()
    game = build("sequence-mle")
    assert game.metric == "nll_oracle"
    found = game.measure(real(40), Draws.seeded("m", dtype=torch.float64))
    tokens = game.sample(40, Draws.seeded("m", dtype=torch.float64))
    assert found["nll_oracle"].item() == pytest.approx(-data.oracle.log_prob(tokens).mean().item())
    assert set(found) == {"nll_oracle", "nll_test", "nll_data"}


def test_training_by_imitation_learns():
    game = build("sequence-mle", dtype=torch.float32, mle_steps=60, batch=40)
    before = game.nll(oracle_data().column("tokens")).item()
    trainer, _ = trainer_of(game)
    try:
        trainer.play_round()
    finally:
        trainer.close()
    assert game.nll(oracle_data().column("tokens")).item() < before - 0.3


def test_settings_that_cannot_be():
    config = find_recipe("seqgan").preset("small")
    for changes, message in (
        ({"d_batch": 7}, "d_batch is even"),
        ({"negatives": 10}, "negatives must fill a batch of D, 64"),
        ({"roll_out_decay": 1.0}, "roll_out_decay is a share"),
        ({"filters": (1, 2)}, "2 sizes and 4 numbers of maps"),
        ({"roll_outs": 0}, "roll_outs must be at least 1"),
    ):
        with pytest.raises(UsageError, match=message):
            dataclasses.replace(config, **changes)
    with pytest.raises(UsageError, match="clamp_step from 1 and completions from 2"):
        dataclasses.replace(find_recipe("maligan").preset("small"), clamp_step=3, completions=1)
    with pytest.raises(UsageError, match="own_tokens is a probability"):
        dataclasses.replace(find_recipe("sequence-mle").preset("small"), own_tokens=2.0)
    with pytest.raises(UsageError, match="n-grams of 1 to 4 tokens here; order 5"):
        build("pg-bleu", order=5)


def test_every_move_of_a_round_has_samples_of_its_own():
    game = build("maligan", g_steps=2)
    drawn = []
    weigh = game.weigh
    game.weigh = lambda tokens: drawn.append(tokens) or weigh(tokens)
    game.round_key = (0, 3)
    for _ in range(2):  # the same round twice is the same
        game.begin_round()
        for _ in range(2):
            game.before_turn(game.act)
    assert not torch.equal(drawn[0], drawn[1])
    assert torch.equal(drawn[0], drawn[2]) and torch.equal(drawn[1], drawn[3])
