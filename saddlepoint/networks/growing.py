"""Networks that grow: what a generator and a discriminator share whose resolution doubles while they are trained.

Karras et al. 2018 (arXiv:1710.10196), section 2. A growing network holds the layers of all its levels from the start. How far it has grown is one
number: 2.0 is level 2, and 2.25 fades from level 2 to level 3 with alpha = .25. Level k is base * 2^k pixels. Layers of levels that are not in play
are not computed, get no gradient and do not move. It says so itself::

    network.grow(2.25); network.stage          # Stage(level=3, alpha=0.25): images of level 3, a quarter of them from the new layers

Axes: n batch, c channels, h w image.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saddlepoint.errors import UsageError
from saddlepoint.networks.convolution import double_pixels


class Stage(NamedTuple):
    """Where a growing network stands.

    Attributes:
        level: of the images it makes or judges now.
        alpha: share of the new level's layers while they fade in, in (0, 1); None where nothing fades.
    """

    level: int
    alpha: float | None


class Growing(nn.Module):
    """Base of growing networks: the level as a buffer, so that it is saved, and beside it as a number, so that nothing waits for the device.

    Args:
        top: the highest level; a new network is fully grown.
    """

    level: Tensor

    def __init__(self, top: int) -> None:
        super().__init__()
        self.top = top
        self.register_buffer("level", torch.tensor(float(top)))
        self._level = float(top)

    def grow(self, level: float) -> None:
        """Set how far the network has grown: 0 <= level <= top, a fraction while the next level fades in."""
        if not 0 <= level <= self.top:
            raise UsageError(f"This network grows from level 0 to {self.top}; {level} was asked for. Choose one between.")
        self._level = float(torch.tensor(level, dtype=torch.float32, device="cpu"))  # what the buffer will hold
        self.level.fill_(self._level)

    @property
    def stage(self) -> Stage:
        """The level in play, and the share of its layers while they fade in."""
        level = math.ceil(self._level)
        return Stage(level, None if level == self._level else 1 - (level - self._level))

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *arguments: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *arguments)
        self._level = float(self.level)


def halve_pixels(x: Tensor, times: int = 1) -> Tensor:
    """Mean of each 2x2 pixels, ``times`` times: [n, c, h, w] -> [n, c, h / 2^times, w / 2^times]."""
    return F.avg_pool2d(x, 2**times) if times else x


def blend(old: Tensor, new: Tensor, alpha: float) -> Tensor:
    """(1 - alpha) old + alpha new; exactly ``old`` at 0 and exactly ``new`` at 1."""
    return torch.lerp(old, new, alpha)


def at_stage(x: Tensor, stage: Stage, top: int) -> Tensor:
    """Real images as a network at a stage meets them: of its size, and as far faded as it is itself (Karras et al. 2018, Figure 2).

    Args:
        x: [n, c, h, w] of the highest level.
        stage: of the networks.
        top: the highest level.
    Returns:
        [n, c, h / 2^(top - level), w / 2^(top - level)].

    >>> x = torch.tensor([[0.0, 4.0], [8.0, 4.0]]).view(1, 1, 2, 2)
    >>> at_stage(x, Stage(0, None), 1).flatten().tolist(), at_stage(x, Stage(1, 0.5), 1).flatten().tolist()
    ([4.0], [2.0, 4.0, 6.0, 4.0])
    """
    x = halve_pixels(x, top - stage.level)
    return x if stage.alpha is None else blend(double_pixels(halve_pixels(x)), x, stage.alpha)


def channels_at(level: int, base: int, most: int) -> int:
    """Channels of a level: min(base / 2^(level + 1), most), at least 1; base 8192 and most 512 are the paper's at 1024 pixels.

    >>> [channels_at(level, 8192, 512) for level in range(9)]
    [512, 512, 512, 512, 256, 128, 64, 32, 16]
    """
    return max(1, min(base >> (level + 1), most))
