"""Run folders made by hand, as training would leave them, for the tests of the report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from saddlepoint.evaluation.grid import image_grid

ABOUT: dict[str, Any] = {
    "recipe": "dcgan",
    "title": "DCGAN",
    "paper": "Unsupervised Representation Learning <with> Deep Convolutional GANs",
    "year": 2016,
    "url": "https://arxiv.org/abs/1511.06434",
    "preset": "small",
    "config": {"batch": 64, "latent_dim": 100, "betas": [0.5, 0.999], "augment": None, "share_fakes": True},
    "data": {"name": "fashion", "kind": "image", "shape": [1, 28, 28], "num_records": 10000, "content_hash": "0123456789abcdef"},
    "command": "saddlepoint train dcgan --data fashion --seed 7",
    "seed": 7,
    "batch": 64,
    "versions": {"saddlepoint": "0.1.0", "torch": "2.14.1"},
    "commit": "abc1234",
    "hardware": "a processor of two cores",
    "budget": {"steps": 4000, "minutes": None},
}
PROTOCOL = {"metric": "quick_frechet", "extractor": "quick-12345678", "num_real": 2000, "num_fake": 1000, "note": "not FID"}


def write_lines(path: Path, records: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def make_logs(folder: Path, *, rounds: int = 4000, every: int = 20, seed: int = 0) -> None:
    """Logs of a training that improves, then worsens."""
    rng = np.random.default_rng(seed)
    log, timing = [], []
    for r in range(every, rounds + 1, every):
        done = r / rounds
        values = {
            "discriminator/adversarial": 1.38 - 0.7 * done + 0.08 * rng.standard_normal(),
            "discriminator/real": 1 + 2 * done + 0.2 * rng.standard_normal(),
            "discriminator/fake": -1 - 2 * done + 0.2 * rng.standard_normal(),
            "discriminator/separation": min(1.0, 0.7 + 0.25 * done + 0.02 * rng.standard_normal()),
            "generator/adversarial": 0.7 + 2 * done + 0.2 * rng.standard_normal(),
        }
        log.append({"round": r, "images_seen": 64 * r, **values})
        timing.append({"round": r, "elapsed_sec": 0.1 * r, "images_per_sec": 640 + 20 * rng.standard_normal()})
    write_lines(folder / "log.jsonl", log)
    write_lines(folder / "timing.jsonl", timing)


def make_scores(folder: Path, *, rounds: int = 4000, points: bool = False) -> None:
    """Ten scores; the best at round 3200 of 4000."""
    records = []
    for r in range(rounds // 10, rounds + 1, rounds // 10):
        value = 2.0 + 60 * np.exp(-r / rounds * 5) + (8 if r > 0.85 * rounds else 0)
        values: dict[str, Any] = {"quick_frechet": value, "coverage": 0.7 * r / rounds, "pairwise_distance": 0.9}
        floor = {"quick_frechet": 0.43, "coverage": 0.875, "pairwise_distance": 0.993}
        if points:
            values = {"sliced_wasserstein": value / 100, "modes": float(min(8, 10 * r // rounds)), "high_quality": 0.9 * r / rounds, "modes_kl": 0.3}
            floor = {"sliced_wasserstein": 0.01, "modes": 8.0, "high_quality": 0.989, "modes_kl": 0.002}
        metric = "sliced_wasserstein" if points else "quick_frechet"
        records.append({"round": r, "images_seen": 64 * r, "metric": metric, **values, "floor": floor, "protocol": PROTOCOL | {"metric": metric}})
    write_lines(folder / "scores.jsonl", records)


def make_run(folder: Path, images: np.ndarray | None = None, **about: Any) -> Path:
    """Make a whole run on images uint8 [64, c, h, w], noise by default; its samples come out of noise towards the images."""
    (folder / "samples").mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(ABOUT | about))
    make_logs(folder)
    make_scores(folder)
    write_lines(folder / "health.jsonl", [{"round": 3800, "kind": "falling", "message": "Round 3800: quality has been falling <since> round 3200."}])
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (64, 1, 8, 8), dtype=np.uint8) if images is None else images
    noise = rng.integers(0, 256, images.shape)
    for r in (0, 1, 10, 100, 1000, 2000, 4000):
        share = (r / 4000) ** 0.5
        image_grid((share * images + (1 - share) * noise).astype(np.uint8)).save(folder / "samples" / f"round-{r:08d}.png")
    image_grid(images).save(folder / "samples" / "real.png")
    near = {
        f"{what}_{space}": value for space in ("feature", "pixel") for what, value in (("nearest", images), ("distance", rng.random(len(images)) * 5))
    }
    usual = {"usual_feature": rng.random(200) * 5, "usual_pixel": rng.random(200) * 5, "searched": np.array(10000)}
    np.savez(folder / "samples" / "nearest.npz", samples=(0.8 * images).astype(np.uint8), **near, **usual)
    return folder


def make_points_run(folder: Path, d: int = 2) -> Path:
    """Make a run on a ring of eight modes (its first coordinate, or with more coordinates of zero)."""
    (folder / "samples").mkdir(parents=True)
    data = {"name": "ring8", "kind": "points", "shape": [d], "num_records": 100_000}
    (folder / "run.json").write_text(json.dumps(ABOUT | {"data": data, "recipe": "gan", "title": "GAN"}))
    make_logs(folder)
    make_scores(folder, points=True)
    rng = np.random.default_rng(0)
    angles = 2 * np.pi * rng.integers(8, size=2000) / 8
    ring = np.stack([np.cos(angles), np.sin(angles), *[np.zeros(2000)] * max(0, d - 2)], 1)[:, :d]
    real = ring + 0.02 * rng.standard_normal(ring.shape)
    np.savez(folder / "samples" / "real.npz", points=real.astype(np.float32))
    for r in (0, 10, 100, 1000, 4000):
        share = (r / 4000) ** 0.3
        points = share * real + (1 - share) * 0.3 * rng.standard_normal(real.shape)
        np.savez(folder / "samples" / f"round-{r:08d}.npz", points=points.astype(np.float32))
    return folder
