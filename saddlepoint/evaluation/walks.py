"""A trained generator as something that can be walked through: its latents, what lies between two of them, and the image of each.

Axes: n paths, d latent, c channels, h w image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from saddlepoint.draws import Draws, use

Between = Literal["unit", "slerp", "straight"]


@dataclass(frozen=True, kw_only=True)
class Walk:
    """What path lengths need of a generator.

    Attributes:
        latents: n, draws -> z [n, d].
        images: z, labels -> images float [n, c, h, w] in [-1, 1].
        between: how two latents are joined: "unit" on the unit sphere, for generators that normalise z (StyleGAN); "slerp" on the great circle, for
            normal latents; "straight" for uniform ones.
        num_classes: of a conditional generator.
        mapping: z, labels -> w [n, l, d], the style of every layer, where the generator has styles.
        synthesis: w -> images, likewise.
        device: of the generator; likewise dtype.
    """

    latents: Callable[[int, Draws], Tensor]
    images: Callable[[Tensor, Tensor | None], Tensor]
    between: Between
    num_classes: int | None = None
    mapping: Callable[[Tensor, Tensor | None], Tensor] | None = None
    synthesis: Callable[[Tensor], Tensor] | None = None
    device: torch.device | str = "cpu"
    dtype: torch.dtype = torch.float32


def walk_of(game: Any) -> Walk | None:
    """The walk through an adversarial game's averaged generator, in evaluation mode; None where the game has no latents to walk through."""
    generator = getattr(game, "generator_ema", getattr(game, "generator", None))
    if not isinstance(generator, nn.Module) or not all(hasattr(game, name) for name in ("latents", "generate", "config")):
        return None
    generator.eval()
    first = next(p for p in generator.parameters() if p.is_floating_point())
    styles: Any = getattr(generator, "styles", None)
    synthesis: Any = getattr(generator, "synthesis", None)
    styled = callable(styles) and callable(synthesis)
    return Walk(
        latents=game.latents,
        images=lambda z, labels: game.generate(z, labels, generator),
        between="unit" if styled else "slerp" if game.config.latent == "normal" else "straight",
        num_classes=game.num_classes,
        mapping=styles if styled else None,
        synthesis=synthesis if styled else None,
        device=first.device,
        dtype=first.dtype,
    )


def images_of_ends(walk: Walk, first: Tensor, second: Tensor, labels: Tensor | None, seed: tuple[int | str, ...], *, styles: bool) -> Tensor:
    """Images at both ends of short paths, [2 n, c, h, w], under the same noise.

    Args:
        walk: the generator.
        first: z or w at one end, [n, ...]; likewise ``second``.
        labels: [n], the same at both ends; of z only.
        seed: of the noise.
        styles: whether the ends are w.
    """
    sides = []
    for end in (first, second):
        with use(Draws.seeded(*seed, device=walk.device, dtype=walk.dtype)):
            if styles:
                assert walk.synthesis is not None
                sides.append(walk.synthesis(end))
            else:
                sides.append(walk.images(end, labels))
    return torch.cat(sides)
