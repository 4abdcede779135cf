"""Weights that this package wrote itself: a generator's .safetensors file, or a folder in the form of a model hub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from saddlepoint.config import from_json
from saddlepoint.errors import CheckpointError, UsageError
from saddlepoint.games.game import Game
from saddlepoint.weights.absent import AbsentData
from saddlepoint.weights.transfer import Foreign
from saddlepoint.zoo.catalogue import find_recipe

WEIGHTS, DESCRIPTION = "model.safetensors", "config.json"
KEY = "saddlepoint"


def read_generator(path: Path) -> Foreign | None:
    """A generator that ``export --format safetensors`` wrote, or None if the file is of another code.

    Raises:
        CheckpointError: if it is damaged.
    """
    if path.suffix != ".safetensors" or not path.is_file():
        return None
    try:
        with safe_open(path, "pt") as file:
            about = (file.metadata() or {}).get(KEY)
        if about is None:
            return None
        described, tensors = json.loads(about), load_file(path)
    except (SafetensorError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged: {error}.") from None

    def fill(game: Game) -> list[str]:
        for name in ("generator", "generator_ema"):
            if hasattr(game, name):
                _load(game.get_submodule(name), tensors, path)
        return ["The file holds one generator, which is taken for the averaged one too; the discriminator starts anew."]

    return _described(described, path, fill)


def read_folder(folder: Path) -> Foreign:
    """A run in the form of a model hub.

    Raises:
        UsageError: if the folder is none.
        CheckpointError: if it is damaged.
    """
    missing = [name for name in (DESCRIPTION, WEIGHTS) if not (folder / name).is_file()]
    if missing:
        raise UsageError(
            f"{folder} is not a model of saddlepoint: it lacks {' and '.join(missing)}. `saddlepoint export RUN --format hub` makes one."
        )
    try:
        described, tensors = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8")), load_file(folder / WEIGHTS)
    except (SafetensorError, ValueError) as error:
        raise CheckpointError(f"{folder} is damaged: {error}.") from None

    def fill(game: Game) -> list[str]:
        _load(game, tensors, folder)
        return []

    return _described(described, folder, fill)


def _described(about: Any, where: Path, fill: Any) -> Foreign:
    try:
        entry = find_recipe(about["recipe"])
        config = from_json(type(entry.preset("paper")), about["config"])
        spec = AbsentData.described(about["data"]).spec
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{where} does not fit this version of saddlepoint: {error!r}.") from None
    return Foreign(family="saddlepoint", recipe=entry.name, config=config, spec=spec, fill=fill)


def _load(module: Any, tensors: dict[str, Tensor], where: Path) -> None:
    own = module.state_dict()
    odd = sorted(set(tensors) ^ set(own)) + sorted(name for name in set(tensors) & set(own) if tensors[name].shape != own[name].shape)
    if odd:
        raise CheckpointError(f"{where} does not fit this version of its recipe: {', '.join(odd[:3])}.")
    module.load_state_dict({name: value.to(own[name].dtype) for name, value in tensors.items()})
