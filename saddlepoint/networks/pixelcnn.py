"""Gated PixelCNN: the distribution of an image, one sub-pixel after the other.

van den Oord et al. 2016b (arXiv:1606.05328), Sections 2.1 to 2.3 and Figure 2. Two stacks look at what comes before a pixel in raster order. The
*vertical* one sees every row above it: its features at row i know rows 0 to i - 1 of the image and nothing else, because its first kernel ends a row
above its pixel and the others end in its own row. The *horizontal* one sees the pixels to the left in its own row, and the vertical features by a
1x1 convolution. Together they leave no blind spot. The kernels have the shape that is needed, so no arithmetic is spent on masked rows; only the
centre of a horizontal kernel needs a mask, for the colours: the features of a horizontal stack belong to one colour each, R before G before B.
Of their own pixel they know only the colours before theirs (mask A, first layer), or the features of these and of their own colour (mask B).

Axes: n batch, c colours, h w image, p feature maps of a stack, e condition, k levels of a sub-pixel.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saddlepoint.errors import UsageError


def to_levels(x: Tensor, levels: int) -> Tensor:
    """The nearest of ``levels`` brightnesses 0 ... levels - 1 for values in [-1, 1], int64.

    >>> to_levels(torch.tensor([-1.0, -0.1, 1.0]), 4).tolist()
    [0, 1, 3]
    """
    return ((x + 1) * ((levels - 1) / 2)).round().clamp(0, levels - 1).long()


def to_values(indices: Tensor, levels: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Values in [-1, 1] of brightnesses 0 ... levels - 1; the inverse of :func:`to_levels` on them.

    >>> to_values(torch.tensor([0, 3]), 4).tolist()
    [-1.0, 1.0]
    """
    return indices.to(dtype) * (2 / (levels - 1)) - 1


def log_likelihood(logits: Tensor, indices: Tensor) -> Tensor:
    """log p of each sub-pixel in nats, [n, c, h, w], for logits [n, k, c, h, w] and brightnesses int64 [n, c, h, w].

    One logit stands for two levels, as the sigmoid's.
    """
    if logits.shape[1] == 1:
        return F.logsigmoid(logits[:, 0] * (2 * indices - 1).to(logits.dtype))
    return -F.cross_entropy(logits, indices, reduction="none")


def choose(logits: Tensor, uniform: Tensor) -> Tensor:
    """Brightnesses int64 [n] by inverse distribution function, for logits [n, k] and numbers in [0, 1) [n]; one logit chooses between two levels.

    >>> choose(torch.tensor([[0.0, 0.0], [0.0, 0.0]]), torch.tensor([0.4, 0.6])).tolist()
    [0, 1]
    """
    if logits.shape[1] == 1:
        return (uniform >= (-logits[:, 0]).sigmoid()).long()
    below = logits.softmax(1).cumsum(1)[:, :-1]  # n k-1; the last is 1 but for rounding
    return (below <= uniform[:, None]).sum(1)


