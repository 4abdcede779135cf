"""The contract of every recipe in the catalogue; a recipe that is added later is tested without a line more here.

A recipe is shrunk by rule, not by name: its "small" preset (on points its "toy" preset) with every width, batch and count that the table below knows
made tiny. Networks at their published size are tested in tests/networks.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from saddlepoint.config import from_json, to_json
from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.records import DataSpec
from saddlepoint.errors import DataError, UsageError
from saddlepoint.evaluation.samples import draw_samples
from saddlepoint.games.adversarial import AdversarialConfig
from saddlepoint.games.autoencoding import Reconstructs
from saddlepoint.games.captions import StackGame
from saddlepoint.games.completing import Completes
from saddlepoint.games.game import Game, Samples, Turn
from saddlepoint.games.growing import GrowingGame
from saddlepoint.games.terms import FeatureMatching, PullingAway
from saddlepoint.games.translating import Translates
from saddlepoint.networks.base import mixes_samples
from saddlepoint.objectives.relativistic import Relativistic
from saddlepoint.training.checkpoint import (
    Checkpoint,
    load_checkpoint,
    optimizer_tensors,
    restore_game,
    restore_optimizers,
    save_checkpoint,
)
from saddlepoint.training.trainer import Trainer, TrainerConfig
from saddlepoint.zoo.catalogue import Recipe, find_recipe, list_recipes
from saddlepoint.zoo.networks import Architecture
from saddlepoint.zoo.pairs import PAIRS

TINY: dict[str, int] = {
    "width": 8,
    "encoder_width": 8,
    "d_width": 4,
    "coarse_width": 8,
    "coarse_d_width": 32,
    "batch": 8,
    "latent_dim": 6,
    "code_dim": 4,
    "d_steps": 2,
    "g_steps": 2,
    "burst_d_steps": 3,
    "unroll_steps": 2,
    "num_discriminators": 3,
    "minibatch_kernels": 4,
    "reference": 4,
    "labels_per_class": 2,
    "lecam_start": 0,
    "bottleneck": 6,
    "pretrain": 1,
    "mle_steps": 2,
    "mle_rounds": 1,
    "d_pretraining": 1,
    "adversarial_rounds": 1,
    "policy_rounds": 1,
    "d_batch": 8,
    "negatives": 16,
    "roll_outs": 2,
    "crop": 24,
    "resolution": 128,
}
UNBOUNDED = {"began", "lapgan", "progan", "stylegan", "stylegan2", "stylegan2-ada", "r3gan"}  # their generators end without tanh, as published
RECIPES = list_recipes()
CASES = [(recipe, kind) for recipe in RECIPES for kind in ("image", "points", "sequence") if kind in recipe.needs]
case = pytest.mark.parametrize(("recipe", "kind"), CASES, ids=[f"{recipe.name}-{kind}" for recipe, kind in CASES])


def shrink(config: AdversarialConfig, **changes: Any) -> AdversarialConfig:
    """The configuration with every count of ``TINY`` that is larger brought down to it."""
    sizes = {name: size for name, size in TINY.items() if getattr(config, name, 0) is not None and getattr(config, name, 0) > size}
    if str(getattr(config, "features", "")).startswith("vgg"):  # needs a file of weights
        changes = {"features": "quick"} | changes
    if getattr(config, "full_stages", 2) < 2:  # a tiny width cannot be halved so often
        changes = {"full_stages": 2} | changes
    return dataclasses.replace(config, **(sizes | changes))


def images(c: int = 1, size: int = 32, n: int = 24) -> ArrayDataset:
    rng = torch.Generator().manual_seed(0)
    image, partner = (torch.randint(0, 256, (n, c, size, size), dtype=torch.uint8, generator=rng) for _ in range(2))
    fields = {"image": image, "label": torch.arange(n) % 3, "partner": partner, "other": partner}  # paired, unpaired, alone
    fields["caption"] = torch.randn(n, 6, generator=rng)
    shapes = {"partner": (c, size, size), "other": (c, size, size), "caption": (6,)}
    names = tuple(fields)
    return ArrayDataset(
        fields, DataSpec(name="noise", kind="image", shape=image.shape[1:], num_records=n, num_classes=3, fields=names, shapes=shapes)
    )


def points(n: int = 24) -> ArrayDataset:
    fields = {"point": torch.randn(n, 2, generator=torch.Generator().manual_seed(0)), "label": torch.arange(n) % 3}
    return ArrayDataset(fields, DataSpec(name="cloud", kind="points", shape=(2,), num_records=n, num_classes=3, fields=tuple(fields)))


def volumes(size: int = 16, n: int = 8) -> ArrayDataset:
    fields = {"volume": torch.rand(n, 1, size, size, size, generator=torch.Generator().manual_seed(0)).round()}
    return ArrayDataset(fields, DataSpec(name="blocks", kind="volume", shape=(1, size, size, size), num_records=n, fields=tuple(fields)))


def sequences(n: int = 24, length: int = 6, words: int = 12) -> ArrayDataset:
    tokens = torch.randint(words, (n, length), generator=torch.Generator().manual_seed(0))
    vocabulary = ("<end>", *(f"word{k}" for k in range(1, words)))
    return ArrayDataset(
        {"tokens": tokens}, DataSpec(name="babble", kind="sequence", shape=(length,), num_records=n, fields=("tokens",), vocabulary=vocabulary)
    )


DATA: dict[str, Callable[[], ArrayDataset]] = {"image": images, "points": points, "sequence": sequences}


def build(recipe: Recipe, config: AdversarialConfig, data: ArrayDataset, dtype: torch.dtype = torch.float32) -> tuple[Game, Any]:
    torch.manual_seed(1)
    prepared = recipe.prepare(config, data) if recipe.prepare else data
    return recipe.game(config, prepared).to(dtype), prepared


class Table:
    """A shrunk game with its trainer."""

    def __init__(self, recipe: Recipe, kind: str, *, dtype: torch.dtype = torch.float32, micro_batches: int = 1) -> None:
        self.config = shrink(recipe.preset("toy" if kind == "points" else "small"))
        self.game, data = build(recipe, self.config, DATA[kind](), dtype)
        self.log: list[dict[str, Tensor]] = []
        settings = TrainerConfig(seed=5, batch=self.config.batch, micro_batches=micro_batches, horizon=3 if kind == "sequence" else 50)
        self.trainer = Trainer(self.game, data, settings, record=lambda round, values: self.log.append(values))

    def play(self, rounds: int) -> dict[str, Tensor]:
        for _ in range(rounds):
            self.trainer.play_round()
        return {name: value.clone() for name, value in self.game.state_dict().items()}


@pytest.fixture
def table() -> Iterator[Callable[..., Table]]:
    opened: list[Table] = []

    def open_table(*arguments: Any, **settings: Any) -> Table:
        opened.append(Table(*arguments, **settings))
        return opened[-1]

    yield open_table
    for one in opened:
        one.trainer.close()


def leaves(loss: Tensor) -> set[int]:
    """Identities of the tensors that backward through ``loss`` would give a gradient."""
    found, seen, waiting = set(), set(), [loss.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            found.add(id(node.variable))
        waiting += [parent for parent, _ in node.next_functions]
    return found


@case
def test_a_turn_moves_its_own_player_only(recipe: Recipe, kind: str, table: Callable[..., Table], monkeypatch: pytest.MonkeyPatch) -> None:
    """Others stay bit for bit and are not even in the graph; every parameter of the mover gets a gradient; every logged value is finite."""
    one = table(recipe, kind)
    game, trainer = one.game, one.trainer
    take, moving = trainer.take, [""]

    def backward(loss: Tensor) -> None:
        own = {id(p) for p in game.players[moving[0]].parameters()}  # a network may belong to two players, who move it at rates of their own
        others = {id(p) for name, player in game.players.items() if name != moving[0] for p in player.parameters()} - own
        assert not leaves(loss) & others, f"the {moving[0]}'s loss would give another player gradients"
        loss.backward()

    def watched(turn: Turn, index: int, batch: Any) -> None:
        moving[0] = turn.player
        before = {name: [p.detach().clone() for p in player.parameters()] for name, player in game.players.items()}
        take(turn, index, batch)
        for name, player in game.players.items():
            now = player.parameters()
            if name == turn.player:
                bare = [parameter for parameter, value in player.named_parameters().items() if value.grad is None]
                bare = [] if isinstance(game, (GrowingGame, StackGame)) else bare  # levels not in play rest: tests/networks/test_progan.py
                assert not bare, f"no gradient for the {name}'s {bare}"
                assert any(not torch.equal(a, b) for a, b in zip(before[name], now, strict=True)), f"the {name} did not move"
            else:
                own = {id(p) for p in game.players[turn.player].parameters()}
                assert all(id(b) in own or torch.equal(a, b) for a, b in zip(before[name], now, strict=True)), f"{turn.player} changed {name}"

    monkeypatch.setattr(trainer.fabric, "backward", backward)
    monkeypatch.setattr(trainer, "take", watched)
    one.play(2)
    later, movers = game.clock.round, set()
    for round in (0, later):  # what is trained first, and what is trained then
        game.clock.round = round
        movers |= {turn.player for turn in game.play()}
    assert movers == set(game.players)
    for values in one.log:
        assert all(torch.isfinite(value) for value in values.values()), values


@case
def test_resumed_is_unbroken_bit_for_bit(recipe: Recipe, kind: str, table: Callable[..., Table], tmp_path: Path) -> None:
    unbroken = table(recipe, kind).play(3)
    broken = table(recipe, kind)
    broken.play(2)
    tensors, numbers = optimizer_tensors(broken.game)
    path = save_checkpoint(tmp_path, 2, Checkpoint(broken.game.state_dict(), tensors, {"numbers": numbers}))
    saved, resumed = load_checkpoint(path), table(recipe, kind)
    restore_game(resumed.game, saved.game, path)
    restore_optimizers(resumed.game, saved.optimizers, saved.state["numbers"])
    resumed.game.clock.round, resumed.game.clock.images_seen = 2, broken.game.clock.images_seen
    resumed.trainer.feed.position = broken.trainer.feed.position
    after = resumed.play(1)
    assert after.keys() == unbroken.keys()
    assert [name for name in after if not torch.equal(after[name], unbroken[name])] == []


def couples_samples(game: Any) -> str:
    """Why the gradient of a batch is not the mean of its pieces' gradients; empty if it is. The only list of such cases."""
    if any(mixes_samples(module) for player in game.players.values() for module in player.modules):
        return "a layer mixes the samples of a batch"
    if getattr(game, "opponent", None) is not None:
        return "the unrolled discriminator is fitted to the batch"
    if isinstance(getattr(game, "objective", None), Relativistic) and game.objective.form != "paired":
        return "the objective compares with the mean over the batch"
    if any(isinstance(term, PullingAway | FeatureMatching) for term in getattr(game, "terms", ())):
        return "a term is a function of statistics of the batch"
    return ""


