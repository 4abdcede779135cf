"""Starting a run from weights that are there already: of another run, of a model folder or hub, or of a file of this code or another one."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from saddlepoint.config import from_json
from saddlepoint.data.records import DataSpec
from saddlepoint.errors import CheckpointError, SaddlepointError, UsageError
from saddlepoint.games.game import Game
from saddlepoint.games.settings import GameConfig
from saddlepoint.networks.growing import Growing
from saddlepoint.training.run import Run
from saddlepoint.verbs.choosing import untold
from saddlepoint.weights.absent import AbsentData, BlankData
from saddlepoint.weights.files import read_tensors
from saddlepoint.weights.hub import PREFIX, fetch
from saddlepoint.weights.importing import fill, understand
from saddlepoint.weights.own import WEIGHTS
from saddlepoint.zoo.catalogue import find_recipe


@dataclass(frozen=True, kw_only=True)
class Report:
    """What was loaded and what was not; names are those of the game's state.

    Attributes:
        source: the run folder and round, or the file.
        sha256: of those weights.
        loaded: taken over.
        reshaped: there with another shape, left as they were.
        missing: not there, left as they were.
        unused: there, but unknown to this game.
        advice: settings that would make these networks those of the source, as flags; "" where they are, or where its recipe is another one.
    """

    source: str
    sha256: str
    loaded: list[str] = field(default_factory=list)
    reshaped: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    advice: str = ""

    def sentence(self) -> str:
        """One line for the user, with the first few names of what was left."""
        parts = [f"{len(self.loaded)} of {len(self.loaded) + len(self.reshaped) + len(self.missing)} tensors came from {self.source}"]
        for what, names in (("have another shape", self.reshaped), ("are not in it", self.missing), ("of it are unknown here", self.unused)):
            if names:
                parts.append(f"{len(names)} {what} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})")
        return "; ".join(parts) + "." + (f" Its own sizes: {self.advice}." if self.advice and (self.reshaped or self.missing) else "")

    def about(self) -> dict[str, Any]:
        """What the run's description keeps: of the loaded ones the number."""
        return {name: value for name, value in vars(self).items() if name != "advice"} | {"loaded": len(self.loaded)}


def start_from(game: Game, source: str | Path, expected: str | None = None) -> Report:
    """Take over every weight that has the same name and shape; optimisers begin anew, and so does what depends on the course of a training: how far
    networks have grown, and how strongly a view augments.

    Args:
        game: as built; changed in place.
        source: a run folder (its last checkpoint, or RUN:best, RUN:ROUND), a model folder, hf:USER/NAME, a checkpoint of another code, or a
            .safetensors file with names as in a game's state; a generator's own names ("mapping.0.weight") are tried behind "generator.", and an
            average is filled from what it averages where the source has none.
        expected: SHA-256 of the weights, where a run begins again.
    Raises:
        UsageError: if there is nothing to take, or nothing of it fits.
        CheckpointError: if it is damaged, or not what it was.
    """
    state, growing = game.state_dict(), {f"{name}.level" for name, module in game.named_modules() if isinstance(module, Growing)}
    own = {name: value for name, value in state.items() if name not in growing and not name.startswith("view.")}
    found = _read(str(source), state)
    tensors, digest = found.tensors, found.sha256
    if expected is not None and digest != expected:
        raise CheckpointError(f"{source} is no longer what this run started from: its weights' SHA-256 differ. Restore it, or start a new run.")
    tensors = {_named(name, state): value for name, value in tensors.items()}
    tensors = {name: value for name, value in tensors.items() if name in own or name not in state}
    for name in own:
        player = name.partition("_ema.")[0]
        plain = name.replace("_ema.", ".", 1)
        if name not in tensors and name != plain and plain in tensors and f"{player}_ema" in dict(game.named_children()):
            tensors[name] = tensors[plain]
    report = Report(source=found.place, sha256=digest, advice=_advice(game, found))
    for name, value in own.items():
        kind = report.missing if name not in tensors else report.loaded if tensors[name].shape == value.shape else report.reshaped
        kind.append(name)
    report.unused.extend(sorted(tensors.keys() - own.keys()))
    if not report.loaded:
        sizes = f" Its own sizes: {report.advice}." if report.advice else ""
        raise UsageError(
            f"Nothing in {source} fits this recipe: no tensor has the same name and shape. Choose the recipe and preset that made it.{sizes}"
        )
    game.load_state_dict(state | {name: tensors[name].to(own[name].dtype) for name in report.loaded})
    return report


