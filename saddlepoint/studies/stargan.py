"""``python -m saddlepoint.studies.stargan``: one translator between many domains, where the truth is known. One table a question.

    tones    Twemoji's people in six skin tones (needs ``data get twemoji``), 16 pixels, held-out emoji in every tone translated into every
             other: StarGAN, and a CycleGAN for the pair of each tone with the first, which share StarGAN's time of the processor; other pairs are two
             of them one after the other. "Nearest": translations whose skin is nearer to that of the emoji in the wanted tone than in any other; skin
             is where the drawings of the tones differ. "Skin" and "elsewhere": mean absolute error from the target there and in the rest
    mask     faces in two sets with labels of different attributes (Choi et al. 2018, Section 3.2): glasses and hats in one, long hair
             and beards in the other. Held-out faces have glasses, then the hat, turned over: with the mask of the set that knows them, and with that
             of the other, as in the paper. A classifier trained on real faces says what is there. ``--pictures FOLDER`` draws both

Every cell is the mean over the seeds with the least and the most. With ``--keep`` every finished run is kept, and the same command continues where it
was stopped.
"""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.drawn_faces import ATTRIBUTES, draw_faces
from saddlepoint.data.records import Dataset, DataSpec
from saddlepoint.data.sources import open_data
from saddlepoint.evaluation.grid import image_grid, to_uint8
from saddlepoint.evaluation.paired import target_error
from saddlepoint.games.player import Adam
from saddlepoint.studies import budget
from saddlepoint.studies.attributes import bits, classifier, columns_of, faces
from saddlepoint.studies.pool import Job, Record, answered
from saddlepoint.studies.questions import Questions, answer, trained
from saddlepoint.zoo.catalogue import find_recipe

SIDE, TESTED, SHOWN, TONES = 16, 200, 8, 6
SKIN = 32  # of 255: drawings of two tones differ by more where there is skin
KNOWN = (("glasses", "hat"), ("long-hair", "beard"))  # what the two sets are labelled for
LEFT = "left as they are"
WIDTHS: dict[str, Any] = {"width": 12, "d_width": 24, "resolution": SIDE}
SLOWER = WIDTHS | {"optimizer": Adam(lr=3e-4, beta1=0.5)}  # of StarGAN, for the small preset's 1e-3: errors are a fifth smaller after 240 rounds
ARMS = {"tones": (LEFT, "one CycleGAN a tone", "StarGAN"), "mask": (LEFT, "the first set alone", "both sets")}
ROUNDS = {"tones": 800, "mask": 500}
SCORES = {
    "tones": ("nearest to the wanted tone", "error of the skin, %", "error elsewhere, %", "rounds", "parameters, M"),
    "mask": ("wanted found", "the others kept", "error, %", "wrong mask: wanted found", "the others kept then", "error then, %"),
}
Translate = Callable[[Tensor, Tensor, Tensor], Tensor]  # images, their tones and the wanted ones [n] -> images


def work(job: Job) -> Record:
    """One run: its scores by name, and its seconds; of a question with a picture, what is drawn."""
    torch.set_num_threads(1)
    began, question = time.process_time(), job["question"]
    values, more = (_tones if question == "tones" else _mask)(job["arm"], job["rounds"], job["seed"])
    return {"scores": dict(zip(SCORES[question], values, strict=True)), "cpu_sec": round(time.process_time() - began, 1)} | more


# -- six tones ---------------------------------------------------------------------------------------------------------------------------------------


