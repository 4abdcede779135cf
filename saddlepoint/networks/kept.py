"""What is made of a kernel, kept as long as a graph needs it: every convolution by the kernel shares it until the kernel moves."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.utils.weak import TensorWeakRef, WeakTensorKeyDictionary


class Kept:
    """What was made of each kernel, found again while something else holds it and the kernel has not moved.

    >>> import torch
    >>> kept, kernel = Kept(), torch.ones(2)
    >>> first = kept.of(kernel, lambda kernel: 2 * kernel)
    >>> kept.of(kernel, lambda kernel: 2 * kernel) is first, kept.of(kernel.mul_(3), lambda kernel: 2 * kernel).tolist()
    (True, [6.0, 6.0])
    """

    def __init__(self) -> None:
        self._found = WeakTensorKeyDictionary()  # kernel -> its version, and what was made of it

    def of(self, kernel: Tensor, make: Callable[[Tensor], Tensor]) -> Tensor:
        """``make(kernel)``, or what was made before: of any shape, without a graph."""
        if kernel.is_inference():  # has no version
            return make(kernel)
        version, kept = self._found.get(kernel, (-1, None))  # type: ignore[no-untyped-call]
        found: Tensor | None = kept() if kept is not None and version == kernel._version else None
        if found is None:
            found = make(kernel)
            self._found[kernel] = kernel._version, TensorWeakRef(found)
        return found
