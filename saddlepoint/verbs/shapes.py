"""What a trained generator of volumes knows of shapes: between two of them, sums and differences, the nearest real ones, shapes from pictures.

Every function draws the volumes of :func:`saddlepoint.sample` with the same run, seed and checkpoint: number i there is number i here.

Axes: n volumes, k steps, d latent; volumes are n 1 s s s.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from saddlepoint.data.records import Batch, to_device
from saddlepoint.data.sources import open_data
from saddlepoint.draws import Draws, use
from saddlepoint.errors import UsageError
from saddlepoint.evaluation.samples import CHUNK, draw_samples
from saddlepoint.games.gan3d import GAN3DGame, VAEGAN3DGame
from saddlepoint.objectives.overlap import pairwise_iou
from saddlepoint.report.volumes import picture, write_volumes
from saddlepoint.verbs.using import load


def latents(run: str | Path, numbers: Sequence[int], *, seed: int = 0, checkpoint: str = "last") -> Tensor:
    """Latents [n, d] of samples by their numbers.

    Args:
        run: the run folder of a 3D-GAN or 3D-VAE-GAN.
        numbers: of the samples, from 0 on.
        seed: of the latents.
        checkpoint: "last", "best" or a round.
    """
    return _latents(_open(run, checkpoint), numbers, seed)


def interpolate(
    run: str | Path, start: int, end: int, *, steps: int = 8, seed: int = 0, checkpoint: str = "last", out: str | Path | None = None
) -> Tensor:
    """Volumes on the straight line between the latents of two samples (Wu et al. 2016, Figure 6).

    Args:
        run: the run folder.
        start: number of the first sample.
        end: number of the last.
        steps: k volumes, both ends among them.
        seed: of the latents.
        checkpoint: "last", "best" or a round.
        out: file or folder to write, as of :func:`saddlepoint.sample`; None writes nothing.
    Returns:
        float32 [k, 1, s, s, s].
    """
    if steps < 2:
        raise UsageError(f"An interpolation has at least 2 steps, its ends; {steps} came.")
    game = _open(run, checkpoint)
    first, last = _latents(game, [start, end], seed)
    share = torch.linspace(0, 1, steps, dtype=first.dtype)[:, None]
    return _made(game, (1 - share) * first + share * last, out)


def combine(
    run: str | Path, plus: Sequence[int], minus: Sequence[int] = (), *, seed: int = 0, checkpoint: str = "last", out: str | Path | None = None
) -> Tensor:
    """The volume at the sum of some samples' latents less others' (Wu et al. 2016, Figure 7: chair with arms - chair + ...).

    Args:
        run: the run folder.
        plus: numbers of the samples whose latents are added.
        minus: of those that are subtracted.
        seed: of the latents.
        checkpoint: "last", "best" or a round.
        out: file or folder to write; it holds all samples of the sum and then the result. None writes nothing.
    Returns:
        float32 [1, 1, s, s, s].
    """
    if not plus:
        raise UsageError("A sum of latents needs at least one sample to add: plus is empty.")
    game = _open(run, checkpoint)
    z = _latents(game, [*plus, *minus], seed)
    signs = torch.tensor([1.0] * len(plus) + [-1.0] * len(minus), dtype=z.dtype)
    total = (signs[:, None] * z).sum(0, keepdim=True)
    if out is None:
        return _made(game, total, None)
    return _made(game, torch.cat([z, total]), out)[-1:]


def nearest(
    run: str | Path, data: str | None = None, *, num: int = 16, seed: int = 0, checkpoint: str = "last", out: str | Path | None = None
) -> tuple[Tensor, Tensor]:
    """The real volumes that samples have most in common with: whether shapes are new, or learnt by heart.

    Args:
        run: the run folder.
        data: volumes by name or path; None: those of the run.
        num: n samples.
        seed: of the latents.
        checkpoint: "last", "best" or a round.
        out: .png file to write, each sample above its nearest real volume; None writes nothing.
    Returns:
        Numbers of the records [n], and intersection over union with them [n].
    """
    if num < 1:
        raise UsageError(f"At least 1 sample is needed; num is {num}.")
    game, opened = load(run, checkpoint=checkpoint)
    checked = _checked(game)
    real = open_data(data or opened.about["source"]["name"], resolution=opened.about["data"]["shape"][-1])
    samples = draw_samples(checked, num, seed=seed)
    best, rows = torch.full((num,), -1.0), torch.zeros(num, dtype=torch.int64)
    for part in torch.split(torch.arange(len(real)), CHUNK):
        found, at = pairwise_iou(samples, real.records(part)["volume"]).max(1)
        rows = torch.where(found > best, part[at], rows)
        best = torch.maximum(found, best)
    if out is not None:
        columns = min(num, 8)
        lines = [torch.cat([samples[i : i + columns], real.records(rows[i : i + columns])["volume"]]) for i in range(0, num, columns)]
        Path(out).parent.mkdir(parents=True, exist_ok=True)
        picture(torch.cat(lines), columns).save(out)
    return rows, best


def shapes_of(run: str | Path, images: str | Tensor, *, num: int | None = None, checkpoint: str = "last", out: str | Path | None = None) -> Tensor:
    """Volumes of pictures, by a 3D-VAE-GAN.

    Args:
        run: the run folder.
        images: uint8 or float in [-1, 1] [n, 1 or 3, h, w]; or data by name or path: images, or volumes (their own pictures where they have any, else
            rendered from angles that are the same every time).
        num: the first so many; None: all.
        checkpoint: "last", "best" or a round.
        out: file or folder to write, as of :func:`saddlepoint.sample`; None writes nothing.
    Returns:
        float32 [n, 1, s, s, s].
    Raises:
        UsageError: if the run has no encoder.
    """
    game, opened = load(run, checkpoint=checkpoint)
    if not isinstance(game, VAEGAN3DGame):
        raise UsageError(f"{type(game).__name__} has no encoder of images. Train 3d-vae-gan.")
    records: dict[str, Tensor]
    if isinstance(images, Tensor):
        records = {"image": images[:num]}
    else:
        kind = opened.about["data"]["shape"][-1]
        data = open_data(images, resolution=kind if _holds_volumes(images) else game.weights.image_size)
        records = data.records(torch.arange(len(data))[:num])
    batch = to_device(records, "cpu", next(game.parameters()).dtype)
    parts = []
    with torch.no_grad(), use(Draws.seeded("shapes of images", dtype=next(game.parameters()).dtype)):
        for start in range(0, len(batch), CHUNK):
            part = Batch({name: values[start : start + CHUNK] for name, values in batch.fields.items()})
            parts.append(game.shapes_of(game.images(part)).float())
    volumes = torch.cat(parts)
    if out is not None:
        write_volumes(volumes, Path(out))
    return volumes


def _holds_volumes(name: str) -> bool:
    return name.startswith(("voxels:", "meshes:", "meshes-z:", "shapes3d", "furniture"))


def _open(run: str | Path, checkpoint: str) -> GAN3DGame:
    return _checked(load(run, checkpoint=checkpoint)[0])


def _checked(game: Any) -> GAN3DGame:
    if not isinstance(game, GAN3DGame):
        raise UsageError(f"{type(game).__name__} does not make volumes. Train 3d-gan or 3d-vae-gan.")
    return game


def _latents(game: GAN3DGame, numbers: Sequence[int], seed: int) -> Tensor:
    if not numbers or min(numbers) < 0:
        raise UsageError(f"Numbers of samples count from 0; {list(numbers)} came.")
    parameter = next(game.parameters())
    chunks = {start: game.latents(CHUNK, Draws.seeded(seed, "sample", start, dtype=parameter.dtype)) for start in {n - n % CHUNK for n in numbers}}
    return torch.stack([chunks[number - number % CHUNK][number % CHUNK] for number in numbers])


@torch.no_grad()
def _made(game: GAN3DGame, z: Tensor, out: str | Path | None) -> Tensor:
    generator = getattr(game, "generator_ema", game.generator)
    volumes: Tensor = generator.eval()(z).float()
    if out is not None:
        write_volumes(volumes, Path(out))
    return volumes
