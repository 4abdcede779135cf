"""``python -m saddlepoint.studies.translation``: what the terms of image translation are for, one table a question.

    blur     pix2pix on line drawings of emoji, held-out ones measured: L1 alone against L1 and a conditional adversary, by the distance from the
             targets, and by the gradients and the power at the upper half of the frequencies against those of the targets
    cycle    CycleGAN on digits, white on black and dark on coloured paper: both cycles against none. Whether the translation to white on black shows
             the digit that came in is told by the shipped classifier of digits
    toy      DiscoGAN on two mixtures of normal distributions, 5 modes and 10 (Kim et al. 2017, Section 3.2): how many modes are reached, and how
             far the translations of different modes keep apart, for all three arms

Every cell is the mean over the seeds with the least and the most. With ``--keep`` every finished run is kept, and the same command continues where it
was stopped.
"""

from __future__ import annotations

import math
import time
from typing import Any

import torch
from torch import Tensor, nn

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.records import DataSpec, to_device
from saddlepoint.data.sources import open_data
from saddlepoint.draws import Draws, derive_seed, use
from saddlepoint.evaluation.classifier import QuickFeatures
from saddlepoint.evaluation.grid import to_uint8
from saddlepoint.evaluation.kernel import kernel_distance
from saddlepoint.evaluation.paired import psnr, ssim, target_error
from saddlepoint.evaluation.spectra import fine_gap, sharpness
from saddlepoint.games.disco import DiscoConfig, DiscoGame
from saddlepoint.games.player import Adam
from saddlepoint.networks.mlp import MLPGenerator
from saddlepoint.studies.play import play
from saddlepoint.studies.pool import Job, Record
from saddlepoint.studies.questions import Questions, answer, trained

HELD_OUT = 190  # emoji: the tenth that no arm was trained on
MODES = (5, 10)
ARMS: dict[str, dict[str, dict[str, Any]]] = {
    "blur": {"L1": {"adversary": "none"}, "L1 + cGAN": {}},
    "cycle": {"both cycles": {}, "no cycle": {"cycle": "none"}},
    "toy": {arm: {"arm": arm} for arm in ("discogan", "recongan", "gan")},
}
ROUNDS = {"blur": 300, "cycle": 300, "toy": 1_000}
SCORES = {
    "blur": ("psnr, dB", "ssim", "mean error", "sharpness / real", "upper frequencies, dB"),
    "cycle": ("class kept", "KID to white on black x 1000", "cycle error"),
    "toy": ("modes of 10 reached", "share of a mode's visitors from one mode", "within 3 deviations"),
}


def work(job: Job) -> Record:
    """One run: its scores by name, and its seconds."""
    torch.set_num_threads(1)
    began = time.process_time()
    values = {"blur": _blur, "cycle": _cycle, "toy": _toy}[job["question"]](ARMS[job["question"]][job["arm"]], job["rounds"], job["seed"])
    return {"scores": dict(zip(SCORES[job["question"]], values, strict=True)), "cpu_sec": round(time.process_time() - began, 1)}


@torch.no_grad()
def _blur(changes: dict[str, Any], rounds: int, seed: int) -> tuple[float, ...]:
    train, test = (open_data(f"emoji-lines:{split}", resolution=32) for split in ("train", "test"))
    game = trained(("pix2pix", "small-32", changes), train, rounds, seed)
    batch = to_device(test.records(torch.arange(min(len(test), HELD_OUT))), "cpu")
    with use(Draws.seeded(seed, "held out")):
        made = to_uint8(game.translate(batch.image))
    real = to_uint8(batch.partner)
    sharp = sharpness(made).mean() / sharpness(real).mean()
    return psnr(made, real).mean(), ssim(made, real).mean(), target_error(made, real).mean(), sharp, fine_gap(real, made)


