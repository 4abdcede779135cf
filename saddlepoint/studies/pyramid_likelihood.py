"""``python -m saddlepoint.studies.pyramid_likelihood``: LAPGAN's log-likelihood by windows on its pyramid, and what that number is worth.

    clothes  Denton et al. 2015, section 4.1 and appendix A, on clothes of 32 pixels: LAPGAN (8-16-32) by the density of its pyramid, and the paper's
             baseline, a fully connected GAN of the same cost, by Parzen windows on pixels; real images in the generators' place, and real images of
             8 pixels, enlarged: no bands at all

All windows are in nats of an image whose pixels lie in [0, 1]. They stand on pixels in [-1, 1], and 1,024 log 2 = 709.8 nats are added, for twice the
density. *By pixels* they stand on 5,000 samples; *by the pyramid* on as many samples of the coarsest level, and on 200 samples of each finer level
for each test image, given its true low pass. The real images of a finer level are the 200 of the training set whose low pass is nearest. A level's
share is the log-density of its coefficients in an orthonormal basis of the image. The widths are chosen on 50 validation images, the numbers are
means over 100 test images. The quick Frechet distance to 850 others stands beside them, since Parzen windows rank models wrongly (Theis et al. 2016).
Every cell is the mean over the seeds with the least and the most. With ``--keep`` every finished run is kept, and the same command continues where
it was stopped.

Axes: n images, c channels, h w image.
"""

from __future__ import annotations

import math
import time
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from saddlepoint.data.sources import open_data
from saddlepoint.draws import derive_seed
from saddlepoint.evaluation.arrays import as_rows
from saddlepoint.evaluation.classifier import QuickFeatures
from saddlepoint.evaluation.frechet import frechet_distance
from saddlepoint.evaluation.parzen import parzen_window
from saddlepoint.evaluation.pyramid_parzen import SIGMAS, Band, PyramidEstimate, in_units, lapgan_log_likelihood, pyramid_log_likelihood
from saddlepoint.evaluation.samples import draw_samples
from saddlepoint.networks.lapgan import resize
from saddlepoint.studies.pool import Job, Record, answered
from saddlepoint.studies.questions import Arm, Questions, answer, trained

SIZES = (8, 16, 32)
WINDOWS, EACH = 5_000, 200  # samples of a model; of a band, for a test image
CHECKS, TESTS, REALS = 50, 100, 850  # held-out images: for the widths; for the likelihood; for the Frechet distance
ARMS: dict[str, dict[str, Arm | None]] = {
    "clothes": {
        "real images": None,
        "real images of 8 pixels, enlarged": None,
        "LAPGAN": ("lapgan", "small", {}),
        "fully connected GAN": ("gan", "small", {"resolution": 32}),
    }
}
ROUNDS = {"clothes": 250}
TIMES = {"LAPGAN": 1.0, "fully connected GAN": 6.5}  # rounds for one of LAPGAN's: the same seconds
PIXELS, PYRAMID, FRECHET = "by pixels, nats", "by the pyramid, nats", "quick Frechet distance"
SCORES = {"clothes": (PIXELS, PYRAMID, *(f"of that {size} pixels" for size in SIZES), FRECHET)}


