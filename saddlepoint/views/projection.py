"""Fixed random projections: each discriminator of an array sees its own low-dimensional view of real and fake.

Neyshabur et al. 2017 (arXiv:1705.07831). Drawn once, at construction, kept as buffers: saved with the run, never trained.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import conv2d, linear, normalize

from saddlepoint.errors import UsageError
from saddlepoint.views.view import View


class RandomProjection(View):
    """Convolution of images by fixed random filters over all channels, each Gaussian and then of unit L2 norm.

    The paper's: one 8x8 filter a discriminator, stride 2, padding 3, so 64x64x3 becomes 32x32x1, a twelfth of the values.

    Args:
        channels: c of the images.
        num_filters: filters, so channels of the projection; 1 for one discriminator of an array.
        kernel_size: side of the filters.
        stride: of the convolution.
        padding: zeros around the image; None: (kernel_size - stride) / 2.
    """

    filters: Tensor

    def __init__(self, channels: int, num_filters: int = 1, *, kernel_size: int = 8, stride: int = 2, padding: int | None = None) -> None:
        super().__init__()
        self.stride = stride
        self.padding = (kernel_size - stride) // 2 if padding is None else padding
        self.register_buffer("filters", _unit_rows(num_filters, channels, kernel_size, kernel_size))  # k c 8 8

    def forward(self, x: Tensor) -> Tensor:
        """Projects images [n, c, h, w] to [n, k, h/2, w/2]."""
        if x.ndim != 4 or x.shape[1] != self.filters.shape[1]:
            raise UsageError(f"This projection needs images [n, {self.filters.shape[1]}, h, w]; came {list(x.shape)}.")
        return conv2d(x, self.filters, stride=self.stride, padding=self.padding)

    def output_shape(self, height: int, width: int) -> tuple[int, int, int]:
        """Shape (k, h', w') of the projection of an image of that size."""
        kernel = self.filters.shape[-1]
        new_height, new_width = ((size + 2 * self.padding - kernel) // self.stride + 1 for size in (height, width))
        return len(self.filters), new_height, new_width

    def extra_repr(self) -> str:
        """Shape of the filters, for the printed module."""
        return f"filters={list(self.filters.shape)}, stride={self.stride}, padding={self.padding}"


class RandomVectorProjection(View):
    """Multiplication of points by a fixed Gaussian matrix with rows of unit L2 norm; samples of other shapes are flattened first.

    Args:
        input_dim: values of a sample.
        output_dim: m, values of the projection.
    """

    matrix: Tensor

    def __init__(self, input_dim: int, output_dim: int) -> None:
        super().__init__()
        self.register_buffer("matrix", _unit_rows(output_dim, input_dim))  # m d

    def forward(self, x: Tensor) -> Tensor:
        """Projects samples [n, ...] of d values to [n, m]."""
        flat = x.flatten(1)  # n d
        if flat.shape[1] != self.matrix.shape[1]:
            raise UsageError(f"This projection needs samples of {self.matrix.shape[1]} values; came {flat.shape[1]} values in shape {list(x.shape)}.")
        return linear(flat, self.matrix)

    def extra_repr(self) -> str:
        """Shape of the matrix, for the printed module."""
        return f"matrix={list(self.matrix.shape)}"


def _unit_rows(count: int, *shape: int) -> Tensor:
    return normalize(torch.randn(count, *shape).flatten(1)).view(count, *shape)
