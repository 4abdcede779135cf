"""``python -m saddlepoint.studies.remedies``: what objectives and tricks against known failures of GANs do about them, one table a question.

    stacked   mode collapse, counted: stacked digits at 8 pixels have 1,000 modes. The unrolled GAN against a D of a quarter and of half of G's size
              (Metz et al. 2017, section 3.3.1), and R1, and RpGAN with R1 and R2 against a D as large as G (Huang et al. 2024)
    labels    one class as the target of each fake: GAN, LabelGAN, AC-GAN and AM-GAN under both labellings (Zhou et al. 2018), clothes at 16 pixels
    gap       what D has memorised: the hinge game on 500 clothes with and without LeCam (Tseng et al. 2021), by D's outputs on training images and on
              held-out ones
    controls  300 clothes with DiffAugment and its negative controls (Zhao et al. 2020): reals alone augmented, where G learns the augmentation, and
              D's turn alone augmented

Every cell is the mean over the seeds with the least and the most. With ``--keep`` every finished run is kept, and the same command continues where it
was stopped.
"""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import Tensor

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.records import to_device
from saddlepoint.data.sources import open_data
from saddlepoint.draws import Draws, derive_seed, use
from saddlepoint.evaluation.classifier import QuickFeatures
from saddlepoint.evaluation.frechet import frechet_distance
from saddlepoint.evaluation.grid import to_uint8
from saddlepoint.evaluation.inception import am_score, inception_score
from saddlepoint.evaluation.samples import draw_samples
from saddlepoint.evaluation.stacked import stacked_coverage
from saddlepoint.games.player import Adam
from saddlepoint.studies.pool import Job, Record, answered
from saddlepoint.studies.questions import Arm, Questions, answer, trained
from saddlepoint.views.diffaugment import DiffAugment

STACKS = 8_000  # samples whose modes are counted
SAMPLES = 1_000
FEW = {"gap": 500, "controls": 300}  # images that are trained on
GREY = 127.5  # what the augmentation fills with, in levels
NEAR = 12.75  # a twentieth of the range
POLICY = "translation,cutout"  # of the preset "small"
ADAM = Adam(lr=1e-3, beta1=0.5, beta2=0.99)
CLOTHES: dict[str, Any] = {
    "width": 16,
    "batch": 64,
    "resolution": 16,
    "generator_optimizer": ADAM,
    "discriminator_optimizer": ADAM,
    "ema_halflife_kimg": None,
}
STACKED: dict[str, Any] = {
    "width": 256,
    "batch": 128,
    "resolution": 8,
    "latent_dim": 64,
    "generator_optimizer": ADAM,
    "discriminator_optimizer": ADAM,
    "ema_halflife_kimg": None,
}
WIDER = CLOTHES | {"width": 32, "batch": 32}  # a D that has room for 500 images


def _unrolled(steps: int, size: str) -> Arm:
    return "unrolled", "stacked", STACKED | {"architecture": f"mlp-{size}", "unroll_steps": steps}


def _am_gan(**changes: Any) -> Arm:
    return "am-gan", "small", CLOTHES | changes


ARMS: dict[str, dict[str, Arm | None]] = {  # None: real images in the place of samples
    "stacked": {
        "held-out images": None,
        **{f"D a {size}, unrolled {steps}": _unrolled(steps, size) for size in ("quarter", "half") for steps in (0, 1, 5)},
        "D as large, non-saturating": ("nsgan", "paper", STACKED | {"architecture": "mlp"}),
        "D as large, R1": ("gan-r1", "paper", STACKED | {"architecture": "mlp", "r1_gamma": 1.0}),
        "D as large, RpGAN with R1 and R2": ("relativistic", "paired-r1-r2", STACKED | {"architecture": "mlp"}),
    },
    "labels": {
        "held-out images": None,
        "GAN": ("nsgan", "small", CLOTHES),
        "LabelGAN": _am_gan(method="label-gan"),
        "AC-GAN": _am_gan(method="ac-gan"),
        "AM-GAN, predefined": _am_gan(labelling="static"),
        "AM-GAN, dynamic": _am_gan(),
    },
    "gap": {
        "hinge": ("lecam", "small", WIDER | {"lecam_weight": 0.0}),
        "hinge with LeCam": ("lecam", "small", WIDER),
    },
    "controls": {
        "held-out images": None,
        "held-out images, augmented": None,
        "none": ("diffaugment", "small", CLOTHES | {"augment": ""}),
        "DiffAugment": ("diffaugment", "small", CLOTHES),
        "reals alone": ("diffaugment", "small", CLOTHES | {"arm": "reals-only"}),
        "D's turn alone": ("diffaugment", "small", CLOTHES | {"arm": "discriminator-only"}),
    },
}
ROUNDS = {"stacked": 800, "labels": 800, "gap": 2_400, "controls": 1_000}
SCORES = {
    "stacked": ("modes of 1,000", "KL from uniform, nats", "quick Frechet distance of a digit"),
    "labels": ("AM score", "Inception score", "quick Frechet distance"),
    "gap": ("C(training)", "C(held out)", "gap", "gap / (C(training) - C(fake))", "quick Frechet distance"),
    "controls": ("grey pixels of the border", "quick Frechet distance"),
}


