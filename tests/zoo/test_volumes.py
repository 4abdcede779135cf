"""3D-GAN and 3D-VAE-GAN: the gate, the losses, the promises of every recipe on volumes."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.records import Batch, DataSpec
from saddlepoint.draws import Draws
from saddlepoint.errors import DataError, UsageError
from saddlepoint.games.gan3d import VAEGAN3DConfig, accuracy
from saddlepoint.training.checkpoint import Checkpoint, load_checkpoint, optimizer_tensors, restore_game, restore_optimizers, save_checkpoint
from saddlepoint.training.trainer import Trainer, TrainerConfig
from saddlepoint.views.ada import ADA
from saddlepoint.zoo.catalogue import find_recipe

CASES = [("3d-gan", "small-16"), ("3d-gan", "port"), ("3d-vae-gan", "small"), ("3d-vae-gan", "small-regression")]
TINY = {"width": 4, "batch": 8, "latent_dim": 6, "resolution": 16}


def blocks(n: int = 16, *, pictures: bool = False) -> ArrayDataset:
    rng = torch.Generator().manual_seed(0)
    fields = {"volume": (torch.rand(n, 1, 16, 16, 16, generator=rng) < 0.3).float()}
    if pictures:
        fields["image"] = torch.randint(0, 256, (n, 1, 20, 20), dtype=torch.uint8, generator=rng)
    spec = DataSpec(name="blocks", kind="volume", shape=(1, 16, 16, 16), num_records=n, fields=tuple(fields))
    return ArrayDataset(fields, spec)


def opened(name: str, preset: str, *, dtype: torch.dtype = torch.float32, pictures: bool = False, pieces: int = 1, **changes: Any) -> Any:
    recipe = find_recipe(name)
    sizes = TINY | ({"encoder_width": 4, "image_size": 32} if name == "3d-vae-gan" else {})
    config = dataclasses.replace(recipe.preset(preset), **(sizes | changes))
    torch.manual_seed(1)
    data = blocks(pictures=pictures)
    game = recipe.game(config, data).to(dtype)
    log: list[dict[str, Tensor]] = []
    settings = TrainerConfig(seed=3, batch=config.batch, horizon=20, micro_batches=pieces)
    return game, Trainer(game, data, settings, record=lambda round, values: log.append(values)), log


def played(rounds: int, *arguments: Any, **settings: Any) -> tuple[dict[str, Tensor], list[dict[str, Tensor]]]:
    game, trainer, log = opened(*arguments, **settings)
    for _ in range(rounds):
        trainer.play_round()
    trainer.close()
    return {name: value.clone() for name, value in game.state_dict().items()}, log


@pytest.mark.parametrize(("name", "preset"), CASES)
def test_a_turn_moves_its_own_player_only(name: str, preset: str) -> None:
    game, trainer, log = opened(name, preset)
    for turn in game.play():
        before = {player: [p.detach().clone() for p in game.players[player].parameters()] for player in game.players}
        trainer.take(turn, 0, trainer.feed.next())
        for player, old in before.items():
            same = [torch.equal(a, b) for a, b in zip(old, game.players[player].parameters(), strict=True)]
            assert not any(same) if player == turn.player else all(same)
    trainer.close()
    assert all(torch.isfinite(value).all() for values in log for value in values.values())


@pytest.mark.parametrize(("name", "preset"), CASES)
def test_resumed_is_unbroken_bit_for_bit(name: str, preset: str, tmp_path: Path) -> None:
    """The gate is closed in the third round of 3D-GAN: what decides it is saved."""
    settings = {} if preset == "small-regression" else {"most_accuracy": 0.5}
    unbroken, log = played(4, name, preset, **settings)
    game, trainer, _ = opened(name, preset, **settings)
    for _ in range(2):
        trainer.play_round()
    trainer.close()
    tensors, numbers = optimizer_tensors(game)
    path = save_checkpoint(tmp_path, 2, Checkpoint(game.state_dict(), tensors, {"numbers": numbers}))
    saved = load_checkpoint(path)
    resumed, again, _ = opened(name, preset, **settings)
    restore_game(resumed, saved.game, path)
    restore_optimizers(resumed, saved.optimizers, saved.state["numbers"])
    resumed.clock.round, resumed.clock.images_seen, again.feed.position = 2, game.clock.images_seen, trainer.feed.position
    again.play_round()
    again.play_round()
    again.close()
    assert [key for key, value in resumed.state_dict().items() if not torch.equal(value, unbroken[key])] == []
    if settings:
        moves = ["discriminator/adversarial" in values for values in log]
        assert sum(moves) < 4, "the gate never closed"


def test_the_discriminator_waits_for_the_generator() -> None:
    game, trainer, log = opened("3d-gan", "small-16")
    assert [turn.player for turn in game.play()] == ["discriminator", "generator"]
    game.last_accuracy.fill_(0.8)  # at most 80 %: it moves
    assert [turn.player for turn in game.play()] == ["discriminator", "generator"]
    game.last_accuracy.fill_(0.81)
    before = [p.detach().clone() for p in game.discriminator.parameters()]
    trainer.play_round()
    trainer.close()
    assert all(torch.equal(a, b) for a, b in zip(before, game.discriminator.parameters(), strict=True))
    assert set(log[-1]) == {"generator/adversarial", "generator/accuracy"}, "while D waits, G's turn finds out how right it is"
    assert game.last_accuracy == log[-1]["generator/accuracy"].double()
    always, _, _ = opened("3d-gan", "small-always")
    always.last_accuracy.fill_(1.0)
    assert [turn.player for turn in always.play()] == ["discriminator", "generator"]


def test_accuracy_counts_both_sides_alike() -> None:
    assert accuracy(torch.tensor([2.0, 3.0, -1.0, 1.0]), torch.tensor([-1.0, 1.0])).item() == pytest.approx((3 / 4 + 1 / 2) / 2)


def test_soft_labels_are_a_cross_entropy_with_drawn_targets() -> None:
    game, trainer, _ = opened("3d-gan", "port", dtype=torch.float64)
    trainer.close()
    real, fake = torch.randn(4, dtype=torch.float64), torch.randn(4, dtype=torch.float64)
    from saddlepoint.draws import use

    with use(Draws.seeded("soft", dtype=torch.float64)):
        loss = game._cross_entropy(real, fake)
    draws = Draws.seeded("soft", dtype=torch.float64)
    targets = draws.uniform(4, low=0.7, high=1.2), draws.uniform(4, high=0.3)
    wanted = sum(-t * x.sigmoid().log() - (1 - t) * (1 - x.sigmoid()).log() for t, x in zip(targets, (real, fake), strict=True))
    assert torch.allclose(loss, wanted)
    assert targets[0].min() >= 0.7 and targets[0].max() < 1.2 and targets[1].max() < 0.3


@pytest.mark.parametrize("pictures", [False, True])
def test_the_losses_of_the_encoder_and_of_the_generator(pictures: bool) -> None:
    """a1 KL + a2 |G(E(y)) - x|^2, written out, with batch statistics out of play."""
    game, trainer, _ = opened("3d-vae-gan", "paper", dtype=torch.float64, pictures=pictures)
    batch = trainer.feed.next()
    batch = Batch({name: batch[name] for name in (("volume", "image") if pictures else ("volume",))})
    trainer.close()
    game.eval()
    from saddlepoint.draws import use

    with use(Draws.seeded("e", dtype=torch.float64)), torch.no_grad():
        loss = game.encoder_turn(batch)
    draws = Draws.seeded("e", dtype=torch.float64)
    with use(draws), torch.no_grad():
        mean, log_variance = game.encoder(game.images(batch)).clamp(-10, 10).chunk(2, 1)
        z = mean + (0.5 * log_variance).exp() * draws.normal(8, 6)
        made = game.generator(z)
    kl = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(1).mean()
    error = ((made - batch["volume"]) ** 2).sum((1, 2, 3, 4)).mean()
    assert loss.terms["kl"].item() == pytest.approx(5 * kl.item(), rel=1e-9)
    assert loss.terms["reconstruction"].item() == pytest.approx(1e-4 * error.item(), rel=1e-9)


def test_the_players_move_in_the_papers_order() -> None:
    game, trainer, _ = opened("3d-vae-gan", "small")
    trainer.close()
    assert [turn.player for turn in game.play()] == ["discriminator", "encoder", "generator"]
    alone, trainer, _ = opened("3d-vae-gan", "small-regression")
    trainer.close()
    assert [turn.player for turn in alone.play()] == ["encoder", "generator"] and set(alone.players) == {"generator", "encoder"}


@pytest.mark.parametrize(("name", "preset"), CASES[::2])
def test_what_a_run_shows_and_measures(name: str, preset: str) -> None:
    game, trainer, _ = opened(name, preset)
    trainer.close()
    volumes = blocks().records(torch.arange(8))["volume"]
    batch, draws = Batch({"volume": volumes}), Draws.seeded("look")
    with torch.no_grad():
        shown, measured = game.eval().show(batch, draws), game.measure(batch, draws)
    assert shown.shape[:3] == (8, 4, 3) and shown.abs().max() <= 1
    assert game.metric in measured and all(torch.isfinite(value) for value in measured.values())
    assert 0 <= measured["mmd"] <= 1 and 0 < measured["coverage"] <= 1
    game.sample = lambda n, draws: volumes[:n]  # samples that are the data
    perfect = game.measure(batch, draws)
    assert (perfect["mmd"], perfect["coverage"], perfect["nearest_iou"], perfect["occupancy"]) == (0, 1, 1, 1)


def test_shapes_of_images_of_any_size() -> None:
    game, trainer, _ = opened("3d-vae-gan", "small")
    trainer.close()
    game.eval()
    with torch.no_grad():
        assert game.shapes_of(torch.rand(3, 1, 50, 40) * 2 - 1).shape == (3, 1, 16, 16, 16)


def test_errors_say_what_to_do() -> None:
    recipe = find_recipe("3d-gan")
    images = ArrayDataset({"image": torch.zeros(4, 1, 8, 8)}, DataSpec(name="flat", kind="image", shape=(1, 8, 8), num_records=4))
    with pytest.raises(DataError, match="3d-gan needs volume data; flat is image"):
        recipe.game(recipe.preset("small"), images)
    with pytest.raises(UsageError, match="power of two of at least 8; 12 came"):
        recipe.game(
            recipe.preset("small"),
            ArrayDataset(
                {"volume": torch.zeros(4, 1, 12, 12, 12)},
                DataSpec(name="odd", kind="volume", shape=(1, 12, 12, 12), num_records=4, fields=("volume",)),
            ),
        )
    for changes, message in (
        ({"most_accuracy": 0.0}, "share above 0"),
        ({"augment": "color"}, "no image augmentation"),
        ({"width": 0}, "width must be"),
    ):
        with pytest.raises(UsageError, match=message):
            dataclasses.replace(recipe.preset("small"), **changes)
    small: Any = recipe.preset("small-16")
    with pytest.raises(UsageError, match="augmentation is of images, and these are volumes"):
        recipe.game(dataclasses.replace(small, augmentation=ADA(), **TINY), blocks())
    with pytest.raises(UsageError, match="multiple of 32; 40 came"):
        find_recipe("3d-vae-gan").game(dataclasses.replace(VAEGAN3DConfig(latent="normal"), image_size=40), blocks())