def colour_bounds(width: int, colours: int) -> list[int]:
    """Where the feature maps of each colour begin, and their end.

    >>> colour_bounds(8, 3)
    [0, 3, 6, 8]
    """
    return [-(-index * width // colours) for index in range(colours + 1)]


def _colours_of(width: int, colours: int) -> Tensor:
    bounds = colour_bounds(width, colours)
    sizes = torch.tensor([b - a for a, b in pairwise(bounds)])
    return torch.arange(colours).repeat_interleave(sizes)


class ColourConv(nn.Conv2d):
    """A 1 x k convolution over the pixels to the left and, last, the pixel itself, whose own tap is masked for the colours.

    Args:
        inputs: channels, cut among the colours.
        outputs: channels; ``halves`` blocks of them, each cut among the colours.
        taps: pixels to the left.
        colours: c.
        strict: mask A: of the pixel itself only the colours before; else mask B.
        halves: blocks of outputs: 2 where they are the two halves of a gate; the levels of a sub-pixel are no blocks.
    """

    mask: Tensor

    def __init__(self, inputs: int, outputs: int, taps: int, colours: int, *, strict: bool = False, halves: int = 1) -> None:
        super().__init__(inputs, outputs, (1, taps + 1))
        source, target = _colours_of(inputs, colours), _colours_of(outputs // halves, colours).repeat(halves)
        mask = torch.ones(outputs, inputs, 1, taps + 1)
        mask[:, :, 0, -1] = target[:, None] > source if strict else target[:, None] >= source
        self.register_buffer("mask", mask, persistent=False)
        self.taps = taps

    def kernel(self) -> Tensor:
        """The weight with what must not be seen set to 0."""
        return self.weight * self.mask

    def forward(self, x: Tensor) -> Tensor:
        """x [n, inputs, h, w] -> [n, outputs, h, w]."""
        return F.conv2d(F.pad(x, (self.taps, 0)) if self.taps else x, self.kernel(), self.bias)


def gate(y: Tensor) -> Tensor:
    """tanh(f) * sigmoid(g) of [n, 2 p, ...], f the first half (Eq. 2)."""
    f, g = y.chunk(2, 1)
    return f.tanh() * g.sigmoid()


class GatedLayer(nn.Module):
    """One layer of Figure 2: both stacks one step further.

    Args:
        inputs: channels of both inputs: the image's in the first layer, else ``width``.
        width: p.
        reach: pixels that a kernel reaches to each side; a published "5 x 5" is 2.
        colours: c.
        cond_dim: e; 0 without a condition.
        first: mask A and a vertical kernel that ends a row above; no residual connection.
    """

    def __init__(self, inputs: int, width: int, reach: int, colours: int, *, cond_dim: int = 0, first: bool = False) -> None:
        super().__init__()
        self.reach, self.first = reach, first
        self.rows = reach + (not first)  # of the vertical kernel
        self.vertical = nn.Conv2d(inputs, 2 * width, (self.rows, 2 * reach + 1))
        self.down = nn.Conv2d(2 * width, 2 * width, 1, bias=False)
        self.horizontal = ColourConv(inputs, 2 * width, reach, colours, strict=first, halves=2)
        self.out = ColourConv(width, width, 0, colours)
        self.condition = nn.Conv2d(cond_dim, 4 * width, 1, bias=False) if cond_dim else None

    def biases(self, cond: Tensor | None) -> tuple[Tensor | float, Tensor | float]:
        """What the condition adds before the gates of both stacks: [n, 2 p, 1, 1], or [n, 2 p, h, w] from a map (Eq. 3 and 4)."""
        if self.condition is None or cond is None:
            return 0.0, 0.0
        vertical, horizontal = self.condition(cond).chunk(2, 1)
        return vertical, horizontal

    def forward(self, v: Tensor, h: Tensor, cond: Tensor | None) -> tuple[Tensor, Tensor]:
        """Both stacks [n, inputs, h, w], the condition [n, e, 1, 1] or [n, e, h, w] -> both stacks [n, p, h, w]."""
        for_vertical, for_horizontal = self.biases(cond)
        below = -1 if self.first else 0  # cut the last row off: the kernel ends above its pixel
        above = self.vertical(F.pad(v, (self.reach, self.reach, self.reach, below)))
        left = self.horizontal(h) + self.down(above) + for_horizontal
        out = self.out(gate(left))
        return gate(above + for_vertical), out if self.first else h + out


class GatedPixelCNN(nn.Module):
    """p(x) = prod_i p(x_i | x_1, ..., x_{i-1}) over the sub-pixels in raster order, R before G before B (Eq. 1).

    Args:
        shape: c, h, w of the images.
        levels: k brightnesses of a sub-pixel; 2 are told by one logit.
        width: p, at least c.
        layers: of two stacks each.
        kernel: odd side of the kernels after the first layer.
        first_kernel: odd side of the first layer's.
        cond_dim: e; 0 without a condition.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        levels: int,
        *,
        width: int = 32,
        layers: int = 12,
        kernel: int = 3,
        first_kernel: int = 7,
        cond_dim: int = 0,
    ) -> None:
        super().__init__()
        c = shape[0]
        if kernel % 2 == 0 or first_kernel % 2 == 0 or min(kernel, first_kernel) < 3:
            raise UsageError(f"The kernels of a PixelCNN must have an odd side of at least 3; they are {first_kernel} and {kernel}.")
        if width < c:
            raise UsageError(f"A PixelCNN needs a feature map for each of {c} colours; width is {width}.")
        self.shape, self.levels, self.width, self.cond_dim = shape, levels, width, cond_dim
        self.outputs = 1 if levels == 2 else levels
        first = GatedLayer(c, width, first_kernel // 2, c, cond_dim=cond_dim, first=True)
        others = [GatedLayer(width, width, kernel // 2, c, cond_dim=cond_dim) for _ in range(layers - 1)]
        self.layers = nn.ModuleList([first, *others])
        self.hidden = ColourConv(width, width, 0, c)
        self.last = ColourConv(width, c * self.outputs, 0, c)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def conditions(self, cond: Tensor | None) -> Tensor | None:
        """The condition as a map, [n, e, 1, 1] from [n, e].

        Raises:
            UsageError: where one is needed and none came, or the other way round.
        """
        if (cond is None) != (self.cond_dim == 0):
            needed = f"needs a condition of {self.cond_dim} numbers; none came" if cond is None else "has no condition; one came"
            raise UsageError(f"This PixelCNN {needed}.")
        return cond[:, :, None, None] if cond is not None and cond.ndim == 2 else cond

    def forward(self, x: Tensor, cond: Tensor | None = None) -> Tensor:
        """Logits [n, k, c, h, w] of every sub-pixel given those before it; k is 1 for two levels.

        Args:
            x: images [n, c, h, w] in [-1, 1], on the levels of :func:`to_values`.
            cond: [n, e], or a map [n, e, h, w].
        """
        cond = self.conditions(cond)
        v = h = x
        for layer in self.layers:
            v, h = layer(v, h, cond)
        y: Tensor = self.last(F.relu(self.hidden(F.relu(h))))  # n c*k h w
        return y.reshape(len(x), x.shape[1], self.outputs, *x.shape[2:]).transpose(1, 2)


@torch.no_grad()
def sample_slowly(network: GatedPixelCNN, uniform: Tensor, cond: Tensor | None = None) -> Tensor:
    """Images [n, c, h, w] by the whole network once for each sub-pixel: what :func:`saddlepoint.networks.pixelcache.sample` must equal.

    Args:
        network: the distribution.
        uniform: a number in [0, 1) for each sub-pixel, [n, c, h, w].
        cond: [n, e], or a map [n, e, h, w].
    """
    x = torch.zeros_like(uniform)
    for i in range(uniform.shape[2]):
        for j in range(uniform.shape[3]):
            for colour in range(uniform.shape[1]):
                logits = network(x, cond)[:, :, colour, i, j]
                x[:, colour, i, j] = to_values(choose(logits, uniform[:, colour, i, j]), network.levels, x.dtype)
    return x
