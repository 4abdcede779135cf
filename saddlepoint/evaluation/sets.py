"""Sets of samples that are read a chunk at a time, whatever they come from: data, a trained game, a function.

Axes: n samples, c channels, h w image, d dimension.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from saddlepoint.data.records import SAMPLE, Dataset
from saddlepoint.draws import derive_seed
from saddlepoint.errors import UsageError
from saddlepoint.evaluation.arrays import Float64, as_rows
from saddlepoint.evaluation.extractors import hash_weights
from saddlepoint.evaluation.samples import CHUNK, draw_samples
from saddlepoint.games.game import Samples

CHUNK_ROWS = 8 * CHUNK  # rows of a chunk of features
Draw = Callable[[int, torch.Generator], Tensor]


@dataclass(frozen=True, kw_only=True)
class SampleSet:
    """Samples by number.

    Attributes:
        name: for the reader.
        kind: "image" (uint8 [n, c, h, w]) or "points" (float32 [n, d]).
        shape: of one sample.
        num: how many.
        content_hash: equal only for equal samples; "" if it cannot be known, and then nothing made of them is kept.
        read: samples start to stop - 1; start is a multiple of CHUNK_ROWS.
        labels: their classes int64 [n], likewise; None without.
        class_names: one a class; empty where they are not known.
        mixture: centres [m, d] and deviation of the Gaussians that points are drawn from, where data know theirs.
        name_of: number -> name, such as a file's; None where samples have none.
        given: pictures that samples were made from, or belong to, as ``read``; None without.
        translation: what else is known of samples that are translations.
    """

    name: str
    kind: Literal["image", "points"]
    shape: tuple[int, ...]
    num: int
    content_hash: str
    read: Callable[[int, int], Tensor]
    labels: Callable[[int, int], Tensor] | None = None
    class_names: tuple[str, ...] = ()
    mixture: tuple[Float64, float] | None = None
    name_of: Callable[[int], str] | None = None
    given: Callable[[int, int], Tensor] | None = None
    translation: Translation | None = None

    def first(self, num: int) -> SampleSet:
        """The first ``num`` samples; their hash stays, so that features of more serve fewer."""
        return replace(self, num=num)


@dataclass(frozen=True, kw_only=True)
class Translation:
    """What is known of translations besides themselves.

    Attributes:
        wanted: the images that they should be, as ``SampleSet.read``; None where the data has no pairs.
        returned: their translations back, likewise; None where nothing leads back.
        domain: all real images of the domain that is translated to.
        meanings: a number of what each translation means, int64 [n], and of what each image of the domain does, [m]: equal for images of one name, or
            without names of one class; -1 has no equal. None where neither is known.
        classes: likewise the classes of inputs and of the domain.
        num_classes: of these.
    """

    wanted: Callable[[int, int], Tensor] | None
    returned: Callable[[int, int], Tensor] | None
    domain: SampleSet
    meanings: tuple[Tensor, Tensor] | None
    classes: tuple[Tensor, Tensor] | None
    num_classes: int = 0


def of_data(dataset: Dataset, rows: Tensor) -> SampleSet:
    """The records of a data set at ``rows`` (int64 [n])."""
    spec = dataset.spec
    if spec.kind not in ("image", "points"):
        raise UsageError(f"Image metrics need images or points; {spec.name} holds {spec.kind} data.")
    field = SAMPLE[spec.kind]

    def read(start: int, stop: int) -> Tensor:
        return dataset.records(rows[start:stop])[field]

    def labels(start: int, stop: int) -> Tensor:
        column = getattr(dataset, "column", None)  # the labels without reading the images
        return dataset.records(rows[start:stop])["label"] if column is None else column("label")[rows[start:stop]]

    names = getattr(dataset, "names", ())
    digest = hashlib.sha256(spec.content_hash.encode() + rows.numpy().tobytes()).hexdigest() if spec.content_hash else ""
    return SampleSet(
        name=spec.name,
        kind=spec.kind,
        shape=spec.shape,
        num=len(rows),
        content_hash=digest,
        read=read,
        labels=labels if "label" in spec.fields else None,
        class_names=spec.class_names,
        mixture=_mixture(dataset),
        name_of=(lambda index: str(names[int(rows[index])])) if names else None,
        given=(lambda start, stop: dataset.records(rows[start:stop])["given"]) if "given" in spec.fields else None,
    )


def with_classes_of(fake: SampleSet, real: SampleSet) -> SampleSet:
    """The same samples with their classes numbered as the real data's, by name; as they are where either side names none.

    Raises:
        UsageError: for a class that the data does not have.
    """
    labels = fake.labels
    if labels is None or not fake.class_names or not real.class_names or fake.class_names == real.class_names:
        return fake
    missing = [name for name in fake.class_names if name not in real.class_names]
    if missing:
        known = ", ".join(real.class_names[:10])
        raise UsageError(f"{fake.name} has the class {missing[0]!r}, which {real.name} does not have: its classes are {known}. Rename the folder.")
    number = torch.tensor([real.class_names.index(name) for name in fake.class_names])
    return replace(fake, labels=lambda start, stop: number[labels(start, stop)], class_names=real.class_names)


def _mixture(dataset: Dataset) -> tuple[Float64, float] | None:
    centers, std = getattr(dataset, "centers", None), float(getattr(dataset, "std", 0.0))
    return None if centers is None or std <= 0 else (as_rows(centers, "centre"), std)


def of_game(
    game: Samples,
    num: int,
    *,
    name: str,
    seed: int,
    classes: Classes | None = None,
    truncation: float | None = None,
    shape: tuple[int, ...] | None = None,
) -> SampleSet:
    """The first ``num`` samples that a trained game draws from a seed.

    Args:
        game: what draws.
        num: how many.
        name: for the reader.
        seed: of the latents.
        classes: in what proportions a conditional game is asked for its classes; None: it draws them itself, and they are not known.
        truncation: as of :meth:`Samples.sample`; None: none.
        shape: of a sample; None: one is drawn to know it.
    """
    assert isinstance(game, nn.Module)
    labels = None if classes is None else classes.labels
    size = tuple(draw_samples(game, 1, seed=seed, labels=labels, truncation=truncation).shape[1:]) if shape is None else shape
    device = next(game.parameters()).device.type  # random numbers of another kind of device are others

    def read(start: int, stop: int) -> Tensor:
        return draw_samples(game, stop - start, seed=seed, first=start, labels=labels, truncation=truncation)

    told = "" if classes is None and truncation is None else f" {None if classes is None else classes.counts} {truncation}"
    told += "" if device == "cpu" else f" {device}"
    digest = hashlib.sha256(f"{hash_weights(game.state_dict())} {seed}{told}".encode()).hexdigest()
    return SampleSet(
        name=name,
        kind="image" if len(size) == 3 else "points",
        shape=size,
        num=num,
        content_hash=digest,
        read=read,
        labels=labels,
        class_names=() if classes is None else classes.names,
    )


@dataclass(frozen=True)
class Classes:
    """Classes in given proportions, evenly spread: sample i's class depends on i alone, and any stretch of samples has the proportions of all.

    Args:
        counts: one a class, such as those of the data.
        names: one a class, or empty.

    >>> Classes((2, 1, 1)).labels(0, 8).bincount().tolist()
    [4, 2, 2]
    """

    counts: tuple[int, ...]
    names: tuple[str, ...] = ()

    def labels(self, start: int, stop: int) -> Tensor:
        """Classes of samples start to stop - 1, int64: the golden section's multiples, modulo 1, through the inverse of the distribution function."""
        places = torch.arange(start + 1, stop + 1, dtype=torch.float64) * ((5**0.5 - 1) / 2) % 1.0
        borders = torch.tensor(self.counts, dtype=torch.float64).cumsum(0)
        return torch.searchsorted(borders / borders[-1], places, right=True).clamp(max=len(self.counts) - 1)


