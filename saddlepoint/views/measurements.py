"""Measurements that lose information, as AmbientGAN sees the world through them: Bora et al. 2018, ICLR, section 4.

    block-pixels:p=.9         each pixel (all channels together) is 0 with probability p; the others are divided by 1 - p
    drop-rows, drop-columns, drop-both:p=.5      the same of whole rows and columns
    block-patch:size=14       a square at a random place is 0
    keep-patch:size=14        all but such a square is 0
    extract-patch:size=14     such a square, put into the middle; where it was is not told
    convolve-noise:std=.2     blurred by a Gaussian (radius=1, kernel=5), plus noise N(0, std^2)
    project:angles=1          padded, turned by a random angle, summed along the rows: a vector an angle
    project-told:angles=1     the same with the angle behind each vector
    gaussian-projection:count=1   the inner product with a Gaussian vector, behind that vector

Images are in [-1, 1]. A measurement's 0 is black (zero=black, the unit is the brightness in [0, 1]) or, as for the paper's faces, grey (zero=grey,
the unit is the value itself). An entry of your own is a class or function marked with :func:`saddlepoint.views.measurement.measurement`.

Axes: n batch, c channels, h w image, k square, a angles.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from saddlepoint.draws import draws_like
from saddlepoint.errors import UsageError
from saddlepoint.views.measurement import Measurement, Zero, measurement
from saddlepoint.views.warp import warp


class Masking(Measurement):
    """u times a mask of theta [n, 1, h, w], 0 where nothing is seen."""

    scale = 1.0  # of what is seen

    def mask(self, x: Tensor) -> Tensor:
        """Draw theta: 1 where ``x`` is seen, else 0."""
        raise NotImplementedError(f"{type(self).__name__} must say what it hides.")

    def forward(self, x: Tensor) -> Tensor:
        """Images of the same shape; values may leave [-1, 1] where those that are left are scaled."""
        return self.image(self.measured(x) * self.mask(x).to(x) * self.scale)


class _Dropping(Masking):
    def __init__(self, p: float = 0.5, zero: Zero = "black") -> None:
        super().__init__(zero)
        if not 0 <= p < 1:
            raise UsageError(f"The probability of a measurement to drop is at least 0 and below 1; p={p} came.")
        self.p, self.scale = p, 1 / (1 - p)

    def seen(self, x: Tensor, height: int, width: int) -> Tensor:
        return draws_like(x).uniform(len(x), 1, height, width) >= self.p


@measurement("block-pixels")
class BlockPixels(_Dropping):
    """Each pixel is dropped with probability p."""

    def mask(self, x: Tensor) -> Tensor:
        """One draw a pixel."""
        return self.seen(x, *x.shape[2:])


@measurement("drop-rows")
class DropRows(_Dropping):
    """Each row is dropped with probability p."""

    def mask(self, x: Tensor) -> Tensor:
        """One draw a row."""
        return self.seen(x, x.shape[2], 1)


@measurement("drop-columns")
class DropColumns(_Dropping):
    """Each column is dropped with probability p."""

    def mask(self, x: Tensor) -> Tensor:
        """One draw a column."""
        return self.seen(x, 1, x.shape[3])


@measurement("drop-both")
class DropRowsAndColumns(_Dropping):
    """Rows and columns are dropped, each with probability p; what is left is scaled for both."""

    def __init__(self, p: float = 0.5, zero: Zero = "black") -> None:
        super().__init__(p, zero)
        self.scale = 1 / (1 - p) ** 2

    def mask(self, x: Tensor) -> Tensor:
        """One draw a row, one a column."""
        return self.seen(x, x.shape[2], 1) & self.seen(x, 1, x.shape[3])


class _Patch(Masking):
    def __init__(self, size: int = 14, zero: Zero = "black") -> None:
        super().__init__(zero)
        if size < 1:
            raise UsageError(f"A patch has a side of at least 1 pixel; size={size} came.")
        self.size = size

    def corners(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Upper left corners, rows and columns [n], uniform over all places."""
        h, w = x.shape[2:]
        if self.size > min(h, w):
            raise UsageError(f"A patch of {self.size} pixels does not fit into images of {h}x{w}. Choose a smaller size.")
        draws = draws_like(x)
        return tuple(draws.integers(len(x), high=side - self.size + 1).to(x.device) for side in (h, w))  # type: ignore[return-value]

    def inside(self, x: Tensor) -> Tensor:
        """Whether each pixel lies in the patch, [n, 1, h, w]."""
        top, left = (corner[:, None] for corner in self.corners(x))
        rows, columns = (torch.arange(side, device=x.device) for side in x.shape[2:])
        within = [(at >= corner) & (at < corner + self.size) for at, corner in ((rows, top), (columns, left))]  # n h, n w
        return within[0][:, None, :, None] & within[1][:, None, None, :]


@measurement("block-patch")
class BlockPatch(_Patch):
    """A square is hidden."""

    def mask(self, x: Tensor) -> Tensor:
        """Outside of it."""
        return ~self.inside(x)


