"""The metrics that the engine offers by name: what each needs and what its numbers are called."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from saddlepoint.evaluation import scoring
from saddlepoint.evaluation.scoring import GROUPS, LIMIT, PYRAMID_IMAGES, SPLITS
from saddlepoint.evaluation.store import Features

Better = Literal["lower", "higher", "none"]


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A metric by name.

    Attributes:
        name: as the user writes it.
        better: for each of its scores, which direction is better; "none" where neither is. Scores not named here are as the first.
        run: from real and generated features, and whether errors are wanted (they cost g times as much).
        about: what it is, for the reader.
        settings: what else a reader must know, for the protocol.
        kinds: of samples that it is defined for.
        pixels: it looks at the samples themselves, not at features.
        pairs: it compares all pairs, of at most LIMIT rows a side.
        repeats: how often it does so.
    """

    name: str
    better: dict[str, Better]
    run: scoring.Run
    about: str
    settings: dict[str, Any] = field(default_factory=dict)
    kinds: tuple[str, ...] = ("image", "points")
    pixels: bool = False
    pairs: bool = False
    repeats: int = GROUPS

    def direction(self, score: str) -> Better:
        """Which direction is better for one of its scores."""
        return self.better.get(score, next(iter(self.better.values())))

    def cost(self, real: Features, fake: Features) -> str:
        """What it will cost, in words, before it starts; "" where it grows with the samples only."""
        if not self.pairs:
            return ""
        n, m, d = min(len(real), LIMIT), min(len(fake), LIMIT), real.extractor.dimension
        work = (n * n + m * m + n * m) * d * 2 * self.repeats
        return f"{self.name} compares all pairs of {n:,} real and {m:,} generated rows of {d}, about {work / 1e9:,.0f} billion operations"


MEASURES = {
    measure.name: measure
    for measure in (
        Measure(name="fd", better={"fd": "lower"}, run=scoring.frechet, about="Frechet distance (FID with inception); biased upward by few samples"),
        Measure(
            name="kid",
            better={"kid": "lower"},
            run=scoring.kernel,
            about="kernel distance, cubic kernel, unbiased: may be negative",
            settings={"subsets": 100, "subset_size": 1000, "rows": LIMIT, "error": "over the subsets; one subset where no side has more"},
            pairs=True,
            repeats=1,
        ),
        Measure(
            name="precision-recall",
            better={"precision": "higher", "recall": "higher"},
            run=scoring.of_rows(scoring.precision_and_recall),
            about="share of generated samples on the real manifold, and the reverse",
            settings={"neighbours": 3, "rows": LIMIT},
            pairs=True,
        ),
        Measure(
            name="density-coverage",
            better={"density": "higher", "coverage": "higher"},
            run=scoring.of_rows(scoring.density_and_coverage),
            about="real balls that a generated sample lies in, and share of real balls that hold one",
            settings={"neighbours": 5, "rows": LIMIT},
            pairs=True,
        ),
        Measure(
            name="pairwise-distance",
            better={"pairwise_distance": "none"},
            run=scoring.of_rows(scoring.pairwise),
            about="mean distance between generated samples over that between real ones; 1 is as varied as the data",
            settings={"rows": LIMIT},
            pairs=True,
        ),
        Measure(
            name="sliced-wasserstein",
            better={"sliced_wasserstein": "lower"},
            run=scoring.of_rows(scoring.sliced),
            about="sliced Wasserstein-1 distance of features or points",
            settings={"directions": 512, "rows": LIMIT},
        ),
        Measure(
            name="class-fd",
            better={"class_fd": "lower"},
            run=scoring.class_frechet,
            about="mean of the Frechet distances within each class; both sides need labels",
            settings={"error": "none"},
        ),
        Measure(
            name="is",
            better={"is": "higher"},
            run=scoring.inception,
            about="Inception score, with extractors that know classes; says nothing of the real data",
            settings={"splits": SPLITS, "error": "deviation over the splits by the root of their number"},
            kinds=("image",),
        ),
        Measure(
            name="ms-ssim",
            better={"ms_ssim": "none"},
            run=scoring.multiscale_similarity,
            about="similarity of pairs of generated images; compare with the floor, the real images' own",
            settings={"pairs": 10_000, "rows": LIMIT, "error": "over the pairs"},
            kinds=("image",),
            pixels=True,
        ),
        Measure(
            name="swd",
            better={"swd": "lower"},
            run=scoring.pyramid,
            about="sliced Wasserstein distance x 1,000 on the Laplacian pyramid: the average and each level by its side",
            settings={"patches": 128, "patch": 7, "directions": 512, "images": PYRAMID_IMAGES, "error": "from quarters of either side"},
            kinds=("image",),
            pixels=True,
        ),
    )
}

ELSEWHERE = {
    "ppl": "saddlepoint.evaluation.perceptual.perceptual_path_length, which takes a generator, its mapping and a distance",
    "lpips": "saddlepoint.evaluation.perceptual.perceptual_diversity, which takes a distance",
    "cas": "saddlepoint.evaluation.classwise.classification_accuracy, which takes a function that trains a classifier",
    "copying": "saddlepoint.evaluation.copying.copy_verdict, which takes features of training, held-out and generated samples",
    "parzen": "saddlepoint.evaluation.parzen",
    "fsd": "saddlepoint.evaluation.segmentation, which takes label maps",
}  #: metrics that need more than two sets of samples, and where they are
