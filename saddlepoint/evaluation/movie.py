"""A walk through a generator's latents as a moving picture: several walkers side by side, each from key to key and back to its first.

Axes: n walkers, k keys, d latent, c channels, h w image.
"""

from __future__ import annotations

import io
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from saddlepoint.draws import Draws, truncated_normal, use
from saddlepoint.errors import UsageError
from saddlepoint.evaluation.grid import image_grid
from saddlepoint.evaluation.perceptual import join
from saddlepoint.evaluation.walks import Walk, walk_of

MILLISECONDS = 80  # a frame is shown


@torch.no_grad()
def walk_frames(walk: Walk, *, walkers: int = 9, keys: int = 4, steps: int = 12, seed: int = 0, label: int | None = None) -> list[Tensor]:
    """Frames of a closed walk, each uint8 [walkers, c, h, w]; noise and classes stay the same on the way.

    Args:
        walk: the generator.
        walkers: side by side.
        keys: random latents that each passes.
        steps: frames from key to key.
        seed: of latents, noise and classes.
        label: class of all; None draws one for each walker, where the generator is told any.
    """
    draws = Draws.seeded(seed, "walk", device=walk.device, dtype=walk.dtype)
    z = walk.latents(walkers * keys, draws).view(keys, walkers, -1)  # k n d
    labels = None
    if walk.num_classes is not None:
        labels = draws.integers(walkers, high=walk.num_classes) if label is None else torch.full((walkers,), label, device=walk.device)
    frames = []
    for key in range(keys):
        for step in range(steps):
            t = z.new_full((walkers, 1), step / steps)
            between = join(z[key], z[(key + 1) % keys], t, walk.between)
            with use(Draws.seeded(seed, "walk-noise", device=walk.device, dtype=walk.dtype)):
                x = walk.images(between, labels).float()
            frames.append((x.clamp(-1, 1) * 127.5 + 127.5).round().to(torch.uint8).cpu())
    return frames


def movie(frames: list[Tensor]) -> bytes:
    """An endless GIF of grids."""
    zoom = max(1, 64 // frames[0].shape[-1])
    pictures: list[Image.Image] = [image_grid(frame, zoom=zoom) for frame in frames]
    buffer = io.BytesIO()
    pictures[0].save(buffer, format="gif", save_all=True, append_images=pictures[1:], duration=MILLISECONDS, loop=0)
    return buffer.getvalue()


def movie_of(game: Any, *, truncation: float | None = None, **settings: Any) -> bytes:
    """The walk of a trained game as a GIF; ``settings`` are those of :func:`walk_frames`, ``truncation`` that of its samples.

    Raises:
        UsageError: if its generator has no latents to walk through, or makes no images.
    """
    walk = walk_of(game)
    if walk is None:
        raise UsageError(f"{type(game).__name__} has no latents to walk through. Write samples to a .png file instead.")
    frames = walk_frames(walk if truncation is None else _truncated(game, walk, truncation), **settings)
    if frames[0].ndim != 4:
        raise UsageError("A moving picture needs a generator of images; this one makes points. Write samples to a .png file instead.")
    return movie(frames)


def _truncated(game: Any, walk: Walk, truncation: float) -> Walk:
    generator = getattr(game, "generator_ema", game.generator)
    if getattr(generator, "truncation", "latent") == "style":
        return replace(walk, images=lambda z, labels: game.generate(z, labels, partial(generator, truncation=truncation)))
    return replace(walk, latents=lambda n, draws: truncated_normal(walk.latents(n, draws), truncation))
