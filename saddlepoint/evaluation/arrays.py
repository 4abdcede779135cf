"""The door of every metric: arrays of samples or features, one row each, checked once and held in float64.

Axes: n samples, d dimension.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from saddlepoint.errors import UsageError

Float64 = NDArray[np.float64]
Rows = NDArray[np.generic] | Tensor


def as_rows(values: Rows, name: str, *, least: int = 1) -> Float64:
    """Rows of features or points as float64 [n, d]; axes after the first are flattened.

    Args:
        values: [n, ...], any numeric type, on any device.
        name: what the rows are, for the error line.
        least: how many rows the metric needs.
    Raises:
        UsageError: for a single number, too few rows, or a value that is not finite.
    """
    array = values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
    if array.ndim < 1 or len(array) < least:
        came = "a single number" if array.ndim < 1 else f"{len(array)}"
        raise UsageError(f"This metric needs at least {least} {name} samples, one a row; {came} came. Draw more samples.")
    rows = np.ascontiguousarray(array.reshape(len(array), -1), dtype=np.float64)
    if not np.isfinite(rows).all():
        bad = int((~np.isfinite(rows).all(1)).sum())
        raise UsageError(
            f"This metric needs finite numbers; {bad} of {len(rows)} {name} samples hold NaN or infinity. Look at the samples' generator."
        )
    return rows


def as_pair(real: Rows, fake: Rows, *, least: int = 1) -> tuple[Float64, Float64]:
    """Real and generated rows of the same dimension, float64 [n, d] and [m, d]."""
    real_rows, fake_rows = as_rows(real, "real", least=least), as_rows(fake, "generated", least=least)
    if real_rows.shape[1] != fake_rows.shape[1]:
        came = f"real have {real_rows.shape[1]} and generated {fake_rows.shape[1]}"
        raise UsageError(f"Real and generated samples need the same dimension; {came}. Use one extractor for both.")
    return real_rows, fake_rows
