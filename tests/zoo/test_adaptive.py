"""Adaptive augmentation as a setting of any recipe: which can have it, and that every promise of the engine holds behind it."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.records import DataSpec
from saddlepoint.errors import UsageError
from saddlepoint.games.adversarial import AdversarialConfig, AdversarialGame
from saddlepoint.networks.base import mixes_samples
from saddlepoint.objectives.array import DiscriminatorArray
from saddlepoint.objectives.leastsquares import LeastSquares
from saddlepoint.training.trainer import Trainer, TrainerConfig
from saddlepoint.views.ada import ADA, AdaptiveAugment
from saddlepoint.zoo.catalogue import Recipe, find_recipe, list_recipes
from saddlepoint.zoo.stylegan2_ada import StyleGAN2ADAConfig

SIGNLESS = {"began", "ebgan", "ebgan-ladder", "progan", "relativistic", "wgan", "wgan-gp"}  # critics, energies, comparisons
FOLLOWED = ADA(policy="blit,color", p=0.4, target=-0.9, interval=2, speed_kimg=0.1, cap=0.9)
TINY: dict[str, int] = {
    "width": 4,
    "encoder_width": 4,
    "d_width": 4,
    "batch": 4,
    "latent_dim": 6,
    "code_dim": 4,
    "num_discriminators": 2,
    "minibatch_kernels": 4,
}
TINY |= {"reference": 4, "labels_per_class": 2, "coarse_width": 4, "coarse_d_width": 8}


def images(n: int = 12, size: int = 32) -> ArrayDataset:
    pixels = torch.randint(0, 256, (n, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    caption = torch.randn(n, 6, generator=torch.Generator().manual_seed(1))
    fields = {"image": pixels, "label": torch.arange(n) % 3, "caption": caption}
    spec = DataSpec(name="noise", kind="image", shape=(3, size, size), num_records=n, num_classes=3, fields=tuple(fields), shapes={"caption": (6,)})
    return ArrayDataset(fields, spec)


def of_images(recipe: Recipe) -> bool:
    config = recipe.preset("small") if "small" in recipe.presets else None
    return "image" in recipe.needs and isinstance(config, AdversarialConfig)


RECIPES = [recipe for recipe in list_recipes() if of_images(recipe)]


def tiny(recipe: Recipe, **changes: Any) -> Any:
    config: Any = recipe.preset("small")
    sizes: dict[str, Any] = {name: size for name, size in TINY.items() if (getattr(config, name, 0) or 0) > size}
    sizes |= {"augment": "", "augmentation": FOLLOWED} | {name: None for name in ("stddev_group", "path_weight") if hasattr(config, name)}
    return dataclasses.replace(config, **(sizes | changes))


class Table:
    """A recipe's game behind the adaptive augmentation, with its trainer."""

    def __init__(self, recipe: Recipe, pieces: int = 1, **changes: Any) -> None:
        config, data = tiny(recipe, **changes), images()
        torch.manual_seed(1)
        prepared = recipe.prepare(config, data) if recipe.prepare else data
        game = recipe.game(config, prepared).double()
        assert isinstance(game, AdversarialGame) and isinstance(game.view, AdaptiveAugment)
        self.game, self.view = game, game.view
        self.log: list[dict[str, Tensor]] = []
        settings = TrainerConfig(seed=3, batch=4, micro_batches=pieces, horizon=20)
        self.trainer = Trainer(game, prepared, settings, record=lambda round, values: self.log.append(values))

    def play(self, rounds: int) -> dict[str, Tensor]:
        for _ in range(rounds):
            self.trainer.play_round()
        self.trainer.close()
        return {name: value.clone() for name, value in self.game.state_dict().items()}


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_every_image_recipe_has_it_or_says_why_not(recipe: Recipe) -> None:
    """p moves with D's verdicts; pieces of a batch give what the whole gives, unless a layer mixes samples."""
    if recipe.name in SIGNLESS | {"r3gan"}:
        with pytest.raises(UsageError, match=r"no zero between real and fake|says only which of two"):
            Table(recipe)
        return
    whole = Table(recipe)
    state = whole.play(3)
    logged = [values["discriminator/ada_p"] for values in whole.log if "discriminator/ada_p" in values]
    assert len(logged) >= 3
    assert all(torch.isfinite(value) for values in whole.log for value in values.values())
    assert float(logged[-1]) != 0.4
    if mixes_samples(whole.game.discriminator) or mixes_samples(whole.game.generator) or whole.game.opponent is not None:
        return
    parts = Table(recipe, pieces=2).play(3)
    kept = [name for name in state if name.startswith(("discriminator.", "view.")) or name in dict(whole.game.named_parameters())]
    assert (
        max((parts[name].double() - state[name].double()).abs().max().item() for name in kept) < 1e-5
    )  # a move is 1e-3; Adam magnifies rounding where slopes vanish


@pytest.mark.parametrize("name", ["sngan", "stylegan"])
def test_p_goes_on_where_it_was(name: str) -> None:
    """The probability and what it has seen since its last move are part of the state."""
    recipe = find_recipe(name)
    slow = dataclasses.replace(FOLLOWED, interval=9)
    broken, resumed = (Table(recipe, augmentation=slow) for _ in range(2))
    state = broken.play(1)
    resumed.game.load_state_dict(state)
    assert float(resumed.view.turns) == float(broken.view.turns) != 0
    for _ in range(9):
        for view in (broken.view, resumed.view):
            view.after_turn("discriminator", {"discriminator/sign": torch.tensor(1.0)}, 4)
    assert float(resumed.view.p) == float(broken.view.p) != 0.4


def test_the_verdict_of_least_squares_is_about_the_middle_of_its_codes() -> None:
    logits = torch.tensor([0.0, 0.4, 0.6, 1.0])
    assert LeastSquares.binary().verdict(logits).sign().tolist() == [-1, -1, 1, 1]
    assert LeastSquares.pearson().verdict(logits - 0.5).sign().tolist() == [-1, -1, 1, 1]
    array = DiscriminatorArray(each=LeastSquares.binary())
    assert array.decides and array.verdict(logits[:, None]).shape == (4, 1)


def test_the_command_line_names_it() -> None:
    from saddlepoint.cli.parsing import choose_kinds

    small: Any = find_recipe("dcgan").preset("small")
    config, rest = choose_kinds(small, ["--augmentation", "ada", "--augmentation.cap", "0.8"])
    assert config.augmentation == ADA()
    assert rest == ["--augmentation.cap", "0.8"]


def test_two_augmentations_are_refused_and_so_is_stylegan2_ada_without_one() -> None:
    with pytest.raises(UsageError, match="behind one augmentation: --augment color"):
        Table(find_recipe("dcgan"), augment="color")
    with pytest.raises(UsageError, match="without its augmentation is StyleGAN2"):
        Table(find_recipe("stylegan2-ada"), augmentation=None)
    with pytest.raises(UsageError, match="probabilities, p at most the cap"):
        ADA(p=0.9, cap=0.5)
    assert StyleGAN2ADAConfig().augmentation == ADA()
