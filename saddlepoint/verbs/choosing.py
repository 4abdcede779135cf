"""What to train, how long, and how often to look: what is settled before a run begins."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.images import Resolution, resolution_of, size_of
from saddlepoint.data.packed import is_packed
from saddlepoint.data.sources import list_data, of_sequences, open_data
from saddlepoint.errors import DataError, UsageError, nearest
from saddlepoint.games.settings import GameConfig
from saddlepoint.training.plan import Plan
from saddlepoint.verbs.fitting import Sizes, fitting_side, kept_shape, usual_side
from saddlepoint.zoo.catalogue import Recipe
from saddlepoint.zoo.stylegan2_ada import auto_settings

log = logging.getLogger("saddlepoint")


def holds_points(data: str) -> bool:
    """Whether a name or path is of points rather than images, as far as can be told without opening it."""
    cards = {card.name: card.kind for card in list_data()}
    name = data.rpartition(":")[0] if data.endswith((":train", ":test")) else data
    if name not in cards and Path(name).suffix in (".npy", ".npz") and Path(name).is_file():
        with contextlib.suppress(DataError, UsageError):  # what is wrong with it is said where it is opened for use
            return open_data(name).spec.kind == "points"
    return cards.get(name) == "points"


def default_preset(recipe: Recipe, data: str) -> str:
    """The preset for two cores that fits the data: "toy" for points where the recipe has it, otherwise "small"."""
    return "toy" if "toy" in recipe.presets and holds_points(data) else "small"


def at_packed_size(config: GameConfig, data: str) -> GameConfig:
    """The configuration at the size that data were packed at, which is the one they can be read at; any other data leave it as it is."""
    path = Path(data.rpartition(":")[0] if data.endswith((":train", ":test")) else data).expanduser()
    if not is_packed(path):
        return config
    spec = open_data(data).spec
    return dataclasses.replace(config, resolution=resolution_of(spec.shape)) if spec.kind == "image" else config


@dataclass(frozen=True)
class Choice:
    """A recipe chosen for the user, settings beside its preset's, and why, in two lines."""

    recipe: str
    preset: str
    reasons: tuple[str, str]
    settings: Mapping[str, Any] = field(default_factory=dict)


FEW = 5_000  # images; below it a discriminator learns them by heart within an ordinary training
BEST = {  # on a processor, and where that was measured: docs/tables/images-*.md, by KID of the last state
    "few": ("diffaugment", "eight on 1,906 emoji (ten minutes of the processor; of the first two after twenty, three seeds, and an hour)"),
    "few and large": ("stylegan2-ada", "eight on 1,906 emoji at 64 pixels (ten minutes of the processor, one seed)"),
    "many": ("dcgan", "eight on 10,000 pictures of clothes (ten minutes of the processor, one seed)"),
}
LARGE = 64  # pixels from which images are large here
PER_CLASS = 20  # images that a class has at least, for the players to be told classes
SIDES = {"cpu": 32, "accelerator": 256}  # pixels at most
TOP_CHANNELS = 8  # of stylegan2-ada's preset "small" at full size, at the 64 pixels where it was compared


def recipe_for(images: int, device: str, side: int = 32) -> tuple[str, str, str]:
    """Recipe and preset for so many images of so many pixels a side on a type of device, and why.

    >>> recipe_for(1906, "cpu")[:2], recipe_for(60_000, "cpu")[:2], recipe_for(1906, "cuda")[:2]
    (('diffaugment', 'small'), ('dcgan', 'small'), ('stylegan2-ada', 'auto'))
    """
    if device != "cpu":
        return "stylegan2-ada", "auto", "Its authors' first guess for new images; where D learns them by heart, augmentation sets in by itself."
    recipe, measured = BEST["many" if images >= FEW else "few and large" if side >= LARGE else "few"]
    why = " D sees augmented images, or it would learn so few by heart." if images < FEW else ""
    return recipe, "small", f"The best of {measured}.{why}"


OF_TWO = {"partner": ("pix2pix", "pairs"), "other": ("cyclegan", "two domains"), "caption": ("gan-cls", "captions")}


@contextlib.contextmanager
def untold() -> Iterator[None]:
    """While inside, nothing is written of data that are opened only to know what they are: it is told where they are trained on."""
    before, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = before


