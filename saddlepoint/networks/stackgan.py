"""StackGAN (Zhang et al. 2017, arXiv:1612.03242): a small image of a caption, and a second generator that looks at it and the caption again.

    level 0   Stage I:   z, caption -> image of h/4 x w/4 (h/2 x w/2 where that would be less than 8 pixels)
    level 1   Stage II:  that image, caption -> image of h x w; Stage I is held still

Layers as in the released code. Axes: n batch, c channels, h w image, d latent, e caption.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from saddlepoint.errors import UsageError
from saddlepoint.networks.base import Discriminator, Judgement
from saddlepoint.networks.captioned import (
    Augmentation,
    CaptionGenerator,
    NearestDoubling,
    ReedDiscriminator,
    ReedGenerator,
    Residual,
    needed,
)
from saddlepoint.networks.growing import Growing
from saddlepoint.networks.initialisation import normal_weights
from saddlepoint.networks.layers import Halving

SCALES = (4, 2)  # of the second stage's sides over the first's
LEAST = 8  # pixels of the first stage's shorter side


def scale_of(image_shape: tuple[int, int, int]) -> int:
    """The first of SCALES that divides the sides and leaves the first stage LEAST pixels.

    Raises:
        UsageError: if none does.

    >>> scale_of((3, 256, 256)), scale_of((3, 28, 28))
    (4, 2)
    """
    _, h, w = image_shape
    for scale in SCALES:
        if h % scale == w % scale == 0 and min(h, w) // scale >= LEAST:
            return scale
    raise UsageError(f"Two stages need even sides of at least {LEAST * SCALES[-1]} pixels; these are {h}x{w}. Choose --resolution 64.")


def small_shape(image_shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """The shape of the first stage's images."""
    c, h, w = image_shape
    return c, h // scale_of(image_shape), w // scale_of(image_shape)


class Refiner(nn.Module):
    """Stage II's generator: an image halved twice, the caption's code beside every place, residual blocks, and doublings.

    Args:
        image_shape: (c, h, w) of what it makes.
        caption_dim: e; 0: it is not told the caption (the arm without text).
        width: channels at the sides of the small image (128); a multiple of 4.
        blocks: residual blocks.
        augment: conditioning augmentation.
    """

    def __init__(self, image_shape: tuple[int, int, int], caption_dim: int, *, width: int = 128, blocks: int = 4, augment: bool = True) -> None:
        super().__init__()
        c, wide = image_shape[0], 4 * width
        self.code = Augmentation(caption_dim, drawn=augment) if caption_dim else None
        self.down = nn.Sequential(
            nn.Conv2d(c, width, 3, padding=1),
            nn.ReLU(),
            Halving(width, 2 * width, 4),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
            Halving(2 * width, wide, 4),
            nn.BatchNorm2d(wide),
            nn.ReLU(),
        )
        told = self.code.linear.out_features // 2 if self.code is not None else 0
        self.joint = nn.Sequential(nn.Conv2d(wide + told, wide, 3, padding=1, bias=False), nn.BatchNorm2d(wide), nn.ReLU())
        self.blocks = nn.Sequential(*(Residual(wide, nn.ReLU()) for _ in range(blocks)))
        ups: list[nn.Module] = []
        doublings = 1 + scale_of(image_shape).bit_length()  # what was halved twice, and the scale
        for k in range(doublings):
            ups += [NearestDoubling(wide >> k, wide >> (k + 1)), nn.BatchNorm2d(wide >> (k + 1)), nn.ReLU()]
        self.up = nn.Sequential(*ups, nn.Conv2d(wide >> doublings, c, 3, padding=1), nn.Tanh())
        normal_weights(self)

    def forward(self, x: Tensor, captions: Tensor | None) -> Tensor:
        """Images [n, c, h/4, w/4] and captions [n, e] to images [n, c, h, w]."""
        h = self.down(x)
        if self.code is not None:
            code = self.code(needed(captions, self.code.linear.in_features))
            h = torch.cat([h, code[:, :, None, None].expand(-1, -1, *h.shape[2:])], 1)
        y: Tensor = self.up(self.blocks(self.joint(h)))
        return y


class StackGenerator(Growing, CaptionGenerator):
    """Both stages; which one makes the image is the level.

    Args:
        image_shape: (c, h, w) of the second stage; sides multiples of 16.
        caption_dim: e.
        latent_dim: of z.
        width: channels of the largest hidden map of Stage I, and of Stage II at the small image's sides (128).
        blocks: residual blocks of Stage II.
        augment: conditioning augmentation in both stages.
        told: whether Stage II is told the caption again.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        caption_dim: int,
        *,
        latent_dim: int = 100,
        width: int = 128,
        blocks: int = 4,
        augment: bool = True,
        told: bool = True,
    ) -> None:
        super().__init__(1)
        self.latent_dim, self.caption_dim = latent_dim, caption_dim
        code = Augmentation(caption_dim, drawn=augment)
        self.scale = scale_of(image_shape)
        self.first = ReedGenerator(small_shape(image_shape), caption_dim, latent_dim=latent_dim, width=width, up="nearest", code=code)
        self.second = Refiner(image_shape, caption_dim if told else 0, width=width, blocks=blocks, augment=augment)
        self.grow(0)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents [n, d] and captions [n, e] to images, small ones in the first stage."""
        if self.stage.level == 0:
            x: Tensor = self.first(z, labels)
            return x
        was_training = self.first.training
        self.first.eval()
        with torch.no_grad():
            small = self.first(z, labels)
        self.first.train(was_training)
        y: Tensor = self.second(small, labels)
        return y

    @property
    def augmentation(self) -> Augmentation | None:
        """That of the stage in play."""
        code = self.second.code if self.stage.level else self.first.code
        return code if isinstance(code, Augmentation) else None


class StackDiscriminator(Growing, Discriminator):
    """A discriminator for each stage."""

    def __init__(self, image_shape: tuple[int, int, int], caption_dim: int, *, width: int = 64, told: bool = True) -> None:
        super().__init__(1)
        self.first = ReedDiscriminator(small_shape(image_shape), caption_dim, width=width)
        self.second = ReedDiscriminator(image_shape, caption_dim, width=width, told=told)
        self.grow(0)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Judgement:
        """Images of the stage in play and captions [n, e] to logits [n]."""
        judgement: Judgement = (self.second if self.stage.level else self.first)(x, labels)
        return judgement
