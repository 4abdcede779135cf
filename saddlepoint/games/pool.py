"""The pool of earlier fakes that CycleGAN's discriminators are shown (Shrivastava et al. 2017, section 2.3; Zhu et al. 2017, section 4).

Axes: n batch, s slots, c channels, h w image.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from saddlepoint.draws import Draws


class ImagePool(nn.Module):
    """Up to ``size`` earlier images. While it fills, images are kept and returned; then each is, with probability 1/2, exchanged for one of the kept.

    Rows are handled as if they came one after the other, so pieces of a batch in their order leave the same pool as the whole batch. All of it is
    buffers: a resumed run goes on with the pool it had. Where processes share a batch each keeps the pool of its own rows.

    Args:
        size: slots; 50 in the paper. 0 returns every image.
        shape: of an image, (c, h, w).
    """

    images: Tensor
    filled: Tensor

    def __init__(self, size: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("images", torch.zeros(size, *shape))
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def forward(self, x: Tensor, draws: Draws) -> Tensor:
        """Images [n, c, h, w] -> images [n, c, h, w], some of them from earlier calls."""
        n, size = len(x), len(self.images)
        x = x.to(self.images.dtype)
        swaps, slots = draws.uniform(n) < 0.5, draws.integers(n, high=max(size, 1))
        if size == 0:
            return x
        rows = torch.arange(n, device=x.device)
        fills = rows + self.filled < size
        writes, slots = fills | swaps, torch.where(fills, rows + self.filled, slots)
        same = (slots[:, None] == slots[None]) & writes[None] & (rows[None] < rows[:, None])  # [i, j]: j wrote into i's slot before i came
        earlier = torch.where(same, rows[None], -1).amax(1)
        kept = torch.where((earlier >= 0)[:, None, None, None], x[earlier.clamp(min=0)], self.images[slots])
        last = ~((slots[:, None] == slots[None]) & writes[None] & (rows[None] > rows[:, None])).any(1) & writes
        target = torch.where(last, slots, size)  # what is not kept goes to a slot that is cut off
        self.images.copy_(torch.cat([self.images, x[:1]]).index_copy_(0, target, x)[:size])
        self.filled.copy_((self.filled + n).clamp(max=size))
        return torch.where((swaps & ~fills)[:, None, None, None], kept, x)
