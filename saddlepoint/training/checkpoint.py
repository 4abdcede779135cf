"""Checkpoints: whole or absent, checked by SHA-256, with no pickle in them.

A checkpoint is a folder ``round-00001200/`` of

    game.safetensors        the game's state_dict: networks, averages, running means
    optimizers.safetensors  the tensors of every player's optimiser, "player/parameter/field"
    state.json              counters, log accumulators, monitor states
    manifest.json           size and SHA-256 of each of these, written last; its own digest inside

It is written aside, flushed and renamed, so a crash leaves the one before.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from saddlepoint.errors import CheckpointError
from saddlepoint.games.game import Game
from saddlepoint.training.storage import refusals, sync_folder

FORMAT = "saddlepoint checkpoint 1"
PARTS = ("game.safetensors", "optimizers.safetensors", "state.json")
_NAME = re.compile(r"round-(\d{8})")


@dataclass
class Checkpoint:
    """What a checkpoint holds: tensors of the game and of the optimisers, and a JSON state."""

    game: dict[str, Tensor]
    optimizers: dict[str, Tensor]
    state: dict[str, Any]


def folder_name(round: int) -> str:
    """Name of the checkpoint after ``round`` rounds."""
    return f"round-{round:08d}"


def list_checkpoints(folder: Path) -> list[tuple[int, Path]]:
    """Whole checkpoints in a folder, oldest first: (round, path). What a crash left aside is not listed."""
    found = [(int(match[1]), path) for path in folder.glob("round-*") if (match := _NAME.fullmatch(path.name))]
    return sorted(found)


def save_checkpoint(folder: Path, round: int, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint into ``folder``; returns its path.

    Raises:
        StorageError: if the disk refuses; what was there stays.
    """
    target, aside = folder / folder_name(round), folder / (folder_name(round) + ".tmp")
    with refusals(target):
        folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir()
        try:
            _write_parts(aside, checkpoint)
        except OSError:
            shutil.rmtree(aside, ignore_errors=True)
            raise
        if target.exists():  # the same round again
            remove_checkpoint(target)
        os.rename(aside, target)
        sync_folder(folder)
    return target


def remove_checkpoint(path: Path) -> None:
    """Remove a checkpoint so that what is left after a crash is not taken for one.

    Raises:
        StorageError: if the disk refuses.
    """
    aside = path.with_name(path.name + ".old.tmp")
    with refusals(path):
        shutil.rmtree(aside, ignore_errors=True)
        os.rename(path, aside)
        shutil.rmtree(aside)


