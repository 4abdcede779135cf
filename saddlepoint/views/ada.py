"""Adaptive discriminator augmentation (ADA), for small data sets.

Karras, Aittala, Hellsten, Laine, Lehtinen, Aila 2020, "Training generative adversarial networks with limited data" (arXiv:2006.06676). D sees real
and fake only through random transformations, each of which happens with probability p; p follows how far D overfits. As long as p is well below 1
the transformations can be undone in distribution, so that the generator does not learn them.

Axes: n batch, c channels, h w image.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from saddlepoint.errors import UsageError, nearest
from saddlepoint.views.chance import Chance
from saddlepoint.views.colour import Colour, draw_colour, recolour
from saddlepoint.views.corruptions import add_noise, amplify, cut_out, draw_gains
from saddlepoint.views.geometry import Geometry, draw_affine, transform
from saddlepoint.views.view import View
from saddlepoint.views.watchful import WatchfulView


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Which transformations there are: each happens with probability strength * p, and a strength of 0 leaves it out.

    Attributes:
        geometry: blitting and general geometric transformations.
        colour: colour transformations.
        filter: amplification of frequency bands.
        noise: additive noise.
        cutout: a rectangle set to 0.
    """

    geometry: Geometry = field(default_factory=Geometry)
    colour: Colour = field(default_factory=Colour)
    filter: float = 0.0
    noise: float = 0.0
    cutout: float = 0.0


GROUPS = ("blit", "geom", "color", "filter", "noise", "cutout")
SHORT = {"bgcfnc"[:count]: ",".join(GROUPS[:count]) for count in (2, 3, 4, 5, 6)}  # bg, bgc, bgcf, bgcfn, bgcfnc


def policy_of(names: str) -> Policy:
    """The policy of a sum of groups: names joined by commas, of blit, geom, color, filter, noise and cutout, or bg, bgc, bgcf, bgcfn, bgcfnc.

    >>> policy_of("bg").geometry == policy_of("blit,geom").geometry, policy_of("bg").colour.on
    (True, False)
    """
    policy = Policy()
    groups = [group for name in names.split(",") for group in SHORT.get(name.strip(), name).split(",")]
    for group in (each.strip() for each in groups):
        if group == "blit":
            policy = replace(policy, geometry=replace(policy.geometry, xflip=1.0, rotate90=1.0, integer=1.0))
        elif group == "geom":
            policy = replace(policy, geometry=replace(policy.geometry, scale=1.0, rotate=1.0, aniso=1.0, fraction=1.0))
        elif group == "color":
            policy = replace(policy, colour=Colour(brightness=1.0, contrast=1.0, lumaflip=1.0, hue=1.0, saturation=1.0))
        elif group == "filter":
            policy = replace(policy, filter=1.0)
        elif group == "noise":
            policy = replace(policy, noise=1.0)
        elif group == "cutout":
            policy = replace(policy, cutout=1.0)
        else:
            raise UsageError(f"An ADA policy needs names joined by commas; came {group!r}. {nearest(group, (*GROUPS, *SHORT))}")
    return policy


class Augment(View):
    """Random transformations, each with probability p: the same distribution for real and fake.

    Args:
        policy: as :func:`policy_of` reads it, or a :class:`Policy`.
        p: probability of a transformation of strength 1.
    """

    p: Tensor

    def __init__(self, policy: str | Policy = "bgc", *, p: float = 0.0) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise UsageError(f"The augmentation probability p must be between 0 and 1; it is {p}.")
        self.policy, self.named = (policy_of(policy), policy) if isinstance(policy, str) else (policy, str(policy))
        self.register_buffer("p", torch.tensor(float(p)))

    def forward(self, x: Tensor, percentile: float | None = None) -> Tensor:
        """What D sees of images.

        Args:
            x: shape [n, c, h, w], any range centred at 0, any number of channels.
            percentile: for pictures: instead of drawing, do every transformation with this percentile of its distribution; p is then ignored.
        Returns:
            The same shape; ``x`` itself where p is 0.
        Raises:
            UsageError: for anything that is not a batch of images.
        """
        if x.ndim != 4:
            raise UsageError(f"ADA needs images [n, c, h, w]; came {list(x.shape)}. Leave it out for this data.")
        if percentile is None and self.p == 0:
            return x
        with torch.autocast(x.device.type, enabled=False):
            working = x.to(torch.promote_types(x.dtype, torch.float32))
            return self._transform(working, Chance(working, self.p, percentile)).to(x.dtype)

    def _transform(self, x: Tensor, chance: Chance) -> Tensor:
        policy = self.policy
        if policy.geometry.on:
            x = transform(x, draw_affine(policy.geometry, chance, *x.shape[2:]))
        if policy.colour.on:
            x = recolour(x, *draw_colour(policy.colour, chance, x.shape[1]))
        if policy.filter:
            x = amplify(x, draw_gains(policy.filter, chance))
        if policy.noise:
            x = add_noise(x, policy.noise, chance)
        return cut_out(x, policy.cutout, chance) if policy.cutout else x

    def extra_repr(self) -> str:
        """The policy and p, for the printed module."""
        return f"{self.named!r}, p={float(self.p):.4g}"


