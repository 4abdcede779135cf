"""Samples of a Gated PixelCNN, each feature computed once.

The vertical features of a row depend on the rows above only: they are made row by row, from the last few rows of the layer before, for all pixels of
the row at once, and so is all that they and the condition add to the horizontal stack. Within a row, a pixel's horizontal features need those of the
last few pixels, which lie side by side in memory: a layer is a matrix product with a window of that memory, a gate, and another product. A colour
computes its own feature maps only. So a pixel costs the same whatever the size of the image, and an image about as much as one pass of the network.

Axes: n batch, c colours, h w image, p feature maps of a stack, e condition, k levels.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from saddlepoint.networks.pixelcnn import ColourConv, GatedLayer, GatedPixelCNN, choose, colour_bounds, to_values

Step = Callable[[], Any]


class LayerCache:
    """What a layer keeps: the rows that its vertical kernel still needs, what enters its horizontal gates in the row under way, its features in it.

    Args:
        layer: whose weights are used.
        n: images.
        size: h, w.
        colours: c.
        cond: the condition as a map, or None.
    """

    def __init__(self, layer: GatedLayer, n: int, size: tuple[int, int], colours: int, cond: Tensor | None) -> None:
        weight = layer.vertical.weight
        self.layer, self.colours, width, w = layer, colours, len(weight) // 2, size[1]
        self.rows = weight.new_zeros(n, weight.shape[1], layer.rows, w)  # the last rows of the vertical input
        self.for_vertical, self.for_horizontal = layer.biases(cond)
        self.width, self.bounds, self.inputs = width, colour_bounds(width, colours), weight.shape[1]
        # f and g of one colour side by side; g is halved, since sigmoid(g) = (1 + tanh(g / 2)) / 2 makes both halves of a gate one tanh
        each = [torch.arange(a, b, device=weight.device) for a, b in pairwise(self.bounds)]
        self.order = torch.cat([torch.cat([maps, maps + width]) for maps in each])
        self.scale = torch.where(self.order < width, 1.0, 0.5).to(weight.dtype)
        self.row = weight.new_zeros(n, w, 2 * width)  # what is added to the pixels' own products, in this order
        self.gated = weight.new_ones(n, 1 + width)  # a one for the bias, then the gated maps of the pixel under way

    def start_row(self, above: Tensor, i: int) -> Tensor:
        """Take in row i of the vertical input (of the first layer: row i - 1), [n, inputs, w]; return that of the output, [n, p, w]."""
        self.rows = torch.cat([self.rows[:, :, 1:], above[:, :, None]], 2)
        y = F.conv2d(self.rows, self.layer.vertical.weight, self.layer.vertical.bias, padding=(0, self.layer.reach))  # n 2p 1 w
        left = self.layer.down(y) + _row_of(self.for_horizontal, i) + _of(self.layer.horizontal.bias)[:, None, None]
        self.row.copy_((left[:, self.order, 0] * self.scale[:, None]).transpose(1, 2))
        f, g = (y + _row_of(self.for_vertical, i)).chunk(2, 1)
        return (f.tanh() * g.sigmoid())[:, :, 0]

    def steps(self, source: Tensor, target: Tensor, padding: int) -> list[list[Step]]:
        """For each pixel and colour of a row, the work that makes this colour's horizontal features there.

        Args:
            source: horizontal input [n, (reach + w) * inputs], pixel after pixel.
            target: horizontal output [n, (padding + w) * p].
            padding: pixels of zeros on the left of ``target``.
        """
        reach, inputs, first, p = self.layer.reach, self.inputs, self.layer.first, self.width
        kernel = self.layer.horizontal.kernel()[:, :, 0].permute(2, 1, 0).flatten(0, 1)[:, self.order] * self.scale  # (tap inputs) 2p
        out = torch.cat([_of(self.layer.out.bias)[None], self.layer.out.kernel()[:, :, 0, 0].T * 0.5])  # 1+p p; the half of the gate
        found: list[list[Step]] = [[] for _ in range(self.row.shape[1])]
        for colour, (start, stop) in enumerate(pairwise(self.bounds)):
            seen = reach * inputs + (colour if first else stop)  # inputs that this colour may know
            product, result = kernel[:seen, 2 * start : 2 * stop].contiguous(), out[: 1 + stop, start:stop].contiguous()
            own = ColourWork(product, result, self.gated[:, 1 + start : 1 + stop], self.gated[:, : 1 + stop])
            for j, steps in enumerate(found):
                before = None if first else source[:, (reach + j) * inputs + start : (reach + j) * inputs + stop]
                place = target[:, (padding + j) * p + start : (padding + j) * p + stop]
                steps.append(own.at(self.row[:, j, 2 * start : 2 * stop], source[:, j * inputs : j * inputs + seen], before, place))
        return found


class ColourWork:
    """One colour's share of a layer's horizontal stack.

    Args:
        product: weights from a window [.., 2 q] to both halves of the q gates.
        result: weights [1 + ..., q] from a one and the gated maps to the features.
        gated: where the q gated maps lie, [n, q].
        known: a one, the gated maps of the colours before, and these, [n, 1 + ...].
    """

    def __init__(self, product: Tensor, result: Tensor, gated: Tensor, known: Tensor) -> None:
        self.product, self.result, self.gated, self.known = product, result, gated, known
        self.gates = gated.new_empty(len(gated), product.shape[1])

    def at(self, added: Tensor, window: Tensor, before: Tensor | None, place: Tensor) -> Step:
        """The work at one pixel.

        Args:
            added: what the row adds to the gates [n, 2 q].
            window: the inputs that the colour may know.
            before: its features in the layer before, for the residual connection; None in the first.
            place: where its features go.
        """
        product, result, gates, gated, known = self.product, self.result, self.gates, self.gated, self.known
        f, g = gates.chunk(2, 1)

        def step() -> None:
            torch.addmm(added, window, product, out=gates)
            gates.tanh_()
            torch.addcmul(f, f, g, out=gated)  # tanh(f) (1 + tanh(g / 2)): twice the gate
            if before is None:
                torch.mm(known, result, out=place)
            else:
                torch.addmm(before, known, result, out=place)

        return step


def _of(parameter: Tensor | None) -> Tensor:
    assert parameter is not None
    return parameter


def _row_of(bias: Tensor | float, i: int) -> Tensor | float:
    """Row i of a map, or what holds for all rows."""
    return bias[:, :, i : i + 1] if isinstance(bias, Tensor) and bias.shape[2] > 1 else bias


def _head(network: GatedPixelCNN, features: Tensor) -> list[list[Callable[[], Tensor]]]:
    """For each pixel of a row and each colour: its logits [n, k] from the last features [n, w * p]."""
    p, c, k = network.width, network.shape[0], network.outputs
    bounds = colour_bounds(p, c)
    hidden = features.new_empty(len(features), p)

    def weights(conv: ColourConv, known: int, start: int, stop: int) -> tuple[Tensor, Tensor]:
        return _of(conv.bias)[start:stop], conv.kernel()[start:stop, :known, 0, 0].T.contiguous()

    def logits(j: int, colour: int, first: tuple[Tensor, Tensor], last: tuple[Tensor, Tensor]) -> Callable[[], Tensor]:
        start, stop = bounds[colour : colour + 2]
        known, own, all_hidden = features[:, j * p : j * p + stop], hidden[:, start:stop], hidden[:, :stop]

        def work() -> Tensor:
            own.copy_(torch.addmm(first[0], known.relu(), first[1]).relu_())
            return torch.addmm(last[0], all_hidden, last[1])

        return work

    layers = [
        (weights(network.hidden, bounds[g + 1], bounds[g], bounds[g + 1]), weights(network.last, bounds[g + 1], g * k, (g + 1) * k)) for g in range(c)
    ]
    return [[logits(j, g, *layers[g]) for g in range(c)] for j in range(features.shape[1] // p)]


@torch.no_grad()
def sample(network: GatedPixelCNN, uniform: Tensor, cond: Tensor | None = None, logits: Tensor | None = None) -> Tensor:
    """Images [n, c, h, w] in [-1, 1], the same as :func:`~saddlepoint.networks.pixelcnn.sample_slowly` makes of the same numbers.

    Args:
        network: the distribution.
        uniform: a number in [0, 1) for each sub-pixel, [n, c, h, w].
        cond: [n, e], or a map [n, e, h, w].
        logits: where the logits of every sub-pixel are written, [n, k, c, h, w]; None: nowhere.
    """
    n, c, h, w = uniform.shape
    caches = [LayerCache(layer, n, (h, w), c, network.conditions(cond)) for layer in _layers(network)]
    paddings = [*(cache.layer.reach for cache in caches), 0]
    sizes = [c, *(cache.width for cache in caches)]
    rows = [uniform.new_zeros(n, (padding + w) * size) for padding, size in zip(paddings, sizes, strict=True)]
    work = [cache.steps(rows[level], rows[level + 1], paddings[level + 1]) for level, cache in enumerate(caches)]
    head = _head(network, rows[-1])
    x = torch.zeros_like(uniform, memory_format=torch.contiguous_format)
    pixels = rows[0].view(n, paddings[0] + w, c)
    for i in range(h):
        v = x[:, :, i - 1] if i else torch.zeros_like(x[:, :, 0])
        for cache in caches:
            v = cache.start_row(v, i)
        for j in range(w):
            for colour in range(c):
                for layer in work:
                    layer[j][colour]()
                found = head[j][colour]()
                if logits is not None:
                    logits[:, :, colour, i, j] = found
                pixels[:, paddings[0] + j, colour] = to_values(choose(found, uniform[:, colour, i, j]), network.levels, x.dtype)
        x[:, :, i] = pixels[:, paddings[0] :].transpose(1, 2)
    return x


def _layers(network: GatedPixelCNN) -> list[GatedLayer]:
    return [layer for layer in network.layers if isinstance(layer, GatedLayer)]
