"""Fully connected networks: plain ones for points and for the ablations of the Wasserstein papers, and those of the first GAN paper.

Axes: n batch, c channels, h w image, d features, k classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from einops import rearrange
from torch import Tensor, nn

from saddlepoint.errors import UsageError, nearest
from saddlepoint.networks.base import Discriminator, Generator, Judgement
from saddlepoint.networks.initialisation import keep_gains, orthogonal_weights, sparse_weights, uniform_weights
from saddlepoint.networks.layers import one_hot, with_labels
from saddlepoint.networks.maxout import MaxoutConvDiscriminator, MaxoutDiscriminator

Activation = Literal["relu", "tanh", "leaky_relu"]
Start = Literal["default", "orthogonal"]
Output = Literal["linear", "tanh", "sigmoid"]

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": lambda: nn.ReLU(inplace=True),  # the linear layer before it does not need its own output
    "tanh": nn.Tanh,
    "leaky_relu": lambda: nn.LeakyReLU(0.2, inplace=True),
    "sigmoid": nn.Sigmoid,
}


def _stack(size: int, hidden: int, width: int, activation: Activation) -> nn.Sequential:
    """``hidden`` layers of ``width`` units with their activations."""
    layers: list[nn.Module] = []
    for inputs in [size, *[width] * (hidden - 1)][:hidden]:
        layers += [nn.Linear(inputs, width), ACTIVATIONS[activation]()]
    return nn.Sequential(*layers)


def _to_images(h: Tensor, output: Output) -> Tensor:
    """Apply the output function; the sigmoid of [0, 1] images is mapped to the library's [-1, 1]."""
    if output == "sigmoid":
        return torch.sigmoid(h) * 2 - 1
    return torch.tanh(h) if output == "tanh" else h