@measurement("keep-patch")
class KeepPatch(_Patch):
    """Only a square is seen, where it is."""

    def mask(self, x: Tensor) -> Tensor:
        """Inside of it."""
        return self.inside(x)


@measurement("extract-patch")
class ExtractPatch(_Patch):
    """Only a square is seen, in the middle: where it was is lost."""

    def forward(self, x: Tensor) -> Tensor:
        """Images of the same shape."""
        (n, c, h, w), k = x.shape, self.size
        top, left = self.corners(x)
        steps = torch.arange(k, device=x.device)
        u = self.measured(x).gather(2, (top[:, None] + steps)[:, None, :, None].expand(n, c, k, w))  # n c k w
        u = u.gather(3, (left[:, None] + steps)[:, None, None, :].expand(n, c, k, k))  # n c k k
        above, before = (h - k) // 2, (w - k) // 2
        return self.image(pad(u, (before, w - k - before, above, h - k - above)))


def gaussian_kernel(radius: float, size: int, like: Tensor) -> Tensor:
    """Gaussian of standard deviation ``radius`` on ``size`` x ``size`` pixels, of sum 1."""
    at = torch.arange(size, dtype=like.dtype, device=like.device) - (size - 1) / 2
    line = (-at.square() / (2 * radius**2)).exp()
    kernel = line[:, None] * line
    return kernel / kernel.sum()


def blurred(u: Tensor, radius: float = 1.0, size: int = 5) -> Tensor:
    """Images [n, c, h, w] convolved with :func:`gaussian_kernel`, 0 beyond the border."""
    kernel = gaussian_kernel(radius, size, u).expand(u.shape[1], 1, size, size)
    return conv2d(u, kernel, padding=size // 2, groups=u.shape[1])


@measurement("convolve-noise")
class ConvolveNoise(Measurement):
    """Blurred, plus normal noise of deviation ``std`` in the measurement's unit."""

    def __init__(self, std: float = 0.2, radius: float = 1.0, kernel: int = 5, zero: Zero = "black") -> None:
        super().__init__(zero)
        if std < 0 or radius <= 0 or kernel % 2 == 0:
            raise UsageError(f"convolve-noise needs std >= 0, radius > 0 and an odd kernel; came std={std}, radius={radius}, kernel={kernel}.")
        self.std, self.radius, self.kernel = std, radius, kernel

    def forward(self, x: Tensor) -> Tensor:
        """Images of the same shape."""
        u = blurred(self.measured(x), self.radius, self.kernel)
        return self.image(u + self.std * draws_like(x).normal(*x.shape).to(x))


@measurement("project")
class Project(Measurement):
    """Padded so that nothing is cut, turned by a uniform angle, summed along the rows."""

    told = False

    def __init__(self, angles: int = 1, zero: Zero = "black") -> None:
        super().__init__(zero)
        if angles < 1:
            raise UsageError(f"A projection needs at least one angle; angles={angles} came.")
        self.angles = angles

    def forward(self, x: Tensor) -> Tensor:
        """Vectors [n, a (h' c + 1 if told)], h' = h + 2 ceil(.207 h): 28 become 40, 64 become 92."""
        room = math.ceil(max(x.shape[2:]) * (math.sqrt(2) - 1) / 2)
        u = pad(self.measured(x), (room, room, room, room))
        theta = draws_like(x).uniform(len(x), self.angles, low=-math.pi, high=math.pi).to(x)
        found = []
        for angle in theta.unbind(1):
            found.append(warp(u, turned_grid(angle, *u.shape[2:])).sum(3).flatten(1))  # n (c h')
            if self.told:
                found.append(angle[:, None])
        return torch.cat(found, 1)


@measurement("project-told")
class ProjectTold(Project):
    """The same, and the angle behind each projection."""

    told = True


def turned_grid(angle: Tensor, height: int, width: int) -> Tensor:
    """Places (x, y) [n, h, w, 2] that an image turned about its middle by ``angle`` [n] takes its pixels from, for :func:`warp`."""
    y, x = torch.meshgrid(*(torch.arange(side, dtype=angle.dtype, device=angle.device) - (side - 1) / 2 for side in (height, width)), indexing="ij")
    cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
    return torch.stack([(cos * x - sin * y) * 2 / width, (sin * x + cos * y) * 2 / height], 3)


@measurement("gaussian-projection")
class GaussianProjection(Measurement):
    """Inner products with vectors of N(0, 1), which are told: (theta, <theta, u>)."""

    def __init__(self, count: int = 1, zero: Zero = "black") -> None:
        super().__init__(zero)
        if count < 1:
            raise UsageError(f"A Gaussian projection needs at least one vector; count={count} came.")
        self.count = count

    def forward(self, x: Tensor) -> Tensor:
        """Vectors [n, count (c h w + 1)]."""
        theta = draws_like(x).normal(len(x), self.count, x[0].numel()).to(x)
        values = theta @ self.measured(x).flatten(1)[:, :, None]  # n count 1
        return torch.cat([theta, values], 2).flatten(1)
