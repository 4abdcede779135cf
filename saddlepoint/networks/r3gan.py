"""R3GAN: bottleneck residual blocks of grouped convolutions, without norm, noise, style or minibatch statistics.

Huang, Gokaslan, Kuleshov, Tompkin 2024, "The GAN is dead; long live the GAN! A modern GAN baseline" (arXiv:2501.05441), section 4, and the released
code. G: a learned map of the size of its smallest image, each channel scaled by a linear function of z (and of the label's embedding); stages of
blocks; between them a 1x1 convolution where the width changes, then doubling. D is G in reverse: halving, then the 1x1 convolution; at the end one
weight a channel and pixel, and a linear layer. No tanh at G's end.

A block is x + W3 act(W2 act(W1 x)): W1 1x1 to twice the channels, W2 grouped 3x3, W3 1x1 back; biases sit in the activations only. W1 and W2
start as N(0, g^2 / fan) with g = sqrt(2 / (1 + .2^2)) L^(-1/4) for L blocks in the network, W3 as 0: every block starts as the identity.

Axes: n batch, c channels, h w image, d latent, k classes, e embedding.
"""

from __future__ import annotations

import math
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function

from saddlepoint.errors import UsageError
from saddlepoint.networks.base import Discriminator, Generator, Judgement
from saddlepoint.networks.convolution import conv2d
from saddlepoint.networks.layers import one_hot, pyramid
from saddlepoint.networks.upfirdn import BINOMIAL, fir_down, fir_up, kernel_of

SLOPE = 0.2
GAIN = math.sqrt(2 / (1 + SLOPE**2))  # keeps the second moment through the activation
EXPANSION = 2


class _Activation(Function):
    """Leaky ReLU, in place, of a tensor that holds its bias already; differentiable by the tensor, the bias and a scale of the bias a sample."""

    @staticmethod
    def forward(x: Tensor, bias: Tensor, scale: Tensor | None) -> Tensor:
        return F.leaky_relu_(x, SLOPE)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, bias, ctx.scale = inputs
        ctx.mark_dirty(x)
        ctx.save_for_backward(output, bias)

    @staticmethod
    def backward(ctx: Any, y: Tensor) -> tuple[Tensor | None, ...]:
        output, bias = ctx.saved_tensors
        _, needs_bias, needs_scale = ctx.needs_input_grad
        by_x = _Slope.apply(y, output.detach())  # no way back into the graph that made it
        if not needs_bias and not needs_scale:
            return by_x, None, None
        sums = by_x.sum((2, 3))  # n c
        by_bias = (sums if ctx.scale is None else sums * ctx.scale[:, None]).sum(0) if needs_bias else None
        return by_x, by_bias, sums @ bias if needs_scale else None


class _Slope(Function):
    """y times the slope of the leaky ReLU that gave ``output``; the slope's own derivative is 0, which torch would carry back through the network."""

    @staticmethod
    def forward(y: Tensor, output: Tensor) -> Tensor:
        return torch.ops.aten.leaky_relu_backward(y, output, SLOPE, True)  # type: ignore[no-any-return]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(inputs[1])

    @staticmethod
    def backward(ctx: Any, y: Tensor) -> tuple[Tensor, None]:
        return _Slope.apply(y, *ctx.saved_tensors), None


