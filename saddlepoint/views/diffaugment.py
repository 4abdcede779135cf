"""DiffAugment: differentiable augmentation of what the discriminator sees, for small data sets.

Zhao et al. 2020 (arXiv:2006.10738). Every draw is per sample. Axes: n batch, c channels, h w image.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from saddlepoint.draws import draws_like
from saddlepoint.errors import UsageError, nearest
from saddlepoint.views.view import View


def brightness(x: Tensor) -> Tensor:
    """Adds one U(-0.5, 0.5) to all values of a sample."""
    return x + _uniform(x, -0.5, 0.5)


def saturation(x: Tensor) -> Tensor:
    """Multiplies the distance of each pixel from its mean over the channels by one U(0, 2) a sample; a grey image stays as it is."""
    mean = x.mean(1, keepdim=True)  # n 1 h w
    return torch.lerp(mean, x, _uniform(x, 0, 2))


def contrast(x: Tensor) -> Tensor:
    """Multiplies the distance of each value from the sample's mean by one U(0.5, 1.5) a sample."""
    mean = x.mean((1, 2, 3), keepdim=True)  # n 1 1 1
    return torch.lerp(mean, x, _uniform(x, 0.5, 1.5))


def translation(x: Tensor) -> Tensor:
    """Moves a sample by whole pixels, uniform in +- an eighth of its height and width (rounded down), and fills with zeros."""
    return _shift(_shift(x, _offsets(x, 2), 2), _offsets(x, 3), 3)


def cutout(x: Tensor) -> Tensor:
    """Sets to zero a rectangle of half the height and width (rounded down), centred uniformly over the sample and cut off at its border."""
    inside = _cut(x, 2).unsqueeze(2) & _cut(x, 3).unsqueeze(1)  # n h w
    return x * ~inside.unsqueeze(1)


def _uniform(x: Tensor, low: float, high: float) -> Tensor:
    return draws_like(x).uniform(len(x), 1, 1, 1, low=low, high=high).to(x)  # n 1 1 1


def _offsets(x: Tensor, dim: int) -> Tensor:
    reach = x.shape[dim] // 8
    return draws_like(x).integers(len(x), 1, high=2 * reach + 1).to(x.device) - reach  # n 1


def _shift(x: Tensor, offsets: Tensor, dim: int) -> Tensor:
    size = x.shape[dim]
    source = torch.arange(size, device=x.device) - offsets  # n size: where each row comes from
    shape = [len(x), 1, 1, 1]
    shape[dim] = size
    inside = ((source >= 0) & (source < size)).view(shape)
    return x.gather(dim, source.clamp(0, size - 1).view(shape).expand_as(x)) * inside


def _cut(x: Tensor, dim: int) -> Tensor:
    size = x.shape[dim]
    length = size // 2
    centre = draws_like(x).integers(len(x), 1, high=size + 1 - length % 2).to(x.device)  # n 1; symmetric for odd and even lengths
    distance = torch.arange(size, device=x.device) - centre + length // 2  # n size
    return (distance >= 0) & (distance < length)


POLICIES: dict[str, tuple[Callable[[Tensor], Tensor], ...]] = {
    "color": (brightness, saturation, contrast),
    "translation": (translation,),
    "cutout": (cutout,),
}


class DiffAugment(View):
    """The augmentations of Zhao et al. 2020, in the order of the policy.

    In the discriminator's turn it is applied to real and fake, in the generator's to the fakes, with gradient. Augmenting the real samples alone
    teaches the generator the augmentation; augmenting in the discriminator's turn alone leaves the generator without its gradient.

    Args:
        policy: names joined by commas, of "color" (brightness, saturation, contrast), "translation" and "cutout".
    """

    def __init__(self, policy: str = "color,translation,cutout") -> None:
        super().__init__()
        self.policy = tuple(name.strip() for name in policy.split(",") if name.strip())
        unknown = [name for name in self.policy if name not in POLICIES]
        if unknown or not self.policy:
            came = repr(unknown[0]) if unknown else "none"
            raise UsageError(f"A DiffAugment policy needs names joined by commas; came {came}. {nearest(unknown[0] if unknown else '', POLICIES)}")

    def forward(self, x: Tensor) -> Tensor:
        """Augments images [n, c, h, w], any range and number of channels; the same shape."""
        if x.ndim != 4:
            raise UsageError(f"DiffAugment needs images [n, c, h, w]; came {list(x.shape)}. Leave it out for this data.")
        for name in self.policy:
            for augment in POLICIES[name]:
                x = augment(x)
        return x

    def extra_repr(self) -> str:
        """The policy, for the printed module."""
        return repr(",".join(self.policy))
