"""Bilinear sampling of images at given places, differentiable any number of times in the images.

PyTorch's ``grid_sample`` has no second derivative. Sampling is linear in the image, so its backward is its adjoint, whose backward is sampling again:
two functions that are each other's derivative, on PyTorch's own kernels.

Axes: n batch, c channels, h w image, g k places.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import grid_sample


def warp(images: Tensor, grid: Tensor) -> Tensor:
    """Images at the places of ``grid``, bilinear between pixels, 0 outside.

    Args:
        images: shape [n, c, h, w].
        grid: places as (x, y), shape [n, g, k, 2]; -1 and 1 are the outer edges of the first and the last pixel. It gets no gradient.
    Returns:
        Shape [n, c, g, k].

    >>> image = torch.tensor([[[[0.0, 1.0]]]])
    >>> warp(image, torch.tensor([[[[-0.5, 0.0], [0.0, 0.0], [0.5, 0.0], [1.0, 0.0]]]])).flatten().tolist()
    [0.0, 0.5, 1.0, 0.5]
    """
    sampled: Tensor = _Warp.apply(images, grid)
    return sampled


def warp_reference(images: Tensor, grid: Tensor) -> Tensor:
    """The same as :func:`warp` by its definition, four gathers, differentiable by PyTorch itself: for tests."""
    n, c, h, w = images.shape
    places = ((grid + 1) * grid.new_tensor([w, h]) - 1) / 2  # n g k 2, in pixels
    corner = places.floor()
    share = places - corner
    out = images.new_zeros(n, c, *grid.shape[1:3])
    for right in (0, 1):
        for down in (0, 1):
            x, y = (corner[..., 0] + right).long(), (corner[..., 1] + down).long()
            weight = (share[..., 0] - 1 + right).abs() * (share[..., 1] - 1 + down).abs()
            inside = (x >= 0) & (x < w) & (y >= 0) & (y < h)
            index = (y.clamp(0, h - 1) * w + x.clamp(0, w - 1)).flatten(1).unsqueeze(1).expand(n, c, -1)
            out = out + images.flatten(2).gather(2, index).view_as(out) * (weight * inside).unsqueeze(1)
    return out


class _Warp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, grid: Tensor) -> Tensor:
        ctx.save_for_backward(grid)
        ctx.shape = images.shape
        return grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Any:
        (grid,) = ctx.saved_tensors
        return (_WarpAdjoint.apply(slope, grid, ctx.shape) if ctx.needs_input_grad[0] else None), None


class _WarpAdjoint(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, slope: Tensor, grid: Tensor, shape: torch.Size) -> Tensor:
        ctx.save_for_backward(grid)
        images = slope.new_zeros(()).expand(shape)  # read by the kernel for the grid's gradient only, which nobody asks for
        found: Tensor = torch.ops.aten.grid_sampler_2d_backward(slope, images, grid, 0, 0, False, [True, False])[0]
        return found

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Any:
        (grid,) = ctx.saved_tensors
        return (_Warp.apply(slope, grid) if ctx.needs_input_grad[0] else None), None, None
