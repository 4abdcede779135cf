"""The networks of "Improved techniques for training GANs" (Salimans et al. 2016, arXiv:1606.03498), sizes as in the authors' code.

Call initialisation.initialise_from_data on each network before training: on D with real images, on G with latents.
The discriminators classify: logits = logsumexp of the k class logits, so that sigmoid(logits) = Z / (Z + 1), section 5.

Axes: n batch, c channels, h w image, d features, k classes.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from einops import rearrange
from torch import Tensor, nn

from saddlepoint.errors import UsageError
from saddlepoint.networks.base import Discriminator, Generator, Judgement
from saddlepoint.networks.initialisation import normal_weights
from saddlepoint.networks.layers import (
    Dropout,
    GaussianNoise,
    ShiftBatchNorm,
    WeightNormConv2d,
    WeightNormDoubling,
    WeightNormLinear,
    doubling,
    pyramid,
)
from saddlepoint.networks.minibatch import MinibatchDiscrimination


def _classified(class_logits: Tensor, features: Tensor) -> Judgement:
    return Judgement(torch.logsumexp(class_logits, 1), features, class_logits)


class ImprovedMLPGenerator(Generator):
    """MNIST: z 100 from U(0, 1), 500 and 500 softplus units with batch normalisation without gain, a weight-normalised sigmoid layer.

    Args:
        sample_shape: of one sample; the sigmoid's [0, 1] is mapped to [-1, 1].
        latent_dim: of z.
        width: units of the hidden layers.
    """

    def __init__(self, sample_shape: tuple[int, ...], *, latent_dim: int = 100, width: int = 500) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.sample_shape = tuple(sample_shape)
        layers: list[nn.Module] = []
        for inputs in (latent_dim, width):
            layers += [nn.Linear(inputs, width, bias=False), ShiftBatchNorm(width, eps=1e-6), nn.Softplus()]
            nn.init.xavier_uniform_(layers[-3].weight)  # type: ignore[arg-type]
        self.hidden = nn.Sequential(*layers)
        self.last = WeightNormLinear(width, math.prod(sample_shape), train_scale=True, target_std=None)
        nn.init.xavier_uniform_(self.last.weight)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents [n, latent_dim] to samples [n, *sample_shape] in [-1, 1]; ``labels`` are not used."""
        samples: Tensor = torch.sigmoid(self.last(self.hidden(z))) * 2 - 1
        return samples.view(z.shape[0], *self.sample_shape)


class ImprovedMLPDiscriminator(Discriminator):
    """MNIST: weight-normalised layers of 1000, 500, 250, 250, 250 ReLU units and k logits, Gaussian noise before each.

    Samples are mapped from [-1, 1] to [0, 1], where the noise at the input has deviation .3; before the other layers it is .5.

    Args:
        sample_shape: any, flattened.
        num_classes: k.
        widths: units of the hidden layers; the last is the layer of feature matching.
        num_kernels: None, or kernels of minibatch discrimination before the logits (100).
    """

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        *,
        num_classes: int = 10,
        widths: tuple[int, ...] = (1000, 500, 250, 250, 250),
        num_kernels: int | None = None,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for level, (a, b) in enumerate(zip([math.prod(sample_shape), *widths], widths, strict=False)):
            layers += [GaussianNoise(0.5 if level else 0.3), WeightNormLinear(a, b, weight_std=0.1), nn.ReLU(inplace=True)]
        self.hidden = nn.Sequential(*layers)
        self.noise = GaussianNoise(0.5)
        self.minibatch = MinibatchDiscrimination(widths[-1], num_kernels) if num_kernels else nn.Identity()
        self.head = WeightNormLinear(widths[-1] + (num_kernels or 0), num_classes, weight_std=0.1, train_scale=True)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Judgement:
        """Samples [n, ...] to a judgement; features [n, widths[-1]] are the last hidden layer before its noise. ``labels`` are not used."""
        features: Tensor = self.hidden(rearrange(x, "n ... -> n (...)").add(1).div(2))
        return _classified(self.head(self.minibatch(self.noise(features))), features)


