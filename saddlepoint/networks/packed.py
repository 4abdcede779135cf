"""Many products with the same weights, without derivatives: the weights are laid out once in the order the product reads them, and the activation is
applied to a result before it leaves the cache.

Axes: r rows, i features in, o features out.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Activation = Literal["none", "relu", "sigmoid"]


class PackedLinear:
    """x -> activation(x W^T + b); of float32 on a processor by oneDNN's product over packed weights, otherwise by torch's.

    The weights are copied: after they have changed, a new object is needed.

    Args:
        weight: [o, i].
        bias: [o], or None.
        rows: how many rows a product will have, at most; what the packing is made for.
        activation: of the results.

    >>> PackedLinear(torch.tensor([[2.0, -1.0]]), torch.tensor([1.0]), 2)(torch.tensor([[1.0, 0.0], [0.0, 4.0]])).tolist()
    [[3.0], [-3.0]]
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, rows: int, activation: Activation = "none") -> None:
        self.weight, self.bias, self.activation = weight.detach(), None if bias is None else bias.detach(), activation
        self._packed: Tensor | None = None
        if packs(weight):
            self._packed = torch.ops.mkldnn._reorder_linear_weight(self.weight, rows)

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Tensor:
        """[r, i] -> [r, o]."""
        if self._packed is None or x.dtype != torch.float32:
            y = F.linear(x, self.weight, self.bias)
            return y if self.activation == "none" else F.relu(y) if self.activation == "relu" else torch.sigmoid(y)
        result: Tensor = torch.ops.mkldnn._linear_pointwise(x, self._packed, self.bias, self.activation, [], "")
        return result


def packs(weight: Tensor) -> bool:
    """Whether products with these weights are made by oneDNN: float32 on a processor, outside of autocast and of an export."""
    return (
        weight.device.type == "cpu"
        and weight.dtype == torch.float32
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
    )