def _named(name: str, own: Mapping[str, Tensor]) -> str:
    return f"generator.{name}" if name not in own and f"generator.{name}" in own else name


@dataclass(frozen=True, kw_only=True)
class _Found:
    """Weights at hand.

    Attributes:
        tensors: by name.
        place: where they are, of a run with the round.
        sha256: of them.
        recipe: that they are of, where it is known.
        config: of that recipe.
        spec: of the data that they were trained on.
    """

    tensors: dict[str, Tensor]
    place: str
    sha256: str
    recipe: str | None = None
    config: GameConfig | None = None
    spec: DataSpec | None = None


def _read(source: str, own: Mapping[str, Tensor]) -> _Found:
    folder, colon, which = source.rpartition(":")
    path, which = (Path(folder), which) if colon and not Path(source).exists() else (Path(source), "last")
    if source.startswith(PREFIX):
        return _foreign(fetch(source.removeprefix(PREFIX)), source)
    if path.is_dir() and not (path / "run.json").exists() and (path / WEIGHTS).exists():
        return _foreign(path, str(path))
    if path.is_dir():
        run = Run.open(path)
        checkpoint, place = run.load(which)
        digest = hashlib.sha256((place / "game.safetensors").read_bytes()).hexdigest()
        about, entry = run.about, find_recipe(run.about["recipe"])
        config, spec = from_json(type(entry.preset("paper")), about["config"]), AbsentData.described(about["data"]).spec
        place_said = f"{path}:{int(place.name[6:])}"
        return _Found(tensors=checkpoint.game, place=place_said, sha256=digest, recipe=entry.name, config=config, spec=spec)
    if not path.is_file():
        raise UsageError(
            f"--init-from takes a run folder, a model folder, {PREFIX}USER/NAME or a file of weights; there is no {source}. "
            "`saddlepoint import --help` says which files are read."
        )
    if path.suffix == ".safetensors":
        tensors = read_tensors(path)
        if any(_named(name, own) in own for name in tensors):
            return _Found(tensors=tensors, place=source, sha256=_digest(path))
    return _foreign(path, source)


def _foreign(path: Path, place: str) -> _Found:
    """The networks that a file or model folder holds; those it does not hold are left out."""
    found = understand(path)
    with torch.random.fork_rng(devices=[]):
        before: dict[str, Tensor] = {}
        game, _ = fill(found, path, before)
    after = game.state_dict()
    held = {name.partition(".")[0] for name, value in after.items() if not torch.equal(value, before[name])}
    tensors = {name: value for name, value in after.items() if name.partition(".")[0] in held}
    digest = _digest(path / WEIGHTS if path.is_dir() else path)
    return _Found(tensors=tensors, place=place, sha256=digest, recipe=found.recipe, config=found.config, spec=found.spec)


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _advice(game: Any, found: _Found) -> str:
    """Flags for those settings of the source that change its networks and are others here."""
    ours, theirs = getattr(game, "config", None), found.config
    if not isinstance(ours, GameConfig) or not isinstance(theirs, type(ours)):
        return ""
    shapes = _shapes(found, theirs)
    flags = []
    for name in (entry.name for entry in dataclasses.fields(theirs)):
        value, here = getattr(theirs, name), getattr(ours, name)
        if value != here and not dataclasses.is_dataclass(value) and _shapes(found, theirs, **{name: here}) != shapes:
            flag = name.replace("_", "-")
            words = " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
            flags.append(f"--{'' if value else 'no-'}{flag}" if isinstance(value, bool) else f"--{flag} {words}")
    return " ".join(flags)


def _shapes(found: _Found, config: GameConfig, **changes: Any) -> dict[str, torch.Size] | None:
    """Of the networks of this configuration, which are not made; None where they cannot be."""
    assert found.recipe is not None and found.spec is not None
    try:
        with untold(), torch.random.fork_rng(devices=[]), torch.device("meta"):
            built = find_recipe(found.recipe).game(dataclasses.replace(config, **changes), BlankData(found.spec))
        return {name: value.shape for name, value in built.state_dict().items()}
    except (SaddlepointError, NotImplementedError, RuntimeError, TypeError, ValueError, LookupError):
        return None