class MLPGenerator(Generator):
    """Hidden layers of equal width and a linear output.

    Metz et al. 2017's ring: latent_dim 256, hidden 2, width 128, "tanh", "orthogonal". Gulrajani et al. 2017's toys and Arjovsky et al.
    2017's MLP generator: hidden 3, width 512, "relu".

    Args:
        latent_dim: of z.
        sample_shape: of one sample: (d,) for points, (c, h, w) for images.
        width: units a hidden layer.
        hidden: number of hidden layers.
        activation: of the hidden layers; "leaky_relu" has slope .2.
        output: "linear" as in the papers above, "tanh" for images bounded to [-1, 1], "sigmoid" for 2 sigmoid(.) - 1.
        init: "default" of the layers, or "orthogonal" with gain 1.4 and no bias (Metz et al.).
        num_classes: None, or the number of classes whose one-hot vector joins z (Mirza & Osindero 2014).
    """

    def __init__(
        self,
        latent_dim: int,
        sample_shape: tuple[int, ...],
        *,
        width: int = 128,
        hidden: int = 3,
        activation: Activation = "relu",
        output: Output = "linear",
        init: Start = "default",
        num_classes: int | None = None,
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.sample_shape = tuple(sample_shape)
        self.output = output
        self.num_classes = num_classes
        self.hidden = _stack(latent_dim + (num_classes or 0), hidden, width, activation)
        self.last = nn.Linear(width if hidden else latent_dim + (num_classes or 0), math.prod(sample_shape))
        if init == "orthogonal":
            orthogonal_weights(self, 1.4)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents [n, latent_dim] to samples [n, *sample_shape]."""
        y = one_hot(labels, self.num_classes, z) if self.num_classes else None
        h: Tensor = self.last(self.hidden(with_labels(z, y)))
        return _to_images(h, self.output).view(z.shape[0], *self.sample_shape)


class MLPDiscriminator(Discriminator):
    """Hidden layers of equal width and one linear unit; arguments as MLPGenerator's. features [n, width] are the last hidden layer."""

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        *,
        width: int = 128,
        hidden: int = 3,
        activation: Activation = "relu",
        init: Start = "default",
        num_classes: int | None = None,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        size = math.prod(sample_shape) + (num_classes or 0)
        self.hidden = _stack(size, hidden, width, activation)
        self.head = nn.Linear(width if hidden else size, 1)
        if init == "orthogonal":
            orthogonal_weights(self, 1.4)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Judgement:
        """Samples [n, ...] to logits [n]."""
        x = rearrange(x, "n ... -> n (...)")
        features: Tensor = self.hidden(with_labels(x, one_hot(labels, self.num_classes, x) if self.num_classes else None))
        return Judgement(self.head(features).squeeze(1), features)


class GoodfellowGenerator(Generator):
    """Two hidden layers and an output layer (Goodfellow et al. 2014: MNIST, TFD, CIFAR-10 fully connected). No dropout in G.

    Args:
        sample_shape: of one sample.
        latent_dim: of z, uniform in the paper.
        width: units of both hidden layers: 1200 for MNIST, 8000 for TFD and CIFAR-10.
        second: activation of the second hidden layer; the first is a ReLU.
        second_bias: its bias at the start (-2 for TFD).
        output: "sigmoid" (mapped from [0, 1] to [-1, 1]) or "linear" (CIFAR-10, points).
        output_range: output weights start as U(-output_range, output_range), the others as U(-.05, .05).
        output_sparse: None, or the number of non-zero N(0, 1) weights of each output unit (100 for TFD).
    """

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        *,
        latent_dim: int = 100,
        width: int = 1200,
        second: Literal["relu", "sigmoid"] = "relu",
        second_bias: float = 0.0,
        output: Output = "sigmoid",
        output_range: float = 0.05,
        output_sparse: int | None = None,
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.sample_shape = tuple(sample_shape)
        self.output = output
        second_layer = nn.Linear(width, width)
        self.hidden = nn.Sequential(nn.Linear(latent_dim, width), nn.ReLU(), second_layer, ACTIVATIONS[second]())
        self.last = nn.Linear(width, math.prod(sample_shape))
        uniform_weights(self.hidden, 0.05)
        nn.init.constant_(second_layer.bias, second_bias)
        uniform_weights(self.last, output_range)
        if output_sparse is not None:
            sparse_weights(self.last, output_sparse)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents [n, latent_dim] to samples [n, *sample_shape]; ``labels`` are not used."""
        h: Tensor = self.last(self.hidden(z))
        return _to_images(h, self.output).view(z.shape[0], *self.sample_shape)


class GoodfellowConvGenerator(Generator):
    """Two hidden layers and one transposed 5x5 convolution with stride 3 (Goodfellow et al. 2014, CIFAR-10 convolutional).

    8000 ReLU, 8000 sigmoid as 80 maps of 10x10, then 32x32x3, linear, with a bias for every pixel. Other sizes take the smallest map whose
    output covers them, and crop it.

    Args:
        image_shape: (c, h, w).
        latent_dim: of z.
        maps: channels before the transposed convolution.
    """

    def __init__(self, image_shape: tuple[int, int, int], *, latent_dim: int = 100, maps: int = 80) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.image_shape = tuple(image_shape)
        self.map_shape = (maps, *(math.ceil(max(0, side - 5) / 3) + 1 for side in image_shape[1:]))  # 3 * (10 - 1) + 5 = 32
        units = math.prod(self.map_shape)
        self.hidden = nn.Sequential(nn.Linear(latent_dim, units), nn.ReLU(), nn.Linear(units, units), nn.Sigmoid())
        self.last = nn.ConvTranspose2d(maps, image_shape[0], 5, 3, bias=False)
        self.bias = nn.Parameter(torch.zeros(self.image_shape))
        uniform_weights(self, 0.05)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents [n, latent_dim] to images [n, c, h, w]; ``labels`` are not used."""
        h: Tensor = self.last(self.hidden(z).view(z.shape[0], *self.map_shape))
        return h[..., : self.image_shape[1], : self.image_shape[2]] + self.bias


@dataclass(frozen=True, kw_only=True)
class GoodfellowSizes:
    """One of the 2014 configuration files: values of a sample, units of G and of D; the rest as in GoodfellowGenerator."""

    values: int
    generator: int
    discriminator: int
    second: Literal["relu", "sigmoid"] = "sigmoid"
    second_bias: float = 0.0
    output: Output = "sigmoid"
    output_range: float = 0.05
    output_sparse: int | None = None


GOODFELLOW = {
    "mnist": GoodfellowSizes(values=28 * 28, generator=1200, discriminator=240, second="relu"),
    "tfd": GoodfellowSizes(values=48 * 48, generator=8000, discriminator=1200, second_bias=-2.0, output_sparse=100),
    "cifar-fc": GoodfellowSizes(values=3 * 32 * 32, generator=8000, discriminator=1600, output="linear", output_range=0.5),
}


def goodfellow(variant: str, sample_shape: tuple[int, ...], *, latent_dim: int = 100, width: float = 1.0) -> tuple[Generator, Discriminator]:
    """The pairs of Goodfellow et al. 2014.

    Args:
        variant: "mnist", "tfd" (its moves are followed by constrain_column_norm), "cifar-fc" or "cifar-conv".
        sample_shape: of one sample.
        latent_dim: of z.
        width: factor on every layer's units; 1 is the paper. At other sizes than the paper's the ranges of the weights grow so that each
            layer keeps its gain (see keep_gains).
    Returns:
        (generator, discriminator)
    """
    if variant == "cifar-conv":
        if len(sample_shape) != 3:
            raise UsageError(f"The convolutional pair needs images (channels, height, width); got samples of shape {sample_shape}.")
        maps, channels, units = (max(1, round(n * width)) for n in (80, 32, 500))
        image_shape = (sample_shape[0], sample_shape[1], sample_shape[2])
        g = GoodfellowConvGenerator(image_shape, latent_dim=latent_dim, maps=maps)
        d = MaxoutConvDiscriminator(image_shape, width=channels, units=units)
        keep_gains(g, (100, 8000, 80 * 25))
        keep_gains(d, (3 * 64, 32 * 64, 32 * 25, 192 * 25, 500))
        return g, d
    if variant not in GOODFELLOW:
        raise UsageError(f"There is no variant {variant!r} of the 2014 networks. {nearest(variant, [*GOODFELLOW, 'cifar-conv'])}")
    sizes = GOODFELLOW[variant]
    generator = GoodfellowGenerator(
        sample_shape,
        latent_dim=latent_dim,
        width=max(1, round(sizes.generator * width)),
        second=sizes.second,
        second_bias=sizes.second_bias,
        output=sizes.output,
        output_range=sizes.output_range,
        output_sparse=sizes.output_sparse,
    )
    units = max(1, round(sizes.discriminator * width))
    discriminator = MaxoutDiscriminator(sample_shape, units=units, unit_interval=sizes.output == "sigmoid")
    last = sizes.generator if sizes.output_sparse is None else generator.last.in_features  # the sparse start does not depend on its fan
    keep_gains(generator, (100, sizes.generator, last))
    keep_gains(discriminator, (sizes.values, sizes.discriminator, sizes.discriminator))
    return generator, discriminator


@torch.no_grad()
def set_output_bias(generator: MLPGenerator | GoodfellowGenerator, mean_image: Tensor) -> None:
    """Start the output bias at the inverse sigmoid of the mean image, so that the mean is right before any weight is learnt.

    Goodfellow et al. 2014; the mean is kept 1e-7 from 0 and 1 as in the authors' library.

    Args:
        generator: whose output is a sigmoid.
        mean_image: mean of the real samples, shape ``sample_shape``, in [-1, 1].
    Raises:
        UsageError: for a generator without a sigmoid output.
    """
    if generator.output != "sigmoid":
        raise UsageError(f"The output bias is set from pixel means for a sigmoid output; this generator's is {generator.output}. Leave it at 0.")
    generator.last.bias.copy_(torch.logit(mean_image.double().add(1).div(2), eps=1e-7).flatten())
