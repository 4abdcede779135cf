"""B5, Progressive GAN: the schedule, what is fresh when, the terms, and the rows of Table 1."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.records import Batch, DataSpec
from saddlepoint.draws import Draws, use
from saddlepoint.errors import UsageError
from saddlepoint.games.critics import Drift, TargetedPenalty
from saddlepoint.games.growing import GrowingConfig, GrowingGame, stretches, with_rounds
from saddlepoint.games.player import Adam, Clock
from saddlepoint.games.terms import Scene
from saddlepoint.networks.base import Judgement
from saddlepoint.networks.growing import Growing, Stage
from saddlepoint.training.checkpoint import Checkpoint, load_checkpoint, optimizer_tensors, restore_game, restore_optimizers, save_checkpoint
from saddlepoint.training.trainer import Trainer, TrainerConfig
from saddlepoint.views.mirror import Mirror
from saddlepoint.zoo.catalogue import find_recipe
from saddlepoint.zoo.progan import ProGANConfig, rows

RECIPE = find_recipe("progan")


def images(size: int = 16, n: int = 40) -> ArrayDataset:
    rng = torch.Generator().manual_seed(0)
    fields = {"image": torch.randint(0, 256, (n, 1, size, size), dtype=torch.uint8, generator=rng), "label": torch.arange(n) % 3}
    return ArrayDataset(fields, DataSpec(name="noise", kind="image", shape=(1, size, size), num_records=n, num_classes=3, fields=tuple(fields)))


def tiny(**changes: Any) -> ProGANConfig:
    preset = RECIPE.preset("small")
    assert isinstance(preset, ProGANConfig)
    sizes: dict[str, Any] = {"resolution": 16, "width": 8, "latent_dim": 6, "batch": 4, "batch_at": ((4, 8),)}
    lengths: dict[str, Any] = {"stable_kimg": 0.016, "fade_kimg": 0.016, "total_kimg": 0.08}
    return with_rounds(dataclasses.replace(preset, **(sizes | lengths | changes)), 2)


@contextmanager
def playing(config: ProGANConfig, **settings: Any) -> Iterator[tuple[GrowingGame, Trainer, list[dict[str, Tensor]]]]:
    torch.manual_seed(1)
    log: list[dict[str, Tensor]] = []
    game = RECIPE.game(config, images())
    assert isinstance(game, GrowingGame)
    options = TrainerConfig(seed=5, batch=config.batch, horizon=config.rounds, **settings)
    trainer = Trainer(game, images(), options, record=lambda round, values: log.append(values))
    try:
        yield game, trainer, log
    finally:
        trainer.close()


def test_the_schedule_of_the_paper() -> None:
    """800k images on each level and 800k while it fades in, 19M in all; the batch shrinks at the three highest levels."""
    config = RECIPE.preset("paper")
    assert isinstance(config, GrowingConfig)
    plan = stretches(config, 8)
    assert [(stretch.level, stretch.fades) for stretch in plan][:4] == [(0, False), (1, True), (1, False), (2, True)]
    assert [stretch.phase.name for stretch in plan][-2:] == ["fade to 1024", "1024"] and len(plan) == 17
    batches = [stretch.phase.batch or config.batch for stretch in plan]
    assert batches == [16] * 11 + [14] * 2 + [6] * 2 + [3] * 2
    seen = [batch * stretch.phase.rounds for batch, stretch in zip(batches, plan, strict=True)]
    assert all(abs(count - 800_000) < batch for count, batch in zip(seen[:-1], batches, strict=False))
    assert abs(sum(seen) - 19_000_000) < 100 and config.rounds == sum(stretch.phase.rounds for stretch in plan)
    release = RECIPE.preset("release")
    assert isinstance(release, GrowingConfig)
    sizes = {stretch.phase.name: stretch.phase.batch or release.batch for stretch in stretches(release, 8)}
    assert [sizes[str(4 << level)] for level in range(9)] == [128, 128, 128, 64, 32, 16, 8, 4, 4]
    assert release.lr_at == ((1024, 0.0015),) and release.generator_optimizer == Adam(lr=0.001, beta1=0.0, beta2=0.99)


def test_training_goes_through_all_levels() -> None:
    with playing(tiny(lr_at=((16, 0.0005),))) as (game, trainer, log):
        levels, batches, rates, seen = [], [], [], 0
        for _ in range(game.config.rounds):
            trainer.play_round()
            levels.append(game.stage)
            batches.append(game.clock.images_seen - seen)
            seen = game.clock.images_seen
            rates.append(trainer.game.players["generator"].torch_optimizer.param_groups[0]["lr"])  # type: ignore[union-attr]
            assert game.sample(3, Draws()).shape == (3, 1, 16, 16)
            networks = [network for network in game.children() if isinstance(network, Growing)]
            assert len(networks) == 3 and len({network.stage for network in networks}) == 1
        fade = [Stage(1, 0.25), Stage(1, 0.5), Stage(1, 0.75)]
        fade2 = [Stage(2, stage.alpha) for stage in fade]
        one, two = Stage(1, None), Stage(2, None)
        assert levels == [Stage(0, None)] * 2 + [Stage(0, None), *fade] + [one] * 4 + [one, *fade2] + [two] * 4
        assert batches == [8] * 2 + [4] * 16
        assert rates == [0.001] * 11 + [0.0005] * 7
        logged = [float(values["discriminator/level"]) for values in log if "discriminator/level" in values]
        assert logged == [0, 0, 0, 0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 1.25, 1.5, 1.75, 2, 2, 2, 2]
        assert all(torch.isfinite(value).all() for values in log for value in values.values())


def test_optimisers_begin_afresh_and_idle_layers_rest() -> None:
    with playing(tiny()) as (game, trainer, _):
        start = {name: value.clone() for name, value in game.state_dict().items()}
        steps = []
        for _ in range(8):
            trainer.play_round()
            optimizer = game.players["generator"].torch_optimizer
            assert optimizer is not None
            steps.append({int(state["step"]) for state in optimizer.state.values()})
            idle = {name for name, value in start.items() if torch.equal(value, game.state_dict()[name])}
            for name in start:
                if ".blocks.2" in name or "to_image.2" in name or "from_image.2" in name:
                    assert name in idle, name
        assert [max(taken) for taken in steps] == [1, 2, 1, 2, 3, 4, 1, 2]  # fresh when the fade begins, and when it ends
        assert steps[3] == {1, 2}  # the new level's layers joined a round later, when alpha left 0


def test_resumed_within_a_fade_is_unbroken(tmp_path: Path) -> None:
    config = tiny(loss="lsgan", conditional=True)
    with playing(config) as (game, trainer, _):
        for _ in range(9):
            trainer.play_round()
        unbroken = {name: value.clone() for name, value in game.state_dict().items()}
    with playing(config) as (game, trainer, _):
        for _ in range(5):
            trainer.play_round()
        tensors, numbers = optimizer_tensors(game)
        path = save_checkpoint(tmp_path, 5, Checkpoint(game.state_dict(), tensors, {"numbers": numbers}))
        seen, stage = game.clock.images_seen, game.stage
    assert stage == Stage(1, 0.5)
    with playing(config) as (game, trainer, _):
        saved = load_checkpoint(path)
        restore_game(game, saved.game, path)
        restore_optimizers(game, saved.optimizers, saved.state["numbers"])
        game.clock.round, game.clock.images_seen, trainer.feed.position = 5, seen, seen
        assert game.stage == stage and game.generator_ema.stage == stage  # type: ignore[union-attr]
        for _ in range(4):
            trainer.play_round()
        assert [name for name, value in game.state_dict().items() if not torch.equal(value, unbroken[name])] == []


def test_a_longer_run_stretches_the_levels() -> None:
    config = tiny()
    torch.manual_seed(0)
    game = RECIPE.game(config, images())
    assert isinstance(game, GrowingGame)
    game.clock.horizon = 10 * config.rounds
    for game.clock.round, stage in ((19, Stage(0, None)), (40, Stage(1, 0.5)), (179, Stage(2, None))):
        game.begin_round()
        assert game.stage == stage


def test_a_length_in_images_is_shared_out_over_the_levels() -> None:
    release = RECIPE.preset("release")
    assert isinstance(release, GrowingConfig)
    assert release.rounds_in(release.total_kimg) == release.rounds and release.rounds_in(1200.0) == round(release.rounds / 10)
    assert find_recipe("dcgan").preset("small").rounds_in(1.0) == -(-1000 // find_recipe("dcgan").preset("small").batch)


def test_reals_are_of_the_level_in_play() -> None:
    torch.manual_seed(0)
    game = RECIPE.game(tiny(), images())
    x = torch.rand(4, 1, 16, 16)
    assert isinstance(game, GrowingGame)
    game._grow(0)
    torch.testing.assert_close(game.reals(Batch({"image": x})), torch.nn.functional.avg_pool2d(x, 4))
    game._grow(2)
    assert torch.equal(game.reals(Batch({"image": x})), x)


def scene(slope: float) -> tuple[Scene, Tensor]:
    """A critic C(x) = slope * x_1 + 1 on four points."""
    x_real = torch.arange(4.0).view(4, 1, 1, 1)

    def judge(x: Tensor, labels: Tensor | None = None) -> Judgement:
        return Judgement(slope * x.flatten(1)[:, 0] + 1)

    clock, nothing = Clock(), torch.nn.Identity()
    latents: Any = None
    return Scene(Batch({}), judge, Draws(), clock, nothing, latents, x_real=x_real, x_fake=-x_real, real=judge(x_real), fake=judge(-x_real)), x_real


def test_drift_and_penalty_by_hand() -> None:
    made, x_real = scene(3.0)
    torch.testing.assert_close(Drift(0.001)(made), 0.001 * (3 * x_real.flatten() + 1).square().mean())
    torch.testing.assert_close(TargetedPenalty(10.0)(made), torch.tensor(10 * (3.0 - 1) ** 2))
    torch.testing.assert_close(TargetedPenalty(10.0, target=750.0)(made), torch.tensor(10 * (3.0 - 750) ** 2 / 750**2))


def test_losses_of_the_variants() -> None:
    for changes, names in (
        ({}, {"adversarial", "gradient_penalty", "drift"}),
        ({"conditional": True}, {"adversarial", "gradient_penalty", "drift", "classes"}),
        ({"loss": "lsgan"}, {"adversarial"}),
        ({"drift_weight": 0.0}, {"adversarial", "gradient_penalty"}),
    ):
        with playing(tiny(**changes)) as (game, trainer, log):
            trainer.play_round()
            loss = game.discriminator_turn(trainer.feed.next())
            assert set(loss.terms) == names
            assert ("generator/classes" in log[1]) == ("conditional" in changes)


def test_least_squares_noise_follows_the_score() -> None:
    with playing(tiny(loss="lsgan")) as (game, trainer, log):
        before: Tensor = game.discriminator.noise.mean.clone()  # type: ignore[union-attr, operator]
        trainer.play_round()
        real = log[0]["discriminator/real"].clamp(0, 1)
        torch.testing.assert_close(game.discriminator.noise.mean, 0.9 * before + 0.1 * real)


def test_rows_of_table_1() -> None:
    """As the authors' first release configures them."""
    presets = {name: preset for name, preset in RECIPE.presets.items() if name.startswith("row-")}
    assert list(presets) == ["row-a", "row-b", "row-c", "row-d", "row-e-star", "row-e", "row-f", "row-g", "row-h"]
    table: dict[str, list[Any]] = {
        "first_level": [None, 0, 0, 0, 0, 0, 0, 0, 0],
        "batch": [64, 64, 16, 16, 16, 16, 16, 16, 16],
        "d_steps": [5, 5, 5, 1, 1, 1, 1, 1, 1],
        "drift_weight": [0.0, 0.0, 0.0] + [0.001] * 6,
        "latent_dim": [128] * 3 + [512] * 6,
        "normalise_latents": [False] * 3 + [True] * 6,
        "leaky": [False] * 3 + [True] * 6,
        "tanh": [True] * 3 + [False] * 6,
        "layer_norm": [True] * 3 + [False] * 6,
        "generator_norm": ["batch"] * 3 + ["none"] * 4 + ["pixel"] * 2,
        "stddev_group": [None] * 5 + [16] * 4,
        "minibatch_kernels": [None] * 4 + [100] + [None] * 4,
        "equalised": [False] * 6 + [True] * 3,
        "channel_base": [2048] * 8 + [8192],
        "total_kimg": [10_000.0] * 8 + [15_000.0],
        "resolution": [128] * 9,
        "mirror": [True] * 9,
    }
    for name, values in table.items():
        assert [getattr(preset, name) for preset in presets.values()] == values, name
    betas = [(preset.generator_optimizer.lr, preset.generator_optimizer.beta2) for preset in presets.values()]  # type: ignore[attr-defined]
    assert betas == [(0.0001, 0.9)] * 3 + [(0.0001, 0.99)] * 3 + [(0.001, 0.99)] * 3
    decays: list[float] = [preset.ema_decay for preset in presets.values()]  # type: ignore[attr-defined]
    assert decays == pytest.approx([0.999**20, 0.999**20, 0.999**5] + [0.999] * 6)


