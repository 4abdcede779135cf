"""The verbs of the command line as Python functions of the same names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from saddlepoint.training.run import Run
from saddlepoint.verbs.choosing import at_packed_size, choose_recipe, configure, default_preset, holds_points
from saddlepoint.verbs.completing import inpaint
from saddlepoint.verbs.datasets import check_data, convert_data, get_data
from saddlepoint.verbs.encoding import encode, reconstruct
from saddlepoint.verbs.moving import export, import_weights
from saddlepoint.verbs.people import study
from saddlepoint.verbs.scoring import compare, evaluate
from saddlepoint.verbs.training import Show, demo, foresee, resume, train
from saddlepoint.verbs.translating import translate
from saddlepoint.verbs.using import as_sampler, info, load, load_game, report, sample
from saddlepoint.zoo.catalogue import Recipe, list_recipes

__all__ = [
    "Run",
    "Show",
    "as_sampler",
    "at_packed_size",
    "bench",
    "check_data",
    "choose_recipe",
    "compare",
    "configure",
    "convert_data",
    "default_preset",
    "demo",
    "encode",
    "evaluate",
    "export",
    "foresee",
    "get_data",
    "holds_points",
    "import_weights",
    "info",
    "inpaint",
    "list",
    "load",
    "load_game",
    "reconstruct",
    "report",
    "resume",
    "sample",
    "study",
    "train",
    "translate",
]


def list() -> Sequence[Recipe]:
    """The catalogue, oldest paper first."""
    return list_recipes()


def bench(recipe: str, **settings: Any) -> dict[str, Any]:
    """Time a recipe's round; see saddlepoint.studies.bench.bench for the settings and what is measured."""
    from saddlepoint.studies.bench import bench as measure

    return measure(recipe, **settings)
