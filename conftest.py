"""For every test and doctest: the same random numbers, one thread, and a cache of its own."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Caches go to a temporary folder; PyTorch works in one thread, so that sums are made in one order."""
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SADDLEPOINT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def _same_random_numbers() -> None:
    """Seed every generator that a test may use without saying so."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - libraries still draw from it
    torch.manual_seed(0)
