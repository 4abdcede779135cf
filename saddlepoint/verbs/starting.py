"""Starting a run from weights that are there already: of another run, or of a safetensors file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from torch import Tensor

from saddlepoint.errors import CheckpointError, UsageError
from saddlepoint.games.game import Game
from saddlepoint.training.run import Run


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
    """

    source: str
    sha256: str
    loaded: list[str] = field(default_factory=list)
    reshaped: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)

    def sentence(self) -> str:
        """One line for the user, with the first few names of what was left."""
        parts = [f"{len(self.loaded)} of {len(self.loaded) + len(self.reshaped) + len(self.missing)} tensors came from {self.source}"]
        for what, names in (("have another shape", self.reshaped), ("are not in it", self.missing), ("of it are unknown here", self.unused)):
            if names:
                parts.append(f"{len(names)} {what} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})")
        return "; ".join(parts) + "."

    def about(self) -> dict[str, Any]:
        """What the run's description keeps: of the loaded ones the number."""
        return vars(self) | {"loaded": len(self.loaded)}


def start_from(game: Game, source: str | Path, expected: str | None = None) -> Report:
    """Take over every weight that has the same name and shape; optimisers begin anew.

    Args:
        game: as built; changed in place.
        source: a run folder (its last checkpoint, or RUN:best, RUN:ROUND), or a .safetensors file with names as in a game's state; a generator's own
            names ("mapping.0.weight") are tried behind "generator.", and an average is filled from what it averages where the source has none.
        expected: SHA-256 of the weights, where a run begins again.
    Raises:
        UsageError: if there is nothing to take, or nothing of it fits.
        CheckpointError: if it is damaged, or not what it was.
    """
    tensors, source, digest = _read(str(source))
    if expected is not None and digest != expected:
        raise CheckpointError(f"{source} is no longer what this run started from: its weights' SHA-256 differ. Restore it, or start a new run.")
    own = game.state_dict()
    tensors = {_named(name, own): value for name, value in tensors.items()}
    for name in own:
        player = name.partition("_ema.")[0]
        plain = name.replace("_ema.", ".", 1)
        if name not in tensors and name != plain and plain in tensors and f"{player}_ema" in dict(game.named_children()):
            tensors[name] = tensors[plain]
    report = Report(source=source, sha256=digest)
    for name, value in own.items():
        kind = report.missing if name not in tensors else report.loaded if tensors[name].shape == value.shape else report.reshaped
        kind.append(name)
    report.unused.extend(sorted(tensors.keys() - own.keys()))
    if not report.loaded:
        raise UsageError(f"Nothing in {source} fits this recipe: no tensor has the same name and shape. Choose the recipe and preset that made it.")
    game.load_state_dict(own | {name: tensors[name].to(own[name].dtype) for name in report.loaded})
    return report


def _named(name: str, own: dict[str, Tensor]) -> str:
    return f"generator.{name}" if name not in own and f"generator.{name}" in own else name


def _read(source: str) -> tuple[dict[str, Tensor], str, str]:
    """Tensors by name, where they are (of a run with the round), and their SHA-256."""
    folder, colon, which = source.rpartition(":")
    path, which = (Path(folder), which) if colon and not Path(source).exists() else (Path(source), "last")
    if path.is_dir():
        found = Run.open(path)
        checkpoint, place = found.load(which)
        return checkpoint.game, f"{path}:{int(place.name[6:])}", hashlib.sha256((place / "game.safetensors").read_bytes()).hexdigest()
    if path.suffix != ".safetensors" or not path.is_file():
        raise UsageError(
            f"--init-from takes a run folder or a .safetensors file; {source} is neither. `saddlepoint import` turns other files into a run."
        )
    content = path.read_bytes()
    try:
        return load_tensors(content), source, hashlib.sha256(content).hexdigest()
    except SafetensorError as error:
        raise CheckpointError(f"{path} is not a whole safetensors file: {error}.") from None
