"""The catalogue: a recipe is one paper's system, ready to train: game + networks + constants + citation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from saddlepoint.data.records import Dataset, DataSpec
from saddlepoint.errors import DataError, UsageError, nearest
from saddlepoint.games.game import Game
from saddlepoint.games.settings import GameConfig

Build = Callable[[Any, Dataset], Game]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One entry of the catalogue.

    Attributes:
        name: the paper's short name, as typed on the command line.
        title: what it is, in a line.
        paper: authors and year.
        year: of the paper.
        url: where the paper is.
        needs: kinds of data it can be trained on: "image", "points", "sequence", "volume".
        needs_labels: whether records must carry labels.
        second: a further field that a record must carry: "partner" of pairs, "other" of domains, "caption" (a vector), or "" for none.
        presets: configurations by name; "paper" and "small" always, "toy" where it plays on points.
        build: configuration, data -> game.
        prepare: configuration, data -> data, where the recipe reads its data in its own way; None means as it is.
    """

    name: str
    title: str
    paper: str
    year: int
    url: str
    needs: tuple[str, ...] = ("image", "points")
    needs_labels: bool = False
    second: str = ""
    presets: Mapping[str, GameConfig] = field(default_factory=dict)
    build: Build
    prepare: Callable[[Any, Dataset], Dataset] | None = None

    def preset(self, name: str) -> GameConfig:
        """The configuration of a preset.

        Raises:
            UsageError: for an unknown name, with those there are.
        """
        if name not in self.presets:
            raise UsageError(f"{self.name} has no preset {name!r}. {nearest(name, self.presets)}")
        return self.presets[name]

    def check_kind(self, spec: DataSpec) -> None:
        """Refuse data of a kind that this recipe does not learn from.

        Raises:
            DataError: naming both kinds.
        """
        if spec.kind not in self.needs:
            raise DataError(
                f"{self.name} needs {' or '.join(self.needs)} data; {spec.name} is {spec.kind}. `saddlepoint list` says what each recipe needs."
            )

    def game(self, config: GameConfig, data: Dataset) -> Game:
        """Build the game for this data, after checking that they fit."""
        spec = data.spec
        self.check_kind(spec)
        if self.needs_labels and spec.num_classes is None:
            raise DataError(
                f"{self.name} needs labels; {spec.name} has none. Put each class into a folder of its own, or choose a recipe without labels."
            )
        game = self.build(config, data)
        game.class_counts = spec.class_counts
        return game


_recipes: dict[str, Recipe] = {}


def recipe(**fields: Any) -> Callable[[Build], Build]:
    """Enter the decorated function, configuration and data -> game, into the catalogue; ``fields`` are those of :class:`Recipe`."""

    def enter(build: Build) -> Build:
        entry = Recipe(build=build, **fields)
        if entry.name in _recipes:
            raise ValueError(f"two recipes are named {entry.name!r}")
        _recipes[entry.name] = entry
        return build

    return enter


def list_recipes() -> list[Recipe]:
    """Every recipe, oldest paper first."""
    return sorted(_all().values(), key=lambda entry: (entry.year, entry.name))


def find_recipe(name: str) -> Recipe:
    """The recipe of a name.

    Raises:
        UsageError: for an unknown name, with the nearest ones.
    """
    if name not in _all():
        raise UsageError(f"There is no recipe {name!r}. {nearest(name, _recipes)} `saddlepoint list` shows all.")
    return _recipes[name]


def _all() -> dict[str, Recipe]:
    from saddlepoint.zoo import papers  # noqa: F401  (its import lines enter the recipes)

    return _recipes
