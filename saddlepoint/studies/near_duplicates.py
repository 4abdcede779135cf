"""``python -m saddlepoint.studies.near_duplicates``: which near duplicates two hashes find, and what else they take for one.

    fashion   4,000 clothes
    emoji     all of them, which have near duplicates of their own (skin tones, clocks)

at 32 pixels, with changed copies of 400 of them planted: noise, a pixel to the right, a tenth darker. An arm is a hash and the bits that those of
near duplicates may differ in: the perceptual hash of 64 bits that ``data check`` compares, and the code of 128 that Radford et al. 2016
(arXiv:1511.06434, section 4.1.1) compare at 0. A copy is found where its hash is that near to its original's. Rounds are those of the autoencoder;
the perceptual hash has none.

Every cell is the mean over the seeds with the least and the most. With ``--keep`` every finished run is kept, and the same command continues where it
was stopped.
"""

from __future__ import annotations

import dataclasses
import functools
import time

import torch
from torch import Tensor

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.near import BITS, perceptual_hashes, twins
from saddlepoint.data.sources import open_data
from saddlepoint.draws import derive_seed
from saddlepoint.studies import hashing
from saddlepoint.studies.pool import Job, Record, answered
from saddlepoint.studies.questions import Questions, answer

ORIGINALS, COPIES = 4_000, 400
QUESTIONS = ("fashion", "emoji")
ARMS: dict[str, tuple[str, int]] = {
    **{f"perceptual, {bits} of 64": ("perceptual", bits) for bits in (0, 4)},
    **{f"code, {bits} of 128": ("code", bits) for bits in (0, 2, 4)},
}
ROUNDS = dict.fromkeys(QUESTIONS, hashing.ROUNDS)
CHANGES = ("noise of 4 levels", "noise of 8 levels", "a pixel to the right", "a tenth darker")
SCORES = dict.fromkeys(QUESTIONS, (*(f"found: {change}" for change in CHANGES), "originals left out"))


def work(job: Job) -> Record:
    """One arm: its scores by name, and its seconds."""
    torch.set_num_threads(1)
    began = time.process_time()
    way, distance = ARMS[job["arm"]]
    originals, *planted = hashes_of(job["question"], way, job["rounds"], job["seed"])
    near = [[(a ^ b).bit_count() <= distance for a, b in zip(originals, copies, strict=False)] for copies in planted]
    gone = twins(originals, distance, BITS if way == "perceptual" else hashing.BITS)
    values = (*(sum(each) / len(each) for each in near), len(gone) / len(originals))
    return {"scores": dict(zip(SCORES[job["question"]], values, strict=True)), "cpu_sec": round(time.process_time() - began, 1)}


@functools.lru_cache(maxsize=2)  # the arms of a seed that differ in the bits alone
def hashes_of(name: str, way: str, rounds: int, seed: int) -> tuple[list[int], ...]:
    """Hashes of the originals, and of the copies changed in each way, which are of the first originals in their order."""
    data = open_data(name, resolution=hashing.SIDE)
    rng = torch.Generator().manual_seed(derive_seed(seed, "near duplicates"))
    originals = data.records(torch.randperm(len(data), generator=rng)[:ORIGINALS])["image"]
    sets = (originals, *changed(originals[:COPIES], rng))
    together = torch.cat(sets)
    spec = dataclasses.replace(data.spec, num_records=len(together), fields=("image",), shapes={})
    whole = ArrayDataset({"image": together}, spec)
    found = perceptual_hashes(whole) if way == "perceptual" else hashing.code_hashes(whole, rounds=rounds, seed=seed)
    ends = torch.tensor([len(each) for each in sets]).cumsum(0).tolist()
    return tuple(found[end - len(each) : end] for each, end in zip(sets, ends, strict=True))


def changed(images: Tensor, rng: torch.Generator) -> list[Tensor]:
    """Copies of images uint8 [n, c, h, w], one set a change, in the order of ``CHANGES``."""
    x = images.float()
    noisy = [x + std * torch.randn(x.shape, generator=rng) for std in (4, 8)]
    shifted = torch.cat([x[..., :1], x[..., :-1]], dim=3)
    return [each.round().clamp(0, 255).to(torch.uint8) for each in (*noisy, shifted, 0.9 * x)]


def main(arguments: list[str] | None = None) -> int:
    """Read the flags, measure, write."""
    about = "Which near duplicates two hashes find, and what else they take for one."
    arms = dict.fromkeys(QUESTIONS, ARMS)
    return answer(Questions(name="near_duplicates", about=about, arms=arms, rounds=ROUNDS, scores=SCORES, work=work), arguments)


if __name__ == "__main__":
    raise SystemExit(answered(main))
