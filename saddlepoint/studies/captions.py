"""``python -m saddlepoint.studies.captions``: what the mismatched pair and interpolated captions do for images of captions.

The arms of Reed et al. 2016 (arXiv:1605.05396): GAN without the mismatched pair, CLS, INT and both, each as the small preset of ``gan-cls`` on
emoji with captions, or other data, on half of them. The matcher of R-precision, and the classifier of groups or attributes, are fitted to the other
half, which no generator saw. An image of a caption is judged by whether that caption is found among 99 others (fewer, where the data have fewer), and
by whether its group, or its attributes, are recognised; beside stand real images, and the same fakes with another's caption (what chance is worth).
Every finished run is kept; the same command continues.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.sources import open_data
from saddlepoint.draws import derive_seed
from saddlepoint.errors import UsageError
from saddlepoint.evaluation.extractors import open_extractor
from saddlepoint.evaluation.grid import image_grid
from saddlepoint.evaluation.kernel import kernel_distance
from saddlepoint.evaluation.rprecision import fit_matcher, r_precision
from saddlepoint.evaluation.samples import draw_samples
from saddlepoint.games.captions import CaptionGame
from saddlepoint.studies.play import play
from saddlepoint.studies.pool import Job, Record, answered, run_missing, write_text
from saddlepoint.studies.toys import cell
from saddlepoint.zoo.catalogue import find_recipe
from saddlepoint.zoo.gan_cls import ADAM

ARMS = {"plain": "GAN", "cls": "GAN-CLS", "int": "GAN-INT", "both": "GAN-INT-CLS"}
PRESETS = {"plain": "small-plain", "cls": "small-cls", "int": "small-int", "both": "small"}
COLUMNS = {"r_precision": ("R-precision", "{:.3f}"), "shuffled": ("with another's caption", "{:.3f}"), "group": ("group recognised", "{:.2f}")}
COLUMNS |= {"attributes": ("attributes right", "{:.2f}"), "attributes_shuffled": ("of another's caption", "{:.2f}"), "kd": ("KID x 1000", "{:.0f}")}
SHOWN = {"captions:emoji": ("red heart", "green apple", "dog face", "blue car")}
SHOWN |= {"captions:faces": ("black hair, long hair", "blond hair, long hair", "black hair, beard", "brown hair, glasses, hat")}
JUDGED, FITTED = 1250, 2500  # images of each kind that are looked at, and that the judges are fitted to, at most


def halves(data: ArrayDataset) -> tuple[ArrayDataset, ArrayDataset]:
    """The records to train with and those to fit the judges to, every other one."""
    rows = torch.arange(len(data))
    return data.part(rows[::2], "even"), data.part(rows[1::2], "odd")


def see(images: Tensor, extractor: str) -> Tensor:
    """Features of uint8 images, float [n, d]; "pixels" are their own."""
    if extractor == "pixels":
        return images.flatten(1).double() / 255
    opened = open_extractor(extractor)
    return torch.cat([opened(part)["features"] for part in torch.split(images, opened.batch)])


def work(job: Job) -> Record:
    """One run: R-precision, the same with captions of others, groups recognised, and the kernel distance to the data."""
    torch.set_num_threads(1)
    train, other = halves(open_data(job["data"], resolution=job["resolution"]))
    recipe = find_recipe("gan-cls")
    preset: Any = recipe.preset(PRESETS[job["arm"]])
    config = replace(preset, resolution=job["resolution"], rounds=job["rounds"], width=job["width"])
    if job["lr"] is not None:
        config = replace(config, **{f"{player}_optimizer": replace(ADAM, lr=job["lr"]) for player in ("generator", "discriminator")})
    torch.manual_seed(derive_seed(job["seed"], "initialisation"))
    game = recipe.game(config, train)
    assert isinstance(game, CaptionGame)
    play(game, train, rounds=config.rounds, batch=config.batch, seed=job["seed"], every=config.rounds)
    train, other = (data.part(torch.arange(min(most, len(data))), "first") for data, most in ((train, JUDGED), (other, FITTED)))
    captions = train.column("caption")
    fakes = draw_samples(game, len(train), seed=job["seed"], labels=lambda start, stop: captions[torch.arange(start, stop) % len(captions)])
    images = {"fake": fakes, "train": _images(train), "other": _images(other)}
    rows = {name: see(values, job["extractor"]) for name, values in images.items()}
    matcher = fit_matcher(rows["other"], other.column("caption"), job["ridge"])
    k = min(100, len(torch.unique(captions, dim=0)))
    found = {"r_precision": r_precision(matcher, rows["fake"], captions, candidates=k).value}
    found["shuffled"] = r_precision(matcher, rows["fake"].roll(1, 0), captions, candidates=k).value
    found["real"] = r_precision(matcher, rows["train"], captions, candidates=k).value
    if "attributes" in train.spec.fields:
        truth, of_attributes = train.column("attributes"), fit_matcher(rows["other"], other.column("attributes"), job["ridge"])
        for name, values in (("attributes", rows["fake"]), ("attributes_shuffled", rows["fake"].roll(1, 0)), ("real_attributes", rows["train"])):
            found[name] = float(((of_attributes.values(values) > 0.5) == (truth > 0.5)).double().mean())
    if train.spec.num_classes:
        of_groups = fit_matcher(rows["other"], torch.nn.functional.one_hot(other.column("label"), train.spec.num_classes).double())
        for name, kind in (("group", "fake"), ("real_group", "train")):
            said = (of_groups(rows[kind]) @ torch.eye(train.spec.num_classes).double() + of_groups.offset).argmax(1)
            found[name] = float((said == train.column("label")).double().mean())
    found["kd"] = 1000 * kernel_distance(rows["train"], rows["fake"], subset_size=min(1000, len(train))).value
    _show(game, job)
    return found


def _images(data: ArrayDataset) -> Tensor:
    return data.records(torch.arange(len(data)))["image"]


def _the_same(caption: Tensor, start: int, stop: int) -> Tensor:
    return caption.expand(stop - start, -1)


def _show(game: CaptionGame, job: Job) -> None:
    """Eight images of each of four captions, a row each, where captions are known for the data."""
    from saddlepoint.data.captions import encoder_of

    if job["data"] not in SHOWN:
        return
    vectors = encoder_of(job["data"]).embed(SHOWN[job["data"]])
    tiles = [draw_samples(game, 8, seed=1, labels=partial(_the_same, own)) for own in vectors]
    path = Path(job["folder"]) / f"{job['arm']}-{job['seed']}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    image_grid(torch.cat(tiles), columns=8).save(path)


def as_table(records: Sequence[Record]) -> str:
    """A row an arm, medians over the seeds with least and most; real images on top."""
    real, keys = records[0], [key for key in COLUMNS if key in records[0]]
    lines = ["| arm | " + " | ".join(COLUMNS[key][0] for key in keys) + " |", "|" + " --- |" * (len(keys) + 1)]
    ceilings = {"r_precision": real["real"]} | {key: real[f"real_{key}"] for key in keys if f"real_{key}" in real}
    tops = [COLUMNS[key][1].format(ceilings[key]) if key in ceilings else "" for key in keys]
    lines.append("| *real images* | " + " | ".join(tops) + " |")
    for arm, name in ARMS.items():
        mine = [record for record in records if record["job"]["arm"] == arm]
        if mine:
            lines.append(f"| {name} | " + " | ".join(cell([record[key] for record in mine], COLUMNS[key][1]) for key in keys) + " |")
    return "\n".join(lines) + "\n"


def draw(records: Sequence[Record], path: Path) -> None:
    """The images of the first seed, arm beside arm, four times as large.

    Raises:
        UsageError: where none were drawn, as the data's captions are not known here.
    """
    from PIL import Image

    files = [Path(job["folder"]) / f"{job['arm']}-0.png" for job in (record["job"] for record in records) if job["seed"] == 0]
    if not all(file.is_file() for file in files):
        raise UsageError(f"There are no images of {records[0]['job']['data']} in {files[0].parent}: --picture is for {' and '.join(SHOWN)}.")
    tiles = [Image.open(file).convert("RGB") for file in files]
    width, height = tiles[0].size
    whole = Image.new("RGB", ((width + 4) * len(tiles) - 4, height), "white")
    for place, tile in enumerate(tiles):
        whole.paste(tile, (place * (width + 4), 0))
    path.parent.mkdir(parents=True, exist_ok=True)
    whole.resize((4 * whole.width, 4 * whole.height), Image.Resampling.NEAREST).save(path)


def main(arguments: list[str] | None = None) -> int:
    """Read the flags, measure, write."""
    parser = argparse.ArgumentParser(
        prog="python -m saddlepoint.studies.captions", description="Images of captions, with the mismatched pair and without."
    )
    parser.add_argument("--data", default="captions:emoji")
    parser.add_argument("--resolution", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--lr", type=float, help="of both players; left out: the preset's")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--arms", nargs="+", choices=[*ARMS], default=[*ARMS])
    parser.add_argument("--extractor", default="lite0@128", help="of the features that the judges see; pixels: the images themselves")
    parser.add_argument("--ridge", type=float, help="penalty of the judges; left out: the best for real images, which may read the noise of fakes")
    parser.add_argument("--processes", type=int, default=1, help="runs at once, one thread each")
    parser.add_argument("--keep", type=Path, default=Path("runs/captions"), help="folder of finished runs and their pictures")
    parser.add_argument("--out", type=Path, help="Markdown file; left out: to the screen")
    parser.add_argument("--picture", type=Path, help="PNG file: images of four captions, arm beside arm")
    given = parser.parse_args(arguments)
    if given.rounds < 1 or given.seeds < 1:
        raise UsageError(f"Rounds and seeds must be at least 1; {given.rounds} and {given.seeds} came.")
    names = ("data", "resolution", "rounds", "width", "lr", "extractor", "ridge")
    common = {name: getattr(given, name) for name in names} | {"folder": str(given.keep)}
    jobs = [common | {"arm": arm, "seed": seed} for seed in range(given.seeds) for arm in given.arms]
    records = run_missing(work, jobs, given.keep / "runs.jsonl", processes=given.processes)
    write_text(as_table(records), given.out)
    if given.picture is not None:
        draw(records, given.picture)
    return 0


if __name__ == "__main__":
    raise SystemExit(answered(main))