def work(job: Job) -> Record:
    """One run: its scores by name, and its seconds."""
    torch.set_num_threads(1)
    began, question = time.process_time(), job["question"]
    measure = {"stacked": _stacked, "labels": _labels, "gap": _gap, "controls": _controls}[question]
    values: tuple[float, ...] = measure(job["arm"], job["rounds"], job["seed"])
    return {"scores": dict(zip(SCORES[question], values, strict=True)), "cpu_sec": round(time.process_time() - began, 1)}


def some(data: ArrayDataset, count: int, seed: int) -> Tensor:
    """Images uint8 [count, c, h, w] of the data, drawn without replacement; all where there are fewer."""
    rows = torch.randperm(len(data), generator=torch.Generator().manual_seed(derive_seed("some images", seed)))[:count]
    return data.records(rows)["image"]


def _stacked(arm: str, rounds: int, seed: int) -> tuple[float, ...]:
    train, test = (open_data(f"stacked-digits:{part}") for part in ("train", "test"))
    chosen, look = ARMS["stacked"][arm], QuickFeatures()
    made = some(test, STACKS, seed) if chosen is None else draw_samples(trained(chosen, train, rounds, seed), STACKS, seed=seed)
    found = stacked_coverage(made.numpy(), lambda x: look.class_probabilities(x, "digits"))
    digits = [x[:SAMPLES].flatten(0, 1)[:, None] for x in (some(train, SAMPLES, 0), made)]  # (n k) 1 h w
    return float(found.modes), found.kl, frechet_distance(*(look(x) for x in digits))


def _labels(arm: str, rounds: int, seed: int) -> tuple[float, ...]:
    train, test = _clothes()
    chosen, look = ARMS["labels"][arm], QuickFeatures()
    made = some(test, SAMPLES, 0) if chosen is None else draw_samples(trained(chosen, train, rounds, seed), SAMPLES, seed=seed)
    real = some(train, 2 * SAMPLES, 0)
    told, known = (look.class_probabilities(x, "fashion") for x in (made, real))
    return am_score(known, told), inception_score(told, splits=1).value, frechet_distance(look(real), look(made))


@torch.no_grad()
def _gap(arm: str, rounds: int, seed: int) -> tuple[float, ...]:
    few, test = _few(FEW["gap"], seed), _clothes()[1]
    chosen = ARMS["gap"][arm]
    assert chosen is not None
    game, look = trained(chosen, few, rounds, seed), QuickFeatures()
    made, held_out = draw_samples(game, SAMPLES, seed=seed), some(test, SAMPLES, 0)
    on = [float(game.judge(to_device({"image": x}, "cpu").image).logits.mean()) for x in (some(few, SAMPLES, 0), held_out, made)]
    return on[0], on[1], on[0] - on[1], (on[0] - on[1]) / (on[0] - on[2]), frechet_distance(look(held_out), look(made))


def _controls(arm: str, rounds: int, seed: int) -> tuple[float, ...]:
    few, (train, test) = _few(FEW["controls"], seed), _clothes()
    chosen, look = ARMS["controls"][arm], QuickFeatures()
    made = some(test, SAMPLES, 0) if chosen is None else draw_samples(trained(chosen, few, rounds, seed), SAMPLES, seed=seed)
    if arm.endswith("augmented"):
        view = DiffAugment(POLICY)
        with use(Draws.seeded(seed, "augmented")):
            made = torch.from_numpy(to_uint8(view(to_device({"image": made}, "cpu").image)))
    return grey_border(made), frechet_distance(look(some(train, SAMPLES, 0)), look(made))


def grey_border(images: Tensor) -> float:
    """Share of the outermost pixels that are grey, as translation and cutout leave them: within a twentieth of the range of its middle.

    Args:
        images: uint8 [n, 1, h, w].

    >>> grey_border(torch.tensor([[[[0, 128, 255], [130, 0, 0], [0, 0, 110]]]], dtype=torch.uint8))      # 128 and 130 of eight
    0.25
    """
    ring = torch.ones(images.shape[2:], dtype=torch.bool)
    ring[1:-1, 1:-1] = False
    return float(((images[:, 0, ring].double() - GREY).abs() <= NEAR).double().mean())


def _clothes() -> tuple[ArrayDataset, ArrayDataset]:
    train, test = (open_data(f"fashion:{part}", resolution=16) for part in ("train", "test"))
    return train, test


def _few(count: int, seed: int) -> ArrayDataset:
    """Images to train with, others for each seed."""
    train, _ = _clothes()
    rows = torch.randperm(len(train), generator=torch.Generator().manual_seed(derive_seed("few clothes", seed)))
    return train.part(rows[:count], f"{count} of seed {seed}")


def main(arguments: list[str] | None = None) -> int:
    """Read the flags, measure, write."""
    about = "What objectives and tricks against known failures do about them."
    return answer(Questions(name="remedies", about=about, arms=ARMS, rounds=ROUNDS, scores=SCORES, work=work), arguments)


if __name__ == "__main__":
    raise SystemExit(answered(main))