@untold()
def choose_recipe(data: str, device: str = "cpu", resolution: Resolution | None = None) -> Choice:
    """Recipe, preset and settings for data that came without one: by its kind, number, size and labels, and by the machine.

    Args:
        data: name or path.
        device: type of the device, "cpu" or an accelerator.
        resolution: that was asked for; None: by the data and the device.
    """
    if holds_points(data):
        spec = open_data(data).spec
        found = f"No recipe was named. {spec.name} holds {spec.num_records} points of {spec.shape[0]} numbers:"
        return Choice("relativistic", "toy", (f"{found} relativistic, preset toy.", "Its game converges, with R1 and R2; see docs/toys.md."))
    if data.startswith("audio:"):
        raise UsageError("No recipe of the catalogue plays on sounds yet. `saddlepoint list` says what each needs.")
    if of_sequences(data):
        spec = open_data(data).spec
        found = f"No recipe was named. {spec.name} holds {spec.num_records} sequences of up to {spec.shape[0]} tokens: sequence-mle, preset small."
        return Choice(
            "sequence-mle", "small", (found, "It learns their likelihood; seqgan and maligan begin with it and go on; see docs/sequences.md.")
        )
    packed = is_packed(Path(data))
    opened = open_data(data, resolution=None if packed else resolution or SIDES["cpu"])
    spec = opened.spec
    if spec.kind == "volume":
        found = f"No recipe was named. {spec.name} holds {spec.num_records} volumes: 3d-gan, preset small."
        return Choice("3d-gan", "small", (found, "It is the one that needs volumes alone."))
    for name, (recipe, held) in OF_TWO.items():
        if name in spec.fields:
            found = f"No recipe was named. {spec.name} holds {spec.num_records} images with {held}: {recipe}, preset small."
            return Choice(recipe, "small", (found, f"It is the plainest that learns from {held}; `saddlepoint list` shows the others."))
    return _of_images(opened, opened.sizes or _own_size(data), device, resolution_of(spec.shape) if packed else resolution)


def _of_images(data: ArrayDataset, sizes: Sizes, device: str, asked: Resolution | None) -> Choice:
    """By number, labels and size of the images, and the machine."""
    spec = data.spec
    side, most = usual_side(sizes), SIDES["cpu" if device == "cpu" else "accelerator"]
    size = asked or kept_shape(sizes, most) or fitting_side(side or most, most)
    recipe, preset, why = recipe_for(spec.num_records, device, min(size_of(size)))
    counts = spec.class_counts
    told = (spec.num_classes or 0) > 1 and (min(counts) if counts else spec.num_records // (spec.num_classes or 1)) >= PER_CLASS
    settings: dict[str, Any] = {"resolution": size}
    if preset == "auto":
        settings = auto_settings(min(size_of(size))) | settings
    elif recipe == "stylegan2-ada" and min(size_of(size)) > LARGE:
        settings["channel_base"] = TOP_CHANNELS * min(size_of(size))
    if told:
        settings["conditional"] = True
        why += f" It is told the {spec.num_classes} classes (--no-conditional: not)."
    elif len(counts) > 1:
        why += f" It is not told the {len(counts)} classes: the smallest has {min(counts)} of the {PER_CLASS} images that are needed"
        why += " (--conditional: it is)."
    if asked is None and side and side >= 2 * min(size_of(size)):
        why += f" A larger --resolution, {2 * min(size_of(size))}, takes about four times as long."
    about = f" of about {side} pixels" if side else ""
    height, width = size_of(size)
    found = f"No recipe was named. {spec.name} holds {spec.num_records} images{about}, and training runs on {device}:"
    return Choice(recipe, preset, (f"{found} {recipe}, preset {preset}, at {height}x{width} pixels.", why), settings)


def _own_size(data: str) -> dict[tuple[int, int], int]:
    """Width and height of the images of a set that is no folder, as they are; empty where they are not of one size."""
    with contextlib.suppress(DataError, UsageError):
        spec = open_data(data).spec
        return {(spec.shape[2], spec.shape[1]): spec.num_records}
    return {}


def configure(recipe: Recipe, preset: str, settings: dict[str, Any]) -> GameConfig:
    """A preset with some settings changed.

    Raises:
        UsageError: for a setting the recipe does not have, with the nearest names.
    """
    config = recipe.preset(preset)
    names = {field.name for field in dataclasses.fields(config)}
    for name in settings:
        if name not in names:
            raise UsageError(f"{recipe.name} has no setting {name!r}. {nearest(name, names)}")
    return dataclasses.replace(config, **settings)


@dataclass(frozen=True, kw_only=True)
class Length:
    """How long to train: at most one of the three, and more than nothing; none of them means the preset's own length.

    Raises:
        UsageError: for several, or for one that is not above 0.
    """

    steps: int | None = None
    minutes: float | None = None
    kimg: float | None = None

    def __post_init__(self) -> None:
        if len(self.limits()) > 1:
            raise UsageError("Give one of steps, minutes and kimg, not several.")
        for name, value in self.limits().items():
            if not 0 < value < math.inf:
                raise UsageError(f"{name} must be more than 0{', and finite' if value > 0 else ''}; it is {value}.")

    def limits(self) -> dict[str, float]:
        """What was given."""
        return {name: value for name, value in vars(self).items() if value is not None}

    def horizon(self, config: GameConfig) -> int:
        """Rounds that schedules are stretched over."""
        if self.kimg is not None:
            return config.rounds_in(self.kimg)
        return self.steps or config.rounds


def make_plan(length: Length, horizon: int, keep_every: int = 0) -> Plan:
    """About twenty sample grids and ten scores a run."""
    kept = Plan(**vars(length), keep_every=keep_every, checkpoint_every=keep_every)
    if length.minutes is not None:
        return dataclasses.replace(kept, preview_every=0, score_every=0, by_clock=True)
    log_every = max(1, min(20, horizon // 50))
    preview_every, score_every = max(1, min(1000, horizon // 20)), max(1, min(2000, horizon // 10))
    return dataclasses.replace(kept, log_every=log_every, preview_every=preview_every, score_every=score_every)