@torch.no_grad()
def _tones(arm: str, rounds: int, seed: int) -> tuple[Sequence[float | None], Record]:
    train, test = (open_data(f"twemoji-tones:{split}", resolution=SIDE) for split in ("train", "test"))
    with torch.enable_grad():
        translate, cost = TRANSLATORS[arm](train, rounds, seed)
    real = by_emoji(test)
    skin = skin_of(real)
    right, there, elsewhere = [], [], []
    for known in range(TONES):
        for wanted in set(range(TONES)) - {known}:
            x = real[:, known].float() / 127.5 - 1
            made = torch.from_numpy(to_uint8(translate(x, torch.full((len(x),), known), torch.full((len(x),), wanted))))
            off = (made[:, None].float() - real.float()).abs().mean(2) / 2.55  # emoji, tone, h, w
            beside = _mean(off, skin)
            right.append(float((beside.argmin(1) == wanted).double().mean()))
            there.append(float(beside[:, wanted].mean()))
            elsewhere.append(float(_mean(off, ~skin)[:, wanted].mean()))
    return (*(float(np.mean(values)) for values in (right, there, elsewhere)), *cost), {}


def skin_of(images: Tensor) -> Tensor:
    """Where an emoji's drawings [emoji, tone, c, h, w] in the six tones differ by more than ``SKIN`` in some channel, [emoji, h, w]."""
    return (images.amax(1).int() - images.amin(1)).amax(1) > SKIN


def _mean(values: Tensor, where: Tensor) -> Tensor:
    """Mean over the places, [emoji, tone]."""
    return (values * where[:, None]).sum((2, 3)) / where.sum((1, 2)).clamp(min=1)[:, None]


def _left(train: Dataset, rounds: int, seed: int) -> tuple[Translate, tuple[float | None, ...]]:
    return lambda x, known, wanted: x, (None, None)


def _stargan(train: Dataset, rounds: int, seed: int) -> tuple[Translate, tuple[float | None, ...]]:
    game = trained(("stargan", "small", SLOWER), train, rounds, seed)
    return lambda x, known, wanted: game.generator(x, torch.nn.functional.one_hot(wanted, TONES).float()), (rounds, _millions([game]))


def _cyclegans(train: Dataset, rounds: int, seed: int) -> tuple[Translate, tuple[float | None, ...]]:
    """Between the first tone and each other; all together have the time that StarGAN's rounds take."""
    one, other = find_recipe("stargan"), find_recipe("cyclegan")
    configs: list[Any] = [dataclasses.replace(entry.preset("small"), **changes) for entry, changes in ((one, SLOWER), (other, WIDTHS))]
    seconds = rounds * budget.round_seconds(lambda: one.game(configs[0], train), train, configs[0])
    games: list[Any] = []
    played = []
    for tone in range(1, TONES):
        pair = two_tones(train, tone)
        build = functools.partial(other.game, configs[1], pair)
        game, times = budget.trained(build, pair, configs[1], seconds=seconds / (TONES - 1), seed=seed)
        games.append(game)
        played.append(times)

    def translate(x: Tensor, known: Tensor, wanted: Tensor) -> Tensor:
        back, there = int(known[0]), int(wanted[0])
        x = games[back - 1].translate(x, back=True) if back else x
        y: Tensor = games[there - 1].translate(x) if there else x
        return y

    return translate, (float(np.mean(played)), _millions(games))


def by_emoji(data: Dataset) -> Tensor:
    """Images of all tones, [emoji, tone, c, h, w]."""
    images = data.records(torch.arange(len(data)))["image"]
    return images.view(-1, TONES, *images.shape[1:])


def two_tones(data: Dataset, tone: int) -> ArrayDataset:
    """Emoji in the first tone, and others in this one, for CycleGAN: no emoji is in both halves."""
    whole = by_emoji(data)
    half = len(whole) // 2
    fields = {"image": whole[:half, 0], "other": whole[half : 2 * half, tone]}
    return _two(fields, "tones")


def _millions(games: Sequence[Any]) -> float:
    return float(sum(p.numel() for game in games for p in game.parameters())) / 1e6


TRANSLATORS: dict[str, Callable[[Dataset, int, int], tuple[Translate, tuple[float | None, ...]]]] = {
    LEFT: _left,
    "one CycleGAN a tone": _cyclegans,
    "StarGAN": _stargan,
}


# -- two sets, and the mask --------------------------------------------------------------------------------------------------------------------------


