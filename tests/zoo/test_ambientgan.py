"""AmbientGAN: D sees measurements alone, those of the data are fixed, and a measurement of one's own must be differentiable."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from saddlepoint.data.records import Batch, to_device
from saddlepoint.draws import Draws, draws_like, use
from saddlepoint.errors import DataError, UsageError
from saddlepoint.games.ambient import MeasuredBatch
from saddlepoint.views.measurement import MEASUREMENTS, measurement
from saddlepoint.views.recorded import RecordDraws
from saddlepoint.zoo.ambientgan import ambient_game
from saddlepoint.zoo.catalogue import find_recipe

TINY = {"width": 4, "latent_dim": 4, "batch": 8}


def batch_of(data: Any, rows: torch.Tensor) -> Batch:
    return to_device({**data.records(rows), "index": rows}, "cpu")


def test_the_discriminator_never_sees_a_whole_image(images: Any, make: Any, play: Any) -> None:
    """Every image that D is given has its dropped pixels; what the turns are given holds no image at all."""
    game, config, data = make("ambientgan", "small-wgan-gp", images(size=28), measurement="block-pixels:p=0.75", **TINY)
    given: list[torch.Tensor] = []
    game.discriminator.register_forward_pre_hook(lambda module, arguments: given.append(arguments[0].detach()))
    with play(game, config, data) as playing:
        playing.rounds(2)
    seen = [x for x in given if not x.requires_grad]
    assert len(seen) >= 4
    measured = [x for x in seen if (x == -1).double().mean() > 0.6]
    assert len(measured) >= len(seen) - 4, "interpolations of the penalty alone may lie between two measurements"
    batch = MeasuredBatch(batch_of(data, torch.arange(8)), game.measured_once)
    assert set(batch.fields) == {"measurement", "label", "index"} and len(batch) == 8
    with pytest.raises(DataError, match="needs the field 'image'"):
        batch["image"]


def test_records_are_measured_once_and_fakes_anew(images: Any, make: Any) -> None:
    game, _, data = make("ambientgan", "small", images(size=28), measurement="block-pixels:p=0.5", **TINY)
    one, other = batch_of(data, torch.tensor([3, 7, 11])), batch_of(data, torch.tensor([11, 3]))
    with use(Draws.seeded("round 1")):
        first = game.measured_once(one.x, one["index"])
    with use(Draws.seeded("round 2")):
        second = game.measured_once(other.x, other["index"])
    assert torch.equal(first[[2, 0]], second) and not torch.equal(first, one.x)
    x = one.x
    with use(Draws.seeded("round 1")):
        a, b = game._measured_anew(x), game._measured_anew(x)
    assert not torch.equal(a, b)


def test_baselines(images: Any, make: Any) -> None:
    """Ignore compares fakes as they are with measurements; unmeasure with what is restored of the same measurements."""
    data = images(size=28)
    games = {method: make("ambientgan", "small", data, method=method, **TINY)[0] for method in ("ambient", "ignore", "unmeasure")}
    batch = batch_of(data, torch.arange(6))
    real = {method: game.measured_once(batch.x, batch["index"]) for method, game in games.items()}
    assert torch.equal(real["ambient"], real["ignore"]) and not torch.equal(real["ambient"], real["unmeasure"])
    for method, game in games.items():
        with use(Draws.seeded("z")):
            fakes = game._measured_anew(batch.x)
        assert torch.equal(fakes, batch.x) == (method != "ambient")
    already = make("ambientgan", "small", data, measured=True, **TINY)[0]
    assert torch.equal(already.measured_once(batch.x, batch["index"]), batch.x)
    with pytest.raises(UsageError, match="needs its mask, which data that are measured already do not have"):
        make("ambientgan", "small", data, measured=True, method="unmeasure", **TINY)


@pytest.mark.parametrize(
    "name", ["project:angles=2", "project-told", "gaussian-projection", "extract-patch:size=9", "convolve-noise", "keep-patch:size=9"]
)
@pytest.mark.parametrize("preset", ["small-wgan-gp", "projection"])
def test_every_kind_of_measurement_trains(name: str, preset: str, images: Any, make: Any, play: Any) -> None:
    game, config, data = make(
        "ambientgan", preset, images(size=28), measurement=name, architecture="wgan-gp-mnist" if preset == "small-wgan-gp" else "dcgan", **TINY
    )
    before = [p.detach().clone() for p in game.generator.parameters()]
    with play(game, config, data) as playing:
        playing.rounds(1)
    assert all(torch.isfinite(value).all() for values in playing.log for value in values.values())
    assert not all(torch.equal(a, b) for a, b in zip(before, game.generator.parameters(), strict=True))
    shown = game.eval().show(batch_of(data, torch.arange(4)), Draws.seeded("show"))
    assert shown.shape == (4, 3, 1, 28, 28)


def test_a_measurement_of_ones_own(images: Any) -> None:
    """A function and a module; a registered one by its name, with settings."""
    data, config = images(size=28), dataclasses.replace(find_recipe("ambientgan").preset("small"), **TINY)

    def half(x: torch.Tensor) -> torch.Tensor:
        return x * (draws_like(x).uniform(len(x), 1, 1, 1) < 0.5) * 0.5

    game = ambient_game(config, data, half)
    batch = batch_of(data, torch.arange(5))
    with use(RecordDraws("ambient data", torch.arange(5))):
        wanted = half(batch.x)
    assert torch.equal(game.measured_once(batch.x, batch["index"]), wanted)
    assert ambient_game(config, data, torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10))).discriminator is not game.discriminator

    @measurement("test-dimmed")
    def dimmed(by: float = 0.5) -> torch.nn.Module:
        return torch.nn.Hardtanh(-by, by)

    try:
        game = find_recipe("ambientgan").game(dataclasses.replace(config, measurement="test-dimmed:by=0.25"), data)
        assert game.measured_once(batch.x, batch["index"]).abs().max() == 0.25
    finally:
        del MEASUREMENTS["test-dimmed"]


def threshold(x: torch.Tensor) -> torch.Tensor:
    return (x > 0).float()


def rounded(x: torch.Tensor) -> torch.Tensor:
    return x.round()


def through_numpy(x: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(np.sort(x.numpy()))


def fewer(x: torch.Tensor) -> torch.Tensor:
    return x[:1]


def root(x: torch.Tensor) -> torch.Tensor:
    return (0 * x).sqrt()


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (threshold, "measurement threshold is not differentiable: what it gives does not depend.*sigmoid in place of a threshold"),
        (rounded, "measurement rounded is not differentiable: its slope is 0 everywhere"),
        (through_numpy, "measurement through_numpy fails on a batch of shape .4, 1, 28, 28.: Can't call numpy"),
        (fewer, "measurement fewer must give a tensor with a row a sample, 4 here; it gave .1, 1, 28, 28."),
        (root, "measurement root has slopes that are not finite"),
    ],
)
def test_a_measurement_that_is_not_differentiable_is_named(function: Any, message: str, images: Any) -> None:
    config = dataclasses.replace(find_recipe("ambientgan").preset("small"), **TINY)
    with pytest.raises(UsageError, match=message):
        ambient_game(config, images(size=28), function)


def test_other_errors_say_what_to_do(images: Any, make: Any) -> None:
    data = images(size=28)
    with pytest.raises(UsageError, match="no image of their size. Use --method ambient"):
        make("ambientgan", "small", data, measurement="project", method="ignore", **TINY)
    with pytest.raises(UsageError, match="--critic-norm none, or --game dcgan"):
        make("ambientgan", "small-wgan-gp", data, architecture="dcgan", **TINY)
    with pytest.raises(UsageError, match="only images can be augmented"):
        make("ambientgan", "small", data, measurement="project", augment="color", **TINY)
    with pytest.raises(UsageError, match="inpaint does not undo ConvolveNoise"):
        make("ambientgan", "small", data, measurement="convolve-noise", method="unmeasure", unmeasure="inpaint", **TINY)


def test_the_presets_are_the_released_settings() -> None:
    recipe = find_recipe("ambientgan")
    paper: Any = recipe.preset("paper")
    moves = paper.generator_optimizer
    assert (paper.batch, paper.rounds, paper.latent_dim, paper.latent, paper.d_steps, paper.gp_weight) == (64, 27_000, 128, "uniform", 5, 10.0)
    assert (moves.lr, moves.beta1, moves.beta2) == (2e-4, 0.5, 0.9999)
    projection, celeba, cifar = (recipe.preset(name) for name in ("projection", "celeba", "cifar"))
    assert (projection.conditional, projection.game, projection.latent_dim, projection.measurement) == (True, "dcgan", 100, "project:angles=2")
    assert (celeba.g_steps, celeba.d_steps, celeba.rounds, celeba.resolution) == (2, 1, 70_000, 64)
    assert (cifar.conditional, cifar.rounds, cifar.batch) == (True, 50_000, 32)
