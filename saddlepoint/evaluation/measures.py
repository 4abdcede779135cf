"""The metrics that the engine offers by name: what each needs and what its numbers are called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from saddlepoint.evaluation import prices, scoring, scoring_extras, scoring_labels, scoring_pairs, scoring_prd, scoring_probes, scoring_translations
from saddlepoint.evaluation.case import Case, Run
from saddlepoint.evaluation.scoring import GROUPS, LIMIT, SPLITS
from saddlepoint.evaluation.scoring_pairs import PAIRS, PATCHES, PYRAMID_IMAGES

Better = Literal["lower", "higher", "none"]
Need = Literal["walk", "distance", "segmenter", "labels", "unseen", "targets", "returned", "meanings", "classes"]


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A metric by name.

    Attributes:
        name: as the user writes it.
        better: for each of its scores, which direction is better; "none" where neither is. Scores not named here are as the first.
        run: from a case, and whether errors are wanted (they cost as much again for every group).
        about: what it is, for the reader.
        settings: what else a reader must know, for the protocol.
        kinds: of samples that it is defined for.
        needs: what it needs besides two sets of samples.
        floor: whether held-out real samples, scored as if generated, are its floor.
        pairs: it compares all pairs, of at most LIMIT rows a side; its cost is said before.
        cost: what else it will cost, in words, said before it starts.
    """

    name: str
    better: dict[str, Better]
    run: Run
    about: str
    settings: dict[str, Any] = field(default_factory=dict)
    kinds: tuple[str, ...] = ("image", "points")
    needs: tuple[Need, ...] = ()
    floor: bool = True
    pairs: bool = False
    cost: Callable[[Case], str] | None = None

    def direction(self, score: str) -> Better:
        """Which direction is better for one of its scores."""
        return self.better.get(score, next(iter(self.better.values())))

    def price(self, case: Case) -> str:
        """What it will cost, in words, before it starts; "" where it grows with the samples only."""
        if self.cost is not None:
            return f"{self.name} {self.cost(case)}"
        if not self.pairs:
            return ""
        n, m, d = min(len(case.real), LIMIT), min(len(case.fake), LIMIT), case.real.extractor.dimension
        work = (n * n + m * m + n * m) * d * 2 * (1 + 2 * GROUPS)
        return f"{self.name} compares all pairs of {n:,} real and {m:,} generated rows of {d}, about {work / 1e9:,.3g} billion operations"


def _path(space: Literal["z", "w"], sampling: Literal["full", "end"], *, crop: bool = False) -> Measure:
    name = f"ppl-{space}{sampling}" + ("-crop" if crop else "")
    return Measure(
        name=name,
        better={name.replace("-", "_"): "lower"},
        run=scoring_pairs.path_length(space, sampling, crop),
        about=f"perceptual path length in {space}, {'t uniform' if sampling == 'full' else 't = 0'}{', centre of faces' if crop else ''}; of a run",
        settings={"epsilon": 1e-4, "kept": "from the 1st to the 99th percentile", "error": "over the paths"},
        kinds=("image",),
        needs=("walk", "distance"),
        floor=False,
        cost=prices.cost_of_path,
    )


PROBES: tuple[tuple[str, str, Better, Run, str, str], ...] = (
    ("svm", "svm_error", "lower", scoring_probes.svm, "test error of an L2-SVM on 100 labels a class, of the extractor's features", "over 20 draws"),
    ("probe", "probe", "higher", scoring_probes.probe, "test accuracy of logistic regression on the extractor's features", "binomial"),
    ("1nn", "1nn", "higher", scoring_probes.neighbour, "share of test samples whose nearest neighbour has their class", "binomial"),
)  #: of features, whatever the generated samples