def work(job: Job) -> Record:
    """One run: its scores by name, the widths, the deviation over the test images, its seconds and those of its training."""
    torch.set_num_threads(1)
    began, name, seed = time.process_time(), job["arm"], job["seed"]
    arm: Arm | None = ARMS[job["question"]][name]
    train, held = open_data("fashion:train", resolution=SIZES[-1]), open_data("fashion:test", resolution=SIZES[-1])
    checks, tests, others = held.records(torch.arange(CHECKS + TESTS + REALS))["image"].tensor_split([CHECKS, CHECKS + TESTS])
    found: PyramidEstimate | None = None
    extra: dict[str, Any] = {}
    if arm is None:
        rows = torch.randperm(len(train), generator=torch.Generator().manual_seed(derive_seed(seed, "rows")))[:WINDOWS]
        made, nearest = train.records(rows)["image"], name == "real images"
        found = real_pyramid(signed(made), signed(checks), signed(tests), nearest=nearest)
        made = made if nearest else levels(enlarged(blocks(signed(made))))
    else:
        before = time.process_time()
        game = trained(arm, train, round(job["rounds"] * TIMES[name]), seed)
        extra = {"train_sec": round(time.process_time() - before, 1)}
        made = draw_samples(game, WINDOWS, seed=seed)
        if arm[0] == "lapgan":
            found = lapgan_log_likelihood(
                game.generator_ema, signed(checks), signed(tests), num=EACH, num_coarsest=WINDOWS, seed=seed, sigmas=SIGMAS.tolist()
            )
    look = QuickFeatures()
    flat = parzen_window(signed(made), signed(checks), signed(tests), SIGMAS.tolist())
    distance = frechet_distance(as_rows(look(others), "real"), as_rows(look(made[:REALS]), "made"))
    scores: dict[str, Any] = {PIXELS: flat.value + math.log(2) * tests[0].numel()} | pyramid_scores(found, tests.shape[1]) | {FRECHET: distance}
    if found is not None:
        extra |= {"sigmas": found.sigmas, "deviation": float(found.each.std())}
    return {"scores": scores, "sigma": flat.sigma, **extra, "cpu_sec": round(time.process_time() - began, 1)}


def pyramid_scores(found: PyramidEstimate | None, channels: int) -> dict[str, float | None]:
    """The pyramid's columns, per unit of pixels in [0, 1]; empty for a model without one."""
    names = SCORES["clothes"][1:-1]
    if found is None:
        return dict.fromkeys(names)
    moved = in_units(found, [(size, size) for size in SIZES], math.log(0.5), channels)
    return dict(zip(names, (moved.value, *moved.levels), strict=True))


def real_pyramid(images: Tensor, checks: Tensor, tests: Tensor, *, nearest: bool) -> PyramidEstimate:
    """Training images in the place of the generators, all in [-1, 1], [n, c, h, w].

    Args:
        images: of the training set.
        checks: validation images.
        tests: test images.
        nearest: a level's samples are the ``EACH`` training images whose low pass is nearest; otherwise the low pass, enlarged: there is no band.
    """

    def band(fine: Tensor) -> Band:
        coarse = F.avg_pool2d(fine, 2)
        return lambda low: fine[(coarse - low).square().sum((1, 2, 3)).argsort()[:EACH]] if nearest else enlarged(low[None], 1)

    fines = [images]
    for _ in SIZES[1:]:
        fines.insert(0, F.avg_pool2d(fines[0], 2))
    return pyramid_log_likelihood(fines[0], [band(fine) for fine in fines[1:]], checks, tests)


def signed(images: Tensor) -> Tensor:
    """uint8 images as numbers in [-1, 1]."""
    return images / 127.5 - 1


def levels(x: Tensor) -> Tensor:
    """Images in [-1, 1] as uint8."""
    return (x.clamp(-1, 1) * 127.5 + 127.5).round().to(torch.uint8)


def blocks(x: Tensor) -> Tensor:
    """Images as means of blocks, at the coarsest size."""
    return F.avg_pool2d(x, SIZES[-1] // SIZES[0])


def enlarged(x: Tensor, times: int = len(SIZES) - 1) -> Tensor:
    """Images with their sides doubled so often, as LAPGAN enlarges."""
    for _ in range(times):
        x = resize(x, (2 * x.shape[2], 2 * x.shape[3]))
    return x


def main(arguments: list[str] | None = None) -> int:
    """Read the flags, measure, write."""
    about = "LAPGAN's log-likelihood by Parzen windows on its pyramid."
    return answer(Questions(name="pyramid_likelihood", about=about, arms=ARMS, rounds=ROUNDS, scores=SCORES, work=work), arguments)


if __name__ == "__main__":
    raise SystemExit(answered(main))
