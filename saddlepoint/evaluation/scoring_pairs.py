"""How the engine scores what is compared image by image: variety of pairs, patches at every scale, path lengths.

Axes: n images, c channels, h w image.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from saddlepoint.evaluation.case import Case, Result, Run, Scores
from saddlepoint.evaluation.extractors import as_input
from saddlepoint.evaluation.jumps import STEPS, largest_steps
from saddlepoint.evaluation.laplacian import laplacian_sliced_wasserstein
from saddlepoint.evaluation.msssim import ms_ssim_diversity
from saddlepoint.evaluation.perceptual import perceptual_diversity, walk_path_length
from saddlepoint.evaluation.scoring import LIMIT, NAN
from saddlepoint.evaluation.sets import CHUNK_ROWS, SampleSet

PAIRS = 10_000  # of images
WALKS = 500
PATCHES, PYRAMID_IMAGES, QUARTERS = 128, 16_384, 4


def multiscale_similarity(case: Case, errors: bool = True) -> Result:
    """MS-SSIM of random pairs of generated images, of one class where classes are known; compare with the floor, real images' own."""
    samples = case.fake.samples
    images = read_images(samples, LIMIT)
    found = ms_ssim_diversity(images.float(), _labels(samples, len(images)), pairs=PAIRS)
    return Result(values={"ms_ssim": found.value}, errors={"ms_ssim": found.error}, details={"scales": found.scales})


def diversity(name: str) -> Run:
    """Mean perceptual distance of random pairs of generated images, of one class where classes are known."""

    def run(case: Case, errors: bool = True) -> Result:
        samples, distance = case.fake.samples, case.extras.distance
        assert distance is not None
        images = read_images(samples, LIMIT)

        def between(x: Tensor, y: Tensor) -> Tensor:
            return distance.between(as_input(x, "cpu"), as_input(y, "cpu"))

        found = perceptual_diversity(images, between, _labels(samples, len(images)), pairs=PAIRS)
        return Result(values={name: found.value}, errors={name: found.error})

    return run


def path_length(space: Literal["z", "w"], sampling: Literal["full", "end"], crop: bool = False) -> Run:
    """Perceptual path length of the generator, over as many paths as there are generated samples."""
    name = f"ppl_{space}{sampling}" + ("_crop" if crop else "")

    def run(case: Case, errors: bool = True) -> Result:
        walk, distance = case.extras.walk, case.extras.distance
        assert walk is not None and distance is not None
        found = walk_path_length(walk, distance.between, space=space, sampling=sampling, crop=crop, num_samples=len(case.fake), seed=case.extras.seed)
        return Result(values={name: found.value}, errors={name: found.error}, details={"paths_kept": found.pairs, "between": walk.between})

    return run


def jumps(case: Case, errors: bool = True) -> Result:
    """The largest step's share of walks between random latents, over as many walks as there are generated samples, at most WALKS."""
    walk, distance = case.extras.walk, case.extras.distance
    assert walk is not None and distance is not None
    shares = largest_steps(walk, distance.between, paths=min(len(case.fake), WALKS), seed=case.extras.seed)
    error = float(shares.std(ddof=1) / math.sqrt(len(shares)))
    details = {"even": 1 / STEPS, "walks_with_half_in_one_step": float((shares > 0.5).mean()), "between": walk.between}
    return Result(values={"path_jump": float(shares.mean())}, errors={"path_jump": error}, details=details)


def pyramid(case: Case, errors: bool = True) -> Result:
    """Sliced Wasserstein distance on the Laplacian pyramid; its error is from quarters of either side."""
    num = min(len(case.real), len(case.fake), PYRAMID_IMAGES)
    sides = read_images(case.real.samples, num), read_images(case.fake.samples, num)
    values = _levels(*sides)
    if not errors or num < 2 * QUARTERS:
        return Result(values=values, errors=dict.fromkeys(values, NAN))
    parts = [_levels(*(images[quarter::QUARTERS][: num // QUARTERS] for images in sides)) for quarter in range(QUARTERS)]
    spread = {name: float(np.std([part[name] for part in parts], ddof=1)) / math.sqrt(QUARTERS) for name in values}
    return Result(values=values, errors=spread)


def _levels(real: Tensor, fake: Tensor) -> Scores:
    found = laplacian_sliced_wasserstein(real, fake, patches_per_image=PATCHES)
    return {"swd": found.average} | {f"swd_{side}": value for side, value in found.levels.items()}


def read_images(samples: SampleSet, limit: int) -> Tensor:
    """The first images, uint8, in memory."""
    num = min(samples.num, limit)
    return torch.cat([samples.read(start, min(start + CHUNK_ROWS, num)) for start in range(0, num, CHUNK_ROWS)])


def _labels(samples: SampleSet, num: int) -> Tensor | None:
    return None if samples.labels is None else samples.labels(0, num)
