"""The background reader keeps its own torch operations in its thread, and leaves everybody else's threads as they were."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from saddlepoint.training.batches import single_threaded_pool


@pytest.fixture
def threads() -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield 3
    torch.set_num_threads(before)


def test_the_reader_has_one_thread_and_others_as_many_as_before(threads: int) -> None:
    with single_threaded_pool() as pool, ThreadPoolExecutor(max_workers=1) as another:
        assert pool.submit(torch.get_num_threads).result() == 1
        assert another.submit(torch.get_num_threads).result() == torch.get_num_threads() == threads
