"""Features kept on disk by what they are made of, so that nothing is extracted twice and an interrupted extraction goes on.

``$SADDLEPOINT_CACHE/features/KEY/00000000.safetensors`` holds the outputs for samples 0 to CHUNK - 1, and so on. KEY is a hash of the samples'
content, the extractor, its weights and its preprocessing. Each file is written aside and renamed: it is whole or not there. All may be deleted.

Axes: n samples, d features.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from saddlepoint.data.cache import cache_root
from saddlepoint.errors import StorageError, UsageError
from saddlepoint.evaluation.extractors import Extractor, Outputs
from saddlepoint.evaluation.sets import CHUNK_ROWS, SampleSet

FORMAT = 1


@dataclass(frozen=True)
class Features:
    """The outputs of an extractor for a set of samples, read a chunk at a time; nothing is kept in memory.

    Args:
        samples: what is looked at.
        extractor: what looks.
        show: told of each chunk that had to be extracted: samples done and of how many.
    """

    samples: SampleSet
    extractor: Extractor
    show: Callable[[int, int], None] | None = None

    def __len__(self) -> int:
        """Number of samples."""
        return self.samples.num

    def chunks(self, name: str = "features") -> Iterator[NDArray[np.float32]]:
        """Outputs of one name ("features", "probabilities"), at most CHUNK_ROWS rows at a time, in order."""
        for start in range(0, self.samples.num, CHUNK_ROWS):
            found = self._chunk(start, min(start + CHUNK_ROWS, self.samples.num))
            if name not in found:
                raise UsageError(
                    f"The extractor {self.extractor.name} gives no {name}. Choose inception, lite0 or quick:fashion, which know classes."
                )
            yield found[name].numpy()

    def rows(self, name: str = "features", limit: int | None = None) -> NDArray[np.float32]:
        """The first ``limit`` rows in memory, float32; None means all."""
        parts, held = [], 0
        for chunk in self.chunks(name):
            parts.append(chunk)
            held += len(chunk)
            if limit is not None and held >= limit:
                break
        return np.concatenate(parts)[:limit]

    def _chunk(self, start: int, stop: int) -> Outputs:
        path = None if not self.samples.content_hash else self.folder / f"{start:08d}.safetensors"
        if path is not None:
            kept = _read(path, stop - start)
            if kept is not None:
                return kept
        found = self.extractor(self.samples.read(start, stop))
        if path is not None:
            _write(path, found)
        if self.show is not None:
            self.show(stop, self.samples.num)
        return found

    @property
    def folder(self) -> Path:
        """Where these features are kept."""
        what = [FORMAT, CHUNK_ROWS, self.samples.content_hash, self.extractor.stamp]
        return cache_root() / "features" / hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:32]


def _read(path: Path, num: int) -> dict[str, Tensor] | None:
    """A chunk of at least ``num`` rows, cut to them; None if it is not there, shorter, or damaged (it is made again then)."""
    try:
        found = load_file(path)
    except (OSError, SafetensorError):
        return None
    if "features" not in found or len(found["features"]) < num:
        return None
    return {name: values[:num] for name, values in found.items()}


def _write(path: Path, found: dict[str, Tensor]) -> None:
    content = save({name: values.contiguous() for name, values in found.items()})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, aside = tempfile.mkstemp(prefix=path.name, suffix=".tmp", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(aside, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(aside)
            raise
    except OSError as error:
        advice = "Make room there, or set SADDLEPOINT_CACHE to a folder that can be written."
        raise StorageError(f"Cannot keep features in {path.parent}: {error.strerror or error}. {advice}") from error
