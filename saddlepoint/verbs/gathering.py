"""What ``evaluate`` was asked, what it found, and what some metrics need besides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from saddlepoint.data.images import resolution_of
from saddlepoint.data.records import Dataset
from saddlepoint.data.sources import open_data
from saddlepoint.draws import derive_seed
from saddlepoint.errors import UsageError
from saddlepoint.games.game import Game
from saddlepoint.training.run import Run

if TYPE_CHECKING:
    from saddlepoint.evaluation.case import Extras
    from saddlepoint.evaluation.extractors import Extractor
    from saddlepoint.evaluation.measures import Measure
    from saddlepoint.evaluation.sets import SampleSet
    from saddlepoint.evaluation.walks import Walk


@dataclass(frozen=True)
class Asking:
    """The target, and how its samples are drawn: how many at most, how many were asked for, and the rest as in ``evaluate``."""

    target: str | Path | Callable[[int, torch.Generator], Tensor]
    num: int
    wanted: int | None
    seed: int
    root: Path | None
    truncation: float | None
    device: str


@dataclass(frozen=True, kw_only=True)
class Found:
    """Generated samples, real data, what is to be said of them and in their protocol; and the run, its game and its walk, where there are any."""

    fake: SampleSet
    real: Dataset
    about: dict[str, Any]
    stamp: dict[str, Any] = field(default_factory=dict)
    run: Run | None = None
    game: Game | None = None
    walk: Walk | None = None


def choose_extractor(name: str, found: Found, weights: str | Path | None, device: str) -> Extractor | None:
    """The extractor of images by name, or the run's own discriminator; None for points."""
    from saddlepoint.evaluation.extractors import open_extractor
    from saddlepoint.evaluation.scoring_probes import discriminator_features

    if found.fake.kind != "image":
        return None
    if name != "discriminator":
        return open_extractor(name, weights=None if weights is None else Path(weights), device=device)
    if found.game is None:
        raise UsageError("The extractor discriminator is that of a run; these samples have none. Name a run folder, or another extractor.")
    return discriminator_features(found.game, found.fake.shape)


def gather_extras(
    chosen: Sequence[Measure],
    found: Found,
    *,
    extractor: str,
    distance: str | None,
    segmenter: str | None,
    labels: str | None,
    held_out: str | None,
    seed: int,
    device: str,
) -> Extras:
    """What the chosen metrics need besides two sets of samples; nothing is opened that none of them needs.

    Raises:
        UsageError: for what does not fit; what is missing is said by the engine.
    """
    from saddlepoint.evaluation.case import Extras
    from saddlepoint.evaluation.distances import distance_of_extractor, open_distance
    from saddlepoint.evaluation.labelmaps import maps_of_files, maps_of_given
    from saddlepoint.evaluation.segmenters import open_segmenter
    from saddlepoint.evaluation.sets import of_data

    needed, names = {need for measure in chosen for need in measure.needs}, [measure.name for measure in chosen]
    if "lpips" in names and distance not in (None, "lpips"):
        raise UsageError(f"The metric lpips is by the distance lpips; {distance} came. Ask for diversity, or leave --distance out.")
    training, unseen = None, None
    if "unseen" in needed and held_out is not None:
        other = open_data(held_out, resolution=resolution_of(found.fake.shape) if found.fake.kind == "image" else None)
        if other.spec.content_hash == found.real.spec.content_hash:
            raise UsageError(f"{held_out} is the training data itself. Name real samples that the generator was not trained on.")
        rng = torch.Generator().manual_seed(derive_seed("unseen", seed))
        unseen = of_data(other, torch.randperm(len(other), generator=rng)[: found.fake.num])
        training = of_data(found.real, torch.arange(len(found.real)))
    wanted = "lpips" if "lpips" in names else distance
    areas = open_segmenter(segmenter, device=device) if "segmenter" in needed and segmenter is not None else None
    maps = (
        None if areas is None or "labels" not in needed else maps_of_files(labels, areas) if labels is not None else maps_of_given(areas, found.fake)
    )
    looks = "distance" in needed and found.fake.kind == "image" and ("walk" not in needed or found.walk is not None)
    return Extras(
        training=training,
        unseen=unseen,
        walk=found.walk if "walk" in needed else None,
        distance=open_distance(wanted or distance_of_extractor(extractor), device=device) if looks else None,
        segmenter=areas,
        labels=maps,
        translation=found.fake.translation,
        seed=seed,
        device=device,
    )