@case
def test_micro_batches_give_the_whole_batch(recipe: Recipe, kind: str, table: Callable[..., Table]) -> None:
    whole, pieces = table(recipe, kind, dtype=torch.float64), table(recipe, kind, dtype=torch.float64, micro_batches=2)
    if why := couples_samples(whole.game):
        pieces.play(1)
        pytest.skip(f"equal only without coupling: {why}")
    a, b = whole.play(2), pieces.play(2)
    worst = max((a[name] - b[name]).abs().max().item() for name in a)
    assert worst < 1e-9


@case
def test_samples(recipe: Recipe, kind: str, table: Callable[..., Table]) -> None:
    one = table(recipe, kind)
    if not isinstance(one.game, Samples):
        assert isinstance(one.game, Reconstructs | Translates | Completes), f"{recipe.name} can do nothing once it is trained"
        return
    x = one.game.sample(5, one.game.draws)
    assert x.shape == {"image": (5, 1, 32, 32), "points": (5, 2), "sequence": (5, 6)}[kind]
    assert not x.requires_grad
    assert torch.isfinite(x).all()
    if kind == "image" and recipe.name not in UNBOUNDED:
        assert x.abs().max() <= 1
    assert one.game.training
    assert torch.equal(draw_samples(one.game, 70, seed=3)[:3], draw_samples(one.game, 3, seed=3))