class _Conv(nn.Conv2d):
    """Convolution that keeps the size, weights N(0, gain^2 / fan); ``act``: with the bias and activation behind it."""

    def __init__(self, channels: int, out_channels: int, kernel: int, *, groups: int = 1, gain: float = 1.0, act: bool = False) -> None:
        super().__init__(channels, out_channels, kernel, padding=kernel // 2, groups=groups, bias=act)
        nn.init.normal_(self.weight, 0, gain / math.sqrt(channels // groups * kernel**2))
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor, scale: Tensor | None = None) -> Tensor:
        """Act(W x + scale * bias); ``scale`` [n] is of ones and there for its derivative."""
        bias = None if self.bias is None else self.bias.detach()
        y = conv2d(x, self.weight, bias, padding=self.kernel_size[0] // 2, groups=self.groups)
        return y if self.bias is None else cast(Tensor, _Activation.apply(y, self.bias, scale))


def _linear(inputs: int, outputs: int, gain: float = 1.0) -> nn.Linear:
    layer = nn.Linear(inputs, outputs, bias=False)
    nn.init.normal_(layer.weight, 0, gain / math.sqrt(inputs))
    return layer


class Block(nn.Module):
    """x + W3 act(W2 act(W1 x)).

    Args:
        channels: c.
        group_width: channels of a group of W2; where 2c is less, there is one group.
        blocks: L, of the whole network.
    """

    def __init__(self, channels: int, group_width: int, blocks: int) -> None:
        super().__init__()
        inner, gain = EXPANSION * channels, GAIN * blocks**-0.25
        groups = max(inner // group_width, 1)
        if inner > group_width and inner % group_width:
            raise UsageError(f"R3GAN's blocks of {channels} channels need groups whose width divides {inner}; group_width is {group_width}.")
        self.expand = _Conv(channels, inner, 1, gain=gain, act=True)
        self.group = _Conv(inner, inner, 3, groups=groups, gain=gain, act=True)
        self.reduce = _Conv(inner, channels, 1, gain=0)

    def forward(self, x: Tensor, scale: Tensor | None = None) -> Tensor:
        """[n, c, h, w] -> [n, c, h, w]; ``scale`` [n] of the biases."""
        y: Tensor = self.reduce(self.group(self.expand(x, scale), scale))
        return y.add_(x)


class _Resample(nn.Module):
    """Halving or doubling by the bilinear filter, and a 1x1 convolution at the lower resolution where the width changes."""

    filter: Tensor

    def __init__(self, channels: int, out_channels: int, *, up: bool) -> None:
        super().__init__()
        self.up = up
        self.register_buffer("filter", kernel_of(BINOMIAL).float(), persistent=False)  # [1, 2, 1] read between the pixels
        self.mix = _Conv(channels, out_channels, 1) if channels != out_channels else nn.Identity()

    def forward(self, x: Tensor, scale: Tensor | None = None) -> Tensor:
        """[n, c, h, w] to half or twice the size; ``scale`` is not used."""
        kernel = self.filter.to(x.dtype)
        return fir_up(self.mix(x), kernel) if self.up else self.mix(fir_down(x, kernel))


def stage_widths(width: int, stages: int, full: int) -> list[int]:
    """Channels of each stage from the smallest map on: ``width`` in the first ``full``, then halved from stage to stage.

    >>> stage_widths(768, 7, 4)
    [768, 768, 768, 768, 384, 192, 96]
    """
    return [width // 2 ** max(0, stage - full + 1) for stage in range(stages)]


class _Shape:
    """What both networks derive from their arguments."""

    def __init__(self, image_shape: tuple[int, int, int], width: int, full: int) -> None:
        *self.base, doublings = pyramid(image_shape, 4, "R3GAN")
        self.widths = stage_widths(width, doublings + 1, full)
        if width % 2 ** max(0, doublings + 1 - full):
            raise UsageError(f"R3GAN's width is halved {doublings + 1 - full} times on the way to {image_shape[1]} pixels; {width} cannot be.")


class R3GANGenerator(Generator):
    """Latents to images.

    Args:
        latent_dim: of z (64).
        image_shape: (c, h, w); sides 4 to 7 times a power of two.
        width: channels of the first stages (768; ImageNet 1536).
        full: how many stages have that width; each later one has half the channels of the one before.
        blocks: residual blocks a stage.
        group_width: channels of a group (16, that is 96 groups at width 768; ImageNet 32).
        num_classes: None, or the number of classes, embedded in ``latent_dim`` numbers that join z.
    """

    def __init__(
        self,
        latent_dim: int,
        image_shape: tuple[int, int, int],
        width: int = 768,
        *,
        full: int = 4,
        blocks: int = 2,
        group_width: int = 16,
        num_classes: int | None = None,
    ) -> None:
        super().__init__()
        self.latent_dim, self.num_classes = latent_dim, num_classes
        shape = _Shape(image_shape, width, full)
        widths, count = shape.widths, blocks * len(shape.widths)
        self.embed = _linear(num_classes, latent_dim) if num_classes else None
        self.basis = nn.Parameter(torch.randn(widths[0], *shape.base))
        self.scale = _linear(latent_dim * (2 if num_classes else 1), widths[0])
        layers: list[nn.Module] = []
        for stage, channels in enumerate(widths):
            layers += [_Resample(widths[stage - 1], channels, up=True)] if stage else []
            layers += [Block(channels, group_width, count) for _ in range(blocks)]
        self.layers = nn.Sequential(*layers)
        self.last = _Conv(widths[-1], image_shape[0], 1)
        self.to(memory_format=torch.channels_last)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents [n, latent_dim] to images [n, c, h, w], unbounded."""
        if self.embed is not None:
            z = torch.cat([z, self.embed(one_hot(labels, self.embed.in_features, z))], 1)
        x = (self.basis * self.scale(z)[:, :, None, None]).contiguous(memory_format=torch.channels_last)
        return cast(Tensor, self.last(self.layers(x)))


class R3GANDiscriminator(Discriminator):
    """Images to logits; arguments as the generator's.

    With labels the last layer gives as many numbers as the embedding of a class has, ``width``, and the logit is their inner product.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        width: int = 768,
        *,
        full: int = 4,
        blocks: int = 2,
        group_width: int = 16,
        num_classes: int | None = None,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        shape = _Shape(image_shape, width, full)
        widths, count = shape.widths[::-1], blocks * len(shape.widths)
        self.first = _Conv(image_shape[0], widths[0], 1)
        layers: list[nn.Module] = []
        for stage, channels in enumerate(widths):
            layers += [_Resample(widths[stage - 1], channels, up=False)] if stage else []
            layers += [Block(channels, group_width, count) for _ in range(blocks)]
        self.layers = nn.Sequential(*layers)
        self.basis = nn.Parameter(torch.randn(widths[-1], *shape.base) / math.sqrt(math.prod(shape.base)))
        self.head = _linear(widths[-1], width if num_classes else 1)
        self.embed = _linear(num_classes, width, gain=1 / math.sqrt(width)) if num_classes else None
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Judgement:
        """Images [n, c, h, w] to logits [n]; features are one number a channel, [n, width]."""
        return self._judge(x, labels, None)

    def with_slopes(self, x: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Logits and their slopes at images that require grad: [n] and [n, c, h, w], at two thirds of the price of taking them one after the other.

        A network of leaky ReLUs is linear around each image, so that D(x) = <slope, x> + (the sum over biases of bias times D's derivative by it), as
        a function of the weights too. What backward needs of the logits is therefore in the graph of the slopes already: a loss of both
        differentiates that graph alone, and each kernel's two gradients are one.

        >>> images = torch.randn(2, 3, 8, 8, requires_grad=True)
        >>> network = R3GANDiscriminator((3, 8, 8), width=8)
        >>> logits, slopes = network.with_slopes(images)
        >>> torch.allclose(logits, network(images).logits, atol=1e-6), slopes.shape
        (True, torch.Size([2, 3, 8, 8]))
        """
        scale = torch.ones(len(x), dtype=x.dtype, device=x.device, requires_grad=True)
        logits = self._judge(x, labels, scale).logits
        slopes, by_scale = torch.autograd.grad(logits.sum(), [x, scale], create_graph=True)
        linear = (slopes * x.detach()).flatten(1).sum(1) + by_scale
        return logits.detach() + (linear - linear.detach()), slopes

    def _judge(self, x: Tensor, labels: Tensor | None, scale: Tensor | None) -> Judgement:
        h = self.first(x)
        for layer in self.layers:
            h = layer(h, scale)
        basis = self.basis.permute(1, 2, 0).contiguous()  # h w c, so that what goes back stays in this order
        features = (h.permute(0, 2, 3, 1) * basis).sum((1, 2))  # n c
        logits = self.head(features)
        if self.embed is not None:
            logits = (logits * self.embed(one_hot(labels, self.embed.in_features, x))).sum(1, keepdim=True)
        return Judgement(logits.squeeze(1), features)
