"""What is done to volumes and how they are looked at: turns about the up axis, and shaded pictures.

Volumes are n 1 d h w (depth, height, width), height up, the front towards the end of the depth axis; x runs along the width, y along the height, z
along the depth. A turn by an angle takes z towards x.

Axes: n batch, d h w depth height width, p picture side, t samples along a ray.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import grid_sample, normalize

from saddlepoint.draws import draws_like
from saddlepoint.errors import UsageError
from saddlepoint.views.view import View

Turns = Literal["none", "quarter", "any"]
REACH = 1.4  # half side of what a picture shows, where the cube's is 1
LIGHT = (-0.45, 0.75, 0.6)  # towards the light, seen from the camera: left, up, to the front
COLOUR = (0.36, 0.56, 0.82)


class UprightTurns(View):
    """Turns each volume about the up axis: by 0, 90, 180 or 270 degrees, which moves whole voxels; or by any angle, by trilinear interpolation.

    Args:
        turns: "quarter" or "any"; "none" leaves volumes as they are.
    """

    def __init__(self, turns: Turns = "quarter") -> None:
        super().__init__()
        self.turns = turns

    def forward(self, x: Tensor) -> Tensor:
        """Volumes [n, 1, d, h, w] of the same shape."""
        if self.turns == "none":
            return x
        if self.turns == "quarter":
            return quarter_turns(x, draws_like(x).integers(len(x), high=4).to(x.device))
        return turned(x, draws_like(x).uniform(len(x), high=2 * math.pi).to(x))


def quarter_turns(x: Tensor, quarters: Tensor) -> Tensor:
    """Turn volumes [n, 1, d, h, w] (d = w) by ``quarters`` [n] (0 to 3) right angles."""
    if x.shape[2] != x.shape[4]:
        raise UsageError(f"Quarter turns need volumes as deep as wide; came {list(x.shape)}.")
    chosen = quarters[:, None, None, None, None]
    x = torch.where(chosen >= 2, x.flip((2, 4)), x)
    return torch.where(chosen % 2 == 1, x.transpose(2, 4).flip(2), x)


def turned(x: Tensor, angles: Tensor) -> Tensor:
    """Turn volumes [n, 1, d, h, w] by ``angles`` [n] in radians; what comes from outside is empty."""
    cos, sin = angles.cos()[:, None, None], angles.sin()[:, None, None]
    z, across = torch.meshgrid(_middles(x.shape[2], x), _middles(x.shape[4], x), indexing="ij")  # d w
    source_x, source_z = cos * across - sin * z, sin * across + cos * z  # n d w
    planes = x.squeeze(1).transpose(1, 2)  # n h d w
    found = grid_sample(planes, torch.stack([source_x, source_z], 3), align_corners=False)
    return found.transpose(1, 2).unsqueeze(1)


def render(x: Tensor, yaw: Tensor, *, elevation: float = math.pi / 8, size: int = 64) -> Tensor:
    """Shaded pictures of volumes, parallel projection, on white.

    A ray's colour is that of the voxels it meets, each weighted by its occupancy times what is left of the ray (so it works on soft occupancies, and
    is differentiable); the shade is that of the surface the depths make.

    Args:
        x: occupancies [n, 1, d, h, w] in [0, 1].
        yaw: [n], by how much each is turned about the up axis, in radians; 0 shows the front.
        elevation: of the camera above the horizon, in radians.
        size: p.
    Returns:
        [n, 3, p, p] in [-1, 1].
    """
    n, steps = len(x), math.ceil(1.5 * max(x.shape[2:]))
    across, along = _middles(size, x) * REACH, _middles(steps, x) * math.sqrt(3)
    cos, sin = math.cos(elevation), math.sin(elevation)
    t, v, u = torch.meshgrid(along, -across, across, indexing="ij")  # t p p: away from the camera, up, to the right
    y, z = cos * v - sin * t, -sin * v - cos * t
    cos_yaw, sin_yaw = yaw.cos().view(n, 1, 1, 1).to(x), yaw.sin().view(n, 1, 1, 1).to(x)
    grid = torch.stack([cos_yaw * u - sin_yaw * z, y.expand(n, -1, -1, -1), sin_yaw * u + cos_yaw * z], 4)  # n t p p 3
    dense = grid_sample(x, grid, align_corners=False).squeeze(1)  # n t p p
    left = torch.cumprod(1 - dense, 1)
    weights = dense * torch.cat([torch.ones_like(left[:, :1]), left[:, :-1]], 1)
    hit = weights.sum(1)  # n p p
    depth = (weights * t).sum(1) / hit.clamp(min=1e-3) + (1 - hit) * math.sqrt(3)
    shade = _shade(depth, 2 * REACH / size).unsqueeze(1)
    colour = torch.tensor(COLOUR, device=x.device, dtype=x.dtype)[:, None, None] * shade
    picture = hit.unsqueeze(1) * colour + 1 - hit.unsqueeze(1)
    return 2 * picture.clamp(0, 1) - 1


def _middles(count: int, like: Tensor) -> Tensor:
    """Middles of ``count`` equal pieces of [-1, 1]."""
    return (torch.arange(count, device=like.device, dtype=like.dtype) + 0.5) * 2 / count - 1


def _shade(depth: Tensor, pixel: float) -> Tensor:
    """Brightness of the surface that depths [n, p, p] make; a pixel is so wide."""
    right = torch.diff(depth, dim=2, append=depth[:, :, -1:]) / pixel
    down = torch.diff(depth, dim=1, append=depth[:, -1:]) / pixel
    normal = normalize(torch.stack([right, -down, torch.ones_like(depth)], 1), dim=1)  # towards the camera: right, up, front
    light = normalize(torch.tensor(LIGHT, device=depth.device, dtype=depth.dtype), dim=0)
    return 0.45 + 0.65 * (normal * light[:, None, None]).sum(1).clamp(min=0)