MEASURES = {
    measure.name: measure
    for measure in (
        Measure(name="fd", better={"fd": "lower"}, run=scoring.frechet, about="Frechet distance (FID with inception); biased upward by few samples"),
        Measure(
            name="fd-infinity",
            better={"fd_infinity": "lower"},
            run=scoring.extrapolated,
            about="the Frechet distance of infinitely many generated samples, by a line through 15 subsets; the real side's bias remains",
            settings={"points": 15, "rows": LIMIT, "error": "of the line"},
            cost=prices.cost_of_extrapolation,
        ),
        Measure(
            name="kid",
            better={"kid": "lower"},
            run=scoring.kernel,
            about="kernel distance, cubic kernel, unbiased: may be negative",
            settings={"subsets": 100, "subset_size": 1000, "rows": LIMIT, "error": "jackknife over both sets, and the chance of the subsets"},
            cost=prices.cost_of_subsets,
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
            name="prd",
            better=dict.fromkeys(scoring_prd.SCORES, "higher"),
            run=scoring_prd.prd,
            about="recall and precision of distributions by clusters: the greatest F_8 and F_1/8 of the curve, which is in the details",
            settings={"clusters": 20, "clusterings": 10, "angles": 1001, "rows": LIMIT, "error": "jackknife over both sets, clusters as they are"},
            cost=prices.cost_of_clusters,
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
            name="modes",
            better={"modes": "higher", "high_quality": "higher", "modes_kl": "lower"},
            run=scoring.modes,
            about="modes of a mixture that hold a sample within 3 deviations, the share of such samples, evenness; mixtures only",
            settings={"within": 3.0, "error": "jackknife over generated samples"},
            kinds=("points",),
        ),
        Measure(
            name="class-fd",
            better={"class_fd": "lower"},
            run=scoring.class_frechet,
            about="mean of the Frechet distances within each class (intra-FID with inception); both sides need labels",
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
            run=scoring_pairs.multiscale_similarity,
            about="similarity of pairs of generated images; compare with the floor, the real images' own",
            settings={"pairs": PAIRS, "rows": LIMIT, "error": "jackknife over generated samples"},
            kinds=("image",),
            cost=prices.cost_of_similarity,
        ),
        *(
            Measure(
                name=name,
                better={name: "none"},
                run=scoring_pairs.diversity(name),
                about=about,
                settings={"pairs": PAIRS, "rows": LIMIT, "error": "jackknife over generated samples"},
                kinds=("image",),
                needs=("distance",),
                cost=prices.cost_of_diversity,
            )
            for name, about in (
                ("lpips", "mean LPIPS of pairs of generated images (VGG16, version 0.1), of one class where classes are known"),
                ("diversity", "the same with the distance of --distance"),
            )
        ),
        Measure(
            name="swd",
            better={"swd": "lower"},
            run=scoring_pairs.pyramid,
            about="sliced Wasserstein distance x 1,000 on the Laplacian pyramid: the average and each level by its side",
            settings={"patches": PATCHES, "patch": 7, "directions": 512, "images": PYRAMID_IMAGES, "error": "from quarters of either side"},
            kinds=("image",),
            cost=prices.cost_of_pyramid,
        ),
        _path("z", "full"),
        _path("z", "end"),
        _path("w", "full"),
        _path("w", "end"),
        _path("w", "end", crop=True),
        Measure(
            name="jumps",
            better={"path_jump": "lower"},
            run=scoring_pairs.jumps,
            about="the largest step's share of walks between latents: 0.0625 is even, 1 is all in one step; of a run",
            settings={"steps": 16, "walks": scoring_pairs.WALKS, "error": "over the walks"},
            kinds=("image",),
            needs=("walk", "distance"),
            floor=False,
            cost=prices.cost_of_walks,
        ),
        Measure(
            name="cas",
            better={"cas": "higher"},
            run=scoring_extras.accuracy_of_trained,
            about="accuracy on real images of a classifier trained on generated ones; both sides need labels",
            settings={
                "classifier": "five convolutions at 32x32, ten epochs",
                "rows": LIMIT,
                "error": "binomial, and over three thirds of the training set",
            },
            kinds=("image",),
            cost=prices.cost_of_training,
        ),
        Measure(
            name="copying",
            better={"copy_ratio": "none", "copy_suspects": "none", "copy_statistic": "none"},
            run=scoring_extras.copying,
            about="whether generated samples are nearer to the training set than real ones it does not hold (--held-out), in features and in pixels",
            settings={"alpha": scoring_extras.ALPHA, "cells": scoring_extras.CELLS, "rows": LIMIT, "error": "ratio: bootstrap; suspects: binomial"},
            needs=("unseen",),
            floor=False,
            cost=prices.cost_of_search,
        ),
        Measure(
            name="parzen",
            better={"parzen": "none"},
            run=scoring_extras.parzen,
            about="log-likelihood under a Parzen window, to repeat published numbers only",
            settings={
                "widths": 10,
                "validation": scoring_extras.VALIDATION,
                "rows": LIMIT,
                "error": "over test points, and jackknife over generated",
            },
            cost=prices.cost_of_windows,
        ),
        Measure(
            name="fsd",
            better={"fsd": "lower"},
            run=scoring_extras.segmentation,
            about="Frechet distance of the areas that a segmenter's classes take, and the classes left out; needs --segmenter",
            kinds=("image",),
            needs=("segmenter",),
        ),
        Measure(
            name="fcn-score",
            better=dict.fromkeys(scoring_labels.SCORES, "higher"),
            run=scoring_labels.fcn,
            about="what a segmenter finds again of the label maps that images were made from: pixels, classes, intersection over union",
            settings={"floor": "the real images against their own label maps", "error": "jackknife over generated samples"},
            kinds=("image",),
            needs=("segmenter", "labels"),
            floor=False,
        ),
        Measure(
            name="stacked-modes",
            better={"stacked_modes": "higher", "stacked_kl": "lower"},
            run=scoring_extras.stacked_modes,
            about="modes of stacked digits and their KL from uniform, each channel read by an extractor that knows classes (quick:digits)",
            settings={"rows": LIMIT, "error": "jackknife over generated samples"},
            kinds=("image",),
        ),
        *(Measure(**row, kinds=("image",), floor=row["name"] == "sharpness") for row in scoring_translations.ROWS),
        *(
            Measure(
                name=name,
                better={score: better},
                run=run,
                about=about,
                settings={"split": "3/5 to learn, 1/5 to choose, 1/5 to test", "rows": LIMIT, "error": error},
                kinds=("image",),
                floor=False,
                cost=prices.cost_of_probes,
            )
            for name, score, better, run, about, error in PROBES
        ),
    )
}

HINTS = {
    "ppl": "ppl-zfull, ppl-zend, ppl-wfull, ppl-wend or ppl-wend-crop",
    "fid": "fd with --extractor inception",
    "intra-fid": "class-fd with --extractor inception",
    "fcn": "fcn-score with --segmenter and, where the images' label maps are files, --labels",
}  #: names that are known from elsewhere, and what they are here