@pytest.mark.parametrize("recipe", [recipe for recipe in RECIPES if "image" in recipe.needs], ids=lambda recipe: recipe.name)
@pytest.mark.parametrize(("c", "size"), [(3, 32), (1, 28), (3, 28), (1, 64), (3, 64)])
def test_images_of_other_shapes(recipe: Recipe, c: int, size: int) -> None:
    game, _ = build(recipe, shrink(recipe.preset("small"), resolution=size), images(c, size))
    if isinstance(game, Samples):
        assert game.sample(2, game.draws).shape == (2, c, size, size)
    if isinstance(game, Reconstructs):
        assert game.reconstruct(torch.zeros(2, c, size, size)).shape == (2, c, size, size)
    if isinstance(game, Translates):
        larger = size * getattr(game, "scale", 1)
        assert game.translate(torch.zeros(2, c, size, size)).shape == (2, c, larger, larger)
    if isinstance(game, Completes):
        assert game.complete(torch.zeros(2, c, *game.size), torch.zeros(2, 1, *game.size)).shape == (2, c, *game.size)


PRESETS = [(recipe, name) for recipe in RECIPES for name in recipe.presets]
preset = pytest.mark.parametrize(("recipe", "name"), PRESETS, ids=[f"{recipe.name}-{name}" for recipe, name in PRESETS])


