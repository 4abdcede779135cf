"""What a measurement of speed or memory runs: a recipe's game on random data, or on data of one's own, ready to be trained."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.images import size_of
from saddlepoint.data.records import Dataset, DataSpec
from saddlepoint.data.sources import open_data
from saddlepoint.draws import derive_seed
from saddlepoint.errors import UsageError
from saddlepoint.games.game import Game
from saddlepoint.games.settings import GameConfig
from saddlepoint.training import machine
from saddlepoint.training.trainer import Trainer, TrainerConfig
from saddlepoint.zoo.catalogue import find_recipe

CAPTION = 384  # numbers of a caption's vector
SIDE, CHANNELS, CLASSES, BATCHES = 32, 3, 10, 4  # of the random images: where the recipe names no resolution; colours; labels; batches in memory


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is timed: a game on data, ready to be trained."""

    recipe: str
    preset: str
    config: GameConfig
    game: Game
    data: Dataset
    device: str
    precision: machine.Precision


def open_case(
    recipe: str,
    *,
    preset: str | None = None,
    resolution: int | None = None,
    batch: int | None = None,
    channels: int = CHANNELS,
    data: str | None = None,
    device: str = "auto",
    precision: machine.Precision = "32-true",
) -> Case:
    """Build what is to be timed; the arguments are those of :func:`saddlepoint.studies.bench.bench`."""
    entry = find_recipe(recipe)
    kind = next(kind for kind in ("image", "sequence", "volume", "points") if kind in entry.needs)
    preset = preset or ("toy" if kind == "points" else "small")
    data = {"sequence": "oracle-small", "volume": "shapes3d"}.get(kind) if data is None else data
    config = entry.preset(preset)
    if resolution is not None and kind == "points" and data is None:
        raise UsageError(f"{recipe} plays on points, which have no resolution. Leave --resolution out.")
    config = dataclasses.replace(config, batch=batch or config.batch, resolution=config.resolution if resolution is None else resolution)
    if data is None:
        height, width = size_of(config.resolution or SIDE)
        records = max(BATCHES * config.batch, CLASSES * getattr(config, "labels_per_class", 1))
        dataset: Dataset = random_data((channels, height, width) if kind == "image" else (2,), records, entry.second)
    else:
        dataset = open_data(data, resolution=config.resolution)
    torch.manual_seed(derive_seed(0, "initialisation"))
    dataset = entry.prepare(config, dataset) if entry.prepare else dataset
    game = entry.game(config, dataset)
    return Case(recipe=recipe, preset=preset, config=config, game=game, data=dataset, device=device, precision=precision)


def random_data(shape: tuple[int, ...], num_records: int, second: str = "") -> ArrayDataset:
    """Noise with labels: uint8 images for a shape (c, h, w), with a second one, or a caption, in the field ``second`` where named; or points."""
    rng = torch.Generator().manual_seed(derive_seed("bench"))
    if len(shape) == 3:
        names = ["image", *([second] if second not in ("", "caption") else [])]
        fields = {name: torch.randint(256, (num_records, *shape), generator=rng, dtype=torch.uint8) for name in names}
    else:
        fields = {"point": torch.randn(num_records, *shape, generator=rng)}
    if second == "caption":
        fields["caption"] = torch.randn(num_records, CAPTION, generator=rng)
    fields["label"] = torch.arange(num_records) % CLASSES
    spec = DataSpec(
        name="random",
        kind="image" if len(shape) == 3 else "points",
        shape=shape,
        num_records=num_records,
        num_classes=CLASSES,
        class_names=tuple(f"class {k}" for k in range(CLASSES)),
        fields=tuple(fields),
        shapes={second: tuple(fields[second].shape[1:])} if second else {},
    )
    return ArrayDataset(fields, spec)


def start(case: Case) -> Trainer:
    """The trainer of a case, on its device."""
    fabric = machine.start_fabric(case.device, case.precision)
    game = case.game.double() if case.precision == "64-true" else case.game
    return Trainer(game, case.data, TrainerConfig(batch=case.config.batch, horizon=case.config.rounds), fabric)