def test_small_rows_play() -> None:
    base = tiny(stddev_group=4)
    for name, config in rows(base, 2).items():
        with playing(dataclasses.replace(config, batch=4, batch_at=(), minibatch_kernels=config.minibatch_kernels and 3)) as (game, trainer, log):
            for _ in range(3):
                trainer.play_round()
            assert all(torch.isfinite(value).all() for values in log for value in values.values()), name
            assert game.stage.level == (2 if name == "row-a" else game.stage.level)


def test_mirror_turns_about_half_whole_images() -> None:
    x = torch.arange(400 * 12.0).view(400, 1, 3, 4)
    with use(Draws.seeded(0)):
        y = Mirror()(x)
    turned = torch.tensor([torch.equal(a, b.flip(2)) for a, b in zip(y, x, strict=True)])
    kept = torch.tensor([torch.equal(a, b) for a, b in zip(y, x, strict=True)])
    assert torch.equal(turned, ~kept) and 150 < int(turned.sum()) < 250


def test_errors_say_what_to_do() -> None:
    with pytest.raises(UsageError, match="total_kimg must be above 0"):
        tiny(total_kimg=0.0)
    with pytest.raises(UsageError, match="fade_kimg and first_level must be at least 0"):
        tiny(fade_kimg=-1.0)
    with pytest.raises(UsageError, match="Give ema_decay or ema_halflife_kimg, not both"):
        tiny(ema_halflife_kimg=1.0)
    with pytest.raises(UsageError, match="leave one of them out"):
        tiny(lr_at=((8, 0.1),), lr_decay="linear")
    bare = ArrayDataset(
        {"image": torch.zeros(4, 1, 16, 16, dtype=torch.uint8)}, DataSpec(name="bare", kind="image", shape=(1, 16, 16), num_records=4)
    )
    with pytest.raises(UsageError, match="conditional model needs labels; bare has none"):
        RECIPE.game(tiny(conditional=True), bare)
