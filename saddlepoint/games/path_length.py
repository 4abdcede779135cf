"""Path length regularisation (Karras et al. 2020, arXiv:1912.04958, section 3.2): a step in w changes the image by the same length everywhere.

Axes: n batch, c channels, h w image, l layers, d style code.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Protocol, cast

import torch
from torch import Tensor

from saddlepoint.games.terms import Scene, Term


class Styled(Protocol):
    """A generator with style codes in between."""

    def styles(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Codes of the layers, [n, l, d]."""
        ...

    def synthesis(self, ws: Tensor) -> Tensor:
        """Images [n, c, h, w] of codes."""
        ...


def path_lengths(images: Tensor, ws: Tensor, y: Tensor) -> Tensor:
    """|J^T y| for each sample, J the derivative of its image by its codes: the root of the mean over layers of sum_d (J^T y)^2.

    Args:
        images: [n, c, h, w], made from ``ws``.
        ws: [n, l, d], part of the graph of ``images``.
        y: random images of N(0, 1), [n, c, h, w]; divided by sqrt(h w) here.
    Returns:
        [n], twice differentiable.
    """
    value = (images * y).sum() / math.sqrt(images.shape[2] * images.shape[3])
    (slopes,) = torch.autograd.grad(value, ws, create_graph=True)  # n l d
    return slopes.square().sum(2).mean(1).sqrt()


class PathLength(Term):
    """weight * (|J^T y| - a)^2, Eq. 4, in a move of its own every few rounds; a is the running mean of the lengths.

    The penalty of a move compares with the mean of the moves before it, so that micro-batches and processes agree; the released code has put .01 of
    the move's own mean into it already. The mean starts at 0, as there.

    Args:
        weight: of the penalty.
        every: rounds from one move to the next; the value is multiplied by it.
        decay: share of a move's own lengths in the running mean.
        shrink: the term makes a batch of its own, smaller by this factor.
    """

    name = "path_length"
    player = "generator"
    needs_real = False
    alone = True
    mean: Tensor

    def __init__(self, weight: float = 2.0, every: int = 4, *, decay: float = 0.01, shrink: int = 2) -> None:
        super().__init__()
        self.weight, self.every, self.decay, self.shrink = weight, every, decay, shrink
        self.register_buffer("mean", torch.zeros(()))

    def forward(self, scene: Scene) -> Tensor:
        """Return the weighted mean of the squared differences of fresh samples' path lengths from the running mean."""
        generator = cast(Styled, scene.generator)
        z, labels = scene.latents(max(1, len(scene.batch) // self.shrink))
        ws = generator.styles(z, labels)
        images = generator.synthesis(ws)
        lengths = path_lengths(images, ws, scene.draws.normal(*images.shape).to(images))
        scene.watched["path"] = lengths.detach().mean()
        untouched = 0 * images.mean()  # zero gradients for parameters that no length depends on, as in the released code
        return self.weight * (lengths - self.mean).square().mean() + untouched

    def after_turn(self, player: str, values: Mapping[str, Tensor]) -> Mapping[str, Tensor] | None:
        """Move the running mean."""
        self.mean.lerp_(values[f"{player}/path"].to(self.mean), self.decay)
        return {f"{player}/path_mean": self.mean.clone()}
