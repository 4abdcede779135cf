"""The order of records: shuffled epochs, entered anywhere."""

from __future__ import annotations

import math

import pytest
import torch

from saddlepoint.data.order import LaneOrder, Order


def test_every_epoch_is_a_permutation_and_no_two_are_alike() -> None:
    order = Order(100, seed=3)
    epochs = [order.indices(100 * k, 100) for k in range(5)]
    for epoch in epochs:
        assert torch.equal(epoch.sort().values, torch.arange(100))
    assert len({tuple(epoch.tolist()) for epoch in epochs}) == 5


@pytest.mark.parametrize("batch", [1, 7, 32, 250])
def test_the_stream_is_the_same_however_it_is_cut(batch: int) -> None:
    whole = Order(100, seed=0).indices(0, 1000)
    order = Order(100, seed=0)
    assert torch.equal(torch.cat([order.indices(start, min(batch, 1000 - start)) for start in range(0, 1000, batch)]), whole)


def test_a_fresh_order_enters_anywhere() -> None:
    whole = Order(13, seed=1).indices(0, 200)
    for position in (199, 0, 77, 130):
        assert torch.equal(Order(13, seed=1).indices(position, 200 - position), whole[position:])


def test_the_seed_matters_and_the_type_is_int64() -> None:
    first = Order(50, seed=0).indices(0, 50)
    assert first.dtype == torch.int64
    assert not torch.equal(first, Order(50, seed=1).indices(0, 50))


def test_first_place_is_uniform_over_epochs() -> None:
    order = Order(4, seed=0)
    first = torch.stack([order.indices(4 * k, 1)[0] for k in range(4000)])
    assert first.bincount().tolist() == pytest.approx([1000] * 4, abs=4 * 27)  # 4 standard deviations of a binomial


def test_one_record_and_no_count() -> None:
    assert Order(1, seed=0).indices(5, 3).tolist() == [0, 0, 0]
    assert Order(7, seed=0).indices(5, 0).shape == (0,)


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one record, got 0"):
        Order(0, seed=0)
    with pytest.raises(ValueError, match="must not be negative, got -1 and 2"):
        Order(3, seed=0).indices(-1, 2)


# -- lanes -------------------------------------------------------------------------------------------------------------------------------


def blocks_of(*sizes: int) -> torch.Tensor:
    return torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))


@pytest.mark.parametrize("sizes", [(5,), (10, 10, 10, 10), (7, 1, 13, 4, 9), (3,) * 19])
def test_every_lane_is_a_permutation_and_no_record_is_left_out(sizes: tuple[int, ...]) -> None:
    blocks = blocks_of(*sizes)
    order = LaneOrder(blocks, seed=1)
    assert order.lanes == min(8, 2 ** int(math.log2(len(sizes))))
    longest = -(-len(blocks) // order.lanes)
    seen = order.indices(0, longest * order.lanes)
    assert set(seen.tolist()) == set(range(len(blocks)))
    assert torch.bincount(seen).max() <= 2  # lanes differ in length by one record at most
    for lane in range(order.lanes):
        own = blocks[seen[lane :: order.lanes]]
        assert len(torch.unique_consecutive(own)) <= len(own.unique()) + 1  # block after block


def test_lanes_are_the_same_however_they_are_cut_and_entered() -> None:
    blocks = blocks_of(*(20,) * 9)
    whole = LaneOrder(blocks, seed=4).indices(0, 1000)
    for size in (1, 7, 64):
        cut = torch.cat([LaneOrder(blocks, seed=4).indices(start, min(size, 1000 - start)) for start in range(0, 1000, size)])
        assert torch.equal(cut, whole)
    assert not torch.equal(LaneOrder(blocks, seed=5).indices(0, 1000), whole)


@pytest.mark.parametrize("processes", [2, 4, 8])
def test_a_process_reads_its_own_lanes_only(processes: int) -> None:
    blocks = blocks_of(*(20,) * 16)
    order, touched = LaneOrder(blocks, seed=0), [set[int]() for _ in range(processes)]
    for start in range(0, 3200, 32):
        batch = order.batch(start, 32)
        assert sorted(batch.tolist()) == sorted(order.indices(start, 32).tolist())
        for rank, part in enumerate(batch.view(processes, -1)):
            touched[rank] |= set(blocks[part].tolist())
    assert [len(each) for each in touched] == [16 // processes] * processes
    assert set.union(*touched) == set(range(16))
