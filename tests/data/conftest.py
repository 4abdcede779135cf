"""A cache of its own for every test of the data room, and a maker of image files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("SADDLEPOINT_CACHE", str(place))
    return place


@pytest.fixture
def make_images() -> Callable[..., list[Path]]:
    def make(folder: Path, count: int, size: tuple[int, int] = (16, 16), mode: str = "RGB", suffix: str = ".png", seed: int = 0) -> list[Path]:
        """Smooth random images, so that a lossy file stays near its source."""
        folder.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(seed)
        paths = []
        for i in range(count):
            small = Image.fromarray(rng.integers(0, 256, (3, 3, 3), np.uint8))
            path = folder / f"{i:04d}{suffix}"
            small.resize(size, Image.Resampling.BICUBIC).convert(mode).save(path)
            paths.append(path)
        return paths

    return make