@torch.no_grad()
def _cycle(changes: dict[str, Any], rounds: int, seed: int) -> tuple[float, ...]:
    data = open_data("digits-tinted", resolution=16)
    game = trained(("cyclegan", "small", {"resolution": 16, "batch": 4, "blocks": 2} | changes), data, rounds, seed)
    batch = to_device(data.records(torch.arange(len(data))), "cpu")
    white = torch.cat([game.translate(part, back=True) for part in torch.split(batch.other, 64)])
    again = torch.cat([game.translate(part) for part in torch.split(white, 64)])
    look = QuickFeatures()
    told = look.class_probabilities(to_uint8(white), "digits").argmax(1)
    kid = kernel_distance(look(to_uint8(batch.image)), look(to_uint8(white))).value
    return float((told == batch["other_label"].numpy()).mean()), 1000 * kid, target_error(to_uint8(again), to_uint8(batch.other)).mean()


def mixtures(n: int = 4_000) -> tuple[ArrayDataset, Tensor]:
    """Points of two mixtures, "point" of 5 modes and "other" of 10, each on a circle; and the modes that points are of."""
    rng = torch.Generator().manual_seed(derive_seed("two mixtures"))
    part = torch.randint(MODES[0], (n,), generator=rng)
    fields = {"point": _around(part, MODES[0], 1.0, rng), "other": _around(torch.randint(MODES[1], (n,), generator=rng), MODES[1], 2.0, rng)}
    spec = DataSpec(name="two mixtures", kind="points", shape=(2,), num_records=n, fields=tuple(fields), shapes={"other": (2,)})
    return ArrayDataset(fields, spec), part


def _centres(count: int, radius: float) -> Tensor:
    angle = torch.arange(count) * (2 * math.pi / count)
    return radius * torch.stack([angle.cos(), angle.sin()], 1)


def _around(part: Tensor, count: int, radius: float, rng: torch.Generator) -> Tensor:
    return _centres(count, radius)[part] + 0.05 * torch.randn(len(part), 2, generator=rng)


class PointTranslator(MLPGenerator):
    """Points to points: three hidden layers of 128."""

    def __init__(self) -> None:
        super().__init__(2, (2,), width=128)


class PointJudge(nn.Module):
    """Points to logits, its hidden layers matched."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.ModuleList(nn.Linear(a, 128) for a in (2, 128, 128))
        self.head = nn.Linear(128, 1)

    def maps(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Logits [n], and hidden layers [n, 128]."""
        found = []
        for layer in self.hidden:
            x = nn.functional.leaky_relu(layer(x), 0.2)
            found.append(x)
        return self.head(x).flatten(), found[1:]


@torch.no_grad()
def _toy(changes: dict[str, Any], rounds: int, seed: int) -> tuple[float, ...]:
    data, part = mixtures()
    config = DiscoConfig(batch=128, rounds=rounds, curriculum=rounds // 10, optimizer=Adam(lr=1e-3), feature_share=0.0, **changes)
    torch.manual_seed(derive_seed(seed, "initialisation"))
    others = config.arm != "gan", config.arm == "discogan"
    game = DiscoGame(config, PointTranslator(), PointJudge(), PointTranslator() if others[0] else None, PointJudge() if others[1] else None)
    with torch.enable_grad():
        play(game, data, rounds=rounds, batch=config.batch, seed=seed, every=rounds)
    made = game.translate(data.column("point"))
    distance, nearest = torch.cdist(made, _centres(MODES[1], 2.0)).min(1)
    good = distance < 3 * 0.05 * math.sqrt(2)
    visits = torch.zeros(MODES[1], MODES[0]).index_put_((nearest[good], part[good]), torch.ones(int(good.sum())), accumulate=True)
    reached = visits.sum(1) >= 0.001 * len(made)
    purity = (visits.amax(1) / visits.sum(1).clamp(min=1))[reached]
    return float(reached.sum()), float(purity.mean()) if reached.any() else 0.0, float(good.double().mean())


def main(arguments: list[str] | None = None) -> int:
    """Read the flags, measure, write."""
    return answer(
        Questions(name="translation", about="What the terms of image translation are for.", arms=ARMS, rounds=ROUNDS, scores=SCORES, work=work),
        arguments,
    )


if __name__ == "__main__":
    raise SystemExit(main())
