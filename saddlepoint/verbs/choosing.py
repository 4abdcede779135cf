"""What to train, how long, and how often to look: what is settled before a run begins."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from saddlepoint.data.images import Resolution, resolution_of, size_of
from saddlepoint.data.packed import is_packed
from saddlepoint.data.records import DataSpec
from saddlepoint.data.sources import list_data, of_sequences, open_data
from saddlepoint.errors import DataError, UsageError, nearest
from saddlepoint.games.settings import GameConfig
from saddlepoint.networks.layers import pyramid
from saddlepoint.training.plan import Plan
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
BEST = {  # on a processor, and of how many recipes on what: docs/tables/images-*.md, by KID of the last state
    "few": ("diffaugment", "eight on 1,906 emoji"),
    "few and large": ("stylegan2-ada", "eight on 1,906 emoji at 64 pixels"),
    "many": ("dcgan", "eight on 10,000 pictures of clothes"),
}
LARGE = 64  # pixels from which images are large here
PER_CLASS = 20  # images that a class has at least, for the players to be told classes
SIDES = {"cpu": 32, "accelerator": 256}  # pixels at most
TOP_CHANNELS = 8  # of stylegan2-ada's preset "small" at full size, at the 64 pixels where it was compared
CUT, ENLARGED = 0.1, 1.15  # of an image's area that is lost, and how often it is enlarged, before it is said
Sizes = Mapping[tuple[int, int], int]  # width and height: how many images


def recipe_for(images: int, device: str, side: int = 32) -> tuple[str, str, str]:
    """Recipe and preset for so many images of so many pixels a side on a type of device, and why.

    >>> recipe_for(1906, "cpu")[:2], recipe_for(60_000, "cpu")[:2], recipe_for(1906, "cuda")[:2]
    (('diffaugment', 'small'), ('dcgan', 'small'), ('stylegan2-ada', 'auto'))
    """
    if device != "cpu":
        return "stylegan2-ada", "auto", "Its authors' first guess for new images; where D learns them by heart, augmentation sets in by itself."
    recipe, measured = BEST["many" if images >= FEW else "few and large" if side >= LARGE else "few"]
    why = " D sees augmented images, or it would learn so few by heart." if images < FEW else ""
    return recipe, "small", f"The best of {measured} (ten minutes of the processor, one seed).{why}"


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
    return _of_images(spec, opened.sizes or _own_size(data), device, resolution_of(spec.shape) if packed else resolution)


def _of_images(spec: DataSpec, sizes: Sizes, device: str, asked: Resolution | None) -> Choice:
    """By number, labels and size of the images, and the machine."""
    side, most = usual_side(sizes), SIDES["cpu" if device == "cpu" else "accelerator"]
    size = asked or kept_shape(sizes, most) or fitting_side(side or most, most)
    recipe, preset, why = recipe_for(spec.num_records, device, min(size_of(size)))
    told = (spec.num_classes or 0) > 1 and spec.num_records >= PER_CLASS * (spec.num_classes or 0)
    settings: dict[str, Any] = {"resolution": size}
    if preset == "auto":
        settings = auto_settings(min(size_of(size))) | settings
    elif recipe == "stylegan2-ada" and min(size_of(size)) > LARGE:
        settings["channel_base"] = TOP_CHANNELS * min(size_of(size))
    if told:
        settings["conditional"] = True
        why += f" It is told the {spec.num_classes} classes (--no-conditional: not)."
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


def usual_side(sizes: Sizes) -> int | None:
    """Median of the shorter sides of images, in pixels; None of none.

    >>> usual_side({(64, 48): 3, (20, 30): 2})
    48
    """
    sides = sorted((min(size), count) for size, count in sizes.items())
    done, half = 0, sum(sizes.values()) / 2
    for side, count in sides:
        done += count
        if done >= half:
            return side
    return None


def fitting_side(side: int, most: int) -> int:
    """The side at which images of a side are trained: 4 to 7 times a power of two, from 16 on, that enlarges them by less than a sixth.

    >>> [fitting_side(side, 256) for side in (8, 24, 28, 48, 71, 300)], fitting_side(300, 32)
    ([16, 24, 32, 48, 64, 256], 32)
    """
    power: int = max(16, 2 ** int(math.log2(min(1.15 * side, most))))  # 28 pixels are taken for 32
    return max([power, *(k * power // 4 for k in (5, 6, 7) if k * power // 4 <= min(side, most))])


def kept_shape(sizes: Sizes, most: int) -> tuple[int, int] | None:
    """Height and width where all images have the same, which is no square, small enough, and which networks make; None otherwise.

    >>> kept_shape({(40, 24): 9}, 32), kept_shape({(1920, 1080): 9}, 32), kept_shape({(40, 24): 9, (24, 40): 1}, 32)
    ((24, 40), None, None)
    """
    (width, height), *others = [*sizes] or [(0, 0)]
    if others or width == height or not 16 <= min(width, height) <= most or max(width, height) > 2 * most:
        return None
    with contextlib.suppress(UsageError):
        pyramid((1, height, width), 4, "")
        return height, width
    return None


def fitting_notes(sizes: Sizes, shape: Sequence[int]) -> list[str]:
    """What is done to images of these sizes for training at a shape [c, h, w], where they lose or lack something.

    >>> fitting_notes({(64, 48): 60}, (3, 32, 32))[0]
    '60 of the 60 images lose more than a tenth of their area, as their middle is cut to 32x32. --resolution 32 40 (height and width) keeps more.'
    >>> fitting_notes({(48, 48): 60}, (3, 64, 64)), fitting_notes({(28, 28): 60}, (1, 32, 32))
    (['60 of the 60 images are smaller than 64x64 and are enlarged.'], [])
    """
    height, width = shape[-2:]
    notes, scales, total = [], {size: min(size[0] / width, size[1] / height) for size in sizes}, sum(sizes.values())
    cut = {size: count for size, count in sizes.items() if height * width * scales[size] ** 2 < (1 - CUT) * size[0] * size[1]}
    if cut:
        lost = sum(cut.values())
        said = f"{lost} of the {total} images lose more than a tenth of their area, as their middle is cut to {height}x{width}."
        high, wide = _nearest_shape(max(cut, key=lambda size: cut[size]), min(height, width))
        better = 2 * lost > total and (high, wide) != (height, width)
        notes.append(said + (f" --resolution {high} {wide} (height and width) keeps more." if better else ""))
    small = sum(count for size, count in sizes.items() if scales[size] * ENLARGED < 1)
    return [*notes, f"{small} of the {total} images are smaller than {height}x{width} and are enlarged."] if small else notes


def _nearest_shape(size: tuple[int, int], short: int) -> tuple[int, int]:
    """Height and width nearest to the shape of an image of this width and height that networks make, the shorter side being ``short``."""
    step = 2 ** int(math.log2(max(short // 4, 1)))
    long = max(short, step * round(short * max(size) / min(size) / step))
    return (short, long) if size[0] >= size[1] else (long, short)


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
            if not value > 0:
                raise UsageError(f"{name} must be more than 0; it is {value}.")

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