def _write_parts(folder: Path, checkpoint: Checkpoint) -> None:
    parts = {
        "game.safetensors": save_tensors(_plain(checkpoint.game)),
        "optimizers.safetensors": save_tensors(_plain(checkpoint.optimizers)),
        "state.json": json.dumps(checkpoint.state).encode(),
    }
    files = {name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()} for name, content in parts.items()}
    manifest = {"format": FORMAT, "files": files}
    parts["manifest.json"] = json.dumps(manifest | {"digest": _digest(manifest)}, indent=1).encode()
    for name, content in parts.items():
        with open(folder / name, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    sync_folder(folder)


def _plain(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    seen: set[int] = set()  # a tensor under two names is written twice: safetensors refuses shared memory
    for name, tensor in plain.items():
        plain[name] = tensor.clone() if tensor.data_ptr() in seen else tensor
        seen.add(tensor.data_ptr())
    return plain


def _digest(manifest: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def load_checkpoint(path: Path) -> Checkpoint:
    """Read and check a checkpoint.

    Raises:
        CheckpointError: if a file is missing, truncated, altered or not one of ours; names the file and the last good checkpoint beside it.
    """
    try:
        return _read(path)
    except CheckpointError as error:
        good = [other for _, other in list_checkpoints(path.parent) if other != path and _is_good(other)]
        offer = (
            f"The last good checkpoint is {good[-1].name}: add --checkpoint {int(good[-1].name[6:])}."
            if good
            else "There is no other good checkpoint beside it."
        )
        raise CheckpointError(f"{error} {offer}") from None


def _is_good(path: Path) -> bool:
    try:
        _read(path)
    except CheckpointError:
        return False
    return True


def _read(path: Path) -> Checkpoint:
    try:
        manifest = json.loads((path / "manifest.json").read_bytes())
        digest = manifest.pop("digest")
        files = manifest["files"]
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        raise CheckpointError(f"{path} is not a whole saddlepoint checkpoint: manifest.json is missing or damaged.") from None
    if manifest.get("format") != FORMAT or _digest(manifest) != digest:
        raise CheckpointError(f"{path / 'manifest.json'} was altered or is of another format than {FORMAT!r}.")
    try:
        content = {name: _checked(path / name, files[name]) for name in PARTS}
        return Checkpoint(
            load_tensors(content["game.safetensors"]), load_tensors(content["optimizers.safetensors"]), json.loads(content["state.json"])
        )
    except CheckpointError:
        raise
    except (KeyError, TypeError, ValueError, SafetensorError) as error:
        raise CheckpointError(f"{path} is not of the format {FORMAT!r}: {error!r}.") from None


def _checked(path: Path, expected: dict[str, Any]) -> bytes:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing.") from None
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}.") from None
    if len(content) != expected["bytes"]:
        raise CheckpointError(f"{path} is truncated or grown: {expected['bytes']} bytes were written, {len(content)} are there.")
    if hashlib.sha256(content).hexdigest() != expected["sha256"]:
        raise CheckpointError(f"{path} was altered: its SHA-256 is not the one written.")
    return content


def optimizer_tensors(game: Game) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The optimisers' state as tensors "player/parameter/field" and plain numbers by the same key."""
    tensors: dict[str, Tensor] = {}
    numbers: dict[str, Any] = {}
    for player in game.players.values():
        assert player.torch_optimizer is not None
        for name, parameter in player.named_parameters().items():
            for field, value in player.torch_optimizer.state.get(parameter, {}).items():
                (tensors if isinstance(value, Tensor) else numbers)[f"{player.name}/{name}/{field}"] = value
    return tensors, numbers


def restore_optimizers(game: Game, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
    """Put back what :func:`optimizer_tensors` gave."""
    for player in game.players.values():
        assert player.torch_optimizer is not None
        for name, parameter in player.named_parameters().items():
            prefix = f"{player.name}/{name}/"
            state: dict[str, Any] = {key[len(prefix) :]: value for key, value in numbers.items() if key.startswith(prefix)}
            for key, value in tensors.items():
                if key.startswith(prefix):
                    field = key[len(prefix) :]
                    state[field] = _like(value, parameter, field)
            if "step" in state and any(player.torch_optimizer.defaults.get(kind) for kind in ("fused", "capturable")):
                state["step"] = state["step"].to(parameter.device)  # where these kinds of the optimiser keep it
            if state:
                player.torch_optimizer.state[parameter] = state


def _like(value: Tensor, parameter: Tensor, field: str) -> Tensor:
    if value.shape == parameter.shape and field != "step":
        restored = torch.empty_like(parameter)
        return restored.copy_(value).detach()
    return value.clone()


def restore_game(game: Game, tensors: dict[str, Tensor], path: Path) -> None:
    """Load the game's state; refuses a checkpoint of another architecture by the first name that differs."""
    own = game.state_dict()
    for name in sorted(own.keys() ^ tensors.keys()):
        side = "lacks" if name in own else "has the unknown"
        raise CheckpointError(f"{path} does not fit this recipe: it {side} {name}.")
    for name, value in own.items():
        if value.shape != tensors[name].shape:
            raise CheckpointError(f"{path} does not fit this recipe: {name} has shape {list(tensors[name].shape)}, expected {list(value.shape)}.")
    game.load_state_dict(tensors)