class AdaptiveAugment(Augment, WatchfulView):
    """The augmentation whose p follows the share of real samples that D is sure of.

    .. math:: r_t = \\mathrm{E}[\\mathrm{sign}(D(x_\\mathrm{real}))]

    Every ``interval`` discriminator turns p rises where r_t, over these turns, is above ``target``, and falls where it is below: by the real images
    of these turns over ``speed_kimg`` thousand, which are what p needs from 0 to 1 (Section 3.1; the released code).
    The paper finds the augmentations to leak into the samples where p stays above 0.8: ``cap`` is the most that p may become.

    Logged in the discriminator's turns: ``sign``, which is r_t, and ``ada_p``; ``ada_capped`` is 1 while the cap holds p back.

    Args:
        policy: as :func:`policy_of` reads it, or a :class:`Policy`.
        p: where p starts.
        target: of r_t; None keeps p where it is, and r_t is only logged.
        interval: discriminator turns between two changes of p.
        speed_kimg: thousands of real images in which p could go from 0 to 1.
        cap: largest p.
    """

    sign_sum: Tensor
    turns: Tensor
    images: Tensor

    def __init__(
        self,
        policy: str | Policy = "bgc",
        *,
        p: float = 0.0,
        target: float | None = 0.6,
        interval: int = 4,
        speed_kimg: float = 500.0,
        cap: float = 1.0,
    ) -> None:
        super().__init__(policy, p=p)
        self.target, self.interval, self.speed_kimg, self.cap = target, interval, speed_kimg, cap
        for name in ("sign_sum", "turns", "images"):
            self.register_buffer(name, torch.zeros(()))

    def watch(self, verdict: Tensor) -> dict[str, Tensor]:
        """r_t on these samples, for the log and for :meth:`after_turn`; ``verdict`` has shape [n, ...]."""
        return {"sign": verdict.detach().sign().mean()}

    @torch.no_grad()
    def after_turn(self, player: str, values: Mapping[str, Tensor], images: int) -> Mapping[str, Tensor]:
        """Take r_t of a discriminator's turn into account, and move p where it is time; returns p for the log."""
        if player != "discriminator" or f"{player}/sign" not in values:
            return {}
        self.sign_sum += values[f"{player}/sign"]
        self.turns += 1
        self.images += images
        logged = {f"{player}/ada_p": self.p.clone()}
        if self.target is None:
            return logged
        due = self.turns >= self.interval
        direction = (self.sign_sum / self.turns - self.target).sign()
        wanted = self.p + due * direction * self.images / (self.speed_kimg * 1000)
        self.p.copy_(wanted.clamp(0, self.cap))
        logged |= {f"{player}/ada_p": self.p.clone(), f"{player}/ada_capped": (self.p >= self.cap).to(self.p)}
        for state in (self.sign_sum, self.turns, self.images):
            state.mul_(~due)
        return logged

    def extra_repr(self) -> str:
        """What the view is made from, for the printed module."""
        return f"{super().extra_repr()}, target={self.target}, interval={self.interval}, speed_kimg={self.speed_kimg:g}, cap={self.cap:g}"


@dataclass(frozen=True, kw_only=True)
class ADA:
    """Adaptive augmentation as a setting of a game: Section 3 of the paper, the released constants.

    Attributes:
        policy: groups of augmentations: blit, geom, color, filter, noise and cutout joined by commas, or bg, bgc, bgcf, bgcfn, bgcfnc.
        p: probability of each augmentation when training begins.
        target: of r_t, the mean sign of D's verdict on real images, which p follows; None keeps p where it is.
        interval: discriminator turns from one change of p to the next.
        speed_kimg: thousands of real images in which p can go from 0 to 1; the release takes 100 to train on from another run.
        cap: largest p; the paper sees augmentations leak into the samples from about .8 on.
    """

    policy: str = "bgc"
    p: float = 0.0
    target: float | None = 0.6
    interval: int = 4
    speed_kimg: float = 500.0
    cap: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what names no augmentation or no probability."""
        policy_of(self.policy)
        if not 0 <= self.p <= self.cap <= 1:
            raise UsageError(f"ADA's p and its cap are probabilities, p at most the cap; came {self.p} and {self.cap}.")
        if self.target is not None and not -1 <= self.target <= 1:
            raise UsageError(f"ADA's target is of a mean sign, from -1 to 1; it is {self.target}. None keeps p where it is.")
        if self.interval < 1 or self.speed_kimg <= 0:
            raise UsageError(f"ADA needs an interval of at least 1 turn and a positive speed_kimg; came {self.interval} and {self.speed_kimg}.")

    def build(self) -> AdaptiveAugment:
        """The view in front of D."""
        return AdaptiveAugment(**vars(self))
