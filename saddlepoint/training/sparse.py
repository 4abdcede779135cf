"""Gradients that hold few rows of a table, shared between processes: what travels is those rows, not the table.

Axes: r rows, d columns.
"""

from __future__ import annotations

import torch
from lightning_fabric import Fabric
from torch import Tensor


def mean_of_rows(fabric: Fabric, gradient: Tensor) -> Tensor:
    """The mean over the processes of a sparse gradient [N, d], sparse; processes may hold different numbers of rows."""
    index, values = gradient._indices()[0], gradient._values()
    lengths = _gathered(fabric, torch.tensor([len(index)], device=index.device))
    missing = int(lengths.max()) - len(index)
    rows = _gathered(fabric, torch.cat([index, index.new_zeros(missing)]))  # row 0 gets zeros where there are fewer
    sums = _gathered(fabric, torch.cat([values, values.new_zeros(missing, values.shape[1])]))
    return torch.sparse_coo_tensor(rows.flatten()[None], sums.flatten(0, 1) / fabric.world_size, gradient.shape, check_invariants=False)


def _gathered(fabric: Fabric, own: Tensor) -> Tensor:
    """The tensors [...] of all processes, which are of one shape, [processes, ...]."""
    slots = own.new_zeros(fabric.world_size, *own.shape)
    slots[fabric.global_rank] = own
    whole = fabric.all_reduce(slots, reduce_op="sum")
    assert isinstance(whole, Tensor)
    return whole
