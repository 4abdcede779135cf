"""The random numbers of one call of an augmentation: which samples it happens to, and how strongly.

Two blocks are drawn for the whole batch, whatever the policy, and handed out column by column: adding a transformation to a policy leaves the numbers
of those before it as they are. For pictures and comparisons one percentile can stand for every number.

Axes: n batch.
"""

from __future__ import annotations

import torch
from torch import Tensor

from saddlepoint.draws import draws_like

UNIFORMS, NORMALS = 32, 16  # columns; all transformations together use fewer


class Chance:
    """Hands out numbers for ``x`` [n, ...], in float32 or better, on its device.

    Args:
        x: the samples.
        p: probability of a transformation of strength 1, a scalar tensor in [0, 1].
        percentile: None draws numbers. Otherwise every transformation happens, every uniform number is this percentile, and every normal one is
            erfinv(2 percentile - 1), as in the authors' pictures of single transformations.

    Attributes:
        zeros: shape [n], of the type and on the device of the numbers.
    """

    def __init__(self, x: Tensor, p: Tensor, percentile: float | None = None) -> None:
        self.percentile = percentile
        dtype = torch.promote_types(x.dtype, torch.float32)
        self.p = p.to(x.device, dtype)
        self.zeros = torch.zeros(len(x), device=x.device, dtype=dtype)
        if percentile is None:
            draws = draws_like(x)
            self._uniforms = iter(draws.uniform(len(x), UNIFORMS).to(x.device, dtype).unbind(1))
            self._normals = iter(draws.normal(len(x), NORMALS).to(x.device, dtype).unbind(1))
        else:
            value = torch.tensor(percentile, dtype=torch.float64)
            self._uniform = value.to(x.device, dtype).expand(len(x))
            self._normal = torch.erfinv(2 * value - 1).to(x.device, dtype).expand(len(x))
            self._half_normal = torch.erfinv(value).to(x.device, dtype).expand(len(x))

    def happens(self, strength: float | Tensor) -> Tensor:
        """Whether a transformation happens to each sample: with probability ``strength`` * p; bool [n]."""
        if self.percentile is not None:
            return torch.ones_like(self.zeros, dtype=torch.bool)
        return next(self._uniforms) < strength * self.p

    def happens_in_halves(self, strength: float) -> Tensor:
        """Whether one of two equal chances happens, of which at least one shall with probability ``strength`` * p; bool [n]."""
        if self.percentile is not None:
            return self.happens(strength)
        return next(self._uniforms) < 1 - (1 - strength * self.p).clamp(0, 1).sqrt()

    def uniform(self) -> Tensor:
        """Numbers in [0, 1), shape [n]."""
        return next(self._uniforms) if self.percentile is None else self._uniform

    def normal(self) -> Tensor:
        """Standard normal numbers, shape [n]."""
        return next(self._normals) if self.percentile is None else self._normal

    def half_normal(self) -> Tensor:
        """Absolute values of standard normal numbers, shape [n]."""
        return next(self._normals).abs() if self.percentile is None else self._half_normal