@preset
def test_presets_go_through_json(recipe: Recipe, name: str) -> None:
    config = recipe.preset(name)
    assert from_json(type(config), to_json(config)) == config
    assert type(config) is type(recipe.preset("paper"))


@preset
def test_presets_build_and_give_a_loss(recipe: Recipe, name: str) -> None:
    config = shrink(recipe.preset(name), batch=4)
    if "volume" in recipe.needs:
        config = dataclasses.replace(config, resolution=16)
    on_points = config.resolution is None and "points" in recipe.needs
    data = (
        sequences()
        if "sequence" in recipe.needs
        else volumes()
        if "volume" in recipe.needs
        else points()
        if on_points
        else images(3, config.resolution or 32, n=8)
    )
    game, data = build(recipe, config, data)
    trainer = Trainer(game, data, TrainerConfig(batch=4, horizon=10))
    try:
        for turn in {turn.player: turn for turn in game.play()}.values():
            gradients = trainer.gradient_of(turn)
            assert all(torch.isfinite(gradient).all() for gradient in gradients.values())
    finally:
        trainer.close()


def test_every_recipe_says_what_it_is() -> None:
    for recipe in RECIPES:
        assert {"paper", "toy" if recipe.needs == ("points",) else "small"} <= set(recipe.presets)
        assert ("toy" in recipe.presets) == ("points" in recipe.needs), recipe.name
        assert recipe.url.startswith("https://")
        assert str(recipe.year) in recipe.paper or recipe.paper
        settings = {field.name for field in dataclasses.fields(recipe.preset("paper"))}
        described = " ".join(base.__doc__ or "" for base in type(recipe.preset("paper")).__mro__)
        assert not {setting for setting in settings if f"{setting}:" not in described}, f"{recipe.name} does not describe all its settings"


def test_errors_say_what_to_do() -> None:
    dcgan, ssgan = find_recipe("dcgan"), find_recipe("ssgan")
    with pytest.raises(DataError, match="dcgan needs image data; cloud is points"):
        dcgan.game(dcgan.preset("small"), points())
    unlabelled = ArrayDataset({"point": torch.zeros(4, 2)}, DataSpec(name="bare", kind="points", shape=(2,), num_records=4, fields=("point",)))
    with pytest.raises(DataError, match="ssgan needs labels; bare has none"):
        ssgan.game(ssgan.preset("toy"), unlabelled)
    with pytest.raises(UsageError, match="no recipe 'dcgn'.*dcgan"):
        find_recipe("dcgn")
    with pytest.raises(UsageError, match="no preset 'papr'.*paper"):
        dcgan.preset("papr")
    config: Any = find_recipe("nsgan").preset("toy")
    for changes, message in (
        ({"architecture": "dcgan"}, "makes images; cloud holds points"),
        ({"critic_norm": "layer"}, "mlp has none or spectral norm; layer was asked for.*good-64"),
        ({"architecture": "maxout-cifar", "conditional": True}, "no conditional form"),
    ):
        with pytest.raises(UsageError, match=message):
            find_recipe("nsgan").game(dataclasses.replace(config, **changes), points())


def test_the_page_describes_every_recipe_and_preset() -> None:
    page = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text()
    sections = {section.partition("\n")[0]: section for section in page.split("\n## ")[1:]}
    for recipe in RECIPES:
        assert recipe.name in sections, f"docs/recipes.md has no section on {recipe.name}"
        shown = sections[recipe.name] + "`paper` `small` `toy`"
        assert not [name for name in recipe.presets if f"`{name}`" not in shown], recipe.name


def test_the_page_lists_every_architecture() -> None:
    page = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text()
    rows = {f"row{row}" for row in range(2, 7)}  # written as row1 ... row7
    assert not {name for name in PAIRS if f"`{name}`" not in page} - rows
    assert {*get_args(Architecture)} == {"auto", *PAIRS}
