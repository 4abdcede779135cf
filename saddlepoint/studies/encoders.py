"""``python -m saddlepoint.studies.encoders``: what encoders and decoders can do with an adversary and without one, one table a question.

    blur      samples of a variational autoencoder, of GLO (no adversary either), of VAE/GAN and of a GAN, all on clothes of 16 pixels: gradients and
              power at the upper half of the frequencies against those of real images, and the Frechet distance of the quick features
    codes     samples of an autoencoder, whose codes have no distribution that is known: codes drawn from N(0, I), or from the normal distribution
              that fits those of the images; beside it the VAE and the adversarial autoencoder, whose codes were brought to N(0, I). The same clothes
    coin      two targets that are equally likely given what is seen, nothing: an autoencoder that sees the image, and one that does not; how far what
              they make is from the nearer of the two targets, and from their mean
    features  BiGAN's encoder against latent regressors, which see samples alone: a linear classifier and the nearest neighbour on the layer before
              the code, of held-out clothes of 16 pixels; what is left of real images that went through the code; and an encoder as it begins
    regress   the brute-force encoder on digits: errors of z, of samples and of real images that went through the code, where the GAN was trained on
              all classes and where on five of ten; and the adversarial autoencoder, which sees the real images

Every cell is the mean over the seeds with the least and the most. With ``--keep`` every finished run is kept, and the same command continues where it
was stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.records import DataSpec, to_device
from saddlepoint.data.sources import open_data
from saddlepoint.draws import Draws, derive_seed
from saddlepoint.evaluation.classifier import QuickFeatures
from saddlepoint.evaluation.frechet import frechet_distance
from saddlepoint.evaluation.grid import to_uint8
from saddlepoint.evaluation.neighbours import coverage
from saddlepoint.evaluation.paired import target_error
from saddlepoint.evaluation.probes import linear_probe, nearest_neighbour_accuracy
from saddlepoint.evaluation.samples import draw_samples
from saddlepoint.evaluation.spectra import fine_gap, sharpness
from saddlepoint.games.bigan import distance_of_images
from saddlepoint.studies.pool import Job, Record, answered
from saddlepoint.studies.questions import Arm, Questions, answer, trained

SAMPLES, LABELLED, CLASSES_SEEN = 1_000, 2_000, 5
PENALTY = (1e-2,)  # of the linear classifier: one, so that no arm is tuned more than another
LATENT = 16
CLOTHES = {"resolution": 16}
CODED = CLOTHES | {"latent_dim": LATENT, "batch": 64}
ARMS: dict[str, dict[str, Arm]] = {
    "blur": {
        "VAE": ("vae", "small-conv", CLOTHES | {"latent_dim": LATENT}),
        "GLO, L2": ("glo", "small-l2", CLOTHES | {"latent_dim": LATENT}),
        "GLO": ("glo", "small", CLOTHES | {"latent_dim": LATENT}),
        "VAE/GAN": ("vae-gan", "small", CLOTHES | {"latent_dim": LATENT, "width": 16}),
        "GAN": ("dcgan", "small", CLOTHES | {"latent_dim": LATENT}),
    },
    "codes": {
        "autoencoder, N(0, I)": ("autoencoder", "convolutional", CODED),
        "autoencoder, fitted": ("autoencoder", "convolutional", CODED),
        "VAE": ("vae", "small-conv", CODED),
        "adversarial autoencoder": ("aae", "small", CLOTHES | {"latent_dim": LATENT}),
    },
    "coin": {
        "autoencoder": ("autoencoder", "small", {"latent_dim": 1}),
        "blind autoencoder": ("autoencoder", "small", {"latent_dim": 1, "holes": 1.0}),
    },
    "features": {
        "untrained": ("bigan", "small", CLOTHES | {"rounds": 1}),
        "latent regressor": ("bigan", "small-regressor", CLOTHES),
        "joint regressor": ("bigan", "small-joint", CLOTHES),
        "BiGAN": ("bigan", "small", CLOTHES),
    },
    "regress": {
        "brute force, all classes": ("brute-force", "small", {"resolution": 8, "encoder_width": 8, "latent_dim": 8}),
        "brute force, five classes": ("brute-force", "small", {"resolution": 8, "encoder_width": 8, "latent_dim": 8}),
        "adversarial autoencoder, five classes": ("aae", "small", {"resolution": 8, "latent_dim": 8}),
    },
}
ROUNDS = {"blur": 250, "codes": 400, "coin": 150, "features": 1_600, "regress": 600}
SCORES = {
    "blur": ("sharpness / real", "upper frequencies, dB", "quick Frechet distance"),
    "codes": ("quick Frechet distance", "coverage", "error of reconstructions, %"),
    "coin": ("from the nearer target, %", "from the mean of both, %"),
    "features": ("linear classifier", "nearest neighbour", "error of real images / of random ones"),
    "regress": ("error of z / its variance", "samples", "real, seen classes", "real, unseen classes"),
}


def work(job: Job) -> Record:
    """One run: its scores by name, and its seconds."""
    torch.set_num_threads(1)
    began, question = time.process_time(), job["question"]
    values: tuple[float | None, ...] = ASK[question](job["arm"], job["rounds"], job["seed"])
    return {"scores": dict(zip(SCORES[question], values, strict=True)), "cpu_sec": round(time.process_time() - began, 1)}


def _blur(arm: str, rounds: int, seed: int) -> tuple[float, ...]:
    data = open_data("fashion", resolution=16)
    game = trained(ARMS["blur"][arm], data, rounds, seed)
    made = draw_samples(game, SAMPLES, seed=seed)
    rows = torch.randperm(len(data), generator=torch.Generator().manual_seed(derive_seed("blur")))
    real, look = data.records(rows[:SAMPLES])["image"], QuickFeatures()
    return float(sharpness(made).mean() / sharpness(real).mean()), fine_gap(real, made), frechet_distance(look(real), look(made))


@torch.no_grad()
def _codes(arm: str, rounds: int, seed: int) -> tuple[float, ...]:
    train, test = (open_data(f"fashion:{split}", resolution=16) for split in ("train", "test"))
    game = trained(ARMS["codes"][arm], train, rounds, seed)
    batch = to_device(test.records(torch.arange(SAMPLES)), "cpu")
    if arm.startswith("autoencoder"):
        z = Draws.seeded(seed, "codes").normal(SAMPLES, LATENT)
        if arm.endswith("fitted"):
            known = game.encode(to_device(train.records(torch.arange(LABELLED)), "cpu").image)
            z = known.mean(0) + z @ torch.linalg.cholesky(torch.cov(known.T) + 1e-6 * torch.eye(LATENT)).T
        made = torch.from_numpy(to_uint8(game.decode(z)))
    else:
        made = draw_samples(game, SAMPLES, seed=seed)
    look = QuickFeatures()
    real, ours = look(test.records(torch.arange(SAMPLES))["image"]), look(made)
    off = target_error(to_uint8(game.reconstruct(batch.image)), to_uint8(batch.image)).mean()
    return frechet_distance(real, ours), coverage(real, ours), 100 * float(off)


@torch.no_grad()
def _coin(arm: str, rounds: int, seed: int) -> tuple[float, ...]:
    data = two_targets()
    game = trained(ARMS["coin"][arm], data, rounds, seed)
    real = data.records(torch.arange(2))["image"]
    seen = to_device({"image": real}, "cpu").image * (0.0 if arm.startswith("blind") else 1.0)
    made = torch.from_numpy(to_uint8(game.reconstruct(seen)))
    off = torch.stack([(made.float() - target.float()).abs().mean((1, 2, 3)) for target in (*real, real.float().mean(0))]) / 2.55
    return float(off[:2].amin(0).mean()), float(off[2].mean())


def two_targets(n: int = 256) -> ArrayDataset:
    """A bar that stands and one that lies, 16 pixels, by turns."""
    images = torch.zeros(2, 1, 16, 16, dtype=torch.uint8)
    images[0, :, 2:14, 6:10] = images[1, :, 6:10, 2:14] = 255
    return ArrayDataset({"image": images.repeat(n // 2, 1, 1, 1)}, DataSpec(name="two bars", kind="image", shape=(1, 16, 16), num_records=n))


@torch.no_grad()
def _features(arm: str, rounds: int, seed: int) -> tuple[float, ...]:
    train, test = (open_data(f"fashion:{split}", resolution=16) for split in ("train", "test"))
    game = trained(ARMS["features"][arm], train, rounds, seed)
    sides = [to_device(side.records(torch.arange(count)), "cpu") for side, count in ((train, LABELLED), (test, SAMPLES))]
    found: list[Any] = [values for side in sides for values in (game.features(side.image).numpy(), side["label"].numpy())]
    again, real = game.reconstruct(sides[1].image), sides[1].image
    share = float(distance_of_images(real, again) / distance_of_images(real.roll(1, 0), again))
    return linear_probe(*found, penalties=PENALTY).accuracy, nearest_neighbour_accuracy(*found), share


@torch.no_grad()
def _regress(arm: str, rounds: int, seed: int) -> tuple[float | None, ...]:
    train, test = (open_data(f"digits:{split}") for split in ("train", "test"))
    if "five" in arm:
        train = train.part((train.column("label") < CLASSES_SEEN).nonzero().flatten(), "five classes")
    forced = arm.startswith("brute")
    name, preset, changes = ARMS["regress"][arm]
    game = trained((name, preset, changes | ({"pretrain": rounds // 2} if forced else {})), train, rounds, seed)
    batch = to_device(test.records(torch.arange(len(test))), "cpu")
    seen = batch["label"] < CLASSES_SEEN

    def error(x: Tensor) -> float:
        return float(distance_of_images(x, game.reconstruct(x)))

    fake = draw_samples(game, SAMPLES, seed=seed).float() / 127.5 - 1
    share = float(game.measure(batch, Draws.seeded(seed, "measure"))["latent_share"]) if forced else None
    return share, error(fake), error(batch.image[seen]), error(batch.image[~seen])


ASK: dict[str, Callable[[str, int, int], tuple[float | None, ...]]] = {
    "blur": _blur,
    "codes": _codes,
    "coin": _coin,
    "features": _features,
    "regress": _regress,
}


def main(arguments: list[str] | None = None) -> int:
    """Read the flags, measure, write."""
    return answer(
        Questions(name="encoders", about="Encoders and decoders with and without an adversary.", arms=ARMS, rounds=ROUNDS, scores=SCORES, work=work),
        arguments,
    )


if __name__ == "__main__":
    raise SystemExit(answered(main))