def two_sets(joint: bool) -> ArrayDataset:
    """Faces with the first set's attributes, and beside them, if ``joint``, other faces with the second set's."""
    data = faces(SIDE)
    half = len(data) // 2
    images, attributes = data.records(torch.arange(len(data)))["image"], data.column("attributes")
    one, other = (attributes[:, columns_of(names)] for names in KNOWN)
    if not joint:
        return _two({"image": images[:half], "attributes": one[:half]}, "faces")
    fields = {"image": images[:half], "other": images[half : 2 * half], "attributes": one[:half], "other_attributes": other[half : 2 * half]}
    return _two(fields, "two sets of faces")


def _two(fields: dict[str, Tensor], name: str) -> ArrayDataset:
    """Records of these fields; shapes and names as their recipes look for them."""
    shapes = {field: tuple(values.shape[1:]) for field, values in fields.items() if field != "image"}
    n, shape = len(fields["image"]), tuple(fields["image"].shape[1:])
    spec = DataSpec(name=name, kind="image", shape=shape, num_records=n, fields=tuple(fields), shapes=shapes)
    return ArrayDataset(fields, spec, attribute_names=KNOWN[0], other_names=KNOWN[1])


@torch.no_grad()
def _mask(arm: str, rounds: int, seed: int) -> tuple[Sequence[float | None], Record]:
    joint = arm == "both sets"
    game = None if arm == LEFT else trained(("stargan", "small", SLOWER), two_sets(joint), rounds, seed)
    tests = open_data("faces:test", resolution=SIDE).records(torch.arange(TESTED))
    x, columns = tests["image"].float() / 127.5 - 1, columns_of(KNOWN[0])
    known = tests["attributes"][:, columns]
    shown, found = [tests["image"][:SHOWN]], []
    for mask in (0, 1) if joint else (0,):
        rows = []
        for column in range(len(columns)):
            wanted = known.clone()
            wanted[:, column] = 1 - wanted[:, column]
            made = x if game is None else torch.cat([game.generator(*part) for part in _pieces(x, game.condition(wanted, mask=mask))])
            images = torch.from_numpy(to_uint8(made))
            shown.append(images[:SHOWN])
            rows.append(_judged(images, tests, wanted))
        found += np.mean(rows, 0).tolist()
    picture = {"picture": torch.cat(shown).tolist()} if joint and seed == 0 else {}
    return found + [None] * (len(SCORES["mask"]) - len(found)), picture


def _judged(made: Tensor, tests: dict[str, Tensor], wanted: Tensor) -> tuple[float, float, float]:
    """Share with what was wanted of the first set's attributes, share with the other set's as they were, error from the exact target in percent."""
    truth = tests["attributes"].clone()
    truth[:, columns_of(KNOWN[0])] = wanted
    shares = [float(np.mean(classifier(SIDE, names)(made) == bits(truth[:, columns_of(names)]))) for names in KNOWN]
    return shares[0], shares[1], 100 * float(target_error(made, draw_faces(tests["identity"], truth, SIDE)).mean())


def _pieces(*tensors: Tensor) -> list[tuple[Tensor, ...]]:
    return list(zip(*(torch.split(tensor, 50) for tensor in tensors), strict=True))


def draw_mask(records: Sequence[Record], path: Path) -> None:
    """Faces; below them glasses and hats turned over by the right mask, and by the wrong one."""
    for record in records:
        if "picture" in record:
            image_grid(torch.tensor(record["picture"], dtype=torch.uint8), columns=SHOWN, zoom=3).save(path)


def main(arguments: list[str] | None = None) -> int:
    """Read the flags, measure, write."""
    assert {*KNOWN[0], *KNOWN[1]} <= {*ATTRIBUTES}
    about = "One translator between many domains."
    return answer(Questions(name="stargan", about=about, arms=ARMS, rounds=ROUNDS, scores=SCORES, work=work, pictures={"mask": draw_mask}), arguments)


if __name__ == "__main__":
    raise SystemExit(answered(main))
