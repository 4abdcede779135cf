"""Rows in the precision they came in, for metrics whose cost is a product of all pairs: float32 features stay float32.

Axes: n samples, d features.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from saddlepoint.errors import UsageError
from saddlepoint.evaluation.arrays import Rows

_CHECK = 8192


def as_float_rows(values: Rows, name: str, *, least: int = 1) -> NDArray[Any]:
    """Rows [n, d] as float32 where they came as float32 or less, as float64 otherwise; not copied where they need not be.

    Args:
        values: [n, ...], any numeric type, on any device.
        name: what the rows are, for the error line.
        least: how many rows the metric needs.
    Raises:
        UsageError: for a single number, too few rows, or a value that is not finite.
    """
    if isinstance(values, Tensor):
        values = (values if values.dtype.itemsize > 2 else values.float()).detach().cpu().numpy()
    array = np.asarray(values)
    if array.ndim < 1 or len(array) < least:
        came = "a single number" if array.ndim < 1 else f"{len(array)}"
        raise UsageError(f"This metric needs at least {least} {name} samples, one a row; {came} came. Draw more samples.")
    single = array.dtype in (np.float32, np.float16)
    rows = np.ascontiguousarray(array.reshape(len(array), -1), dtype=np.float32 if single else np.float64)
    blocks = [rows[start : start + _CHECK] for start in range(0, len(rows), _CHECK)]
    with np.errstate(over="ignore", invalid="ignore"):  # a sum that is finite has finite terms
        bad = sum(int((~np.isfinite(block).all(1)).sum()) for block in blocks if not np.isfinite(block.sum()))
    if bad:
        raise UsageError(
            f"This metric needs finite numbers; {bad} of {len(rows)} {name} samples hold NaN or infinity. Look at the samples' generator."
        )
    return rows


def as_float_pair(real: Rows, fake: Rows, *, least: int = 1) -> tuple[NDArray[Any], NDArray[Any]]:
    """Real and generated rows of one dimension and one floating type, the wider of the two."""
    x, y = as_float_rows(real, "real", least=least), as_float_rows(fake, "generated", least=least)
    if x.shape[1] != y.shape[1]:
        came = f"real have {x.shape[1]} and generated {y.shape[1]}"
        raise UsageError(f"Real and generated samples need the same dimension; {came}. Use one extractor for both.")
    dtype = np.promote_types(x.dtype, y.dtype)
    return x.astype(dtype, copy=False), y.astype(dtype, copy=False)