def of_function(draw: Draw, num: int, *, name: str, seed: int) -> SampleSet:
    """Samples that ``draw(n, rng)`` makes: images float [n, c, h, w] in [-1, 1] or uint8, or points [n, d].

    Each chunk has a random generator of its own, made from the seed and the chunk's number; nothing is kept, as the function is not known.
    """

    def read(start: int, stop: int) -> Tensor:
        parts = []
        for begin in range(start, stop, CHUNK):
            rng = torch.Generator().manual_seed(derive_seed(seed, "sample", begin))
            with torch.no_grad():
                drawn = draw(CHUNK, rng)
            if not isinstance(drawn, Tensor) or len(drawn) != CHUNK or drawn.ndim not in (2, 4):
                came = list(drawn.shape) if isinstance(drawn, Tensor) else type(drawn).__name__
                raise UsageError(f"The generator must give a tensor [n, c, h, w] or [n, d] for n = {CHUNK}; {came} came.")
            parts.append(as_samples(drawn))
        return torch.cat(parts)[: stop - start]

    one = read(0, 1)
    return SampleSet(name=name, kind="image" if one.ndim == 4 else "points", shape=tuple(one.shape[1:]), num=num, content_hash="", read=read)


def as_samples(drawn: Tensor) -> Tensor:
    """Images as uint8 (rounded from [-1, 1]), points as float32, on the CPU."""
    drawn = drawn.detach().cpu()
    if not torch.isfinite(drawn.sum()) and not torch.isfinite(drawn).all():  # a sum that is finite has finite terms
        raise UsageError("The generator gave samples with NaN or infinity. Look at its weights.")
    if drawn.ndim == 4 and drawn.dtype != torch.uint8:
        return (drawn.float().clamp(-1, 1) * 127.5 + 127.5).round().to(torch.uint8)
    return drawn if drawn.ndim == 4 else drawn.float()
