"""What a metric of the engine is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from saddlepoint.evaluation.distances import PerceptualDistance
from saddlepoint.evaluation.labelmaps import LabelMaps
from saddlepoint.evaluation.segmenters import Segmenter
from saddlepoint.evaluation.sets import SampleSet, Translation
from saddlepoint.evaluation.store import Features
from saddlepoint.evaluation.walks import Walk

Scores = dict[str, float]
Read = Callable[[int, int], Tensor]


@dataclass(frozen=True, kw_only=True)
class Extras:
    """What some metrics need besides two sets of samples.

    Attributes:
        training: all of the data that copies are searched in.
        unseen: real samples that the generator was not trained on.
        walk: the generator itself.
        distance: perceptual, of images.
        segmenter: of images.
        labels: maps that images were made from.
        translation: what is known of samples that are translations.
        seed: of what metrics draw themselves.
        device: where classifiers are trained.
    """

    training: SampleSet | None = None
    unseen: SampleSet | None = None
    walk: Walk | None = None
    distance: PerceptualDistance | None = None
    segmenter: Segmenter | None = None
    labels: LabelMaps | None = None
    translation: Translation | None = None
    seed: int = 0
    device: str = "cpu"

    @property
    def targets(self) -> Read | None:
        """Of translations, the images that they should be."""
        return None if self.translation is None else self.translation.wanted

    @property
    def returned(self) -> Read | None:
        """Of translations, their translations back."""
        return None if self.translation is None else self.translation.returned

    @property
    def meanings(self) -> tuple[Tensor, Tensor] | None:
        """What translations mean, and the images of the domain."""
        return None if self.translation is None else self.translation.meanings

    @property
    def classes(self) -> tuple[Tensor, Tensor] | None:
        """Classes of translations and of the images of the domain."""
        return None if self.translation is None else self.translation.classes


@dataclass(frozen=True, kw_only=True)
class Case:
    """Real and generated samples as an extractor sees them, and what else there is."""

    real: Features
    fake: Features
    extras: Extras = field(default_factory=Extras)


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a metric says.

    Attributes:
        values: scores by name.
        errors: their standard errors; NaN where there are too few samples for one.
        floors: where the metric knows its own, in place of held-out real samples scored as if generated.
        notes: sentences that belong beside the numbers.
        details: what else it found, plain JSON, such as a distance a class.
    """

    values: Scores
    errors: Scores
    floors: Mapping[str, float] | None = None
    notes: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)


Run = Callable[[Case, bool], Result]
