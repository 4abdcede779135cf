"""Floating-point operations of whatever runs inside: matrix products and convolutions, forward, backward and backward of the backward.

A multiplication and the addition behind it are two operations. Counted is what was asked of the tensor library, as its operations arrive there, so
the second derivatives of penalties are included and nothing has to be known of the networks; products with the zeros of a padding count as any
other. Not counted: element-wise operations, sums, normalisations and optimiser steps, which move memory rather than compute.

Axes: n batch, c channels in, o channels out, g groups.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

aten = torch.ops.aten
Count = Callable[..., int]


def convolution(x: Sequence[int], weight: Sequence[int], y: Sequence[int], *, transposed: bool) -> int:
    """Operations of a convolution between the small image and the kernel: each pixel of one meets every entry of the other once.

    Args:
        x: shape of the input, [n, c, ...].
        weight: shape of the kernel, [o, c/g, ...]; transposed [c, o/g, ...].
        y: shape of the output, [n, o, ...].
        transposed: whether the convolution is; its small image is the input.

    >>> convolution((1, 3, 8, 8), (16, 3, 4, 4), (1, 16, 4, 4), transposed=False)     # 16 x 4 x 4 outputs of 3 x 4 x 4 products each
    24576
    """
    return 2 * math.prod(x if transposed else y) * math.prod(weight[1:])


def _forward(args: tuple[Any, ...], y: Any) -> int:
    return convolution(args[0].shape, args[1].shape, y.shape, transposed=bool(args[6]))


def _backward(args: tuple[Any, ...], _: Any) -> int:
    """The gradient by the input and the gradient by the kernel are each as much work as the convolution itself, whatever the groups."""
    y, x, weight, wanted = args[0], args[1], args[2], args[10]
    return (int(wanted[0]) + int(wanted[1])) * convolution(x.shape, weight.shape, y.shape, transposed=bool(args[7]))


def _matrix_vector(args: tuple[Any, ...], _: Any) -> int:
    return 2 * int(args[-2].numel())


def _packed(args: tuple[Any, ...], y: Any) -> int:
    """A product with weights that lie packed."""
    return 2 * int(y.numel()) * int(args[0].shape[-1])


_CONVOLUTIONS: dict[Any, Count] = {aten.convolution: _forward, aten.convolution_backward: _backward}
_VECTORS: dict[Any, Count] = {aten.mv: _matrix_vector, aten.addmv: _matrix_vector}
if hasattr(torch.ops.mkldnn, "_linear_pointwise"):
    _VECTORS[torch.ops.mkldnn._linear_pointwise] = _packed


class FlopCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts while it is entered; several entries add up.

    Attributes:
        by_operation: floating-point operations by the name of the tensor library's operation.

    >>> with FlopCounter() as counter:
    ...     _ = torch.ones(2, 3) @ torch.ones(3, 5)
    >>> counter.total, counter.by_operation
    (60, {'mm': 60})
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.by_operation: dict[str, int] = {}

    @property
    def total(self) -> int:
        """Floating-point operations so far."""
        return sum(self.by_operation.values())

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        operation = func._overloadpacket
        own = _CONVOLUTIONS.get(operation) or _VECTORS.get(operation)
        if own is not None:
            self._add(operation, own(args, out))
        elif operation in flop_registry:
            self._add(operation, int(flop_registry[operation](*args, **kwargs, out_val=out)))
        return out

    def _add(self, operation: Any, count: int) -> None:
        name = operation.__name__
        self.by_operation[name] = self.by_operation.get(name, 0) + count
