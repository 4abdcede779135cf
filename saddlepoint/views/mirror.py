"""Mirrored images: the one augmentation that doubles a data set of faces or rooms without changing what it shows."""

from __future__ import annotations

import torch
from torch import Tensor

from saddlepoint.draws import draws_like
from saddlepoint.views.view import View


class Mirror(View):
    """Turns each image left to right with probability 1/2; for REAL images, so that D learns to expect both (Karras et al. 2018, Appendix A.1)."""

    def forward(self, x: Tensor) -> Tensor:
        """Images [n, c, h, w]; the same shape."""
        turned = draws_like(x).uniform(len(x)) < 0.5
        return torch.where(turned.to(x.device)[:, None, None, None], x.flip(3), x)
