"""``python -m saddlepoint.studies.translation``: what the terms of image translation are for, one table a question.

    blur     pix2pix on line drawings of emoji, held-out ones measured: L1 alone against L1 and a conditional adversary, by the distance from the
             targets, and by the gradients and the power at the upper half of the frequencies against those of the targets
    cycle    CycleGAN on digits, white on black and dark on coloured paper: both cycles against none. Whether the translation to white on black shows
             the digit that came in is told by the shipped classifier of digits
    toy      DiscoGAN on two mixtures of normal distributions, 5 modes and 10 (Kim et al. 2017, Section 3.2): how many modes are reached, and how
             far the translations of different modes keep apart, for all three arms
    angle    DiscoGAN on cars and kites turned by angles, after the cars and faces of the same paper: how the angle of a translation hangs together
             with that of its input, and how near it is to a drawing, for all three arms
    vendors  CycleGAN between the emoji of two makers, Noto and Twemoji, unpaired: how often the translation of a held-out Noto emoji finds Twemoji's
             of the same meaning among all of them by the quick features, and how far translations are from Twemoji's as a set. Needs ``data get
             twemoji``
    icons    outline icons filled, held-out ones measured: pix2pix with L1 alone and with the adversary, and CycleGAN on the same icons with the pairs
             hidden. Needs ``data get icons``

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
from saddlepoint.data.records import Dataset, DataSpec, to_device
from saddlepoint.data.sources import open_data
from saddlepoint.draws import Draws, derive_seed, use
from saddlepoint.evaluation.classifier import QuickFeatures
from saddlepoint.evaluation.grid import to_uint8
from saddlepoint.evaluation.kernel import kernel_distance
from saddlepoint.evaluation.meaning import retrieval
from saddlepoint.evaluation.paired import psnr, ssim, target_error
from saddlepoint.evaluation.spectra import fine_gap, sharpness
from saddlepoint.games.disco import DiscoConfig, DiscoGame
from saddlepoint.games.player import Adam
from saddlepoint.networks.mlp import MLPGenerator
from saddlepoint.studies import angles
from saddlepoint.studies.play import play
from saddlepoint.studies.pool import Job, Record, answered
from saddlepoint.studies.questions import Questions, answer, trained

HELD_OUT = 190  # emoji: the tenth that no arm was trained on
MODES = (5, 10)
TURNED, SIDE = 1_000, 32  # drawings of each domain; pixels of drawings, emoji and icons
LEFT = "left as they are"
QUICKER = {"width": 8, "d_width": 8, "optimizer": Adam(lr=1e-3, weight_decay=1e-5)}  # half of the small preset's width, twice its rate
UNPAIRED = {"resolution": SIDE, "batch": 4, "blocks": 2}
ARMS: dict[str, dict[str, dict[str, Any]]] = {
    "blur": {"L1": {"adversary": "none"}, "L1 + cGAN": {}},
    "cycle": {"both cycles": {}, "no cycle": {"cycle": "none"}},
    "toy": {arm: {"arm": arm} for arm in ("discogan", "recongan", "gan")},
    "angle": {arm: {"arm": arm} for arm in ("discogan", "recongan", "gan")},
    "vendors": {LEFT: {}, "both cycles": {}, "no cycle": {"cycle": "none"}},
    "icons": {LEFT: {}, "L1": {"adversary": "none"}, "L1 + cGAN": {}, "pairs hidden": UNPAIRED},
}
ROUNDS = {"blur": 300, "cycle": 300, "toy": 1_000, "angle": 800, "vendors": 250, "icons": 300}
NEARNESS = ("psnr, dB", "ssim", "mean error", "sharpness / real", "upper frequencies, dB")
SCORES = {
    "blur": NEARNESS,
    "cycle": ("class kept", "KID to white on black x 1000", "cycle error"),
    "toy": ("modes of 10 reached", "share of a mode's visitors from one mode", "within 3 deviations"),
    "angle": ("correlation of the angles", "error, degrees", "share of the range reached", "distance from a drawing"),
    "vendors": ("same meaning found first", "median rank", "KID to Twemoji x 1000", "change"),
    "icons": NEARNESS,
}


def work(job: Job) -> Record:
    """One run: its scores by name, and its seconds."""
    torch.set_num_threads(1)
    began, question, arm = time.process_time(), job["question"], job["arm"]
    ask = {"blur": _blur, "cycle": _cycle, "toy": _toy, "angle": _angle, "vendors": _vendors, "icons": _icons}[question]
    values = ask(ARMS[question][arm], 0 if arm == LEFT else job["rounds"], job["seed"])
    return {"scores": dict(zip(SCORES[question], values, strict=True)), "cpu_sec": round(time.process_time() - began, 1)}


@torch.no_grad()
def _blur(changes: dict[str, Any], rounds: int, seed: int) -> tuple[float, ...]:
    train, test = (open_data(f"emoji-lines:{split}", resolution=32) for split in ("train", "test"))
    game = trained(("pix2pix", "small-32", changes), train, rounds, seed)
    batch = to_device(test.records(torch.arange(min(len(test), HELD_OUT))), "cpu")
    with use(Draws.seeded(seed, "held out")):
        made = game.translate(batch.image)
    return _nearness(made, batch.partner)


def _nearness(translated: Tensor, wanted: Tensor) -> tuple[float, ...]:
    """How near translations are to their targets, and how sharp they are beside them."""
    made, real = to_uint8(translated), to_uint8(wanted)
    sharp = sharpness(made).mean() / sharpness(real).mean()
    return psnr(made, real).mean(), ssim(made, real).mean(), target_error(made, real).mean(), sharp, fine_gap(real, made)


@torch.no_grad()
def _icons(changes: dict[str, Any], rounds: int, seed: int) -> tuple[float, ...]:
    train, test = (open_data(f"icons:{split}", resolution=SIDE) for split in ("train", "test"))
    batch = to_device(test.records(torch.arange(len(test))), "cpu")
    if not rounds:
        return _nearness(batch.image, batch.partner)
    if changes is UNPAIRED:
        return _nearness(trained(("cyclegan", "small", changes), hidden_pairs(train), rounds, seed).translate(batch.image), batch.partner)
    game = trained(("pix2pix", "small-32", changes), train, rounds, seed)
    with use(Draws.seeded(seed, "held out")):
        return _nearness(game.translate(batch.image), batch.partner)


def hidden_pairs(data: Dataset) -> ArrayDataset:
    """Both images of every pair as two domains, in orders of their own."""
    whole = data.records(torch.arange(len(data)))
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(derive_seed("hidden pairs")))
    fields = {"image": whole["image"], "other": whole["partner"][order]}
    shapes = {"other": tuple(fields["other"].shape[1:])}
    spec = DataSpec(name=data.spec.name, kind="image", shape=data.spec.shape, num_records=len(data), fields=tuple(fields), shapes=shapes)
    return ArrayDataset(fields, spec)


@torch.no_grad()
def _vendors(changes: dict[str, Any], rounds: int, seed: int) -> tuple[float, ...]:
    whole, train, test = (open_data(f"emoji-vendors{part}", resolution=SIDE) for part in ("", ":train", ":test"))
    asked, known = test.records(torch.arange(len(test))), whole.records(torch.arange(len(whole)))
    x = to_device(asked, "cpu").image
    made = x
    if rounds:
        game = trained(("cyclegan", "small", UNPAIRED | changes), train, rounds, seed)
        made = torch.cat([game.translate(part) for part in torch.split(x, 64)])
    look = QuickFeatures()
    queries, candidates = look(to_uint8(made)), look(known["other"])
    found = retrieval(queries, candidates, asked["meaning"].tolist(), known["other_meaning"].tolist())
    change = target_error(to_uint8(made), asked["image"]).mean()
    return found.first, found.rank, 1000 * kernel_distance(candidates, queries).value, change


@torch.no_grad()
def _angle(changes: dict[str, Any], rounds: int, seed: int) -> tuple[float, ...]:
    data, given = angles.domains(TURNED, SIDE)
    game = trained(("discogan", "small", {"resolution": SIDE, "curriculum": rounds // 5} | QUICKER | changes), data, rounds, seed)
    x = to_device(data.records(torch.arange(len(data))), "cpu").image
    made = torch.from_numpy(to_uint8(torch.cat([game.translate(part) for part in torch.split(x, 100)])))
    turned, distance = angles.angle_of(made, "kite")
    return *angles.relation(given, turned), float(distance.mean())


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
    raise SystemExit(answered(main))
