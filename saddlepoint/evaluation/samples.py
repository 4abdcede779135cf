"""Drawing samples from a game and writing them to files."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saddlepoint.draws import Draws
from saddlepoint.errors import UsageError
from saddlepoint.evaluation.grid import image_grid, scatter_picture
from saddlepoint.games.game import Samples

CHUNK = 64  # samples drawn at once; a sample depends on (seed, its number), so this may not change


def draw_samples(
    game: Samples,
    num: int,
    *,
    seed: int = 0,
    label: int | None = None,
    first: int = 0,
    labels: Callable[[int, int], Tensor] | None = None,
    truncation: float | None = None,
    floats: bool = False,
) -> Tensor:
    """Draw samples ``first`` to ``first + num - 1``: images uint8 [num, c, h, w], points float32 [num, d], tokens int64 [num, t], on the CPU.

    Sample i depends on (seed, i), its label and the truncation alone, not on ``num``.

    Args:
        game: what draws.
        num: how many.
        seed: of the latents.
        label: class of all samples.
        first: number of the first sample, a multiple of ``CHUNK``.
        labels: start, stop -> classes int64 of these samples, in place of one ``label``; without either the game draws classes.
        truncation: as of :meth:`Samples.sample`; None: none.
        floats: images as float32 in [-1, 1] in place of bytes.
    """
    assert first % CHUNK == 0, f"the first sample is a multiple of {CHUNK}; {first} came"
    device = next(game.parameters()).device  # type: ignore[attr-defined]
    dtype = next(p.dtype for p in game.parameters() if p.is_floating_point())  # type: ignore[attr-defined]
    chunks = []
    for start in range(first, first + num, CHUNK):
        draws = Draws.seeded(seed, "sample", start, device=device, dtype=dtype)
        classes = labels(start, start + CHUNK).to(device) if labels else None if label is None else torch.full((CHUNK,), label, device=device)
        x = game.sample(CHUNK, draws, classes, **({} if truncation is None else {"truncation": truncation}))
        x = x.float() if x.is_floating_point() else x
        x = x.clamp(-1, 1) if x.ndim == 4 else x
        chunks.append((x * 127.5 + 127.5).round().to(torch.uint8).cpu() if x.ndim == 4 and not floats else x.cpu())
    return torch.cat(chunks)[:num].contiguous()


def of_each_class(count: int, each: int) -> Callable[[int, int], Tensor]:
    """Labels for :func:`draw_samples`: ``each`` of the first class, then of the next, up to ``count`` classes.

    >>> of_each_class(3, 2)(0, 7).tolist()
    [0, 0, 1, 1, 2, 2, 2]
    """
    return lambda start, stop: (torch.arange(start, stop) // each).clamp(max=count - 1)


def npz_bytes(arrays: dict[str, Any]) -> bytes:
    """An .npz file of these arrays."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def write_samples(samples: Tensor, out: Path, *, columns: int | None = None) -> None:
    """Write samples as one grid (.png; of images with so many columns), an array (.npy, .npz), or a folder of PNG files.

    Raises:
        UsageError: for an ending that is none of these.
    """
    if out.suffix == ".png":
        picture = image_grid(samples, columns) if samples.ndim == 4 else scatter_picture(samples)
        buffer = io.BytesIO()
        picture.save(buffer, format="png")
        _write(out, buffer.getvalue())
    elif out.suffix == ".npy":
        buffer = io.BytesIO()
        np.save(buffer, samples.numpy())
        _write(out, buffer.getvalue())
    elif out.suffix == ".npz":
        _write(out, npz_bytes({"samples": samples.numpy()}))
    elif not out.suffix and samples.ndim == 4:
        out.mkdir(parents=True, exist_ok=True)
        for index, sample in enumerate(samples):
            image_grid(sample[None], gap=0).save(out / f"{index:06d}.png")
    else:
        kinds = ".png, .npy, .npz or a folder" if samples.ndim == 4 else ".png, .npy or .npz"
        raise UsageError(f"Samples are written as {kinds}; {out} is none of these. Choose another --out.")


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
