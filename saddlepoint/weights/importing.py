"""A run folder made from a checkpoint of another code, which samples, evaluates and is started from like any other run."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from saddlepoint.config import to_json
from saddlepoint.draws import derive_seed
from saddlepoint.errors import CheckpointError, SaddlepointError, UsageError
from saddlepoint.games.game import Game
from saddlepoint.training import machine
from saddlepoint.training.checkpoint import Checkpoint, save_checkpoint
from saddlepoint.training.plan import Plan
from saddlepoint.training.run import Run
from saddlepoint.weights.absent import BlankData
from saddlepoint.weights.files import read_file
from saddlepoint.weights.hub import PREFIX, fetch
from saddlepoint.weights.names import brief
from saddlepoint.weights.own import WEIGHTS, read_folder, read_generator
from saddlepoint.weights.transfer import Foreign
from saddlepoint.zoo.catalogue import find_recipe

Reader = Callable[[Any, str], Foreign | None]
ROOM = 1 << 26  # numbers that networks may hold beyond sixteen times the bytes of their file
KNOWN = "NVIDIA's StyleGAN2 (ADA and StyleGAN3 pickles), rosinality's StyleGAN2, BigGAN-PyTorch, pytorch_GAN_zoo's ProGAN and R3GAN"


def readers() -> tuple[Reader, ...]:
    """One for each code that is known."""
    from saddlepoint.weights import biggan, progan, r3gan, stylegan2

    return stylegan2.read_nvidia, stylegan2.read_rosinality, biggan.read, progan.read, r3gan.read


@contextlib.contextmanager
def understanding(path: Path) -> Iterator[None]:
    """Turns what goes wrong with tensors that are missing or bent into our error.

    Raises:
        CheckpointError: naming the file and what was missed.
    """
    try:
        yield
    except SaddlepointError:
        raise
    except (LookupError, ValueError, TypeError, AttributeError, ArithmeticError, RuntimeError, MemoryError) as error:
        said = brief(" ".join(str(error)[:1000].split()), 200)
        raise CheckpointError(f"{path} is not whole or not understood: {type(error).__name__} {said}.") from None


def understand(path: Path) -> Foreign:
    """Read a checkpoint, or a folder in the form of a model hub, and find whose it is.

    Raises:
        CheckpointError: if it is refused, damaged, or of no code that is known.
    """
    if path.is_dir():
        return read_folder(path)
    own = read_generator(path)
    if own is not None:
        return own
    with understanding(path):
        content = read_file(path)
    for read in readers():
        with understanding(path):
            found = read(content, str(path))
        if found is not None:
            return found
    names = ", ".join(map(brief, list(content)[:3])) if isinstance(content, dict) else type(content).__name__
    raise CheckpointError(f"{path} was read, but holds no network that is known here ({names or 'it is empty'}, ...). Known are {KNOWN}.")


def fill(found: Foreign, path: Path, before: dict[str, Tensor] | None = None) -> tuple[Game, list[str]]:
    """The game of a checkpoint with its weights, and what the user should know of it.

    Args:
        found: the checkpoint.
        path: its file or folder.
        before: where given, takes the game's state as it was without the weights.
    Raises:
        CheckpointError: if the weights do not fit the sizes that the checkpoint tells, or these ask for more than it can hold.
    """
    entry, data = find_recipe(found.recipe), BlankData(found.spec)
    with understanding(path):
        held = sum(file.stat().st_size for file in (path.iterdir() if path.is_dir() else [path]))
        asked = _numbers(partial(entry.game, found.config, data))
        if asked > ROOM + 16 * held:
            raise CheckpointError(f"{path} is refused: its sizes ask for networks of {asked} numbers, and it has {held} bytes.")
        torch.manual_seed(derive_seed(0, "initialisation"))
        try:
            game = entry.game(found.config, data)
        except UsageError as error:
            raise CheckpointError(f"{path} has sizes that cannot be built here. {error}") from None
        if before is not None:
            before |= {name: value.clone() for name, value in game.state_dict().items()}
        return game, found.fill(game)


def _numbers(build: Callable[[], Game]) -> int:
    """Parameters and buffers of a game, counted without making them; 0 where it cannot be built so."""
    try:
        with torch.device("meta"):
            return sum(value.numel() for value in build().state_dict().values())
    except (NotImplementedError, RuntimeError, TypeError, ValueError):
        return 0


def import_checkpoint(source: str | Path, out: Path, command: str) -> tuple[Run, list[str]]:
    """Make a run folder from a checkpoint of another code, or from a model folder of ours; nothing in it is run.

    Args:
        source: the file; a model folder, or hf:USER/NAME of the Hugging Face hub.
        out: the run folder; must not hold anything.
        command: that asked for it, for the record.
    Returns:
        The run, and what the user should know of it.
    Raises:
        UsageError: if there is no such file, or the folder holds something.
        CheckpointError: if the file is refused, damaged, of no known code, or not understood whole.
    """
    path = fetch(str(source).removeprefix(PREFIX)) if str(source).startswith(PREFIX) else Path(source)
    found = understand(path)
    game, notes = fill(found, path)
    run = Run(out, _describe(found, str(source), path, command, notes))
    run.create()
    try:
        state = {"round": 0, "images_seen": 0, "elapsed_sec": 0.0, "logbook": {}, "best": None, "cadence": {}, "monitor": {}, "optimizer_numbers": {}}
        save_checkpoint(out / "checkpoints", 0, Checkpoint(game.state_dict(), {}, state))
    finally:
        run.unlock()
    return run, notes


def _describe(found: Foreign, source: str, path: Path, command: str, notes: list[str]) -> dict[str, Any]:
    entry = find_recipe(found.recipe)
    with (path / WEIGHTS if path.is_dir() else path).open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return {
        "recipe": entry.name,
        "title": entry.title,
        "paper": entry.paper,
        "year": entry.year,
        "url": entry.url,
        "preset": "imported",
        "imported": {"file": source if source.startswith(PREFIX) else path.name, "sha256": digest, "family": found.family, "notes": notes},
        "config": to_json(found.config),
        "data": to_json(found.spec),
        "source": {"name": None, "resolution": found.config.resolution, "root": None},
        "command": command,
        "seed": 0,
        "batch": found.config.batch,
        "micro_batches": 1,
        "precision": "32-true",
        "horizon": found.config.rounds,
        "plan": to_json(Plan(steps=0)),
        "budget": {"steps": 0, "minutes": None, "kimg": None},
        "versions": machine.versions(),
        "commit": machine.commit(),
        "hardware": machine.hardware(),
    }
