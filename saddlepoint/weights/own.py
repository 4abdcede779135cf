"""Weights that this package wrote itself: a generator's .safetensors file, or a folder in the form of a model hub."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from saddlepoint.config import from_json
from saddlepoint.errors import CheckpointError, SaddlepointError, UsageError
from saddlepoint.games.game import Game
from saddlepoint.weights.absent import AbsentData
from saddlepoint.weights.files import read_tensors
from saddlepoint.weights.names import brief
from saddlepoint.weights.transfer import Foreign
from saddlepoint.zoo.catalogue import find_recipe

WEIGHTS, DESCRIPTION = "model.safetensors", "config.json"
DIGEST = "weights_sha256"
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
        described, tensors = json.loads(about), read_tensors(path)
    except CheckpointError:
        raise
    except (SafetensorError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is damaged: {brief(str(error), 200)}.") from None

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
        described = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{folder} is damaged: {DESCRIPTION}: {brief(str(error), 200)}.") from None
    expected = described.get(DIGEST) if isinstance(described, dict) else None
    with (folder / WEIGHTS).open("rb") as stream:
        if expected is not None and hashlib.file_digest(stream, "sha256").hexdigest() != expected:
            raise CheckpointError(f"{folder} is damaged: the SHA-256 of {WEIGHTS} is not the one in {DESCRIPTION}. Fetch or export it again.")
    tensors = read_tensors(folder / WEIGHTS)

    def fill(game: Game) -> list[str]:
        _load(game, tensors, folder)
        return []

    return _described(described, folder, fill)


def _described(about: Any, where: Path, fill: Any) -> Foreign:
    try:
        entry = find_recipe(about["recipe"])
        config = from_json(type(entry.preset("paper")), about["config"])
        spec = AbsentData.described(about["data"]).spec
    except (LookupError, TypeError, ValueError, AttributeError) as error:  # UsageErrors of settings are ValueErrors
        said = error if isinstance(error, SaddlepointError) else f"{type(error).__name__} {error}"
        raise CheckpointError(f"{where} does not fit this version of saddlepoint: {brief(str(said), 200).rstrip('.')}.") from None
    return Foreign(family="saddlepoint", recipe=entry.name, config=config, spec=spec, fill=fill)


def _load(module: Any, tensors: dict[str, Tensor], where: Path) -> None:
    own = module.state_dict()
    odd = sorted(set(tensors) ^ set(own)) + sorted(name for name in set(tensors) & set(own) if tensors[name].shape != own[name].shape)
    if odd:
        raise CheckpointError(f"{where} does not fit this version of its recipe: {', '.join(odd[:3])}.")
    module.load_state_dict({name: value.to(own[name].dtype) for name, value in tensors.items()})