class ImprovedConvGenerator(Generator):
    """CIFAR-10: z 100 from U(0, 1), 4x4x512, transposed 5x5 convolutions with stride 2 of 256, 128 and 3 channels; at 32x32.

    Batch normalisation without gain and ReLU, tanh after the weight-normalised last layer; weights N(0, .05).

    Args:
        image_shape: (c, h, w); sides 4 to 7 times a power of two.
        latent_dim: of z.
        width: channels of the smallest map; half as many with each doubling.
    """

    def __init__(self, image_shape: tuple[int, int, int], *, latent_dim: int = 100, width: int = 512) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        *self.base, doublings = pyramid(image_shape, 4, "The CIFAR generator")
        widths = [max(1, width // 2**level) for level in range(doublings)]
        self.project = nn.Linear(latent_dim, width * math.prod(self.base), bias=False)
        self.first = nn.Sequential(ShiftBatchNorm(width * math.prod(self.base), eps=1e-6), nn.ReLU(inplace=True))
        self.levels = nn.Sequential(
            *(nn.Sequential(doubling(a, b, 5), ShiftBatchNorm(b, eps=1e-6), nn.ReLU(inplace=True)) for a, b in zip(widths, widths[1:], strict=False))
        )
        self.last = WeightNormDoubling(widths[-1], image_shape[0], train_scale=True, target_std=0.1)
        normal_weights(self, 0.05, gain_std=None)
        self.to(memory_format=torch.channels_last)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents [n, latent_dim] to images [n, c, h, w] in [-1, 1]; ``labels`` are not used."""
        h = rearrange(self.first(self.project(z)), "n (h w c) -> n c h w", h=self.base[0], w=self.base[1])
        images: Tensor = torch.tanh(self.last(self.levels(h)))
        return images


class ImprovedConvDiscriminator(Discriminator):
    """CIFAR-10: seven 3x3 convolutions and two 1x1, weight-normalised, LeakyReLU .2, mean over the map, k logits.

    Channels 96, 96, 96 s2; dropout .5; 192, 192, 192 s2; dropout .5; 192 without padding, 1x1 192, 1x1 192.

    Args:
        image_shape: (c, h, w); sides of at least 9.
        num_classes: k.
        width: channels of the first group; the others have twice as many.
        start: "dropout" .2 at the input (feature matching) or "noise" of deviation .2 (minibatch discrimination).
        num_kernels: None, or kernels of minibatch discrimination after the mean (100).
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        *,
        num_classes: int = 10,
        width: int = 96,
        start: Literal["dropout", "noise"] = "dropout",
        num_kernels: int | None = None,
    ) -> None:
        super().__init__()
        if min(image_shape[1:]) < 9:
            raise UsageError(
                f"The CIFAR discriminator needs images of at least 9x9; got {image_shape[1]}x{image_shape[2]}. Choose a larger resolution."
            )
        w = 2 * width
        layers: list[nn.Module] = [Dropout(0.2) if start == "dropout" else GaussianNoise(0.2)]
        for a, b in ((image_shape[0], width), (width, w)):
            for channels, stride in ((a, 1), (b, 1), (b, 2)):
                layers += [WeightNormConv2d(channels, b, 3, stride=stride, padding=1), nn.LeakyReLU(0.2, inplace=True)]
            layers.append(Dropout(0.5))
        for kernel in (3, 1, 1):
            layers += [WeightNormConv2d(w, w, kernel), nn.LeakyReLU(0.2, inplace=True)]
        self.convolutions = nn.Sequential(*layers)
        self.minibatch = MinibatchDiscrimination(w, num_kernels) if num_kernels else nn.Identity()
        self.head = WeightNormLinear(w + (num_kernels or 0), num_classes, train_scale=True, target_std=0.1)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Judgement:
        """Images [n, c, h, w] to a judgement; features [n, 2 * width] are the mean over the map. ``labels`` are not used."""
        h: Tensor = self.convolutions(x)
        features = h.mean((2, 3))
        return _classified(self.head(self.minibatch(features)), features)
